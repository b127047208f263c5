"""Learning from decided lists: grades, what is held out, the verdict."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from msgspec.structs import replace

from market.learning import health, training
from market.learning.model import (
    Climb,
    Evidence,
    Health,
    Line,
    ModelState,
    Obstacle,
    Shown,
    StoredModel,
    grade_of,
    obstacles,
)
from market.learning.serving import scorer_of
from matching.evaluate import Snips, calibration_error, gini
from matching.features import FEATURES
from matching.learn import LearningError
from matching.model import TableModel
from matching.scorer import SCORECARD_2
from matching.trials import Duel

WORST = np.array([feature.worst for feature in FEATURES])
BEST = np.array([feature.best for feature in FEATURES])
CARD = np.array([SCORECARD_2[feature.name] for feature in FEATURES])
ON_TIME = [feature.name for feature in FEATURES].index("on_time")
BASE = Line(
    run_id=0,
    need_id=0,
    day=date(2026, 1, 1),
    region_code="440305",
    item_number=1,
    rank=1,
    shown=True,
    propensity=1.0,
    proposed=False,
    values=(),
    approved=False,
    by_override=False,
    accepted=False,
    completed=False,
    rated_well=False,
    declined=False,
)


def decided(lists: int, *, truth: int | None, candidates: int = 12, seed: int = 0) -> list[Line]:
    """Lists the scorecard made, one a day, of which coordinators took the candidate best in the feature ``truth``;
    None: they take anyone."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(lists):
        good = random.random((candidates, len(FEATURES)))
        order = np.argsort(-(good @ CARD))
        worth = random.random(candidates) if truth is None else good[order, truth]
        chosen = int(np.argmax(worth[: candidates - 2]))
        accepts = bool(random.random() < 0.8)
        for place, row in enumerate(order.tolist()):
            taken = place == chosen
            found.append(
                replace(
                    BASE,
                    run_id=number,
                    need_id=number // 2,
                    day=BASE.day + timedelta(days=number),
                    rank=place + 1,
                    shown=place < candidates - 2,
                    propensity=float(place < candidates - 2),
                    proposed=place == 0,
                    values=tuple((WORST + good[row] * (BEST - WORST)).tolist()),
                    approved=taken,
                    by_override=taken and place > 0,
                    accepted=taken and accepts,
                    completed=taken and accepts,
                    declined=taken and not accepts,
                )
            )
    return found


ODD = TableModel("odd-1", ("moon",), ((),), ((0.0,),), 0.0, 40)


@pytest.fixture(scope="module")
def learned() -> training.Learned:
    """From coordinators who look at nothing but punctuality."""
    return training.learn(decided(150, truth=ON_TIME), None, gap=0.0)


def test_grades_rise_with_every_step_and_an_override_is_the_best() -> None:
    steps = (
        replace(BASE, shown=False),
        BASE,
        replace(BASE, approved=True, declined=True),
        replace(BASE, approved=True, accepted=True),
        replace(BASE, approved=True, accepted=True, completed=True),
        replace(BASE, approved=True, accepted=True, completed=True, rated_well=True),
        replace(BASE, approved=True, by_override=True, declined=True),
    )
    assert [grade_of(line) for line in steps] == [0, 1, 2, 3, 4, 5, 5]


def test_what_coordinators_look_at_is_learned(learned: training.Learned) -> None:
    model, verdict = learned.model, learned.verdict
    assert verdict.promote, verdict.failed
    assert verdict.metrics["change"] > 0.1
    assert verdict.metrics["needs"] == 30
    assert model.window == ("2026-01-01", "2026-04-30")
    assert model.labelled_needs == 60
    assert model.version.startswith("learned-2026-04-30-")
    assert model.calibration is not None
    heights = [max(table) - min(table) for table in model.tables]
    assert np.argmax(heights) == ON_TIME


def test_the_same_decisions_give_the_same_version() -> None:
    lines = decided(40, truth=ON_TIME)
    one, two = (training.learn(lines, None, gap=0.0) for _ in range(2))
    assert one.model == two.model
    other = training.learn(decided(40, truth=ON_TIME, seed=1), None, gap=0.0)
    assert other.model.version != one.model.version


def test_the_gate_refuses_what_is_worse_than_the_champion(learned: training.Learned) -> None:
    careless = training.fitted(training.Decided.of(decided(60, truth=None, seed=2)))
    verdict = training.judged(careless, learned.model, training.Decided.of(decided(40, truth=ON_TIME, seed=3)), gap=0.0)
    assert not verdict.promote
    assert verdict.metrics["change_high"] < 0
    assert any("NDCG@10" in bar for bar in verdict.failed)


@pytest.mark.parametrize("lists", [0, 1, training.FEWEST - 1])
def test_too_little_to_learn_from(lists: int) -> None:
    with pytest.raises(LearningError, match="decided on"):
        training.learn(decided(lists, truth=ON_TIME), None, gap=0.0)


