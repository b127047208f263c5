"""Use cases of a match: what coordinators, institutions and enterprises decide.

Every use case locks the need first and then its live match, so that two people never wait for each other.
"""

from datetime import UTC, datetime
from typing import Any

from babel.dates import format_date

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.calendars.model import ZONE
from market.calendars.service import Deadlines
from market.deadlines import service as limits
from market.deadlines.model import DELIVERY, LimitKind
from market.errors import AlreadyReturned, Conflict, InvalidInput, InvalidTransition, NotFound
from market.i18n import LOCALES, _, lang
from market.matches import queries
from market.matches.model import LIVE, Candidate, Match, MatchAction, MatchState, OneTimeNotice, RankingRun, next_state
from market.needs import queries as need_queries
from market.needs import service as needs
from market.needs.model import ACTION_NAMES, NOTICES, Event, Need, NeedAction

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
        raise Conflict(_("推荐刚刚更新过，请看过新的推荐后再批准。"))
    await _advance(tx, match, MatchAction.APPROVE, actor)
    await _ask_institution(tx, need, match.id, deadlines)


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
        raise InvalidInput(fields={"offering_id": _("这就是现在的推荐，不需要改派；请直接批准，或另选一个候选。")})
    if live is not None:
        await _advance(tx, live, MatchAction.SUPERSEDE, actor, note=reason)
        await limits.cancel(tx, need.id, LimitKind.ACCEPT, *DELIVERY)
    run = await queries.latest_run(tx, need.id)
    made = (
        None
        if run is None
        else await queries.insert(
            tx,
            run.id,
            offering_id,
            state=MatchState.APPROVED,
            action=MatchAction.OVERRIDE,
            actor_id=actor.id,
            note=reason,
        )
    )
    if made is None:
        raise InvalidInput(fields={"offering_id": _("请从候选中选择一项服务。")})
    await _ask_institution(tx, need, made, deadlines)


async def give_notice(tx: Transaction, actor: Actor, need_id: int, notice: OneTimeNotice, deadlines: Deadlines) -> None:
    """Send the need back once, with everything that is missing (一次性告知); the clock stops until it is answered.

    A second notice answers an answer: it names what the enterprise's answer opened, and asks for nothing that was asked
    for before.

    Raises:
        AlreadyReturned: it was sent back before, and nothing new is named.
        InvalidInput: nothing is missing, or it was asked for before.
    """
    need = await needs.find_to_act(tx, actor, need_id, NeedAction.RETURN)
    asked = [*notice.missing, *notice.materials]
    if not asked:
        raise InvalidInput(fields={"missing": _("请至少写一点，或勾选一份材料。")})
    before = [event for event in await need_queries.events(tx, need.id) if event.action in NOTICES]
    answers = {"missing": notice.missing, "materials": notice.materials}
    if not before:
        await _decide(tx, need, NeedAction.RETURN, actor, note=notice.note, **answers)
    else:
        opened = _answered(before, notice.opened, asked)
        await _decide(tx, need, NeedAction.RETURN_AGAIN, actor, note=notice.note, **answers, **opened)
    await _end_live(tx, need, MatchAction.SUPERSEDE, actor)
    await limits.pause(tx, deadlines, need.id, need.region_code, LimitKind.MATCH)


def _answered(story: list[Event], opened: str, asked: list[str]) -> dict[str, Any]:
    """What a second notice adds to its event: what was opened, and by which answer.

    ``story``: the notices so far and their answers, oldest first.
    """
    if not opened or story[-1].action != NeedAction.RESUBMIT:
        raise AlreadyReturned
    told = {point for event in story for name in ("missing", "materials") for point in event.data.get(name, ())}
    if repeated := [point for point in asked if point in told]:
        words = _("上次已经告知过：{points}。再次退回只能提企业答复后新出现的问题。", points=_("、").join(repeated))
        raise InvalidInput(fields={"missing": words})
    return {"opened": opened, "answer": story[-1].id}


async def escalate(tx: Transaction, actor: Actor, need_id: int, note: str, deadlines: Deadlines) -> None:
    """Hand the need to the node above, which ranks it among the institutions of its larger region.

    The enterprise keeps the day it was told; the first contact is the new node's to make.

    Raises:
        Conflict: there is no node above.
    """
    need = await needs.find_to_act(tx, actor, need_id, NeedAction.ESCALATE)
    parent_id = await need_queries.parent_node(tx, need.node_id)
    if parent_id is None:
        raise Conflict(_("{node}已经是最上级节点，请在本节点内处理。", node=need.node_name))
    await _decide(tx, need, NeedAction.ESCALATE, actor, note=note, from_node=need.node_name)
    await _end_live(tx, need, MatchAction.SUPERSEDE, actor)
    await need_queries.set_node(tx, need.id, parent_id)
    await limits.start(tx, need.id, limits.by_rule(deadlines, LimitKind.FIRST_CONTACT, need.region_code))
    await needs.ask_for_ranking(tx, need.id)


