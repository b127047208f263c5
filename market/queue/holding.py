"""Decisions that can be taken back: written at once, sent some seconds later by a job.

Whoever approves is told yes once the decision and its outbox row are committed: closing the tab or losing the worker
loses nothing. It is tried out first, in a savepoint that is undone, so that what would be refused is refused at once
and in the same words. Until it is sent nobody else learns of it. When its time comes it is made as if it were made
then; what the world has moved away from under it meanwhile is not sent, and its author is told.
"""

from typing import Never

from infra import outbox
from infra.db import Transaction, savepoint
from market.accounts import queries as accounts
from market.accounts.model import Actor
from market.calendars.service import Deadlines
from market.errors import Conflict, DomainError, Forbidden
from market.i18n import _, speaking
from market.matches import service as matches
from market.needs import queries as needs
from market.needs import service as need_service
from market.needs.model import NeedAction
from market.queue import queries
from market.queue.model import Decision, Held

SEND_HELD = "send_held"
"""Topic of the outbox: this decision is to be sent, unless it has been taken back."""


class _WouldDo(Exception):
    """What was tried would do."""


async def decide(
    tx: Transaction, actor: Actor, need_id: int, decision: Decision, deadlines: Deadlines, *, seconds: float
) -> None:
    """Send the decision after ``seconds``; at once where that is 0. A decision of one's own that waits is replaced.

    Raises:
        Conflict: a colleague's decision on the need is about to be sent.
        Others: as ``matches.service.approve`` and ``override``.
    """
    action = NeedAction.OVERRIDE if decision.match_id is None else NeedAction.APPROVE
    await need_service.find_to_act(tx, actor, need_id, action)  # locked, before whatever is held of it
    waiting = await queries.held_of_need(tx, need_id)
    if waiting is not None and waiting.actor_id != actor.id and not waiting.failed:
        raise Conflict(_("{who}刚刚对这条需求作了决定，几秒钟后派出。请刷新查看。", who=waiting.actor_name))
    if seconds <= 0:
        await _make(tx, actor, need_id, decision, deadlines)
        await queries.forget(tx, need_id)
        return
    try:
        async with savepoint(tx):
            await _make(tx, actor, need_id, decision, deadlines)
            _undo_it()
    except _WouldDo:
        await queries.forget(tx, need_id)
        held_id = await queries.hold(tx, actor, need_id, decision, seconds)
        await outbox.add(tx, SEND_HELD, after=seconds, held_id=held_id)


def _undo_it() -> Never:
    raise _WouldDo


async def take_back(tx: Transaction, actor: Actor, need_id: int) -> bool:
    """Undo one's own decision before it is sent; False where it could not be sent anyway, and is merely put away.

    Raises:
        NotFound: the need is not the actor's to see.
        Conflict: it has been sent.
    """
    await need_service.find(tx, actor, need_id)
    waited = await queries.take_back(tx, need_id, actor.id)
    if waited is None:
        raise Conflict(_("这个决定已经派出，不能再撤回。需要改的话，可以改派。"))
    return waited


async def send(tx: Transaction, held_id: int, deadlines: Deadlines) -> Held | None:
    """Make the decision now that its time has come; what was made of it, or None where it was taken back.

    ``failed`` of what is returned says why it could not be made.
    """
    if (need_id := await queries.need_of_held(tx, held_id)) is None:
        return None
    await needs.find_for_job(tx, need_id, lock=True)  # as ``decide``: the need first
    held = await queries.held(tx, held_id)
    if held is None or held.failed:
        return None
    actor = await accounts.actor_by_login(tx, held.actor_login)
    decision = Decision(match_id=held.match_id, offering_id=held.offering_id, reason=held.reason)
    try:
        async with savepoint(tx):
            if actor is None:
                raise Forbidden
            with speaking(actor.lang):
                await _make(tx, actor, held.need_id, decision, deadlines)
    except DomainError as error:
        words = next(iter(error.fields.values()), error.detail)
        await queries.set_failed(tx, held_id, words)
        return await queries.held(tx, held_id)
    await queries.drop_held(tx, held_id)
    return held


async def _make(tx: Transaction, actor: Actor, need_id: int, decision: Decision, deadlines: Deadlines) -> None:
    if decision.match_id is not None:
        await matches.approve(tx, actor, need_id, decision.match_id, deadlines)
    elif decision.offering_id is not None:
        await matches.override(tx, actor, need_id, decision.offering_id, decision.reason, deadlines)
