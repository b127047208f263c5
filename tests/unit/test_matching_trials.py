"""Models on trial: whom they rank for, what both models' logs tell of each."""

import numpy as np
import pytest

from matching.evaluate import snips
from matching.trials import SHARE, drawn, duel


def test_a_tenth_is_drawn_and_always_the_same() -> None:
    first = [drawn(need, "learned-a") for need in range(20_000)]
    assert np.mean(first) == pytest.approx(SHARE, abs=0.01)
    assert first == [drawn(need, "learned-a") for need in range(20_000)]
    second = [drawn(need, "learned-b") for need in range(20_000)]
    assert np.mean(np.array(first) & second) == pytest.approx(SHARE**2, abs=0.005), "another version draws others"
    assert not any(drawn(need, "learned-a", share=0.0) for need in range(1_000))


def played(needs: int, *, agree: float, gain: float, seed: int) -> tuple[np.ndarray, ...]:
    """A trial: where the models differ, the challenger's first choice earns ``gain`` more."""
    random = np.random.default_rng(seed)
    same = random.random(needs) < agree
    by_trial = random.random(needs) < SHARE
    reward = np.clip(0.5 + random.normal(0, 0.2, needs) + gain * (by_trial & ~same), 0, 1)
    champion = np.where(same | ~by_trial, 1.0, 0.0)
    challenger = np.where(same | by_trial, 1.0, 0.0)
    return reward, champion, challenger, np.full(needs, SHARE)


@pytest.mark.parametrize("gain", [-0.2, 0.0, 0.2])
def test_a_tenth_of_needs_tells_what_the_challenger_would_earn_on_all(gain: float) -> None:
    found = [duel(*played(1_500, agree=0.6, gain=gain, seed=seed)) for seed in range(200)]
    assert np.mean([one.change for one in found]) == pytest.approx(0.4 * gain, abs=0.005)
    covered = np.mean([one.low <= 0.4 * gain <= one.high for one in found])
    assert 0.9 <= covered <= 0.99, "a 95 % interval covers about so often"
    spread = np.std([one.change for one in found])
    assert np.mean([one.error for one in found]) == pytest.approx(spread, rel=0.15)
    for one in found[:20]:
        assert one.champion.effective > one.challenger.effective > 100
        assert one.error < np.hypot(one.champion.error, one.challenger.error)


def test_without_the_share_what_only_the_challenger_does_would_count_for_nothing() -> None:
    reward, champion, challenger, share = played(2_000, agree=0.5, gain=0.4, seed=1)
    by_share = duel(reward, champion, challenger, share).challenger.value
    own_list = np.ones(len(reward))  # as if each model's list had been certain
    assert by_share > snips(reward, own_list, challenger).value + 0.1


def test_models_that_agree_earn_the_same() -> None:
    ones = np.ones(50)
    found = duel(np.linspace(0, 1, 50), ones, ones, ones * SHARE)
    assert (found.change, found.error) == (0.0, 0.0)
    assert found.challenger.effective == pytest.approx(50)


def test_nothing_of_the_challenger_was_seen() -> None:
    ones = np.ones(10)
    found = duel(ones, ones, 0 * ones, ones * SHARE)
    assert found.error == float("inf")
    assert found.challenger.effective == 0
    with pytest.raises(ValueError, match="above 0"):
        duel(ones, 0 * ones, 0 * ones, ones * SHARE)
