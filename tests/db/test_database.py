"""Connections: who waits for one, and who is to stop."""

import asyncio

import pytest

from infra.db import Database, DatabaseUnavailable
from infra.settings import Settings
from tests.conftest import open_database

pytestmark = pytest.mark.anyio


async def test_a_cancellation_is_never_lost_whenever_it_comes(settings: Settings) -> None:
    """A teller or postman whose cancellation got lost went on for good, and its worker never ended."""
    database = open_database(settings, size=1)
    async with database.reading():
        pass  # so that there is a free connection, and taking it never leaves the loop

    async def work() -> None:
        while True:
            async with database.reading():
                await asyncio.sleep(0)

    try:
        for turns in range(40):
            task = asyncio.create_task(work())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            _done, going_on = await asyncio.wait({task}, timeout=2)
            for one in going_on:
                one.cancel()
            assert not going_on, f"cancelled after {turns} turns of the loop, it goes on"
    finally:
        await database.close()


async def test_a_slot_is_not_lost_with_whoever_waited_for_it(settings: Settings) -> None:
    database = Database(
        settings.database_url or "", size=1, wait=1, statement_timeout_ms=1000, lock_timeout_ms=1000, name="test"
    )

    async def take() -> None:
        async with database.reading():
            await asyncio.sleep(0)

    try:
        for turns in range(6):
            async with database.reading():
                with pytest.raises(DatabaseUnavailable, match="came free"):
                    await take()
                waiting = asyncio.create_task(take())
                await asyncio.sleep(0.01)
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await take()
    finally:
        await database.close()
