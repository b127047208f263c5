"""Learned models in the database: what they are trained on, promotion and the way back, ranking with them."""

import asyncio
from collections.abc import AsyncIterator
from functools import cache

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
from market.learning.model import (
    AGREEMENT,
    DECIDED,
    SHADOWED,
    By,
    Climb,
    Evidence,
    ModelState,
    StoredModel,
    grade_of,
)
from market.learning.serving import ServingSource
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
    metrics=dict.fromkeys(("needs", "ndcg@10", "change", "change_low", "change_high", "calibration_error"), 0.5),
)
ME = By("测试员", "试试看")
LONG_AGO = "2000-01-01"
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
                await matches.decline(tx, server, match.id, "人手不足")
                return
            await matches.accept(tx, server, match.id, self.deadlines)
            if complete:
                await matches.deliver(tx, server, match.id, "已办好")
                await matches.confirm(tx, self.world.actors["enterprise"], need_id)


@pytest.fixture(scope="module")
async def past(clone: Clone) -> AsyncIterator[Past]:
    """Needs of many days, decided in all ways there are."""
    settings = await clone()
    database = open_database(settings)
    async with database.transaction() as tx:
        world, deadlines = await World.read(tx), await DeadlinesSource(settings).get(tx)
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
    await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # models are trained meanwhile
    yield connection
    await transaction.rollback()
    await connection.close()


@cache
def model(seed: int) -> TableModel:
    return training.fitted(training.Decided.of(decided(40, truth=ON_TIME, seed=seed)))


async def ranks(tx: Transaction) -> str:
    """Who would rank now."""
    return (await ServingSource().get(tx)).champion.version


async def promote(tx: Transaction, version: str) -> None:
    """From the foot of the ladder to its top."""
    await service.climb(tx, version, Climb.PROMOTE, ME, anyway=True)


async def test_the_training_set_is_what_happened(past: Past, changing: Transaction) -> None:
    lines = await service.lines(changing)
    by_need = {what: [line for line in lines if line.need_id == need] for what, need in past.needs.items()}
    grades = {what: [grade_of(line) for line in of] for what, of in by_need.items()}
    assert grades["open"] == []
    assert grades["approved"][:SHOWN] == [2, 1]
    assert grades["accepted"][:SHOWN] == [3, 1]
    assert grades["overridden"][:SHOWN] == [1, 5]
    assert grades["completed 0"][:SHOWN] == [4, 1]
    assert grades["completed 1"][:SHOWN] == [1, 5]
    for of in by_need.values():
        assert [line.rank for line in of] == list(range(1, len(of) + 1))
        assert {grade_of(line) for line in of[SHOWN:]} <= {0}
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
    return (await ServingSource().get(tx)).champion.features


async def test_promotion_and_the_way_back(changing: Transaction) -> None:
    first, second, bad = model(1), model(2), model(3)
    for one, verdict in ((first, PASSED), (second, PASSED), (bad, MISSED)):
        assert await service.store(changing, one, verdict)
        assert not await service.store(changing, one, verdict)
        assert await queries.tables(changing, one.version) == one
    assert await ranks(changing) == "scorecard-2"
    await promote(changing, first.version)
    await promote(changing, second.version)
    assert await ranks(changing) == f"scorecard-2+{second.version}"
    with pytest.raises(Conflict, match="calibration error"):
        await service.climb(changing, bad.version, Climb.PROMOTE, ME)
    with pytest.raises(Conflict, match="现在是「在用」"):
        await promote(changing, second.version)
    with pytest.raises(NotFound):
        await promote(changing, "learned-none")
    await promote(changing, bad.version)
    retired, champion = ModelState.RETIRED, ModelState.CHAMPION
    assert await states(changing) == {first.version: retired, second.version: retired, bad.version: champion}
    steps = [await service.roll_back(changing, ME) for _ in range(3)]
    assert steps == [second.version, first.version, None]
    assert await ranks(changing) == "scorecard-2"
    with pytest.raises(Conflict, match="评分卡"):
        await service.roll_back(changing, ME)


