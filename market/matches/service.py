"""Use cases of a match: what coordinators, institutions and enterprises decide.

Every use case locks the need first and then its live match, so that two people never wait for each other.
"""

from datetime import datetime
from typing import Any

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.calendars.model import ZONE
from market.calendars.service import Deadlines
from market.errors import AlreadyReturned, Conflict, InvalidInput, InvalidTransition, NotFound
from market.matches import queries
from market.matches.model import Candidate, Match, MatchAction, MatchState, RankingRun, next_state
from market.needs import queries as need_queries
from market.needs import service as needs
from market.needs.model import ACTION_NAMES, Need, NeedAction

# the coordinator's decisions -----------------------------------------------------------------------------------------


async def approve(tx: Transaction, actor: Actor, need_id: int, match_id: int, deadlines: Deadlines) -> None:
    """Assign the proposed offering.

    Raises:
        InvalidTransition: somebody decided first; the message says who and when.
        Conflict: the proposal the actor saw has been replaced.
        CapacityFull: the offering has filled up.
    """
    need = await needs.find_to_act(tx, actor, need_id, NeedAction.APPROVE)
    await _decide(tx, need, NeedAction.APPROVE, actor)
    match = await _live(tx, need)
    if match.id != match_id:
        raise Conflict("推荐刚刚更新过，请看过新的推荐后再批准。")
    await _advance(tx, match, MatchAction.APPROVE, actor)
    due = deadlines.accept_due()
    await queries.set_due(tx, match.id, due.at, provisional=due.provisional)


async def override(
    tx: Transaction, actor: Actor, need_id: int, offering_id: int, reason: str, deadlines: Deadlines
) -> None:
    """Assign another candidate of the newest ranking, for a reason.

    Raises:
        InvalidTransition, CapacityFull: as ``approve``.
        InvalidInput: it is no candidate, or the one assigned already.
    """
    need = await needs.find_to_act(tx, actor, need_id, NeedAction.OVERRIDE)
    await _decide(tx, need, NeedAction.OVERRIDE, actor, note=reason)
    live = await queries.lock_live(tx, need.id)
    if live is not None and live.offering_id == offering_id:
        raise InvalidInput(fields={"offering_id": "这就是现在的推荐，不需要改派；请直接批准，或另选一个候选。"})
    if live is not None:
        await _advance(tx, live, MatchAction.SUPERSEDE, actor, note=reason)
    run = await queries.latest_run(tx, need.id)
    due = deadlines.accept_due()
    match_id = run and await queries.insert(
        tx,
        run.id,
        offering_id,
        state=MatchState.APPROVED,
        action=MatchAction.OVERRIDE,
        due_at=due.at,
        due_provisional=due.provisional,
        actor_id=actor.id,
        note=reason,
    )
    if match_id is None:
        raise InvalidInput(fields={"offering_id": "请从候选中选择一项服务。"})


async def return_once(tx: Transaction, actor: Actor, need_id: int, missing: tuple[str, ...], note: str) -> None:
    """Send the need back once, with everything that is missing (一次性告知).

    Raises:
        AlreadyReturned: it was sent back before.
    """
    need = await needs.find_to_act(tx, actor, need_id, NeedAction.RETURN)
    if any(event.action == NeedAction.RETURN for event in await need_queries.events(tx, need.id)):
        raise AlreadyReturned
    await _decide(tx, need, NeedAction.RETURN, actor, note=note, missing=missing)
    await _end_live(tx, need, MatchAction.SUPERSEDE, actor)


async def escalate(tx: Transaction, actor: Actor, need_id: int, note: str) -> None:
    """Hand the need to the node above, which ranks it among the institutions of its larger region.

    Raises:
        Conflict: there is no node above.
    """
    need = await needs.find_to_act(tx, actor, need_id, NeedAction.ESCALATE)
    parent_id = await need_queries.parent_node(tx, need.node_id)
    if parent_id is None:
        raise Conflict(f"{need.node_name}已经是最上级节点，请在本节点内处理。")
    await _decide(tx, need, NeedAction.ESCALATE, actor, note=note, from_node=need.node_name)
    await _end_live(tx, need, MatchAction.SUPERSEDE, actor)
    await need_queries.set_node(tx, need.id, parent_id)
    await needs.ask_for_ranking(tx, need.id)


