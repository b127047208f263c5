"""Kill -9 of the worker amid a thousand changes, over and over: afterwards index and database agree."""

import asyncio
import os
import signal
import sys
from random import Random

import pytest

from infra import outbox
from infra.db import Database
from infra.settings import Settings
from market.discovery import indexing
from market.discovery.engines import open_engine
from search.engine import IndexName
from tests.conftest import Clone, open_database

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

CHANGES, KILLS, SECONDS = 1_000, 4, 60
CHANGE = """
UPDATE offerings SET state = CASE state WHEN 'published' THEN 'paused' ELSE 'published' END WHERE id = $1
"""
PUBLISHED = "SELECT id FROM offerings WHERE state = 'published' ORDER BY id"
WAITING = "SELECT count(*) FROM outbox WHERE topic = $1"


async def start_worker(settings: Settings) -> asyncio.subprocess.Process:
    env = dict(os.environ) | {
        "ZHIPEI_DATA_DIR": str(settings.data_dir),
        "ZHIPEI_DATABASE_URL": str(settings.database_url),
        "ZHIPEI_REDIS_URL": str(settings.redis_url),
        "ZHIPEI_LOG_LEVEL": "ERROR",
    }
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "workers.main", env=env)


async def waiting(database: Database) -> int:
    async with database.reading() as tx:
        return int(await tx.fetchval(WAITING, outbox.INDEX))


async def change(database: Database, ids: list[int], rng: Random) -> None:
    for _ in range(CHANGES // KILLS):
        async with database.transaction() as tx:
            await tx.execute(CHANGE, rng.choice(ids))


async def until_settled(database: Database) -> None:
    """Until the index has every change."""
    async with asyncio.timeout(SECONDS):
        while await waiting(database):
            await asyncio.sleep(0.01)


async def test_index_and_database_agree_after_kills(clone: Clone) -> None:
    settings, rng = await clone(), Random(11)
    database = open_database(settings)
    async with database.reading() as tx:
        ids = [row["id"] for row in await tx.fetch(PUBLISHED)]
    amid = 0
    for _ in range(KILLS):
        worker = await start_worker(settings)
        await until_settled(database)
        changing = asyncio.create_task(change(database, ids, rng))
        await asyncio.sleep(rng.random() * 0.3)
        worker.send_signal(signal.SIGKILL)
        assert await worker.wait() == -signal.SIGKILL
        amid += not changing.done()
        await changing
        assert await waiting(database) > 0
    assert amid >= KILLS - 1, f"{amid} kills came amid the changes"

    worker, engine = await start_worker(settings), open_engine(settings)
    try:
        await until_settled(database)
        differences = [await indexing.difference(database, engine, index) for index in IndexName]
        assert all(one.empty for one in differences), differences
        assert (await engine.stats(IndexName.OFFERINGS)).documents > 0
    finally:
        worker.terminate()
        await worker.wait()
        await engine.aclose()
        await database.close()