async def rank_again(tx: Transaction, actor: Actor, need_id: int, **data: Any) -> None:
    """Have the need ranked anew, for instance after an institution has published what was lacking.

    ``data``: what the event tells beside.
    """
    need = await needs.find_to_act(tx, actor, need_id, NeedAction.RANK_AGAIN)
    await _decide(tx, need, NeedAction.RANK_AGAIN, actor, **data)
    await _end_live(tx, need, MatchAction.SUPERSEDE, actor)
    await needs.ask_for_ranking(tx, need.id)


async def close(tx: Transaction, actor: Actor, need_id: int, note: str) -> None:
    """End a need that no service can answer, for a reason the enterprise reads."""
    need = await needs.find_to_act(tx, actor, need_id, NeedAction.CLOSE)
    await _decide(tx, need, NeedAction.CLOSE, actor, note=note)
    await _end_live(tx, need, MatchAction.CANCEL, actor)


async def answer_decline(
    tx: Transaction, actor: Actor, match_id: int, deadlines: Deadlines, *, grant: bool, note: str
) -> None:
    """Grant or refuse what an institution asked for: not to serve what it has taken up from the common list.

    Refused, it has to be taken within a new limit: the institution could not know the answer.

    Raises:
        NotFound, Forbidden, InvalidTransition: as elsewhere.
    """
    match = await _find(tx, actor, match_id)
    need = await needs.find_to_act(tx, actor, match.need_id, NeedAction.DECLINE)
    needs.check_owner(need, actor)
    match = await _live(tx, need, match_id)
    if grant:
        await _advance(tx, match, MatchAction.GRANT_DECLINE, actor, note=note)
        await _back_to_ranking(tx, need, NeedAction.DECLINE, actor, note, deadlines)
    else:
        await _advance(tx, match, MatchAction.REFUSE_DECLINE, actor, note=note)
        await limits.cancel(tx, need.id, LimitKind.ACCEPT)
        await _ask_institution(tx, need, match.id, deadlines)


# the institution's decisions -----------------------------------------------------------------------------------------


async def accept(tx: Transaction, actor: Actor, match_id: int, deadlines: Deadlines) -> None:
    """Take what was assigned. It is due as was promised and the law allows (``Match.delivery``); or else never.

    Late is allowed, until the job has taken the match back.
    """
    need, match = await _to_serve(tx, actor, match_id, NeedAction.ACCEPT)
    await needs.advance(tx, need, NeedAction.ACCEPT, actor)
    await _advance(tx, match, MatchAction.ACCEPT, actor)
    await limits.finish(tx, need.id, LimitKind.ACCEPT)
    if clocks := limits.of_delivery(deadlines, need.region_code, match.delivery, match.statutory):
        await limits.start(tx, need.id, *clocks, match_id=match.id)
    else:
        await queries.not_due(tx, match.id)


async def decline(tx: Transaction, actor: Actor, match_id: int, reason: str, deadlines: Deadlines) -> MatchState:
    """Decline what was assigned; the match's new state.

    What the institution has taken up from the common list it may not refuse (article 2): there it becomes a request to
    the coordinator, whom the running clock calls to answer.
    """
    need, match = await _to_serve(tx, actor, match_id, NeedAction.DECLINE)
    if match.bound:
        return await _advance(tx, match, MatchAction.REQUEST_DECLINE, actor, note=reason)
    after = await _advance(tx, match, MatchAction.DECLINE, actor, note=reason)
    await _back_to_ranking(tx, need, NeedAction.DECLINE, actor, reason, deadlines)
    return after


async def deliver(tx: Transaction, actor: Actor, match_id: int, result: str, deadlines: Deadlines) -> None:
    """Hand over the result. The clock stops until the enterprise says whether it answers the need."""
    need, match = await _to_serve(tx, actor, match_id, NeedAction.DELIVER)
    await needs.advance(tx, need, NeedAction.DELIVER, actor)
    on_time = match.due_at is None or datetime.now(UTC) <= match.due_at  # without a limit it is always in time
    await queries.set_result(tx, match.id, result, on_time=on_time)
    await _advance(tx, match, MatchAction.DELIVER, actor, note=result, on_time=on_time, due_at=match.due_at)
    await limits.pause(tx, deadlines, need.id, need.region_code, *DELIVERY)


