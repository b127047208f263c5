"""Use cases of a need on its own; what concerns its match is in market.matches."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import structs

from infra import outbox
from infra.cipher import CannotOpenError
from infra.db import Transaction
from market import masking
from market.accounts.model import Actor, Role
from market.audit import service as audit
from market.audit.model import Action, Purpose
from market.calendars.model import ZONE
from market.calendars.service import Deadlines
from market.deadlines import service as limits
from market.deadlines.model import DELIVERY, OF_RATING, Deadline, LimitKind
from market.enterprises import service as enterprises
from market.errors import ContactUnreadable, Forbidden, InvalidInput, NotFound, NotOwner
from market.i18n import N_, _
from market.needs import queries
from market.needs.model import (
    ACTORS,
    ENDED,
    Channel,
    Contact,
    Event,
    Need,
    NeedAction,
    NeedState,
    Submission,
    next_state,
)

TOLD_OF_RATING = frozenset(
    {"rate", "add_remark", "reply", "keep", "withhold", "verify", "dismiss", "rectify", "answer"}
    | {"satisfied", "send_back", "unsatisfied", "close"}
)
"""Actions of a rating and its rectification whose words both sides read; why it reports one is for the node."""
TOLD_TO_PARTY = TOLD_OF_RATING | {
    "return",
    "return_again",
    "resubmit",
    "close",
    "withdraw",
    "deliver",
    "rework",
    "find_none",
}
"""Actions whose reasons the enterprise, or whoever filed for it, reads."""
TOLD_TO_INSTITUTION = TOLD_OF_RATING | {
    *(
        "decline",
        "request_decline",
        "grant_decline",
        "refuse_decline",
        "deliver",
        "rework",
        "close",
        "withdraw",
        "report",
    )
}
"""Actions whose reasons the institution reads, of its own matches."""
AMONG_STAFF = frozenset({"propose", "offer", "turn_down", "call_off", "remind"})
"""Actions that only staff see."""
DEADLINE = "deadline"
"""The machine of a clock's events."""
TOLD_OF_CLOCKS = frozenset({"limit", "before", "due_at", "left_days"})
RATING_MACHINES = frozenset({"rating", "rectification"})
"""Whose events an institution does not find in a need's history where the rating was anonymous."""
ASK_FOR_CONTACT = frozenset({Role.COORDINATOR, Role.ADMIN, Role.INSTITUTION})
"""Who may have a masked contact shown: an institution of what it has served to the end."""
CONTACT_MINUTES = 30
"""So long a contact stays shown to whoever asked for it."""
MATCH_NEED = "match_need"
"""Topic of the outbox: this need waits to be ranked."""


async def submit(tx: Transaction, actor: Actor, submission: Submission, deadlines: Deadlines) -> Need:
    """A new need, and the request to rank it, in one statement.

    Raises:
        Forbidden: the role files no needs.
        InvalidInput: a region without a node, an unknown item, or a party where there must be none, or none.
        ContactUnreadable: the key of the profile's contact is not there.
    """
    _check_role(actor, NeedAction.SUBMIT)
    party = submission.party
    if (actor.role is Role.CLERK) != (party is not None):
        raise InvalidInput(fields={"party": _("窗口代办请填写企业或个人的信息；企业自己提交时不用填写。")})
    _check_day(submission)
    enterprise_id = actor.enterprise_id
    if party is not None:
        _check_territory(actor, submission.region_code or party.region_code)
        enterprise_id = await enterprises.find_or_add(tx, party)
    assert enterprise_id is not None, "accounts' CHECK gives an enterprise account its enterprise"
    region_code = submission.region_code or (party.region_code if party else actor.region_code)
    assert region_code is not None, "every enterprise is somewhere"
    try:
        need_id, known = await queries.draw(tx, enterprise_id)
    except CannotOpenError:
        raise ContactUnreadable from None
    known = _contact(submission, known)
    if not known.name or not known.phone:  # erased on request
        raise InvalidInput(fields={"contact_phone": _("单位资料里没有联系人和电话，请先补上，再提交需求。")})
    kinds = (LimitKind.FIRST_CONTACT, LimitKind.MATCH)
    clocks = [limits.by_rule(deadlines, kind, region_code) for kind in kinds]
    need = await queries.submit(
        tx,
        need_id,
        known,
        enterprise_id=enterprise_id,
        submitted_by=actor.id,
        channel=Channel.COUNTER if party else Channel.ONLINE,
        body=submission.body,
        region_code=region_code,
        item_codes=submission.item_codes,
        wanted_by=submission.wanted_by,
        due_at=clocks[-1].due_at,
        due_provisional=clocks[-1].provisional,
        clocks=clocks,
    )
    if need is None:
        raise InvalidInput(fields=await _explain(tx, enterprise_id, submission))
    return _whole(need, known)


