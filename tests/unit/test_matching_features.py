"""Encoding, hard rules and features, one offering or one column at a time."""

import numpy as np
import pytest
from msgspec.structs import replace

from matching.columns import Pairs
from matching.encode import (
    EncodedNeed,
    OfferingArrays,
    covers,
    encode_need,
    encode_offerings,
    in_territory,
    region_steps,
)
from matching.errors import EncodingError, FeatureError
from matching.features import FEATURES, check_features, feature_matrix
from matching.past import MOST_KIN, NO_PAST, Past
from matching.rules import RULES, exclusions, first_broken
from matching.types import NeedView, OfferingView, PastService, Record
from matching.wording import Feature

NEED = NeedView(
    text="商标续展", region_code="440305", rights=("trademark",), stages=("management",), audience="tech_sme"
)
OFFERING = OfferingView(
    offering_id=1,
    version=3,
    institution_id=10,
    institution_region="440300",
    item_code="SZ-17",
    title="商标续展",
    text="",
    region_codes=("440300",),
    record=Record(capacity=10),
    rights=("trademark",),
    stages=("management",),
)


def encoded(offering: OfferingView, need: NeedView = NEED) -> tuple[EncodedNeed, OfferingArrays]:
    arrays, vocabularies = encode_offerings([offering])
    return encode_need(need, vocabularies), arrays


def features(
    name: str, offerings: list[OfferingView], need: NeedView = NEED, past: Past = NO_PAST, **pair: float
) -> list[tuple[float, int]]:
    """Value and evidence of that feature for each offering."""
    arrays, vocabularies = encode_offerings(offerings)
    encoded_need = encode_need(need, vocabularies)
    standing = past.standing(
        need,
        offering_ids=arrays.offering_id,
        institution_ids=arrays.institution_id,
        near=in_territory(encoded_need, arrays),
    )
    given = [np.full(len(offerings), pair.get(what, 0.0)) for what in ("similarity", "item_fit", "category")]
    matrix = feature_matrix(Pairs(encoded_need, arrays, *given, standing))
    column = [f.name for f in FEATURES].index(name)
    return list(zip(matrix.values[:, column].tolist(), matrix.evidence[:, column].tolist(), strict=True))


def feature(
    name: str, offering: OfferingView, need: NeedView = NEED, past: Past = NO_PAST, **pair: float
) -> tuple[float, int]:
    (found,) = features(name, [offering], need, past, **pair)
    return found


def recorded(**counts: int) -> OfferingView:
    return replace(OFFERING, record=Record(**{"capacity": 10, **counts}))


# --- regions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "region", "covered", "steps"),
    [
        (440305, 440305, True, 0),
        (440300, 440305, True, 1),
        (440304, 440305, False, 2),
        (440000, 440305, True, 2),
        (440100, 440305, False, 3),
        (440106, 440305, False, 4),
        (0, 440305, True, 3),
        (110101, 440305, False, 6),
        (440305, 440300, False, 1),
        (0, 0, True, 0),
        (440305, 0, False, 3),
        (110000, 110105, True, 2),
        (429004, 429004, True, 0),
    ],
)
def test_regions(code: int, region: int, covered: bool, steps: int) -> None:
    codes = np.array([code], dtype=np.int64)
    assert covers(codes, region).tolist() == [covered]
    assert region_steps(codes, region).tolist() == [steps]


@pytest.mark.parametrize("code", ["", "4403", "44030五", "４４０３０５", "4403055", "-40305"])
def test_malformed_region(code: str) -> None:
    with pytest.raises(EncodingError):
        encoded(replace(OFFERING, institution_region=code))
    with pytest.raises(EncodingError):
        encoded(OFFERING, replace(NEED, region_code=code))
    with pytest.raises(EncodingError):
        encoded(OFFERING, replace(NEED, territory=code))


@pytest.mark.parametrize("days", [-1.0, np.nan, np.inf])
def test_a_promise_that_is_no_number_of_days(days: float) -> None:
    with pytest.raises(EncodingError, match="offering 1 promises"):
        encoded(replace(OFFERING, promised_days=days))


def test_too_many_kinds() -> None:
    with pytest.raises(EncodingError):
        encoded(replace(OFFERING, audience=tuple(f"kind{n}" for n in range(64))))


