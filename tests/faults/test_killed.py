"""Kill -9 of each process in turn under load: what was acknowledged is there, once, and the service comes back.

Short in ``make test``; ``make faults`` takes its time, and holds the times to the bar.
"""

import asyncio
import json
import os
import signal
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from redis.asyncio import Redis

from infra import outbox
from infra.db import Database
from infra.settings import Settings
from market.calendars import service as calendars
from market.ledger import recording
from tests.conftest import DATA_KEY, UNLIMITED, open_database
from tests.factories import World, make_world
from tests.faults.invariants import broken, disagreeing, settle
from tests.faults.load import Caller, Load
from tests.faults.site import Site, site_of

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

LONG = os.environ.get("ZHIPEI_TEST_FAULTS") == "long"
SEED = int(os.environ.get("ZHIPEI_TEST_SEED") or Random().randrange(10**6))
KINDS = ("web", "worker", "redis", "postgres", "search", "emptied", "cut")
"""The embedded search engine's writer is in the worker: ``search`` kills it while it has changes to write. The last two
kill nothing: Redis is emptied, and every connection to PostgreSQL is cut."""
POISONED = 3
"""Rows of the outbox whose job always raises."""
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name IN ('zhipei-web', 'zhipei-worker')"
ROUNDS = 6 if LONG else 1
BACK_SECONDS = 5.0
REPORT = Path("build") / "faults.json"
SETTINGS = {f"ZHIPEI_{name.upper()}": str(value) for name, value in UNLIMITED.items()} | {
    "ZHIPEI_DATA_KEY": DATA_KEY,
    "ZHIPEI_UNDO_SECONDS": "0",
    "ZHIPEI_LOG_LEVEL": "WARNING",
    "ZHIPEI_OUTBOX_ATTEMPTS": "5",
}
# Some offerings stay small, so that approvals fight for them; the others bear the rest.
ROOM = "UPDATE offerings SET capacity = 100000 WHERE item_code = 'SZ-2024-30' OR capacity = 20"
WAITING = "SELECT count(*) FROM outbox WHERE topic = 'index'"


async def furnish(settings: Settings) -> World:
    """The small world of all tests."""
    owner = open_database(settings, owner=True)
    async with owner.transaction() as tx:
        await make_world(tx)
        await tx.execute(ROOM)
        world = await World.read(tx)
    await owner.close()
    return world


async def kill(site: Site, database: Database, kind: str, offerings: Sequence[int], rng: Random) -> None:
    """The process, at a moment when it has something to lose."""
    if kind == "search":
        async with database.transaction() as tx:
            await tx.execute("UPDATE offerings SET state = 'paused' WHERE id = ANY($1)", offerings)
            await tx.execute("UPDATE offerings SET state = 'published' WHERE id = ANY($1)", offerings)
        for _ in range(200):
            async with database.reading() as tx:
                if await tx.fetchval(WAITING):
                    break
            await asyncio.sleep(0.002)
    else:
        await asyncio.sleep(rng.random())
    if kind == "emptied":
        async with Redis.from_url(str(site.settings.redis_url)) as redis:
            await redis.flushall()
    elif kind == "cut":
        async with database.reading() as tx:
            await tx.execute(CUT)
    else:
        pid = site.pid("worker" if kind == "search" else kind)
        assert pid is not None, f"{kind} does not run"
        os.kill(pid, signal.SIGKILL)


async def until_back(caller: Caller, rng: Random) -> tuple[float, float]:
    """Seconds until a need is taken in, and until it has been ranked."""
    now = asyncio.get_running_loop().time
    began = now()
    key = f"{rng.getrandbits(128):032x}"
    caller.load.asked += 1
    answer = await caller.post("/needs/", {"body": "知识产权政策咨询", "item_codes": ["SZ-2024-30"]}, key=key)
    taken = now() - began
    caller.load.acknowledge(key, answer.json()["id"])
    while (await caller.get(f"/needs/{answer.json()['id']}"))["state"] == "submitted":
        assert now() - began < 90, "nothing is ranked any more"
        await asyncio.sleep(0.05)
    return taken, now() - began


