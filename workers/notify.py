"""Telling people: events become messages, deliveries leave the house. Beside the jobs, so that none waits for it."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import structlog

from infra import outbox
from infra.db import Database, DatabaseUnavailable
from infra.settings import Settings
from market.calendars import service as calendars
from market.messages import delivering, delivery_queries, queries, service
from market.messages.model import Channel, Delivery
from workers.context import Context

BATCH = 200
"""Events told by one transaction."""
ATTEMPTS = 5
"""After so many an event that cannot be told by itself is parked for a person to look at."""
POLL_SECONDS = 0.5
ERROR_SECONDS = 1.0
AT_ONCE = {Channel.MAIL: 4, Channel.WEBHOOK: 8}
"""Deliveries under way at once in one worker: a slow receiver holds up its own channel, and that only in part."""
FORGET_BATCH = 5_000

log = structlog.get_logger()


class Teller:
    """Tells until it is cancelled. Several workers share the work: each takes rows that no other holds."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._db = database
        self._mails = settings.smtp_url is not None

    async def run(self) -> None:
        """Through outages of PostgreSQL."""
        while True:
            try:
                if not await tell_batch(self._db, mails=self._mails):
                    await asyncio.sleep(POLL_SECONDS)
            except (DatabaseUnavailable, OSError) as error:
                log.warning("teller waits", reason=str(error))
                await asyncio.sleep(ERROR_SECONDS)
            except Exception:  # whatever it is: without the teller nobody hears of anything
                log.exception("teller failed")
                await asyncio.sleep(ERROR_SECONDS)


async def tell_batch(database: Database, *, mails: bool, limit: int = BATCH) -> int:
    """Tell the oldest events; how many there were.

    The rows go with the messages' coming: a crash in between leaves both as they were.
    """
    try:
        async with database.transaction() as tx:
            rows = await outbox.take(tx, limit)
            if rows:
                await service.tell(tx, rows, mails=mails)
            return len(rows)
    except (DatabaseUnavailable, OSError):
        raise
    except Exception:
        log.exception("events not told together, trying them one by one")
        return await _tell_singly(database, mails=mails, limit=limit)


async def _tell_singly(database: Database, *, mails: bool, limit: int) -> int:
    async with database.reading() as reading:
        waiting = await outbox.waiting(reading, limit)
    for row_id in waiting:
        try:
            async with database.transaction() as tx:
                await service.tell(tx, await outbox.take(tx, 1, row_id), mails=mails)
        except (DatabaseUnavailable, OSError):
            raise
        except Exception as error:
            log.exception("event not told", outbox_id=row_id)
            async with database.transaction() as tx:
                await outbox.refuse(tx, row_id, type(error).__name__, attempts=ATTEMPTS)
    return len(waiting)


class Postman:
    """Carries one channel's deliveries until it is cancelled, so many at once."""

    def __init__(self, settings: Settings, database: Database, channel: Channel) -> None:
        self._settings = settings
        self._db = database
        self._channel = channel
        self._under_way: set[asyncio.Task[None]] = set()
        self._rest = 0.0

    async def run(self) -> None:
        """Through outages of PostgreSQL and of receivers."""
        try:
            while True:
                try:
                    await self._round()
                except (DatabaseUnavailable, OSError) as error:
                    log.warning("postman waits", channel=self._channel, reason=str(error))
                    await asyncio.sleep(ERROR_SECONDS)
                except Exception:
                    log.exception("postman failed", channel=self._channel)
                    await asyncio.sleep(ERROR_SECONDS)
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _round(self) -> None:
        """Fill the free hands, then wait until one is free again or something may have come."""
        rest, self._rest = self._rest, 0.0
        if rest:
            await asyncio.sleep(rest)
        free = AT_ONCE[self._channel] - len(self._under_way)
        async with self._db.transaction() as tx:
            leased = await delivery_queries.lease(tx, self._channel, free, delivering.LEASE_SECONDS)
        for delivery in leased:
            task = asyncio.create_task(self._carry(delivery))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        if self._under_way:
            # whoever comes back first is sent again; new letters wait no longer than this either
            await asyncio.wait(self._under_way, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(POLL_SECONDS)

    async def _carry(self, delivery: Delivery) -> None:
        try:
            outcome = await delivering.carry(self._db, self._settings, delivery)
        except Exception:  # of the database: the lease runs out, and it is sent again
            log.exception("delivery not noted", delivery_id=delivery.id)
            return
        if outcome.error:
            log.warning("not delivered", delivery_id=delivery.id, channel=self._channel, error=outcome.error)
        if outcome.away:
            self._rest = delivering.AWAY_SECONDS


async def make_digests(ctx: dict[str, Any]) -> None:
    """Gather what waits for today's digests, from half past eight on working days; later where the worker was away."""
    context: Context = ctx["context"]
    async with context.db.transaction() as tx:
        made = await service.make_digests(tx, await calendars.deadlines(tx), datetime.now(UTC))
    if made:
        log.info("digests made", count=made)


async def forget_messages(ctx: dict[str, Any]) -> None:
    """Delete what was read long ago."""
    context: Context = ctx["context"]
    gone = 0
    while True:
        async with context.db.transaction() as tx:
            batch = await queries.forget(tx, context.settings.messages_days, FORGET_BATCH)
        gone += batch
        if batch < FORGET_BATCH:
            break
    log.info("messages forgotten", count=gone)
