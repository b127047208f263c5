"""The real worker, on the session's database."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from infra.settings import Settings
from workers.main import make_worker


@pytest.fixture(scope="session")
async def worker(settings: Settings) -> AsyncIterator[None]:
    """One worker for the session, in this process."""
    running = make_worker(settings, handle_signals=False)
    task = asyncio.create_task(running.async_run())
    yield
    await running.close()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
