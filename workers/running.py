"""arq's worker, made to outlive Redis: arq's own ends with the first call that fails, and to start takes seconds."""

import asyncio

import structlog
from arq import Worker
from redis.exceptions import RedisError

AWAY_SECONDS = 0.5
"""Between two looks whether Redis is back."""
AWAY = (RedisError, OSError)

log = structlog.get_logger()


class LastingWorker(Worker):
    """Waits while Redis is away, and goes on."""

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
            await super()._poll_iteration()
        except AWAY as error:
            await _wait(error)


async def _wait(error: Exception) -> None:
    log.warning("worker waits for Redis", reason=str(error))
    await asyncio.sleep(AWAY_SECONDS)
