"""Jobs of personal data: seal what lies in the clear, erase what was asked for, and what has had its time."""

from typing import Any

import structlog

from infra import fields
from infra.cipher import CannotOpenError
from infra.db import Database
from market.personal import queries, service
from workers.context import Context

SECONDS = 3600

log = structlog.get_logger()


async def seal_clear(ctx: dict[str, Any]) -> None:
    """Seal what an older release has left in the clear, or wrote beside this one; not with a key that is not theirs."""
    context: Context = ctx["context"]
    async with context.db.reading() as tx:
        foreign = await queries.foreign_keys(tx)
    if foreign:
        log.error("keys are missing: see zhipei doctor", keys=foreign)
        return
    for table in fields.TABLES:
        try:
            count = await service.seal_all(context.db, table)
        except CannotOpenError:  # told by the log already
            continue
        if count:
            log.info("sealed", table=table.name, count=count)


async def erase_asked(ctx: dict[str, Any]) -> None:
    """Erase those who asked, as soon as nothing of theirs is open."""
    context: Context = ctx["context"]
    if count := await service.erase_waiting(context.db):
        log.info("erased on request", count=count)


async def forget_contacts(ctx: dict[str, Any]) -> None:
    """Erase the contacts of needs that ended long ago, and of parties that have no others."""
    context: Context = ctx["context"]
    needs, parties = await forget_all(context.db, context.settings.contact_days)
    if needs or parties:
        log.info("contacts forgotten", needs=needs, parties=parties)


async def forget_all(database: Database, days: int, batch: int = service.BATCH) -> tuple[int, int]:
    """How many needs and parties were forgotten, a transaction a batch."""
    needs = 0
    while True:
        async with database.transaction() as tx:
            done = await service.forget_contacts(tx, days, batch)
        needs += done
        if not done:
            break
    async with database.transaction() as tx:
        return needs, await queries.forget_parties(tx, days)
