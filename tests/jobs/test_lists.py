"""Lists take effect by themselves."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import anyio
import pytest

from market.catalogue import service as items
from market.lists import service
from tests.conftest import Clone, open_database
from tests.db.test_lists import publish, revision_of
from tests.factories import AID, World
from workers.main import make_worker

pytestmark = [pytest.mark.anyio, pytest.mark.commits]


async def test_a_worker_that_starts_late_puts_in_force_what_was_due(clone: Clone) -> None:
    settings = await clone()
    database = open_database(settings)
    async with database.transaction() as tx:
        world = await World.read(tx)
        day = service.today() + timedelta(days=1)
        revision_id = await revision_of(tx, world.actors["admin"], AID, fee="新收费", effective_from=day)
        await publish(tx, revision_id, world.actors["admin"], world.actors["admin2"])
        await tx.execute("UPDATE item_revisions SET effective_from = $1", day - timedelta(days=3))
    worker = make_worker(settings, handle_signals=False)
    running = asyncio.create_task(worker.async_run())
    try:
        with anyio.fail_after(20):
            while True:
                async with database.reading() as tx:
                    item = await items.find(tx, AID)
                if item.version == 2:
                    break
                await asyncio.sleep(0.05)
    finally:
        with suppress(asyncio.CancelledError):  # of a job that was just running
            await worker.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert (item.fee, item.effective_from) == ("新收费", day - timedelta(days=3))
    await database.close()
