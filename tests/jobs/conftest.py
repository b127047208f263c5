"""The real worker, on the module's database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from infra.settings import Settings
from tests.conftest import Clone, open_database
from tests.factories import World
from tests.jobs.place import Place
from workers.main import make_worker


@pytest.fixture(scope="module")
async def worker(settings: Settings) -> AsyncIterator[None]:
    """One worker for a module's tests, in this process; elsewhere tests rank by themselves."""
    running = make_worker(settings, handle_signals=False)
    task = asyncio.create_task(running.async_run())
    yield
    with suppress(asyncio.CancelledError):  # of a job that was just running
        await running.close()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def place(clone: Clone) -> AsyncIterator[Place]:
    settings = await clone()
    database = open_database(settings, size=12)
    async with database.reading() as tx:
        world = await World.read(tx)
    yield Place(database, settings, world)
    await database.close()
