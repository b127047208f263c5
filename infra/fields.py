"""Personal data at rest: columns whose values lie sealed beside them (docs/decisions/0024-personal-data.md).

A column ``contact_phone`` has a sister ``contact_phone_sealed``. What is sealed is bound to its table, column and row:
copied into another it does not open. The clear column is empty then; where it is not, an older release has written the
row, and the worker seals it (``seal_rows``).
"""

from collections.abc import Mapping
from typing import Any

import structlog
from msgspec import Struct

from infra.cipher import CannotOpenError, Cipher
from infra.db import Record, Transaction

UNREADABLE = "***"
"""What stands for a value that no key of ours opens."""

log = structlog.get_logger()


class Table(Struct, frozen=True):
    """A table with sealed columns. ``key``: the column that names a row."""

    name: str
    key: str
    columns: tuple[str, ...]

    def context(self, column: str, row_id: int) -> str:
        """What a value is bound to."""
        return f"{self.name}.{column}:{row_id}"


NEEDS = Table("needs", "id", ("contact_name", "contact_phone"))
ENTERPRISES = Table("enterprises", "id", ("contact_name", "contact_phone"))
MAIL = Table("message_settings", "account_id", ("address",))
TABLES = (NEEDS, ENTERPRISES, MAIL)


def seal(tx: Transaction, table: Table, row_id: int, *values: str | None) -> list[bytes | None]:
    """The values of the table's columns, in their order, for that row; None stays None."""
    cipher = tx.keys()
    return [
        None if value is None else cipher.seal(value.encode(), table.context(column, row_id))
        for column, value in zip(table.columns, values, strict=True)
    ]


def opened(
    tx: Transaction, table: Table, row: Record, *, key: str | None = None, lenient: bool = False
) -> dict[str, Any]:
    """The row with its sealed columns in the clear. ``key``: the row's name of the key, if it has another.

    ``lenient``: UNREADABLE for what does not open, so that work goes on which does not depend on it.

    Raises:
        CannotOpenError: see there.
    """
    found = dict(row)
    row_id = found[key or table.key]
    for column in table.columns:
        sealed = found.pop(f"{column}_sealed")
        if sealed is not None:
            found[column] = _open(tx.keys(), sealed, table.context(column, row_id), lenient=lenient)
    return found


def _open(cipher: Cipher, sealed: bytes, context: str, *, lenient: bool) -> str:
    try:
        return cipher.open(sealed, context).decode()
    except CannotOpenError as error:
        log.warning("a sealed value does not open", value=context, reason=str(error))
        if not lenient:
            raise
        return UNREADABLE


# sealing what is there -----------------------------------------------------------------------------------------------


def _statements(table: Table) -> dict[str, str]:
    """The statements of ``seal_rows``: names are those of TABLES, nobody else's."""
    name, key = table.name, table.key
    sealed = [f"{column}_sealed" for column in table.columns]
    clear = " OR ".join(f"{column} <> ''" for column in table.columns)
    stale = " OR ".join(f"substr({one}, 1, $3::integer) <> $2::bytea" for one in sealed)
    columns = ", ".join((key, *table.columns, *sealed))
    given = ", ".join(f"{column} text, {column}_sealed text, {column}_new text" for column in table.columns)
    sets = ", ".join(f"{column} = '', {column}_sealed = decode(g.{column}_new, 'base64')" for column in table.columns)
    # Only where nobody has written meanwhile; what was passed over is found the next time.
    same = " AND ".join(
        f"t.{column} IS NOT DISTINCT FROM g.{column} "
        f"AND t.{column}_sealed IS NOT DISTINCT FROM decode(g.{column}_sealed, 'base64')"
        for column in table.columns
    )
    return {
        "rows": f"SELECT {columns} FROM {name} WHERE {key} > $1 AND ({clear} OR {stale}) ORDER BY {key} LIMIT $4",
        "write": f"UPDATE {name} t SET {sets} FROM jsonb_to_recordset($1) AS g (row_id bigint, {given}) "
        f"WHERE t.{key} = g.row_id AND {same}",
        "count": f"SELECT count(*) FROM {name} WHERE {clear} OR {stale}".replace("$2", "$1").replace("$3", "$2"),
        "clear": f"SELECT count(*) FROM {name} WHERE {clear}",
        "used": " UNION ALL ".join(
            f"SELECT encode(substr({one}, 2, 4), 'hex') AS key, count(*) AS n FROM {name} "
            f"WHERE {one} IS NOT NULL GROUP BY 1"
            for one in sealed
        ),
    }


ELSEWHERE = "SELECT encode(substr(secret, 2, 4), 'hex') AS key, count(*) AS n FROM second_factors GROUP BY 1"
"""What else is sealed for good: second factors have no clear column, and a rotation of their own (accounts/factors)."""
STATEMENTS = {table.name: _statements(table) for table in TABLES}


async def waiting(tx: Transaction, table: Table) -> int:
    """How many rows hold something in the clear, or sealed with another key than the newest."""
    head = tx.keys().head
    count: int = await tx.fetchval(STATEMENTS[table.name]["count"], head, len(head))
    return count


async def in_clear(tx: Transaction) -> int:
    """How many rows hold something in the clear."""
    return sum([await tx.fetchval(STATEMENTS[table.name]["clear"]) for table in TABLES])


async def seal_rows(tx: Transaction, table: Table, after: int, limit: int) -> tuple[int, int | None]:
    """Seal up to ``limit`` rows above id ``after`` with the newest key; how many, and the last id, None at the end.

    Rows that are changed just now are passed over. Done again, it finds only what is left.

    Raises:
        CannotOpenError: a value is sealed with a key that is not there; nothing of the batch is written.
    """
    head = tx.keys().head
    rows = await tx.fetch(STATEMENTS[table.name]["rows"], after, head, len(head), limit)
    if not rows:
        return 0, None
    done = await tx.execute(STATEMENTS[table.name]["write"], [_anew(tx, table, row) for row in rows])
    return int(done.rsplit(" ", 1)[1]), rows[-1][table.key]


async def used(tx: Transaction) -> Mapping[str, int]:
    """How many values each key has sealed, by the key's id. Reads every row."""
    found: dict[str, int] = {}
    for statement in (*(STATEMENTS[table.name]["used"] for table in TABLES), ELSEWHERE):
        for row in await tx.fetch(statement):
            found[row["key"]] = found.get(row["key"], 0) + row["n"]
    return found


def _anew(tx: Transaction, table: Table, row: Record) -> dict[str, Any]:
    """What was read of a row, and its values sealed with the newest key."""
    row_id = row[table.key]
    plain = opened(tx, table, row)
    # Nothing in the clear and nothing sealed: nobody's, or erased.
    values = [plain[column] if row[f"{column}_sealed"] or row[column] else None for column in table.columns]
    new = dict(zip(table.columns, seal(tx, table, row_id, *values), strict=True))
    found: dict[str, Any] = {"row_id": row_id}
    for column in table.columns:
        found |= {column: row[column], f"{column}_sealed": row[f"{column}_sealed"], f"{column}_new": new[column]}
    return found
