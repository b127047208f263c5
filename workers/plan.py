"""Making plans."""

import asyncio

import structlog

from infra import outbox
from market.plans import planning, service
from matching.errors import MatchingError
from workers.context import Context

log = structlog.get_logger()


async def make_plan(context: Context, row: outbox.Row, plan_id: int) -> None:
    """Make the plan, once: the outbox row goes in the same transaction. Solving holds no lock and no transaction."""
    async with context.db.transaction() as tx:
        job = await planning.read(tx, plan_id)
        if job is None:
            await outbox.done(tx, row.id, row.attempt)
    if job is None:
        log.info("plan does not wait to be made", plan_id=plan_id)
        return
    try:
        content = await asyncio.to_thread(planning.compute, job)
    except MatchingError:
        log.exception("plan cannot be made", plan_id=plan_id)
        async with context.db.transaction() as tx:
            await outbox.done(tx, row.id, row.attempt)
            await service.give_up(tx, plan_id)
        return
    async with context.db.transaction() as tx:
        await outbox.done(tx, row.id, row.attempt)
        stored = await planning.store(tx, job, content)
    log.info("plan made", plan_id=plan_id, stored=stored, pairs=len(content.pairs), left_over=len(content.left_over))
