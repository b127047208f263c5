"""The clock is put forward and back under everything that runs: nothing is done twice, and nothing waits for ever.

Servers, web and worker read a wall clock that the test sets (clock.c); needs a C compiler.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random

import httpx
import pytest
from msgspec import structs

from infra import embedded, housing
from infra.db import Database
from infra.settings import load
from infra.supervise import supervised
from tests.conftest import open_database
from tests.factories import PASSWORD
from tests.faults.invariants import settle
from tests.faults.load import Caller, Load
from tests.faults.site import Site
from tests.faults.test_killed import LONG, SEED, SETTINGS, furnish, until_back

COMPILER = shutil.which("cc")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.faults,
    pytest.mark.skipif(not LONG, reason="a minute long: make faults"),
    pytest.mark.skipif(COMPILER is None, reason="no C compiler to make a clock with"),
]

HOUR, DAY = 3_600, 86_400
FIRED = """
SELECT deadline_id, action, count(*) FROM events
WHERE machine = 'deadline' AND action NOT IN ('recount', 'pause', 'resume') GROUP BY 1, 2
"""
REMIND = """
UPDATE deadlines SET remind_at = now() - interval '1 minute'
WHERE id = (SELECT max(id) FROM deadlines WHERE ended_at IS NULL AND state = 'running')
RETURNING id
"""
DUE = "SELECT count(*) FROM deadlines WHERE ended_at IS NULL AND next_at <= now()"


class Clock:
    """What everything but this process takes for the time."""

    def __init__(self, folder: Path) -> None:
        self._file, library = folder / "clock", folder / "clock.so"
        source = Path(__file__).with_name("clock.c")
        subprocess.run([str(COMPILER), "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
        library.chmod(0o755)
        self._file.write_bytes(bytes(8))
        self._file.chmod(0o644)
        self.env = {"LD_PRELOAD": str(library), "ZHIPEI_TEST_CLOCK": str(self._file)}

    def step(self, seconds: int) -> None:
        """So much later than it is, or earlier."""
        with self._file.open("r+b") as file:
            file.write(seconds.to_bytes(8, "little", signed=True))


@asynccontextmanager
async def clocked(clock: Clock, folder: Path) -> AsyncIterator[Site]:
    """A site whose servers, web and worker go by the clock."""
    settings = load({}, data_dir=folder / "data")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(housing.hold(settings.data_dir, shared=True))
        programs = embedded.prepare(settings, lambda _: None)
        stepped = [structs.replace(one, env={**(one.env or {}), **clock.env}) for one in programs]
        await stack.enter_async_context(supervised(stepped, logs=settings.data_dir / "logs", say=lambda _: None))
        ready = embedded.with_urls(settings)
        more = SETTINGS | {"ZHIPEI_DATABASE_URL": str(ready.database_url), "ZHIPEI_MIGRATE_URL": str(ready.migrate_url)}
        more |= {"ZHIPEI_REDIS_URL": str(ready.redis_url)}
        site = Site(folder / "site", **more, **clock.env)
        site.folder.mkdir()
        await asyncio.to_thread(site.start)
        try:
            yield site
        except BaseException:
            site.tell()
            raise
        finally:
            site.stop()


async def fired(database: Database) -> dict[str, int]:
    async with database.reading() as tx:
        return {str(tuple(row)[:-1]): row["count"] for row in await tx.fetch(FIRED)}


async def until_kept(database: Database) -> None:
    """Until the worker has taken every step that is due."""
    async with asyncio.timeout(90):
        while True:
            async with database.reading() as tx:
                if not await tx.fetchval(DUE):
                    return
            await asyncio.sleep(0.2)


async def blocked_and_killed(site: Site, owner: Database, caller: Caller) -> int:
    """A need whose job was leased when its worker was killed."""
    async with owner.transaction() as tx:
        await tx.execute("LOCK TABLE ranking_runs IN ACCESS EXCLUSIVE MODE")
        asked = await caller.post("/needs/", {"body": "知识产权政策咨询"})
        async with asyncio.timeout(30):
            while not await tx.fetch("SELECT FROM outbox WHERE leased_until > now()"):
                await asyncio.sleep(0.05)
        pid = site.pid("worker")
        assert pid
        os.kill(pid, signal.SIGKILL)
    return int(asked.json()["id"])


async def until_ranked(caller: Caller, need_id: int) -> None:
    async with asyncio.timeout(100):
        while (await caller.get(f"/needs/{need_id}"))["state"] == "submitted":
            await asyncio.sleep(0.2)


async def log_in(client: httpx.AsyncClient, password: str = PASSWORD) -> int:
    await client.get("/login")
    form = {"login": "coordinator", "password": password, "_csrf_token": client.cookies["zhipei_csrf"]}
    return (await client.post("/login", data=form)).status_code


async def test_a_clock_that_jumps_does_nothing_twice_and_stops_nothing() -> None:
    folder = Path(tempfile.mkdtemp(prefix="zhipei-clock-"))
    folder.chmod(0o711)
    clock, rng = Clock(folder), Random(SEED)
    try:
        async with clocked(clock, folder) as site:
            world = await furnish(site.settings)
            owner, database = open_database(site.settings, owner=True), open_database(site.settings)
            async with owner.transaction() as tx:
                await tx.execute("UPDATE api_tokens SET expires_at = now() + interval '1 year'")
            load_ = Load(f"http://127.0.0.1:{site.port}", world.token, [], SEED, pause=1)
            async with (
                load_.caller("enterprise", rng) as caller,
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{site.port}", timeout=30) as browser,
            ):
                for _ in range(5):
                    await until_back(caller, rng)
                assert await log_in(browser) == 303

                clock.step(HOUR)
                await until_back(caller, rng)
                assert (await browser.get("/queue")).status_code == 200, "an hour is not the end of a session"
                async with httpx.AsyncClient(base_url=browser.base_url, timeout=30) as guesser:
                    assert [await log_in(guesser, "wrong") for _ in range(5)][-1] == 429
                leased = await blocked_and_killed(site, owner, caller)
                clock.step(0)
                print("an hour back:", await until_back(caller, rng))
                assert (await browser.get("/queue")).status_code == 200
                await asyncio.sleep(5)  # the wait of wrong passwords, by any clock
                assert await log_in(browser) == 303, "nor does anybody wait for an hour to come again"
                await until_ranked(caller, leased)

                clock.step(9 * DAY)
                await until_kept(database)
                once = await fired(database)
                assert once
                assert set(once.values()) == {1}
                clock.step(8 * DAY)
                await until_back(caller, rng)
                clock.step(9 * DAY)
                print("forward again:", await until_back(caller, rng))
                await until_kept(database)
                again = await fired(database)
                assert {what: again[what] for what in once} == once
                assert set(again.values()) == {1}
                clock.step(0)
                print("nine days back:", await until_back(caller, rng))
                async with owner.transaction() as tx:
                    assert await tx.fetch(REMIND)
                await until_kept(database)  # the worker goes on by the new time
            await settle(database)
            await owner.close()
            await database.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
