"""Making plans."""

import asyncio

import structlog

from infra import outbox
from market.i18n import speaking
from market.plans import planning, service, solving
from market.plans.planning import Cancelled
from matching.errors import MatchingError
from matching.types import Lang
from workers.context import Context

log = structlog.get_logger()


async def make_plan(context: Context, row: outbox.Row, plan_id: int, language: Lang = "zh") -> None:
    """Make the plan, once: the outbox row goes in the same transaction. Solving holds no lock and no transaction.

    Its reasons are kept in words: those of whoever asked for it.
    """
    job = await planning.gather(context.db, plan_id)
    solved = None
    if job is not None:
        teller = planning.Teller(context.db, plan_id, asyncio.get_running_loop())
        try:
            with speaking(language):
                solved = await asyncio.to_thread(solving.compute, job, teller)
        except Cancelled:
            log.info("plan cancelled", plan_id=plan_id)
        except MatchingError:
            log.exception("plan cannot be made", plan_id=plan_id)
    async with context.db.transaction() as tx:
        await outbox.done(tx, row.id, row.attempt)
        if job is None or solved is None:
            await service.give_up(tx, plan_id)
            return
        stored = await planning.store(tx, job, solved)
    content = solved.content
    log.info("plan made", plan_id=plan_id, stored=stored, pairs=len(content.pairs), left_over=len(content.left_over))
