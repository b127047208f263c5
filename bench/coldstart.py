"""Cold start on simulated markets: scorecard and model blended as in production, against the scorecard alone."""

import numpy as np

from market.learning.training import LEARNING_RATE, ROUNDS
from matching.evaluate import ndcg
from matching.explore import Chance
from matching.features import FEATURES
from matching.learn import AdditiveRanker, Training, spread, table_model
from matching.model import Blended, TableScorer
from matching.scorer import Scorer, default_scorecard
from matching.simulate import Log, Market

MARKETS = 12
OFFERINGS = 200
NEWCOMERS = 0.2
JUDGED = (10, 20, 40, 160)
EXAM = 200


def run(markets: int = MARKETS) -> dict[str, dict[str, float]]:
    """For each number of judged needs, mean NDCG@10 by the hidden truth over the markets, and the gain: its mean and
    that of the unluckiest market. `newcomers`: under the policy learned from most needs, their share of matches over
    that of capacity, and of exposure over that of the needs they could have served; mean, and of the worst market."""
    card = default_scorecard()
    gains: dict[int, list[float]] = {judged: [] for judged in JUDGED}
    cards, shares, seen = [], [], []
    for seed in range(markets):
        exam = Market(OFFERINGS, newcomers=NEWCOMERS, seed=seed).exam(EXAM)
        alone = _quality(card, exam)
        cards.append(alone)
        for judged in JUDGED:
            market = Market(OFFERINGS, newcomers=NEWCOMERS, seed=seed)
            blend = _learned(card, market.run(card, judged, chance=Chance()).judged)
            gains[judged].append(_quality(blend, exam) - alone)
        later = market.run(blend, 300, chance=Chance())
        shares.append(_newcomers(market, later))
        seen.append(later.newcomers_exposure(market.newcomer))
    report = {
        f"{judged} needs": {"gain": float(np.mean(found)), "worst": float(np.min(found))}
        for judged, found in gains.items()
    }
    newcomers = {
        "share": float(np.mean(shares)),
        "exposure": float(np.mean(seen)),
        "exposure_worst": float(np.min(seen)),
    }
    return report | {"scorecard": {"ndcg@10": float(np.mean(cards))}, "newcomers": newcomers}


def _learned(card: Scorer, data: Training) -> Blended:
    ranker = AdditiveRanker(
        directions=[feature.direction for feature in FEATURES], max_iter=ROUNDS, learning_rate=LEARNING_RATE
    )
    ranker.fit(data.values, data.grades, data.needs)
    points = spread(card.score(data.values).total, data.needs)
    model = table_model(ranker, version="learned", features=card.features, points=points, data=data)
    return Blended(card, TableScorer(model), ranker.needs_)


def _quality(scorer: Scorer, exam: Training) -> float:
    return float(np.nanmean(ndcg(scorer.score(exam.values).total, exam.grades, exam.needs, k=10)))


def _newcomers(market: Market, log: Log) -> float:
    capacity, new = market.offerings.capacity, market.newcomer
    return float(log.served[new].sum() / log.served.sum() / (capacity[new].sum() / capacity.sum()))
