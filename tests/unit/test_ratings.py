"""Figures of ratings, who is told what, and the statistics that look for suspicious patterns."""

from datetime import UTC, datetime, timedelta
from math import comb
from random import Random
from typing import Any

import pytest

from market.accounts.model import Role
from market.needs.model import Channel
from market.ratings import outlook, suspicion
from market.ratings.figures import Tally, figures, total
from market.ratings.model import Rating, RatingState, RectificationState, seen_by
from market.ratings.scale import LEVEL_NAMES, SCALE, RatingLevel, indicators
from market.ratings.suspicion import Observed, hints
from market.rules.model import RULE_WORDS, RuleName

NOON = datetime(2026, 3, 4, 4, tzinfo=UTC)


# the scale -----------------------------------------------------------------------------------------------------------


def test_the_scale_is_the_policys() -> None:
    assert list(LEVEL_NAMES.values()) == ["非常满意", "满意", "基本满意", "不满意", "非常不满意"]
    assert [level.is_bad for level in sorted(RatingLevel)] == [True, True, False, False, False]
    codes = [one.code for level in SCALE for one in level.indicators]
    assert len(codes) == len(set(codes)) == 40
    for level in SCALE:
        assert {one.code[0] for one in level.indicators} == {str(level.level)}
        for channel in Channel:
            assert 4 <= len(indicators(level.level, channel)) <= 8
        for one in level.indicators:
            assert set(one.channels) <= set(Channel)
            assert one.channels
            assert one.name_en.isascii()


def test_what_can_only_be_true_at_a_counter_is_not_asked_online() -> None:
    online = {one.name for one in indicators(2, Channel.ONLINE)}
    assert "承诺网办但无法在线办理" in online
    assert "窗口人员业务不熟练" not in online
    assert "窗口人员业务不熟练" in {one.name for one in indicators(2, Channel.COUNTER)}


def test_every_rule_has_words() -> None:
    assert set(RULE_WORDS) == set(RuleName)


# figures -------------------------------------------------------------------------------------------------------------


def tally(**counts: int) -> Tally:
    one, two, three, four, five = (counts.get(f"n{level}", 0) for level in range(1, 6))
    return Tally((one, two, three, four, five))


def test_one_five_is_not_better_than_two_hundred_of_4_8() -> None:
    few, many = tally(n5=1), tally(n4=40, n5=160)
    assert (few.mean, many.mean) == (5.0, pytest.approx(4.8))
    assert few.smoothed == pytest.approx(45 / 11)
    assert many.smoothed == pytest.approx(1000 / 210)
    assert few.smoothed < many.smoothed  # type: ignore[operator]


def test_the_smoothed_mean_lies_between_prior_and_mean_and_nears_the_mean() -> None:
    rng = Random(7)
    for _ in range(200):
        one = Tally(tuple(rng.randint(0, 9) for _ in range(5)))  # type: ignore[arg-type]
        if not one.count:
            assert (one.mean, one.smoothed, one.satisfied) == (None, None, None)
            continue
        assert one.mean is not None
        assert one.smoothed is not None
        assert min(one.mean, 4) <= one.smoothed <= max(one.mean, 4)
        more = Tally(tuple(100 * n for n in one.counts))  # type: ignore[arg-type]
        assert more.smoothed is not None
        assert abs(more.smoothed - one.mean) <= abs(one.smoothed - one.mean) + 1e-12


def test_what_is_published() -> None:
    assert figures(tally(n1=1, n4=1, n5=1)).satisfied == 0.667
    assert figures(tally(n1=1, n4=1, n5=1)).mean == 3.33
    assert figures(total([])).mean is None
    assert total([tally(n5=2), tally(n5=1, n1=1)]).counts == (1, 0, 0, 0, 3)


# who is told what ----------------------------------------------------------------------------------------------------


def rating(**changes: Any) -> Rating:
    fields: dict[str, Any] = {
        "id": 1,
        "need_id": 2,
        "match_id": 3,
        "enterprise_name": "深圳甲科技有限公司",
        "institution_id": 4,
        "institution_name": "中心",
        "offering_id": 5,
        "offering_title": "维权援助",
        "item_code": "SZ-2024-27",
        "item_name": "维权援助",
        "channel": Channel.ONLINE,
        "state": RatingState.PUBLISHED,
        "level": RatingLevel.DISSATISFIED,
        "indicators": ("209", "999"),
        "remark": "",
        "later_remark": None,
        "reply": None,
        "anonymous": True,
        "on_behalf": False,
        "by_receipt": False,
        "month": "2026-03",
        "created_at": NOON,
        "rectification": RectificationState.VERIFYING,
        "due_at": NOON,
        "due_provisional": False,
        "awaits": None,
        "awaits_by": None,
        "awaits_provisional": False,
        "answer": None,
        "satisfied": None,
    }
    return Rating(**(fields | changes))


def test_the_rated_does_not_learn_who_rated_anonymously() -> None:
    seen = seen_by(rating(), Role.INSTITUTION)
    assert (seen.need_id, seen.match_id, seen.enterprise_name, seen.created_at, seen.due_at) == (None,) * 5
    assert seen_by(rating(rectification=RectificationState.RECTIFYING), Role.INSTITUTION).due_at == NOON
    assert seen_by(rating(anonymous=False), Role.INSTITUTION).need_id == 2
    for role in set(Role) - {Role.INSTITUTION}:
        assert seen_by(rating(), role) == rating()


def test_an_indicator_that_is_no_more_is_passed_over() -> None:
    assert rating().indicator_names == ["未在承诺时间内办结"]


