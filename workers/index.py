"""Keeping the search indexes right: every night they are built anew, whatever increments may have missed."""

from typing import Any

from infra import outbox
from market.discovery import queries
from market.discovery.service import KEPT_DAYS
from search.engine import IndexName
from workers.context import Context


async def ask_for_rebuilds(ctx: dict[str, Any]) -> None:
    """Ask the one indexer, wherever it runs, for every index; drop searches nobody reads about any more."""
    context: Context = ctx["context"]
    async with context.db.transaction() as tx:
        for index in IndexName:
            await queries.ask_rebuild(tx, index, "nightly")
        await queries.forget_searches(tx, KEPT_DAYS)
        outbox.wake_relay(tx)
