"""Why an offering ranks where it ranks, and what would raise it: lists it was shown in go in, gaps and advice come out.

A score is a sum of parts, so what a change of one's own would have done in each list is computed, not guessed: the rows
are scored again with it, and the place counted again. Only what an institution can change itself is tried. Of rivals
only averages leave this module, and only of FEWEST_RIVALS institutions or more.
"""

from collections.abc import Callable, Mapping

import numpy as np
from msgspec import Struct

from matching.columns import HALF_DAYS, MOST_MARGIN, PRIOR_CASES, PRIOR_MEAN, promised_days
from matching.errors import FeatureError
from matching.features import FEATURES
from matching.rank import TIE_DIGITS
from matching.scorer import Scorer
from matching.types import FloatArray, IntArray, Lang

FEWEST_RIVALS = 3
"""Institutions: a list with fewer others tells nothing about rivals, and neither does an average over fewer."""
MORE_CAPACITY = (2, 5)
FASTER_DAYS = (10, 5, 3, 1)
"""Promised limits to try, in working days: those that are shorter than the present one, the nearest two."""
MOST_GAPS = 3
LEAST_GAP = 0.05
"""Points: below, a gap would read 0.0."""


class Lists(Struct, frozen=True, eq=False):
    """n lists with the candidates shown in them, all of which one offering was in.

    The candidates of list i are `start[i]:start[i + 1]` in `values` [a, k], `evidence` [a, k] and `institution` [a];
    the offering itself is row `own` [n].
    """

    start: IntArray
    values: FloatArray
    evidence: IntArray
    institution: IntArray
    own: IntArray


class Terms(Struct, frozen=True):
    """What the offering states now; `promised_days` None where it promises no limit."""

    capacity: int
    promised_days: int | None


class Gap(Struct, frozen=True):
    """Mean points for one feature: one's own, and those of whoever was placed above; `weight` is the most there are."""

    feature: str
    own: float
    above: float
    weight: float

    @property
    def points(self) -> float:
        """How far one's own lie behind."""
        return self.above - self.own

    def sentence(self, lang: Lang) -> str:
        """The gap in words."""
        feature = next(feature for feature in FEATURES if feature.name == self.feature)
        if lang == "zh":
            return f"{feature.zh}：平均比排在前面的低 {self.points:.1f} 分（您 {self.own:.1f}，他们 {self.above:.1f}）"
        return (
            f"{feature.en}: {self.points:.1f} points behind those above, on average ({self.own:.1f}, {self.above:.1f})"
        )


class Change(Struct, frozen=True):
    """Something an institution can change: `amount` is capacity beside the present one, or working days promised."""

    lever: str
    amount: int = 0


class Advice(Struct, frozen=True):
    """What a change would have done: in `moved` of `lists` the place improves, on average over those from `before` to
    `after`; `firsts` of them lead their list then."""

    change: Change
    lists: int
    moved: int
    before: float
    after: float
    firsts: int

    def sentence(self, terms: Terms, lang: Lang) -> str:
        """The advice in words."""
        change = _WORDS[self.change.lever][lang].format(
            amount=self.change.amount, capacity=terms.capacity, now=_promise(terms.promised_days, lang)
        )
        if lang == "zh":
            led = f"，其中 {self.firsts} 份排到第 1 位" if self.firsts else ""
            return (
                f"{change}：最近 {self.lists} 份名单中有 {self.moved} 份会前移，"
                f"平均从第 {self.before:.1f} 位到第 {self.after:.1f} 位{led}"
            )
        led = f", to the top in {self.firsts}" if self.firsts else ""
        return (
            f"{change}: up in {self.moved} of the last {self.lists} lists, "
            f"on average from place {self.before:.1f} to {self.after:.1f}{led}"
        )


class Standing(Struct, frozen=True):
    """How an offering stands in its lists as they would be scored now.

    `place`: its mean place. `gaps`: where it lies behind most, over the `compared` lists that have rivals enough and
    somebody above it. `advice`: what would move it up in at least one list, the most helpful first.
    """

    lists: int
    place: float
    compared: int
    gaps: tuple[Gap, ...]
    advice: tuple[Advice, ...]


class Own(Struct, frozen=True, eq=False):
    """The offering's rows: values and evidence by feature, each [n]; and its terms."""

    values: Mapping[str, FloatArray]
    evidence: Mapping[str, IntArray]
    terms: Terms


def standing(lists: Lists, terms: Terms, scorer: Scorer) -> Standing:
    """How the offering stands by `scorer`, and what would raise it. Raises FeatureError where arrays do not fit."""
    _check(lists)
    scores = scorer.score(lists.values)
    rounded = np.round(scores.total, TIE_DIGITS)
    place = _places(lists, rounded, rounded[lists.own])
    compared, gaps = _gaps(lists, scorer, parts=scores.parts, above=_above(lists, rounded))
    return Standing(
        lists=len(lists.own),
        place=float(place.mean()) if len(place) else 0.0,
        compared=compared,
        gaps=gaps,
        advice=_advice(lists, terms, scorer, rounded=rounded, place=place),
    )


