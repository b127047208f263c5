"""Drift, reliability, exposure."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from matching.errors import FeatureError
from matching.evaluate import calibration_error
from matching.monitor import exposure, psi, reliability

RANDOM = np.random.default_rng(0)
VALUES = arrays(np.float64, st.integers(1, 200), elements=st.floats(-1e6, 1e6))


def test_what_has_not_changed_has_not_drifted() -> None:
    for draw in (RANDOM.random, RANDOM.standard_normal, lambda n: RANDOM.integers(0, 3, n).astype(float)):
        assert psi(draw(20_000), draw(2_000)) < 0.02
    assert psi(np.ones(50), np.ones(9)) == pytest.approx(0, abs=1e-9)


def test_a_shift_by_a_standard_deviation_is_large_and_a_slight_one_small() -> None:
    before = RANDOM.standard_normal(20_000)
    assert psi(before, before + 1) == pytest.approx(1.0, abs=0.15), "about the square of the shift"
    assert psi(before, before + 0.1) < 0.1


def test_shares_of_a_feature_of_two_values() -> None:
    before, after = np.repeat([0.0, 1.0], [5_000, 5_000]), np.repeat([0.0, 1.0], [8_000, 2_000])
    assert psi(before, after) == pytest.approx(0.3 * np.log(0.8 / 0.5) - 0.3 * np.log(0.2 / 0.5), rel=1e-3)


@pytest.mark.parametrize("before", [0.0, 1.0])
def test_a_constant_that_changed_is_noticed_in_either_direction(before: float) -> None:
    assert psi(np.full(500, before), np.full(500, 1 - before)) > 1


@given(VALUES, VALUES)
def test_drift_is_finite_and_never_negative(before: np.ndarray, after: np.ndarray) -> None:
    assert 0 <= psi(before, after) + 1e-12 < float("inf")


@pytest.mark.parametrize("bad", [np.zeros(0), np.array([np.nan]), np.array([np.inf, 1.0])])
def test_drift_needs_finite_values(bad: np.ndarray) -> None:
    for pair in ((bad, np.ones(3)), (np.ones(3), bad)):
        with pytest.raises(FeatureError, match="finite"):
            psi(*pair)


def test_reliability_is_what_the_calibration_error_sums_up() -> None:
    promised = RANDOM.random(1_000)
    happened = RANDOM.random(1_000) < promised**2
    bins = reliability(promised, happened)
    assert len(bins) == 10
    assert sum(one.count for one in bins) == 1_000
    assert [one.promised for one in bins] == sorted(one.promised for one in bins)
    error = sum(one.count * abs(one.promised - one.happened) for one in bins) / 1_000
    assert error == pytest.approx(calibration_error(promised, happened))
    assert reliability(np.zeros(0), np.zeros(0, dtype=bool)) == ()
    assert [one.count for one in reliability(np.full(7, 0.5), np.ones(7, dtype=bool))] == [7]


def test_the_first_place_is_seen_in_full() -> None:
    seen = exposure(np.array([1, 3, 7]))
    assert seen == pytest.approx([1, 1 / 2, 1 / 3])
