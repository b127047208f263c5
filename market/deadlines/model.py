"""A deadline: one limit of one need; its states, and what is said of it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from itertools import product

from msgspec import Struct

from market.calendars.model import Period
from market.catalogue.model import Limit
from market.i18n import Words


class LimitKind(StrEnum):
    """What is limited. Those whose days are a rule of the region have the rule's name.

    Promises decide DELIVER; where the law allows longer, its limit has a clock of its own beside it.
    """

    FIRST_CONTACT = "first_contact"
    MATCH = "match"
    ACCEPT = "accept"
    DELIVER = "deliver"
    DELIVER_STATUTORY = "deliver_statutory"
    RATING_REPLY = "rating_reply"
    RATING_RULING = "rating_ruling"
    RECTIFICATION_VERIFY = "rectification_verify"
    RECTIFICATION_RECTIFY = "rectification_rectify"
    RECTIFICATION_ANSWER = "rectification_answer"
    RECTIFICATION_REVISIT = "rectification_revisit"
    RECTIFICATION_CLOSE = "rectification_close"


KIND_NAMES: Mapping[LimitKind, str] = Words(
    {
        LimitKind.FIRST_CONTACT: "首次联系",
        LimitKind.MATCH: "答复",
        LimitKind.ACCEPT: "机构受理",
        LimitKind.DELIVER: "办结",
        LimitKind.DELIVER_STATUTORY: "法定办结",
        LimitKind.RATING_REPLY: "评价回复",
        LimitKind.RATING_RULING: "申诉裁定",
        LimitKind.RECTIFICATION_VERIFY: "差评核实",
        LimitKind.RECTIFICATION_RECTIFY: "整改",
        LimitKind.RECTIFICATION_ANSWER: "整改答复",
        LimitKind.RECTIFICATION_REVISIT: "回访",
        LimitKind.RECTIFICATION_CLOSE: "整改办结",
    }
)
DELIVERY = (LimitKind.DELIVER, LimitKind.DELIVER_STATUTORY)
"""Limits of serving: as promised, and what the law allows."""
OF_RATING = frozenset(one for one in LimitKind if one.startswith(("rating_", "rectification_")))
"""Limits that are shown with a rating."""
OF_INSTITUTION = frozenset(
    {
        LimitKind.ACCEPT,
        *DELIVERY,
        LimitKind.RATING_REPLY,
        LimitKind.RECTIFICATION_RECTIFY,
        LimitKind.RECTIFICATION_ANSWER,
    }
)
"""Limits that an institution keeps; the others the node does."""


class DeadlineState(StrEnum):
    """Where a deadline stands; NEW is before it exists."""

    NEW = "new"
    RUNNING = "running"
    REMINDED = "reminded"
    OVERDUE = "overdue"
    ESCALATED = "escalated"
    ESCALATED_ABOVE = "escalated_above"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


class DeadlineAction(StrEnum):
    """What moves a deadline: the first seven by the clock, the others by what becomes of the need."""

    REMIND = "remind"
    EXPIRE = "expire"
    ESCALATE = "escalate"
    ESCALATE_ABOVE = "escalate_above"
    RECOUNT = "recount"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    FINISH = "finish"
    CANCEL = "cancel"


S, A = DeadlineState, DeadlineAction
LATE = frozenset({S.OVERDUE, S.ESCALATED, S.ESCALATED_ABOVE})
"""States of a deadline that has passed; one that has passed is never counted anew."""
LIVE = frozenset({S.RUNNING, S.REMINDED, S.PAUSED}) | LATE

TRANSITIONS: Mapping[tuple[DeadlineState, DeadlineAction], DeadlineState] = {
    (S.NEW, A.START): S.RUNNING,
    (S.RUNNING, A.REMIND): S.REMINDED,
    (S.RUNNING, A.EXPIRE): S.OVERDUE,
    (S.REMINDED, A.EXPIRE): S.OVERDUE,
    (S.OVERDUE, A.ESCALATE): S.ESCALATED,
    (S.ESCALATED, A.ESCALATE_ABOVE): S.ESCALATED_ABOVE,
    (S.RUNNING, A.RECOUNT): S.RUNNING,
    (S.REMINDED, A.RECOUNT): S.RUNNING,
    (S.PAUSED, A.RESUME): S.RUNNING,
    **{(state, A.PAUSE): S.PAUSED for state in LIVE - {S.PAUSED}},
    **{(state, action): to for state, (action, to) in product(LIVE, ((A.FINISH, S.DONE), (A.CANCEL, S.CANCELLED)))},
}

STATE_NAMES: Mapping[DeadlineState, str] = Words(
    {
        S.NEW: "未开始",
        S.RUNNING: "计时中",
        S.REMINDED: "已提醒",
        S.OVERDUE: "已超期",
        S.ESCALATED: "已报骨干节点",
        S.ESCALATED_ABOVE: "已报上级节点",
        S.PAUSED: "暂停计时",
        S.DONE: "已完成",
        S.CANCELLED: "不再需要",
    }
)

ACTION_NAMES: Mapping[DeadlineAction, str] = Words(
    {
        A.REMIND: "{limit}期限将到，已提醒",
        A.EXPIRE: "{limit}已超期",
        A.ESCALATE: "{limit}超期，已报骨干节点",
        A.ESCALATE_ABOVE: "{limit}超期，已报上级节点",
        A.RECOUNT: "放假安排有变化，{limit}期限顺延",
        A.START: "{limit}期限开始",
        A.PAUSE: "{limit}期限暂停计算",
        A.RESUME: "{limit}期限恢复计算",
        A.FINISH: "{limit}完成",
        A.CANCEL: "{limit}期限取消",
    }
)


class Deadline(Struct, frozen=True, kw_only=True):
    """A deadline as its need shows it. ``left_days``: working days left when it was paused."""

    id: int
    kind: LimitKind
    state: DeadlineState
    match_id: int | None
    due_at: datetime
    provisional: bool
    left_days: int | None

    @property
    def kind_name(self) -> str:
        """What is limited, in words."""
        return KIND_NAMES[self.kind]

    @property
    def state_name(self) -> str:
        """The state in words."""
        return STATE_NAMES[self.state]


class BoardRow(Deadline, frozen=True, kw_only=True):
    """A deadline on the coordinator's board."""

    need_id: int
    region_code: str
    body: str
    enterprise_name: str
    node_name: str
    owner_name: str | None
    institution_name: str | None