# --- hard rules ------------------------------------------------------------------------------------------------------


def broken(offering: OfferingView, need: NeedView = NEED) -> list[str]:
    need_numbers, arrays = encoded(offering, need)
    return [e.rule for e in exclusions(arrays, first_broken(need_numbers, arrays))]


def test_an_offering_that_breaks_no_rule() -> None:
    assert broken(OFFERING) == []


@pytest.mark.parametrize(
    ("rule", "offering", "need"),
    [
        ("region_not_covered", replace(OFFERING, region_codes=("440304", "110000")), NEED),
        ("region_not_covered", replace(OFFERING, region_codes=()), NEED),
        ("region_not_covered", replace(OFFERING, region_codes=("440305",)), replace(NEED, region_code="440300")),
        ("outside_territory", OFFERING, replace(NEED, territory="440305")),
        ("outside_territory", replace(OFFERING, institution_region="440106"), replace(NEED, territory="440300")),
        ("audience_not_served", replace(OFFERING, audience=("hnte",)), NEED),
        ("audience_not_served", replace(OFFERING, audience=("hnte",)), replace(NEED, audience=None)),
        ("own_enterprise", OFFERING, replace(NEED, conflicts=(9, 10))),
        ("declined", OFFERING, replace(NEED, declined_by=(10,))),
        ("no_capacity", recorded(capacity=0), NEED),
        ("no_capacity", recorded(capacity=3, load=3), NEED),
        ("no_capacity", recorded(capacity=3, load=4), NEED),
    ],
)
def test_rule(rule: str, offering: OfferingView, need: NeedView) -> None:
    assert broken(offering, need) == [rule]


@pytest.mark.parametrize(
    "offering",
    [
        replace(OFFERING, audience=("hnte", "tech_sme")),
        replace(OFFERING, region_codes=("110000", "000000")),
        recorded(capacity=3, load=2),
    ],
)
def test_rules_that_hold(offering: OfferingView) -> None:
    assert broken(offering, replace(NEED, conflicts=(9,), declined_by=(11,), territory="440300")) == []
    assert broken(offering, replace(NEED, territory="440000")) == []


def test_unpublished_and_order_of_rules() -> None:
    need, arrays = encoded(recorded(capacity=0))
    arrays = replace(arrays, published=np.array([False]))
    assert exclusions(arrays, first_broken(need, arrays))[0].rule == "unpublished"
    assert len({rule.code for rule in RULES}) == len(RULES)
    assert all(rule.zh and rule.en for rule in RULES)


# --- features --------------------------------------------------------------------------------------------------------


def test_what_is_known_of_the_text_passes_through() -> None:
    assert feature("text_similarity", OFFERING, similarity=0.4) == (0.4, 1)
    assert feature("item_fit", OFFERING, item_fit=0.7) == (0.7, 1)
    assert feature("category_prior", OFFERING, category=0.9) == (0.9, 1)


@pytest.mark.parametrize(
    ("asked", "offered", "value", "evidence"),
    [
        (("trademark",), ("trademark", "gi"), 1.0, 1),
        (("trademark", "patent"), ("trademark",), 0.5, 2),
        (("patent",), ("trademark",), 0.0, 1),
        ((), ("trademark",), 0.5, 0),
        (("patent",), (), 1.0, 1),
    ],
)
def test_right_fit(asked: tuple[str, ...], offered: tuple[str, ...], value: float, evidence: int) -> None:
    got = feature("right_fit", replace(OFFERING, rights=offered), replace(NEED, rights=asked))
    assert got == (value, evidence)


@pytest.mark.parametrize(
    ("asked", "offered", "value", "evidence"),
    [
        (("creation", "management"), ("management",), 0.5, 2),
        (("creation",), ("creation",), 1.0, 1),
        (("creation",), (), 0.5, 0),
        ((), ("creation",), 0.5, 0),
    ],
)
def test_stage_fit(asked: tuple[str, ...], offered: tuple[str, ...], value: float, evidence: int) -> None:
    got = feature("stage_fit", replace(OFFERING, stages=offered), replace(NEED, stages=asked))
    assert got == (value, evidence)


def test_region_distance() -> None:
    assert feature("region_distance", OFFERING) == (1.0, 1)


