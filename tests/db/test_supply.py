"""Candidates of a large catalogue: looked for by the search engine, and without it in the database."""

import time
from collections.abc import AsyncIterator

import anyio
import pytest

from infra.db import Database
from infra.settings import Settings
from market.calendars.service import DeadlinesSource
from market.discovery import indexing
from market.discovery.engines import open_engine, open_writer
from market.discovery.service import RECALL_SECONDS, Finder
from market.matches import ranking
from market.needs import service as needs
from market.needs.model import Submission
from market.supply import queries, service
from matching.types import Ranking
from search.breaker import Breaker
from search.engine import Candidate, Engine
from search.errors import EngineUnavailable
from tests.conftest import Clone, open_database
from tests.factories import AID, World

pytestmark = [pytest.mark.anyio, pytest.mark.commits]
TEXT = "产品被人仿冒，想申请维权援助"


@pytest.fixture(scope="module")
async def place(clone: Clone) -> Settings:
    return await clone()


@pytest.fixture(scope="module")
async def base(place: Settings) -> AsyncIterator[Database]:
    database = open_database(place)
    yield database
    await database.close()


@pytest.fixture(scope="module")
async def engine(place: Settings, base: Database) -> AsyncIterator[Engine]:
    """With all that is published."""
    opened, writer = open_engine(place), open_writer(place)
    await indexing.repair(base, opened, writer)
    await writer.aclose()
    yield opened
    await opened.aclose()


class Away:
    """An engine that cannot answer, or only late; all but recall is not asked for."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds

    async def recall(self, *_: object, **__: object) -> list[Candidate]:
        await anyio.sleep(self._seconds)
        raise EngineUnavailable("away")


async def ranked(base: Database, finder: Finder | None, *, items: tuple[str, ...] = (AID,)) -> tuple[Ranking, int]:
    """A new need, ranked, and how many offerings were compared. Nothing is kept."""
    source, deadlines = ranking.CatalogueSource(finder=finder), DeadlinesSource()
    async with base.reading() as tx:
        world = await World.read(tx)
        submission = Submission(body=TEXT, item_codes=items)
        need = await needs.submit(tx, world.actors["enterprise"], submission, await deadlines.get(tx))
        job = await ranking.read(tx, source, need.id)
        assert job is not None
        return ranking.compute(job, top=20, gap=0.0).ranking, len(job.index.arrays)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there counts as a large catalogue."""
    monkeypatch.setattr(service, "WHOLE", 1)


async def whole(base: Database) -> set[int]:
    async with base.reading() as tx:
        return {one.offering_id for one in await queries.published(tx, 1_000)}


async def test_a_small_catalogue_is_compared_whole(base: Database) -> None:
    assert (await ranked(base, None))[1] == len(await whole(base))


@pytest.mark.usefixtures("large")
async def test_of_a_large_one_those_looked_for_are_compared(base: Database, engine: Engine) -> None:
    found, compared = await ranked(base, Finder(engine, Breaker()))
    assert 0 < compared < len(await whole(base))
    assert {one.offering_id for one in [*found.ranked, *found.excluded]} <= await whole(base)
    assert found.ranked


async def test_the_same_is_proposed_and_left_out_for_the_same_reasons(
    base: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything, _ = await ranked(base, None)
    monkeypatch.setattr(service, "WHOLE", 1)
    looked_for, _ = await ranked(base, Finder(engine, Breaker()))
    assert looked_for.ranked[0].offering_id == everything.ranked[0].offering_id
    async with base.reading() as tx:
        of_item = {one.offering_id for one in await queries.published(tx, 1_000) if one.item_code == AID}
    rules = {one.offering_id: one.rule for one in everything.excluded if one.offering_id in of_item}
    seen = {one.offering_id: one.rule for one in looked_for.excluded}
    assert {offering: rule for offering, rule in rules.items() if rule != "outside_territory"}.items() <= seen.items()


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("items", [(AID,), ()])
async def test_while_the_engine_is_away_needs_are_ranked_all_the_same(base: Database, items: tuple[str, ...]) -> None:
    for finder in (None, Finder(Away(), Breaker())):  # type: ignore[arg-type]
        assert (await ranked(base, finder, items=items))[0].ranked


@pytest.mark.usefixtures("large")
async def test_nobody_waits_for_an_engine_that_hangs(base: Database) -> None:
    finder = Finder(Away(6 * RECALL_SECONDS), Breaker(failures=1))  # type: ignore[arg-type]
    began = time.monotonic()
    assert (await ranked(base, finder))[0].ranked
    assert time.monotonic() - began < 5 * RECALL_SECONDS


MOVE_STAMP = "UPDATE offerings SET state = state WHERE id = (SELECT min(id) FROM offerings)"


async def test_those_who_wait_for_a_catalogue_share_one_though_offerings_go_on_changing(
    base: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, build, built = ranking.CatalogueSource(), ranking._build, []

    async def changing_meanwhile(*given: object) -> ranking.Catalogue:
        read = await ranking.CatalogueSource._read(source, *given)  # type: ignore[arg-type]
        async with base.transaction() as other:
            await other.execute(MOVE_STAMP)
        return read

    def counted(*given: object) -> ranking.Catalogue:
        built.append(given)
        return build(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(source, "_read", changing_meanwhile)
    monkeypatch.setattr(ranking, "_build", counted)

    async def get() -> None:
        async with base.reading() as tx:
            await source.get(tx)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(get)
    assert len(built) == 1
    await get()
    assert len(built) == 2, "who asks after a change gets what is new"


async def test_what_texts_mean_is_learned_anew_only_where_items_change(
    base: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ranking.CatalogueSource()

    async def after(statement: str) -> ranking.Catalogue:
        async with base.transaction() as tx:
            await tx.execute(statement)
        async with base.reading() as tx:
            return await source.get(tx)

    first = await after("SELECT 1")
    paused = await after("UPDATE offerings SET state = 'paused' WHERE id = (SELECT min(id) FROM offerings)")
    assert paused.stamp > first.stamp
    assert len(paused.supply.index.arrays) == len(first.supply.index.arrays) - 1
    assert paused.understander is first.understander
    withdrawn = await after(
        "UPDATE service_items SET withdrawn_on = current_date - 1 WHERE code = (SELECT max(code) FROM service_items)"
    )
    assert withdrawn.understander is not first.understander
    monkeypatch.setattr(ranking, "PAST_SECONDS", 0)
    published = await after("UPDATE offerings SET state = 'published' WHERE state = 'paused'")
    assert published.understander is not withdrawn.understander