async def states(tx: Transaction) -> dict[str, ModelState]:
    return {stored.version: stored.state for stored in await service.models(tx)}


async def candidates(tx: Transaction, *seeds: int) -> list[str]:
    """Versions of models that passed the gate."""
    for seed in seeds:
        await service.store(tx, model(seed), PASSED)
    return [model(seed).version for seed in seeds]


async def test_the_ladder_has_no_short_cuts(changing: Transaction) -> None:
    one, two = await candidates(changing, 1, 2)
    for step in (Climb.CHALLENGE, Climb.PROMOTE):
        with pytest.raises(Conflict, match="按顺序应先旁听"):
            await service.climb(changing, one, step, ME)
        with pytest.raises(InvalidInput) as refused:
            await service.climb(changing, one, step, By("测试员"), anyway=True)
        assert "why" in refused.value.fields
    await service.climb(changing, one, Climb.SHADOW, By("测试员"))
    for step in (Climb.SHADOW, Climb.CHALLENGE):
        with pytest.raises(Conflict, match="正在旁听"):
            await service.climb(changing, two, step, ME, anyway=True)
    with pytest.raises(Conflict, match="现在是「旁听」，不能再旁听"):
        await service.climb(changing, one, Climb.SHADOW, ME, anyway=True)
    with pytest.raises(Conflict, match=f"已旁听 0 次匹配，满 {SHADOWED} 次再看"):
        await service.climb(changing, one, Climb.CHALLENGE, ME)
    await service.climb(changing, one, Climb.CHALLENGE, ME, anyway=True)
    with pytest.raises(Conflict, match="不能再旁听"):
        await service.climb(changing, one, Climb.SHADOW, ME, anyway=True)
    with pytest.raises(Conflict, match=f"有 0 次，满 {DECIDED} 次再看"):
        await service.climb(changing, one, Climb.PROMOTE, ME)
    await service.climb(changing, one, Climb.PROMOTE, ME, anyway=True)
    assert await states(changing) == {one: ModelState.CHAMPION, two: ModelState.CANDIDATE}
    steps = [(step.version, step.words, step.who, step.why) for step in await service.steps(changing)]
    assert steps == [
        (one, "试排 → 在用", "测试员", "试试看"),
        (one, "旁听 → 试排", "测试员", "试试看"),
        (one, "候选 → 旁听", "测试员", ""),
    ]


async def test_steps_are_never_changed(changing: Transaction) -> None:
    (one,) = await candidates(changing, 1)
    await service.climb(changing, one, Climb.SHADOW, ME)
    with pytest.raises(asyncpg.PostgresError, match="model_steps"):
        await changing.execute("UPDATE model_steps SET why = 'other'")


async def test_a_trial_ends_with_its_champion(changing: Transaction) -> None:
    one, two, three = await candidates(changing, 1, 2, 3)
    with pytest.raises(Conflict, match="没有旁听或试排"):
        await service.end_trial(changing, ME)
    await service.climb(changing, one, Climb.SHADOW, ME)
    assert await service.end_trial(changing, ME) == one
    assert await states(changing) == dict.fromkeys((one,), ModelState.RETIRED) | dict.fromkeys(
        (two, three), ModelState.CANDIDATE
    )
    await service.climb(changing, one, Climb.SHADOW, ME)  # who was stopped may try again
    await promote(changing, two)
    assert (await states(changing))[one] is ModelState.RETIRED
    await service.climb(changing, three, Climb.SHADOW, ME)
    assert await service.roll_back(changing, By("测试员")) is None
    assert set((await states(changing)).values()) == {ModelState.RETIRED}
    assert {step.why for step in (await service.steps(changing))[:2]} == {"退回上一个模型"}
    await service.climb(changing, three, Climb.SHADOW, ME)
    assert await service.roll_back(changing, ME) is None, "without a champion, what is on trial is stopped"
    assert (await ServingSource().get(changing)).trial is None


