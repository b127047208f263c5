"""Learning to rank from what coordinators and institutions decided.

Gradient boosting of scikit-learn kept additive and monotone, with the LambdaRank loss, exported to one table per
feature through `predict` alone. See `model` for serving.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from msgspec import Struct
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.utils.validation import check_is_fitted

from matching.errors import FeatureError, MatchingError
from matching.evaluate import ndcg
from matching.features import check_features
from matching.lambdarank import GradedPairs, graded_pairs, lambdas
from matching.model import TableModel
from matching.types import FloatArray, IntArray

Loss = Literal["lambdarank", "squared_error"]

EXACT = 1e-9  # the tables must repeat the trees to this


class LearningError(MatchingError):
    """There is nothing to learn from, or what was learned cannot be exported exactly."""


class AdditiveRanker(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """score = intercept + Σ table of each feature, learned from graded candidates of many needs.

    Parameters
    ----------
    directions: +1, −1 or 0 per feature: may only rise, only fall, or anything. None: anything for all.
    loss: "squared_error" fits the grades themselves; it also stands in where scikit-learn's private base class of
        losses has moved. `loss_` tells which was used.
    bags: models averaged, each trained on needs drawn with replacement; 1 trains one on all needs.
    max_codes: a feature is cut into at most so many quantiles.
    The rest as in HistGradientBoostingRegressor.

    Attributes: `edges_`, `tables_` (lists of [b] and [b + 1] per feature), `intercept_`, `loss_`, `needs_` (number of
    needs seen), `parts_error_` (largest difference between trees and tables), `n_features_in_`.
    """

    def __init__(
        self,
        *,
        directions: Sequence[int] | None = None,
        loss: Loss = "lambdarank",
        learning_rate: float = 0.05,
        max_iter: int = 300,
        max_leaf_nodes: int = 4,
        min_samples_leaf: int = 20,
        l2_regularization: float = 0.1,
        max_features: float = 1.0,
        max_codes: int = 64,
        bags: int = 1,
        random_state: int = 0,
    ) -> None:
        self.directions = directions
        self.loss = loss
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.l2_regularization = l2_regularization
        self.max_features = max_features
        self.max_codes = max_codes
        self.bags = bags
        self.random_state = random_state

    def fit(self, values: FloatArray, grades: FloatArray, needs: IntArray) -> Self:
        """Learn from rows `values` [n, k] with `grades` [n] from 0 up, of `needs` [n], rows in any order.

        Raises FeatureError on values or grades that are not finite or do not fit, LearningError where no need has two
        candidates of different grades.
        """
        _check_training(values, grades, needs, self.directions)
        names = np.unique(needs)
        self.n_features_in_ = values.shape[1]
        self.needs_ = len(names)
        self.edges_ = [quantile_edges(column, self.max_codes) for column in values.T]
        codes = encode(values, self.edges_)
        random = np.random.default_rng(self.random_state)
        exports = []
        for bag in range(self.bags):
            rows, owners = np.arange(len(needs)), needs
            if self.bags > 1:
                rows, owners = _drawn(needs, random.choice(names, len(names)))
            trees, self.loss_ = self._grown(codes[rows], grades[rows], owners, seed=self.random_state + bag)
            exports.append(_exported(trees, [len(edges) + 1 for edges in self.edges_], codes))
        self.parts_error_ = max(error for _, _, error in exports)
        if self.parts_error_ > EXACT:
            raise LearningError(f"the tables differ from the trees by {self.parts_error_}")
        self._centre(
            [np.mean(bagged, axis=0) for bagged in zip(*(tables for tables, _, _ in exports), strict=True)],
            float(np.mean([intercept for _, intercept, _ in exports])),
            codes,
        )
        return self

    def predict(self, values: FloatArray) -> FloatArray:
        """Scores [n]; only their order within a need means anything."""
        check_is_fitted(self)
        check_features(values, self.n_features_in_)
        codes = encode(values, self.edges_)
        parts = [table[codes[:, column]] for column, table in enumerate(self.tables_)]
        scores: FloatArray = self.intercept_ + np.sum(parts, axis=0)
        return scores

    def _grown(
        self, codes: IntArray, grades: FloatArray, needs: IntArray, *, seed: int
    ) -> tuple[HistGradientBoostingRegressor, Loss]:
        """The trees, and the loss they were really grown with."""
        loss = lambdarank_loss(graded_pairs(grades, needs)) if self.loss == "lambdarank" else None
        trees = HistGradientBoostingRegressor(
            loss=loss or "squared_error",
            learning_rate=self.learning_rate,
            max_iter=self.max_iter,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            l2_regularization=self.l2_regularization,
            max_features=self.max_features,
            max_bins=max(self.max_codes, 2),
            interaction_cst="no_interactions",
            monotonic_cst=None if self.directions is None else list(self.directions),
            # Held-out rows would be taken out of the middle of needs, and the pairs count on the rows' order.
            early_stopping=False,
            random_state=seed,
        )
        return trees.fit(codes.astype(np.float64), grades), "squared_error" if loss is None else "lambdarank"

    def _centre(self, tables: list[FloatArray], intercept: float, codes: IntArray) -> None:
        """Let every table average 0 over the training rows, and the intercept take what that leaves."""
        means = [float(table[codes[:, column]].mean()) for column, table in enumerate(tables)]
        self.tables_ = [table - mean for table, mean in zip(tables, means, strict=True)]
        self.intercept_ = intercept + sum(means)


class Training(Struct, frozen=True, eq=False):
    """Rows to learn from: `values` [n, k], `grades` [n], `needs` [n]."""

    values: FloatArray
    grades: FloatArray
    needs: IntArray

    def rows(self, selected: Any) -> Self:
        """Some of the rows, by mask or index."""
        return type(self)(self.values[selected], self.grades[selected], self.needs[selected])


def tuned(data: Training, ranker: AdditiveRanker, grid: Sequence[Mapping[str, Any]], *, folds: int) -> AdditiveRanker:
    """The best of `grid` by NDCG@10 in cross-validation over needs, fitted to all data; the first of `grid` where there
    are too few to tell. Raises as `fit`."""
    fold = folds_of(data, folds)

    def quality(parameters: Mapping[str, Any]) -> float:
        found = []
        for held in range(fold.max() + 1):
            seen, unseen = data.rows(fold != held), data.rows(fold == held)
            model = clone(ranker).set_params(**parameters).fit(seen.values, seen.grades, seen.needs)
            found.append(ndcg(model.predict(unseen.values), unseen.grades, unseen.needs, k=10))
        return float(np.nanmean(np.concatenate(found)))

    best = grid[0] if fold.max(initial=0) < 1 else max(grid, key=quality)
    chosen: AdditiveRanker = clone(ranker).set_params(**best)
    return chosen.fit(data.values, data.grades, data.needs)


def folds_of(data: Training, folds: int) -> IntArray:
    """The fold of each row, [n] from 0, whole needs together, at most so many folds. −1 where all candidates of a need
    have the same grade: nothing is judged by these."""
    names, need = np.unique(data.needs, return_inverse=True)
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    np.minimum.at(low, need, data.grades)
    np.maximum.at(high, need, data.grades)
    graded = np.flatnonzero(high > low)
    fold = np.full(len(names), -1, dtype=np.int64)
    fold[graded] = np.random.default_rng(0).permutation(len(graded)) % folds
    return fold[need]


def table_model(
    ranker: AdditiveRanker, *, version: str, features: Sequence[str], points: float, data: Training, **about: Any
) -> TableModel:
    """A fitted ranker as a model to store, its scores spread by `points` within a need, as `spread` measures it.

    To blend with a scorecard, let `points` be the card's spread on the same data. `about`: further fields of the
    model. Raises FeatureError unless there is one name per feature.
    """
    if len(features) != ranker.n_features_in_:
        raise FeatureError(f"{len(features)} names for {ranker.n_features_in_} features")
    model = TableModel(
        version=version,
        features=tuple(features),
        edges=tuple(tuple(edges.tolist()) for edges in ranker.edges_),
        tables=tuple(tuple(table.tolist()) for table in ranker.tables_),
        intercept=ranker.intercept_,
        labelled_needs=ranker.needs_,
        **about,
    )
    own = spread(ranker.predict(data.values), data.needs)
    return model.scaled(points / own) if own > 0 else model


def spread(scores: FloatArray, needs: IntArray) -> float:
    """Standard deviation of `scores` [n] within needs [n], in their unit."""
    _, need, sizes = np.unique(needs, return_inverse=True, return_counts=True)
    mean = np.bincount(need, scores) / sizes
    return float(np.sqrt(np.mean((scores - mean[need]) ** 2)))


def quantile_edges(column: FloatArray, most: int) -> FloatArray:
    """Ascending edges that cut `column` [n] into at most `most` codes: between its values where they are few."""
    distinct = np.unique(column)
    if len(distinct) <= most:
        lower, upper = distinct[:-1], distinct[1:]
        middle = lower / 2 + upper / 2  # halved before adding, so that two huge values do not overflow
        edges = np.where((lower <= middle) & (middle < upper), middle, lower)
    else:
        edges = np.quantile(column, np.arange(1, most) / most, method="inverted_cdf")
    found: FloatArray = np.unique(edges)
    return found


def encode(values: FloatArray, edges: Sequence[FloatArray]) -> IntArray:
    """Codes [n, k]: how many of its feature's edges lie below each value."""
    codes = np.empty(values.shape, dtype=np.int64)
    for column, cuts in enumerate(edges):
        codes[:, column] = np.searchsorted(cuts, values[:, column])
    return codes


