"""The simulated market: learning beats the scorecard, newcomers are not starved, logs can be judged."""

import numpy as np
import pytest
from msgspec.structs import replace

from matching.evaluate import ndcg, snips
from matching.explore import Chance
from matching.features import FEATURES
from matching.learn import AdditiveRanker, Training, spread, table_model
from matching.model import FEWEST_NEEDS, Blended, TableScorer
from matching.scorer import Scorecard, Scorer, default_scorecard
from matching.simulate import SHOWN, Log, Market, synthetic_queue

CARD = default_scorecard()


def learned(data: Training) -> Blended:
    ranker = AdditiveRanker(directions=[f.direction for f in FEATURES])
    ranker.fit(data.values, data.grades, data.needs)
    points = spread(CARD.score(data.values).total, data.needs)
    model = table_model(ranker, version="learned", features=CARD.features, points=points, data=data)
    return Blended(CARD, TableScorer(model), ranker.needs_)


def quality(scorer: Scorer, exam: Training) -> float:
    return float(np.nanmean(ndcg(scorer.score(exam.values).total, exam.grades, exam.needs, k=10)))


def newcomers_share(market: Market, log: Log) -> float:
    """Newcomers' share of matches over their share of capacity: 1 is fair."""
    capacity = market.offerings.capacity
    return float(
        log.served[market.newcomer].mean() / capacity[market.newcomer].mean() / (log.served.sum() / capacity.sum())
    )


@pytest.mark.parametrize(("judged", "gain"), [(FEWEST_NEEDS, 0.03), (60, 0.06)])
def test_learning_beats_the_scorecard(judged: int, gain: float) -> None:
    gains, by_chance = [], []
    for seed in range(3):
        market = Market(150, newcomers=0.2, seed=seed)
        data = market.run(CARD, judged, chance=Chance()).judged
        exam = market.exam(60)
        shuffled = replace(data, grades=np.random.default_rng(seed).permutation(data.grades))
        gains.append(quality(learned(data), exam) - quality(CARD, exam))
        by_chance.append(quality(learned(shuffled), exam) - quality(CARD, exam))
    assert min(gains) > 0
    assert np.mean(gains) > gain  # bench/coldstart.py measures it on many markets
    # Directions alone are worth something: a model of shuffled decisions may beat the card too.
    assert np.mean(gains) > np.mean(by_chance) + 0.02


def test_with_too_few_decisions_the_scorecard_ranks() -> None:
    """So that a cold start cannot be worse than it."""
    market = Market(150, newcomers=0.2, seed=3)
    blend = learned(market.run(CARD, FEWEST_NEEDS - 1, chance=Chance()).judged)
    values = market.exam(5).values
    assert blend.score(values).total == pytest.approx(CARD.score(values).total, abs=1e-9)


def test_newcomers_are_not_starved_by_what_was_learned() -> None:
    market = Market(150, newcomers=0.3, seed=7)
    scorer = learned(market.run(CARD, 200, chance=Chance()).judged)
    later = market.run(scorer, 300, chance=Chance())
    assert newcomers_share(market, later) > 0.5
    assert 0.8 < later.newcomers_exposure(market.newcomer) < 1.25


def test_whoever_ranks_by_records_alone_does_starve_newcomers() -> None:
    """So that the test above can fail."""
    market = Market(150, newcomers=0.3, seed=7)
    market.run(CARD, 100)
    records = Scorecard("records", {name: 100.0 * (name in ("acceptance", "on_time")) for name in CARD.features})
    assert market.run(records, 200).newcomers_exposure(market.newcomer) < 0.6


def test_a_market_keeps_its_books() -> None:
    market = Market(40, newcomers=0.5, seed=1)
    log = market.run(CARD, 400)
    offerings = market.offerings
    assert (offerings.load <= offerings.capacity).all()
    assert (offerings.load >= 0).all()
    assert (offerings.on_time <= offerings.delivered).all()
    assert (offerings.rated <= offerings.delivered).all()
    assert (offerings.rating_points <= 4 * offerings.rated).all()
    assert log.served.sum() == (log.worth > 0).sum()
    assert log.propensity.min() > 0
    assert len(log.propensity) == 400 * SHOWN
    assert set(log.judged.grades.tolist()) <= {0.0, 1.0, 2.0, 4.0, 5.0}


def test_every_feature_has_something_to_tell() -> None:
    market = Market(80, newcomers=0.3, seed=4)
    judged = market.run(CARD, 150, chance=Chance()).judged
    assert (judged.values.std(axis=0) > 0).all()
    exposure = [feature.name for feature in FEATURES].index("exposure")
    assert market.truth.weights[exposure] == 0
    assert np.count_nonzero(market.truth.weights) == len(FEATURES) - 1


def test_the_same_seed_is_the_same_market() -> None:
    first, second = (Market(30, newcomers=0.2, seed=5).run(CARD, 20) for _ in range(2))
    assert first.judged.values.tolist() == second.judged.values.tolist()
    assert first.served.tolist() == second.served.tolist()


def test_logs_can_be_judged() -> None:
    log = Market(60, newcomers=0.2, seed=2).run(CARD, 100, chance=Chance())
    first = log.propensity.reshape(-1, SHOWN)[:, 0]
    found = snips(log.worth, first, first)
    assert found.value == pytest.approx(log.worth.mean())
    assert found.effective == pytest.approx(100)


def test_a_queue_to_measure_with() -> None:
    queue = synthetic_queue(50, 20, 20, seed=0)
    lists = queue.offering.reshape(50, 20)
    assert all(len(set(row)) == 20 for row in lists.tolist())
    assert 0 <= queue.utility.min() <= queue.utility.max() <= 1
    assert queue.capacity.sum() > 50
    with pytest.raises(ValueError, match="candidates"):
        synthetic_queue(5, 3, 4, seed=0)