def _contact(submission: Submission, known: Contact) -> Contact:
    """What the submission says, else its party, else what is known."""
    party = submission.party
    name, phone = (party.contact_name, party.contact_phone) if party else (known.name, known.phone)
    return Contact(submission.contact_name or name, submission.contact_phone or phone, known.party)


def _whole(need: Need, known: Contact) -> Need:
    return structs.replace(
        need,
        enterprise_name=known.party,
        contact_name=known.name,
        contact_phone=known.phone,
        contact_whole=True,
    )


async def find(tx: Transaction, actor: Actor, need_id: int) -> Need:
    """The need, if ``actor`` may see it.

    Raises:
        NotFound: it is not there, or not for this actor: both look the same from outside.
    """
    need = await queries.find(tx, actor, need_id)
    if need is None:
        raise NotFound
    return need


async def show(tx: Transaction, actor: Actor, need_id: int) -> Need:
    """The need to be shown; its contact is whole where the actor may see it, and then that is recorded, once a request.

    Raises:
        NotFound: as ``find``.
        ContactUnreadable: the key is not there.
    """
    need = await find(tx, actor, need_id)
    return await _told(tx, actor, need) if await _sees_contact(tx, actor, need) else need


async def reveal(tx: Transaction, actor: Actor, need_id: int) -> Need:
    """The need with its contact whole, for somebody who asks for it; for a while it is shown to that one only.

    Raises:
        NotFound: as ``find``.
        Forbidden: whoever holds a receipt, or another role, sees no contact.
        ContactUnreadable: as ``show``.
    """
    need = await find(tx, actor, need_id)
    if actor.by_receipt or not (actor.role in ASK_FOR_CONTACT or await _sees_contact(tx, actor, need)):
        raise Forbidden
    return await _told(tx, actor, need, asked="yes")


async def _sees_contact(tx: Transaction, actor: Actor, need: Need) -> bool:
    """Whether the contact is the actor's own, was written down by the actor, is served by, or was just asked for."""
    if actor.by_receipt:
        return False
    if actor.role in (Role.ENTERPRISE, Role.CLERK):  # who see no needs but those
        return True
    if actor.institution_id is not None and await queries.serves(tx, need.id, actor.institution_id):
        return True
    return await audit.asked_lately(tx, actor, _about(need), CONTACT_MINUTES)


async def _told(tx: Transaction, actor: Actor, need: Need, **how: str) -> Need:
    try:
        known = await queries.contact(tx, need.id)
    except CannotOpenError:
        raise ContactUnreadable from None
    if actor.enterprise_id != need.enterprise_id:
        await audit.record(tx, actor, Action.VIEW, _about(need), purpose=_purpose(actor, need), **how)
    return _whole(need, known)


def _about(need: Need) -> str:
    return f"need:{need.id}"


def _purpose(actor: Actor, need: Need) -> Purpose:
    """What for, told by who looks, and when."""
    if actor.role is Role.CLERK:
        return Purpose.COUNTER
    if need.state in ENDED:
        return Purpose.AFTERCARE
    return Purpose.SERVE if actor.role is Role.INSTITUTION else Purpose.DECIDE


async def find_to_act(tx: Transaction, actor: Actor, need_id: int, action: NeedAction) -> Need:
    """The need, locked, if ``actor`` may do ``action`` to it.

    Raises:
        NotFound: as ``find``.
        Forbidden: it is another role's move, or the need was handed to a node above.
    """
    _check_role(actor, action)
    need = await queries.find(tx, actor, need_id, lock=True)
    if need is None:
        raise NotFound
    if actor.node_prefix is not None and actor.role is Role.COORDINATOR and not covers(actor, need):
        raise Forbidden(_("这条需求已交由{node}处理，您可以查看，不能再操作。", node=need.node_name))
    return need


