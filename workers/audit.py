"""Jobs of the audit trail: chain what was written, forget what is old enough."""

from typing import Any

import structlog

from market.audit import queries, service
from workers.context import Context

log = structlog.get_logger()


async def chain_audit(ctx: dict[str, Any]) -> None:
    """Chain entries until none are left. The log keeps the seals, outside of the database."""
    context: Context = ctx["context"]
    while True:
        async with context.db.transaction() as tx:
            seal = await service.seal(tx)
        if seal is None:
            return
        log.info("audit sealed", anchor=seal.anchor)


async def forget_audit(ctx: dict[str, Any]) -> None:
    """Drop entries older than the settings say; what stays can still be verified."""
    context: Context = ctx["context"]
    async with context.db.transaction() as tx:
        log.info("audit entries forgotten", count=await queries.forget(tx, context.settings.audit_days))
