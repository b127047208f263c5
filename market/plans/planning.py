"""Making a plan: what the worker reads, the optimum, and what it stores."""

from collections import defaultdict
from itertools import groupby

import numpy as np
from msgspec import Struct

from infra.db import Transaction
from market.plans import queries
from market.plans.model import (
    MOST_NEEDS,
    POINTS,
    Content,
    InstitutionLoad,
    LeftOver,
    Load,
    Option,
    Pair,
    PlanState,
    QueuedCandidate,
    QueuedNeed,
    QueuedOffering,
    Total,
)
from matching.assign import MOST_MATCHES, REASONS, Policy, Queue, assign
from matching.types import IntArray

POLICY = Policy()
"""The published rule of distribution."""
NEAR = 0.75
"""Of the first choice's utility: who reaches less would only be a way to get the need off the list."""
URGENCY = 0.01
"""What serving the first due is worth beyond the last, in utility: of needs alike, the first due goes first."""
ALTERNATES = 2
MOST_NAMES = 3
"""Full services a reason names."""
NOTICEABLE = 0.0005
"""Of a price, in utility: below, it would read 0.0 points."""
LEFT_WORDS = {
    "no_candidates": "没有候选服务，可以重新匹配或提请上级节点。",
    "conflict": "候选只有企业自己的机构，可以提请上级节点。",
    "not_worth": "派给候选机构增加的负担超过了所得，可以单独审核。",
}


class Job(Struct, frozen=True, eq=False):
    """All that a plan takes: candidates in the order of the needs, all offerings of the institutions among them."""

    plan_id: int
    needs: list[QueuedNeed]
    candidates: list[QueuedCandidate]
    offerings: list[QueuedOffering]
    beyond: int


async def read(tx: Transaction, plan_id: int) -> Job | None:
    """The queue as it is now, and the plan marked as running; None where it does not wait to be made any more."""
    plan = await queries.find(tx, plan_id, lock=True)
    if plan is None or plan.state not in (PlanState.WAITING, PlanState.RUNNING):
        return None
    needs = await queries.needs(tx, plan.node_prefix, MOST_NEEDS)
    candidates = near(needs, await queries.candidates(tx, [need.match_id for need in needs]))
    offerings = await queries.offerings(tx, sorted({candidate.offering_id for candidate in candidates}))
    waiting = await queries.count(tx, plan.node_prefix)
    await queries.set_progress(tx, plan_id, PlanState.RUNNING, done=0, left=len(needs))
    return Job(plan_id, needs, candidates, offerings, beyond=max(waiting - len(needs), 0))


def near(needs: list[QueuedNeed], candidates: list[QueuedCandidate]) -> list[QueuedCandidate]:
    """The first choices, and who comes near enough to take their place."""
    first = {need.need_id: need.first_id for need in needs}
    least = {c.need_id: NEAR * c.utility for c in candidates if c.offering_id == first[c.need_id]}
    return [c for c in candidates if c.utility >= least[c.need_id]]


async def store(tx: Transaction, job: Job, content: Content) -> bool:
    """Write the finished plan; False, and nothing, where another attempt has."""
    plan = await queries.find(tx, job.plan_id, lock=True)
    if plan is None or plan.state is not PlanState.RUNNING:
        return False
    await queries.set_progress(tx, job.plan_id, PlanState.DONE, done=len(job.needs), left=0, content=content)
    return True


def compute(job: Job) -> Content:
    """The optimum in words, outside of any transaction.

    Raises:
        MatchingError: the solver gave up.
    """
    numbers = {offering.offering_id: number for number, offering in enumerate(job.offerings)}
    queue = _queue(job, numbers)
    plan = assign(queue, POLICY, alternates=ALTERNATES)
    utility = {(c.need_id, c.offering_id): c.utility for c in job.candidates}
    full = (plan.load >= queue.capacity).tolist()
    price = plan.price.tolist()

    def option(need: QueuedNeed, number: int) -> Option:
        offering = job.offerings[number]
        return Option(
            offering_id=offering.offering_id,
            title=offering.title,
            institution_name=offering.institution_name,
            utility=utility[need.need_id, offering.offering_id],
        )

    pairs, left_over = [], []
    for row, need in enumerate(job.needs):
        number, first = int(plan.offering[row]), numbers[need.first_id]
        if number < 0:
            left_over.append(_left_over(job, need, REASONS[plan.reason[row]]))
            continue
        pairs.append(
            Pair(
                need_id=need.need_id,
                match_id=need.match_id,
                enterprise_name=need.enterprise_name,
                body=need.body,
                first=option(need, first),
                planned=option(need, number),
                alternates=tuple(option(need, other) for other in plan.alternates[row].tolist() if other >= 0),
                reason="" if number == first else _why_not_first(job.offerings[first], full=full[first]),
                price=_price_in_words(price[number]),
            )
        )
    return Content(
        pairs=tuple(pairs),
        left_over=tuple(left_over),
        institutions=_institutions(job, plan.load),
        planned=_total(job, plan.load, [pair.planned.utility for pair in pairs]),
        first_choices=_first_choices(job, queue, numbers, utility),
        beyond=job.beyond,
    )


