"""Use cases of supervision: flags every night; notice → plan → check → close, each step within the region's days."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from msgspec import structs

from infra.db import Transaction, hold
from market.accounts.model import Actor, Role
from market.audit import service as audit
from market.audit.model import Action
from market.calendars.model import ZONE, Period
from market.calendars.service import Deadlines
from market.errors import Forbidden, InvalidInput, NotFound
from market.i18n import _
from market.ledger import service as ledger
from market.ledger.figures import total
from market.ledger.model import LedgerRow, ListLine
from market.ledger.periods import month_of
from market.regions import queries as regions
from market.regions.model import NATION
from market.rules.model import RuleName
from market.supervision import queries
from market.supervision.model import (
    ACTORS,
    MONTHS,
    Flag,
    Notice,
    RuleInForce,
    Supervision,
    SupervisionAction,
    SupervisionRule,
    SupervisionRuleChange,
    SupervisionState,
    SupervisionStep,
    flags,
    next_state,
)

S, A = SupervisionState, SupervisionAction
LIMITS: Mapping[SupervisionState, RuleName] = {
    S.NOTICED: RuleName.SUPERVISION_PLAN,
    S.PLANNED: RuleName.SUPERVISION_CHECK,
    S.CHECKED: RuleName.SUPERVISION_CLOSE,
}
"""The time limit of what is awaited in each state."""


# rules and flags -----------------------------------------------------------------------------------------------------


async def in_force(tx: Transaction, region_code: str) -> list[RuleInForce]:
    """Every rule as it holds in the region, in the order of SupervisionRule.

    Raises:
        NotFound: there is no such region.
    """
    if await regions.region(tx, region_code) is None:
        raise NotFound(_("没有这个地区，请从列表中选择。"))
    order = list(SupervisionRule)
    return sorted(await queries.in_force(tx, region_code), key=lambda rule: order.index(rule.name))


async def held(tx: Transaction, region_code: str) -> list[RuleInForce]:
    """As ``in_force``, while nobody else changes the region's own."""
    await hold(tx, f"supervision rules {region_code}")
    return await in_force(tx, region_code)


async def change(
    tx: Transaction, actor: Actor, region_code: str, changes: Iterable[SupervisionRuleChange]
) -> list[RuleInForce]:
    """Set or give up a region's own rules; flags follow in the next night.

    Raises:
        NotFound: there is no such region.
        Forbidden: the region lies outside of the coordinator's.
        InvalidInput: the nation, which has nobody above, gives up a rule; by the rule's name.
    """
    if actor.role not in (Role.COORDINATOR, Role.ADMIN) or not region_code.startswith(actor.node_prefix or ""):
        raise Forbidden(_("这个地区不在您的辖区内，不能修改它的督导规则。"))
    before = await held(tx, region_code)
    wrong = {}
    for one in changes:
        if one.own:
            await queries.set_rule(tx, region_code, one, actor.login)
        elif region_code == NATION:
            wrong[str(one.name)] = _("全国的规则上面没有可以沿用的；不用它就把界线留空。")
        else:
            await queries.forget_rule(tx, one.name, region_code)
    if wrong:
        raise InvalidInput(fields=wrong)
    after = await in_force(tx, region_code)
    for rule in after:
        if rule not in before:
            await audit.record(
                tx, actor, Action.SET_SUPERVISION_RULE, f"supervision_rule:{region_code}", name=rule.name
            )
    return after


async def flag(tx: Transaction, today: date) -> int:
    """Flag the institutions that are behind by the figures of this month and the two before; how many flags are up."""
    months = tuple(month_of(today).moved(by - MONTHS + 1).code for by in range(MONTHS))
    rows: dict[int, list[LedgerRow]] = defaultdict(list)
    for row in await queries.recent(tx, months):
        rows[row.institution_id].append(row)
    rules: dict[str, list[RuleInForce]] = {}
    given: list[dict[str, Any]] = []
    for institution_id, region_code in (await queries.places(tx)).items():
        if institution_id not in rows:
            continue
        if region_code not in rules:
            rules[region_code] = await queries.in_force(tx, region_code)
        found = flags(total(rows[institution_id]), rules[region_code], months)
        given += [structs.asdict(one) | {"institution_id": institution_id} for one in found]
    await queries.raise_flags(tx, given)
    return len(given)


