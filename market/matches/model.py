"""A match: an offering assigned to a need; its states, and the ranking it came from."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from market.calendars.model import Period
from market.catalogue.model import ItemList, Limit
from market.deadlines.model import earliest
from market.errors import InvalidTransition
from market.i18n import Words, _
from market.needs.model import NOTE_LIMIT, OPTIONAL_TEXT, NeedBody, Note
from matching.calibrate import Platt
from matching.types import Exclusion, Part


class MatchState(StrEnum):
    """Where a match stands; NEW is before it exists."""

    NEW = "new"
    PROPOSED = "proposed"
    APPROVED = "approved"
    DECLINE_REQUESTED = "decline_requested"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    COMPLETED = "completed"
    DECLINED = "declined"
    LAPSED = "lapsed"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


class MatchAction(StrEnum):
    """What moves a match."""

    PROPOSE = "propose"
    OVERRIDE = "override"
    APPROVE = "approve"
    SUPERSEDE = "supersede"
    CANCEL = "cancel"
    ACCEPT = "accept"
    DECLINE = "decline"
    LAPSE = "lapse"
    REQUEST_DECLINE = "request_decline"
    GRANT_DECLINE = "grant_decline"
    REFUSE_DECLINE = "refuse_decline"
    DELIVER = "deliver"
    CONFIRM = "confirm"
    REWORK = "rework"


S, A = MatchState, MatchAction

TRANSITIONS: Mapping[tuple[MatchState, MatchAction], MatchState] = {
    (S.NEW, A.PROPOSE): S.PROPOSED,
    (S.NEW, A.OVERRIDE): S.APPROVED,
    (S.PROPOSED, A.APPROVE): S.APPROVED,
    (S.PROPOSED, A.SUPERSEDE): S.SUPERSEDED,
    (S.APPROVED, A.SUPERSEDE): S.SUPERSEDED,
    (S.DECLINE_REQUESTED, A.SUPERSEDE): S.SUPERSEDED,
    (S.ACCEPTED, A.SUPERSEDE): S.SUPERSEDED,
    (S.PROPOSED, A.CANCEL): S.CANCELLED,
    (S.APPROVED, A.CANCEL): S.CANCELLED,
    (S.DECLINE_REQUESTED, A.CANCEL): S.CANCELLED,
    (S.ACCEPTED, A.CANCEL): S.CANCELLED,
    (S.DELIVERED, A.CANCEL): S.CANCELLED,
    (S.APPROVED, A.ACCEPT): S.ACCEPTED,
    (S.DECLINE_REQUESTED, A.ACCEPT): S.ACCEPTED,
    (S.APPROVED, A.DECLINE): S.DECLINED,
    (S.APPROVED, A.LAPSE): S.LAPSED,
    (S.APPROVED, A.REQUEST_DECLINE): S.DECLINE_REQUESTED,
    (S.DECLINE_REQUESTED, A.GRANT_DECLINE): S.DECLINED,
    (S.DECLINE_REQUESTED, A.REFUSE_DECLINE): S.APPROVED,
    (S.ACCEPTED, A.DELIVER): S.DELIVERED,
    (S.DELIVERED, A.CONFIRM): S.COMPLETED,
    (S.DELIVERED, A.REWORK): S.ACCEPTED,
}

LIVE = frozenset({S.PROPOSED, S.APPROVED, S.DECLINE_REQUESTED, S.ACCEPTED, S.DELIVERED})
"""A need has at most one match in these states (unique index matches_one_live)."""
HOLDING = frozenset({S.APPROVED, S.DECLINE_REQUESTED, S.ACCEPTED})
"""A match in these states holds one slot of its offering's capacity (trigger matches_count)."""

STATE_NAMES: Mapping[MatchState, str] = Words(
    {
        S.NEW: "未生成",
        S.PROPOSED: "推荐，等待审核",
        S.APPROVED: "等待机构受理",
        S.DECLINE_REQUESTED: "机构申请谢绝",
        S.ACCEPTED: "办理中",
        S.DELIVERED: "结果已送达",
        S.COMPLETED: "已办结",
        S.DECLINED: "机构已谢绝",
        S.LAPSED: "逾期未受理",
        S.SUPERSEDED: "已改派",
        S.CANCELLED: "已取消",
    }
)

ACTION_NAMES: Mapping[MatchAction, str] = Words(
    {
        A.PROPOSE: "推荐",
        A.OVERRIDE: "改派到",
        A.APPROVE: "派单给",
        A.SUPERSEDE: "不再派给",
        A.CANCEL: "取消派单",
        A.ACCEPT: "受理",
        A.DECLINE: "谢绝",
        A.LAPSE: "逾期未受理，不再派给",
        A.REQUEST_DECLINE: "申请谢绝",
        A.GRANT_DECLINE: "同意谢绝",
        A.REFUSE_DECLINE: "不同意谢绝",
        A.DELIVER: "送达结果",
        A.CONFIRM: "企业确认结果",
        A.REWORK: "企业请求继续办理",
    }
)


def next_state(state: MatchState, action: MatchAction) -> MatchState:
    """Where ``action`` leads from ``state``.

    Raises:
        InvalidTransition: it leads nowhere.
    """
    try:
        return TRANSITIONS[state, action]
    except KeyError:
        raise InvalidTransition(
            _(
                "这次派单现在是「{state}」，不能再{action}。请刷新查看最新状态。",
                state=STATE_NAMES[state],
                action=ACTION_NAMES[action],
            )
        ) from None