def _queue(job: Job, numbers: dict[int, int]) -> Queue:
    """The job as arrays; offerings and institutions are numbered in their order."""
    counts = defaultdict(int, {need_id: len(list(of)) for need_id, of in groupby(job.candidates, lambda c: c.need_id)})
    _, institution = np.unique([o.institution_id for o in job.offerings], return_inverse=True)
    urgency = {need.need_id: URGENCY * (1 - row / len(job.needs)) for row, need in enumerate(job.needs)}
    return Queue(
        start=np.cumsum([0, *(counts[need.need_id] for need in job.needs)]),
        offering=np.array([numbers[c.offering_id] for c in job.candidates], dtype=np.int32),
        utility=np.array([c.utility + urgency[c.need_id] for c in job.candidates], dtype=np.float64),
        conflict=np.array([c.conflict for c in job.candidates], dtype=np.bool_),
        capacity=np.array([min(o.capacity, MOST_MATCHES - 1) for o in job.offerings], dtype=np.int64),
        load=np.array([min(o.load, MOST_MATCHES - 1) for o in job.offerings], dtype=np.int64),
        institution=institution.astype(np.int64),
        pinned=np.full(len(job.needs), -1, dtype=np.int64),
    )


def _first_choices(job: Job, queue: Queue, numbers: dict[int, int], utility: dict[tuple[int, int], float]) -> Total:
    """What approving each proposal by deadline would come to: who comes late finds no place."""
    load, gained = queue.load.copy(), []
    for need in job.needs:
        first = numbers[need.first_id]
        if load[first] < queue.capacity[first]:
            load[first] += 1
            gained.append(utility[need.need_id, need.first_id])
    return _total(job, load, gained)


def _total(job: Job, load: IntArray, gained: list[float]) -> Total:
    return Total(
        matched=len(gained),
        utility=sum(gained),
        idle=sum(not any(load[number] for number in of) for of in _by_institution(job).values()),
    )


def _institutions(job: Job, load: IntArray) -> tuple[InstitutionLoad, ...]:
    """Loads before and after, who gets most first."""
    candidates = {candidate.offering_id for candidate in job.candidates}
    after = load.tolist()

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

    found = [of_institution(numbers) for numbers in _by_institution(job).values()]
    return tuple(sorted(found, key=lambda one: (one.total.before - one.total.after, one.total.name)))


def _by_institution(job: Job) -> dict[int, list[int]]:
    """Positions of each institution's offerings."""
    found: dict[int, list[int]] = defaultdict(list)
    for number, offering in enumerate(job.offerings):
        found[offering.institution_id].append(number)
    return found


def _left_over(job: Job, need: QueuedNeed, reason: str) -> LeftOver:
    words = LEFT_WORDS.get(reason) or _full_in_words(job, need)
    return LeftOver(
        need_id=need.need_id, enterprise_name=need.enterprise_name, body=need.body, reason=reason, words=words
    )


def _full_in_words(job: Job, need: QueuedNeed) -> str:
    own = [c.offering_id for c in job.candidates if c.need_id == need.need_id and not c.conflict]
    names = {o.offering_id: f"{o.institution_name}「{o.title}」" for o in job.offerings}
    named = "、".join(names[offering_id] for offering_id in own[:MOST_NAMES])
    rest = f"等 {len(own)} 项" if len(own) > MOST_NAMES else ""
    return f"候选服务的名额都已排满，或已暂停受理：{named}{rest}。可以请机构增加名额，或提请上级节点。"


def _why_not_first(first: QueuedOffering, *, full: bool) -> str:
    if first.load >= first.capacity:
        return "首选的名额已用完，或已暂停受理"
    return "首选的名额留给了更合适的需求" if full else "首选机构较忙，为均衡各机构的任务"


def _price_in_words(price: float) -> str:
    if price < NOTICEABLE:
        return ""
    if price >= POLICY.leave_cost:
        return "名额不够：还有需求等着这项服务"
    return f"名额紧张：匹配度要高出 {POINTS * price:.1f} 分才派到这里"