def lambdarank_loss(pairs: GradedPairs) -> Any | None:
    """The loss as HistGradientBoostingRegressor takes it; None where scikit-learn's private class is not found.

    The rows trained on must be those the pairs were made of, in their order.
    """
    try:
        from sklearn._loss.link import IdentityLink  # noqa: PLC0415
        from sklearn._loss.loss import BaseLoss  # noqa: PLC0415
    except ImportError:
        return None

    class LambdaRank(BaseLoss):  # type: ignore[misc]  # scikit-learn has no types
        """Only what growing trees asks for."""

        def fit_intercept_only(self, y_true: FloatArray, sample_weight: None = None) -> FloatArray:  # noqa: ARG002
            return np.zeros(())

        def gradient_hessian(
            self,
            *,
            raw_prediction: FloatArray,
            gradient_out: FloatArray,
            hessian_out: FloatArray,
            **_others: object,
        ) -> tuple[FloatArray, FloatArray]:
            gradient, hessian = lambdas(pairs, raw_prediction.ravel())
            gradient_out[...] = gradient.reshape(gradient_out.shape)
            hessian_out[...] = hessian.reshape(hessian_out.shape)
            return gradient_out, hessian_out

    return LambdaRank(closs=None, link=IdentityLink())


def _exported(
    trees: HistGradientBoostingRegressor, sizes: Sequence[int], codes: IntArray
) -> tuple[list[FloatArray], float, float]:
    """Tables and intercept read off `predict`, one feature varied at a time, and their largest error on `codes`."""
    grid = np.zeros((1 + sum(sizes), len(sizes)))
    ends = np.cumsum([1, *sizes])
    for column, (first, size) in enumerate(zip(ends, sizes, strict=False)):
        grid[first : first + size, column] = np.arange(size)
    scores = trees.predict(grid)
    intercept = float(scores[0])
    tables = [part - intercept for part in np.split(scores, ends)[1:-1]]
    summed = intercept + np.sum([table[codes[:, column]] for column, table in enumerate(tables)], axis=0)
    return tables, intercept, float(np.abs(summed - trees.predict(codes.astype(np.float64))).max())


