"""The indexer, on a database of its own: what is changed is found, whatever happens in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from infra import outbox
from infra.db import Database
from infra.settings import Settings
from market.discovery import indexing, queries
from market.discovery.engines import open_engine, open_writer
from market.discovery.indexing import Indexer
from search.engine import Engine, IndexName, Query
from search.errors import SearchError
from tests.conftest import Clone, open_database

pytestmark = [pytest.mark.anyio, pytest.mark.commits]
PAUSE = "UPDATE offerings SET state = 'paused' WHERE id = $1"
PUBLISH = "UPDATE offerings SET state = 'published' WHERE id = $1"
RENAME = """
WITH new AS (UPDATE institutions SET version = version + 1 WHERE id = $1 RETURNING id, version)
INSERT INTO institution_versions (institution_id, version, name, kind, region_code, address, phone, summary)
SELECT new.id, new.version, $2, v.kind, v.region_code, v.address, v.phone, v.summary
FROM new JOIN institution_versions v ON v.institution_id = new.id AND v.version = new.version - 1
"""


@pytest.fixture
async def place(clone: Clone) -> Settings:
    return await clone()


@pytest.fixture
async def base(place: Settings) -> AsyncIterator[Database]:
    database = open_database(place)
    yield database
    await database.close()


@pytest.fixture
async def engine(place: Settings) -> AsyncIterator[Engine]:
    opened = open_engine(place)
    yield opened
    await opened.aclose()


@asynccontextmanager
async def indexer(base: Database, place: Settings, engine: Engine) -> AsyncIterator[None]:
    task = asyncio.create_task(Indexer(base, engine, lambda: open_writer(place)).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Wait; a test of what, not of how fast."""
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.05)


async def execute(base: Database, statement: str, *values: object) -> None:
    async with base.transaction() as tx:
        await tx.execute(statement, *values)


async def settled(base: Database) -> bool:
    async with base.transaction() as tx:
        return not await outbox.changes(tx, 1)


async def published(base: Database) -> list[int]:
    async with base.transaction() as tx:
        return [row["id"] for row in await tx.fetch("SELECT id FROM offerings WHERE state = 'published' ORDER BY id")]


async def found(engine: Engine, text: str = "", index: IndexName = IndexName.OFFERINGS) -> set[str]:
    try:
        return {hit.id for hit in (await engine.search(Query(index=index, text=text, size=100))).hits}
    except SearchError:
        return set()


async def agree(base: Database, engine: Engine) -> bool:
    try:
        return all([(await indexing.difference(base, engine, index)).empty for index in IndexName])
    except SearchError:
        return False


async def test_missing_indexes_are_built_and_changes_follow(base: Database, place: Settings, engine: Engine) -> None:
    first = (await published(base))[0]
    async with indexer(base, place, engine):
        await until(lambda: agree(base, engine))
        assert str(first) in await found(engine)
        await execute(base, PAUSE, first)
        await until(lambda: settled(base))
        assert str(first) not in await found(engine)
        await execute(base, PUBLISH, first)
        await until(lambda: settled(base))
        assert str(first) in await found(engine)
        assert await agree(base, engine)


async def test_a_renamed_institution_is_found_by_its_offerings(base: Database, place: Settings, engine: Engine) -> None:
    async with base.transaction() as tx:
        institution, offerings = await tx.fetchrow(
            "SELECT institution_id, array_agg(id) FROM offerings WHERE state = 'published' GROUP BY 1 ORDER BY 1"
        )
    async with indexer(base, place, engine):
        await until(lambda: settled(base))
        await execute(base, RENAME, institution, "翡翠湖知识产权服务所")
        await until(lambda: settled(base))
        assert {str(one) for one in offerings} <= await found(engine, "翡翠湖")
        assert await found(engine, "翡翠湖", IndexName.INSTITUTIONS) == {str(institution)}


async def test_an_indexer_that_dies_over_and_over_loses_nothing(
    base: Database, place: Settings, engine: Engine
) -> None:
    ids = await published(base)

    async def change() -> None:
        for number in range(300):
            await execute(base, PAUSE if number % 2 else PUBLISH, ids[number % len(ids)])

    changing = asyncio.create_task(change())
    while not changing.done():
        async with indexer(base, place, engine):
            await asyncio.sleep(0.2)
    await changing
    async with indexer(base, place, engine):
        await until(lambda: settled(base))
    assert await agree(base, engine)


async def test_no_search_fails_while_an_index_is_built_anew(base: Database, place: Settings, engine: Engine) -> None:
    async with indexer(base, place, engine):
        await until(lambda: agree(base, engine))
        everything = await found(engine)
        async with base.transaction() as tx:
            asked = [await queries.ask_rebuild(tx, IndexName.OFFERINGS, "test") for _ in range(2)]
            outbox.wake_relay(tx)
        assert asked[0] == asked[1], "asked twice before it began, done once"

        async def done() -> bool:
            hits = {hit.id for hit in (await engine.search(Query(index=IndexName.OFFERINGS, size=100))).hits}
            assert hits == everything
            async with base.transaction() as tx:
                return (await queries.rebuilds(tx, asked))[0].state == "done"

        await until(done)
        async with base.transaction() as tx:
            (row,) = await queries.rebuilds(tx, asked[:1])
        assert row.done == len(everything)
        assert row.error == ""


async def test_one_bad_change_is_parked_and_the_others_go_on(base: Database, place: Settings, engine: Engine) -> None:
    first = (await published(base))[0]
    async with base.transaction() as tx:
        await outbox.add(tx, outbox.INDEX, index="offerings", id="no number")
        await tx.execute(PAUSE, first)
    async with indexer(base, place, engine):

        async def gone() -> bool:
            return bool(found_now := await found(engine)) and str(first) not in found_now

        await until(gone)
        await until(lambda: settled(base))
    async with base.transaction() as tx:
        (left,) = await tx.fetch("SELECT attempt, last_error FROM outbox WHERE payload ->> 'id' = 'no number'")
    assert left["attempt"] >= 1
    assert left["last_error"] == "ValueError"


async def test_of_two_indexers_one_works(base: Database, place: Settings, engine: Engine) -> None:
    first = (await published(base))[0]
    async with indexer(base, place, engine), indexer(base, place, engine):
        await until(lambda: settled(base))
        await execute(base, PAUSE, first)
        await until(lambda: settled(base))
        assert await agree(base, engine)


async def test_an_index_out_of_reach_delays_finding_not_changing(
    base: Database, place: Settings, engine: Engine
) -> None:
    first = (await published(base))[0]
    folder = place.data_dir / "search"
    async with indexer(base, place, engine):
        await until(lambda: agree(base, engine))
    for one in folder.iterdir():  # somebody cleaned up
        if one.is_symlink():
            one.unlink()
    await execute(base, PAUSE, first)
    async with indexer(base, place, engine):
        await until(lambda: settled(base))
        await until(lambda: agree(base, engine))
    assert str(first) not in await found(engine)