def covers(actor: Actor, need: Need) -> bool:
    """Whether the node the need now lies with is the coordinator's, or below it."""
    return actor.node_prefix is not None and need.node_prefix.startswith(actor.node_prefix)


async def advance(
    tx: Transaction, need: Need, action: NeedAction, actor: Actor | None, *, note: str = "", **data: Any
) -> NeedState:
    """Move ``need``, which the caller has locked, and write the event; the new state.

    The coordinator who acts first owns the need from then on (首问负责), and has thereby made the first contact. An end
    ends all clocks.

    Raises:
        InvalidTransition: the need's state does not allow it.
        NotOwner: it is a colleague's.
    """
    after = next_state(need.state, action)
    decides = actor is not None and actor.role is Role.COORDINATOR
    if actor is not None and decides:
        check_owner(need, actor)
    await queries.move(
        tx,
        need.id,
        before=need.state,
        action=action,
        after=after,
        actor_id=actor.id if actor else None,
        owner_id=actor.id if actor and decides else None,
        note=note,
        data=data,
    )
    if decides:
        await limits.finish(tx, need.id, LimitKind.FIRST_CONTACT)
    if after in ENDED:
        await limits.end_all(tx, need.id, done=after is not NeedState.WITHDRAWN)
    return after


def check_owner(need: Need, actor: Actor) -> None:
    """Let a coordinator decide on what is the coordinator's own, or nobody's yet.

    Raises:
        NotOwner: a colleague owns it.
    """
    if need.owner_id not in (None, actor.id):
        raise NotOwner(_("这条需求由{owner}首问负责。要由您办理，请先请对方交接给您。", owner=need.owner_name))


async def ask_for_ranking(tx: Transaction, need_id: int) -> None:
    """Have the worker rank the need once ``tx`` commits."""
    await outbox.add(tx, MATCH_NEED, need_id=need_id)


async def resubmit(tx: Transaction, actor: Actor, need_id: int, submission: Submission, deadlines: Deadlines) -> None:
    """Complete a returned need and have it ranked again; the clock goes on with what was left.

    Raises:
        NotFound, Forbidden, InvalidTransition: as ``find_to_act`` and ``advance``.
        InvalidInput: an unknown item, or a change of region or party, which would be another need.
    """
    need = await find_to_act(tx, actor, need_id, NeedAction.RESUBMIT)
    next_state(need.state, NeedAction.RESUBMIT)
    _check_day(submission)
    known = await queries.contact(tx, need.id)
    if not _differs(submission, need, known):
        raise InvalidInput(fields={"body": _("内容和退回前一样。请按通知补上所缺的内容，再提交。")})
    if submission.region_code not in (None, need.region_code) or submission.party is not None:
        raise InvalidInput(fields={"region_code": _("补充材料时不能更换地区或申请人，请另外提交一条需求。")})
    if await queries.unknown_items(tx, submission.item_codes):
        raise InvalidInput(fields={"item_codes": _(UNKNOWN_ITEM)})
    await queries.rewrite(
        tx,
        need.id,
        body=submission.body,
        item_codes=submission.item_codes,
        wanted_by=submission.wanted_by,
    )
    await queries.set_contact(tx, need.id, _contact(submission, known))
    # Events are kept for good: no way to reach anybody goes into them.
    await advance(tx, need, NeedAction.RESUBMIT, actor, before=masking.scrub(need.body, known.name))
    await limits.resume(tx, deadlines, need.id, need.region_code, LimitKind.MATCH)
    await ask_for_ranking(tx, need.id)


UNKNOWN_ITEM = N_("所选的服务事项不在目录中，请重新选择，或不选，由平台判断。")


def _check_territory(actor: Actor, region_code: str) -> None:
    if not region_code.startswith(actor.node_prefix or ""):
        raise InvalidInput(
            fields={"party.region_code": _("窗口只受理{node}辖区内的需求，请检查地区。", node=actor.node_name)}
        )


def _check_day(submission: Submission) -> None:
    if submission.wanted_by is not None and submission.wanted_by < datetime.now(ZONE).date():
        raise InvalidInput(fields={"wanted_by": _("这一天已经过去了，请选今天或以后的日期，或留空。")})


