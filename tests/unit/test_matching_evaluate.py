"""Metrics, calibration, balance, SNIPS, chance in lists, and the gate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from msgspec.structs import replace
from sklearn.metrics import ndcg_score

from matching.calibrate import Platt, fit_platt
from matching.errors import FeatureError
from matching.evaluate import (
    Bars,
    Snips,
    Trial,
    balance,
    calibration_error,
    gate,
    gini,
    held_out,
    ndcg,
    paired_bootstrap,
    snips,
)
from matching.explore import Chance, propensities, shuffled
from matching.types import FloatArray

SCORES = arrays(np.float64, st.integers(1, 15), elements=st.floats(-5, 5))


@given(st.integers(2, 20), st.integers(1, 12), st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_ndcg_is_scikit_learns(size: int, k: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    grades, scores = random.integers(0, 5, 2 * size).astype(float), random.permutation(2 * size).astype(float)
    needs = np.repeat([7, 3], size)
    random.shuffle(needs)
    got = ndcg(scores, grades, needs, k=k)
    for value, need in zip(got.tolist(), (3, 7), strict=True):
        mine = needs == need
        gains = 2 ** grades[mine] - 1
        if gains.any():
            assert value == pytest.approx(ndcg_score([gains], [scores[mine]], k=k, ignore_ties=True))
        else:
            assert np.isnan(value)


def test_calibration_error() -> None:
    assert calibration_error(np.full(100, 0.7), np.arange(100) < 70) == pytest.approx(0)
    assert calibration_error(np.full(10, 0.9), np.zeros(10, dtype=bool)) == pytest.approx(0.9)
    assert calibration_error(np.zeros(0), np.zeros(0, dtype=bool)) == 0


def test_platt_recovers_the_line() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(50, 10, 20_000)
    accepted = random.random(20_000) < Platt(0.1, -4.0).probability(scores)
    fitted = fit_platt(scores, accepted)
    assert fitted.slope == pytest.approx(0.1, rel=0.05)
    assert fitted.intercept == pytest.approx(-4, rel=0.05)
    assert calibration_error(fitted.probability(scores), accepted) < 0.02


@given(SCORES, st.randoms(use_true_random=False))
def test_platt_never_falls_and_is_never_certain(scores: FloatArray, random: object) -> None:
    accepted = np.array([random.random() < 0.5 for _ in scores])  # type: ignore[attr-defined]
    fitted = fit_platt(scores, accepted)
    probability = fitted.probability(np.sort(scores))
    assert fitted.slope >= 0
    assert (np.diff(probability) >= 0).all()
    assert ((fit_platt(scores, np.ones(len(scores), dtype=bool)).probability(scores)) < 1).all()


@pytest.mark.parametrize("scores", [np.zeros(0), np.array([np.nan]), np.array([np.inf]), np.zeros(2)])
def test_platt_on_nothing(scores: FloatArray) -> None:
    with pytest.raises(FeatureError):
        fit_platt(scores, np.ones(min(len(scores), 1), dtype=bool))


def test_balance() -> None:
    assert gini(np.array([3.0, 3.0, 3.0])) == pytest.approx(0)
    assert gini(np.array([0.0] * 99 + [5.0])) == pytest.approx(0.99)
    assert gini(np.zeros(4)) == gini(np.zeros(0)) == 0
    got = balance(np.array([0] * 5 + [1] * 4 + [6]), np.linspace(0, 1, 41))
    assert (got.idle, got.top_tenth) == (0.5, 0.6)
    assert got.worst_twentieth == pytest.approx(np.mean([0, 0.025, 0.05]))


def test_bootstrap() -> None:
    low, high = paired_bootstrap(np.random.default_rng(1).normal(0.1, 1, 400))
    assert low < 0.1 < high
    assert high - low == pytest.approx(4 / 20, rel=0.2)
    assert paired_bootstrap(np.zeros(0)) == (0, 0)


def test_snips_finds_the_better_policy() -> None:
    random = np.random.default_rng(2)
    first = random.random(20_000) < 0.8  # logged: option one with .8, it earns .3, the other .6
    reward = (random.random(20_000) < np.where(first, 0.3, 0.6)).astype(float)
    logged = np.where(first, 0.8, 0.2)
    assert snips(reward, logged, np.where(first, 0.1, 0.9)).value == pytest.approx(0.57, abs=0.02)
    same = snips(reward, logged, logged)
    assert same.value == pytest.approx(reward.mean())
    assert same.effective == pytest.approx(20_000)
    assert snips(reward, logged, np.zeros(20_000)) == Snips(0, np.inf, 0)
    with pytest.raises(ValueError, match="above 0"):
        snips(reward[:1], np.zeros(1), np.ones(1))


@given(SCORES, st.integers(0, 20), st.integers(0, 2**31))
def test_chance_never_puts_the_clearly_better_behind(scores: FloatArray, top: int, seed: int) -> None:
    chance = Chance(gap=1.0, temperature=0.5)
    order, propensity = shuffled(scores, chance, top=top, seed=seed)
    assert len(set(order.tolist())) == min(top, len(scores))
    left = set(range(len(scores)))
    for row in order.tolist():
        assert scores[row] >= max(scores[list(left)]) - chance.gap
        left.remove(row)
    assert (propensity > 0).all()
    assert propensities(scores, order, chance) == pytest.approx(propensity)
    assert shuffled(scores, chance, top=top, seed=seed)[0].tolist() == order.tolist()


def test_propensities_are_what_happens() -> None:
    scores, chance = np.array([1.0, 0.5, -9.0]), Chance(gap=1.0, temperature=1.0)
    firsts = [int(shuffled(scores, chance, top=1, seed=seed)[0][0]) for seed in range(4_000)]
    expected = propensities(scores, np.array([1, 0, 2]), chance)
    assert np.mean(np.array(firsts) == 1) == pytest.approx(expected[0], abs=0.03)
    assert propensities(scores, np.array([2]), chance).tolist() == [0]


def trial(noise: float, *, seed: int = 0, needs: int = 300) -> Trial:
    """A champion with noise 1 on the truth against a challenger with `noise`."""
    random = np.random.default_rng(seed)
    grades = random.integers(0, 5, needs * 10).astype(float)
    probability = random.random(needs)
    return Trial(
        champion=grades + random.normal(0, 1, len(grades)),
        challenger=grades + random.normal(0, noise, len(grades)),
        grades=grades,
        needs=np.repeat(np.arange(needs), 10),
        groups={"region": np.repeat(np.arange(needs) % 3, 10)},
        probability=probability,
        accepted=random.random(needs * 1) < probability,
        champion_snips=Snips(0.5, 0.01, 300),
        challenger_snips=Snips(0.5, 0.01, 300),
    )


LENIENT = Bars(calibration_error=0.1)


def test_the_gate_lets_the_better_pass() -> None:
    verdict = gate(trial(0.5), LENIENT)
    assert verdict.promote
    assert verdict.metrics["change_low"] > 0


def test_the_gate_stops_the_worse() -> None:
    failed = gate(trial(2.0), LENIENT).failed
    assert any("NDCG@10 may have changed" in reason for reason in failed)
    assert sum(reason.startswith("region") for reason in failed) == 3


def test_the_gate_stops_one_region_losing() -> None:
    better = trial(0.1)
    lost = better.groups["region"] == 2
    worse = np.where(lost, -better.grades, better.challenger)
    challenger = np.where(lost & (better.needs % 2 == 0), worse, better.challenger)
    failed = gate(replace(better, challenger=challenger), LENIENT).failed
    assert any(reason.startswith("region 2") for reason in failed)
    assert not any(reason.startswith("region 1") for reason in failed)
    assert not any(
        reason.startswith("region")
        for reason in gate(replace(better, challenger=challenger), Bars(group_needs=101)).failed
    )


def test_the_gate_asks_for_calibration_snips_and_needs() -> None:
    good = trial(0.5)
    assert "calibration error" in gate(replace(good, probability=1 - good.probability), Bars()).failed[0]
    assert "SNIPS" in gate(replace(good, challenger_snips=Snips(0.4, 0.01, 300)), LENIENT).failed[0]
    assert "no held-out need" in gate(trial(0.5, needs=0), LENIENT).failed[0]


def test_held_out_is_what_came_last() -> None:
    day = np.array([5, 1, 2, 3, 4, 5, 5, 1, 1, 1])
    assert held_out(day, 0.3).tolist() == (day == 5).tolist()
    assert held_out(day, 0.0).sum() == 0
    assert held_out(day, 0.1).tolist() == (day == 5).tolist(), "never nothing, where there are two days"
    assert held_out(day[:1], 0.3).tolist() == [False]
    assert held_out(day[:0], 0.3).tolist() == []
