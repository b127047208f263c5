"""arq's worker, made to outlive Redis: arq's own ends with the first call that fails, and to start takes seconds."""

import asyncio
import time

import structlog
from arq import Worker
from redis.exceptions import RedisError

AWAY_SECONDS = 0.5
"""Between two looks whether Redis is back."""
AWAY = (RedisError, OSError)
BACK_SECONDS, FORWARD_SECONDS = 5.0, 120.0
"""A clock that goes back or forward by more was put there. Less is waited for, or caught up with."""

log = structlog.get_logger()


class LastingWorker(Worker):
    """Waits while Redis is away, and goes on; also where the clock is put back or forward. arq plans by it, and would
    do nothing until it is as late again, or everything as often as was missed."""

    _ahead = time.time() - time.monotonic()

    async def main(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.pool.ping()
                break
            except AWAY as error:
                await _wait(error)
        await super().main()

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """One by one: arq gives the place of a job it could not start to nobody."""
        for job_id in job_ids:
            try:
                await super().start_jobs([job_id])
            except AWAY:
                self._release_sem_dec_counter_on_complete()
                raise

    async def _poll_iteration(self) -> None:
        try:
            ahead = time.time() - time.monotonic()
            if not -BACK_SECONDS < ahead - self._ahead < FORWARD_SECONDS:
                await self._plan_anew(ahead - self._ahead)
            self._ahead = ahead
            await super()._poll_iteration()
        except AWAY as error:
            await _wait(error)

    async def _plan_anew(self, seconds: float) -> None:
        """Jobs of the clock go on from now, as after an outage; those of the queue are not for some moment to come."""
        log.warning("clock was put forward or back", seconds=round(seconds))
        for job in self.cron_jobs:
            job.next_run = None
        queued = await self.pool.zrange(self.queue_name, 0, -1)
        if queued:
            await self.pool.zadd(self.queue_name, dict.fromkeys(queued, round(time.time() * 1000)), xx=True)


async def _wait(error: Exception) -> None:
    log.warning("worker waits for Redis", reason=str(error))
    await asyncio.sleep(AWAY_SECONDS)