class View(StrEnum):
    """What the board shows."""

    TODAY = "today"
    OVERDUE = "overdue"
    ESCALATED = "escalated"
    PAUSED = "paused"
    COMING = "coming"


VIEW_NAMES: Mapping[View, str] = Words(
    {
        View.TODAY: "今天到期",
        View.OVERDUE: "已超期",
        View.ESCALATED: "已上报",
        View.PAUSED: "暂停计时",
        View.COMING: "以后到期",
    }
)


class NewDeadline(Struct, frozen=True, kw_only=True):
    """A deadline to be written, all its moments counted."""

    kind: LimitKind
    days: int | None
    months: int | None
    due_at: datetime
    provisional: bool
    remind_at: datetime | None
    node_at: datetime
    above_at: datetime
    stamp: int


class Counting(Struct, frozen=True, kw_only=True):
    """What counting a deadline again takes."""

    id: int
    need_id: int
    kind: LimitKind
    region_code: str
    started_at: datetime
    days: int | None
    months: int | None
    due_at: datetime


class Moved(Struct, frozen=True):
    """How many deadlines a batch moved, and how many of them gave the worker something to do."""

    moved: int
    asked: int


def earliest(limits: Iterable[Limit | None]) -> Period | None:
    """The period that ends with the first of the limits; None where there is none.

    A promise (承诺时限) never outlasts the law (法定时限): both are given, and the earlier day counts.
    """
    given = [limit for limit in limits if limit is not None]
    days = [limit.working_days for limit in given if limit.working_days is not None]
    months = [limit.value for limit in given if limit.unit == "month"]
    if not given:
        return None
    return Period(days=min(days, default=None), months=min(months, default=None))