async def rank_again(tx: Transaction, actor: Actor, need_id: int) -> None:
    """Have the need ranked anew, for instance after an institution has published what was lacking."""
    need = await needs.find_to_act(tx, actor, need_id, NeedAction.RANK_AGAIN)
    await _decide(tx, need, NeedAction.RANK_AGAIN, actor)
    await _end_live(tx, need, MatchAction.SUPERSEDE, actor)
    await needs.ask_for_ranking(tx, need.id)


async def close(tx: Transaction, actor: Actor, need_id: int, note: str) -> None:
    """End a need that no service can answer, for a reason the enterprise reads."""
    need = await needs.find_to_act(tx, actor, need_id, NeedAction.CLOSE)
    await _decide(tx, need, NeedAction.CLOSE, actor, note=note)
    await _end_live(tx, need, MatchAction.CANCEL, actor)


async def answer_decline(tx: Transaction, actor: Actor, match_id: int, *, grant: bool, note: str) -> None:
    """Grant or refuse what an institution asked for: not to serve what it has taken up from the common list.

    Raises:
        NotFound, Forbidden, InvalidTransition: as elsewhere.
    """
    match = await _find(tx, actor, match_id)
    need = await needs.find_to_act(tx, actor, match.need_id, NeedAction.DECLINE)
    match = await _live(tx, need, match_id)
    if grant:
        await _advance(tx, match, MatchAction.GRANT_DECLINE, actor, note=note)
        await _back_to_ranking(tx, need, actor, note)
    else:
        await _advance(tx, match, MatchAction.REFUSE_DECLINE, actor, note=note)


# the institution's decisions -----------------------------------------------------------------------------------------


async def accept(tx: Transaction, actor: Actor, match_id: int, deadlines: Deadlines) -> None:
    """Take what was assigned. It is due as the offering's frozen version promises; without a promise, never."""
    need, match = await _to_serve(tx, actor, match_id, NeedAction.ACCEPT)
    await needs.advance(tx, need, NeedAction.ACCEPT, actor)
    await _advance(tx, match, MatchAction.ACCEPT, actor)
    if match.promised_days is None:
        await queries.set_due(tx, match.id, None, provisional=False)
    else:
        due = deadlines.in_working_days(match.promised_days)
        await queries.set_due(tx, match.id, due.at, provisional=due.provisional)


async def decline(tx: Transaction, actor: Actor, match_id: int, reason: str) -> MatchState:
    """Decline what was assigned; the match's new state.

    What the institution has taken up from the common list it may not refuse (article 2): there it becomes a request to
    the coordinator.
    """
    need, match = await _to_serve(tx, actor, match_id, NeedAction.DECLINE)
    if match.bound:
        return await _advance(tx, match, MatchAction.REQUEST_DECLINE, actor, note=reason)
    after = await _advance(tx, match, MatchAction.DECLINE, actor, note=reason)
    await _back_to_ranking(tx, need, actor, reason)
    return after


async def deliver(tx: Transaction, actor: Actor, match_id: int, result: str) -> None:
    """Hand over the result."""
    need, match = await _to_serve(tx, actor, match_id, NeedAction.DELIVER)
    await needs.advance(tx, need, NeedAction.DELIVER, actor)
    await queries.set_result(tx, match.id, result)
    await _advance(tx, match, MatchAction.DELIVER, actor, note=result)


# the enterprise's decisions ------------------------------------------------------------------------------------------


async def confirm(tx: Transaction, actor: Actor, need_id: int) -> None:
    """Accept the delivered result; the need ends."""
    need = await needs.find_to_act(tx, actor, need_id, NeedAction.CONFIRM)
    await needs.advance(tx, need, NeedAction.CONFIRM, actor)
    await _advance(tx, await _live(tx, need), MatchAction.CONFIRM, actor)


async def rework(tx: Transaction, actor: Actor, need_id: int, note: str) -> None:
    """Ask the institution to go on, because the result does not answer the need."""
    need = await needs.find_to_act(tx, actor, need_id, NeedAction.REWORK)
    await needs.advance(tx, need, NeedAction.REWORK, actor, note=note)
    await _advance(tx, await _live(tx, need), MatchAction.REWORK, actor, note=note)


async def withdraw(tx: Transaction, actor: Actor, need_id: int, note: str) -> None:
    """Take the need back, as long as no institution has taken it."""
    need = await needs.find_to_act(tx, actor, need_id, NeedAction.WITHDRAW)
    await needs.advance(tx, need, NeedAction.WITHDRAW, actor, note=note)
    await _end_live(tx, need, MatchAction.CANCEL, actor)


