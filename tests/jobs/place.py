"""Where messages are told: a database of a test's own, and who is there."""

from typing import Any

from msgspec import Struct

from infra.db import Database
from infra.settings import Settings
from market.calendars import service as calendars
from market.matches import queries as match_queries
from tests.factories import World
from workers import notify

TOLD_SINCE = """
SELECT a.login, m.kind FROM messages m JOIN accounts a ON a.id = m.account_id WHERE m.id > $1 ORDER BY m.id
"""


class Place(Struct, frozen=True, eq=False):
    """A database of a test's own, and who is there."""

    db: Database
    settings: Settings
    world: World

    async def told(self) -> list[tuple[str, str]]:
        """Tell what has happened; who was told of what by that."""
        async with self.db.reading() as tx:
            last = await tx.fetchval("SELECT coalesce(max(id), 0) FROM messages")
        while await notify.tell_batch(self.db, mails=True):
            pass
        async with self.db.reading() as tx:
            return sorted((row["login"], row["kind"]) for row in await tx.fetch(TOLD_SINCE, last))

    async def do(self, act: Any, login: str, *given: Any) -> Any:
        """One use case in a transaction of its own, with the calendar as its last argument where it takes one."""
        async with self.db.transaction() as tx:
            due = [await calendars.deadlines(tx)] if "deadlines" in act.__annotations__ else []
            return await act(tx, self.world.actors[login], *given, *due)

    async def match_of(self, need_id: int) -> int:
        """The need's last match."""
        async with self.db.reading() as tx:
            match = await match_queries.latest(tx, need_id)
        assert match is not None
        return match.id

    async def count(self, sql: str, *given: Any) -> int:
        """One number."""
        async with self.db.reading() as tx:
            return int(await tx.fetchval(sql, *given))
