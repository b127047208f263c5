"""The ledger of a million matches: counted anew from their events, brought up to date by a night, read."""

from random import Random
from statistics import median, quantiles
from time import perf_counter

import asyncpg

from bench.report import Finding, Part
from bench.stage import Effort, Stage
from infra.cipher import keys_of
from infra.db import Database
from market.accounts.model import Actor, Role
from market.calendars import service as calendars
from market.ledger import recording, service
from market.ledger.model import ListLine
from market.ledger.periods import period

MATCHES, QUICK = 1_000_000, 100_000
READS = 200
NIGHT = 1_000
"""Matches of one more day, for the nightly run."""
# A thousand institutions of the whole country, five items each; nothing of the demo's is closed.
INSTITUTIONS = """
DELETE FROM ledger_rows;
DELETE FROM ledger_closings;
INSERT INTO institutions (id, uscc, version) OVERRIDING SYSTEM VALUE
SELECT 1000000 + g, 'bench' || g, 1 FROM generate_series(1, 1000) g;
INSERT INTO institution_versions (institution_id, version, name, kind, region_code, address, phone, summary)
SELECT 1000000 + g, 1, '机构 ' || g, k.code, r.code, '', '', ''
FROM generate_series(1, 1000) g
JOIN (SELECT row_number() OVER (ORDER BY code) - 1 AS place, code FROM institution_kinds) k ON k.place = g % 9
JOIN (SELECT row_number() OVER (ORDER BY md5(code)) - 1 AS place, code FROM regions WHERE level = 2) r
  ON r.place = g % 300;
"""
# Matches of three years up to $1 days before now, and what happened in them: nine of ten are taken, one of twenty is
# late, two of five are rated. Events in the order of time, as they would have been written.
MATCH_ROWS = """
INSERT INTO matches (id, need_id, run_id, state, offering_id, offering_version, item_code, item_version,
                     institution_id, institution_version, delivered_on_time)
OVERRIDING SYSTEM VALUE
SELECT $1 + g, $1 + g, 0, 'completed', 0, 1, i.code, 1, 1000001 + (g * 7919) % 1000, 1, true
FROM generate_series(1, $2::bigint) g
JOIN (SELECT row_number() OVER (ORDER BY code) - 1 AS place, code FROM service_items) i
  ON i.place = g % 5 + (g % 1000) % 25
"""
EVENT_ROWS = """
WITH given AS (
    SELECT $1 + g AS id, g,
           now() - make_interval(days => $4) - (($2 - g)::float8 / $2) * make_interval(days => $3) AS at
    FROM generate_series(1, $2::bigint) g
)
INSERT INTO events (need_id, match_id, machine, from_state, action, to_state, data, at)
SELECT id, CASE WHEN machine <> 'need' THEN id END, machine, before, action, after,
       CASE action WHEN 'deliver' THEN jsonb_build_object('on_time', g % 20 > 0)
                   WHEN 'rate' THEN jsonb_build_object('level', 1 + (g * 31) % 5) ELSE '{}' END,
       given.at + later
FROM given CROSS JOIN LATERAL (VALUES
    ('need', 'new', 'submit', 'submitted', '0'::interval, true),
    ('need', 'submitted', 'propose', 'proposed', '2 s', true),
    ('match', 'new', 'propose', 'proposed', '2 s', true),
    ('need', 'proposed', 'approve', 'assigned', '5 h', true),
    ('match', 'proposed', 'approve', 'approved', '5 h', true),
    ('match', 'approved', 'decline', 'declined', '9 h', g % 10 = 0),
    ('match', 'approved', 'accept', 'accepted', '1 day', g % 10 > 0),
    ('match', 'accepted', 'deliver', 'delivered', make_interval(days => 2 + (g * 13 % 17)::integer), g % 10 > 0),
    ('match', 'delivered', 'confirm', 'completed', make_interval(days => 20), g % 10 > 0),
    ('rating', 'new', 'rate', 'published', make_interval(days => 21), g % 10 > 5)
) AS s (machine, before, action, after, later, happens)
WHERE happens ORDER BY given.at + later
"""


async def measure(stage: Stage, effort: Effort) -> Part:
    """Seconds of a whole count and of a night; milliseconds of reading one ledger, and the list of a province."""
    matches = MATCHES if effort.thorough else QUICK
    async with stage.database("bench_ledger") as settings:
        assert settings.database_url is not None
        await _fill(settings.owner_url, matches)
        database = Database(
            settings.database_url,
            size=2,
            wait=10,
            statement_timeout_ms=60_000,
            lock_timeout_ms=5_000,
            name="bench",
            keys=keys_of(settings),
        )
        whole = await _count(database, whole=True)
        await _one_more_day(settings.owner_url)
        night = await _count(database, whole=False)
        async with database.transaction() as tx:
            differ = await recording.differences(tx, await calendars.deadlines(tx))
        reads, lists = await _read(database)
        await database.close()
    findings = [
        Finding(f"ledger of {matches:,} matches counted anew", whole, "s", 60),
        Finding("a night's matches counted", night, "s"),
        Finding("rows that differ when counted anew", differ, "", 0, at_most=True),
        Finding("a ledger read: p50", median(reads), "ms", 50),
        Finding("a ledger read: p99", quantiles(reads, n=100)[98], "ms"),
        Finding("a province's list read: p50", median(lists), "ms", 50),
    ]
    return Part("ledger", [], findings)


async def _fill(url: str, matches: int) -> None:
    connection = await asyncpg.connect(url)
    async with connection.transaction():
        # Triggers and foreign keys rest: what is measured is counting and reading.
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(INSTITUTIONS)
        await connection.execute(MATCH_ROWS, 10_000_000, matches)
        await connection.execute(EVENT_ROWS, 10_000_000, matches, 1_095, 25)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


async def _one_more_day(url: str) -> None:
    connection = await asyncpg.connect(url)
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(MATCH_ROWS, 20_000_000, NIGHT)
        await connection.execute(EVENT_ROWS, 20_000_000, NIGHT, 1, 25)
    await connection.close()


async def _count(database: Database, *, whole: bool) -> float:
    began = perf_counter()
    async with database.transaction() as tx:
        await recording.bring_up_to_date(tx, await calendars.deadlines(tx), whole=whole)
    return perf_counter() - began


async def _read(database: Database) -> tuple[list[float], list[float]]:
    admin = Actor(id=0, login="bench", name="bench", role=Role.ADMIN)
    rng, reads, lists = Random(1), [], []
    found: list[ListLine] = []
    counted = 0
    for _ in range(READS):
        one = period(rng.choice(("2025", "2026Q1", "2026-03")))
        async with database.transaction() as tx:
            began = perf_counter()
            ledger = await service.read(tx, admin, rng.randrange(1_000_001, 1_001_001), one)
            reads.append(1000 * (perf_counter() - began))
            counted += ledger.figures.offered
            began = perf_counter()
            found = await service.listing(tx, admin, one, region_code=rng.choice(("440000", "320000", "510000")))
            lists.append(1000 * (perf_counter() - began))
    assert found
    assert counted
    return reads, lists
