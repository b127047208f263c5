"""A learned model as plain tables: one lookup per feature, numpy only, stored as JSON, never as a pickle."""

from collections.abc import Mapping, Sequence
from typing import Self

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from matching.calibrate import Platt
from matching.errors import FeatureError
from matching.features import check_features
from matching.scorer import Scorer, Scores
from matching.types import FloatArray

# As many judged needs as the scorecard's word is worth: with that many, card and model count the same.
CARD_NEEDS = 30

FEW = 12  # edges; features with more are searched one by one, those with fewer compared all at once


class TableModel(Struct, frozen=True):
    """An additive model: score = intercept + Σ tables[j][code of feature j].

    The code of a value is the number of `edges[j]` (ascending) below it, so `tables[j]` has one entry more than
    `edges[j]`. Tables are centred: weighted by the training data each averages 0. `window`: first and last day of the
    data. `labelled_needs`: how many judged needs it learned from. `calibration`: from points to probability.
    """

    version: str
    features: tuple[str, ...]
    edges: tuple[tuple[float, ...], ...]
    tables: tuple[tuple[float, ...], ...]
    intercept: float
    labelled_needs: int
    window: tuple[str, str] = ("", "")
    metrics: Mapping[str, float] = {}
    calibration: Platt | None = None

    @classmethod
    def of_json(cls, text: str | bytes) -> Self:
        """Raises FeatureError unless the text is a well-formed model."""
        try:
            model = msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError as error:
            raise FeatureError(f"not a table model: {error}") from error
        check_tables(model)
        return model

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    def scaled(self, factor: float) -> Self:
        """The same order of candidates, in points `factor` times as large."""
        return replace(
            self,
            tables=tuple(tuple(factor * value for value in table) for table in self.tables),
            intercept=factor * self.intercept,
        )


def check_tables(model: TableModel) -> None:
    """Raise FeatureError unless names, edges and tables fit each other and all numbers are finite."""
    if not len(model.features) == len(model.edges) == len(model.tables):
        raise FeatureError(
            f"{model.version}: {len(model.features)} features, {len(model.edges)} edges, {len(model.tables)} tables"
        )
    for name, edges, table in zip(model.features, model.edges, model.tables, strict=True):
        if len(table) != len(edges) + 1:
            raise FeatureError(f"{model.version}: {name} has {len(edges)} edges and {len(table)} entries")
        if not (np.isfinite(edges).all() and np.isfinite(table).all() and (np.diff(edges) > 0).all()):
            raise FeatureError(f"{model.version}: {name} has entries that are not finite, or edges that do not ascend")


class TableScorer:
    """A `TableModel` as `Scorer`. A feature gives 0 points at its worst and `weights[j]` at its best."""

    def __init__(self, model: TableModel) -> None:
        """Raises FeatureError unless the model is well formed."""
        check_tables(model)
        self._model = model
        lookups = [_merged(edges, table) for edges, table in zip(model.edges, model.tables, strict=True)]
        self._weights = np.array([points.max() for _, points in lookups])
        # Most features of a wide model give the same points to everyone: they are not looked up. Those with most
        # edges come first.
        used = sorted((j for j, (edges, _) in enumerate(lookups) if len(edges)), key=lambda j: -len(lookups[j][0]))
        self._used = np.array(used, dtype=np.int64)
        self._points = np.concatenate([np.zeros(0), *(lookups[j][1] for j in used)])
        sizes = np.array([len(lookups[j][1]) for j in used], dtype=np.int64)
        self._offsets = (np.cumsum(sizes) - sizes)[:, None]
        self._searched = [lookups[j][0] for j in used if len(lookups[j][0]) > FEW]
        self._compared = _layers([lookups[j][0] for j in used[len(self._searched) :]])

    @property
    def version(self) -> str:
        return self._model.version

    @property
    def features(self) -> tuple[str, ...]:
        return self._model.features

    @property
    def weights(self) -> FloatArray:
        return self._weights

    def score(self, values: FloatArray) -> Scores:
        check_features(values, len(self._model.features))
        columns = values.T[self._used]
        codes = np.zeros(columns.shape, dtype=np.int64)
        for row, edges in enumerate(self._searched):
            codes[row] = edges.searchsorted(columns[row])
        narrow, narrow_codes = columns[len(self._searched) :], codes[len(self._searched) :]
        for layer in self._compared:
            narrow_codes[: len(layer)] += narrow[: len(layer)] > layer
        by_feature = np.zeros(values.shape[::-1])
        by_feature[self._used] = self._points.take(codes + self._offsets)
        return Scores(total=by_feature.sum(axis=0), parts=by_feature.T)


class Blended:
    """Scorecard and model together: the card decides while few needs were judged, the model once many were.

    Raises FeatureError unless both read the same features. The model's points must be in the card's scale, as
    `learn.table_model` makes them.
    """

    def __init__(self, card: Scorer, model: Scorer, labelled_needs: int) -> None:
        if card.features != model.features:
            raise FeatureError(f"{card.version} reads {card.features}, {model.version} {model.features}")
        self._card, self._model = card, model
        self._share = CARD_NEEDS / (CARD_NEEDS + labelled_needs)

    @property
    def version(self) -> str:
        return f"{self._card.version}+{self._model.version}"

    @property
    def features(self) -> tuple[str, ...]:
        return self._card.features

    @property
    def weights(self) -> FloatArray:
        return self._share * self._card.weights + (1 - self._share) * self._model.weights

    def score(self, values: FloatArray) -> Scores:
        parts = self._share * self._card.score(values).parts + (1 - self._share) * self._model.score(values).parts
        return Scores(total=parts.sum(axis=1), parts=parts)


def _merged(edges: Sequence[float], table: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """Edges and points (0 at the worst) without the edges that change nothing."""
    points = np.array(table) - min(table)
    kept = np.flatnonzero(np.diff(points) != 0)
    return np.array(edges)[kept], np.concatenate([points[:1], points[kept + 1]])


def _layers(edges: Sequence[FloatArray]) -> list[FloatArray]:
    """Features as rows, most edges first → the first edges of all [rows, 1], then the second of those that have one, …

    Comparing all features with one layer at a time is several times faster than searching feature by feature.
    """
    most = len(edges[0]) if edges else 0
    return [np.array([[e[level]] for e in edges if len(e) > level]) for level in range(most)]