def test_nobody_decided_otherwise_than_all() -> None:
    alike = [
        replace(line, shown=True, approved=False, by_override=False, completed=False, accepted=False)
        for line in decided(50, truth=ON_TIME)
    ]
    with pytest.raises(LearningError, match="different grades"):
        training.learn(alike, None, gap=0.0)


def test_few_answers_are_not_held_to_the_bar_of_many() -> None:
    random = np.random.default_rng(0)
    for answers in (80, 8_000):
        promised = random.random((200, answers))
        errors = [calibration_error(one, random.random(answers) < one) for one in promised]
        assert training.noise(promised[0]) == pytest.approx(np.mean(errors), rel=0.25)
    assert training.noise(np.zeros(0)) == 0.0


def test_what_is_measured_of_a_champion(learned: training.Learned) -> None:
    lines = decided(150, truth=ON_TIME)
    later = [line for line in lines if line.day > date(2026, 4, 30)]
    answers = [line.accepted for line in later if line.approved]
    shown = [
        Shown(first_day=date(2026, 5, 1), institution_id=one, offering_id=one, matches=one, **spread)
        for one, spread in enumerate(
            ({"newcomer": 1.0, "exposure": 2.0, "newcomer_exposure": 2.0},)
            + ({"newcomer": 0.0, "exposure": 2.0, "newcomer_exposure": 0.0},) * 3
        )
    ]
    values = [line.values for line in lines if line.shown]
    today = date(2026, 5, 30)
    found = health.measured(learned.model, lines, values, values[:200], shown, today)
    (answered,) = found.calibration
    assert (answered.count, answered.happened) == (len(answers), pytest.approx(np.mean(answers)))
    assert found.calibration_error == pytest.approx(abs(answered.happened - answered.promised))
    assert found.version == f"scorecard-2+{learned.model.version}"
    assert max(one.psi for one in found.drift) < 0.1
    assert [week.first_day.weekday() for week in found.weeks] == [0] * len(found.weeks)
    assert sum(week.decided for week in found.weeks) == 150
    recent = [line for line in lines if (today - line.day).days <= health.RECENT_DAYS]
    runs = {line.run_id for line in recent}
    assert found.overrides == pytest.approx(len({line.run_id for line in recent if line.by_override}) / len(runs))
    (month,) = found.months
    assert (month.newcomers, month.newcomers_exposure, month.matches) == (0.25, 0.25, 6)
    assert month.gini == pytest.approx(gini(np.arange(4.0)))


def test_nothing_is_measured_where_nothing_was_decided(learned: training.Learned) -> None:
    nothing = health.measured(learned.model, [], [], [], [], date(2026, 5, 30))
    assert nothing == Health(version=nothing.version)
    young = health.measured(learned.model, decided(130, truth=ON_TIME), [], [], [], date(2026, 5, 10))
    assert young.calibration_error is None, "ten answers are too few"
    other = health.measured(ODD, decided(40, truth=ON_TIME), [], [], [], date(2026, 3, 1))
    assert (other.version, other.calibration) == ("scorecard-2", ())


@pytest.mark.parametrize(
    ("today", "first"), [("2026-11-22", "2025-12-01"), ("2026-12-31", "2026-01-01"), ("2026-01-31", "2025-02-01")]
)
def test_twelve_months_are_looked_at(today: str, first: str) -> None:
    assert health.first_month(datetime.fromisoformat(today)).isoformat() == f"{first}T00:00:00"


def test_what_speaks_against_a_challenger() -> None:
    stored = StoredModel(
        version="learned-a",
        state=ModelState.CHALLENGER,
        state_since=datetime(2026, 1, 1, tzinfo=UTC),
        labelled_needs=40,
        first_day=BASE.day,
        last_day=BASE.day,
        metrics={},
        failed=(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        promoted_at=None,
    )

    def against(decided_own: int, effective: float, change: float) -> list[Obstacle]:
        duel = Duel(Snips(0.6, 0.01, 400), Snips(0.6 + change, 0.03, effective), change, 0.02)
        seen = Evidence(500, 0.7, 0.8, 400, decided_own, duel)
        return obstacles(stored, Climb.PROMOTE, seen)

    assert against(60, 90, -0.01) == []
    assert [one.waiting for one in against(39, 90, 0.3)] == [True]
    assert [one.waiting for one in against(60, 39, 0.3)] == [True]
    (worse,) = against(60, 90, -0.03)
    assert not worse.waiting
    assert "低 0.030" in worse.words


def test_a_blend_of_card_and_model_still_sums_up(learned: training.Learned) -> None:
    scorer = scorer_of(learned.model)
    values = np.array([line.values for line in decided(5, truth=None)])
    scores = scorer.score(values)
    assert scores.total == pytest.approx(scores.parts.sum(axis=1), abs=1e-12)
    assert scorer.version == f"scorecard-2+{learned.model.version}"


def test_a_model_of_another_release_leaves_the_ranking_to_the_scorecard() -> None:
    assert scorer_of(ODD).version == "scorecard-2"
