"""Ranking needs."""

import asyncio
from typing import Any

import structlog

from infra import outbox
from market.matches import ranking
from workers.context import Context

log = structlog.get_logger()


async def match_need(context: Context, row: outbox.Row, need_id: int) -> None:
    """Rank the need and propose the best offering, once: the outbox row goes in the same transaction.

    The ranking itself holds no lock and no transaction. A need that moved on meanwhile is left alone.
    """
    async with context.db.transaction() as tx:
        job = await ranking.read(tx, context.catalogue, need_id)
    if job is None:
        async with context.db.transaction() as tx:
            await outbox.done(tx, row.id, row.attempt)
        log.info("need does not wait for a ranking", need_id=need_id)
        return
    limits = context.settings
    outcome = await asyncio.to_thread(ranking.compute, job, top=limits.shortlist_size, gap=limits.explore_gap)
    async with context.db.transaction() as tx:
        await outbox.done(tx, row.id, row.attempt)
        stored = await ranking.store(tx, job, outcome, prices_hours=limits.prices_hours)
    log.info("need ranked", need_id=need_id, stored=stored, **_figures(outcome))


def _figures(outcome: ranking.Outcome) -> dict[str, Any]:
    found = outcome.ranking
    return {"considered": found.considered, "ranked": len(found.ranked), "model": found.model_version}
