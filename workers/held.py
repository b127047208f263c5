"""The job that sends what a coordinator has decided, once it cannot be taken back any more."""

import structlog

from infra import outbox
from market.calendars import service as calendars
from market.queue import holding
from workers.context import Context

log = structlog.get_logger()


async def send_held(context: Context, row: outbox.Row, held_id: int) -> None:
    """Make the decision, once: the outbox row goes in the same transaction."""
    async with context.db.transaction() as tx:
        await outbox.done(tx, row.id, row.attempt)
        held = await holding.send(tx, held_id, await calendars.deadlines(tx))
    if held is None:
        log.info("decision was taken back", held_id=held_id)
    else:
        log.info("decision sent", need_id=held.need_id, failed=held.failed)