def _drawn(needs: IntArray, chosen: IntArray) -> tuple[IntArray, IntArray]:
    """Rows of the `chosen` needs, and their owners numbered anew: a need drawn twice counts as two."""
    by_need = np.argsort(needs, kind="stable")
    first = np.searchsorted(needs[by_need], chosen, side="left")
    last = np.searchsorted(needs[by_need], chosen, side="right")
    rows = [by_need[start:stop] for start, stop in zip(first.tolist(), last.tolist(), strict=True)]
    return np.concatenate(rows), np.repeat(np.arange(len(chosen)), last - first)


def _check_training(values: FloatArray, grades: FloatArray, needs: IntArray, directions: Sequence[int] | None) -> None:
    check_features(values, values.shape[1] if directions is None and values.ndim == 2 else len(directions or ()))
    if not len(values) == len(grades) == len(needs):
        raise FeatureError(f"{len(values)} rows, {len(grades)} grades, {len(needs)} needs")
    if not (np.isfinite(grades) & (grades >= 0)).all():
        raise FeatureError("grades must be finite and not negative")
    low = np.full(len(needs), np.inf)
    _, need = np.unique(needs, return_inverse=True)
    np.minimum.at(low, need, grades)
    if not (grades > low[need]).any():
        raise LearningError("no need has two candidates of different grades")