@pytest.mark.parametrize("state", [state for state in RectificationState if state is not RectificationState.NEW])
@pytest.mark.parametrize("role", list(Role))
def test_everybody_is_told_what_happens_next(state: RectificationState, role: Role) -> None:
    assert outlook.outlook(rating(rectification=state), role)


def test_how_it_ended_is_told() -> None:
    closed = RectificationState.CLOSED
    endings = {
        outlook.outlook(rating(rectification=closed, answer=answer, satisfied=satisfied), Role.ENTERPRISE)
        for answer, satisfied in ((None, None), ("改了", None), ("改了", True), ("改了", False))
    }
    assert len(endings) == 4
    assert outlook.outlook(rating(rectification=None), Role.ENTERPRISE) == ""


# suspicious patterns -------------------------------------------------------------------------------------------------


def seen(number: int, **changes: Any) -> Observed:
    fields: dict[str, Any] = {
        "rating_id": number,
        "institution_id": 1,
        "institution_name": "中心",
        "kind": "center",
        "enterprise_id": number,
        "level": 5,
        "source": None,
        "at": NOON + timedelta(days=10 * number),
    } | changes
    return Observed(**({"delivered_at": fields["at"] - timedelta(hours=30)} | fields))


def rules_of(ratings: list[Observed]) -> set[str]:
    return {hint.rule for hint in hints(ratings)}


def test_ordinary_ratings_raise_no_hint() -> None:
    assert hints([]) == []
    assert hints([seen(n, level=[5, 5, 4, 5, 3, 2][n % 6]) for n in range(60)]) == []


def test_many_fives_from_one_enterprise_within_days() -> None:
    same = [seen(n, enterprise_id=1, at=NOON + timedelta(days=n)) for n in range(4)]
    (hint,) = hints(same)
    assert (hint.rule, hint.rating_ids) == ("repeated", (0, 1, 2, 3))
    assert "7 天内给了 4 个「非常满意」" in hint.words
    assert rules_of([seen(n, enterprise_id=1, at=NOON + timedelta(days=3 * n)) for n in range(4)]) == set()
    assert rules_of([seen(n, enterprise_id=1, level=4, at=NOON + timedelta(days=n)) for n in range(4)]) == set()
    assert rules_of([seen(n, enterprise_id=1, institution_id=n, at=NOON) for n in range(4)]) == set()
    assert "「非常不满意」" in next(iter(hints([seen(n, enterprise_id=1, level=1, at=NOON) for n in range(4)]))).words


def test_a_burst_is_measured_by_the_other_days() -> None:
    usual = [seen(n, at=NOON + timedelta(days=3 * n)) for n in range(30)]
    day = [seen(100 + n, at=NOON + timedelta(days=40, minutes=n)) for n in range(6)]
    (hint,) = hints(usual + day)
    assert (hint.rule, len(hint.rating_ids)) == ("burst", 6)
    assert rules_of(usual + day[:5]) == set()
    assert rules_of(day) == set(), "without other days there is no usual rate"
    busy = [seen(n, at=NOON + timedelta(hours=5 * n)) for n in range(200)]
    assert rules_of(busy + day) == set(), "six a day are nothing where five come every day"


def test_fives_within_minutes_of_delivery() -> None:
    quick = [seen(n, delivered_at=NOON + timedelta(days=10 * n, minutes=-4)) for n in range(3)]
    assert rules_of(quick) == {"hasty"}
    assert rules_of(quick[:2]) == set()
    assert rules_of([seen(n, level=2, delivered_at=NOON + timedelta(days=10 * n)) for n in range(3)]) == set()


def test_nearly_all_from_one_address() -> None:
    same = [seen(n, source=b"a") for n in range(5)]
    assert rules_of(same) == {"one_source"}
    assert rules_of([*same, seen(9, source=b"b")]) == {"one_source"}
    assert rules_of([*same, *(seen(9 + n, source=b"b") for n in range(2))]) == set()
    assert rules_of([seen(n) for n in range(9)]) == set(), "unknown addresses are not one address"
    assert rules_of([seen(n, source=b"a", enterprise_id=1) for n in range(9)]) == set(), (
        "one enterprise has one address"
    )


def test_a_share_of_fives_far_above_peers() -> None:
    peers = [seen(n, institution_id=2 + n % 3, level=5 if n % 2 else 4) for n in range(90)]
    own = [seen(200 + n) for n in range(20)]
    (hint,) = hints(peers + own)
    assert (hint.rule, hint.institution_id, len(hint.rating_ids)) == ("far_above_peers", 1, 20)
    assert "100% 是「非常满意」，同类机构是 50%" in hint.words
    assert rules_of(peers + own[:19]) == set(), "too few to tell"
    assert rules_of([*peers, *(seen(200 + n, kind="office") for n in range(20))]) == set(), "no peers of its kind"


def test_the_binomial_tail_is_the_sum_of_its_terms() -> None:
    for n in (1, 5, 20):
        for k in range(n + 1):
            for p in (0.1, 0.5, 0.93):
                exact = sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))
                assert suspicion.binomial_tail(k, n, p) == pytest.approx(exact)


def test_chance_alone_rarely_raises_a_hint() -> None:
    """Honest ratings of ten institutions, twenty times over: the statistics accuse hardly anybody."""
    rng, accused = Random(3), 0
    for _ in range(20):
        ratings = [
            seen(
                n,
                institution_id=n % 10,
                enterprise_id=rng.randrange(300),
                level=rng.choices((5, 4, 3, 2, 1), (70, 18, 6, 4, 2))[0],
                at=NOON + timedelta(days=rng.random() * 180),
                delivered_at=NOON - timedelta(days=1),
            )
            for n in range(400)
        ]
        accused += len(hints(ratings))
    assert accused <= 2
