"""Use cases of a plan: rule for pairs, have one made, look at it, cancel it, approve what is ticked."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

from infra import outbox
from infra.db import Transaction, savepoint
from market.accounts.model import Actor, Role
from market.calendars.service import Deadlines
from market.errors import Conflict, DomainError, InvalidInput, NotFound
from market.i18n import _, lang
from market.matches import queries as match_queries
from market.matches import service as matches
from market.matches.model import MatchState
from market.needs import service as needs
from market.needs.model import NeedAction, NeedState
from market.plans import queries
from market.plans.model import UNDERWAY, OpenNeed, Outcome, Pair, PairRule, Plan, PlanState, RuleForm, RuleKind

MAKE_PLAN = "make_plan"
"""Topic of the outbox: this plan waits to be made."""


async def make(tx: Transaction, actor: Actor) -> Plan:
    """Have a plan made for all that waits for approval at the coordinator's node and below.

    Raises:
        Conflict: nothing waits.
    """
    assert actor.node_id is not None, "accounts' CHECK gives a coordinator a node"
    if not await queries.count(tx, _prefix(actor)):
        raise Conflict(_("现在没有等待审核的需求，不需要派单方案。"))
    plan_id = await queries.insert(tx, actor.node_id, actor.id)
    await outbox.add(tx, MAKE_PLAN, plan_id=plan_id, language=lang())
    return await find(tx, actor, plan_id)


async def find(tx: Transaction, actor: Actor, plan_id: int, *, lock: bool = False) -> Plan:
    """The plan, for coordinators of its node.

    Raises:
        NotFound: it is not there, or another node's: both look the same from outside.
    """
    plan = await queries.find(tx, plan_id, lock=lock)
    if plan is None or actor.role is not Role.COORDINATOR or plan.node_id != actor.node_id:
        raise NotFound
    return plan


async def cancel(tx: Transaction, actor: Actor, plan_id: int) -> Plan:
    """End a plan that is not done yet; a worker that solves it notices within a second, and stores nothing.

    Raises:
        NotFound: as ``find``.
        Conflict: it has ended already.
    """
    plan = await find(tx, actor, plan_id, lock=True)
    if plan.state not in UNDERWAY and plan.state is not PlanState.CANCELLED:
        raise Conflict(_("这份方案{state}，不用取消；在您批准之前不会派出任何需求。", state=plan.state_name))
    await queries.set_state(tx, plan_id, PlanState.CANCELLED)
    return await find(tx, actor, plan_id)


async def approve(tx: Transaction, actor: Actor, plan_id: int, need_ids: tuple[int, ...], deadlines: Deadlines) -> Plan:
    """Assign the planned offerings of these needs, each on its own: one that cannot be undoes no other.

    What was approved before under this plan is left as it is, so that the same call twice does no more than once.

    Raises:
        NotFound: as ``find``.
        Conflict: the plan is not done.
        InvalidInput: the plan has nobody for one of the needs.
    """
    plan = await find(tx, actor, plan_id, lock=True)
    if plan.content is None:
        raise Conflict(_("这份方案{state}，还不能批准。", state=plan.state_name))
    wanted = set(need_ids)
    if wanted - {pair.need_id for pair in plan.content.pairs}:
        raise InvalidInput(fields={"needs": _("所选的需求不在这份方案里，请刷新后再选。")})
    pairs = [pair for pair in plan.open_pairs if pair.need_id in wanted]
    offerings = {option.offering_id for pair in pairs for option in (pair.first, pair.planned)}
    await queries.lock(tx, [pair.need_id for pair in pairs], sorted(offerings))
    kept = [outcome for outcome in plan.outcomes if outcome.need_id not in {pair.need_id for pair in pairs}]
    found = [
        await attempt(tx, actor, pair.need_id, partial(_approve, tx, actor, plan, pair, deadlines)) for pair in pairs
    ]
    await queries.set_outcomes(tx, plan.id, [*kept, *found])
    return await find(tx, actor, plan_id)


async def attempt(tx: Transaction, actor: Actor, need_id: int, act: Callable[[], Awaitable[None]]) -> Outcome:
    """Decide on one need of several, in a savepoint of its own: one that is refused undoes no other, and says why."""
    words = ""
    try:
        async with savepoint(tx):
            await act()
    except DomainError as error:
        words = next(iter(error.fields.values()), error.detail)
    return Outcome(need_id=need_id, approved=not words, words=words, actor_name=actor.name, at=datetime.now(UTC))


async def _approve(tx: Transaction, actor: Actor, plan: Plan, pair: Pair, deadlines: Deadlines) -> None:
    """Approve the proposal the plan was made on, or override it.

    Raises:
        Conflict: the need has moved on since then.
        Others: as ``matches.service.approve`` and ``override``.
    """
    need = await needs.find_to_act(tx, actor, pair.need_id, NeedAction.APPROVE)
    live = await match_queries.lock_live(tx, need.id)
    # An override would also take a need from whoever was assigned meanwhile, which nobody here has asked for.
    if need.state is not NeedState.PROPOSED:
        raise Conflict(_("方案做好后这条需求已有变化，现在是「{state}」。", state=need.state_name))
    if live is None or live.state is not MatchState.PROPOSED or live.id != pair.match_id:
        raise Conflict(_("方案做好后这条需求又重新匹配过，请看过新的推荐后再审核。"))
    if pair.changed:
        reason = _("整体派单方案 #{number}", number=plan.id)
        await matches.override(tx, actor, need.id, pair.planned.offering_id, reason, deadlines)
        # Learning must not take it for a judgement on the first choice: what others need has moved it.
        await queries.set_proposed(tx, pair.match_id, pair.planned.offering_id)
    else:
        await matches.approve(tx, actor, need.id, pair.match_id, deadlines)


async def give_up(tx: Transaction, plan_id: int) -> None:
    """The plan could not be made, and will not be if it is tried again."""
    plan = await queries.find(tx, plan_id, lock=True)
    if plan is not None and plan.state is PlanState.RUNNING:
        await queries.set_state(tx, plan_id, PlanState.FAILED)


# rules for pairs -----------------------------------------------------------------------------------------------------


async def waiting(tx: Transaction, actor: Actor) -> int:
    """How many needs wait for approval at the coordinator's node and below."""
    return await queries.count(tx, _prefix(actor))


