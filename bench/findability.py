"""From the database to the index: how soon what is published is found, and how long a whole rebuild takes.

A rebuild runs beside searches, as at night: none of them may fail, and none may see an index that is half full.
"""

import asyncio
import time

import asyncpg

from bench.load import summary
from bench.report import Finding, Measure, Part
from bench.stage import Effort, Stage, open_database
from infra import outbox
from infra.db import Database
from infra.settings import Settings
from market.discovery import indexing
from market.discovery.engines import open_engine, open_writer
from search.engine import Engine, IndexName, OneOf, Query
from search.errors import SearchError

OFFERINGS = IndexName.OFFERINGS
MANY = 100_000
CHANGE = "UPDATE offerings SET state = $2 WHERE id = $1"
PUBLISHED = "SELECT id, institution_id FROM offerings WHERE state = 'published' ORDER BY md5(id::text) LIMIT $1"
# Made of what the demo has, with titles and summaries of their own; beside its triggers: what is measured is reading.
GROW = """
SET session_replication_role = replica;
CREATE TEMP TABLE many AS
SELECT 1000000 + row_number() OVER () AS id, f.institution_id, f.capacity, f.version, f.id AS copied
FROM offerings f CROSS JOIN generate_series(1, {times}) WHERE f.state = 'published' LIMIT {many};
INSERT INTO offering_versions (offering_id, version, item_code, item_version, title, summary, guide, region_codes,
                               audience, channels, fee, promised_days)
SELECT m.id, v.version, v.item_code, v.item_version, v.title || m.id, v.summary || m.id, v.guide, v.region_codes,
       v.audience, v.channels, v.fee, v.promised_days
FROM many m JOIN offering_versions v ON v.offering_id = m.copied AND v.version = m.version;
INSERT INTO offerings (id, institution_id, item_code, state, version, capacity) OVERRIDING SYSTEM VALUE
SELECT m.id, m.institution_id, v.item_code, 'published', m.version, m.capacity
FROM many m JOIN offering_versions v ON v.offering_id = m.id;
SET session_replication_role = origin;
ANALYZE offerings, offering_versions;
"""
TIMEOUT_SECONDS = 30.0


async def measure(stage: Stage, effort: Effort) -> Part:
    """On the demo's catalogue, and on a hundred thousand offerings made of it."""
    async with stage.database("bench_findability") as settings:
        database, engine = open_database(settings), open_engine(settings)
        async with stage.worker(settings):
            await _until_built(engine)
            began = time.perf_counter()
            found = summary(await _findable(database, engine, effort.needs), time.perf_counter() - began)
        await _grow(settings)
        seconds, cpu, searches, failed = await _rebuilt(settings, database, engine)
        await engine.aclose()
        await database.close()
    findings = [
        Finding("published to findable, p99", found.p99, "ms", 2000),
        Finding(f"rebuild of {MANY:,} offerings from the database", seconds, "s", 20),
        Finding("of this, processor time, with that of the searches", cpu, "s"),
        Finding("searches while it was rebuilt", searches),
        Finding("of these failed, or saw half an index", failed, "", 0, at_most=True),
    ]
    return Part(
        "findability", [Measure("published to findable", "one at a time", found.rate, found.p50, found.p99)], findings
    )


async def _until_built(engine: Engine) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            try:
                await engine.search_many([Query(index=index) for index in IndexName])
            except SearchError:
                await asyncio.sleep(0.1)
            else:
                return


async def _findable(database: Database, engine: Engine, many: int) -> list[float]:
    """Seconds from before the transaction that publishes until a search finds it, of one offering after the other."""
    async with database.transaction() as tx:
        rows = await tx.fetch(PUBLISHED, many)
    latencies = []
    for row in rows:
        await _until(database, engine, row, published=False)
        latencies.append(await _until(database, engine, row, published=True))
    return latencies


async def _until(database: Database, engine: Engine, row: asyncpg.Record, *, published: bool) -> float:
    """Change an offering's state; seconds until a search tells it."""
    own = OneOf("institution", (str(row["institution_id"]),))
    began = time.perf_counter()
    async with database.transaction() as tx:
        await tx.execute(CHANGE, row["id"], "published" if published else "paused")
        outbox.wake_relay(tx)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            hits = (await engine.search(Query(index=OFFERINGS, filters=(own,), size=100))).hits
            if (str(row["id"]) in {hit.id for hit in hits}) == published:
                return time.perf_counter() - began
            await asyncio.sleep(0.002)


async def _grow(settings: Settings) -> None:
    connection = await asyncpg.connect(settings.owner_url)
    before = await connection.fetchval("SELECT count(*) FROM offerings WHERE state = 'published'")
    await connection.execute(GROW.format(times=1 + MANY // before, many=MANY - before))
    await connection.close()


async def _rebuilt(settings: Settings, database: Database, engine: Engine) -> tuple[float, float, int, int]:
    """Seconds of a rebuild, those of the processor, how many searches ran beside it, and how many went wrong."""
    totals: list[int | None] = []

    async def search() -> None:
        while True:
            try:
                totals.append((await engine.search(Query(index=OFFERINGS, text="专利"))).total)
            except SearchError:
                totals.append(None)
            await asyncio.sleep(0.05)

    writer = open_writer(settings)
    searching = asyncio.create_task(search())
    began, worked = time.perf_counter(), time.process_time()
    assert await indexing.rebuild(database, writer, OFFERINGS) == MANY
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    await asyncio.sleep(0.2)
    searching.cancel()
    await asyncio.gather(searching, return_exceptions=True)
    await writer.aclose()
    whole = {totals[0], totals[-1]}
    return seconds, worked, len(totals), sum(total not in whole or total is None for total in totals)