@pytest.mark.parametrize(
    ("taken", "second", "rule"),
    [
        (ModelState.CHAMPION, ModelState.CHAMPION, "models_one_champion"),
        (ModelState.SHADOW, ModelState.CHALLENGER, "models_one_on_trial"),
        (ModelState.SHADOW, ModelState.SHADOW, "models_one_on_trial"),
    ],
)
async def test_there_is_one_of_each(changing: Transaction, taken: ModelState, second: ModelState, rule: str) -> None:
    one, two = await candidates(changing, 1, 2)
    await queries.move(changing, one, taken, ME)
    with pytest.raises(asyncpg.UniqueViolationError, match=rule):
        await queries.move(changing, two, second, ME)


async def on_trial(tx: Transaction, version: str) -> tuple[StoredModel, Evidence]:
    """The model, as if it stood where it stands since long ago."""
    await tx.execute("UPDATE models SET state_since = $2::text::timestamptz WHERE version = $1", version, LONG_AGO)
    found = await service.find(tx, version)
    return found, await service.evidence(tx, found)


async def shadowed(tx: Transaction, version: str, *, agreement: float, share: float = 0.0) -> None:
    """Rankings that the model took part in: all there are, each as often as it takes to be enough for a shadow.

    A challenger made every second of them. Where the two differ, the one who ranks has put another first.
    """
    await tx.execute(
        """
        INSERT INTO trial_runs
        SELECT id, $1, $2::float8, by_trial, (same OR NOT by_trial)::int, (same OR by_trial)::int, 0.8, '{}'
        FROM (SELECT id, $2::float8 > 0 AND id % 2 = 0 AS by_trial, (id * 7919 % 100) < 100 * $3::float8 AS same
              FROM ranking_runs) r
        """,
        version,
        share,
        agreement,
    )


async def more_runs(tx: Transaction, copies: int) -> None:
    """Rankings nobody has decided on."""
    for _ in range(copies):
        await tx.execute(
            """
            WITH new AS (
                INSERT INTO ranking_runs (need_id, need_version, node_id, model_version, seed, considered, excluded,
                                          excluded_counts)
                SELECT need_id, need_version, node_id, 'copy', id, considered, excluded, excluded_counts
                FROM ranking_runs WHERE model_version <> 'copy' RETURNING id, seed
            )
            INSERT INTO candidates (run_id, rank, offering_id, offering_version, score, parts, shown, propensity)
            SELECT new.id, rank, offering_id, offering_version, score, parts, shown, propensity
            FROM candidates c JOIN new ON c.run_id = new.seed
            """
        )


async def test_the_ladder_climbed_by_night(changing: Transaction) -> None:
    """A rung at a time, and only with the evidence for it."""
    assert await service.climb_by_itself(changing) is None
    await service.store(changing, model(3), MISSED)
    assert await service.climb_by_itself(changing) is None, "it has missed a bar"
    (one,) = await candidates(changing, 1)
    await changing.execute("UPDATE models SET created_at = created_at + interval '1 second' WHERE version = $1", one)
    assert await service.climb_by_itself(changing) == f"{one}: 候选 → 旁听"
    assert await service.climb_by_itself(changing) is None, "nothing is known yet"
    await more_runs(changing, 3)
    await shadowed(changing, one, agreement=0.7)
    _, seen = await on_trial(changing, one)
    assert seen.rankings >= SHADOWED
    assert seen.agreement == pytest.approx(0.7, abs=0.1)
    assert (seen.overlap, seen.duel) == (pytest.approx(0.8), None)
    assert await service.climb_by_itself(changing) == f"{one}: 旁听 → 试排"
    _, seen = await on_trial(changing, one)
    assert seen.rankings == 0, "what it did as a shadow does not count for the challenger"
    await changing.execute("DELETE FROM trial_runs")
    await shadowed(changing, one, agreement=1.0, share=0.5)
    _, seen = await on_trial(changing, one)
    assert seen.duel is not None
    assert seen.decided_own < DECIDED
    assert await service.climb_by_itself(changing) is None
    await changing.execute("UPDATE trial_runs SET by_trial = true")
    _, seen = await on_trial(changing, one)
    assert seen.decided_own >= DECIDED
    assert await service.climb_by_itself(changing) == f"{one}: 试排 → 在用"
    assert await ranks(changing) == f"scorecard-2+{one}"
    await candidates(changing, 2)
    assert await service.climb_by_itself(changing) is None, "it was judged against another champion"
    await service.roll_back(changing, By(service.NIGHTLY))
    assert await service.climb_by_itself(changing) is None, "and not against the scorecard either"
    assert {step.who for step in await service.steps(changing)} == {service.NIGHTLY}


