"""The outbox and its fence: leases, retries, poisoned rows, and a job that comes too late."""

import asyncio
from contextlib import suppress

import pytest
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix
from msgspec import structs
from redis.exceptions import RedisError

from infra import outbox
from infra.db import Transaction
from infra.settings import Settings
from market.calendars import service as calendars
from market.matches import ranking
from market.needs import queries as needs
from market.needs import service
from market.needs.model import NeedState, Submission
from tests.conftest import Clone, open_database
from tests.factories import World
from workers.context import Context
from workers.main import make_worker
from workers.match import match_need
from workers.relay import Relay

pytestmark = pytest.mark.anyio

OURS = {"holder": "us", "limit": 10, "seconds": 30, "attempts": 3}


async def test_a_leased_row_is_nobody_elses_until_the_lease_ends(tx: Transaction) -> None:
    await tx.execute("DELETE FROM outbox")
    await outbox.add(tx, "topic", number=1)
    (row,) = await outbox.lease(tx, **OURS)
    assert (row.topic, row.payload, row.attempt) == ("topic", {"number": 1}, 1)
    assert await outbox.lease(tx, **OURS | {"holder": "others"}) == []
    await tx.execute("UPDATE outbox SET leased_until = now() - interval '1 s'")
    (again,) = await outbox.lease(tx, **OURS | {"holder": "others"})
    assert again.attempt == 2
    with pytest.raises(outbox.LeaseLost):
        await outbox.done(tx, row.id, row.attempt)
    await outbox.done(tx, again.id, again.attempt)
    assert (await outbox.depth(tx)).waiting == 0


async def test_a_holder_leases_no_more_than_it_can_start(tx: Transaction) -> None:
    await tx.execute("DELETE FROM outbox")
    for number in range(5):
        await outbox.add(tx, "topic", number=number)
    assert len(await outbox.lease(tx, **OURS | {"limit": 3})) == 3
    assert await outbox.lease(tx, **OURS | {"limit": 3}) == []
    assert len(await outbox.lease(tx, **OURS | {"limit": 3, "holder": "others"})) == 2


async def test_a_failed_row_waits_and_is_parked_in_the_end(tx: Transaction) -> None:
    await tx.execute("DELETE FROM outbox")
    await outbox.add(tx, "topic")
    for attempt in (1, 2, 3):
        (row,) = await outbox.lease(tx, **OURS)
        assert row.attempt == attempt
        await outbox.fail(tx, row.id, row.attempt, "x" * 5000)
        assert await outbox.lease(tx, **OURS) == [], "not before its time"
        await tx.execute("UPDATE outbox SET leased_until = now()")
    assert await outbox.lease(tx, **OURS) == []
    (parked,) = await outbox.park(tx, attempts=3)
    assert parked.id == row.id
    depth = await outbox.depth(tx)
    assert (depth.waiting, depth.parked) == (0, 1)
    assert await outbox.unpark(tx) == 1
    assert len(await outbox.lease(tx, **OURS)) == 1


async def test_a_job_that_lost_its_lease_leaves_nothing(clone: Clone) -> None:
    settings = await clone()
    database = open_database(settings)
    async with database.transaction() as tx:
        world = await World.read(tx)
        deadlines = await calendars.deadlines(tx)
        need = await service.submit(tx, world.actors["enterprise"], Submission(body="想申请专利"), deadlines)
    async with database.transaction() as tx:
        (row,) = await outbox.lease(tx, **OURS)
        await tx.execute("UPDATE outbox SET attempt = 7")
    context = Context(settings, database, ranking.CatalogueSource())
    with pytest.raises(outbox.LeaseLost):
        await match_need(context, row, need.id)
    async with database.transaction() as tx:
        found = await needs.find_for_job(tx, need.id)
        assert found is not None
        assert found.state is NeedState.SUBMITTED
        assert await tx.fetchval("SELECT count(*) FROM ranking_runs") == 0
        assert await tx.fetchval("SELECT count(*) FROM outbox WHERE topic <> 'index'") == 1
    # A need that moved on meanwhile is left alone, and its row is done.
    async with database.transaction() as tx:
        await tx.execute("UPDATE needs SET state = 'withdrawn'")
    await match_need(context, structs.replace(row, attempt=7), need.id)
    async with database.transaction() as tx:
        assert await tx.fetchval("SELECT count(*) FROM outbox WHERE topic <> 'index'") == 0
        assert await tx.fetchval("SELECT count(*) FROM ranking_runs") == 0
    await database.close()


