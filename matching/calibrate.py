"""From a score to the probability that an institution accepts."""

import numpy as np
from msgspec import Struct
from scipy.special import expit

from matching.errors import FeatureError
from matching.types import BoolArray, FloatArray


class Platt(Struct, frozen=True):
    """probability = 1 / (1 + exp(−(slope · score + intercept))); the slope is never negative."""

    slope: float
    intercept: float

    def probability(self, scores: FloatArray) -> FloatArray:
        """[n] in 0..1, rising with `scores` [n]."""
        probability: FloatArray = expit(self.slope * scores + self.intercept)
        return probability


def utility(scores: FloatArray, most: float, calibration: Platt | None) -> FloatArray:
    """What candidates are worth in an assignment, [n] in 0..1, from their `scores` [n]: the probability that they are
    accepted, where the scorer is calibrated; else the score's share of the `most` points there are.

    All that is compared must come from one scorer and one calibration. A share is no probability, and neither are two
    scorers' shares the same thing.
    """
    if calibration is not None:
        return calibration.probability(scores)
    share: FloatArray = np.clip(scores / most, 0.0, 1.0) if most > 0 else np.zeros(len(scores))
    return share


def fit_platt(scores: FloatArray, accepted: BoolArray) -> Platt:
    """Fit to observed answers; both [n]. Raises FeatureError if there are none or a score is not finite.

    Platt, "Probabilistic outputs for support vector machines" (1999): targets a little inside 0 and 1, so that a
    handful of answers that all agree does not give certainty.
    """
    from scipy.optimize import minimize  # noqa: PLC0415  only training needs it; every process would pay for it

    if len(scores) == 0 or len(scores) != len(accepted) or not np.isfinite(scores).all():
        raise FeatureError("calibration needs finite scores with one answer each")
    yes = int(accepted.sum())
    no = len(accepted) - yes
    target = np.where(accepted, (yes + 1) / (yes + 2), 1 / (no + 2))
    centre, width = float(scores.mean()), float(scores.std()) or 1.0
    standard = (scores - centre) / width

    def loss(line: FloatArray) -> tuple[float, FloatArray]:
        logit = line[0] * standard + line[1]
        error = expit(logit) - target
        return float(np.sum(np.logaddexp(0.0, logit) - target * logit)), np.array([error @ standard, error.sum()])

    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(0.0, None), (None, None)]).x
    slope = float(found[0]) / width
    return Platt(slope, float(found[1]) - slope * centre)