async def lapse(tx: Transaction, match_id: int, deadlines: Deadlines) -> bool:
    """Take a match back from an institution that stayed silent, as if it had declined; for the job that keeps time.

    False, and nothing, where it has spoken meanwhile: an acceptance counts as long as it comes before this, and a
    request to decline waits for the coordinator.
    """
    match = await queries.find(tx, match_id)
    assert match is not None, "matches are never deleted"
    need = await need_queries.find_for_job(tx, match.need_id, lock=True)
    assert need is not None
    live = await queries.lock_live(tx, need.id)
    if live is None or live.id != match_id or live.state is not MatchState.APPROVED:
        return False
    await _advance(tx, live, MatchAction.LAPSE, None)
    await _back_to_ranking(tx, need, NeedAction.LAPSE, None, "", deadlines)
    return True


# the enterprise's decisions ------------------------------------------------------------------------------------------


async def confirm(tx: Transaction, actor: Actor, need_id: int) -> None:
    """Accept the delivered result; the need ends."""
    need = await needs.find_to_act(tx, actor, need_id, NeedAction.CONFIRM)
    await needs.advance(tx, need, NeedAction.CONFIRM, actor)
    await _advance(tx, await _live(tx, need), MatchAction.CONFIRM, actor)


async def rework(tx: Transaction, actor: Actor, need_id: int, note: str, deadlines: Deadlines) -> None:
    """Ask the institution to go on, because the result does not answer the need; it has the days that were left."""
    need = await needs.find_to_act(tx, actor, need_id, NeedAction.REWORK)
    await needs.advance(tx, need, NeedAction.REWORK, actor, note=note)
    await _advance(tx, await _live(tx, need), MatchAction.REWORK, actor, note=note)
    await limits.resume(tx, deadlines, need.id, need.region_code, *DELIVERY)


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
        raise NotFound(_("这条需求还没有匹配结果，请稍候。"))
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
    """The institution's own live match and its need, both locked.

    Raises:
        InvalidTransition: the match has ended. It is looked at once the need is locked, for whoever held the need may
            have ended it, and before the need, which is then not the institution's to see any more.
    """
    match = await queries.find(tx, match_id, institution_id=actor.institution_id)
    if match is None or actor.institution_id is None:
        raise NotFound
    await need_queries.find_for_job(tx, match.need_id, lock=True)
    match = await queries.find(tx, match_id, institution_id=actor.institution_id)
    assert match is not None, "matches are never deleted"
    if match.state not in LIVE:
        raise InvalidTransition(
            _("这次派单现在是「{state}」，不能再办理。请刷新待办查看最新状态。", state=match.state_name)
        )
    need = await needs.find_to_act(tx, actor, match.need_id, action)
    return need, await _live(tx, need, match_id)


async def _live(tx: Transaction, need: Need, match_id: int | None = None) -> Match:
    match = await queries.lock_live(tx, need.id)
    if match is None or match_id not in (None, match.id):
        raise InvalidTransition(_("这次派单已经结束或改派，请刷新查看最新状态。"))
    return match


async def _advance(
    tx: Transaction, match: Match, action: MatchAction, actor: Actor | None, *, note: str = "", **data: Any
) -> MatchState:
    after = next_state(match.state, action)
    await queries.move(
        tx,
        match.id,
        before=match.state,
        action=action,
        after=after,
        actor_id=actor.id if actor else None,
        note=note,
        data=data,
    )
    return after


async def _end_live(tx: Transaction, need: Need, action: MatchAction, actor: Actor) -> None:
    live = await queries.lock_live(tx, need.id)
    if live is not None:
        await _advance(tx, live, action, actor)


async def _ask_institution(tx: Transaction, need: Need, match_id: int, deadlines: Deadlines) -> None:
    """The node has answered; the institution's clock begins."""
    await limits.finish(tx, need.id, LimitKind.MATCH)
    new = limits.by_rule(deadlines, LimitKind.ACCEPT, need.region_code)
    await limits.start(tx, need.id, new, match_id=match_id)


async def _back_to_ranking(
    tx: Transaction, need: Need, action: NeedAction, actor: Actor | None, note: str, deadlines: Deadlines
) -> None:
    """The institution does not take the need: it is ranked again without it, and the node's clock begins anew."""
    await needs.advance(tx, need, action, actor, note=note)
    end = limits.cancel if action is NeedAction.LAPSE else limits.finish
    await end(tx, need.id, LimitKind.ACCEPT)
    await limits.start(tx, need.id, limits.by_rule(deadlines, LimitKind.MATCH, need.region_code))
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
        raise InvalidTransition(
            _(
                "{who}已在{at}完成「{action}」，这条需求现在是「{state}」。请刷新查看。",
                who=last.actor_name or _("平台"),
                at=_clock(last.at),
                action=ACTION_NAMES[NeedAction(last.action)],
                state=need.state_name,
            )
        ) from None


def _clock(moment: datetime) -> str:
    local = moment.astimezone(ZONE)
    return f"{format_date(local, _('M月d日'), locale=LOCALES[lang()])} {local:%H:%M}"
