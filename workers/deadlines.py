"""Keeping time: what is due is moved every minute, and after an outage all that became due meanwhile, in its order."""

from typing import Any

import structlog

from infra import outbox
from infra.db import Database
from market.calendars import service as calendars
from market.deadlines import service
from market.matches import service as matches
from market.messages import delivery_queries as deliveries
from market.supervision import service as supervision
from workers.context import Context

BATCH = 1_000
"""Deadlines moved by one transaction: a fraction of a second, in which nobody can decide on their needs."""
KEEPING_SECONDS = 300
"""After which one round is stopped, and the next goes on."""

log = structlog.get_logger()


async def keep_time(ctx: dict[str, Any]) -> None:
    """Count anew what an older calendar counted, then take every step that is due.

    Several workers may do so at once: each batch is locked by the transaction that moves it. Where this is stopped in
    the middle, the next minute goes on.
    """
    context: Context = ctx["context"]
    await mend_leases(context)
    recounted, postponed = await count_anew(context.db)
    moved = await move_all(context.db)
    supervised = await move_supervisions(context.db)
    if recounted or moved or supervised:
        log.info("deadlines kept", recounted=recounted, postponed=postponed, moved=moved, supervisions=supervised)


async def mend_leases(context: Context) -> None:
    """Once a clock was put back, what was leased before it would be left alone for as long."""
    async with context.db.transaction() as tx:
        mended = await outbox.mend(tx, context.settings.outbox_lease_seconds) + await deliveries.mend(tx)
    if mended:
        log.warning("leases of a clock that was put back ended", count=mended)


async def count_anew(database: Database, batch: int = BATCH) -> tuple[int, int]:
    """How many deadlines were counted on the calendars now in force, and how many of them are due later.

    Until none was found, not until a batch was short: others pass over what this one holds, so whoever commits last
    looks once more.
    """
    counted = moved = 0
    while True:
        async with database.transaction() as tx:
            # Not the calendars kept in memory: they may be older than what is counted anew because of them.
            done = await service.recount(tx, await calendars.deadlines(tx), batch)
        counted, moved = counted + done.counted, moved + done.moved
        if not done.counted:
            return counted, moved


async def move_all(database: Database, batch: int = BATCH) -> int:
    """How many steps were taken until none was due."""
    steps = 0
    while True:
        async with database.transaction() as tx:
            done = await service.move(tx, batch)
        steps += done.moved
        if not done.moved:
            return steps


async def move_supervisions(database: Database, batch: int = BATCH) -> int:
    """How many steps the clocks of supervisions took until none was due."""
    steps = 0
    while True:
        async with database.transaction() as tx:
            done = await supervision.tick(tx, await calendars.deadlines(tx), batch)
        steps += done
        if not done:
            return steps


async def lapse_match(context: Context, row: outbox.Row, match_id: int) -> None:
    """Take the match back from an institution that stayed silent, once: the outbox row goes in the same transaction."""
    async with context.db.transaction() as tx:
        await outbox.done(tx, row.id, row.attempt)
        taken_back = await matches.lapse(tx, match_id, await calendars.deadlines(tx))
    log.info("match not taken in time", match_id=match_id, taken_back=taken_back)