class Match(Struct, frozen=True, kw_only=True):
    """A match with the names its readers need."""

    id: int
    need_id: int
    run_id: int
    state: MatchState
    offering_id: int
    offering_version: int
    offering_title: str
    item_code: str
    item_version: int
    item_name: str
    item_list: ItemList
    institution_id: int
    institution_version: int
    institution_name: str
    promised_days: int | None
    promised_limit: Limit | None
    statutory_limit: Limit | None
    """Of the item, in the version matched."""
    due_at: datetime | None
    due_provisional: bool
    result: str | None
    created_at: datetime
    bound: bool
    """Whether the institution may not refuse it: it has taken the item up from the common list."""

    @property
    def state_name(self) -> str:
        """The state in words."""
        return STATE_NAMES[self.state]

    @property
    def delivery(self) -> Period | None:
        """How long serving may take: as the offering promises, or else the item; never longer than the law allows."""
        offered = None if self.promised_days is None else Limit(self.promised_days, "working_day")
        return earliest((offered or self.promised_limit, self.statutory_limit))

    @property
    def statutory(self) -> Period | None:
        """How long the law lets serving take; None where the item states no such limit."""
        return earliest((self.statutory_limit,))


class Candidate(Struct, frozen=True, kw_only=True):
    """One ranked offering for a need, as the run stored it, with the offering's load now."""

    rank: int
    score: float
    parts: tuple[Part, ...]
    offering_id: int
    offering_version: int
    title: str
    item_code: str
    item_name: str
    institution_id: int
    institution_name: str
    institution_region: str
    fee: str
    promised_days: int | None
    capacity: int
    load: int


class OfferingPrice(Struct, frozen=True):
    """How much better than the next a match must be to get this offering, in utility: what it is worth to others."""

    offering_id: int
    price: float


class Prices(Struct, frozen=True, kw_only=True):
    """What a node's last plan left behind. They mean something only beside utilities of the same scale.

    ``calibration``: the utility is the probability that it gives; without one, the score's share.
    """

    plan_id: int
    scored_by: str
    """The scorer's version."""
    calibration: Platt | None
    offerings: tuple[OfferingPrice, ...]
    """Whoever is not among them costs nothing."""
    at: datetime


class PricesUsed(Struct, frozen=True, kw_only=True):
    """Prices that a proposal was made with, of the candidates that have one."""

    plan_id: int
    at: datetime
    offerings: tuple[OfferingPrice, ...]

    @property
    def points(self) -> Mapping[int, float]:
        """By offering, in points of a hundred."""
        return {one.offering_id: 100 * one.price for one in self.offerings}


class RankingRun(Struct, frozen=True, kw_only=True):
    """One ranking of one need: which model, how many offerings, which were left out and why."""

    id: int
    need_id: int
    need_version: int
    node_id: int
    model_version: str
    seed: int
    considered: int
    excluded: tuple[Exclusion, ...]
    """Offerings of the items asked for that a hard rule left out."""
    excluded_counts: dict[str, int]
    """How many of all offerings each rule left out."""
    proposed_rank: int
    """The candidate that was proposed: the first, unless prices moved the proposal."""
    prices: PricesUsed | None
    created_at: datetime


class DeskRow(Struct, frozen=True, kw_only=True):
    """A match on its institution's desk."""

    id: int
    need_id: int
    state: MatchState
    region_code: str
    body: str
    enterprise_name: str
    offering_title: str
    promised_days: int | None
    item_name: str
    item_list: ItemList
    promised_limit: Limit | None
    statutory_limit: Limit | None
    due_at: datetime | None
    due_provisional: bool
    created_at: datetime
    bound: bool
    """As in Match."""

    @property
    def promise(self) -> Limit | None:
        """What ``Match.delivery`` counts from, for words: the promise, or else the law; None where nothing is said."""
        offered = None if self.promised_days is None else Limit(self.promised_days, "working_day")
        return offered or self.promised_limit or self.statutory_limit

    @property
    def state_name(self) -> str:
        """The state in words."""
        return STATE_NAMES[self.state]


class DeclineCount(Struct, frozen=True, kw_only=True):
    """How often an institution asked not to serve an item it has taken up, and what coordinators answered."""

    institution_id: int
    item_code: str
    requested: int
    granted: int
    refused: int


class DeclineRequest(Struct, frozen=True, kw_only=True):
    """An institution's open request not to serve a need."""

    need_id: int
    institution_name: str
    item_name: str
    reason: str
    at: datetime


# what people send -----------------------------------------------------------------------------------------------------

Points = Annotated[tuple[Note, ...], Meta(max_length=20)]
Explanation = Annotated[str, Meta(max_length=NOTE_LIMIT, pattern=OPTIONAL_TEXT)]


class Approval(Struct, frozen=True, forbid_unknown_fields=True):
    """The proposal the coordinator has seen."""

    match_id: Annotated[int, Meta(ge=1, le=2**63 - 1)]


class Override(Struct, frozen=True, forbid_unknown_fields=True):
    """Another candidate, and why."""

    offering_id: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    reason: Note


class OneTimeNotice(Struct, frozen=True, forbid_unknown_fields=True):
    """All that is missing, at once: points, and materials of the item's guide.

    ``opened``: for a second notice, what in the enterprise's answer opened a new point.
    """

    missing: Points = ()
    materials: Points = ()
    note: Explanation = ""
    opened: Explanation = ""


class Remark(Struct, frozen=True, forbid_unknown_fields=True):
    """A reason, or what to do."""

    note: Note


class Answer(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether an institution may decline an item of the common list, and why."""

    grant: bool
    note: Note


class Delivery(Struct, frozen=True, forbid_unknown_fields=True):
    """The result, in words."""

    result: NeedBody
