"""First-asked responsibility (首问负责): who takes a need owns it until it ends, or a colleague has taken it on.

Every use case locks the need first, so of two that act at once the second finds what the first has done.
"""

from typing import Annotated

from msgspec import Meta, Struct

from infra.db import Transaction
from market.accounts import queries as accounts
from market.accounts.model import Actor, Colleague
from market.deadlines import service as limits
from market.deadlines.model import LimitKind
from market.errors import Conflict, InvalidInput
from market.i18n import _
from market.needs import queries, service
from market.needs.model import NOTE_LIMIT, OPTIONAL_TEXT, Need, NeedAction, Note, next_state


class Offer(Struct, frozen=True, forbid_unknown_fields=True):
    """A need offered to a colleague, and what the colleague has to know."""

    to_account: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    note: Note


class Reply(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a colleague takes the need on; turning it down needs a reason."""

    accept: bool
    note: Annotated[str, Meta(max_length=NOTE_LIMIT, pattern=OPTIONAL_TEXT)] = ""


class Handover(Struct, frozen=True, forbid_unknown_fields=True):
    """Why a need is taken over."""

    note: Note


async def take(tx: Transaction, actor: Actor, need_id: int) -> None:
    """Own a need that nobody owns: the first contact is made.

    Raises:
        NotFound, Forbidden, InvalidTransition: as ``needs.service.find_to_act`` and ``advance``.
        Conflict: somebody owns it.
    """
    need = await _find(tx, actor, need_id, NeedAction.TAKE)
    if need.owner_id is not None:
        raise Conflict(_("这条需求已由{owner}首问负责。", owner=need.owner_name))
    await _hand(tx, need, NeedAction.TAKE, actor, owner_id=actor.id)
    await limits.finish(tx, need.id, LimitKind.FIRST_CONTACT)


async def offer(tx: Transaction, actor: Actor, need_id: int, to_account: int, note: str) -> None:
    """Ask a colleague to take the need on; until the answer, the actor goes on owning it.

    Raises:
        NotOwner: it is not the actor's to hand over.
        Conflict: it is offered to somebody already.
        InvalidInput: that account cannot work on this need.
    """
    need = await _find(tx, actor, need_id, NeedAction.OFFER)
    colleagues = {one.id: one for one in await others(tx, actor, need)}
    if need.owner_id is None:
        raise Conflict(_("还没有人负责这条需求，不需要交接；请对方直接点「由我负责」。"))
    service.check_owner(need, actor)
    if need.offered_to is not None:
        raise Conflict(
            _(
                "已请{name}接手，正等对方答复；要改请别人，请先撤回。",
                name=_name(colleagues, need.offered_to),
            )
        )
    if to_account not in colleagues:
        raise InvalidInput(fields={"to_account": _("请从列表中选择一位同事。")})
    to_name = colleagues[to_account].name
    await _hand(tx, need, NeedAction.OFFER, actor, owner_id=actor.id, offered_to=to_account, note=note, to_name=to_name)


async def reply(tx: Transaction, actor: Actor, need_id: int, reply: Reply) -> None:
    """Take the offered need on, or turn it down with a reason.

    Raises:
        Conflict: it is not, or not any more, offered to the actor.
        InvalidInput: turned down without a reason.
    """
    need = await _find(tx, actor, need_id, NeedAction.TAKE_ON)
    if need.offered_to != actor.id:
        raise Conflict(_("这条需求现在没有请您接手，可能对方已经撤回。请刷新查看。"))
    if reply.accept:
        await _hand(tx, need, NeedAction.TAKE_ON, actor, owner_id=actor.id, note=reply.note)
    elif not reply.note:
        raise InvalidInput(fields={"note": _("请写明不接手的原因，对方会看到。")})
    else:
        assert need.owner_id is not None, "only what is owned is offered"
        await _hand(tx, need, NeedAction.TURN_DOWN, actor, owner_id=need.owner_id, note=reply.note)


async def call_off(tx: Transaction, actor: Actor, need_id: int) -> None:
    """Take back an offer that has not been answered.

    Raises:
        NotOwner: it is another's.
        Conflict: there is none.
    """
    need = await _find(tx, actor, need_id, NeedAction.CALL_OFF)
    service.check_owner(need, actor)
    if need.offered_to is None:
        raise Conflict(_("没有等待答复的交接，对方可能刚刚答复过。请刷新查看。"))
    await _hand(tx, need, NeedAction.CALL_OFF, actor, owner_id=actor.id)


async def take_over(tx: Transaction, actor: Actor, need_id: int, note: str) -> None:
    """Own what its owner has let slip: a limit was brought before the node, or the owner's account is closed.

    Raises:
        Conflict: neither is so, or the actor owns it.
    """
    need = await _find(tx, actor, need_id, NeedAction.TAKE_OVER)
    if not await may_take_over(tx, actor, need):
        raise Conflict(_("这条需求还在负责人的期限内，请先请对方交接给您。"))
    before = {"from_name": need.owner_name, "from_id": need.owner_id}
    await queries.hand(
        tx, need, NeedAction.TAKE_OVER, actor, owner_id=actor.id, offered_to=None, note=note, data=before
    )


async def may_take_over(tx: Transaction, actor: Actor, need: Need) -> bool:
    """Whether ``take_over`` would let the actor."""
    if need.owner_id in (None, actor.id):
        return False
    here = {one.id for one in await accounts.coordinators(tx, need.node_prefix)}
    return need.owner_id not in here or limits.escalated(await limits.of_need(tx, need.id))


async def others(tx: Transaction, actor: Actor, need: Need) -> list[Colleague]:
    """To whom the actor may hand the need."""
    return [one for one in await accounts.coordinators(tx, need.node_prefix) if one.id != actor.id]


async def _find(tx: Transaction, actor: Actor, need_id: int, action: NeedAction) -> Need:
    """The need, locked, in a state that can still be handed on."""
    need = await service.find_to_act(tx, actor, need_id, action)
    next_state(need.state, action)
    return need


async def _hand(
    tx: Transaction,
    need: Need,
    action: NeedAction,
    actor: Actor,
    *,
    owner_id: int,
    offered_to: int | None = None,
    note: str = "",
    **data: str,
) -> None:
    await queries.hand(tx, need, action, actor, owner_id=owner_id, offered_to=offered_to, note=note, data=data)


def _name(colleagues: dict[int, Colleague], account_id: int) -> str:
    return colleagues[account_id].name if account_id in colleagues else _("一位同事")
