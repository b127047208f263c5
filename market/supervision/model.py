"""Supervision: rules that flag an institution, and the steps that follow. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct

from market.accounts.model import Role
from market.deadlines.model import DeadlineState
from market.errors import InvalidTransition
from market.i18n import Words, _
from market.ledger.figures import Figures
from market.needs.model import Note

MONTHS = 3
"""Rules look at this month and the two before: long enough for figures to say something, short enough to be of now."""


# rules ---------------------------------------------------------------------------------------------------------------


class SupervisionRule(StrEnum):
    """What an institution can fall behind in. A new one needs words and a measure below, and a row for 000000."""

    ON_TIME = "on_time"
    ACCEPTANCE = "acceptance"
    SATISFACTION = "satisfaction"
    OVERDUE = "overdue"
    RECTIFICATION_OVERDUE = "rectification_overdue"
    COMMON_DECLINES = "common_declines"


X = SupervisionRule
SHARES = frozenset({X.ON_TIME, X.ACCEPTANCE})
"""Rules whose values are shares, 0 to 1."""
BELOW = SHARES | {X.SATISFACTION}
"""Rules that flag what lies below the threshold; the others flag what reaches it."""

RULE_NAMES: Mapping[SupervisionRule, str] = Words(
    {
        X.ON_TIME: "按时率偏低",
        X.ACCEPTANCE: "受理率偏低",
        X.SATISFACTION: "满意度偏低",
        X.OVERDUE: "办理超期偏多",
        X.RECTIFICATION_OVERDUE: "整改超期",
        X.COMMON_DECLINES: "多次申请谢绝共性事项",
    }
)
RULE_WORDS: Mapping[SupervisionRule, str] = Words(
    {
        X.ON_TIME: "按时送达的比例低于界线。",
        X.ACCEPTANCE: "受理的比例低于界线；谢绝、逾期未受理都算没有受理。",
        X.SATISFACTION: "满意度（1 到 5，已按条数平滑）低于界线。",
        X.OVERDUE: "超过办理期限的次数达到界线。",
        X.RECTIFICATION_OVERDUE: "差评整改超期的次数达到界线。",
        X.COMMON_DECLINES: "对已认领的共性事项申请谢绝的次数达到界线。",
    }
)
BEHIND: Mapping[SupervisionRule, str] = Words(
    {
        X.ON_TIME: "{first} 至 {last}，{cases} 次送达中按时的占 {value}，低于 {threshold}",
        X.ACCEPTANCE: "{first} 至 {last}，{cases} 次派单中受理的占 {value}，低于 {threshold}",
        X.SATISFACTION: "{first} 至 {last}，{cases} 条评价的满意度为 {value}，低于 {threshold}",
        X.OVERDUE: "{first} 至 {last}办理超期 {value} 次，达到 {threshold} 次",
        X.RECTIFICATION_OVERDUE: "{first} 至 {last}整改超期 {value} 次，达到 {threshold} 次",
        X.COMMON_DECLINES: "{first} 至 {last}申请谢绝 {value} 次，达到 {threshold} 次",
    }
)
"""How an institution is behind, with the figures."""


class RuleInForce(Struct, frozen=True, kw_only=True):
    """A rule as it holds in a region, and which region above it comes from.

    ``threshold``: None where the rule does not hold. ``least``: with fewer cases nobody is flagged.
    """

    name: SupervisionRule
    region_code: str
    region_name: str
    threshold: float | None
    least: int

    @property
    def words(self) -> str:
        """What it flags, in words."""
        return RULE_WORDS[self.name]


class SupervisionRuleChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A region's own rule. ``own`` false: as in the region above; no threshold: it does not hold here."""

    name: SupervisionRule
    own: bool = True
    threshold: Annotated[float, Meta(ge=0, le=100_000)] | None = None
    least: Annotated[int, Meta(ge=1, le=100_000)] = 1


class Flag(Struct, frozen=True, kw_only=True):
    """By which rule an institution is behind, with the figures that say so."""

    rule: SupervisionRule
    value: float
    cases: int
    threshold: float
    months: tuple[str, ...]

    @property
    def name(self) -> str:
        """The rule in a few words."""
        return RULE_NAMES[self.rule]

    @property
    def words(self) -> str:
        """The rule and the figures, in words."""
        figures = {"cases": self.cases, "value": self._said(self.value), "threshold": self._said(self.threshold)}
        return BEHIND[self.rule].format(first=self.months[0], last=self.months[-1], **figures)

    def _said(self, value: float) -> str:
        if self.rule in SHARES:
            return f"{value:.0%}"
        return f"{value:.2f}" if self.rule in BELOW else f"{value:.0f}"