def changed(lists: Lists, terms: Terms, scorer: Scorer, change: Change) -> FloatArray:
    """The scores [n] that the offering would have had with the change."""
    column = {name: number for number, name in enumerate(scorer.features)}
    rows = lists.values[lists.own]
    own = Own(
        values={name: rows[:, j] for name, j in column.items()},
        evidence={name: lists.evidence[lists.own, j] for name, j in column.items()},
        terms=terms,
    )
    values = rows.copy()
    for name, others in LEVERS[change.lever](own, change.amount).items():
        feature = next(feature for feature in FEATURES if feature.name == name)
        # What is better already stays as it is: nobody is advised to get worse.
        better = np.maximum if feature.direction > 0 else np.minimum
        values[:, column[name]] = better(rows[:, column[name]], others)
    total: FloatArray = scorer.score(values).total
    return total


def _changes(terms: Terms) -> list[Change]:
    """What to try, of each lever the smaller step first."""
    shorter = [days for days in FASTER_DAYS if terms.promised_days is None or days < terms.promised_days]
    return [
        *(Change("capacity", more) for more in MORE_CAPACITY),
        *(Change("promise", days) for days in shorter[:2]),
        *(Change(lever) for lever in ("accept", "on_time", "rights")),
    ]


def _advice(lists: Lists, terms: Terms, scorer: Scorer, *, rounded: FloatArray, place: IntArray) -> tuple[Advice, ...]:
    found: list[tuple[int, Advice]] = []
    best: dict[str, int] = {}
    for change in _changes(terms):
        after = _places(lists, rounded, np.round(changed(lists, terms, scorer, change), TIE_DIGITS))
        up = after < place
        gained = int((place - after)[up].sum())
        # A larger step that leads no further than a smaller one is not worth taking.
        if gained <= best.get(change.lever, 0):
            continue
        best[change.lever] = gained
        advice = Advice(
            change=change,
            lists=len(place),
            moved=int(up.sum()),
            before=float(place[up].mean()),
            after=float(after[up].mean()),
            firsts=int((after[up] == 1).sum()),
        )
        found.append((gained, advice))
    found.sort(key=lambda one: -one[0])
    return tuple(advice for _, advice in found)


def _places(lists: Lists, scores: FloatArray, own: FloatArray) -> IntArray:
    """The place [n] that the offering has in each list with scores `own` [n], others keeping theirs; ties are its."""
    others = np.ones(len(scores), dtype=np.bool_)
    others[lists.own] = False
    ahead = others & (scores > np.repeat(own, np.diff(lists.start)))
    counts = np.concatenate([[0], np.cumsum(ahead)])
    places: IntArray = 1 + counts[lists.start[1:]] - counts[lists.start[:-1]]
    return places


def _above(lists: Lists, scores: FloatArray) -> IntArray:
    """Rows of other institutions that are placed above the offering, in lists with FEWEST_RIVALS of them or more."""
    sizes = np.diff(lists.start)
    own = np.repeat(lists.own, sizes)
    of_list = np.repeat(np.arange(len(sizes)), sizes)
    rival = lists.institution != lists.institution[own]
    pairs = np.unique(np.column_stack([of_list[rival], lists.institution[rival]]), axis=0)
    enough = np.bincount(pairs[:, 0], minlength=len(sizes)) >= FEWEST_RIVALS
    return np.flatnonzero(rival & enough[of_list] & (scores > scores[own]))


def _gaps(lists: Lists, scorer: Scorer, *, parts: FloatArray, above: IntArray) -> tuple[int, tuple[Gap, ...]]:
    """How many lists were compared, each counting the same, and where the offering lies behind most."""
    if len(np.unique(lists.institution[above])) < FEWEST_RIVALS:
        return 0, ()
    of_list = np.searchsorted(lists.start, above, side="right") - 1
    compared, number, counts = np.unique(of_list, return_inverse=True, return_counts=True)
    share = 1 / (counts[number] * len(compared))
    others, own = share @ parts[above], parts[lists.own[compared]].mean(axis=0)
    gaps = [
        Gap(name, float(own[j]), float(others[j]), float(scorer.weights[j])) for j, name in enumerate(scorer.features)
    ]
    gaps = sorted((gap for gap in gaps if gap.points >= LEAST_GAP), key=lambda gap: -gap.points)
    return len(compared), tuple(gaps[:MOST_GAPS])


def _check(lists: Lists) -> None:
    rows = len(lists.values)
    if lists.values.shape != lists.evidence.shape or len(lists.institution) != rows:
        raise FeatureError("values, evidence and institutions of candidates differ in length")
    n = len(lists.own)
    if len(lists.start) != n + 1 or lists.start[0] != 0 or lists.start[-1] != rows or (np.diff(lists.start) < 1).any():
        raise FeatureError(f"start must rise from 0 to {rows} in {n} steps")
    if not ((lists.start[:-1] <= lists.own) & (lists.own < lists.start[1:])).all():
        raise FeatureError("the offering must be a candidate of each list")


