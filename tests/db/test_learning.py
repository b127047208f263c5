"""Learned models in the database: what they are trained on, promotion and the way back, ranking with them."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from click.testing import CliRunner, Result
from msgspec import Struct, structs

from infra.db import Database, Transaction
from infra.settings import Settings
from market.calendars.service import Deadlines, DeadlinesSource
from market.cli import main
from market.errors import Conflict, InvalidInput, NotFound
from market.learning import queries, service, training
from market.learning.model import ModelState
from market.matches import queries as match_queries
from market.matches import ranking
from market.matches import service as matches
from market.needs import service as needs
from market.needs.model import Submission
from matching.evaluate import Verdict
from matching.model import TableModel
from tests.conftest import Clone, open_database
from tests.factories import AID, CONSULTING, PATENT, World
from tests.unit.test_learning import ON_TIME, decided
from workers.context import Context
from workers.train import train_nightly

pytestmark = pytest.mark.anyio

SHOWN = 2
ASKED = (("想申请专利，不知道怎么准备材料", PATENT), ("产品被人仿冒，想维权", AID), ("想咨询知识产权政策", CONSULTING))
PASSED = Verdict(
    failed=(),
    metrics=dict.fromkeys(("ndcg@10", "change", "change_low", "change_high", "calibration_error"), 0.5),
)
MISSED = Verdict(failed=("calibration error 0.200",), metrics=PASSED.metrics)


class Past(Struct, frozen=True):
    """A database with decided needs; those whose end the tests know, by what became of them."""

    db: Database
    settings: Settings
    world: World
    needs: dict[str, int]


class People:
    """Lets needs live in one transaction each."""

    def __init__(self, database: Database, world: World, deadlines: Deadlines) -> None:
        self.db, self.world, self.deadlines = database, world, deadlines
        self.source = ranking.CatalogueSource()
        self.coordinator = world.actors["coordinator"]
        self.servers = {actor.institution_id: actor for actor in world.actors.values() if actor.institution_id}

    async def rank(self, body: str, item: str, *, gap: float = 0.0) -> int:
        """A submitted need with a list of two, and all others passed over."""
        async with self.db.transaction() as tx:
            submission = Submission(body=body, item_codes=(item,))
            need = await needs.submit(tx, self.world.actors["enterprise"], submission, self.deadlines)
        async with self.db.transaction() as tx:
            job = await ranking.read(tx, self.source, need.id)
            assert job is not None
            assert await ranking.store(tx, job, ranking.compute(job, top=SHOWN, gap=gap))
        return need.id

    async def approve(self, need_id: int) -> None:
        async with self.db.transaction() as tx:
            match = await match_queries.lock_live(tx, need_id)
            assert match is not None
            await matches.approve(tx, self.coordinator, need_id, match.id, self.deadlines)

    async def override(self, need_id: int, place: int) -> None:
        async with self.db.transaction() as tx:
            run = await match_queries.latest_run(tx, need_id)
            assert run is not None
            chosen = (await match_queries.candidates(tx, run.id))[place]
            await matches.override(tx, self.coordinator, need_id, chosen.offering_id, "更合适", self.deadlines)

    async def answer(self, need_id: int, *, accept: bool, complete: bool = False) -> None:
        async with self.db.transaction() as tx:
            match = await match_queries.lock_live(tx, need_id)
            assert match is not None
            server = self.servers[match.institution_id]
            if not accept:
                await matches.decline(tx, server, match.id, "人手不足", self.deadlines)
                return
            await matches.accept(tx, server, match.id, self.deadlines)
            if complete:
                await matches.deliver(tx, server, match.id, "已办好", self.deadlines)
                await matches.confirm(tx, self.world.actors["enterprise"], need_id)


@pytest.fixture(scope="module")
async def past(clone: Clone) -> AsyncIterator[Past]:
    """Needs of many days, decided in all ways there are."""
    settings = await clone()
    database = open_database(settings)
    async with database.transaction() as tx:
        world, deadlines = await World.read(tx), await DeadlinesSource().get(tx)
    people = People(database, world, deadlines)
    known = {"open": await people.rank(*ASKED[0])}
    for what, place, accept, complete in (
        ("approved", 0, None, False),
        ("accepted", 0, True, False),
        ("overridden", 1, None, False),
        *((f"completed {number}", number % 2, True, True) for number in range(training.FEWEST)),
    ):
        need_id = known[what] = await people.rank(*ASKED[0 if what == "overridden" else len(known) % 3])
        await (people.approve(need_id) if place == 0 else people.override(need_id, place))
        if accept is not None:
            await people.answer(need_id, accept=accept, complete=complete)
    async with database.transaction() as tx:
        await tx.execute("UPDATE ranking_runs SET created_at = created_at - need_id * interval '1 day'")
    yield Past(database, settings, world, known)
    await database.close()


@pytest.fixture
async def changing(past: Past) -> AsyncIterator[Transaction]:
    """A transaction on that database, rolled back after the test."""
    connection = await past.db.connect()
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


def model(seed: int) -> TableModel:
    return training.fitted(training.Decided.of(decided(20, truth=ON_TIME, seed=seed)))


async def ranks(tx: Transaction) -> str:
    """Who would rank now."""
    return (await service.ScorerSource().get(tx)).version


async def test_the_training_set_is_what_happened(past: Past, changing: Transaction) -> None:
    lines = await service.lines(changing)
    by_need = {what: [line for line in lines if line.need_id == need] for what, need in past.needs.items()}
    grades = {what: [training.grade_of(line) for line in of] for what, of in by_need.items()}
    assert grades["open"] == []
    assert grades["approved"][:SHOWN] == [2, 1]
    assert grades["accepted"][:SHOWN] == [3, 1]
    assert grades["overridden"][:SHOWN] == [1, 5]
    assert grades["completed 0"][:SHOWN] == [4, 1]
    assert grades["completed 1"][:SHOWN] == [1, 5]
    for of in by_need.values():
        assert [line.rank for line in of] == list(range(1, len(of) + 1))
        assert {training.grade_of(line) for line in of[SHOWN:]} <= {0}
        assert [line.shown for line in of] == [True] * len(of[:SHOWN]) + [False] * len(of[SHOWN:])
        assert all((line.propensity > 0) == line.shown for line in of)
    assert max(map(len, by_need.values())) > SHOWN
    run = await match_queries.latest_run(changing, past.needs["approved"])
    assert run is not None
    stored = await match_queries.candidates(changing, run.id)
    values = [tuple(part.value for part in candidate.parts) for candidate in stored]
    assert [line.values for line in by_need["approved"][:SHOWN]] == values


async def test_runs_made_with_other_features_are_left_out(changing: Transaction) -> None:
    assert await queries.lines(changing, ("moon",), service.RUNS) == []
    (run_id,) = {line.run_id for line in await queries.lines(changing, await features(changing), 1)}
    assert run_id == max(line.run_id for line in await service.lines(changing))


async def features(tx: Transaction) -> tuple[str, ...]:
    return (await service.ScorerSource().get(tx)).features


async def test_promotion_and_the_way_back(changing: Transaction) -> None:
    first, second, bad = model(1), model(2), model(3)
    for one, verdict in ((first, PASSED), (second, PASSED), (bad, MISSED)):
        assert await service.store(changing, one, verdict, promoting=one is bad)
        assert not await service.store(changing, one, verdict, promoting=True)
        assert await queries.tables(changing, one.version) == one
    assert await ranks(changing) == "scorecard-1"
    await service.promote(changing, first.version)
    await service.promote(changing, second.version)
    assert await ranks(changing) == f"scorecard-1+{second.version}"
    with pytest.raises(Conflict, match="calibration error"):
        await service.promote(changing, bad.version)
    with pytest.raises(Conflict, match="已经在用"):
        await service.promote(changing, second.version)
    with pytest.raises(NotFound):
        await service.promote(changing, "learned-none")
    await service.promote(changing, bad.version, anyway=True)
    states = {stored.version: stored.state for stored in await service.models(changing)}
    retired, champion = ModelState.RETIRED, ModelState.CHAMPION
    assert states == {first.version: retired, second.version: retired, bad.version: champion}
    steps = [await service.roll_back(changing) for _ in range(3)]
    assert steps == [second.version, first.version, None]
    assert await ranks(changing) == "scorecard-1"
    with pytest.raises(Conflict, match="评分卡"):
        await service.roll_back(changing)


async def test_there_is_one_champion(changing: Transaction) -> None:
    for seed in (1, 2):
        await service.store(changing, model(seed), PASSED, promoting=seed == 1)
    with pytest.raises(asyncpg.UniqueViolationError, match="models_one_champion"):
        await queries.crown(changing, model(2).version, None)


async def test_a_new_champion_ranks_without_a_restart(past: Past) -> None:
    async with past.db.transaction() as tx:
        people = People(past.db, past.world, await DeadlinesSource().get(tx))
    await people.rank(*ASKED[0])
    async with past.db.transaction() as tx:
        await service.store(tx, model(1), PASSED, promoting=True)
    need_id = await people.rank(*ASKED[0])
    async with past.db.transaction() as tx:
        run = await match_queries.latest_run(tx, need_id)
        assert run is not None
        assert run.model_version == f"scorecard-1+{model(1).version}"
        shown = await match_queries.candidates(tx, run.id)
        assert len(shown) == SHOWN
        for candidate in shown:
            assert sum(part.points for part in candidate.parts) == pytest.approx(candidate.score, abs=1e-9)
            assert all(part.points <= part.weight + 1e-9 for part in candidate.parts)
        assert await service.roll_back(tx) is None
        passed_over = await tx.fetchval("SELECT offering_id FROM candidates WHERE run_id = $1 AND NOT shown", run.id)
    with pytest.raises(InvalidInput):
        async with past.db.transaction() as tx:
            await matches.override(tx, people.coordinator, need_id, passed_over, "更合适", people.deadlines)


async def test_chance_is_logged(past: Past) -> None:
    async with past.db.transaction() as tx:
        people = People(past.db, past.world, await DeadlinesSource().get(tx))
    need_id = await people.rank(*ASKED[0], gap=100.0)
    async with past.db.reading() as tx:
        logged = await tx.fetch(
            "SELECT c.propensity FROM candidates c JOIN ranking_runs r ON r.id = c.run_id AND r.need_id = $1"
            " WHERE c.shown ORDER BY c.rank",
            need_id,
        )
    assert len(logged) == SHOWN
    assert all(0 < row["propensity"] <= 1 for row in logged)
    assert any(row["propensity"] < 1 for row in logged)


async def test_the_nightly_training_stores_what_it_learned(past: Past) -> None:
    settings = structs.replace(past.settings, promote_nightly=True)
    await train_nightly({"context": Context(settings, past.db, ranking.CatalogueSource())})
    async with past.db.reading() as tx:
        (stored, *_) = await service.models(tx)
    assert stored.labelled_needs >= training.FEWEST * 3 // 4
    assert stored.metrics["needs"] > 0
    assert (stored.state is ModelState.CHAMPION) is not bool(stored.failed)


async def test_the_commands(clone: Clone) -> None:
    settings = await clone()
    env = {"ZHIPEI_DATABASE_URL": settings.database_url, "ZHIPEI_REDIS_URL": settings.redis_url}

    async def zhipei(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, words, env=env)

    assert "no ranking has been decided on yet" in (await zhipei("train")).output
    database = open_database(settings)
    async with database.transaction() as tx:
        await service.store(tx, model(1), PASSED, promoting=False)
    await database.close()
    version = model(1).version
    assert f"{version}  candidate" in (await zhipei("models")).output
    assert "ranks now" in (await zhipei("promote", version)).output
    assert f"{version}  champion" in (await zhipei("models")).output
    assert "the scorecard ranks now" in (await zhipei("rollback")).output
    refused = await zhipei("rollback")
    assert refused.exit_code == 1
    assert "评分卡" in refused.output