def measured(rule: SupervisionRule, of: Figures) -> tuple[float | None, int]:
    """The rule's value of these figures, and of how many cases."""
    match rule:
        case X.ON_TIME:
            return of.on_time_share, of.delivered
        case X.ACCEPTANCE:
            return of.acceptance, of.answered
        case X.SATISFACTION:
            return of.satisfaction, of.ratings
        case X.OVERDUE:
            return of.overdue, of.overdue
        case X.RECTIFICATION_OVERDUE:
            return of.rectification_overdue, of.rectification_overdue
        case X.COMMON_DECLINES:
            return of.decline_requested, of.decline_requested


def flags(of: Figures, rules: Iterable[RuleInForce], months: tuple[str, ...]) -> list[Flag]:
    """The rules by which an institution with these figures is behind."""
    found = []
    for rule in rules:
        value, cases = measured(rule.name, of)
        if value is None or rule.threshold is None or cases < rule.least:
            continue
        if value < rule.threshold if rule.name in BELOW else value >= rule.threshold:
            value = round(float(value), 4)
            found.append(Flag(rule=rule.name, value=value, cases=cases, threshold=rule.threshold, months=months))
    return found


# states --------------------------------------------------------------------------------------------------------------


class SupervisionState(StrEnum):
    """Where a supervision stands; NEW is before it exists."""

    NEW = "new"
    NOTICED = "noticed"
    PLANNED = "planned"
    CHECKED = "checked"
    CLOSED = "closed"


class SupervisionAction(StrEnum):
    """What moves a supervision."""

    NOTICE = "notice"
    PLAN = "plan"
    SEND_BACK = "send_back"
    CHECK = "check"
    CLOSE = "close"
    CALL_OFF = "call_off"


S, A = SupervisionState, SupervisionAction

TRANSITIONS: Mapping[tuple[SupervisionState, SupervisionAction], SupervisionState] = {
    (S.NEW, A.NOTICE): S.NOTICED,
    (S.NOTICED, A.PLAN): S.PLANNED,
    (S.PLANNED, A.SEND_BACK): S.NOTICED,
    (S.PLANNED, A.CHECK): S.CHECKED,
    (S.CHECKED, A.SEND_BACK): S.NOTICED,
    (S.CHECKED, A.CLOSE): S.CLOSED,
    (S.NOTICED, A.CALL_OFF): S.CLOSED,
    (S.PLANNED, A.CALL_OFF): S.CLOSED,
}
_NODE, _SERVER = frozenset({Role.COORDINATOR}), frozenset({Role.INSTITUTION})
ACTORS: Mapping[SupervisionAction, frozenset[Role]] = {
    A.NOTICE: _NODE,
    A.PLAN: _SERVER,
    A.SEND_BACK: _NODE,
    A.CHECK: _NODE,
    A.CLOSE: _NODE,
    A.CALL_OFF: _NODE,
}
STATE_NAMES: Mapping[SupervisionState, str] = Words(
    {
        S.NEW: "未启动",
        S.NOTICED: "等机构提交整改方案",
        S.PLANNED: "落实中，等核查",
        S.CHECKED: "核查通过，等办结",
        S.CLOSED: "督导已办结",
    }
)
ACTION_NAMES: Mapping[SupervisionAction, str] = Words(
    {
        A.NOTICE: "发出督导通知",
        A.PLAN: "机构提交整改方案",
        A.SEND_BACK: "退回，请重新提交方案",
        A.CHECK: "核查通过",
        A.CLOSE: "督导办结",
        A.CALL_OFF: "撤回督导",
    }
)


def next_state(state: SupervisionState, action: SupervisionAction) -> SupervisionState:
    """Where ``action`` leads.

    Raises:
        InvalidTransition: it leads nowhere.
    """
    try:
        return TRANSITIONS[state, action]
    except KeyError:
        told = _(
            "这件督导现在是「{state}」，不能做「{action}」。请刷新查看。",
            state=STATE_NAMES[state],
            action=ACTION_NAMES[action],
        )
        raise InvalidTransition(told) from None


# what is read and sent -----------------------------------------------------------------------------------------------


class Supervision(Struct, frozen=True, kw_only=True):
    """A supervision of one institution, with the flags that led to it."""

    id: int
    institution_id: int
    institution_name: str
    region_code: str
    node_id: int
    node_name: str
    state: SupervisionState
    reasons: tuple[Flag, ...]
    clock: DeadlineState
    due_at: datetime
    provisional: bool
    created_at: datetime

    @property
    def state_name(self) -> str:
        """The state in words."""
        return STATE_NAMES[self.state]


class SupervisionStep(Struct, frozen=True, kw_only=True):
    """One step of it, or of its clock."""

    machine: str
    action: str
    actor_name: str | None
    actor_role: Role | None
    note: str
    data: dict[str, Any]
    at: datetime


class Notice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the institution is told and asked for."""

    institution_id: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    note: Note


class Said(Struct, frozen=True, forbid_unknown_fields=True):
    """What goes with a step: a plan, what is missing in one, what a check found."""

    note: Note
