"""The LambdaRank loss: pairs of candidates of one need, weighed by what swapping them would change in NDCG.

Burges, "From RankNet to LambdaRank to LambdaMART" (2010). Normalised as LightGBM does, so that needs with many
candidates, or with candidates already far apart, do not drown the others.
"""

import numpy as np
from msgspec import Struct

from matching.types import FloatArray, IntArray

NEAR = 0.01  # pairs closer than this in score count about alike


class GradedPairs(Struct, frozen=True, eq=False):
    """All pairs (better, worse) of rows of one need that have different grades.

    `better`, `worse`, `swap` are [p]; `swap` is the difference of gains over the need's ideal DCG. `need` [n] numbers
    the rows' needs from 0; `start` [needs] is where each would begin were the rows sorted by need.
    """

    better: IntArray
    worse: IntArray
    swap: FloatArray
    need: IntArray
    start: IntArray


def graded_pairs(grades: FloatArray, needs: IntArray) -> GradedPairs:
    """The pairs of `grades` [n], 0 is worst, within equal `needs` [n]; rows in any order."""
    _, need, sizes = np.unique(needs, return_inverse=True, return_counts=True)
    start = np.cumsum(sizes) - sizes
    gains = 2.0**grades - 1.0
    ideal = np.bincount(need, gains * discounts(positions(grades, need, start)), minlength=len(sizes))
    better, worse = [], []
    by_need = np.argsort(need, kind="stable")
    for first, size in zip(start.tolist(), sizes.tolist(), strict=True):
        rows = by_need[first : first + size]
        high, low = np.nonzero(grades[rows][:, None] > grades[rows][None, :])
        better.append(rows[high])
        worse.append(rows[low])
    high, low = np.concatenate(better), np.concatenate(worse)
    return GradedPairs(high, low, (gains[high] - gains[low]) / ideal[need[high]], need, start)


def positions(scores: FloatArray, need: IntArray, start: IntArray) -> IntArray:
    """Each row's position within its need by falling score, from 0."""
    order = np.lexsort((-scores, need))
    position = np.empty(len(scores), dtype=np.int64)
    position[order] = np.arange(len(scores)) - start[need[order]]
    return position


def discounts(position: IntArray) -> FloatArray:
    """What a position counts in DCG, 1 for the first."""
    discount: FloatArray = 1.0 / np.log2(2.0 + position)
    return discount


def lambdas(pairs: GradedPairs, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Gradient and Hessian of the loss by `scores` [n]."""
    high, low, rows = pairs.better, pairs.worse, len(scores)
    discount = discounts(positions(scores, pairs.need, pairs.start))
    ahead = scores[high] - scores[low]
    weight = pairs.swap * np.abs(discount[high] - discount[low]) / (NEAR + np.abs(ahead))
    wrong = 1.0 / (1.0 + np.exp(np.clip(ahead, -50.0, 50.0)))
    push, bend = weight * wrong, weight * wrong * (1.0 - wrong)
    gradient = np.bincount(low, push, minlength=rows) - np.bincount(high, push, minlength=rows)
    hessian = np.bincount(low, bend, minlength=rows) + np.bincount(high, bend, minlength=rows)
    total = 2.0 * np.bincount(pairs.need[high], push, minlength=len(pairs.start))
    factor = (np.log2(1.0 + total) / np.maximum(total, np.finfo(float).tiny))[pairs.need]
    return gradient * factor, hessian * factor
