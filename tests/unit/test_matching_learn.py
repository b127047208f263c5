"""Learning: additive, monotone, exactly exported, as an estimator should be; models as JSON; bad input."""

import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from msgspec.structs import replace
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from matching.calibrate import Platt
from matching.errors import FeatureError
from matching.evaluate import ndcg
from matching.features import FEATURES
from matching.grades import grade
from matching.lambdarank import graded_pairs, lambdas
from matching.learn import (
    EXACT,
    AdditiveRanker,
    LearningError,
    Training,
    encode,
    quantile_edges,
    spread,
    table_model,
    tuned,
)
from matching.model import FEWEST_NEEDS, Blended, TableModel, TableScorer
from matching.scorer import default_scorecard
from matching.types import FloatArray

DIRECTIONS = (1, -1, 0, 1)
NAMES = ("text", "load", "hour", "noise")
VALUES = st.integers(0, 20).flatmap(
    lambda n: arrays(np.float64, (n, 4), elements=st.floats(-1e6, 1e6, allow_nan=False))
)


def market(needs: int = 60, candidates: int = 12, seed: int = 0) -> Training:
    """The first feature is good, the second bad, the third best in the middle, the fourth noise."""
    random = np.random.default_rng(seed)
    values = random.random((needs * candidates, 4))
    worth = 2 * values[:, 0] ** 2 - values[:, 1] - 2 * np.abs(values[:, 2] - 0.5) + random.normal(0, 0.1, len(values))
    grades = np.clip(np.round(worth * 2), 0, 4)
    return Training(values, grades, np.repeat(np.arange(needs), candidates))


DATA = market()
RANKER = AdditiveRanker(directions=DIRECTIONS, max_iter=80).fit(DATA.values, DATA.grades, DATA.needs)
MODEL = table_model(RANKER, version="m-1", features=NAMES, points=10.0, data=DATA)


def quality(ranker: AdditiveRanker) -> float:
    unseen = market(seed=1)
    return float(np.nanmean(ndcg(ranker.predict(unseen.values), unseen.grades, unseen.needs, k=10)))


def test_it_learns() -> None:
    assert RANKER.loss_ == "lambdarank"
    assert quality(RANKER) > 0.9
    assert RANKER.parts_error_ <= EXACT
    assert RANKER.needs_ == 60


def test_without_the_private_class_it_still_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn._loss.loss", None)
    plain = clone(RANKER).fit(DATA.values, DATA.grades, DATA.needs)
    assert plain.loss_ == "squared_error"
    assert quality(plain) > 0.9


def test_an_estimator_as_scikit_learn_expects() -> None:
    assert vars(AdditiveRanker()) == AdditiveRanker().get_params()
    twin = clone(RANKER)
    assert twin.get_params() == RANKER.get_params()
    with pytest.raises(NotFittedError):
        twin.predict(DATA.values)
    again = twin.fit(DATA.values, DATA.grades, DATA.needs).predict(DATA.values)
    assert again.tolist() == RANKER.predict(DATA.values).tolist()


def test_rows_may_come_in_any_order() -> None:
    shuffle = np.random.default_rng(3).permutation(len(DATA.needs))
    mixed = DATA.rows(shuffle)
    other = clone(RANKER).fit(mixed.values, mixed.grades, mixed.needs)
    assert quality(other) == pytest.approx(quality(RANKER), abs=0.01)


def test_tables_are_centred_and_scaled() -> None:
    codes = encode(DATA.values, RANKER.edges_)
    means = [table[codes[:, column]].mean() for column, table in enumerate(RANKER.tables_)]
    assert means == pytest.approx([0] * 4, abs=1e-12)
    assert spread(TableScorer(MODEL).score(DATA.values).total, DATA.needs) == pytest.approx(10)


@pytest.mark.parametrize("bags", [1, 3])
def test_every_table_keeps_its_direction(bags: int) -> None:
    ranker = clone(RANKER).set_params(bags=bags).fit(DATA.values, DATA.grades, DATA.needs)
    for direction, table in zip(DIRECTIONS, ranker.tables_, strict=True):
        assert direction == 0 or (np.diff(table) * direction >= -1e-12).all()
    assert quality(ranker) > 0.9


