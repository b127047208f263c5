"""Encoding, hard rules and features, one offering or one column at a time."""

import numpy as np
import pytest
from msgspec.structs import replace

from matching.encode import EncodedNeed, OfferingArrays, covers, encode_need, encode_offerings, region_steps
from matching.errors import EncodingError, FeatureError
from matching.features import FEATURES, Feature, Pairs, check_features, feature_matrix
from matching.rules import RULES, exclusions, first_broken
from matching.types import NeedView, OfferingView, Record

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


def feature(name: str, offering: OfferingView, need: NeedView = NEED, **pair: float) -> tuple[float, int]:
    arrays_need, arrays = encoded(offering, need)
    matrix = feature_matrix(
        Pairs(arrays_need, arrays, np.array([pair.get("similarity", 0.0)]), np.array([pair.get("item_fit", 0.0)]))
    )
    column = [f.name for f in FEATURES].index(name)
    return float(matrix.values[0, column]), int(matrix.evidence[0, column])


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


def test_similarity_and_item_fit_pass_through() -> None:
    assert feature("text_similarity", OFFERING, similarity=0.4) == (0.4, 1)
    assert feature("item_fit", OFFERING, item_fit=0.7) == (0.7, 1)


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


def test_direction() -> None:
    falling = {f.name for f in FEATURES if f.direction == -1}
    assert falling == {"region_distance", "load"}


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
