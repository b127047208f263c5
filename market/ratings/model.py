"""A rating: its states, and the rectification that a bad one opens; its levels and indicators are scale.py."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct, structs

from market.accounts.model import Role
from market.deadlines.model import KIND_NAMES, LimitKind
from market.errors import InvalidTransition
from market.i18n import Words, _
from market.needs.model import NOTE_LIMIT, OPTIONAL_TEXT, Channel, Note
from market.ratings.scale import INDICATOR_NAMES, LEVEL_NAMES, RatingLevel

# states --------------------------------------------------------------------------------------------------------------


class RatingState(StrEnum):
    """Where a rating stands; NEW is before it exists."""

    NEW = "new"
    PUBLISHED = "published"
    REPORTED = "reported"
    KEPT = "kept"
    WITHHELD = "withheld"


class RatingAction(StrEnum):
    """What happens to a rating."""

    RATE = "rate"
    ADD_REMARK = "add_remark"
    REPLY = "reply"
    REPORT = "report"
    KEEP = "keep"
    WITHHOLD = "withhold"


class RectificationState(StrEnum):
    """Which step of a rectification is awaited; NEW is before it exists."""

    NEW = "new"
    VERIFYING = "verifying"
    RECTIFYING = "rectifying"
    ANSWERING = "answering"
    REVISITING = "revisiting"
    CLOSING = "closing"
    CLOSED = "closed"


class RectificationAction(StrEnum):
    """What moves a rectification."""

    OPEN = "open"
    VERIFY = "verify"
    DISMISS = "dismiss"
    RECTIFY = "rectify"
    ANSWER = "answer"
    SATISFIED = "satisfied"
    SEND_BACK = "send_back"
    UNSATISFIED = "unsatisfied"
    CLOSE = "close"
    DROP = "drop"


R, P, S, A = RatingState, RatingAction, RectificationState, RectificationAction

RATING_TRANSITIONS: Mapping[tuple[RatingState, RatingAction], RatingState] = {
    (R.NEW, P.RATE): R.PUBLISHED,
    (R.PUBLISHED, P.ADD_REMARK): R.PUBLISHED,
    (R.REPORTED, P.ADD_REMARK): R.REPORTED,
    (R.KEPT, P.ADD_REMARK): R.KEPT,
    (R.PUBLISHED, P.REPLY): R.PUBLISHED,
    (R.REPORTED, P.REPLY): R.REPORTED,
    (R.KEPT, P.REPLY): R.KEPT,
    (R.PUBLISHED, P.REPORT): R.REPORTED,
    (R.REPORTED, P.KEEP): R.KEPT,
    (R.REPORTED, P.WITHHOLD): R.WITHHELD,
}
TRANSITIONS: Mapping[tuple[RectificationState, RectificationAction], RectificationState] = {
    (S.NEW, A.OPEN): S.VERIFYING,
    (S.VERIFYING, A.VERIFY): S.RECTIFYING,
    (S.VERIFYING, A.DISMISS): S.CLOSED,
    (S.RECTIFYING, A.RECTIFY): S.ANSWERING,
    (S.ANSWERING, A.ANSWER): S.REVISITING,
    (S.REVISITING, A.SATISFIED): S.CLOSING,
    (S.REVISITING, A.SEND_BACK): S.RECTIFYING,
    (S.REVISITING, A.UNSATISFIED): S.CLOSING,
    (S.REVISITING, A.CLOSE): S.CLOSED,
    (S.CLOSING, A.CLOSE): S.CLOSED,
} | {(state, A.DROP): S.CLOSED for state in (S.VERIFYING, S.RECTIFYING, S.ANSWERING, S.REVISITING, S.CLOSING)}

# Whose step it is. A coordinator may also write down what somebody said on the telephone.
_PARTY = frozenset({Role.ENTERPRISE, Role.CLERK})
_NODE = frozenset({Role.COORDINATOR})
_RATED = frozenset({Role.INSTITUTION})
RATING_ACTORS: Mapping[RatingAction, frozenset[Role]] = {
    P.RATE: _PARTY,
    P.ADD_REMARK: _PARTY,
    P.REPLY: _RATED,
    P.REPORT: _RATED,
    P.KEEP: _NODE,
    P.WITHHOLD: _NODE,
}
ACTORS: Mapping[RectificationAction, frozenset[Role]] = {
    A.OPEN: _PARTY,
    A.VERIFY: _NODE,
    A.DISMISS: _NODE,
    A.RECTIFY: _RATED,
    A.ANSWER: _RATED,
    A.SATISFIED: _PARTY | _NODE,
    A.SEND_BACK: _PARTY | _NODE,
    A.UNSATISFIED: _PARTY | _NODE,
    A.CLOSE: _NODE,
    A.DROP: _NODE,
}

RATING_STATE_NAMES: Mapping[RatingState, str] = Words(
    {
        R.NEW: "未评价",
        R.PUBLISHED: "已公开",
        R.REPORTED: "机构申诉，等待裁定",
        R.KEPT: "申诉未成立，继续公开",
        R.WITHHELD: "不予公开，不计入统计",
    }
)
STATE_NAMES: Mapping[RectificationState, str] = Words(
    {
        S.NEW: "未启动",
        S.VERIFYING: "等待核实",
        S.RECTIFYING: "整改中",
        S.ANSWERING: "等待机构答复",
        S.REVISITING: "等待回访",
        S.CLOSING: "等待办结",
        S.CLOSED: "整改已办结",
    }
)
RATING_ACTION_NAMES: Mapping[RatingAction, str] = Words(
    {
        P.RATE: "评价",
        P.ADD_REMARK: "追加评价",
        P.REPLY: "机构回复评价",
        P.REPORT: "机构对评价提出申诉",
        P.KEEP: "裁定：评价继续公开",
        P.WITHHOLD: "裁定：评价不予公开",
    }
)
ACTION_NAMES: Mapping[RectificationAction, str] = Words(
    {
        A.OPEN: "启动差评整改",
        A.VERIFY: "核实差评，转机构整改",
        A.DISMISS: "核实后不需要整改",
        A.RECTIFY: "机构完成整改",
        A.ANSWER: "机构答复评价人",
        A.SATISFIED: "回访：对整改满意",
        A.SEND_BACK: "回访：不满意，再次整改",
        A.UNSATISFIED: "回访：仍不满意",
        A.CLOSE: "整改办结",
        A.DROP: "评价不予公开，整改终止",
    }
)


def next_rating_state(state: RatingState, action: RatingAction) -> RatingState:
    """Where ``action`` leads a rating.

    Raises:
        InvalidTransition: it leads nowhere.
    """
    try:
        return RATING_TRANSITIONS[state, action]
    except KeyError:
        name = RATING_ACTION_NAMES[action]
        raise InvalidTransition(
            _(
                "这条评价现在是「{state}」，不能再做「{name}」。",
                state=RATING_STATE_NAMES[state],
                name=name,
            )
        ) from None


def next_state(state: RectificationState, action: RectificationAction) -> RectificationState:
    """Where ``action`` leads a rectification.

    Raises:
        InvalidTransition: it leads nowhere.
    """
    try:
        return TRANSITIONS[state, action]
    except KeyError:
        name = ACTION_NAMES[action]
        raise InvalidTransition(
            _(
                "这件整改现在是「{state}」，不能做「{name}」。请刷新查看。",
                state=STATE_NAMES[state],
                name=name,
            )
        ) from None


# what is read --------------------------------------------------------------------------------------------------------


class Said(Struct, frozen=True, kw_only=True):
    """What was chosen from the scale."""

    level: RatingLevel
    indicators: tuple[str, ...]

    @property
    def level_name(self) -> str:
        """The level in words."""
        return LEVEL_NAMES[self.level]

    @property
    def indicator_names(self) -> list[str]:
        """What was ticked, in words."""
        return [INDICATOR_NAMES[code] for code in self.indicators if code in INDICATOR_NAMES]


class Rating(Said, frozen=True, kw_only=True):
    """A rating with its rectification, if it has one.

    Of an anonymous one the institution is not told whose it is: ``need_id``, ``match_id``, ``enterprise_name`` and
    ``created_at`` are None for it.
    """

    id: int
    need_id: int | None
    match_id: int | None
    enterprise_name: str | None
    institution_id: int
    institution_name: str
    offering_id: int
    offering_title: str
    item_code: str
    item_name: str
    channel: Channel
    state: RatingState
    remark: str
    later_remark: str | None
    reply: str | None
    anonymous: bool
    on_behalf: bool
    """A clerk wrote it down for somebody at the counter."""
    by_receipt: bool
    """Given with the code on the receipt of the counter, without an account."""
    month: str
    """2026-11."""
    created_at: datetime | None
    rectification: RectificationState | None
    due_at: datetime | None
    due_provisional: bool
    awaits: LimitKind | None
    """What is awaited beside the steps of the rectification: the institution's reply, or the coordinator's ruling."""
    awaits_by: datetime | None
    awaits_provisional: bool
    answer: str | None
    satisfied: bool | None

    @property
    def state_name(self) -> str:
        """The state in words."""
        return RATING_STATE_NAMES[self.state]

    @property
    def step_name(self) -> str | None:
        """The step of the rectification, in words."""
        return STATE_NAMES[self.rectification] if self.rectification else None

    @property
    def awaits_name(self) -> str | None:
        """What is awaited, in words."""
        return KIND_NAMES[self.awaits] if self.awaits else None

    @property
    def is_open(self) -> bool:
        """Whether a rectification is under way."""
        return self.rectification not in (None, RectificationState.CLOSED)


def seen_by(rating: Rating, role: Role) -> Rating:
    """The rating as this role is told of it."""
    if role is not Role.INSTITUTION or not rating.anonymous:
        return rating
    seen = structs.replace(rating, need_id=None, match_id=None, enterprise_name=None, created_at=None)
    # The first day is counted from the moment of the rating, and would give it away.
    return structs.replace(seen, due_at=None) if rating.rectification is RectificationState.VERIFYING else seen


class PublishedRating(Said, frozen=True, kw_only=True):
    """A rating as everybody reads it. The month only: a day would tell the rated who it was."""

    id: int
    remark: str
    later_remark: str | None
    reply: str | None
    """The institution's: to a bad rating, what it answered after the rectification."""
    item_name: str
    month: str
    rectification: RectificationState | None


