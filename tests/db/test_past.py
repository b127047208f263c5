"""What ranking reads of the past and of the need: completed needs, exposure, industry, the wished day."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from infra.db import Database, Transaction
from infra.settings import Settings
from market.calendars.model import ZONE
from market.calendars.service import Deadlines, DeadlinesSource
from market.matches import queries, ranking
from market.matches import service as matches
from market.matches.model import Match
from market.needs import service as needs
from market.needs.model import Submission
from market.supply import queries as supply
from matching.types import Part, PastService
from tests.conftest import Clone, open_database
from tests.factories import PATENT, World

pytestmark = pytest.mark.anyio

BODY = "想申请专利，不知道怎么准备材料"


@pytest.fixture(scope="module")
async def settings(clone: Clone) -> Settings:
    return await clone()


@pytest.fixture(scope="module")
async def db(settings: Settings) -> AsyncIterator[Database]:
    """A database without a past."""
    database = open_database(settings)
    yield database
    await database.close()


@pytest.fixture
async def world(tx: Transaction) -> World:
    return await World.read(tx)


@pytest.fixture
async def deadlines(tx: Transaction) -> Deadlines:
    return await DeadlinesSource().get(tx)


@pytest.fixture
async def source(tx: Transaction, world: World) -> ranking.CatalogueSource:
    """Of a world whose enterprise has an industry."""
    await tx.execute(
        "UPDATE enterprises SET industry_code = 'C3841' WHERE id = $1", world.actors["enterprise"].enterprise_id
    )
    return ranking.CatalogueSource()


async def ranked(
    tx: Transaction, world: World, source: ranking.CatalogueSource, deadlines: Deadlines, submission: Submission
) -> Match:
    """A submitted need's proposal."""
    need = await needs.submit(tx, world.actors["enterprise"], submission, deadlines)
    job = await ranking.read(tx, source, need.id)
    assert job is not None
    assert await ranking.store(tx, job, ranking.compute(job, top=5, gap=0.0))
    proposal = await queries.latest(tx, need.id)
    assert proposal is not None
    return proposal


async def parts(tx: Transaction, match: Match) -> dict[str, Part]:
    """The parts of the proposal's score."""
    first = (await queries.candidates(tx, match.run_id))[0]
    assert first.offering_id == match.offering_id
    return {part.feature: part for part in first.parts}


async def test_what_was_done_and_proposed(
    tx: Transaction,
    world: World,
    deadlines: Deadlines,
    source: ranking.CatalogueSource,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = Submission(body=BODY, item_codes=(PATENT,))
    first = await ranked(tx, world, source, deadlines, asked)
    before = await parts(tx, first)
    assert [before[name].evidence for name in ("kin", "industry", "exposure")] == [0, 0, 0]

    server = next(actor for actor in world.actors.values() if actor.institution_id == first.institution_id)
    await matches.approve(tx, world.actors["coordinator"], first.need_id, first.id, deadlines)
    await matches.accept(tx, server, first.id, deadlines)
    await matches.deliver(tx, server, first.id, "已办好", deadlines)
    assert await supply.completed(tx, 10) == []
    await matches.confirm(tx, world.actors["enterprise"], first.need_id)
    assert await supply.completed(tx, 10) == [PastService(BODY, first.institution_id, "C")]
    assert await supply.completed(tx, 0) == []
    assert await supply.proposed(tx, 30) == {first.offering_id: 1}
    assert await supply.proposed(tx, 0) == {}

    still = await parts(tx, await ranked(tx, world, source, deadlines, asked))
    assert still["kin"].evidence == 0  # the past is an hour old at most
    monkeypatch.setattr(ranking, "PAST_SECONDS", -1)
    catalogue = await source.get(tx)
    after = await parts(tx, await ranked(tx, world, source, deadlines, asked))
    assert (after["kin"].value, after["kin"].evidence) == (1.0, 1)
    assert (after["industry"].value, after["industry"].evidence) == (1.0, 1)
    assert after["exposure"].evidence == 2
    assert after["exposure"].value > 1
    assert (await source.get(tx)).understander is catalogue.understander  # only the past was read anew


async def test_an_override_is_no_exposure(
    tx: Transaction, world: World, deadlines: Deadlines, source: ranking.CatalogueSource
) -> None:
    proposal = await ranked(tx, world, source, deadlines, Submission(body=BODY, item_codes=(PATENT,)))
    other = (await queries.candidates(tx, proposal.run_id))[1]
    await matches.override(tx, world.actors["coordinator"], proposal.need_id, other.offering_id, "更合适", deadlines)
    assert await supply.proposed(tx, 30) == {proposal.offering_id: 1}


async def test_the_wished_day_in_working_days(
    tx: Transaction, world: World, deadlines: Deadlines, source: ranking.CatalogueSource
) -> None:
    today = datetime.now(ZONE).date()
    day = deadlines.calendar().add_working_days(today, 6).day
    told = Submission(body=BODY, item_codes=(PATENT,), wanted_by=day)
    part = (await parts(tx, await ranked(tx, world, source, deadlines, told)))["deadline_margin"]
    proposal = await queries.latest_run(tx, (await tx.fetchval("SELECT max(id) FROM needs")))
    assert proposal is not None
    promised = (await queries.candidates(tx, proposal.id))[0].promised_days
    assert (part.value, part.evidence) == (6 - (promised or 0), 1)
    need = await needs.submit(tx, world.actors["enterprise"], Submission(body=BODY, wanted_by=today), deadlines)
    await tx.execute("UPDATE needs SET wanted_by = $2 WHERE id = $1", need.id, today - timedelta(days=14))
    job = await ranking.read(tx, source, need.id)
    assert job is not None
    assert job.view.days_left is not None
    assert job.view.days_left < 0