@pytest.mark.parametrize(("capacity", "load", "value"), [(10, 0, 0.0), (10, 5, 0.5), (10, 12, 1.0), (0, 0, 1.0)])
def test_load(capacity: int, load: int, value: float) -> None:
    assert feature("load", recorded(capacity=capacity, load=load)) == (value, 1)


def test_records_are_smoothed_and_newcomers_level() -> None:
    assert feature("acceptance", recorded()) == (0.8, 0)
    assert feature("acceptance", recorded(accepted=4, declined=1)) == (0.8, 5)
    assert feature("on_time", recorded()) == (0.8, 0)
    value, cases = feature("on_time", recorded(delivered=95, on_time=95))
    assert value == pytest.approx(0.99)
    assert cases == 95


def test_promised_limit_unknown_is_neutral_and_never_zero_days() -> None:
    assert feature("promised_limit", OFFERING) == (0.5, 0)
    assert feature("promised_limit", replace(OFFERING, promised_days=0)) == (1.0, 1)
    assert feature("promised_limit", replace(OFFERING, promised_days=10)) == (0.5, 1)
    assert feature("promised_limit", replace(OFFERING, promised_days=30))[0] == pytest.approx(0.25)


def test_satisfaction_is_smoothed_from_the_five_levels() -> None:
    assert feature("satisfaction", recorded()) == (0.8, 0)
    assert feature("satisfaction", recorded(rated=5, rating_points=20)) == (0.9, 5)
    assert feature("satisfaction", recorded(rated=15, rating_points=0)) == (0.2, 15)


@pytest.mark.parametrize(
    ("promised", "left", "value", "evidence"),
    [
        (5, 8, 3.0, 1),
        (5, 5, 0.0, 1),
        (5, 1, -4.0, 1),
        (0, 0, 0.0, 1),
        (2, 60, 10.0, 1),
        (30, -3, -10.0, 1),
        (5, None, 0.0, 0),
        (None, 5, 0.0, 0),
    ],
)
def test_deadline_margin(promised: int | None, left: int | None, value: float, evidence: int) -> None:
    got = feature("deadline_margin", replace(OFFERING, promised_days=promised), replace(NEED, days_left=left))
    assert got == (value, evidence)


# --- the past --------------------------------------------------------------------------------------------------------

RIVAL = replace(OFFERING, offering_id=2, institution_id=20)
FAR = replace(OFFERING, offering_id=3, institution_id=30, institution_region="110000")
NEWCOMER = replace(OFFERING, offering_id=4, institution_id=40)


def services(institution_id: int, count: int, text: str = "商标续展", industry: str | None = None) -> list[PastService]:
    return [PastService(text, institution_id, industry) for _ in range(count)]


def test_kin_are_the_most_similar_of_the_past() -> None:
    past = Past.build([*services(10, 15), *services(20, 25, "商标续展吧"), *services(20, 9, "专利检索")], {})
    assert features("kin", [OFFERING, RIVAL, NEWCOMER], past=past) == [
        (15 / MOST_KIN, MOST_KIN),
        (5 / MOST_KIN, MOST_KIN),
        (0.0, MOST_KIN),
    ]


def test_kin_who_are_not_similar_or_far_away_tell_nothing() -> None:
    past = Past.build([*services(10, 3, "专利检索"), *services(30, 30)], {})
    assert feature("kin", OFFERING, past=past) == (0.0, 0)
    near = replace(NEED, territory="440300")
    assert features("kin", [OFFERING, FAR], near, past) == [(0.0, 0), (0.0, 0)]
    assert features("kin", [OFFERING, FAR], NEED, past) == [(0.0, MOST_KIN), (1.0, MOST_KIN)]


def test_industry_is_a_share_smoothed_to_the_markets() -> None:
    past = Past.build([*services(10, 5, industry="C"), *services(20, 15, industry="I")], {})
    need = replace(NEED, industry="C")
    assert features("industry", [OFFERING, RIVAL, NEWCOMER], need, past) == [
        ((5 + 5 * 0.25) / 10, 5),
        (5 * 0.25 / 20, 15),
        (0.25, 0),
    ]
    assert feature("industry", OFFERING, replace(NEED, industry="A"), past) == (0.0, 5)
    assert feature("industry", OFFERING, NEED, past) == (0.5, 0)
    assert feature("industry", OFFERING, need, NO_PAST) == (0.5, 0)


