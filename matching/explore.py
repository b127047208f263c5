"""A little chance in the order of near-ties, so that what is never shown first can still be learned about.

Plackett–Luce: position by position, among the candidates within `gap` of the best one left, with probability in
proportion to exp(score / temperature). Whoever is clearly better is never put behind.
"""

import numpy as np
from msgspec import Struct

from matching.types import BoolArray, FloatArray, IntArray


class Chance(Struct, frozen=True):
    """`gap` and `temperature` in points of the score; a gap of 0 leaves chance to exact ties only."""

    gap: float = 2.0
    temperature: float = 1.0


def shuffled(scores: FloatArray, chance: Chance, *, top: int, seed: int) -> tuple[IntArray, FloatArray]:
    """The rows of `scores` [n] to show at the first `top` positions, and the propensity of each, both [≤ top].

    A propensity is the probability of that row at that position, given those before it. The same seed gives the same
    list.
    """
    random = np.random.default_rng(seed)
    left = np.ones(len(scores), dtype=np.bool_)
    order, propensity = [], []
    for _ in range(min(top, len(scores))):
        rows, probability = _next(scores, left, chance)
        picked = int(random.choice(len(rows), p=probability))
        order.append(int(rows[picked]))
        propensity.append(float(probability[picked]))
        left[rows[picked]] = False
    return np.array(order, dtype=np.int64), np.array(propensity)


def propensities(scores: FloatArray, order: IntArray, chance: Chance) -> FloatArray:
    """The propensity of each position of a list that was shown, had these `scores` [n] made it; 0 where impossible."""
    left = np.ones(len(scores), dtype=np.bool_)
    found = np.zeros(len(order))
    for position, row in enumerate(order.tolist()):
        rows, probability = _next(scores, left, chance)
        found[position] = probability[rows == row].sum()
        left[row] = False
    return found


def _next(scores: FloatArray, left: BoolArray, chance: Chance) -> tuple[IntArray, FloatArray]:
    """Who may come next, and with what probability."""
    best = scores[left].max()
    rows = np.flatnonzero(left & (scores >= best - chance.gap))
    weight = np.exp((scores[rows] - best) / chance.temperature)
    return rows, weight / weight.sum()