async def test_the_night_stops_what_missed_a_bar(changing: Transaction) -> None:
    (one,) = await candidates(changing, 1)
    await service.climb(changing, one, Climb.SHADOW, ME)
    await more_runs(changing, 3)
    await shadowed(changing, one, agreement=AGREEMENT / 3)
    stored, _ = await on_trial(changing, one)
    done = await service.climb_by_itself(changing)
    assert done is not None
    assert "停用" in done
    assert "首选相同的只有" in (await service.steps(changing))[0].why
    assert stored.version == one
    assert await service.climb_by_itself(changing) is None, "and does not try it again"


async def test_the_night_stops_a_challenger_that_earns_less(changing: Transaction) -> None:
    """Coordinators put another in the place of every first choice that is the challenger's own."""
    (one,) = await candidates(changing, 1)
    await service.climb(changing, one, Climb.CHALLENGE, ME, anyway=True)
    await changing.execute(
        """
        INSERT INTO trial_runs
        SELECT r.id, $1, 0.7, true, (NOT overridden)::int, 1, 1, '{}'
        FROM (SELECT id, EXISTS (SELECT FROM events e JOIN matches m ON m.id = e.match_id
                                 WHERE m.run_id = r.id AND e.action = 'override') AS overridden FROM ranking_runs r) r
        """,
        one,
    )
    _, seen = await on_trial(changing, one)
    assert seen.duel is not None
    assert seen.duel.change < -seen.duel.error < 0
    assert seen.duel.champion.value > seen.duel.challenger.value
    done = await service.climb_by_itself(changing)
    assert done is not None
    assert "派单成效比现用的低" in done


async def test_what_was_logged_of_a_trial_is_what_learning_weighs_by(changing: Transaction) -> None:
    (one,) = await candidates(changing, 1)
    before = {line.run_id: line for line in await service.lines(changing) if line.rank == 1}
    await shadowed(changing, one, agreement=0.5, share=0.25)
    after = {line.run_id: line for line in await service.lines(changing) if line.rank == 1}
    assert after.keys() == before.keys()
    found = {line.propensity for line in after.values()}
    assert found == {0.25, 0.75, 1.0}, "by the challenger alone, by the champion alone, by both"
    rest = [line.propensity for line in await service.lines(changing) if line.rank > 1]
    assert set(rest) <= {0.0, 1.0}


async def test_a_new_champion_ranks_without_a_restart(past: Past) -> None:
    people = await people_of(past)
    await people.rank(*ASKED[0])
    async with past.db.transaction() as tx:
        await candidates(tx, 1)
        await promote(tx, model(1).version)
    need_id = await people.rank(*ASKED[0])
    async with past.db.transaction() as tx:
        run = await match_queries.latest_run(tx, need_id)
        assert run is not None
        assert run.model_version == f"scorecard-2+{model(1).version}"
        shown = await match_queries.candidates(tx, run.id)
        assert len(shown) == SHOWN
        for candidate in shown:
            assert sum(part.points for part in candidate.parts) == pytest.approx(candidate.score, abs=1e-9)
            assert all(part.points <= part.weight + 1e-9 for part in candidate.parts)
        assert await service.roll_back(tx, ME) is None
        passed_over = await tx.fetchval("SELECT offering_id FROM candidates WHERE run_id = $1 AND NOT shown", run.id)
    with pytest.raises(InvalidInput):
        async with past.db.transaction() as tx:
            await matches.override(tx, people.coordinator, need_id, passed_over, "更合适", people.deadlines)


async def people_of(past: Past) -> People:
    async with past.db.transaction() as tx:
        return People(past.db, past.world, await DeadlinesSource(past.settings).get(tx))