# reading -------------------------------------------------------------------------------------------------------------


async def find(tx: Transaction, actor: Actor, match_id: int) -> Match:
    """The match, if the actor may see it: with a need one may see, and past the proposal unless one is staff.

    Raises:
        NotFound: there is none for this actor.
    """
    match = await _find(tx, actor, match_id)
    need = await needs.find(tx, actor, match.need_id)
    staff = actor.role in (Role.COORDINATOR, Role.ADMIN)
    if not staff and match.id not in await need_queries.approved_matches(tx, need.id, actor.institution_id):
        raise NotFound
    return match


async def current(tx: Transaction, actor: Actor, need: Need) -> Match | None:
    """Who serves the need; staff also see a mere proposal."""
    match = await queries.latest(tx, need.id)
    staff = actor.role in (Role.COORDINATOR, Role.ADMIN)
    return match if match and (staff or match.state is not MatchState.PROPOSED) else None


async def ranking(tx: Transaction, actor: Actor, need_id: int) -> tuple[RankingRun, list[Candidate], Match | None]:
    """The newest ranking of a need, its candidates, and the match that was proposed or made.

    Raises:
        NotFound: the need is not the actor's to see, the actor is not staff, or it has not been ranked yet.
    """
    if actor.role not in (Role.COORDINATOR, Role.ADMIN):
        raise NotFound
    need = await needs.find(tx, actor, need_id)
    run = await queries.latest_run(tx, need.id)
    if run is None:
        raise NotFound("这条需求还没有匹配结果，请稍候。")
    return run, await queries.candidates(tx, run.id), await queries.latest(tx, need.id)


# shared steps --------------------------------------------------------------------------------------------------------


async def _find(tx: Transaction, actor: Actor, match_id: int) -> Match:
    if actor.role is Role.INSTITUTION:
        match = await queries.find(tx, match_id, institution_id=actor.institution_id)
    else:
        match = await queries.find(tx, match_id)
    if match is None:
        raise NotFound
    return match


async def _to_serve(tx: Transaction, actor: Actor, match_id: int, action: NeedAction) -> tuple[Need, Match]:
    """The institution's own live match and its need, both locked."""
    match = await queries.find(tx, match_id, institution_id=actor.institution_id)
    if match is None or actor.institution_id is None:
        raise NotFound
    need = await needs.find_to_act(tx, actor, match.need_id, action)
    return need, await _live(tx, need, match_id)


async def _live(tx: Transaction, need: Need, match_id: int | None = None) -> Match:
    match = await queries.lock_live(tx, need.id)
    if match is None or match_id not in (None, match.id):
        raise InvalidTransition("这次派单已经结束或改派，请刷新查看最新状态。")
    return match


async def _advance(
    tx: Transaction, match: Match, action: MatchAction, actor: Actor, *, note: str = "", **data: Any
) -> MatchState:
    after = next_state(match.state, action)
    await queries.move(
        tx,
        match.id,
        before=match.state,
        action=action,
        after=after,
        actor_id=actor.id,
        note=note,
        data=data,
    )
    return after


async def _end_live(tx: Transaction, need: Need, action: MatchAction, actor: Actor) -> None:
    live = await queries.lock_live(tx, need.id)
    if live is not None:
        await _advance(tx, live, action, actor)


async def _back_to_ranking(tx: Transaction, need: Need, actor: Actor, note: str) -> None:
    await needs.advance(tx, need, NeedAction.DECLINE, actor, note=note)
    await needs.ask_for_ranking(tx, need.id)


async def _decide(
    tx: Transaction, need: Need, action: NeedAction, actor: Actor, *, note: str = "", **data: Any
) -> None:
    """Move the need by a coordinator's decision.

    Raises:
        InvalidTransition: with who decided before, for whoever comes second.
    """
    try:
        await needs.advance(tx, need, action, actor, note=note, **data)
    except InvalidTransition:
        last = [e for e in await need_queries.events(tx, need.id) if e.machine == "need"][-1]
        who = last.actor_name or "系统"
        raise InvalidTransition(
            f"{who}已在{_clock(last.at)}完成「{ACTION_NAMES[NeedAction(last.action)]}」，"
            f"这条需求现在是「{need.state_name}」。请刷新查看。"
        ) from None


def _clock(moment: datetime) -> str:
    local = moment.astimezone(ZONE)
    return f"{local.month}月{local.day}日 {local:%H:%M}"
