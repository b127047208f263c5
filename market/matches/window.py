"""The rules of the window on the coordinator's page: whose need it is, which clocks run, what was asked for before."""

from collections.abc import Sequence

from msgspec import Struct

from infra.db import Transaction
from market.accounts import queries as accounts
from market.accounts.model import Actor, Colleague
from market.catalogue import queries as catalogue
from market.deadlines import service as limits
from market.deadlines.model import Deadline
from market.i18n import _
from market.matches.model import Match
from market.needs import ownership
from market.needs.model import HANDING, NOTICES, Event, Need, NeedAction

A = NeedAction


class Materials(Struct, frozen=True):
    """What the guide of an item asks for."""

    item_name: str
    names: tuple[str, ...]

    @property
    def options(self) -> dict[str, str]:
        """For checkboxes: a material is its own value."""
        return {name: name for name in self.names}


class Window(Struct, frozen=True, kw_only=True):
    """What the actor sees of the rules that hold at the window."""

    clocks: list[Deadline]
    foreign: bool
    """Somebody else owns the need."""
    others: list[Colleague]
    """To whom it can be handed."""
    offered_name: str | None
    """Who has been asked to take it on."""
    offer: Event | None
    """The offer made to the actor."""
    may: frozenset[NeedAction]
    """What of HANDING the actor may do now."""
    notices: list[Event]
    """Notices so far, and the enterprise's answers."""
    materials: list[Materials]


async def open_window(
    tx: Transaction, actor: Actor, need: Need, match: Match | None, events: Sequence[Event]
) -> Window:
    """The window as the actor stands before it; the need is the actor's to see."""
    here = {one.id: one for one in await accounts.coordinators(tx, need.node_prefix)}
    offers = [event for event in events if event.action == A.OFFER]
    asked = need.offered_to is not None
    return Window(
        clocks=await limits.of_need(tx, need.id),
        foreign=need.owner_id not in (None, actor.id),
        others=[one for one in here.values() if one.id != actor.id],
        offered_name=here[need.offered_to].name if need.offered_to in here else _("一位同事") if asked else None,
        offer=offers[-1] if need.offered_to == actor.id else None,
        may=await _may(tx, actor, need),
        notices=[event for event in events if event.action in NOTICES],
        materials=await _materials(tx, need, match),
    )


def allowed(window: Window, need_action: NeedAction) -> bool:
    """Whether the rules of the window let the actor do it; of the state they know nothing."""
    if need_action in HANDING:
        return need_action in window.may
    if window.foreign:
        return False
    if need_action is A.RETURN:
        return not window.notices
    if need_action is A.RETURN_AGAIN:
        return bool(window.notices) and window.notices[-1].action == A.RESUBMIT
    return True


async def _may(tx: Transaction, actor: Actor, need: Need) -> frozenset[NeedAction]:
    if need.owner_id is None:
        return frozenset({A.TAKE})
    if need.owner_id == actor.id:
        return frozenset({A.CALL_OFF} if need.offered_to else {A.OFFER})
    may = {A.TAKE_ON, A.TURN_DOWN} if need.offered_to == actor.id else set()
    if await ownership.may_take_over(tx, actor, need):
        may.add(A.TAKE_OVER)
    return frozenset(may)


async def _materials(tx: Transaction, need: Need, match: Match | None) -> list[Materials]:
    """Of the items that the need asks for, as far as they are known."""
    codes = need.item_codes or ((match.item_code,) if match else need.understanding.item_codes[:1])
    items = [item for code in codes if (item := await catalogue.item(tx, code))]
    return [Materials(item.name, item.guide.materials) for item in items if item.guide.materials]
