"""Kill -9 of the worker between submission and match: every need is matched after the restart, and once."""

import asyncio
import os
import signal
import sys
from random import Random

import pytest

from infra.db import Database
from infra.settings import Settings
from market.calendars import service as calendars
from market.needs import service
from market.needs.model import Submission
from tests.conftest import Clone, open_database
from tests.factories import World

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

NEEDS, KILLS, LEASE_SECONDS = 100, 3, 2
TEXTS = ("想申请发明专利", "商标注册怎么办理", "专利被侵权了怎么维权", "知识产权政策咨询")

WAITING = "SELECT count(*) FROM needs WHERE state = 'submitted'"
FACTS = """
SELECT (SELECT count(*) FROM outbox WHERE topic NOT IN ('index', 'tell')) AS outbox,
       (SELECT count(*) FROM needs) AS needs,
       (SELECT count(*) FROM matches WHERE state = 'proposed') AS proposed,
       (SELECT count(*) FROM needs WHERE state = 'proposed') AS waiting_for_approval,
       (SELECT count(*) FROM ranking_runs) AS runs,
       (SELECT count(*) FROM events WHERE action = 'propose' AND machine = 'need') AS proposals
"""


async def start_worker(settings: Settings) -> asyncio.subprocess.Process:
    env = dict(os.environ) | {
        "ZHIPEI_DATA_KEY": str(settings.data_key),
        "ZHIPEI_DATABASE_URL": str(settings.database_url),
        "ZHIPEI_REDIS_URL": str(settings.redis_url),
        "ZHIPEI_OUTBOX_LEASE_SECONDS": str(LEASE_SECONDS),
        "ZHIPEI_OUTBOX_ATTEMPTS": "50",
        "ZHIPEI_LOG_LEVEL": "ERROR",
    }
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "workers.main", env=env)


async def submit_all(database: Database, settings: Settings, world: World) -> None:
    for number in range(NEEDS):
        async with database.transaction() as tx:
            deadlines = await calendars.deadlines(tx)
            submission = Submission(body=f"{TEXTS[number % len(TEXTS)]}（第 {number} 件）")
            await service.submit(tx, world.actors["enterprise"], submission, deadlines)


async def waiting(database: Database) -> int:
    async with database.reading() as tx:
        return int(await tx.fetchval(WAITING))


async def test_every_need_is_matched_once(clone: Clone) -> None:
    settings, rng = await clone(), Random(7)
    database = open_database(settings)
    async with database.reading() as tx:
        world = await World.read(tx)
    await submit_all(database, settings, world)
    assert await waiting(database) == NEEDS

    for kill in range(KILLS):
        worker = await start_worker(settings)
        left = await waiting(database)
        for _ in range(400):  # until it is in the middle of its work
            if await waiting(database) < left - rng.randrange(1, 5) or left == 0:
                break
            await asyncio.sleep(0.01)
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
        if kill == 0:
            assert await waiting(database) > 0, "the first kill comes between submission and match"

    worker = await start_worker(settings)
    try:
        for _ in range(600):
            if await waiting(database) == 0:
                break
            await asyncio.sleep(0.05)
    finally:
        worker.terminate()
        await worker.wait()
    async with database.reading() as tx:
        facts = dict(await tx.fetchrow(FACTS) or {})
    await database.close()
    assert facts == {
        "outbox": 0,
        "needs": NEEDS,
        "proposed": NEEDS,
        "waiting_for_approval": NEEDS,
        "runs": NEEDS,
        "proposals": NEEDS,
    }
