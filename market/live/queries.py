"""All SQL of what pages watch."""

from msgspec import Struct

from infra.db import Transaction, many

LATE = 1_000
"""So many ids back an event may still be on its way: its id was drawn before it was committed."""
NEWEST = "SELECT coalesce(max(id), 0) FROM events"
MOST = 5_000
# The newest where there are too many: whoever watches any of the others looks by the clock.
SINCE = f"""
SELECT v.id, v.need_id, n.region_code, m.institution_id
FROM events v JOIN needs n ON n.id = v.need_id LEFT JOIN matches m ON m.id = v.match_id
WHERE v.id > $1 ORDER BY v.id DESC LIMIT {MOST}
"""
STAMP = """
SELECT coalesce(max(id), 0) AS newest, count(*) AS latest
FROM events WHERE id > (SELECT max(id) FROM events) - $1::bigint
"""
COUNT = "SELECT count(*) FROM events WHERE id > $1 - $2::bigint AND id <= $1"
HAPPENED = "SELECT EXISTS (SELECT FROM events WHERE need_id = $1 AND id > $2)"


class Change(Struct, frozen=True):
    """Something happened to a need."""

    id: int
    need_id: int
    region_code: str
    institution_id: int | None


class Stamp(Struct, frozen=True):
    """What a page knew: the newest event, and how many of the LATE ids up to it were there to be seen."""

    newest: int
    latest: int

    def __str__(self) -> str:
        """For the address of the page's stream."""
        return f"{self.newest}.{self.latest}"


async def stamp(tx: Transaction) -> Stamp:
    """What a page may know that is read from here on."""
    newest, latest = await tx.fetchrow(STAMP, LATE)  # type: ignore[misc]  # always one row
    return Stamp(newest, latest)


async def newest(tx: Transaction) -> int:
    """The id of the newest event."""
    newest_id: int = await tx.fetchval(NEWEST)
    return newest_id


async def since(tx: Transaction, event_id: int) -> list[Change]:
    """Events with larger ids."""
    return many(Change, await tx.fetch(SINCE, event_id))


async def appeared(tx: Transaction, known: Stamp) -> bool:
    """Whether an event has appeared whose id is not after the newest that was known."""
    seen: int = await tx.fetchval(COUNT, known.newest, LATE)
    return seen != known.latest


async def happened(tx: Transaction, need_id: int, event_id: int) -> bool:
    """Whether anything happened to the need after that event."""
    happened: bool = await tx.fetchval(HAPPENED, need_id, event_id)
    return happened
