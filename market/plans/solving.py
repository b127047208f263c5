"""The optimum of a queue, in words. Pure; takes up to seconds, so never on an event loop."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from typing import Self

import numpy as np
from msgspec import Struct

from market.i18n import Words, _, _n
from market.learning.serving import scorer_of
from market.matches.choosing import NOTICEABLE
from market.matches.model import OfferingPrice
from market.plans.model import (
    POINTS,
    Content,
    InstitutionLoad,
    LeftOver,
    Load,
    Option,
    Pair,
    PairRule,
    QueuedCandidate,
    QueuedNeed,
    QueuedOffering,
    RuleKind,
    Total,
)
from matching.assign import (
    BINDING,
    MOST_MATCHES,
    NEAR,
    REASONS,
    Contradiction,
    Plan,
    Policy,
    Queue,
    assign,
    contradictions,
)
from matching.calibrate import Platt, utility
from matching.evaluate import balance
from matching.flow import Progress
from matching.model import TableModel
from matching.scorer import Scorer
from matching.types import FloatArray, IntArray

POLICY = Policy()
"""The published rule of distribution."""
URGENCY = 0.01
"""What serving the first due is worth beyond the last, in utility: of needs alike, the first due goes first."""
ALTERNATES = 2
MOST_NAMES = 3
"""Full services a reason names."""
LEFT_WORDS = Words(
    {
        "no_candidates": "没有候选服务，可以重新匹配或提请上级节点。",
        "not_worth": "派给候选机构增加的负担超过了所得，可以单独审核。",
    }
)


class Yardstick(Struct, frozen=True, eq=False):
    """What utilities are measured by: the scorer in force, calibrated or not."""

    scorer: Scorer
    calibration: Platt | None

    @classmethod
    def of(cls, champion: TableModel | None) -> Self:
        """Of the champion; without one, or where this release cannot read it, of the scorecard."""
        scorer = scorer_of(champion)
        fits = champion is not None and champion.features == scorer.features
        return cls(scorer, champion.calibration if champion is not None and fits else None)


class Job(Struct, frozen=True, eq=False, kw_only=True):
    """All that a plan takes: candidates in the order of the needs, all offerings of the institutions among them."""

    plan_id: int
    needs: list[QueuedNeed]
    candidates: list[QueuedCandidate]
    offerings: list[QueuedOffering]
    rules: list[PairRule]
    beyond: int
    yardstick: Yardstick


class Worth(Struct, frozen=True, eq=False):
    """The utility of each candidate [a]; ``scored_by`` None where the runs behind them were too different to score them
    all anew, and each counts with the share it had."""

    utility: FloatArray
    scored_by: str | None
    calibration: Platt | None


class Setup(Struct, frozen=True, eq=False):
    """The job as arrays, and what was ruled, by need and offering."""

    job: Job
    queue: Queue
    worth: Worth
    numbers: dict[int, int]
    utility: dict[tuple[int, int], float]
    rules: dict[tuple[int, int], PairRule]

    def ruled(self, need_id: int, offering_id: int, kind: RuleKind) -> PairRule | None:
        """The rule of that kind for a pair."""
        rule = self.rules.get((need_id, offering_id))
        return rule if rule is not None and rule.kind is kind else None


class Solved(Struct, frozen=True, eq=False):
    """A plan, and the prices it leaves behind; none where utilities were of no one scale."""

    content: Content
    prices: tuple[OfferingPrice, ...]
    scored_by: str | None
    calibration: Platt | None


def near(
    needs: Sequence[QueuedNeed], candidates: Sequence[QueuedCandidate], rules: Sequence[PairRule]
) -> list[QueuedCandidate]:
    """The first choices, whom a coordinator has pinned, and who comes near enough to the best to take its place."""
    kept = {(need.need_id, need.first_id) for need in needs}
    kept |= {(rule.need_id, rule.offering_id) for rule in rules if rule.kind is RuleKind.PIN}
    best: dict[int, float] = defaultdict(float)
    for one in candidates:
        best[one.need_id] = max(best[one.need_id], one.share)
    return [c for c in candidates if c.share >= NEAR * best[c.need_id] or (c.need_id, c.offering_id) in kept]


def worth_of(candidates: Sequence[QueuedCandidate], yardstick: Yardstick) -> Worth:
    """All candidates on one scale, whichever models ranked them: scored anew by the scorer in force, from the values
    that their runs kept; as the probability of acceptance if that scorer is calibrated, else as its score's share.

    A run that was made with other features cannot be scored anew. As long as one is in the queue, everybody counts with
    the share of the score they were shown with.
    """
    values = [candidate.values for candidate in candidates if candidate.values is not None]
    if not values or len(values) < len(candidates):
        return Worth(np.array([one.share for one in candidates], dtype=np.float64), None, None)
    scorer = yardstick.scorer
    scores = scorer.score(np.array(values)).total
    found = utility(scores, float(scorer.weights.sum()), yardstick.calibration)
    return Worth(found, scorer.version, yardstick.calibration)


def compute(job: Job, progress: Progress = lambda _step: None) -> Solved:
    """The optimum, or why there is none.

    Raises:
        MatchingError: the solver gave up.
        Others: what ``progress`` raises.
    """
    setup = _setup(job)
    against = contradictions(setup.queue)
    if against:
        content = _content(setup, None, unsolvable=tuple(_against(setup, one) for one in against))
        return Solved(content, (), None, None)
    plan = assign(setup.queue, POLICY, alternates=ALTERNATES, progress=progress)
    prices = tuple(
        OfferingPrice(offering.offering_id, price)
        for offering, price in zip(job.offerings, plan.price.tolist(), strict=True)
        if NOTICEABLE <= price < np.inf
    )
    return Solved(_content(setup, plan), prices, setup.worth.scored_by, setup.worth.calibration)


def _setup(job: Job) -> Setup:
    """Offerings and institutions are numbered in their order."""
    numbers = {offering.offering_id: number for number, offering in enumerate(job.offerings)}
    rules = {(rule.need_id, rule.offering_id): rule for rule in job.rules}
    pinned = {rule.need_id: numbers[rule.offering_id] for rule in job.rules if rule.kind is RuleKind.PIN}
    barred = {pair for pair, rule in rules.items() if rule.kind is RuleKind.BAR}
    counts = defaultdict(int, {need_id: len(list(of)) for need_id, of in groupby(job.candidates, lambda c: c.need_id)})
    urgency = {need.need_id: URGENCY * (1 - row / len(job.needs)) for row, need in enumerate(job.needs)}
    _codes, institution = np.unique([o.institution_id for o in job.offerings], return_inverse=True)
    worth = worth_of(job.candidates, job.yardstick)
    pairs = [(one.need_id, one.offering_id) for one in job.candidates]
    queue = Queue(
        start=np.cumsum([0, *(counts[need.need_id] for need in job.needs)]),
        offering=np.array([numbers[offering_id] for _need, offering_id in pairs], dtype=np.int32),
        utility=worth.utility + np.array([urgency[need_id] for need_id, _offering in pairs]),
        conflict=np.array([c.conflict or (c.need_id, c.offering_id) in barred for c in job.candidates], dtype=np.bool_),
        capacity=np.array([min(o.capacity, MOST_MATCHES - 1) for o in job.offerings], dtype=np.int64),
        load=np.array([min(o.load, MOST_MATCHES - 1) for o in job.offerings], dtype=np.int64),
        institution=institution.astype(np.int64),
        pinned=np.array([pinned.get(need.need_id, -1) for need in job.needs], dtype=np.int64),
    )
    return Setup(job, queue, worth, numbers, dict(zip(pairs, worth.utility.tolist(), strict=True)), rules)


def _content(setup: Setup, plan: Plan | None, *, unsolvable: tuple[str, ...] = ()) -> Content:
    job, pairs, left_over = setup.job, [], []
    load = setup.queue.load if plan is None else plan.load
    for row, need in enumerate(job.needs if plan else ()):
        assert plan is not None
        if plan.offering[row] < 0:
            left_over.append(_left_over(setup, need, REASONS[plan.reason[row]]))
        else:
            pairs.append(_pair(setup, plan, row))
    return Content(
        pairs=tuple(pairs),
        left_over=tuple(left_over),
        institutions=_institutions(job, load),
        planned=_total(setup, load, [pair.planned.utility for pair in pairs]),
        first_choices=_first_choices(setup),
        beyond=job.beyond,
        rules=tuple(job.rules),
        unsolvable=unsolvable,
        by_acceptance=setup.worth.calibration is not None,
    )


def _pair(setup: Setup, plan: Plan, row: int) -> Pair:
    need, queue = setup.job.needs[row], setup.queue
    number, first = int(plan.offering[row]), setup.numbers[need.first_id]

    def option(number: int) -> Option:
        offering = setup.job.offerings[number]
        return Option(
            offering_id=offering.offering_id,
            title=offering.title,
            institution_name=offering.institution_name,
            utility=setup.utility[need.need_id, offering.offering_id],
        )

    return Pair(
        need_id=need.need_id,
        match_id=need.match_id,
        enterprise_name=need.enterprise_name,
        body=need.body,
        first=option(first),
        planned=option(number),
        alternates=tuple(option(other) for other in plan.alternates[row].tolist() if other >= 0),
        reason=""
        if number == first
        else _why_not_first(setup, need, full=bool(plan.load[first] >= queue.capacity[first])),
        price=_price_in_words(float(plan.price[number])),
        pinned=bool(queue.pinned[row] >= 0),
    )


def _first_choices(setup: Setup) -> Total:
    """What approving each proposal by deadline would come to: who comes late, or is barred, finds no place."""
    queue, load, gained = setup.queue, setup.queue.load.copy(), []
    for need in setup.job.needs:
        first = setup.numbers[need.first_id]
        barred = setup.ruled(need.need_id, need.first_id, RuleKind.BAR)
        if load[first] < queue.capacity[first] and not barred:
            load[first] += 1
            gained.append(setup.utility[need.need_id, need.first_id])
    return _total(setup, load, gained)


def _total(setup: Setup, load: IntArray, gained: list[float]) -> Total:
    """``gained``: the utility of each match; needs without one get nothing."""
    queue = setup.queue
    of_institution = np.bincount(queue.institution, load, minlength=int(queue.institution.max(initial=-1)) + 1)
    of_need = np.zeros(len(queue.pinned))
    of_need[: len(gained)] = gained
    return Total(
        matched=len(gained),
        utility=sum(gained),
        idle=int((of_institution == 0).sum()),
        balance=balance(of_institution.astype(np.int64), of_need),
    )


def _institutions(job: Job, load: IntArray) -> tuple[InstitutionLoad, ...]:
    """Loads before and after, who gets most first."""
    candidates = {candidate.offering_id for candidate in job.candidates}
    after = load.tolist()
    of: dict[int, list[int]] = defaultdict(list)
    for number, offering in enumerate(job.offerings):
        of[offering.institution_id].append(number)

    def of_institution(numbers: list[int]) -> InstitutionLoad:
        own = [
            Load(
                name=job.offerings[number].title,
                capacity=job.offerings[number].capacity,
                before=job.offerings[number].load,
                after=after[number],
            )
            for number in numbers
        ]
        total = Load(
            name=job.offerings[numbers[0]].institution_name,
            capacity=sum(one.capacity for one in own),
            before=sum(one.before for one in own),
            after=sum(one.after for one in own),
        )
        shown = [
            one for one, number in zip(own, numbers, strict=True) if job.offerings[number].offering_id in candidates
        ]
        return InstitutionLoad(total=total, offerings=tuple(shown))

    found = [of_institution(numbers) for numbers in of.values()]
    return tuple(sorted(found, key=lambda one: (one.total.before - one.total.after, one.total.name)))


# in words ------------------------------------------------------------------------------------------------------------


def _left_over(setup: Setup, need: QueuedNeed, reason: str) -> LeftOver:
    if reason == "conflict":
        words = _barred_in_words(setup, need)
    else:
        words = LEFT_WORDS[reason] if reason in LEFT_WORDS else _full_in_words(setup, need)
    return LeftOver(
        need_id=need.need_id, enterprise_name=need.enterprise_name, body=need.body, reason=reason, words=words
    )


def _barred_in_words(setup: Setup, need: QueuedNeed) -> str:
    barred = [r for r in setup.job.rules if r.need_id == need.need_id and r.kind is RuleKind.BAR]
    if not barred:
        return _("候选只有企业自己的机构，可以提请上级节点。")
    named = _("；").join(
        _("{name}（{reason}）", name=rule.institution_name, reason=rule.reason) for rule in barred[:MOST_NAMES]
    )
    return _("能办的候选都已排除：{names}。可以取消排除，或提请上级节点。", names=named)


def _full_in_words(setup: Setup, need: QueuedNeed) -> str:
    own = [
        c.offering_id
        for c in setup.job.candidates
        if c.need_id == need.need_id and not c.conflict and not setup.ruled(need.need_id, c.offering_id, RuleKind.BAR)
    ]
    named = _("、").join(_name(setup, offering_id) for offering_id in own[:MOST_NAMES])
    if len(own) > MOST_NAMES:
        named = _("{names}等 {n} 项", names=named, n=len(own))
    return _("候选服务的名额都已排满，或已暂停受理：{names}。可以请机构增加名额，或提请上级节点。", names=named)


def _why_not_first(setup: Setup, need: QueuedNeed, *, full: bool) -> str:
    first = setup.job.offerings[setup.numbers[need.first_id]]
    barred = setup.ruled(need.need_id, need.first_id, RuleKind.BAR)
    pin = next((r for r in setup.job.rules if r.need_id == need.need_id and r.kind is RuleKind.PIN), None)
    if pin is not None:
        if pin.reason:
            return _("{name}固定了这项服务：{reason}", name=pin.made_by_name, reason=pin.reason)
        return _("{name}固定了这项服务", name=pin.made_by_name)
    if barred is not None:
        return _("首选已被{name}排除：{reason}", name=barred.made_by_name, reason=barred.reason)
    if first.load >= first.capacity:
        return _("首选的名额已用完，或已暂停受理")
    return _("首选的名额留给了更合适的需求") if full else _("首选机构较忙，为均衡各机构的任务")


def _price_in_words(price: float) -> str:
    if price < NOTICEABLE:
        return ""
    if price >= POLICY.leave_cost:
        return _("名额不够：还有需求等着这项服务")
    return _("名额紧张：匹配度要高出 {points} 分才派到这里", points=f"{POINTS * price:.1f}")


def _against(setup: Setup, one: Contradiction) -> str:
    """Why pins cannot be kept, and what to do."""
    offering = setup.job.offerings[one.offering]
    who = _("、").join(str(setup.job.needs[row].need_id) for row in one.needs)
    name = _name(setup, offering.offering_id)
    if BINDING[one.reason] == "not_a_candidate":
        return _(
            "需求 {needs} 固定给了{name}，但重新匹配后它已不是这条需求的候选。请取消固定，或固定给现在的候选。",
            needs=who,
            name=name,
        )
    if BINDING[one.reason] == "forbidden":
        return _("需求 {needs} 固定给了{name}，但这家机构就是企业自己。请取消固定。", needs=who, name=name)
    room = max(offering.capacity - offering.load, 0)
    left = _n("它只剩 {n} 个名额", room) if room else _("它没有空余名额，或已暂停受理")
    return _n(
        "需求 {needs} 固定给了{name}，{left}。请取消 {n} 条固定，或请机构增加名额。",
        len(one.needs) - room,
        needs=who,
        name=name,
        left=left,
    )


def _name(setup: Setup, offering_id: int) -> str:
    offering = setup.job.offerings[setup.numbers[offering_id]]
    return _("{institution}「{offering}」", institution=offering.institution_name, offering=offering.title)
