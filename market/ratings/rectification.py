"""Use cases of a rectification: verify → rectify → answer → revisit → close, each step within the region's days."""

from collections.abc import Mapping
from datetime import UTC, datetime

from infra.db import Transaction
from market.accounts.model import Actor
from market.calendars.service import Deadlines
from market.deadlines import service as limits
from market.deadlines.model import LimitKind
from market.errors import Conflict, Forbidden, NotFound
from market.i18n import _
from market.needs import queries as need_queries
from market.needs.model import Need
from market.ratings import queries, service
from market.ratings.model import (
    ACTORS,
    Finding,
    Rating,
    RectificationAction,
    RectificationState,
    Revisit,
    next_state,
)

S, A = RectificationState, RectificationAction

LIMITS: Mapping[RectificationState, LimitKind] = {
    S.VERIFYING: LimitKind.RECTIFICATION_VERIFY,
    S.RECTIFYING: LimitKind.RECTIFICATION_RECTIFY,
    S.ANSWERING: LimitKind.RECTIFICATION_ANSWER,
    S.REVISITING: LimitKind.RECTIFICATION_REVISIT,
    S.CLOSING: LimitKind.RECTIFICATION_CLOSE,
}
"""The time limit of each step."""


async def verify(tx: Transaction, actor: Actor, rating_id: int, finding: Finding, deadlines: Deadlines) -> Rating:
    """The coordinator has looked into it: the institution is to rectify, or there is nothing to."""
    action = A.VERIFY if finding.founded else A.DISMISS
    return await _step(tx, actor, rating_id, action, finding.note, deadlines)


async def rectify(tx: Transaction, actor: Actor, rating_id: int, note: str, deadlines: Deadlines) -> Rating:
    """The institution has done what was to be done."""
    return await _step(tx, actor, rating_id, A.RECTIFY, note, deadlines)


async def answer(tx: Transaction, actor: Actor, rating_id: int, text: str, deadlines: Deadlines) -> Rating:
    """The institution tells whoever rated what it has done; everybody reads it with the rating."""
    return await _step(tx, actor, rating_id, A.ANSWER, text, deadlines)


async def revisit(tx: Transaction, actor: Actor, rating_id: int, said: Revisit, deadlines: Deadlines) -> Rating:
    """Whoever rated is content now, or not: the first time it goes back to the institution, then it stays on record.

    A coordinator writes down what was said on the telephone.
    """
    if said.satisfied:
        return await _step(tx, actor, rating_id, A.SATISFIED, said.note, deadlines)
    rating, need = await service.to_act(tx, actor, rating_id)
    action = A.UNSATISFIED if await _was_sent_back(tx, need, rating) else A.SEND_BACK
    return await _step(tx, actor, rating_id, action, said.note, deadlines)


async def close(tx: Transaction, actor: Actor, rating_id: int, note: str, deadlines: Deadlines) -> Rating:
    """The coordinator closes it: after the revisit, or once nobody has answered that within its time limit.

    Raises:
        Conflict: whoever rated still has time.
    """
    rating, _need = await service.to_act(tx, actor, rating_id)
    if rating.rectification is S.REVISITING and rating.due_at and rating.due_at > datetime.now(UTC):
        raise Conflict(_("还在回访期限内，请等评价人答复，或电话回访后在这里代为记录。"))
    return await _step(tx, actor, rating_id, A.CLOSE, note, deadlines)


async def _step(
    tx: Transaction, actor: Actor, rating_id: int, action: RectificationAction, note: str, deadlines: Deadlines
) -> Rating:
    """Make the step, if it is the actor's and due now; the next one gets its deadline.

    Raises:
        NotFound: the rating is not the actor's to see, or has no rectification.
        Forbidden: it is another role's step.
        InvalidTransition: another step is awaited.
    """
    if actor.role not in ACTORS[action]:
        raise Forbidden
    rating, need = await service.to_act(tx, actor, rating_id)
    before = rating.rectification
    if before is None:
        raise NotFound(_("这条评价没有需要整改的事项。"))
    after = next_state(before, action)
    clock = None if after is S.CLOSED else limits.by_rule(deadlines, LIMITS[after], need.region_code)
    await queries.move(
        tx,
        rating.id,
        before=before,
        action=action,
        after=after,
        actor_id=actor.named,
        note=note,
        due_at=clock.due_at if clock else None,
        due_provisional=clock.provisional if clock else False,
        answer=note if action is A.ANSWER else None,
        satisfied={A.SATISFIED: True, A.SEND_BACK: False, A.UNSATISFIED: False}.get(action),
    )
    await limits.finish(tx, need.id, LIMITS[before])
    if clock:
        await limits.start(tx, need.id, clock, match_id=rating.match_id)
    return await service.find(tx, actor, rating.id)


async def _was_sent_back(tx: Transaction, need: Need, rating: Rating) -> bool:
    events = await need_queries.events(tx, need.id)
    return any(event.action == A.SEND_BACK and event.match_id == rating.match_id for event in events)
