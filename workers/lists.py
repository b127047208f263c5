"""The job that lets lists take effect."""

from typing import Any

import structlog

from market.lists import service
from workers.context import Context

log = structlog.get_logger()


async def lists_take_effect(ctx: dict[str, Any]) -> None:
    """Put in force what was approved for today or earlier, and withdraw what has run out."""
    context: Context = ctx["context"]
    async with context.db.transaction() as tx:
        if changes := await service.take_effect(tx, service.today()):
            log.info("lists took effect", changes=changes)
