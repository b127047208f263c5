"""What tells that a model ages or that a market narrows: drift, reliability, exposure."""

import numpy as np
from msgspec import Struct

from matching.errors import FeatureError
from matching.types import BoolArray, FloatArray, IntArray


def psi(before: FloatArray, after: FloatArray, *, bins: int = 10) -> float:
    """Population stability index of one feature: how far values `after` [n] are spread otherwise than `before` [m].

    Σ (q − p) · ln(q / p) over bins between the quantiles of `before`, each quantile a bin of its own, because many
    features take few values. Below .1 nothing has changed, above .25 much has. An empty bin counts as if it held one
    of the pooled values. Raises FeatureError where there are no values, or they are not finite.
    """
    if not (len(before) and len(after) and np.isfinite(before).all() and np.isfinite(after).all()):
        raise FeatureError("drift needs finite values from both times")
    edges = np.unique(np.quantile(before, np.arange(1, bins) / bins))
    old, new = (
        np.bincount(
            edges.searchsorted(values, "left") + edges.searchsorted(values, "right"), minlength=2 * len(edges) + 1
        )
        for values in (before, after)
    )
    pooled = (old + new) / (len(before) + len(after))
    seen = pooled > 0
    p, q = ((counts + pooled)[seen] / (counts.sum() + 1) for counts in (old, new))
    return float((q - p) @ np.log(q / p))


class Bin(Struct, frozen=True):
    """Answers with about the same promise: the mean that was `promised`, the share that `happened`, how many."""

    promised: float
    happened: float
    count: int


def reliability(probability: FloatArray, happened: BoolArray, *, bins: int = 10) -> tuple[Bin, ...]:
    """Promised against observed share, in bins by quantile as `calibration_error` has them; both [n]. Lowest first."""
    if len(probability) == 0:
        return ()
    bin_ = np.searchsorted(np.quantile(probability, np.arange(1, bins) / bins), probability)
    return tuple(
        Bin(float(probability[bin_ == one].mean()), float(happened[bin_ == one].mean()), int((bin_ == one).sum()))
        for one in np.unique(bin_)
    )


def exposure(rank: IntArray) -> FloatArray:
    """How much a place in a list is seen, [n] from `rank` [n] (from 1): the discount of DCG, 1 for the first."""
    seen: FloatArray = 1 / np.log2(1 + rank)
    return seen