async def rules(tx: Transaction, actor: Actor) -> list[PairRule]:
    """What was ruled for needs that wait at the coordinator's node and below."""
    return await queries.rules(tx, _prefix(actor))


async def open_needs(
    tx: Transaction, actor: Actor, *, after: tuple[datetime, int] | None, limit: int
) -> list[OpenNeed]:
    """Needs that wait at the coordinator's node and below, with their candidates, the first due first."""
    return await queries.open_needs(tx, _prefix(actor), after=after, limit=limit)


async def set_rule(tx: Transaction, actor: Actor, rule: RuleForm) -> None:
    """Pin a need to one of its candidates, or bar the pair, for every plan until it is taken back.

    A pair has one rule and a need one pin: what stands against the new one goes.

    Raises:
        NotFound, Forbidden: the need is not the coordinator's to act on.
        Conflict: it does not wait for approval any more.
        InvalidInput: it is no candidate, or there is no reason for barring it.
    """
    need = await needs.find_to_act(tx, actor, rule.need_id, NeedAction.APPROVE)
    if need.state is not NeedState.PROPOSED:
        raise Conflict(_("这条需求现在是「{state}」，不在等待审核的需求里。", state=need.state_name))
    if rule.kind is RuleKind.BAR and not rule.reason:
        raise InvalidInput(fields={"reason": _("请写明为什么排除，方案和同事都会看到。")})
    if not await queries.set_rule(tx, rule, actor.id):
        raise InvalidInput(fields={"offering_id": _("请从这条需求的候选中选择一项服务。")})


async def drop_rule(tx: Transaction, actor: Actor, need_id: int, offering_id: int) -> None:
    """Take a rule back, anybody's of the node.

    Raises:
        NotFound: there is none, or the need is not the coordinator's to see.
        Forbidden: it was handed to a node above.
    """
    await needs.find_to_act(tx, actor, need_id, NeedAction.APPROVE)
    if not await queries.drop_rule(tx, need_id, offering_id):
        raise NotFound(_("这条固定或排除已经取消了。"))


def _prefix(actor: Actor) -> str:
    assert actor.node_prefix is not None, "accounts' CHECK gives a coordinator a node"
    return actor.node_prefix
