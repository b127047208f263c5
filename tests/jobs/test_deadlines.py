"""The job that keeps time: every step once and in order, whoever else moves, is killed or rolls back meanwhile."""

import asyncio
from contextlib import suppress

import pytest

from infra.db import Database, DatabaseUnavailable
from infra.settings import Settings
from market.deadlines import service
from market.deadlines.service import LAPSE
from market.matches import ranking
from tests.conftest import Api, Clone, open_database
from tests.factories import World
from tests.jobs.test_whole_way import actions, submit, until
from workers.context import Context
from workers.deadlines import count_anew, keep_time, move_all

pytestmark = pytest.mark.anyio

NEEDS = 1_500
# Needs with a match each that waits to be taken; all three clocks ran out while nobody kept time. Triggers and foreign
# keys rest meanwhile: what is tested is the mover.
FILL = f"""
SET LOCAL session_replication_role = replica;
INSERT INTO needs (enterprise_id, submitted_by, channel, state, body, contact_name, contact_phone, region_code, node_id,
                   owner_id, due_at, due_provisional)
SELECT e.id, a.id, 'online', 'assigned', 'need ' || g, '', '', '440305', d.id, CASE WHEN g % 2 = 0 THEN a.id END,
       now(), false
FROM generate_series(1, {NEEDS}) g, (SELECT id FROM enterprises LIMIT 1) e, (SELECT id FROM accounts LIMIT 1) a,
     (SELECT id FROM nodes WHERE region_code = '440300') d;
INSERT INTO matches (need_id, run_id, state, offering_id, offering_version, item_code, item_version, institution_id,
                     institution_version)
SELECT n.id, 0, 'approved', f.id, 1, f.item_code, 1, f.institution_id, 1
FROM needs n, (SELECT * FROM offerings LIMIT 1) f;
INSERT INTO deadlines (need_id, match_id, kind, state, days, due_at, provisional, remind_at, node_at, above_at, stamp)
SELECT m.need_id, CASE k.kind WHEN 'accept' THEN m.id END, k.kind, 'running', 1,
       now() - make_interval(secs => m.id % 997 + 100), false, now() - make_interval(secs => m.id % 997 + 110),
       now() - make_interval(secs => m.id % 997 + 50), now() - interval '1 s', 1
FROM matches m, (VALUES ('first_contact'), ('match'), ('accept')) k (kind);
UPDATE deadlines SET stamp = (SELECT stamp FROM calendar_stamp);
"""
STEPS = ["remind", "expire", "escalate", "escalate_above"]
# Of every deadline: its steps in the order they were written, and whether that is the order they were planned in.
TOLD = """
SELECT array_agg(action ORDER BY id) AS steps,
       array_agg(data ->> 'planned_at' ORDER BY id) = array_agg(data ->> 'planned_at' ORDER BY data ->> 'planned_at')
           AS in_order
FROM events WHERE machine = 'deadline' GROUP BY deadline_id
"""
KILL = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%WITH due AS MATERIALIZED%'
"""
LAPSES = "SELECT count(*) AS rows, count(DISTINCT payload) AS matches FROM outbox WHERE topic = $1"


@pytest.fixture
async def outage(clone: Clone) -> Database:
    """A database in which a lot became due while nobody kept time."""
    settings = await clone()
    owner = open_database(settings, owner=True)
    async with owner.transaction() as tx:
        await tx.execute(FILL)
    await owner.close()
    return open_database(settings, size=6)


async def kill_a_mover(database: Database) -> int:
    """End the connections that are moving deadlines now, as a crash would."""
    async with database.reading() as tx:
        return int(await tx.fetchval(KILL))


async def survive(database: Database) -> int:
    """Move on, again and again, as the cron does after a crash."""
    steps = 0
    while True:
        with suppress(DatabaseUnavailable):
            steps += await move_all(database, batch=40)
            return steps


async def test_two_movers_a_kill_and_a_rollback_lose_and_double_nothing(outage: Database) -> None:
    movers = [asyncio.create_task(survive(outage)) for _ in range(2)]
    killed = 0
    for _ in range(20):
        await asyncio.sleep(0.05)
        killed += await kill_a_mover(outage)
        with suppress(ZeroDivisionError):
            async with outage.transaction() as tx:
                await service.move(tx, 25)
                raise ZeroDivisionError  # a worker that dies with its batch half done
    await asyncio.gather(*movers)
    assert killed > 0, "a mover was hit in the middle of its work"
    async with outage.reading() as tx:
        told = await tx.fetch(TOLD)
        assert len(told) == 3 * NEEDS
        assert all(row["steps"] == STEPS for row in told), "each step once, in its order"
        assert all(row["in_order"] for row in told)
        assert await tx.fetchval("SELECT count(*) FROM deadlines WHERE state <> 'escalated_above'") == 0
        lapses = await tx.fetchrow(LAPSES, LAPSE)
        assert lapses is not None
        assert (lapses["rows"], lapses["matches"]) == (NEEDS, NEEDS), "each silent institution is taken up once"
        assert await tx.fetchval("SELECT count(*) FROM deadlines WHERE next_at IS NOT NULL") == 0
    await outage.close()


async def test_what_was_due_first_is_told_first(outage: Database) -> None:
    await move_all(outage, batch=700)
    async with outage.reading() as tx:
        for action in STEPS:
            statement = (
                "SELECT (data ->> 'planned_at')::timestamptz AS at FROM events"
                " WHERE machine = 'deadline' AND action = $1 ORDER BY id"
            )
            planned = [row["at"] for row in await tx.fetch(statement, action)]
            assert planned == sorted(planned)
    await outage.close()


async def test_a_new_calendar_is_counted_while_others_count(outage: Database) -> None:
    """Nothing moves before it is counted again, and each deadline is counted once."""
    async with outage.transaction() as tx:
        await tx.execute(
            "UPDATE deadlines SET due_at = now() + interval '1 day', remind_at = NULL,"
            " node_at = now() + interval '2 days', above_at = now() + interval '3 days'"
        )
        await tx.execute(
            "INSERT INTO calendar_days (region_code, day, working, name)"
            " SELECT '440300', current_date + g, false, '停工' FROM generate_series(0, 20) g"
        )
    assert await move_all(outage) == 0
    counts = await asyncio.gather(*(count_anew(outage, batch=100) for _ in range(3)))
    assert sum(counted for counted, _ in counts) == 3 * NEEDS
    async with outage.reading() as tx:
        assert await tx.fetchval("SELECT count(*) FROM events WHERE action = 'recount'") == 3 * NEEDS
        assert await tx.fetchval("SELECT count(*) FROM deadlines WHERE due_at < now() + interval '15 days'") == 0
    await outage.close()


@pytest.mark.usefixtures("worker")
async def test_a_silent_institution_loses_the_need(api: Api, db: Database, settings: Settings, world: World) -> None:
    enterprise, coordinator = api("enterprise"), api("coordinator")
    need = await submit(enterprise, "我们研发了新型电池隔膜，想申请发明专利", "silent-1")
    path = f"/needs/{need['id']}"
    await until(coordinator, path, "proposed")
    match = (await coordinator.get(f"{path}/ranking")).json()["match"]
    await coordinator.post(f"{path}/approve", json={"match_id": match["id"]})
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE deadlines SET due_at = now() - interval '1 minute', remind_at = NULL WHERE need_id = $1"
            " AND kind = 'accept'",
            need["id"],
        )
    await keep_time({"context": Context(settings, db, ranking.CatalogueSource())})
    await until(coordinator, path, "proposed")
    ranking_now = (await coordinator.get(f"{path}/ranking")).json()
    assert match["institution_name"] not in {one["institution_name"] for one in ranking_now["candidates"]}
    assert ranking_now["run"]["excluded_counts"]["declined"] >= 1
    told = await actions(coordinator, need["id"])
    assert told[-4:] == [("match", "lapse"), ("need", "lapse"), ("need", "propose"), ("match", "propose")]
    servers = {world.actors[name].institution_id: name for name in ("institution", "office")}
    server = servers[match["institution_id"]]
    late = await api(server).post(f"/matches/{match['id']}/accept")
    assert late.status_code == 409
    assert "逾期未受理" in late.json()["detail"]
    assert (await api(server).get(path)).status_code == 404