def _differs(submission: Submission, need: Need, known: Contact) -> bool:
    """Whether a returned need is completed by anything at all."""
    return any(
        new not in (None, old)
        for new, old in (
            (submission.body, need.body),
            (submission.item_codes, need.item_codes),
            (submission.wanted_by, need.wanted_by),
            (submission.contact_name, known.name),
            (submission.contact_phone, known.phone),
        )
    )


def _check_role(actor: Actor, action: NeedAction) -> None:
    if actor.role not in ACTORS[action]:
        raise Forbidden


async def _explain(tx: Transaction, enterprise_id: int, submission: Submission) -> dict[str, str]:
    """Why the submission wrote nothing, field by field."""
    fields = {}
    region_code = submission.region_code or await enterprises.region_code(tx, enterprise_id)
    if await queries.node_of_region(tx, region_code) is None:
        fields["region_code"] = _("这个地区还没有骨干节点，暂时不能提交；请检查地区是否选对。")
    if await queries.unknown_items(tx, submission.item_codes):
        fields["item_codes"] = _(UNKNOWN_ITEM)
    return fields


async def clocks(tx: Transaction, actor: Actor, need: Need) -> list[Deadline]:
    """The need's clocks as ``actor`` may see them: an institution those of the match it was given.

    Those of a rating have their own place.
    """
    kinds = {LimitKind.ACCEPT, *DELIVERY}
    if actor.role is not Role.INSTITUTION:
        kinds |= {LimitKind.FIRST_CONTACT, LimitKind.MATCH}
    return [one for one in await limits.of_need(tx, need.id) if one.kind in kinds]


async def history(tx: Transaction, actor: Actor, need: Need) -> list[Event]:
    """The need's events as ``actor`` may see them.

    Mere proposals are the node's business: neither the enterprise nor an institution learns who was considered. An
    institution sees only the matches that were its own. Reasons are read by those they were written to: why a
    coordinator overrode or escalated is the node's business, why an institution declined is between it and the node.
    Of clocks each sees what moves the days it was told, and what ran out.
    """
    events = await queries.events(tx, need.id)
    if actor.role not in (Role.ENTERPRISE, Role.CLERK):
        events = [_without_name(event) for event in events]
    if actor.role in (Role.COORDINATOR, Role.ADMIN):
        return events
    matches = await queries.approved_matches(tx, need.id, actor.institution_id)
    if actor.role is Role.INSTITUTION:  # its part of the story begins when it was approved
        begun = next(i for i, event in enumerate(events) if event.match_id in matches)
        events = [event for i, event in enumerate(events) if i >= begun or event.action == "submit"]
        events = [event for event in events if event.machine != DEADLINE or event.match_id is not None]
        if any(event.action == "rate" and event.data.get("anonymous") for event in events):
            events = [event for event in events if not _of_rating(event)]
    return [
        event
        for event in told(events, actor.role)
        if (event.match_id is None or event.match_id in matches) and event.action not in AMONG_STAFF
    ]


def _without_name(event: Event) -> Event:
    """The enterprise's people are told by name to their own only."""
    if event.actor_role is not Role.ENTERPRISE or event.actor_name is None:
        return event
    return structs.replace(event, actor_name=masking.name(event.actor_name))


def _of_rating(event: Event) -> bool:
    """Whether it tells of a rating, or of its clocks."""
    return event.machine in RATING_MACHINES or event.data.get("limit") in OF_RATING


def told(events: Sequence[Event], role: Role) -> list[Event]:
    """The events without the words that were not written to this role, and without whom of the staff a clock calls."""
    if role in (Role.COORDINATOR, Role.ADMIN):
        return list(events)
    read = TOLD_TO_INSTITUTION if role is Role.INSTITUTION else TOLD_TO_PARTY
    return [
        structs.replace(event, data=_data(event), note=event.note if event.action in read else "") for event in events
    ]


def _data(event: Event) -> dict[str, Any]:
    return {name: value for name, value in event.data.items() if name in TOLD_OF_CLOCKS or event.machine != DEADLINE}


def without_the_party(events: Sequence[Event]) -> list[Event]:
    """The events of an anonymous rating as the rated reads them: neither who rated, nor when."""
    kept = [event for event in events if event.action not in ("rate", "add_remark", "open")]
    party = (Role.ENTERPRISE, Role.CLERK, None)
    named = [structs.replace(event, actor_name=_("评价人")) if event.actor_role in party else event for event in kept]
    return told(named, Role.INSTITUTION)
