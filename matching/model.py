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
from matching.scorer import Scorecard, Scores, scored
from matching.types import FloatArray, IntArray

# As many judged needs as the scorecard's word is worth: with that many, card and model count the same.
CARD_NEEDS = 30

# A model of fewer is not listened to: learned from five or ten needs, one simulated market in twenty went the wrong way
# whatever its share; from twenty, none did (bench/coldstart.py).
FEWEST_NEEDS = 20

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
    """Raise FeatureError unless names, edges and tables fit each other, all numbers are finite, and the probability
    does not fall as the score rises."""
    if not len(model.features) == len(model.edges) == len(model.tables):
        raise FeatureError(
            f"{model.version}: {len(model.features)} features, {len(model.edges)} edges, {len(model.tables)} tables"
        )
    for name, edges, table in zip(model.features, model.edges, model.tables, strict=True):
        if len(table) != len(edges) + 1:
            raise FeatureError(f"{model.version}: {name} has {len(edges)} edges and {len(table)} entries")
        if not (np.isfinite(edges).all() and np.isfinite(table).all() and (np.diff(edges) > 0).all()):
            raise FeatureError(f"{model.version}: {name} has entries that are not finite, or edges that do not ascend")
    line = () if model.calibration is None else (model.calibration.slope, model.calibration.intercept)
    if not np.isfinite((model.intercept, *line)).all() or (line and line[0] < 0):
        raise FeatureError(f"{model.version}: intercept or calibration is not finite, or its probability falls")


class TableScorer:
    """A `TableModel` as `Scorer`. A feature gives 0 points at its worst and `weights[j]` at its best."""

    def __init__(self, model: TableModel) -> None:
        """Raises FeatureError unless the model is well formed."""
        check_tables(model)
        self._model = model
        self.lookup = Lookup.of(model)

    @property
    def version(self) -> str:
        return self._model.version

    @property
    def features(self) -> tuple[str, ...]:
        return self._model.features

    @property
    def weights(self) -> FloatArray:
        return self.lookup.most

    def score(self, values: FloatArray) -> Scores:
        check_features(values, len(self._model.features))
        by_feature = np.zeros(values.shape[::-1])
        by_feature[self.lookup.used] = self.lookup.look_up(values.T[self.lookup.used])
        return Scores(total=by_feature.sum(axis=0), parts=by_feature.T)


class Blended:
    """Scorecard and model together: the card decides while few needs were judged, the model once many were.

    The model's points must be in the card's scale, as `learn.table_model` makes them.
    """

    def __init__(self, card: Scorecard, model: TableScorer, labelled_needs: int) -> None:
        """Raises FeatureError unless both read the same features."""
        if card.features != model.features:
            raise FeatureError(f"{card.version} reads {card.features}, {model.version} {model.features}")
        share = CARD_NEEDS / (CARD_NEEDS + labelled_needs) if labelled_needs >= FEWEST_NEEDS else 1.0
        self._version = f"{card.version}+{model.version}"
        self._features = card.features
        self._worst, self._slope = card.worst[:, None], share * card.slope[:, None]
        self._lookup = model.lookup.scaled(1 - share)
        self._weights = share * card.weights + self._lookup.most

    @property
    def version(self) -> str:
        return self._version

    @property
    def features(self) -> tuple[str, ...]:
        return self._features

    @property
    def weights(self) -> FloatArray:
        return self._weights

    def score(self, values: FloatArray) -> Scores:
        check_features(values, len(self._features))
        columns = np.ascontiguousarray(values.T)
        by_feature = (columns - self._worst) * self._slope
        by_feature[self._lookup.used] += self._lookup.look_up(columns[self._lookup.used])
        return scored(by_feature.T)


class Lookup(Struct, frozen=True, eq=False):
    """The tables of k features, laid out to be looked up all at once.

    `most` [k]: the points of each feature at its best. Those that give the same points to everyone, most of a wide
    model, are left out: `used` are the others, those with most edges first. `points` holds their tables one after the
    other, each beginning at its `offsets` [used, 1]. The first are searched (`searched`: their edges), the rest
    compared with `layers` of edges.
    """

    most: FloatArray
    used: IntArray
    points: FloatArray
    offsets: IntArray
    searched: tuple[FloatArray, ...]
    layers: tuple[FloatArray, ...]

    @classmethod
    def of(cls, model: TableModel) -> Self:
        """The tables without the edges that change nothing; 0 points at a feature's worst."""
        lookups = [_merged(edges, table) for edges, table in zip(model.edges, model.tables, strict=True)]
        used = sorted((j for j, (edges, _) in enumerate(lookups) if len(edges)), key=lambda j: -len(lookups[j][0]))
        sizes = np.array([len(lookups[j][1]) for j in used], dtype=np.int64)
        searched = tuple(lookups[j][0] for j in used if len(lookups[j][0]) > FEW)
        return cls(
            most=np.array([points.max() for _, points in lookups]),
            used=np.array(used, dtype=np.int64),
            points=np.concatenate([np.zeros(0), *(lookups[j][1] for j in used)]),
            offsets=(np.cumsum(sizes) - sizes)[:, None],
            searched=searched,
            layers=tuple(_layers([lookups[j][0] for j in used[len(searched) :]])),
        )

    def scaled(self, factor: float) -> Self:
        """The same with points `factor` times as large."""
        return replace(self, most=factor * self.most, points=factor * self.points)

    def look_up(self, columns: FloatArray) -> FloatArray:
        """The points of n candidates, [used, n], for the values of the `used` features, [used, n]."""
        codes = np.empty(columns.shape, dtype=np.int64)
        for row, edges in enumerate(self.searched):
            codes[row] = edges.searchsorted(columns[row])
        narrow = columns[len(self.searched) :]
        above = np.zeros(narrow.shape, dtype=np.uint8)  # bytes add up several times faster than codes
        for layer in self.layers:
            above[: len(layer)] += (narrow[: len(layer)] > layer).view(np.uint8)
        codes[len(self.searched) :] = above
        codes += self.offsets
        return self.points.take(codes)


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