async def poison(database: Database) -> None:
    """Work that can never be done."""
    async with database.transaction() as tx:
        for number in range(POISONED):
            await outbox.add(tx, "poison", number=number)


async def see_poison(site: Site, database: Database) -> None:
    """It was given up, everybody can see it, and a command tries it again; then it goes."""
    await settle(database, parked=POISONED)
    examined = await asyncio.to_thread(site.run, "doctor")
    assert examined.returncode == 1
    assert f"{POISONED} parked" in examined.stdout
    assert f"zhipei_outbox_parked {POISONED}.0" in (await asyncio.to_thread(site.get, "/metrics")).text
    retried = await asyncio.to_thread(site.run, "outbox", "retry")
    assert f"{POISONED} rows will be tried again" in retried.stdout
    async with database.transaction() as tx:
        assert await tx.fetchval("SELECT count(*) FROM outbox WHERE topic = 'poison' AND parked_at IS NULL") == POISONED
        await tx.execute("DELETE FROM outbox WHERE topic = 'poison'")


async def count_ledger(database: Database) -> None:
    """As the worker does every night."""
    async with database.transaction() as tx:
        await recording.bring_up_to_date(tx, await calendars.deadlines(tx))


async def kill_all(site: Site, database: Database, load: Load, rng: Random) -> dict[str, list[tuple[float, float]]]:
    """Each kind, so many times, in random order; the times until it was back."""
    times: dict[str, list[tuple[float, float]]] = defaultdict(list)
    async with load.caller("enterprise", rng) as caller:
        await until_back(caller, rng)
        for _ in range(ROUNDS):
            for kind in rng.sample(KINDS, len(KINDS)):
                await kill(site, database, kind, load.offerings, rng)
                times[kind].append(await until_back(caller, rng))
                print(kind, times[kind][-1], flush=True)
                await asyncio.sleep(rng.uniform(0.2, 2.0))
            await count_ledger(database)
    return times


def report(load: Load, times: dict[str, list[tuple[float, float]]]) -> None:
    """For docs/operations.md."""
    table = {
        kind: {
            "kills": len(found),
            "answers_p50": round(statistics.median(taken for taken, _ in found), 2),
            "answers_max": round(max(taken for taken, _ in found), 2),
            "matches_p50": round(statistics.median(ranked for _, ranked in found), 2),
            "matches_max": round(max(ranked for _, ranked in found), 2),
        }
        for kind, found in times.items()
    }
    words = {"seed": SEED, "needs": len(load.acknowledged), "kills": table, "again": load.retried, "steps": load.steps}
    print(json.dumps(words, indent=1))
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(words, indent=1))


async def test_nothing_is_lost_and_nothing_doubled() -> None:
    print(f"seed {SEED}")
    rng = Random(SEED)
    with site_of(**SETTINGS) as site:
        await asyncio.to_thread(site.start)
        world = await furnish(site.settings)
        database = open_database(site.settings)
        own = [world.offerings[title] for title in ("专利申请辅导", "专利侵权维权援助", "知识产权法律政策咨询")]
        await poison(database)
        load = Load(f"http://127.0.0.1:{site.port}", world.token, own, SEED, pause=0.4)
        running = asyncio.create_task(load.run())
        try:
            times = await kill_all(site, database, load, rng)
        finally:
            load.stopping.set()
            await running
        await see_poison(site, database)
        await settle(database)
        await count_ledger(database)
        async with database.reading() as tx:
            found = await broken(tx, load)
        await database.close()
        found += await asyncio.to_thread(disagreeing, site)
        report(load, times)
        assert found == []
        assert load.acknowledged
        if LONG:
            late = {
                kind: worst for kind, of in times.items() if (worst := max(taken for taken, _ in of)) > BACK_SECONDS
            }
            assert late == {}
