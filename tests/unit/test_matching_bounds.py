"""Whatever goes in, ranking gives a defined answer or a typed error."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from market.data.language import load_lexicon
from matching.errors import FeatureError
from matching.features import FEATURES
from matching.model import Blended, TableModel, TableScorer
from matching.past import Past
from matching.rank import OfferingIndex, rank
from matching.reasons import explain
from matching.scorer import default_scorecard
from matching.types import FloatArray, ItemText, NeedView, OfferingView, PastService, Record
from matching.understand import Understander

NAMES = tuple(feature.name for feature in FEATURES)
K = len(NAMES)
CARD = default_scorecard()
ITEMS = (
    ItemText(1, "A-1", "注册商标续展申请受理", aliases=("商标到期",), rights=("trademark",), group="商标相关"),
    ItemText(2, "A-2", "专利申请受理", aliases=("申请专利",), rights=("patent",), stages=("creation",)),
)
UNDERSTANDER = Understander(ITEMS, load_lexicon())

counts = st.integers(0, 10**6)
records = st.builds(
    lambda capacity, load, good, bad, rated, level: Record(
        capacity=capacity,
        load=load,
        accepted=good,
        declined=bad,
        delivered=good + bad,
        on_time=good,
        rated=rated,
        rating_points=level * rated,
    ),
    counts,
    counts,
    counts,
    counts,
    counts,
    st.integers(0, 4),
)
texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["", "商", "商标续展", "\x00", "\ud800", "商标" * 25_000, "申请专利🙂" * 10_000]),
)
industries = st.sampled_from([None, "C", "I", ""])
offerings = st.builds(
    OfferingView,
    offering_id=st.integers(0, 9),
    version=st.just(1),
    institution_id=st.integers(0, 4),
    institution_region=st.sampled_from(["440300", "440305", "110000", "000000"]),
    item_code=st.sampled_from(["A-1", "A-2", "unknown"]),
    title=texts,
    text=st.just("商标续展"),
    region_codes=st.just(("000000",)),
    record=records,
    rights=st.sampled_from([(), ("trademark",), ("patent", "gi")]),
    promised_days=st.one_of(st.none(), st.floats(0, 1e300)),
)
needs = st.builds(
    NeedView,
    text=texts,
    region_code=st.just("440305"),
    item_codes=st.sampled_from([(), ("A-1",), ("unknown", "gone")]),
    industry=industries,
    days_left=st.one_of(st.none(), st.integers(-(10**6), 10**6)),
)
pasts = st.builds(
    Past.build,
    st.lists(st.builds(PastService, texts, st.integers(0, 4), industries), max_size=30),
    st.dictionaries(st.integers(0, 9), counts, max_size=10),
)


@given(needs, st.lists(offerings, max_size=8, unique_by=lambda one: one.offering_id), pasts)
@settings(deadline=None, max_examples=60)
def test_every_feature_of_anything_lies_within_its_bounds(
    need: NeedView, views: list[OfferingView], past: Past
) -> None:
    index = OfferingIndex.build(views, past)
    got = rank(need, index, CARD, UNDERSTANDER.read(need.text), top=8, seed=1)
    assert len(got.ranked) + len(got.excluded) == got.considered == len(views)
    for candidate in got.ranked:
        assert candidate.score == pytest.approx(sum(part.points for part in candidate.parts), abs=1e-9)
        for feature, part in zip(FEATURES, candidate.parts, strict=True):
            low, high = sorted((feature.worst, feature.best))
            assert low - 1e-12 <= part.value <= high + 1e-12, part
            assert 0 <= part.points <= part.weight + 1e-9
            assert part.evidence >= 0
            assert "{" not in explain(part, "zh") + explain(part, "en")


def test_ten_thousand_candidates_with_a_past() -> None:
    views = [
        OfferingView(
            offering_id=number,
            version=1,
            institution_id=number % 2_000,
            institution_region="440300",
            item_code=f"A-{1 + number % 2}",
            title="",
            text="",
            region_codes=("440000",),
            record=Record(capacity=5),
        )
        for number in range(10_000)
    ]
    past = Past.build([PastService("商标续展", number % 50, "C") for number in range(500)], {7: 3, 8: 1})
    need = NeedView(text="商标续展", region_code="440305", industry="C", days_left=9)
    got = rank(need, OfferingIndex.build(views).with_past(past), CARD, UNDERSTANDER.read(need.text), top=10, seed=1)
    assert len(got.ranked) == 10
    assert all(candidate.parts[NAMES.index("industry")].value == 1.0 for candidate in got.ranked)


numbers = st.one_of(st.floats(-1e9, 1e9), st.sampled_from([math.nan, math.inf, -math.inf]))
models = st.builds(
    TableModel,
    version=st.just("m"),
    features=st.sampled_from([NAMES, NAMES[:-1], tuple(reversed(NAMES)), ()]),
    edges=st.lists(st.lists(numbers, max_size=3).map(tuple), min_size=K - 1, max_size=K).map(tuple),
    tables=st.lists(st.lists(numbers, min_size=1, max_size=4).map(tuple), min_size=K - 1, max_size=K).map(tuple),
    intercept=st.just(0.0),
    labelled_needs=st.integers(0, 100),
)
fitting = st.lists(
    st.tuples(
        st.lists(st.floats(-10, 10), max_size=20, unique=True).map(sorted), st.lists(st.floats(-1e6, 1e6), min_size=21)
    ),
    min_size=K,
    max_size=K,
).map(
    lambda columns: TableModel(
        version="m",
        features=NAMES,
        edges=tuple(tuple(edges) for edges, _ in columns),
        tables=tuple(tuple(table[: len(edges) + 1]) for edges, table in columns),
        intercept=0.0,
        labelled_needs=50,
    )
)
matrices = st.sampled_from([0, 1, 3]).flatmap(lambda n: arrays(np.float64, (n, K), elements=st.floats(-20, 20)))


@given(models)
@settings(deadline=None)
def test_tables_that_do_not_fit_are_refused(model: TableModel) -> None:
    try:
        blend = Blended(CARD, TableScorer(model), model.labelled_needs)
    except FeatureError:
        return
    assert np.isfinite(blend.score(np.zeros((2, K))).total).all()


@given(fitting, matrices)
@settings(deadline=None, max_examples=50)
def test_a_blend_is_its_two_halves(model: TableModel, values: FloatArray) -> None:
    table = TableScorer(model)
    scores = Blended(CARD, table, model.labelled_needs).score(values)
    card = 30 / 80
    expected = card * CARD.score(values).parts + (1 - card) * table.score(values).parts
    assert scores.parts == pytest.approx(expected, rel=1e-12, abs=1e-6)
    assert scores.total == pytest.approx(scores.parts.sum(axis=1), rel=1e-12, abs=1e-9)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("huge", [1e308, -1e308])
def test_what_is_too_large_to_score(huge: float) -> None:
    model = TableScorer(TableModel("m", NAMES, ((0.5,),) * K, ((0.0, 1.0),) * K, 0.0, 50))
    values = np.zeros((2, K))
    values[1] = huge
    for scorer in (CARD, Blended(CARD, model, 50)):
        with pytest.raises(FeatureError, match="row 1"):
            scorer.score(values)


@given(matrices, st.integers(0, K - 1), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_no_scorer_takes_what_is_no_number(values: FloatArray, column: int, bad: float) -> None:
    model = TableModel("m", NAMES, ((0.5,),) * K, ((0.0, 1.0),) * K, 0.0, 50)
    if len(values):
        values[-1, column] = bad
        for scorer in (CARD, TableScorer(model), Blended(CARD, TableScorer(model), 50)):
            with pytest.raises(FeatureError, match=f"feature {column} of row {len(values) - 1}"):
                scorer.score(values)
