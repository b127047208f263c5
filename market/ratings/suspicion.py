"""Patterns in ratings that a person should look at. Plain statistics; nothing happens by them alone.

Pure: ratings in, hints out. Every hint says its rule and its numbers in words, and names the ratings it rests on.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec import Struct
from scipy.special import bdtrc, pdtrc

from market.calendars.model import ZONE
from market.i18n import _

BEST, WORST = 5, 1
REPEATED, REPEATED_WITHIN = 4, timedelta(days=7)
BURST, BURST_CHANCE = 6, 1e-4
HASTY, HASTY_WITHIN = 3, timedelta(minutes=5)
ONE_SOURCE, ONE_SOURCE_SHARE = 5, 0.8
PEERS, PEERS_CHANCE = 20, 0.001

Key = TypeVar("Key")


class Observed(Struct, frozen=True, kw_only=True):
    """What the statistics know of a rating. ``source``: the same for ratings from one address; None: not known."""

    rating_id: int
    institution_id: int
    institution_name: str
    kind: str
    enterprise_id: int
    level: int
    source: bytes | None
    at: datetime
    delivered_at: datetime


class Hint(Struct, frozen=True, kw_only=True):
    """A pattern of one institution: the rule's key, what was found in words, the ratings it was found in."""

    rule: str
    institution_id: int
    institution_name: str
    words: str
    rating_ids: tuple[int, ...]


def hints(ratings: Sequence[Observed]) -> list[Hint]:
    """All patterns, by institution."""
    found: list[Hint] = []
    for _institution, of_one in _by(ratings, lambda one: one.institution_id):
        for rule in (repeated, burst, hasty, one_source):
            found.extend(rule(of_one))
    found.extend(far_above_peers(ratings))
    return sorted(found, key=lambda hint: hint.institution_id)


def repeated(ratings: Sequence[Observed]) -> Iterator[Hint]:
    """One enterprise gives one institution the same extreme level again and again within days."""
    for (_enterprise, level), same in _by(ratings, lambda one: (one.enterprise_id, one.level)):
        if level in (BEST, WORST):
            most = _densest(same, REPEATED_WITHIN)
            if len(most) >= REPEATED:
                name = _("非常满意") if level == BEST else _("非常不满意")
                days = REPEATED_WITHIN.days
                yield _hint(
                    "repeated",
                    most,
                    _("同一家企业在 {days} 天内给了 {n} 个「{name}」。", days=days, n=len(most), name=name),
                )


def burst(ratings: Sequence[Observed]) -> Iterator[Hint]:
    """Far more ratings of an institution on one day than its other days let expect (Poisson)."""
    days = list(_by(ratings, lambda one: one.at.astimezone(ZONE).date()))
    span = (max(one.at for one in ratings) - min(one.at for one in ratings)).days + 1
    for day, of_day in days:
        usual = (len(ratings) - len(of_day)) / max(span - 1, 1)
        # Without other days there is no usual rate: an institution's first ratings are no burst.
        if len(of_day) >= BURST and usual and pdtrc(len(of_day) - 1, usual) < BURST_CHANCE:
            yield _hint(
                "burst",
                of_day,
                _(
                    "{month}月{day}日一天收到 {n} 条评价，平时平均每天 {usual} 条。",
                    month=day.month,
                    day=day.day,
                    n=len(of_day),
                    usual=f"{usual:.2f}",
                ),
            )


def hasty(ratings: Sequence[Observed]) -> Iterator[Hint]:
    """Several of the best ratings within minutes of delivery, before anyone can have read the result."""
    quick = [one for one in ratings if one.level == BEST and one.at - one.delivered_at <= HASTY_WITHIN]
    if len(quick) >= HASTY:
        minutes = int(HASTY_WITHIN.total_seconds() // 60)
        yield _hint(
            "hasty", quick, _("有 {n} 个「非常满意」在结果送达后 {minutes} 分钟内给出。", n=len(quick), minutes=minutes)
        )


def one_source(ratings: Sequence[Observed]) -> Iterator[Hint]:
    """Nearly all ratings of an institution, by several enterprises, from one address."""
    known = [one for one in ratings if one.source is not None]
    for _source, same in _by(known, lambda one: one.source):
        firms = len({one.enterprise_id for one in same})
        if len(same) >= ONE_SOURCE and len(same) >= ONE_SOURCE_SHARE * len(known) and firms > 1:
            words = _(
                "{n} 条线上评价中有 {same} 条来自同一个网络地址，涉及 {firms} 家企业。",
                n=len(known),
                same=len(same),
                firms=firms,
            )
            yield _hint("one_source", same, words)


def far_above_peers(ratings: Sequence[Observed]) -> Iterator[Hint]:
    """A share of best ratings that peers of the same kind make very unlikely (one-sided binomial test)."""
    for _kind, of_kind in _by(ratings, lambda one: one.kind):
        best = Counter(one.institution_id for one in of_kind if one.level == BEST)
        all_best, everyone = sum(best.values()), len(of_kind)
        for institution_id, own in _by(of_kind, lambda one: one.institution_id):
            others = everyone - len(own)
            if len(own) < PEERS or others < PEERS:
                continue
            share = (all_best - best[institution_id]) / others
            if binomial_tail(best[institution_id], len(own), share) < PEERS_CHANCE:
                yield _hint(
                    "far_above_peers",
                    [one for one in own if one.level == BEST],
                    _(
                        "{n} 条评价中 {best} 是「非常满意」，同类机构是 {share}；"
                        "如果和同类一样，出现这种情况的可能不到千分之一。",
                        n=len(own),
                        best=f"{best[institution_id] / len(own):.0%}",
                        share=f"{share:.0%}",
                    ),
                )


def binomial_tail(k: int, n: int, p: float) -> float:
    """The probability of ``k`` or more of ``n``, each with probability ``p``."""
    return 1.0 if k <= 0 else float(bdtrc(k - 1, n, p))


def _densest(ratings: Sequence[Observed], within: timedelta) -> list[Observed]:
    """The most of the ratings that lie within such a span."""
    ordered = sorted(ratings, key=lambda one: one.at)
    spans = ([one for one in ordered[start:] if one.at - first.at <= within] for start, first in enumerate(ordered))
    return max(spans, key=len)


def _by(ratings: Iterable[Observed], key: Callable[[Observed], Key]) -> Iterator[tuple[Key, list[Observed]]]:
    """The ratings in groups, each in the order given."""
    groups: defaultdict[Key, list[Observed]] = defaultdict(list)
    for one in ratings:
        groups[key(one)].append(one)
    yield from groups.items()


def _hint(rule: str, ratings: Sequence[Observed], words: str) -> Hint:
    return Hint(
        rule=rule,
        institution_id=ratings[0].institution_id,
        institution_name=ratings[0].institution_name,
        words=words,
        rating_ids=tuple(one.rating_id for one in ratings),
    )
