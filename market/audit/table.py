"""Entries of the audit trail as lines of a CSV file that spreadsheets open."""

import csv
import io

import msgspec

from market.audit.model import Shown

COLUMNS = ("id", "at", "login", "role", "action", "object", "request_id", "address", "data")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would run, were it the beginning of a cell."""


def _written(cells: tuple[str, ...]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow([f"'{cell}" if cell.startswith(FORMULA) else cell for cell in cells])
    return out.getvalue().encode()


HEAD = b"\xef\xbb\xbf" + _written(COLUMNS)
"""With a byte order mark: without one Excel takes Chinese for something else."""


def line(entry: Shown) -> bytes:
    """One entry."""
    return _written(
        (
            str(entry.id),
            entry.at.isoformat(),
            entry.login or "",
            entry.role,
            entry.action,
            entry.object,
            entry.request_id or "",
            entry.address or "",
            msgspec.json.encode(entry.data).decode(),
        )
    )
