"""The scorecard and the whole flow: sums, monotonicity, ties, sizes, reasons."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from msgspec.structs import replace

from market.data.language import load_lexicon
from matching.errors import FeatureError
from matching.explore import Chance
from matching.features import FEATURES
from matching.past import Past
from matching.rank import OfferingIndex, best_first, rank
from matching.reasons import MOST_REASONS, explain, reasons
from matching.scorer import SCORECARD_2, Scorecard, default_scorecard
from matching.types import FloatArray, ItemText, NeedView, OfferingView, Part, PastService, Ranking, Record
from matching.understand import Understander

K = len(FEATURES)
NAMES = [feature.name for feature in FEATURES]
LOW = np.array([min(f.worst, f.best) for f in FEATURES])
HIGH = np.array([max(f.worst, f.best) for f in FEATURES])
CARD = default_scorecard()

RENEWAL = ItemText(
    1, "A-1", "注册商标续展申请受理", aliases=("商标到期",), rights=("trademark",), stages=("management",)
)
PATENT = ItemText(2, "A-2", "专利申请受理", aliases=("申请专利",), rights=("patent",), stages=("creation",))
UNDERSTANDER = Understander([RENEWAL, PATENT], load_lexicon())
NEED = NeedView(text="商标马上到期，怎么办续展", region_code="440305")


def offering(number: int, item: ItemText = RENEWAL, **fields: object) -> OfferingView:
    view = OfferingView(
        offering_id=number,
        version=1,
        institution_id=number,
        institution_region="440300",
        item_code=item.code,
        title=item.name,
        text="，".join(item.aliases),
        region_codes=("440300",),
        record=Record(capacity=10),
        rights=item.rights,
        stages=item.stages,
    )
    return replace(view, **fields)


def ranking(
    offerings: list[OfferingView], need: NeedView = NEED, *, top: int = 10, seed: int = 1, card: Scorecard = CARD
) -> Ranking:
    return rank(need, OfferingIndex.build(offerings), card, UNDERSTANDER.read(need.text), top=top, seed=seed)


def score_of(view: OfferingView, need: NeedView = NEED) -> float:
    return ranking([view], need).ranked[0].score


matrices = st.integers(0, 20).flatmap(
    lambda n: arrays(np.float64, (n, K), elements=st.floats(0, 1)).map(lambda unit: LOW + unit * (HIGH - LOW))
)
records = st.builds(
    Record,
    capacity=st.integers(0, 20),
    load=st.integers(0, 25),
    accepted=st.integers(0, 50),
    declined=st.integers(0, 50),
    delivered=st.just(50),
    on_time=st.integers(0, 50),
)

# --- scorecard -------------------------------------------------------------------------------------------------------


@given(matrices)
def test_scores_are_the_sum_of_their_parts(values: FloatArray) -> None:
    scores = CARD.score(values)
    assert scores.parts.shape == values.shape
    for total, parts in zip(scores.total.tolist(), scores.parts.tolist(), strict=True):
        assert abs(sum(parts) - total) < 1e-9
        assert -1e-9 <= total <= 100 + 1e-9


@given(matrices, st.integers(0, K - 1), st.floats(0, 1))
def test_every_feature_is_monotone_in_its_direction(values: FloatArray, column: int, share: float) -> None:
    better = values.copy()
    best = FEATURES[column].best
    better[:, column] += share * (best - better[:, column])
    assert (CARD.score(better).total >= CARD.score(values).total - 1e-9).all()


def test_the_weights_make_a_hundred_points() -> None:
    assert CARD.weights.sum() == 100
    best = np.array([[f.best for f in FEATURES]])
    assert CARD.score(best).parts[0].tolist() == CARD.weights.tolist()
    assert CARD.score(np.array([[f.worst for f in FEATURES]])).total[0] == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_feature_that_is_no_number(bad: float) -> None:
    values = np.zeros((3, K))
    values[1, 0] = bad
    with pytest.raises(FeatureError):
        CARD.score(values)


@pytest.mark.parametrize(
    "points",
    [
        {},
        {**SCORECARD_2, "beauty": 1.0},
        {**SCORECARD_2, "load": -1.0},
        {**SCORECARD_2, "load": math.nan},
    ],
)
def test_weights_that_do_not_fit(points: dict[str, float]) -> None:
    with pytest.raises(FeatureError):
        Scorecard("wrong", points)


class OtherFeatures(Scorecard):
    """A model made for other features than ours."""

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(reversed(NAMES))


def test_a_model_for_other_features() -> None:
    with pytest.raises(FeatureError, match="odd-1"):
        ranking([offering(1)], card=OtherFeatures("odd-1", SCORECARD_2))


# --- the flow --------------------------------------------------------------------------------------------------------


def test_the_item_asked_for_comes_first() -> None:
    got = ranking([offering(1, PATENT), offering(2), offering(3, region_codes=("110000",))])
    assert [r.offering_id for r in got.ranked] == [2, 1]
    assert [r.rank for r in got.ranked] == [1, 2]
    assert [(e.offering_id, e.rule) for e in got.excluded] == [(3, "region_not_covered")]
    assert (got.model_version, got.considered, got.seed) == ("scorecard-2", 3, 1)
    for candidate in got.ranked:
        assert [part.feature for part in candidate.parts] == NAMES
        assert abs(sum(part.points for part in candidate.parts) - candidate.score) < 1e-9


def test_a_second_opinion_changes_nothing_and_tells_what_it_would_have_done() -> None:
    views = [offering(n, (RENEWAL, PATENT)[n % 2], record=Record(capacity=10, load=n % 10)) for n in range(30)]
    contrary = Scorecard("contrary", {name: 100.0 * (name == "load") for name in NAMES})
    index, reading = OfferingIndex.build(views), UNDERSTANDER.read(NEED.text)
    alone = rank(NEED, index, CARD, reading, top=5, seed=1, passed_over=8)
    both = rank(NEED, index, CARD, reading, top=5, seed=1, passed_over=8, second=contrary)
    assert replace(both, second=None) == alone
    opinion = both.second
    assert opinion is not None
    listed = [*both.ranked, *both.passed_over]
    assert len(opinion.scores) == len(listed)
    load = NAMES.index("load")
    for score, candidate in zip(opinion.scores, listed, strict=True):
        assert score == pytest.approx(100 * (1 - candidate.parts[load].value))
    emptiest = sorted(view.record.load for view in views)[:5]
    theirs = [candidate for candidate in both.ranked if candidate.parts[load].value <= max(emptiest) / 10]
    assert opinion.overlap == len(theirs) / 5
    assert opinion.propensity == (both.ranked[0].parts[load].value == 0) / 3, "three are empty, the tie is drawn"
    own = rank(NEED, index, CARD, reading, top=5, seed=1, second=CARD).second
    assert own is not None
    assert (own.propensity, own.overlap) == (both.ranked[0].propensity, 1.0)
    nobody = rank(replace(NEED, territory="110000"), index, CARD, reading, top=5, seed=1, second=CARD)
    assert nobody.second is None


def test_a_confirmed_item_outweighs_the_text() -> None:
    need = replace(NEED, item_codes=("A-2", "unknown"), rights=("patent",), stages=("creation",))
    got = ranking([offering(1), offering(2, PATENT)], need)
    assert got.ranked[0].offering_id == 2
    assert got.ranked[0].parts[NAMES.index("item_fit")].value == 1.0
    assert got.ranked[1].parts[NAMES.index("item_fit")].value < 0.5


@given(records, st.integers(0, 20))
@settings(deadline=None)
def test_more_load_never_raises(record: Record, more: int) -> None:
    index = OfferingIndex.build([offering(1)])
    before, after = (
        rank(NEED, index.with_records({1: r}), CARD, UNDERSTANDER.read(NEED.text), top=1, seed=0).ranked
        for r in (record, replace(record, load=record.load + more))
    )
    # A candidate that becomes full is excluded, which is no rise either.
    assert not after or after[0].score <= before[0].score + 1e-9


@given(st.permutations(range(12)), st.integers(0, 2**31))
@settings(deadline=None, max_examples=30)
def test_the_order_of_the_offerings_does_not_matter(order: list[int], seed: int) -> None:
    views = [offering(n, (RENEWAL, PATENT)[n % 2], record=Record(capacity=3, load=n % 3)) for n in range(12)]
    shuffled = ranking([views[n] for n in order], seed=seed)
    plain = ranking(views, seed=seed)
    assert shuffled.ranked == plain.ranked
    assert sorted(shuffled.excluded, key=lambda e: e.offering_id) == list(plain.excluded)


def test_ties_are_broken_by_the_seed_alone() -> None:
    views = [offering(n) for n in range(40)]
    orders = {tuple(r.offering_id for r in ranking(views, top=40, seed=seed).ranked) for seed in range(5)}
    assert len(orders) == 5
    assert all(set(order) == set(range(40)) for order in orders)
    first = [ranking(views, top=1, seed=seed).ranked[0].offering_id for seed in range(200)]
    assert len(set(first)) > 30


@given(st.permutations(range(12)), st.integers(0, 2**31), st.sampled_from([0.0, 3.0]))
@settings(deadline=None, max_examples=30)
def test_chance_and_the_passed_over(order: list[int], seed: int, gap: float) -> None:
    views = [offering(n, (RENEWAL, PATENT)[n % 2], record=Record(capacity=9, load=n % 5)) for n in range(12)]

    def with_chance(views: list[OfferingView]) -> Ranking:
        index, reading = OfferingIndex.build(views), UNDERSTANDER.read(NEED.text)
        return rank(NEED, index, CARD, reading, top=5, seed=seed, chance=Chance(gap), passed_over=4)

    got = with_chance(views)
    shuffled = with_chance([views[n] for n in order])
    assert (shuffled.ranked, shuffled.passed_over) == (got.ranked, got.passed_over)
    everyone = [*got.ranked, *got.passed_over]
    assert [one.rank for one in everyone] == list(range(1, 10))
    assert len({one.offering_id for one in everyone}) == 9
    assert all(0 < one.propensity <= 1 for one in got.ranked)
    assert all(one.propensity == 0 for one in got.passed_over)
    for place, one in enumerate(got.ranked):
        assert one.score >= max(other.score for other in everyone[place:]) - gap - 1e-9


@given(st.lists(st.sampled_from([0.0, 1.0, 1.0 + 1e-12, 2.0]), max_size=30), st.integers(0, 35), st.integers())
def test_a_short_list_is_the_start_of_the_long_one(scores: list[float], top: int, seed: int) -> None:
    ids = np.arange(len(scores), dtype=np.int64)
    everyone = best_first(np.array(scores), ids, top=len(scores), seed=seed).tolist()
    assert best_first(np.array(scores), ids, top=top, seed=seed).tolist() == everyone[:top]


@pytest.mark.parametrize(
    "text", ["", "商", "商标" * 25_000, "\x00\x1b[31m商标\u202e", "🙂🙂", "\ud800", "'; DROP TABLE --"]
)
def test_any_text_gives_a_ranking(text: str) -> None:
    got = ranking([offering(1), offering(2, PATENT)], replace(NEED, text=text))
    assert len(got.ranked) == 2
    assert all(math.isfinite(candidate.score) for candidate in got.ranked)


def test_no_offerings_one_offering_none_left() -> None:
    assert ranking([]) == Ranking("scorecard-2", 1, 0, (), ())
    assert len(ranking([offering(1)]).ranked) == 1
    full = ranking([offering(1, record=Record(capacity=0))])
    assert full.ranked == ()
    assert full.excluded[0].rule == "no_capacity"


def test_ten_thousand_candidates() -> None:
    views = [
        offering(n, (RENEWAL, PATENT)[n % 2], record=Record(capacity=n % 7, load=n % 3), promised_days=n % 30)
        for n in range(10_000)
    ]
    got = ranking(views, top=50)
    scores = [candidate.score for candidate in got.ranked]
    assert len(scores) == 50
    assert scores == sorted(scores, reverse=True)
    assert got.considered == 10_000
    assert sum(view.record.capacity <= view.record.load for view in views) == len(got.excluded)


def test_records_are_refreshed_without_the_texts() -> None:
    index = OfferingIndex.build([offering(1), offering(2)])
    fresh = index.with_records({1: Record(capacity=5, load=5), 99: Record(capacity=1)})
    got = rank(NEED, fresh, CARD, UNDERSTANDER.read(NEED.text), top=5, seed=0)
    assert fresh.texts is index.texts
    assert fresh.item_of(2) == "A-1"
    assert [(e.offering_id, e.rule) for e in got.excluded] == [(1, "no_capacity"), (2, "unpublished")]
    assert len(rank(NEED, index, CARD, UNDERSTANDER.read(NEED.text), top=5, seed=0).ranked) == 2


def test_the_category_leads_where_the_item_is_not_known() -> None:
    grouped = [replace(RENEWAL, group="商标相关"), ItemText(3, "A-3", "商标变更", group="商标相关"), PATENT]
    understander = Understander(grouped, load_lexicon())
    need = replace(NEED, item_codes=("A-1",))
    index = OfferingIndex.build([offering(number, item) for number, item in enumerate(grouped)])
    got = rank(need, index, CARD, understander.read(need.text), top=3, seed=1)
    values = {r.offering_id: r.parts[NAMES.index("category_prior")].value for r in got.ranked}
    assert (values[0], values[1]) == (1.0, 1.0)
    assert values[2] < 0.1
    read = rank(NEED, index, CARD, understander.read(NEED.text), top=3, seed=1)
    by_id = {
        r.offering_id: [r.parts[NAMES.index(name)].value for name in ("item_fit", "category_prior")]
        for r in read.ranked
    }
    assert by_id[1][1] == by_id[0][1] > by_id[1][0]
    assert sum(by_id[n][0] for n in (0, 1)) == pytest.approx(by_id[0][1])


def test_what_was_done_and_shown_before_counts() -> None:
    views = [offering(1), offering(2), offering(3)]
    past = Past.build([PastService(NEED.text, 2, "C")] * 3, {1: 4, 2: 1})
    need = replace(NEED, industry="C", days_left=5)
    index = OfferingIndex.build(views).with_past(past)
    got = rank(need, index, CARD, UNDERSTANDER.read(need.text), top=3, seed=1)
    assert [r.offering_id for r in got.ranked] == [2, 3, 1]
    told = [explain(got.ranked[0].parts[NAMES.index(name)], "zh") for name in ("kin", "industry", "exposure")]
    assert told == [
        "最相似的 3 条往期需求中，该机构办结了 3 条",
        "熟悉同一行业（已办结 3 条，同行业约 100%）",
        "近 30 天很少被推荐（约为平均的 0.6 倍）",
    ]


def test_what_is_worth_more() -> None:
    base = score_of(offering(1))
    assert score_of(offering(1, institution_region="440305")) > base
    assert score_of(offering(1, institution_region="110000")) < base
    assert score_of(offering(1, record=Record(capacity=10, load=9))) < base
    assert score_of(offering(1, record=Record(capacity=10, accepted=50))) > base
    assert score_of(offering(1, record=Record(capacity=10, delivered=50, on_time=10))) < base
    assert score_of(offering(1, record=Record(capacity=10, rated=20, rating_points=80))) > base
    urgent = replace(NEED, days_left=4)
    assert score_of(offering(1, promised_days=3), urgent) > score_of(offering(1, promised_days=30), urgent)
    assert score_of(offering(1, promised_days=3)) > base > score_of(offering(1, promised_days=30))


# --- reasons ---------------------------------------------------------------------------------------------------------


def test_reasons_are_the_strongest_known_parts() -> None:
    parts = [
        Part("load", 0.2, 8, 6.4, 1),
        Part("item_fit", 1.0, 32, 32, 1),
        Part("on_time", 0.8, 40, 32.5, 0),
        Part("region_distance", 6.0, 10, 0, 1),
        Part("promised_limit", 0.5, 4, 2, 1),
        Part("right_fit", 1.0, 8, 8, 1),
    ]
    assert reasons(parts, "zh") == [
        "正是需求已确认的服务事项",
        "能办理需求涉及的权利类型",
        "承接余量充足（已用 20%）",
    ]
    assert reasons(parts, "en")[0] == "exactly the service item confirmed for the need"
    assert reasons([], "zh") == []
    assert explain(parts[3], "zh") == "机构较远（行政区划相隔 6 级）"


def test_every_candidate_has_three_reasons() -> None:
    (candidate,) = ranking([offering(1)]).ranked
    assert len(reasons(candidate.parts, "zh")) == MOST_REASONS
    with pytest.raises(KeyError):
        explain(Part("beauty", 1, 1, 1, 1), "zh")
