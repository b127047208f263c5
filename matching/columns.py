"""How each feature of a pair (need, offering) is computed: one function a column, arrays in and out."""

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from matching.encode import EncodedNeed, OfferingArrays, in_territory, region_steps
from matching.past import Standing
from matching.types import FloatArray, IntArray

# What an offering without history is taken for, and how many cases of it: newcomers start level with a good average
# and earn their own figure within a few matches, so they are neither starved nor favoured.
PRIOR_MEAN = 0.8
PRIOR_CASES = 5.0

# A promise of this many working days is worth half of "the same day"; no stated promise is worth the same half.
HALF_DAYS = 10.0
NEUTRAL = 0.5

# Working days before or after the wished day beyond which more makes no difference.
MOST_MARGIN = 10.0

# Times an even share beyond which more makes no difference.
MOST_EXPOSURE = 3.0

BEST_LEVEL = 4  # points of the best rating, 非常满意


class Pairs(Struct, frozen=True, eq=False):
    """One need against n offerings.

    `similarity`, `item_fit`, `category`: [n], 0..1; the latter two 1 only for confirmed items.
    """

    need: EncodedNeed
    offerings: OfferingArrays
    similarity: FloatArray
    item_fit: FloatArray
    category: FloatArray
    standing: Standing


Column = tuple[FloatArray, IntArray]
"""Values [n] in the feature's unit, and the facts behind each [n]: 0 where it is unknown."""
ColumnOf = Callable[[Pairs], Column]


def text_similarity(pairs: Pairs) -> Column:
    return pairs.similarity, _known(pairs)


def item_fit(pairs: Pairs) -> Column:
    return pairs.item_fit, _known(pairs)


def category_prior(pairs: Pairs) -> Column:
    return pairs.category, _known(pairs)


def right_fit(pairs: Pairs) -> Column:
    need, offered = pairs.need, pairs.offerings.rights
    share = np.where(offered == 0, 1.0, _share(offered & need.rights, need.rights_asked))
    return _where_known(share, np.full(len(offered), need.rights_asked))


def stage_fit(pairs: Pairs) -> Column:
    need, offered = pairs.need, pairs.offerings.stages
    asked = np.where(offered == 0, 0, need.stages_asked)
    return _where_known(_share(offered & need.stages, need.stages_asked), asked)


def kin(pairs: Pairs) -> Column:
    standing = pairs.standing
    return standing.kin / max(standing.similar, 1), np.full(len(standing.kin), standing.similar)


def industry(pairs: Pairs) -> Column:
    standing = pairs.standing
    if standing.industry_share is None:
        return _where_known(np.zeros(len(pairs.offerings)), np.zeros(len(pairs.offerings), dtype=np.int64))
    return _smoothed(standing.in_industry, standing.completed, mean=standing.industry_share)


def region_distance(pairs: Pairs) -> Column:
    steps = region_steps(pairs.offerings.institution_region, pairs.need.region)
    return steps.astype(np.float64), _known(pairs)


def load(pairs: Pairs) -> Column:
    capacity, held = pairs.offerings.capacity, pairs.offerings.load
    # Without capacity there is nothing free, whatever the load.
    used = np.where(capacity > 0, held / np.maximum(capacity, 1), 1.0)
    return np.clip(used, 0.0, 1.0), _known(pairs)


def exposure(pairs: Pairs) -> Column:
    """Compared among the institutions of the node's territory that offer the same item, all their offerings of it
    together: nobody is seen more by publishing the same twice."""
    offerings, proposed = pairs.offerings, pairs.standing.proposed
    here = offerings.published & in_territory(pairs.need, offerings)
    services, items = 1 + offerings.service.max(initial=-1), 1 + offerings.item.max(initial=-1)
    of_service = np.bincount(offerings.service, here * proposed, minlength=services)
    item_of = np.zeros(services, dtype=np.int64)
    item_of[offerings.service] = offerings.item
    rivals = np.bincount(item_of[np.unique(offerings.service[here])], minlength=items)
    of_item = np.bincount(item_of, of_service, minlength=items)
    even = of_item / np.maximum(rivals, 1)
    seen = of_item[offerings.item] > 0
    times = of_service[offerings.service] / np.where(seen, even[offerings.item], 1.0)
    evidence = of_item[offerings.item].astype(np.int64)
    return np.where(seen, np.minimum(times, MOST_EXPOSURE), 1.0), evidence


def acceptance(pairs: Pairs) -> Column:
    offerings = pairs.offerings
    return _smoothed(offerings.accepted, offerings.accepted + offerings.declined)


def on_time(pairs: Pairs) -> Column:
    return _smoothed(pairs.offerings.on_time, pairs.offerings.delivered)


def satisfaction(pairs: Pairs) -> Column:
    return _smoothed(pairs.offerings.rating_points / BEST_LEVEL, pairs.offerings.rated)


def promised_limit(pairs: Pairs) -> Column:
    days = pairs.offerings.promised_days
    known = ~np.isnan(days)
    return _where_known(HALF_DAYS / (HALF_DAYS + np.where(known, days, 0.0)), known.astype(np.int64))


def deadline_margin(pairs: Pairs) -> Column:
    """Both counted from today, as if the institution accepted at once."""
    days, left = pairs.offerings.promised_days, pairs.need.days_left
    known = ~np.isnan(days) & (left is not None)
    margin = np.where(known, (left or 0) - days, 0.0)
    return np.clip(margin, -MOST_MARGIN, MOST_MARGIN), known.astype(np.int64)


def promised_days(values: FloatArray | float) -> FloatArray:
    """The promised working days behind values of `promised_limit`."""
    return HALF_DAYS / np.maximum(values, 1e-9) - HALF_DAYS


def _known(pairs: Pairs) -> IntArray:
    return np.ones(len(pairs.offerings), dtype=np.int64)


def _where_known(values: FloatArray, evidence: IntArray) -> Column:
    return np.where(evidence > 0, values, NEUTRAL), evidence


def _share(common: IntArray, asked: int) -> FloatArray:
    share: FloatArray = np.bitwise_count(common) / np.float64(max(asked, 1))
    return share


def _smoothed(good: IntArray | FloatArray, cases: IntArray, *, mean: float = PRIOR_MEAN) -> Column:
    """Mean of the Beta distribution after `good` of `cases`, from PRIOR_CASES cases of that mean."""
    rate: FloatArray = (good + PRIOR_CASES * mean) / (cases + PRIOR_CASES)
    return rate, cases