async def test_chance_is_logged(past: Past) -> None:
    need_id = await (await people_of(past)).rank(*ASKED[0], gap=100.0)
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
        health = await service.latest_health(tx)
    assert stored.labelled_needs >= training.FEWEST * 3 // 4
    assert stored.metrics["needs"] > 0
    assert (stored.state is ModelState.SHADOW) is not bool(stored.failed)
    assert health is not None
    assert health.content.version == "scorecard-2"


async def test_what_the_night_measures(past: Past, changing: Transaction) -> None:
    lines = await service.lines(changing)
    last = max(line.day for line in lines)
    (one,) = await candidates(changing, 1)
    await changing.execute("UPDATE models SET first_day = $1, last_day = $2", min(line.day for line in lines), last)
    measured = (await service.measure(changing)).content
    stored = await service.latest_health(changing)
    assert stored is not None
    assert stored.content == measured
    assert measured.version == "scorecard-2"
    runs = {line.run_id for line in lines}
    assert sum(week.decided for week in measured.weeks) == len(runs), "all within half a year"
    overridden = {line.run_id for line in lines if line.by_override}
    shares = [week.overridden * week.decided for week in measured.weeks]
    assert sum(shares) == pytest.approx(len(overridden))
    firsts = [week.first_approved * week.decided for week in measured.weeks]
    assert sum(firsts) == pytest.approx(len(runs) - len(overridden))
    assert all(week.ndcg is None or 0 < week.ndcg <= 1 for week in measured.weeks)
    assert {one.feature for one in measured.drift} == set(await features(changing))
    assert all(one.psi >= 0 for one in measured.drift)
    assert sum(month.matches for month in measured.months) == await changing.fetchval(
        "SELECT count(DISTINCT match_id) FROM events WHERE to_state = 'approved'"
    )
    for month in measured.months:
        assert 0 <= month.newcomers <= 1
        assert 0 <= month.newcomers_exposure <= 1
        assert 0 <= month.gini < 1
    assert one in {stored.version for stored in await service.models(changing)}


async def test_the_commands(clone: Clone) -> None:
    settings = await clone()
    env = {"ZHIPEI_DATABASE_URL": settings.database_url, "ZHIPEI_REDIS_URL": settings.redis_url}

    async def zhipei(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, words, env=env)

    assert "nothing measured yet" in (await zhipei("models", "--metrics")).output
    learned = await zhipei("train", "--climb")
    assert "no ranking has been decided on yet" in learned.output
    assert "on the ladder: nothing to do" in learned.output
    database = open_database(settings)
    async with database.transaction() as tx:
        version, other = await candidates(tx, 1, 2)
    await database.close()
    assert f"{version}  candidate" in (await zhipei("models")).output
    skipped = await zhipei("promote", version)
    assert skipped.exit_code == 1
    assert "按顺序应先旁听" in skipped.output
    assert "watches now" in (await zhipei("shadow", version)).output
    assert f"{version}  shadow" in (await zhipei("models")).output
    second = await zhipei("shadow", other)
    assert second.exit_code == 1
    assert "同时只能有一个" in second.output
    assert "0 次匹配" in (await zhipei("challenge", version)).output
    unexplained = await zhipei("challenge", version, "--anyway")
    assert unexplained.exit_code == 1
    assert "请写明为什么" in unexplained.output
    assert "ranks a tenth" in (await zhipei("challenge", version, "--anyway", "--why", "演示")).output
    told = (await zhipei("models", "--metrics")).output
    assert f"{version}  challenger" in told
    assert "on trial: 0 rankings" in told
    assert "scorecard-2 ranks" in told
    assert f"{version} is stopped" in (await zhipei("rollback", "--trial")).output
    assert "ranks now" in (await zhipei("promote", version, "--anyway", "--why", "演示")).output
    assert f"{version}  champion" in (await zhipei("models")).output
    assert "the scorecard ranks now" in (await zhipei("rollback", "--why", "结果变差")).output
    for refused in (await zhipei("rollback"), await zhipei("rollback", "--trial")):
        assert refused.exit_code == 1
    assert "评分卡" in (await zhipei("rollback")).output
