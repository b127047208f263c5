"""The relay: takes rows from the outbox in PostgreSQL and hands them to arq.

Woken by NOTIFY, and by a clock in case one was missed. A row is leased for some seconds; if its job has not deleted it
by then, it is sent again as another job, because arq would hold back a job id it believes to be in progress.
"""

import asyncio
import uuid
from contextlib import suppress
from typing import Any

import structlog
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix
from redis.exceptions import RedisError

from infra import outbox
from infra.db import Connection, Database, DatabaseUnavailable
from infra.settings import Settings

JOB = "run_outbox_row"
JOBS_AHEAD = 2
"""Rows leased at once, in jobs a worker runs at once. The outbox is the queue: what arq holds has a lease running."""
POLL_SECONDS = 1.0
ERROR_SECONDS = 0.5

log = structlog.get_logger()


class Relay:
    """Leases and sends until it is cancelled."""

    def __init__(self, settings: Settings, database: Database, arq: ArqRedis) -> None:
        self._settings = settings
        self._db = database
        self._arq = arq
        self._name = uuid.uuid4().hex
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled, through outages of PostgreSQL and Redis."""
        listening: Connection | None = None
        try:
            while True:
                try:
                    if listening is None or listening.is_closed():
                        listening = await self._db.listen(outbox.CHANNEL, self.wake)
                    self._wake.clear()
                    await self._arq.ping()  # what is leased while Redis is away is sent to nobody
                    if not await self._send_batch() and not await self._take_back():
                        # Not wait_for: on Python 3.11 it loses a cancellation that comes together with the wake-up.
                        with suppress(TimeoutError):
                            async with asyncio.timeout(POLL_SECONDS):
                                await self._wake.wait()
                except (DatabaseUnavailable, RedisError, OSError) as error:
                    log.warning("relay waits", reason=str(error))
                    await asyncio.sleep(ERROR_SECONDS)
                except Exception:  # whatever it is: without the relay nothing is matched any more
                    log.exception("relay failed")
                    await asyncio.sleep(ERROR_SECONDS)
        finally:
            if listening is not None:
                listening.terminate()

    def wake(self, *_: Any) -> None:
        """There is something to send, or room to send it: a row was added, or a job has ended."""
        self._wake.set()

    async def _send_batch(self) -> int:
        """How many rows were sent."""
        limits = self._settings
        async with self._db.transaction() as tx:
            rows = await outbox.lease(
                tx,
                holder=self._name,
                limit=JOBS_AHEAD * limits.job_concurrency,
                seconds=limits.outbox_lease_seconds,
                attempts=limits.outbox_attempts,
            )
            parked = await outbox.park(tx, attempts=limits.outbox_attempts)
        for row in parked:
            log.error("outbox row parked", outbox_id=row.id, topic=row.topic, request_id=row.request_id)
        # Sent after the commit: a job must find its lease. If this process dies here, the lease runs out and the row is
        # leased again.
        try:
            for row in rows:
                if row.attempt > 1:
                    await self._forget(self._job_id(row.id, row.attempt - 1))
                await self._arq.enqueue_job(JOB, row, _job_id=self._job_id(row.id, row.attempt))
        except RedisError:
            async with self._db.transaction() as tx:
                await outbox.give_back(tx, [row.id for row in rows], self._name)
            raise
        return len(rows)

    async def _take_back(self) -> int:
        """Leases whose jobs Redis has lost: it was emptied, or killed within a second of hearing of them.

        How many. They would run out by themselves, but until then take the places of others.
        """
        async with self._db.reading() as tx:
            held = await outbox.held(tx, self._name)
        if not held:
            return 0
        async with self._arq.pipeline(transaction=False) as pipe:
            for row_id, attempt in held:
                pipe.exists(job_key_prefix + self._job_id(row_id, attempt))
            there = await pipe.execute()
        lost = [row_id for (row_id, _), known in zip(held, there, strict=True) if not known]
        if lost:
            log.warning("jobs lost by Redis", count=len(lost))
            async with self._db.transaction() as tx:
                await outbox.give_back(tx, lost, self._name)
        return len(lost)

    def _job_id(self, row_id: int, attempt: int) -> str:
        # arq keeps its locks by job id alone, whatever the queue: the queue's name tells databases apart.
        return f"{self._arq.default_queue_name}:{row_id}:{attempt}"

    async def _forget(self, job_id: str) -> None:
        """Take a job off the queue whose lease has run out.

        A worker that was killed leaves its jobs at the head of the queue, locked for an hour, the longest that any job
        may take. arq reads a hundred from the head: ten such ends, and nothing would be done any more.
        """
        async with self._arq.pipeline(transaction=True) as pipe:
            pipe.zrem(self._arq.default_queue_name, job_id)
            pipe.delete(job_key_prefix + job_id, in_progress_key_prefix + job_id)
            await pipe.execute()