async def with_flags(tx: Transaction, lines: Iterable[ListLine]) -> list[ListLine]:
    """Lines of the list of ledgers, with the rules by which their institutions are behind."""
    up = await queries.flagged(tx)
    return [structs.replace(line, flags=tuple(up.get(line.institution_id, ()))) for line in lines]


async def flags_of(tx: Transaction, actor: Actor, institution_id: int) -> list[Flag]:
    """By which rules the institution is behind, for whoever may read its ledger.

    Raises:
        NotFound: it is not theirs to read.
    """
    await ledger.find(tx, actor, institution_id)
    return await queries.flags(tx, institution_id)


# steps ---------------------------------------------------------------------------------------------------------------


async def find(tx: Transaction, actor: Actor, supervision_id: int, *, lock: bool = False) -> Supervision:
    """The supervision: its institution's, its coordinators', an admin's to see.

    Raises:
        NotFound: there is none, or it is not theirs.
    """
    allowed = actor.role in ledger.READERS
    found = await queries.find(tx, actor, supervision_id, lock=lock) if allowed else None
    if found is None:
        raise NotFound
    return found


async def steps(tx: Transaction, actor: Actor, supervision_id: int) -> list[SupervisionStep]:
    """What has happened in it.

    Raises:
        NotFound: as ``find``.
    """
    await find(tx, actor, supervision_id)
    return await queries.steps(tx, supervision_id)


async def give_notice(tx: Transaction, actor: Actor, notice: Notice, deadlines: Deadlines) -> Supervision:
    """The coordinator tells an institution that it is behind, and in what, and asks for a plan.

    Raises:
        NotFound: it does not lie in the node's region.
        Conflict: it has a supervision that is open.
    """
    if actor.role not in ACTORS[A.NOTICE] or actor.node_id is None:
        raise Forbidden
    subject = await ledger.find(tx, actor, notice.institution_id)
    reasons = await queries.flags(tx, subject.id)
    clock = _clock(deadlines, S.NOTICED, subject.region_code)
    made = await queries.insert(tx, subject.id, actor.node_id, reasons, clock, actor_id=actor.id, note=notice.note)
    await audit.record(tx, actor, Action.SUPERVISION_STEP, f"supervision:{made}", step=A.NOTICE)
    return await find(tx, actor, made)


async def step(
    tx: Transaction, actor: Actor, supervision_id: int, action: SupervisionAction, note: str, deadlines: Deadlines
) -> Supervision:
    """A plan, what came of it, or the end.

    Raises:
        NotFound: as ``find``.
        Forbidden: it is the other side's step.
        InvalidTransition: it is not its turn.
    """
    found = await find(tx, actor, supervision_id, lock=True)
    if actor.role not in ACTORS[action]:
        raise Forbidden(_("这一步由对方来做。"))
    after = next_state(found.state, action)
    clock = None if after is S.CLOSED else _clock(deadlines, after, found.region_code)
    await queries.move(
        tx, found.id, before=found.state, action=action, after=after, actor_id=actor.id, note=note, clock=clock
    )
    await audit.record(tx, actor, Action.SUPERVISION_STEP, f"supervision:{found.id}", step=action)
    return await find(tx, actor, supervision_id)


async def tick(tx: Transaction, deadlines: Deadlines, limit: int) -> int:
    """Move up to ``limit`` clocks by the step that is due: reminder, expiry, escalation.

    Those counted on an older calendar are counted again before: a day may move later, never earlier.
    """
    found = await queries.stale(tx, deadlines.stamp, limit)
    if found:
        await queries.recount(tx, [_again(deadlines, one) for one in found], deadlines.stamp)
    return await queries.tick(tx, limit)


def _again(deadlines: Deadlines, one: queries.Counting) -> dict[str, Any]:
    times = deadlines.times(one.region_code, one.started_at, Period(days=one.days), promised=one.due_at)
    return {"id": one.id} | structs.asdict(times)


def today() -> date:
    """In Beijing."""
    return datetime.now(ZONE).date()


def _clock(deadlines: Deadlines, state: SupervisionState, region_code: str) -> queries.Clock:
    days = deadlines.days(LIMITS[state], region_code)
    times = deadlines.times(region_code, datetime.now(UTC), Period(days=days))
    return queries.Clock(days, deadlines.stamp, times)