async def test_a_poisoned_row_is_parked_and_others_go_on(clone: Clone) -> None:
    settings: Settings = structs.replace(await clone(), outbox_attempts=2, outbox_lease_seconds=1)
    database = open_database(settings)
    async with database.transaction() as tx:
        world = await World.read(tx)
        deadlines = await calendars.deadlines(tx)
        await outbox.add(tx, "no_such_topic", number=1)
        await outbox.add(tx, "match_need", need_id=-1)
        for _ in range(5):
            await service.submit(tx, world.actors["enterprise"], Submission(body="想申请专利"), deadlines)
    running = make_worker(settings, handle_signals=False)
    task = asyncio.create_task(running.async_run())
    for _ in range(200):
        async with database.reading() as tx:
            depth = await outbox.depth(tx)
        if (depth.waiting, depth.parked) == (0, 1):
            break
        await asyncio.sleep(0.05)
    with suppress(asyncio.CancelledError):  # of a job that was just running
        await running.close()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with database.transaction() as tx:
        assert await tx.fetchval("SELECT last_error FROM outbox WHERE topic <> 'index'") == "KeyError: no_such_topic"
        assert await tx.fetchval("SELECT count(*) FROM needs WHERE state = 'proposed'") == 5
    await database.close()


async def test_a_killed_workers_job_does_not_stay_in_the_queue(clone: Clone) -> None:
    """Its lock lasts an hour: a hundred such at the head of arq's queue, and nothing behind them would be done."""
    settings = await clone()
    database, arq = open_database(settings), ArqRedis.from_url(str(settings.redis_url))
    arq.default_queue_name = settings.namespace
    relay = Relay(settings, database, arq)
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM outbox")
        await outbox.add(tx, "match_need", need_id=-1)
    assert await relay._send_batch() == 1
    (job_id,) = await arq.zrange(settings.namespace, 0, -1)
    await arq.set(in_progress_key_prefix.encode() + job_id, b"1")  # taken up, and then killed
    async with database.transaction() as tx:
        await tx.execute("UPDATE outbox SET leased_until = now() - interval '1 s'")
    assert await relay._send_batch() == 1
    (another,) = await arq.zrange(settings.namespace, 0, -1)
    assert another != job_id
    assert not await arq.exists(in_progress_key_prefix.encode() + job_id)
    assert await relay._take_back() == 0
    await arq.delete(settings.namespace)
    await arq.aclose()
    await database.close()


async def test_what_redis_has_lost_is_sent_again_at_once_and_counts_for_nothing(clone: Clone) -> None:
    settings = await clone()
    database, arq = open_database(settings), ArqRedis.from_url(str(settings.redis_url))
    arq.default_queue_name = settings.namespace
    relay = Relay(settings, database, arq)
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM outbox")
        await outbox.add(tx, "match_need", need_id=-1)
        await outbox.add(tx, "match_need", need_id=-2)
    for _ in range(settings.outbox_attempts + 1):
        assert await relay._send_batch() == 2
        assert await relay._take_back() == 0
        sent = await arq.zrange(settings.namespace, 0, -1)
        await arq.delete(job_key_prefix.encode() + sent[0])
        assert await relay._take_back() == 1
        await arq.delete(settings.namespace, job_key_prefix.encode() + sent[1])
        assert await relay._take_back() == 1
    async with database.reading() as tx:
        assert [row["attempt"] for row in await tx.fetch("SELECT attempt FROM outbox")] == [0, 0]
    await arq.aclose()
    await database.close()


async def test_an_outage_of_redis_parks_nothing(clone: Clone) -> None:
    settings = structs.replace(await clone(), outbox_attempts=2, outbox_lease_seconds=1)
    database, arq = open_database(settings), ArqRedis(host="127.0.0.1", port=1)
    relay = Relay(settings, database, arq)
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM outbox")
        await outbox.add(tx, "match_need", need_id=-1)
    for _ in range(4):
        with pytest.raises(RedisError):
            await relay._send_batch()
    async with database.reading() as tx:
        assert (await outbox.depth(tx)).parked == 0
        assert await tx.fetchval("SELECT attempt FROM outbox") == 0
    await arq.aclose()
    await database.close()
