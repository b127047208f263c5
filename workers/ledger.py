"""The ledger, every night: what happened is counted, what is due is closed, who is behind is flagged."""

from typing import Any

import structlog

from market.calendars import service as calendars
from market.ledger import recording
from market.supervision import service as supervision
from workers.context import Context

SECONDS = 1_800
"""After which a night's run is stopped; the next one counts what it would have."""

log = structlog.get_logger()


async def ledger_nightly(ctx: dict[str, Any]) -> None:
    """Bring the ledger up to date, in one transaction; then let exactly those flags be up that its figures raise."""
    context: Context = ctx["context"]
    async with context.db.transaction() as tx:
        done = await recording.bring_up_to_date(tx, await calendars.deadlines(tx))
        flags = await supervision.flag(tx, supervision.today())
    log.info("ledger recorded", event_id=done.event_id, cells=done.cells, closed=done.closed, flags=flags)
