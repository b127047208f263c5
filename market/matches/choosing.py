"""Which candidate to propose for a need that comes alone: the first, unless others need it more."""

import numpy as np
from msgspec import Struct

from market.matches.model import OfferingPrice, Prices, PricesUsed
from matching.assign import NEAR, price_adjusted_choice
from matching.calibrate import utility
from matching.types import Ranking

NOTICEABLE = 0.0005
"""Of a price, in utility: below, it would read 0.0 points."""


class Proposal(Struct, frozen=True):
    """The candidate at ``rank``; ``prices`` where any candidate had one."""

    rank: int
    prices: PricesUsed | None = None


def choose(ranking: Ranking, prices: Prices | None) -> Proposal:
    """The best by utility less price among those that come near the best score; the list keeps its order.

    Utilities are counted as the plan did that left the prices, which therefore hold only for the same scorer. A first
    candidate without a price stays, whatever the last bits say: chance may have put it there on purpose.
    """
    shown = ranking.ranked
    if prices is None or prices.scored_by != ranking.model_version:
        return Proposal(rank=1)
    of = {one.offering_id: one.price for one in prices.offerings}
    used = tuple(OfferingPrice(one.offering_id, of[one.offering_id]) for one in shown if one.offering_id in of)
    if not used:
        return Proposal(rank=1)
    scores = np.array([one.score for one in shown])
    price = np.array([of.get(one.offering_id, 0.0) for one in shown])
    worth = utility(scores, sum(part.weight for part in shown[0].parts), prices.calibration)
    near = np.flatnonzero(scores >= min(NEAR * scores.max(), scores[0]))
    ids = np.array([one.offering_id for one in shown])
    best = int(near[price_adjusted_choice(worth[near], price[near], ids[near], top=1, seed=ranking.seed)[0]])
    moved = price[0] >= NOTICEABLE and worth[best] - price[best] >= worth[0] - price[0] + NOTICEABLE
    return Proposal(
        rank=shown[best].rank if moved else 1,
        prices=PricesUsed(plan_id=prices.plan_id, at=prices.at, offerings=used),
    )