@given(VALUES)
@settings(deadline=None)
def test_scores_are_the_sum_of_their_parts_and_of_the_ranker(values: FloatArray) -> None:
    scorer = TableScorer(MODEL)
    scores = scorer.score(values)
    assert np.abs(scores.parts.sum(axis=1) - scores.total).max(initial=0) <= 1e-9
    assert (scores.parts >= 0).all()
    assert (scores.parts <= scorer.weights + 1e-12).all()
    raw = RANKER.predict(values)
    if len(raw):
        factor = MODEL.intercept / RANKER.intercept_
        assert scores.total - scores.total[0] == pytest.approx(factor * (raw - raw[0]), abs=1e-9)


@given(VALUES, st.integers(0, 3), st.floats(0, 1e6))
@settings(deadline=None)
def test_better_never_scores_lower(values: FloatArray, column: int, more: float) -> None:
    better = values.copy()
    better[:, column] += more * DIRECTIONS[column]
    assert (TableScorer(MODEL).score(better).total >= TableScorer(MODEL).score(values).total - 1e-9).all()


def test_many_edges_and_few_are_looked_up_alike() -> None:
    random = np.random.default_rng(5)
    edges = [np.sort(random.random(count)) for count in (0, 1, 5, 12, 13, 63)]
    tables = [random.random(len(cuts) + 1) for cuts in edges]
    model = TableModel(
        version="wide",
        features=tuple("abcdef"),
        edges=tuple(tuple(cuts.tolist()) for cuts in edges),
        tables=tuple(tuple(table.tolist()) for table in tables),
        intercept=0.0,
        labelled_needs=1,
    )
    values = np.vstack([random.random((300, 6)), [[cuts[0] if len(cuts) else 0 for cuts in edges]]])
    codes = encode(values, edges)
    expected = np.column_stack([table[codes[:, j]] - table.min() for j, table in enumerate(tables)])
    assert TableScorer(model).score(values).parts == pytest.approx(expected, abs=1e-15)


def test_a_model_through_json() -> None:
    full = replace(MODEL, window=("2026-01-01", "2026-06-30"), metrics={"ndcg@10": 0.9}, calibration=Platt(0.1, -1))
    assert TableModel.of_json(full.to_json()) == full


@pytest.mark.parametrize(
    "broken",
    [
        replace(MODEL, features=NAMES[:3]),
        replace(MODEL, tables=(*MODEL.tables[:3], (0.0,))),
        replace(MODEL, tables=(*MODEL.tables[:3], (*MODEL.tables[3][:-1], np.nan))),
        replace(MODEL, edges=((np.inf, *MODEL.edges[0][1:]), *MODEL.edges[1:])),
        replace(MODEL, edges=(tuple(reversed(MODEL.edges[0])), *MODEL.edges[1:])),
        replace(MODEL, intercept=np.nan),
        replace(MODEL, calibration=Platt(-0.1, 0.0)),
        replace(MODEL, calibration=Platt(0.1, np.inf)),
    ],
)
def test_tables_that_do_not_fit(broken: TableModel) -> None:
    with pytest.raises(FeatureError):
        TableScorer(broken)
    with pytest.raises(FeatureError):
        TableModel.of_json(broken.to_json())


@given(st.binary(max_size=50))
def test_a_model_that_is_no_json(text: bytes) -> None:
    with pytest.raises(FeatureError):
        TableModel.of_json(text)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_that_are_no_numbers(bad: float) -> None:
    values = DATA.values[:24].copy()
    values[5, 1] = bad
    for act in (
        TableScorer(MODEL).score,
        RANKER.predict,
        lambda v: clone(RANKER).fit(v, DATA.grades[:24], DATA.needs[:24]),
    ):
        with pytest.raises(FeatureError):
            act(values)
        with pytest.raises(FeatureError):
            act(DATA.values[:24, :3])
        with pytest.raises(FeatureError):
            act(DATA.values[:24, 0])


def test_grades_and_needs_that_cannot_be_learned() -> None:
    values, grades, needs = DATA.values[:24], DATA.grades[:24], DATA.needs[:24]
    for bad in (np.full(24, np.nan), grades[:5], -grades - 1):
        with pytest.raises(FeatureError):
            clone(RANKER).fit(values, bad, needs)
    for nothing in (np.zeros(24), np.ones(24)):
        with pytest.raises(LearningError):
            clone(RANKER).fit(values, nothing, needs)
    with pytest.raises(LearningError):
        clone(RANKER).fit(values[:0], grades[:0], needs[:0])
    with pytest.raises(LearningError):
        clone(RANKER).fit(values, grades, np.arange(24))
    with pytest.raises(FeatureError):
        table_model(RANKER, version="m", features=("one",), points=1, data=DATA)