class Step(Struct, frozen=True, kw_only=True):
    """One step of a rating or of its rectification. It names no need: that would name whoever rated."""

    machine: str
    from_state: str
    action: str
    to_state: str
    actor_name: str | None
    actor_role: Role | None
    note: str
    data: dict[str, Any]
    at: datetime


class RatingFilter(StrEnum):
    """What ratings are looked through for."""

    NODE = "node"
    INSTITUTION = "institution"
    REVISIT = "revisit"
    OVERDUE = "overdue"
    BAD = "bad"
    REPORTS = "reports"
    ALL = "all"


OPEN_FILTERS = frozenset({RatingFilter.NODE, RatingFilter.INSTITUTION, RatingFilter.REVISIT, RatingFilter.OVERDUE})
"""Of what waits for somebody, in the order of its deadlines; the others are newest first."""


class Place(Struct, frozen=True, array_like=True):
    """Where a part of a list ends: the last rating's next deadline, and its id."""

    due_at: datetime | None
    id: int


def place(rating: Rating) -> Place:
    """Its place in a list."""
    return Place(min(filter(None, (rating.due_at, rating.awaits_by)), default=None), rating.id)


# what people send ----------------------------------------------------------------------------------------------------

OptionalNote = Annotated[str, Meta(max_length=NOTE_LIMIT, pattern=OPTIONAL_TEXT)]
MOST_INDICATORS = 8


class RatingForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody thinks of a service. The level has no default: nobody is rated by not looking."""

    level: RatingLevel
    indicators: Annotated[tuple[str, ...], Meta(max_length=MOST_INDICATORS)] = ()
    remark: OptionalNote = ""
    anonymous: bool = False
    """To the institution; the node knows, so that it can verify and ask again."""


class LaterRemark(Struct, frozen=True, forbid_unknown_fields=True):
    """What one wants to add, once."""

    remark: Note


class Ruling(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a reported rating stays public, and why."""

    keep: bool
    note: Note


class Finding(Struct, frozen=True, forbid_unknown_fields=True):
    """What the coordinator found; ``founded``: there is something to rectify."""

    founded: bool
    note: Note


class Revisit(Struct, frozen=True, forbid_unknown_fields=True):
    """What whoever rated says of the rectification."""

    satisfied: bool
    note: OptionalNote = ""
