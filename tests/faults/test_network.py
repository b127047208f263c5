"""A slow line, a line that is cut in the middle of answers, and a dead one, between us and PostgreSQL and Redis."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from infra import embedded, housing
from infra.settings import Settings, load
from tests.conftest import DATA_KEY, open_database
from tests.faults.invariants import broken, disagreeing, settle
from tests.faults.load import Load
from tests.faults.proxy import Proxy
from tests.faults.site import Site
from tests.faults.test_killed import LONG, SEED, SETTINGS, count_ledger, furnish, until_back

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

STATEMENT_MS, LOCK_MS, WAIT_SECONDS = 3_000, 1_000, 2
"""Short, so that a dead line is known for one soon."""
PHASE_SECONDS = 30.0 if LONG else 2.0


@asynccontextmanager
async def line(rng: Random) -> AsyncIterator[tuple[Settings, Proxy, Proxy, Path]]:
    """Servers of our own, proxies before them, and the settings by which one goes through the proxies."""
    folder = Path(tempfile.mkdtemp(prefix="zhipei-line-"))
    folder.chmod(0o711)
    direct = load({}, data_dir=folder / "direct", data_key=DATA_KEY)
    try:
        async with AsyncExitStack() as stack:
            ready = await stack.enter_async_context(embedded.servers(direct, shared=True, say=lambda _: None))
            run = housing.sockets(direct.data_dir)
            postgres = await stack.enter_async_context(Proxy(folder / ".s.PGSQL.5432", run / ".s.PGSQL.5432", rng))
            redis = await stack.enter_async_context(Proxy(folder / "redis.sock", run / "redis.sock", rng))
            yield ready, postgres, redis, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Behind(Site):
    """Web server and worker by ``zhipei up``, which reach the servers through the proxies; commands go straight."""

    def __init__(self, folder: Path, ready: Settings, **more: str) -> None:
        through = {
            "ZHIPEI_DATABASE_URL": f"postgresql://{embedded.APPLICATION}@/{embedded.NAME}?host={folder}&port=5432",
            "ZHIPEI_MIGRATE_URL": str(ready.migrate_url),
            "ZHIPEI_REDIS_URL": f"unix://{folder}/redis.sock?db=0",
        }
        super().__init__(folder / "site", **more, **through)
        self.straight = {"ZHIPEI_DATABASE_URL": str(ready.database_url), "ZHIPEI_REDIS_URL": str(ready.redis_url)}


async def test_a_bad_line_loses_and_doubles_nothing() -> None:
    print(f"seed {SEED}")
    rng = Random(SEED)
    limits = SETTINGS | {
        "ZHIPEI_STATEMENT_TIMEOUT_MS": str(STATEMENT_MS),
        "ZHIPEI_LOCK_TIMEOUT_MS": str(LOCK_MS),
        "ZHIPEI_DB_WAIT_SECONDS": str(WAIT_SECONDS),
    }
    async with line(rng) as (ready, postgres, redis, folder):
        site = Behind(folder, ready, **limits)
        site.folder.mkdir()
        await asyncio.to_thread(site.start)
        try:
            world = await furnish(ready)
            own = [world.offerings[title] for title in ("专利申请辅导", "专利侵权维权援助", "知识产权法律政策咨询")]
            load_ = Load(f"http://127.0.0.1:{site.port}", world.token, own, SEED, pause=0.4)
            running = asyncio.create_task(load_.run())
            async with load_.caller("rival", rng) as caller:
                await until_back(caller, rng)
                for bad in (postgres, redis):
                    bad.delay = 0.02
                    await asyncio.sleep(PHASE_SECONDS)
                    bad.cuts = 0.01
                    await asyncio.sleep(PHASE_SECONDS)
                    bad.delay = bad.cuts = 0.0
                    bad.swallows = True
                    await asyncio.sleep(PHASE_SECONDS / 2)
                    bad.swallows = False
                    print("back", await until_back(caller, rng), "cut", bad.cut, dict(load_.retried), flush=True)
            load_.stopping.set()
            await running
            database = open_database(ready)
            await settle(database)
            await count_ledger(database)
            async with database.reading() as tx:
                found = await broken(tx, load_)
            await database.close()
            site.env |= site.straight
            found += await asyncio.to_thread(disagreeing, site)
            assert found == []
            assert postgres.cut > 0
            assert load_.retried["ReadTimeout"] == 0, "a call hung for longer than all our limits together"
        except BaseException:
            site.tell()
            raise
        finally:
            site.stop()
