"""A plan as arrays and words: one scale of utility, who comes near, pins, bars, binding reasons, prices left behind."""

from datetime import UTC, datetime

import numpy as np
import pytest
from msgspec import structs

from market.plans.model import PairRule, QueuedCandidate, QueuedNeed, QueuedOffering, RuleKind
from market.plans.solving import Job, Solved, Yardstick, compute, near, worth_of
from matching.calibrate import Platt
from matching.features import FEATURES
from matching.model import TableModel
from matching.scorer import default_scorecard

CARD = Yardstick(default_scorecard(), None)
BEST = tuple(feature.best for feature in FEATURES)
MOST = float(default_scorecard().weights.sum())


def candidate(need_id: int, offering_id: int, share: float, **changes: object) -> QueuedCandidate:
    """A candidate whose values give the scorecard this share of its points."""
    values = tuple(f.worst + share * (f.best - f.worst) for f in FEATURES)
    made = QueuedCandidate(
        need_id=need_id, offering_id=offering_id, score=100 * share, most=100.0, values=values, conflict=False
    )
    return structs.replace(made, **changes)


def need(need_id: int, first_id: int) -> QueuedNeed:
    return QueuedNeed(
        need_id=need_id, match_id=100 + need_id, first_id=first_id, enterprise_name=f"企业{need_id}", body="想申请专利"
    )


def offering(offering_id: int, capacity: int, load: int = 0) -> QueuedOffering:
    return QueuedOffering(
        offering_id=offering_id,
        institution_id=offering_id,
        institution_name=f"机构{offering_id}",
        title=f"服务{offering_id}",
        capacity=capacity,
        load=load,
    )


def rule(need_id: int, offering_id: int, kind: RuleKind, reason: str = "") -> PairRule:
    return PairRule(
        need_id=need_id,
        offering_id=offering_id,
        kind=kind,
        reason=reason,
        enterprise_name=f"企业{need_id}",
        institution_name=f"机构{offering_id}",
        title=f"服务{offering_id}",
        made_by_name="李工",
        created_at=datetime(2026, 3, 2, tzinfo=UTC),
    )


def job(rules: tuple[PairRule, ...] = (), capacities: tuple[int, ...] = (5, 5), needs: int = 3) -> Job:
    """Needs that all have offering 1 first and offering 2 next."""
    return Job(
        plan_id=1,
        needs=[need(n, 1) for n in range(1, needs + 1)],
        candidates=[one for n in range(1, needs + 1) for one in (candidate(n, 1, 0.8), candidate(n, 2, 0.72))],
        offerings=[offering(number, capacity) for number, capacity in enumerate(capacities, start=1)],
        rules=list(rules),
        beyond=0,
        yardstick=CARD,
    )


def planned(solved: Solved) -> dict[int, int]:
    return {pair.need_id: pair.planned.offering_id for pair in solved.content.pairs}


# one scale -----------------------------------------------------------------------------------------------------------


def test_all_runs_are_measured_by_the_scorer_in_force() -> None:
    """The second was ranked by a model with other points: its stored score must not count."""
    same = [candidate(1, 1, 0.6), candidate(2, 1, 0.6, score=3.1, most=7.0)]
    found = worth_of(same, CARD)
    assert found.utility.tolist() == [pytest.approx(0.6)] * 2
    assert found.scored_by == default_scorecard().version


def test_a_calibrated_scorer_gives_probabilities() -> None:
    platt = Platt(slope=0.1, intercept=-4.0)
    found = worth_of([candidate(1, 1, 0.6), candidate(1, 2, 0.2)], Yardstick(default_scorecard(), platt))
    scores = np.array([0.6, 0.2]) * MOST
    assert found.utility.tolist() == pytest.approx(platt.probability(scores).tolist())
    assert found.calibration == platt


def test_a_run_with_other_features_brings_everybody_back_to_shares() -> None:
    platt = Platt(slope=0.1, intercept=-4.0)
    old = candidate(2, 1, 0.5, values=None)
    found = worth_of([candidate(1, 1, 0.6), old], Yardstick(default_scorecard(), platt))
    assert found.utility.tolist() == [0.6, 0.5]
    assert (found.scored_by, found.calibration) == (None, None)
    solved = compute(structs.replace(job(needs=1), candidates=[candidate(1, 1, 0.8, values=None)]))
    assert solved.scored_by is None
    assert not solved.content.by_acceptance


