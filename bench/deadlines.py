"""100,000 deadlines due at once: moved by the worker's job, events and outbox rows included, none lost or doubled."""

import asyncio
import shutil
import tempfile
from pathlib import Path
from time import perf_counter

import asyncpg

from bench.stage import staged
from infra.db import Database
from infra.settings import Settings
from workers.deadlines import count_anew, move_all

COUNT = 100_000
# As many needs in the image of the demo's, a third of them with a match that waits to be taken. Triggers and foreign
# keys rest while they are made; the move is measured with all of them.
FILL = f"""
SET LOCAL session_replication_role = replica;
INSERT INTO needs (enterprise_id, submitted_by, channel, state, body, contact_name, contact_phone, region_code, node_id,
                   owner_id, due_at, due_provisional)
SELECT n.enterprise_id, n.submitted_by, 'online', CASE WHEN g % 3 = 0 THEN 'assigned' ELSE 'proposed' END,
       'bench ' || g, '', '', n.region_code, n.node_id, CASE WHEN g % 2 = 0 THEN n.owner_id END, now(), false
FROM generate_series(1, {COUNT}) g
JOIN (SELECT row_number() OVER () AS place, * FROM needs LIMIT 500) n ON n.place = g % 500 + 1;
INSERT INTO matches (need_id, run_id, state, offering_id, offering_version, item_code, item_version, institution_id,
                     institution_version)
SELECT n.id, 0, 'approved', f.id, 1, f.item_code, 1, f.institution_id, 1
FROM needs n, LATERAL (SELECT * FROM offerings WHERE id % 7 = n.id % 7 LIMIT 1) f
WHERE n.body LIKE 'bench %' AND n.state = 'assigned';
UPDATE deadlines SET state = 'cancelled', ended_at = now(), left_days = NULL WHERE ended_at IS NULL;
INSERT INTO deadlines (need_id, match_id, kind, state, days, due_at, provisional, remind_at, node_at, above_at, stamp)
SELECT n.id, m.id, CASE WHEN m.id IS NULL THEN 'match' ELSE 'accept' END, 'reminded', 1, now() - interval '1 s', false,
       now() - interval '1 h', now() + interval '1 day', now() + interval '2 days', c.stamp
FROM needs n LEFT JOIN matches m ON m.need_id = n.id, calendar_stamp c WHERE n.body LIKE 'bench %';
"""
FACTS = """
SELECT (SELECT count(*) FROM deadlines WHERE state = 'overdue') AS overdue,
       (SELECT count(*) FROM deadlines WHERE state = 'reminded') AS left_over,
       (SELECT count(*) FROM events WHERE machine = 'deadline' AND action = 'expire') AS events,
       (SELECT count(DISTINCT deadline_id) FROM events WHERE machine = 'deadline' AND action = 'expire') AS told,
       (SELECT count(*) FROM outbox WHERE topic = 'lapse_match') AS asked,
       (SELECT count(DISTINCT payload) FROM outbox WHERE topic = 'lapse_match') AS asked_once
"""
HOLIDAY = """
INSERT INTO calendar_days (region_code, day, working, name)
SELECT '000000', current_date + g, false, 'bench' FROM generate_series(1, 10) g
ON CONFLICT (region_code, day) DO UPDATE SET working = false
"""
AGAIN = """
UPDATE deadlines SET state = 'running', due_at = now() + interval '2 days', node_at = now() + interval '3 days',
       above_at = now() + interval '4 days', remind_at = NULL WHERE state = 'overdue'
"""


def run() -> dict[str, float]:
    """Seconds in which one mover, and two at once, move 100,000 deadlines, and in which a new calendar counts them
    again; with how many were lost or doubled, which has to be 0.
    """
    return asyncio.run(_run())


async def _run() -> dict[str, float]:
    folder = Path(tempfile.mkdtemp(prefix="zhipei-bench-"))
    folder.chmod(0o711)
    try:
        async with staged(folder) as stage:
            report = {}
            for movers in (1, 2):
                async with stage.database(f"bench_deadlines_{movers}") as settings:
                    report |= await _move(settings, movers)
            return report
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _move(settings: Settings, movers: int) -> dict[str, float]:
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.owner_url)
    async with connection.transaction():
        await connection.execute(FILL)
    await connection.execute("VACUUM ANALYZE")
    database = Database(
        settings.database_url, size=movers, wait=10, statement_timeout_ms=60_000, lock_timeout_ms=5_000, name="bench"
    )
    began = perf_counter()
    await asyncio.gather(*(move_all(database) for _ in range(movers)))
    seconds = perf_counter() - began
    facts = await connection.fetchrow(FACTS)
    assert facts is not None
    wrong = abs(COUNT - facts["overdue"]) + facts["left_over"] + abs(COUNT - facts["told"])
    doubled = facts["events"] - facts["told"] + facts["asked"] - facts["asked_once"]
    report = {f"moved_seconds_{movers}": seconds, f"wrong_{movers}": wrong + doubled}
    if movers == 1:
        async with connection.transaction():
            await connection.execute("ALTER TABLE deadlines DISABLE TRIGGER USER")
            await connection.execute(AGAIN)
            await connection.execute("ALTER TABLE deadlines ENABLE TRIGGER USER")
            await connection.execute(HOLIDAY)
        began = perf_counter()
        _, moved = await count_anew(database)
        report |= {"recounted_seconds": perf_counter() - began, "recount_missed": COUNT - moved}
    await database.close()
    await connection.close()
    return report


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name}: {value:.2f}")
