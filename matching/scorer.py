"""From features to a score that is exactly the sum of its parts."""

from collections.abc import Mapping
from typing import Protocol, Self

import numpy as np
from msgspec import Struct

from matching.errors import FeatureError
from matching.features import FEATURES, check_features
from matching.types import FloatArray, IntArray


class Scores(Struct, frozen=True, eq=False):
    """`total` [n] is the sum of `parts` [n, k] along its rows."""

    total: FloatArray
    parts: FloatArray

    def rows(self, selected: IntArray) -> Self:
        """Some of the rows, in the order asked for."""
        return type(self)(self.total[selected], self.parts[selected])


def scored(parts: FloatArray) -> Scores:
    """The sums of `parts` [n, k]. Raises FeatureError where a value was so large that its points are no number."""
    total = parts.sum(axis=1)
    if not np.isfinite(total).all():
        raise FeatureError(f"the values of row {np.flatnonzero(~np.isfinite(total))[0]} are too large to score")
    return Scores(total=total, parts=parts)


class Scorer(Protocol):
    """Whatever can rank: the scorecard now, a learned additive model behind the same four members later."""

    @property
    def version(self) -> str:
        """Names the model in every stored ranking; two models that score differently never share it."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns it reads, in their order."""

    @property
    def weights(self) -> FloatArray:
        """[k], the most points each feature can give."""

    def score(self, values: FloatArray) -> Scores:
        """Score the rows of `values` [n, k]. Raises FeatureError if they are not finite or do not fit."""


# Points out of a hundred. The item decides, then the text; where these are level, nearness and free capacity come
# before the record, so that a newcomer next door is seen.
SCORECARD_2: Mapping[str, float] = {
    "text_similarity": 16.0,
    "item_fit": 27.0,
    "category_prior": 6.0,
    "right_fit": 6.0,
    "stage_fit": 4.0,
    "kin": 6.0,
    "industry": 2.0,
    "region_distance": 9.0,
    "load": 7.0,
    "exposure": 2.0,
    "acceptance": 4.0,
    "on_time": 4.0,
    "satisfaction": 3.0,
    "promised_limit": 2.0,
    "deadline_margin": 2.0,
}


class Scorecard:
    """A weighted sum anyone can check by hand: each feature gives its weight, times how near it is to its best."""

    def __init__(self, version: str, points: Mapping[str, float]) -> None:
        """Raises FeatureError unless `points` has a weight of 0 or more for exactly the FEATURES."""
        self._version = version
        self._features = tuple(feature.name for feature in FEATURES)
        if set(points) != set(self._features):
            raise FeatureError(f"weights for {sorted(points)}, features are {sorted(self._features)}")
        self._weights = np.array([points[name] for name in self._features])
        if not (np.isfinite(self._weights) & (self._weights >= 0)).all():
            raise FeatureError("weights must be finite and not negative")
        self._worst = np.array([feature.worst for feature in FEATURES])
        self._slope: FloatArray = self._weights / np.array([feature.best - feature.worst for feature in FEATURES])

    @property
    def version(self) -> str:
        return self._version

    @property
    def features(self) -> tuple[str, ...]:
        return self._features

    @property
    def weights(self) -> FloatArray:
        return self._weights

    @property
    def worst(self) -> FloatArray:
        """[k], each feature's value that gives no points."""
        return self._worst

    @property
    def slope(self) -> FloatArray:
        """[k], points per unit of each feature, below 0 where less is better."""
        return self._slope

    def score(self, values: FloatArray) -> Scores:
        check_features(values, len(self._features))
        return scored((values - self._worst) * self._slope)


def default_scorecard() -> Scorecard:
    """The hand-set weights that rank until enough decisions have been seen to learn from."""
    return Scorecard("scorecard-2", SCORECARD_2)
