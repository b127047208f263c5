"""Rows of a CSV and objects of a JSON file, with the columns that importing reads. Pure."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from market.catalogue.model import ITEM_LIST_NAMES, RIGHT_NAMES, STAGE_NAMES, ServiceItem, limit_text
from market.exporting.model import InstitutionOut, OfferingOut
from market.importing.columns import COLUMNS, TEXT_SEPARATORS, Column
from market.importing.model import Kind

BOM = "\ufeff"
"""What makes Excel read a CSV as UTF-8."""
FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""What a spreadsheet would calculate, with marks that an earlier cell may have had before it."""
NAMES: Mapping[str, Mapping[Any, str]] = {
    "item_list": ITEM_LIST_NAMES,
    "rights": RIGHT_NAMES,
    "stages": STAGE_NAMES,
}
Row = dict[str, Any]


def item_row(item: ServiceItem, usccs: Mapping[int, str]) -> Row:
    """An item as a row; ``usccs`` by institution."""
    guide = {name: getattr(item.guide, name) for name in item.guide.__struct_fields__}
    return guide | {
        "code": item.code,
        "number": item.number,
        "name": item.name,
        "item_group": item.item_group,
        "item_list": item.item_list,
        "rights": item.rights,
        "stages": item.stages,
        "aliases": item.aliases,
        "fee": item.fee,
        "handlers": item.handlers,
        "statutory_limit": limit_text(item.statutory_limit),
        "promised_limit": limit_text(item.promised_limit),
        "institution_uscc": usccs[item.institution_id] if item.institution_id else "",
        "effective_until": item.effective_until,
    }


def institution_row(one: InstitutionOut) -> Row:
    """An institution as a row."""
    return {column.field: getattr(one, column.field) for column in COLUMNS[Kind.INSTITUTIONS]}


def offering_row(one: OfferingOut, usccs: Mapping[int, str]) -> Row:
    """An offering as a row."""
    guide = one.guide
    uscc = usccs[one.institution_id]
    own = {"institution_uscc": uscc, "guide_audience": guide.audience, "guide_channels": guide.channels}
    fields = [column.field for column in COLUMNS[Kind.OFFERINGS] if column.field not in own]
    return own | {name: getattr(one if hasattr(one, name) else guide, name) for name in fields}


def json_row(kind: Kind, row: Row) -> Row:
    """In the order of the columns; nothing is left out."""
    return {column.field: row[column.field] for column in COLUMNS[kind]}


def csv_header(kind: Kind) -> str:
    """The Chinese names, as in the templates."""
    return BOM + line(column.names[0] for column in COLUMNS[kind])


def csv_line(kind: Kind, row: Row) -> str:
    """One row, safe to open in a spreadsheet."""
    return line(safe(_cell(column, row[column.field])) for column in COLUMNS[kind])


def _cell(column: Column, value: Any) -> str:
    match value:
        case None:
            return ""
        case date():
            return value.isoformat()
        case tuple():
            return _texts(column, value)
        case _:
            return NAMES.get(column.words or "", {}).get(value, str(value))


def _texts(column: Column, values: tuple[str, ...]) -> str:
    """Several values in one cell. A text that has the separator within it stands on a line of its own."""
    if column.words:
        names = NAMES.get(column.words, {})
        return "；".join(names.get(value, value) for value in values)
    texts = [" ".join(value.split()) for value in values]
    if not any(TEXT_SEPARATORS.search(text) for text in texts):
        return "；".join(texts)
    return "\n".join(texts) + ("\n" if len(texts) == 1 else "")


def safe(cell: str) -> str:
    """The cell as a spreadsheet shows it and does not calculate it."""
    return f"'{cell}" if FORMULA.match(cell) else cell


def line(cells: Iterable[str]) -> str:
    """One line of CSV."""
    out = io.StringIO(newline="")
    csv.writer(out).writerow(cells)
    return out.getvalue()