def test_a_constant_feature_and_huge_values() -> None:
    values = np.column_stack([np.zeros(24), np.tile([1e308, -1e308], 12), np.arange(24.0), np.ones(24)])
    ranker = clone(RANKER).fit(values, np.tile([0.0, 1.0], 12), np.repeat([0, 1], 12))
    assert np.isfinite(ranker.predict(values)).all()
    assert len(ranker.edges_[0]) == 0


@given(arrays(np.float64, st.integers(1, 200), elements=st.floats(-1e300, 1e300)), st.integers(2, 64))
def test_edges_tell_few_values_apart(column: FloatArray, most: int) -> None:
    edges = quantile_edges(column, most)
    codes = np.searchsorted(edges, column)
    assert (np.diff(edges) > 0).all()
    assert len(edges) < most
    if len(np.unique(column)) <= most:
        assert len(np.unique(codes)) == len(np.unique(column))


def test_gradients_are_those_of_the_pairs() -> None:
    """Pushing along the gradient must raise NDCG, and pairs must balance."""
    pairs = graded_pairs(DATA.grades, DATA.needs)
    scores = np.random.default_rng(0).normal(size=len(DATA.grades))
    gradient, hessian = lambdas(pairs, scores)
    assert abs(gradient.sum()) < 1e-9
    assert (hessian >= 0).all()
    before = np.nanmean(ndcg(scores, DATA.grades, DATA.needs, k=10))
    assert np.nanmean(ndcg(scores - gradient, DATA.grades, DATA.needs, k=10)) > before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(lambdas(pairs, 1e9 * scores)[0]).all()


def test_grades_rise_with_every_step() -> None:
    steps = ("passed_over", "shortlisted", "approved", "accepted", "completed", "rated_well")
    assert [grade(step, by_override=False) for step in steps] == [0, 1, 2, 3, 4, 5]
    assert grade("approved", by_override=True) == 5


def test_tuning_keeps_the_best() -> None:
    grid = [{"max_iter": 1, "learning_rate": 1e-6}, {"max_iter": 60, "learning_rate": 0.1}]
    assert tuned(DATA, clone(RANKER), grid, folds=3).max_iter == 60


@pytest.mark.parametrize("needs", [1, 2, 3])
def test_tuning_on_next_to_nothing(needs: int) -> None:
    data = market(needs)
    alike = Training(data.values, np.zeros(len(data.grades)), data.needs + 100)
    both = Training(*(np.concatenate([getattr(one, name) for one in (alike, data)]) for name in DATA.__struct_fields__))
    grid = [{"max_iter": 2, "min_samples_leaf": 1}, {"max_iter": 3, "min_samples_leaf": 1}]
    assert tuned(both, clone(RANKER), grid, folds=4).max_iter in (2, 3)


def test_a_blend_moves_from_card_to_model() -> None:
    card = default_scorecard()
    random = np.random.default_rng(0)
    worst, best = np.array([f.worst for f in FEATURES]), np.array([f.best for f in FEATURES])
    values = worst + random.random((240, len(FEATURES))) * (best - worst)
    needs = np.repeat(np.arange(20), 12)
    ranker = AdditiveRanker(directions=[f.direction for f in FEATURES], max_iter=30)
    data = Training(values, np.round(4 * random.random(240)), needs)
    ranker.fit(data.values, data.grades, data.needs)
    model = TableScorer(table_model(ranker, version="m-2", features=card.features, points=8.0, data=data))
    for judged, share in ((0, 1.0), (FEWEST_NEEDS - 1, 1.0), (FEWEST_NEEDS, 0.6), (30, 0.5), (10**9, 0.0)):
        blend = Blended(card, model, judged)
        scores = blend.score(values)
        expected = share * card.score(values).parts + (1 - share) * model.score(values).parts
        assert scores.parts == pytest.approx(expected, abs=1e-5)
        assert scores.total == pytest.approx(scores.parts.sum(axis=1), abs=1e-12)
        assert (scores.parts <= blend.weights + 1e-9).all()
    assert (blend.version, blend.features) == ("scorecard-2+m-2", card.features)
    with pytest.raises(FeatureError):
        Blended(card, TableScorer(MODEL), 5)