def test_exposure_is_in_even_shares_of_those_with_the_same_item() -> None:
    other_item = replace(OFFERING, offering_id=5, institution_id=20, item_code="SZ-01")
    past = Past.build([], {1: 9, 2: 3, 3: 90, 5: 7, 99: 50})
    offerings = [OFFERING, RIVAL, NEWCOMER, FAR, other_item]
    got = features("exposure", offerings, replace(NEED, territory="440300"), past)
    assert got[:3] == [(9 / 4, 12), (3 / 4, 12), (0.0, 12)]
    assert got[4] == (1.0, 7)
    assert features("exposure", offerings, NEED, past)[3] == (3.0, 102)  # 90 of 102, of four: cut
    assert features("exposure", offerings, NEED) == [(1.0, 0)] * 5


def test_publishing_the_same_twice_gives_no_second_share() -> None:
    twin = replace(OFFERING, offering_id=6)
    past = Past.build([], {1: 2, 6: 2, 2: 4})
    assert features("exposure", [OFFERING, twin, RIVAL], past=past) == [(1.0, 8)] * 3


# --- words -----------------------------------------------------------------------------------------------------------


def test_direction() -> None:
    falling = {f.name for f in FEATURES if f.direction == -1}
    assert falling == {"region_distance", "load", "exposure"}


@pytest.mark.parametrize("this", FEATURES, ids=lambda feature: feature.name)
def test_every_value_has_a_sentence(this: Feature) -> None:
    assert this.unit
    assert [w.at_least for w in this.wordings] == sorted(w.at_least for w in this.wordings)
    for value in np.linspace(min(this.worst, this.best), max(this.worst, this.best), 13):
        for evidence in (0, 7):
            for lang in ("zh", "en"):
                sentence = this.sentence(float(value), evidence, lang)
                assert sentence
                assert "{" not in sentence


def test_sentences_tell_counts_and_days() -> None:
    by_name = {f.name: f for f in FEATURES}
    assert by_name["on_time"].sentence(0.95, 40, "zh") == "办结准时（40 次，按时率约 95%）"
    assert by_name["on_time"].sentence(0.8, 0, "zh") == "还没有办结记录，按平均水平计"
    assert by_name["promised_limit"].sentence(10 / 17, 1, "zh") == "承诺 7 个工作日内办结"
    assert by_name["promised_limit"].sentence(1.0, 1, "en") == "promises to finish on the same day"
    assert by_name["kin"].sentence(0.35, 20, "zh") == "最相似的 20 条往期需求中，该机构办结了 7 条"
    assert by_name["kin"].sentence(0.0, 20, "en") == "others completed the 20 most similar needs"
    assert by_name["industry"].sentence(0.42, 8, "zh") == "熟悉同一行业（已办结 8 条，同行业约 42%）"
    assert by_name["exposure"].sentence(0.25, 12, "zh") == "近 30 天很少被推荐（约为平均的 0.2 倍）"
    assert by_name["satisfaction"].sentence(0.9, 5, "en") == "rated very well (about 90 % in 5 ratings)"
    assert by_name["deadline_margin"].sentence(-4.0, 1, "zh") == "承诺时限比希望日期晚 4 个工作日"
    assert by_name["deadline_margin"].sentence(0.0, 1, "zh") == "承诺时限正好赶上希望日期"
    assert by_name["deadline_margin"].sentence(10.0, 1, "zh") == "承诺时限比希望日期早 10 个工作日以上"
    assert by_name["category_prior"].sentence(1.0, 1, "zh") == "与需求已确认的事项属于同一类别"
    assert by_name["region_distance"].sentence(4.0, 1, "zh") == "机构较远（行政区划相隔 4 级）"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_that_are_no_numbers(bad: float) -> None:
    values = np.zeros((2, 3))
    values[1, 2] = bad
    with pytest.raises(FeatureError, match="feature 2 of row 1"):
        check_features(values, 3)


@pytest.mark.parametrize("shape", [(2, 4), (3,), (0, 2)])
def test_features_that_do_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(FeatureError):
        check_features(np.zeros(shape), 3)
