"""All SQL of what pages watch."""

from msgspec import Struct

from infra.db import Transaction, many

NEWEST = "SELECT coalesce(max(id), 0) FROM events"
# The newest where there are too many: whoever watches any of the others looks by the clock.
SINCE = """
SELECT v.id, v.need_id, n.region_code, m.institution_id
FROM events v JOIN needs n ON n.id = v.need_id LEFT JOIN matches m ON m.id = v.match_id
WHERE v.id > $1 ORDER BY v.id DESC LIMIT 5000
"""
HAPPENED = "SELECT EXISTS (SELECT FROM events WHERE need_id = $1 AND id > $2)"


class Change(Struct, frozen=True):
    """Something happened to a need."""

    id: int
    need_id: int
    region_code: str
    institution_id: int | None


async def newest(tx: Transaction) -> int:
    """The id of the newest event."""
    newest_id: int = await tx.fetchval(NEWEST)
    return newest_id


async def since(tx: Transaction, event_id: int) -> list[Change]:
    """Events with larger ids."""
    return many(Change, await tx.fetch(SINCE, event_id))


async def happened(tx: Transaction, need_id: int, event_id: int) -> bool:
    """Whether anything happened to the need after that event."""
    happened: bool = await tx.fetchval(HAPPENED, need_id, event_id)
    return happened