# levers --------------------------------------------------------------------------------------------------------------

Lever = Callable[[Own, int], Mapping[str, FloatArray]]
"""An amount → the values that its own rows would have then, by feature."""


def _capacity(own: Own, more: int) -> Mapping[str, FloatArray]:
    """The load it had, on more room; the capacity is taken to have been what it is now. Without any, who knows."""
    capacity = own.terms.capacity
    if capacity == 0:
        return {}
    return {"load": own.values["load"] * capacity / (capacity + more)}


def _promise_by(own: Own, days: int) -> Mapping[str, FloatArray]:
    """The promise itself, and the margin it leaves to the day the need is wanted by, where both were known.

    A margin at its bottom may have been worse still: it is left alone, so that nothing is promised too much.
    """
    margin, before = own.values["deadline_margin"], promised_days(own.values["promised_limit"])
    counts = (own.evidence["deadline_margin"] > 0) & (margin > -MOST_MARGIN)
    shorter = np.clip(margin + before - days, -MOST_MARGIN, MOST_MARGIN)
    return {
        "promised_limit": np.array([HALF_DAYS / (HALF_DAYS + days)]),
        "deadline_margin": np.where(counts, np.maximum(margin, shorter), margin),
    }


def _all_good(feature: str) -> Lever:
    """All cases behind a smoothed rate good ones: all accepted, all on time."""

    def rate(own: Own, _amount: int) -> Mapping[str, FloatArray]:
        cases = own.evidence[feature]
        return {feature: (cases + PRIOR_CASES * PRIOR_MEAN) / (cases + PRIOR_CASES)}

    return rate


def _all_rights(own: Own, _amount: int) -> Mapping[str, FloatArray]:
    return {"right_fit": np.where(own.evidence["right_fit"] > 0, 1.0, own.values["right_fit"])}


LEVERS: Mapping[str, Lever] = {
    "capacity": _capacity,
    "promise": _promise_by,
    "accept": _all_good("acceptance"),
    "on_time": _all_good("on_time"),
    "rights": _all_rights,
}

_WORDS: Mapping[str, Mapping[Lang, str]] = {
    "capacity": {
        "zh": "可同时承接的件数增加 {amount} 件（按现在 {capacity} 件计）",
        "en": "capacity for {amount} more (with {capacity} now)",
    },
    "promise": {
        "zh": "承诺 {amount} 个工作日内办结（{now}）",
        "en": "a promised limit of {amount} working days ({now})",
    },
    "accept": {"zh": "派给您的都受理、没有谢绝", "en": "everything accepted, nothing declined"},
    "on_time": {"zh": "办结的都没有超期", "en": "everything delivered on time"},
    "rights": {
        "zh": "能办理需求涉及的全部权利类型（例如另发布相应的服务）",
        "en": "all kinds of right served that needs concern (say by publishing a service for them)",
    },
}


def _promise(days: int | None, lang: Lang) -> str:
    """The present promise in words."""
    if lang == "zh":
        return "现在没有承诺" if days is None else f"现在承诺 {days} 个"
    return "none now" if days is None else f"{days} now"


# hard rules ----------------------------------------------------------------------------------------------------------

_EXCLUDED: Mapping[str, Mapping[Lang, tuple[str, str]]] = {
    "unpublished": {
        "zh": ("当时没有发布", "恢复受理后会重新列入。"),
        "en": ("not published at the time", "Publish it again."),
    },
    "own_enterprise": {
        "zh": ("需求是您自己提的", "自己的需求不会派给自己，不用处理。"),
        "en": ("the need was your own", "Nothing to do: nobody serves itself."),
    },
    "outside_territory": {
        "zh": ("您不在那个骨干节点的辖区内", "提请上级节点后会列入，不用处理。"),
        "en": ("outside the node's territory", "Nothing to do: nodes begin with institutions of their own territory."),
    },
    "region_not_covered": {
        "zh": ("服务地区不含需求所在的地区", "能办的话，可以在服务地区中加上。"),
        "en": ("the need's region is not covered", "Add it to the regions you serve, if you can."),
    },
    "audience_not_served": {
        "zh": ("不面向这类企业", "能办的话，可以在「面向哪些企业」中加上，或者不作限制。"),
        "en": ("not open to this kind of enterprise", "Add it to those you serve, or leave it open."),
    },
    "declined": {
        "zh": ("您谢绝过这条需求", "谢绝过的需求不会再派给您；能办的请尽量受理。"),
        "en": ("you had declined the need", "What you decline does not come back."),
    },
    "no_capacity": {
        "zh": ("名额已满", "可以增加可同时承接的件数，或尽快办结手上的。"),
        "en": ("no capacity left", "Raise your capacity, or finish what you have."),
    },
}


def excluded_because(rule: str, lang: Lang) -> tuple[str, str]:
    """Why a hard rule kept an offering out, and what to do about it, said to its institution.

    Raises KeyError for a rule that there is not.
    """
    return _EXCLUDED[rule][lang]
