"""A need: its states, who may move it, and what is read and written of it."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from itertools import product
from typing import Annotated, Any

from msgspec import Meta, Struct

from market.accounts.model import PersonName, Phone, Role
from market.catalogue.model import ChainStage, RightKind
from market.enterprises.model import Party
from market.errors import InvalidTransition
from market.i18n import Words, _

BODY_LIMIT = 5_000
"""Characters of a need's text."""
NOTE_LIMIT = 2_000
"""Characters of a reason or notice."""

# At least one character that can be seen, and none that PostgreSQL or a reader could not make sense of.
TEXT = (
    r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*[^\s\x00-\x1f\x7f\u200b-\u200f\u2060\ufeff][^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
)
_ODD = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f"
_UNSEEN = r"\s\x00-\x1f\x7f\u200b-\u200f\u2060\ufeff"
TEXT = f"^[^{_ODD}]*[^{_UNSEEN}][^{_ODD}]*$"
OPTIONAL_TEXT = f"^[^{_ODD}]*$"
NeedBody = Annotated[str, Meta(min_length=1, max_length=BODY_LIMIT, pattern=TEXT)]
Note = Annotated[str, Meta(min_length=1, max_length=NOTE_LIMIT, pattern=TEXT)]


class NeedState(StrEnum):
    """Where a need stands; NEW is before it exists."""

    NEW = "new"
    SUBMITTED = "submitted"
    UNMATCHED = "unmatched"
    PROPOSED = "proposed"
    ASSIGNED = "assigned"
    SERVING = "serving"
    DELIVERED = "delivered"
    COMPLETED = "completed"
    RETURNED = "returned"
    WITHDRAWN = "withdrawn"
    CLOSED = "closed"


class NeedAction(StrEnum):
    """What moves a need."""

    SUBMIT = "submit"
    PROPOSE = "propose"
    FIND_NONE = "find_none"
    RANK_AGAIN = "rank_again"
    APPROVE = "approve"
    OVERRIDE = "override"
    RETURN = "return"
    RETURN_AGAIN = "return_again"
    RESUBMIT = "resubmit"
    ESCALATE = "escalate"
    ACCEPT = "accept"
    DECLINE = "decline"
    LAPSE = "lapse"
    DELIVER = "deliver"
    CONFIRM = "confirm"
    REWORK = "rework"
    WITHDRAW = "withdraw"
    CLOSE = "close"
    TAKE = "take"
    OFFER = "offer"
    TAKE_ON = "take_on"
    TURN_DOWN = "turn_down"
    CALL_OFF = "call_off"
    TAKE_OVER = "take_over"


S, A = NeedState, NeedAction

ENDED = frozenset({S.COMPLETED, S.WITHDRAWN, S.CLOSED})
"""States that nothing leaves."""
OPEN = frozenset(S) - ENDED - {S.NEW}
HANDING = frozenset({A.TAKE, A.OFFER, A.TAKE_ON, A.TURN_DOWN, A.CALL_OFF, A.TAKE_OVER})
"""What passes a need from hand to hand (首问负责); it stays in its state, and a ranking under way still counts."""
NOTICES = frozenset({A.RETURN, A.RETURN_AGAIN, A.RESUBMIT})
"""Notices of what is missing (一次性告知), and the enterprise's answers."""

TRANSITIONS: Mapping[tuple[NeedState, NeedAction], NeedState] = {
    (S.NEW, A.SUBMIT): S.SUBMITTED,
    (S.SUBMITTED, A.PROPOSE): S.PROPOSED,
    (S.SUBMITTED, A.FIND_NONE): S.UNMATCHED,
    (S.PROPOSED, A.RANK_AGAIN): S.SUBMITTED,
    (S.UNMATCHED, A.RANK_AGAIN): S.SUBMITTED,
    (S.PROPOSED, A.APPROVE): S.ASSIGNED,
    (S.PROPOSED, A.OVERRIDE): S.ASSIGNED,
    (S.UNMATCHED, A.OVERRIDE): S.ASSIGNED,
    (S.ASSIGNED, A.OVERRIDE): S.ASSIGNED,
    (S.SERVING, A.OVERRIDE): S.ASSIGNED,
    (S.SUBMITTED, A.RETURN): S.RETURNED,
    (S.PROPOSED, A.RETURN): S.RETURNED,
    (S.UNMATCHED, A.RETURN): S.RETURNED,
    (S.SUBMITTED, A.RETURN_AGAIN): S.RETURNED,
    (S.PROPOSED, A.RETURN_AGAIN): S.RETURNED,
    (S.UNMATCHED, A.RETURN_AGAIN): S.RETURNED,
    (S.RETURNED, A.RESUBMIT): S.SUBMITTED,
    (S.SUBMITTED, A.ESCALATE): S.SUBMITTED,
    (S.PROPOSED, A.ESCALATE): S.SUBMITTED,
    (S.UNMATCHED, A.ESCALATE): S.SUBMITTED,
    (S.ASSIGNED, A.ACCEPT): S.SERVING,
    (S.ASSIGNED, A.DECLINE): S.SUBMITTED,
    (S.ASSIGNED, A.LAPSE): S.SUBMITTED,
    (S.SERVING, A.DELIVER): S.DELIVERED,
    (S.DELIVERED, A.CONFIRM): S.COMPLETED,
    (S.DELIVERED, A.REWORK): S.SERVING,
    (S.SUBMITTED, A.WITHDRAW): S.WITHDRAWN,
    (S.UNMATCHED, A.WITHDRAW): S.WITHDRAWN,
    (S.PROPOSED, A.WITHDRAW): S.WITHDRAWN,
    (S.RETURNED, A.WITHDRAW): S.WITHDRAWN,
    (S.ASSIGNED, A.WITHDRAW): S.WITHDRAWN,
    (S.SUBMITTED, A.CLOSE): S.CLOSED,
    (S.UNMATCHED, A.CLOSE): S.CLOSED,
    (S.PROPOSED, A.CLOSE): S.CLOSED,
    (S.RETURNED, A.CLOSE): S.CLOSED,
    (S.ASSIGNED, A.CLOSE): S.CLOSED,
    (S.SERVING, A.CLOSE): S.CLOSED,
    (S.DELIVERED, A.CLOSE): S.CLOSED,
    **{(state, action): state for state, action in product(OPEN, HANDING)},
}

# Whose move it is; None is the worker. A decline is the institution's own, or the one that a coordinator grants.
_FILER = frozenset({Role.ENTERPRISE, Role.CLERK})
_NODE = frozenset({Role.COORDINATOR})
_SERVER = frozenset({Role.INSTITUTION})
ACTORS: Mapping[NeedAction, frozenset[Role | None]] = {
    A.SUBMIT: _FILER,
    A.RESUBMIT: _FILER,
    A.CONFIRM: _FILER,
    A.REWORK: _FILER,
    A.WITHDRAW: _FILER,
    A.PROPOSE: frozenset({None}),
    A.FIND_NONE: frozenset({None}),
    A.LAPSE: frozenset({None}),
    A.RANK_AGAIN: _NODE,
    A.APPROVE: _NODE,
    A.OVERRIDE: _NODE,
    A.RETURN: _NODE,
    A.RETURN_AGAIN: _NODE,
    A.ESCALATE: _NODE,
    A.CLOSE: _NODE,
    A.ACCEPT: _SERVER,
    A.DECLINE: _SERVER | _NODE,
    A.DELIVER: _SERVER,
    **dict.fromkeys(HANDING, _NODE),
}

STATE_NAMES: Mapping[NeedState, str] = Words(
    {
        S.NEW: "未提交",
        S.SUBMITTED: "正在匹配",
        S.UNMATCHED: "暂无合适服务",
        S.PROPOSED: "等待审核",
        S.ASSIGNED: "已派单，等待机构受理",
        S.SERVING: "办理中",
        S.DELIVERED: "结果已送达，等待确认",
        S.COMPLETED: "已办结",
        S.RETURNED: "退回补正",
        S.WITHDRAWN: "已撤回",
        S.CLOSED: "已结案",
    }
)

ACTION_NAMES: Mapping[NeedAction, str] = Words(
    {
        A.SUBMIT: "提交需求",
        A.PROPOSE: "系统给出推荐",
        A.FIND_NONE: "系统没有找到合适的服务",
        A.RANK_AGAIN: "重新匹配",
        A.APPROVE: "批准推荐",
        A.OVERRIDE: "改派",
        A.RETURN: "退回补正",
        A.RETURN_AGAIN: "就新情况再次退回补正",
        A.RESUBMIT: "补充后再次提交",
        A.ESCALATE: "提请上级节点调配",
        A.ACCEPT: "机构受理",
        A.DECLINE: "机构谢绝",
        A.LAPSE: "机构逾期未受理，重新匹配",
        A.DELIVER: "送达结果",
        A.CONFIRM: "确认结果",
        A.REWORK: "请机构继续办理",
        A.WITHDRAW: "撤回需求",
        A.CLOSE: "结案",
        A.TAKE: "首问负责",
        A.OFFER: "提出交接",
        A.TAKE_ON: "接手",
        A.TURN_DOWN: "不接手",
        A.CALL_OFF: "撤回交接",
        A.TAKE_OVER: "接管",
    }
)


def next_state(state: NeedState, action: NeedAction) -> NeedState:
    """Where ``action`` leads from ``state``.

    Raises:
        InvalidTransition: it leads nowhere.
    """
    try:
        return TRANSITIONS[state, action]
    except KeyError:
        raise InvalidTransition(
            _(
                "这条需求现在是「{state}」，不能{action}。请刷新查看最新状态。",
                state=STATE_NAMES[state],
                action=ACTION_NAMES[action],
            )
        ) from None


class Channel(StrEnum):
    """How a need came in (article 6: both under the same rules)."""

    ONLINE = "online"
    COUNTER = "counter"


class Understanding(Struct, frozen=True, kw_only=True):
    """What the platform read out of a need's text. ``missing``: keys of MISSING_NAMES."""

    item_codes: tuple[str, ...] = ()
    item_names: tuple[str, ...] = ()
    rights: tuple[RightKind, ...] = ()
    stages: tuple[ChainStage, ...] = ()
    outside_scope: bool = False
    missing: tuple[str, ...] = ()


class Submission(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an enterprise submits. What it leaves out is taken from its profile."""

    body: NeedBody
    region_code: str | None = None
    item_codes: Annotated[tuple[str, ...], Meta(max_length=5)] = ()
    wanted_by: date | None = None
    contact_name: PersonName | None = None
    contact_phone: Phone | None = None
    party: Party | None = None


class Need(Struct, frozen=True, kw_only=True):
    """A need as its parties see it."""

    id: int
    enterprise_id: int
    enterprise_name: str
    submitted_by: int
    channel: Channel
    state: NeedState
    version: int
    body: str
    item_codes: tuple[str, ...]
    rights: tuple[RightKind, ...] = ()
    """Kinds of right as the node corrected them; empty: as read from the text."""
    contact_name: str
    contact_phone: str
    contact_whole: bool = False
    """Whether contact and telephone are told whole, and a natural person's name; otherwise their middles are stars."""
    region_code: str
    node_id: int
    node_name: str
    node_prefix: str
    node_region: str
    owner_id: int | None
    owner_name: str | None
    offered_to: int | None = None
    """To whom the owner has offered the need; that one has not answered yet."""
    wanted_by: date | None
    understanding: Understanding
    due_at: datetime
    due_provisional: bool
    created_at: datetime

    @property
    def state_name(self) -> str:
        """The state in words."""
        return STATE_NAMES[self.state]


class Contact(Struct, frozen=True):
    """Whom to ask about a need. Empty where it was erased."""

    name: str
    phone: str
    party: str
    """The name under which it was filed: of a natural person, that person's."""


class NeedRow(Struct, frozen=True, kw_only=True):
    """A need in a list."""

    id: int
    enterprise_name: str
    state: NeedState
    body: str
    region_code: str
    region_name: str
    node_name: str
    owner_name: str | None
    institution_name: str | None
    due_at: datetime
    """When the node has to have answered it."""
    due_provisional: bool
    match_due_at: datetime | None
    """When the institution has to have taken it, or served it."""
    match_due_provisional: bool
    created_at: datetime

    @property
    def state_name(self) -> str:
        """The state in words."""
        return STATE_NAMES[self.state]


class Event(Struct, frozen=True, kw_only=True):
    """One step of a need or of one of its matches."""

    id: int
    need_id: int
    match_id: int | None
    machine: str
    from_state: str
    action: str
    to_state: str
    actor_name: str | None
    actor_role: Role | None
    institution_name: str | None
    """Whose match it is, of a step of a match."""
    note: str
    data: dict[str, Any]
    at: datetime