def test_the_calibration_counts_only_with_the_model_it_belongs_to() -> None:
    platt = Platt(slope=0.1, intercept=-4.0)
    names = tuple(feature.name for feature in FEATURES)
    tables = TableModel("fits", names, ((),) * len(names), ((0.0,),) * len(names), 0.0, 40, calibration=platt)
    assert Yardstick.of(tables).calibration == platt
    odd = TableModel("odd", ("moon",), ((),), ((0.0,),), 0.0, 40, calibration=platt)
    assert Yardstick.of(odd).calibration is None
    assert Yardstick.of(None).calibration is None


def test_who_comes_near_is_a_matter_of_the_score_and_pins_come_along() -> None:
    candidates = [candidate(1, 1, 0.8), candidate(1, 2, 0.61), candidate(1, 3, 0.59), candidate(1, 4, 0.1)]
    kept = near([need(1, 1)], candidates, [rule(1, 4, RuleKind.PIN)])
    assert [one.offering_id for one in kept] == [1, 2, 4]
    assert [one.offering_id for one in near([need(1, 3)], candidates, [])] == [1, 2, 3], "what was proposed stays"


# pins and bars -------------------------------------------------------------------------------------------------------


def test_pins_are_kept_exactly_and_bars_hold() -> None:
    rules = (rule(1, 2, RuleKind.PIN, "老客户"), rule(2, 1, RuleKind.BAR, "正在打官司"))
    content = compute(job(rules)).content
    pairs = {pair.need_id: pair for pair in content.pairs}
    assert planned(compute(job(rules))) == {1: 2, 2: 2, 3: 1}
    assert pairs[1].pinned
    assert not pairs[2].pinned
    assert pairs[1].reason == "李工固定了这项服务：老客户"
    assert pairs[2].reason == "首选已被李工排除：正在打官司"
    assert content.rules == rules
    assert content.first_choices.matched == 2, "a barred first choice would not be approved"


def test_a_need_whose_candidates_are_all_barred_is_left_with_the_reasons() -> None:
    rules = (rule(1, 1, RuleKind.BAR, "有纠纷"), rule(1, 2, RuleKind.BAR, "太远"))
    (left,) = compute(job(rules)).content.left_over
    assert left.reason == "conflict"
    assert "机构1（有纠纷）；机构2（太远）" in left.words


def test_an_institution_that_is_the_enterprise_itself() -> None:
    own = structs.replace(job(needs=1), candidates=[candidate(1, 1, 0.8, conflict=True)])
    assert "企业自己的机构" in compute(own).content.left_over[0].words
    (words,) = compute(structs.replace(own, rules=[rule(1, 1, RuleKind.PIN)])).content.unsolvable
    assert "这家机构就是企业自己" in words


def test_two_pins_on_one_free_slot_have_no_solution_but_reasons() -> None:
    rules = (rule(1, 1, RuleKind.PIN), rule(3, 1, RuleKind.PIN))
    solved = compute(job(rules, capacities=(1, 5)))
    (words,) = solved.content.unsolvable
    assert words == "需求 1、3 固定给了机构1「服务1」，它只剩 1 个名额。请取消 1 条固定，或请机构增加名额。"
    assert solved.content.pairs == solved.content.left_over == ()
    assert solved.content.planned.matched == 0
    assert (solved.prices, solved.scored_by) == ((), None), "what cannot be has no prices"
    full = compute(job(rules, capacities=(0, 5))).content.unsolvable
    assert "它没有空余名额，或已暂停受理。请取消 2 条固定" in full[0]


def test_a_pin_on_who_is_no_candidate_any_more() -> None:
    asked = job((rule(2, 3, RuleKind.PIN),), capacities=(5, 5, 5))
    (words,) = compute(asked).content.unsolvable
    assert "需求 2 固定给了机构3「服务3」，但重新匹配后它已不是这条需求的候选" in words


# figures -------------------------------------------------------------------------------------------------------------


def test_prices_are_left_for_offerings_in_demand() -> None:
    solved = compute(job(capacities=(2, 5), needs=4))
    (price,) = solved.prices
    assert price.offering_id == 1
    assert 0.05 < price.price < 0.2, "about what the next best is behind"
    assert solved.scored_by == default_scorecard().version
    assert compute(job(capacities=(50, 50))).prices == ()


def test_how_work_is_spread_is_told_for_the_plan_and_for_the_first_choices() -> None:
    content = compute(job(capacities=(50, 50), needs=4)).content
    plan, first = content.planned.balance, content.first_choices.balance
    assert plan is not None
    assert first is not None
    assert (content.planned.idle, content.first_choices.idle) == (0, 1)
    assert plan.gini < first.gini
    assert first.top_tenth == 1.0
    assert first.worst_twentieth == pytest.approx(0.8)
    tight = compute(job(capacities=(2, 0), needs=4)).content.planned.balance
    assert tight is not None
    assert tight.worst_twentieth == 0.0, "who is left over gets nothing"
