"""A plan for a queue: what it proposes, what it costs whom, and what became of it."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from market.i18n import Words
from market.matches.model import Explanation
from matching.evaluate import Balance

MOST_NEEDS = 500
"""Needs in one plan, the first due first: as many as one transaction approves before others tire of waiting for it."""
POINTS = 100
"""A utility of 1 in the points (匹配度) that people read."""


class PlanState(StrEnum):
    """Where a plan stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNDERWAY = frozenset({PlanState.WAITING, PlanState.RUNNING})

STATE_NAMES: Mapping[PlanState, str] = Words(
    {
        PlanState.WAITING: "排队等候计算",
        PlanState.RUNNING: "正在计算",
        PlanState.DONE: "已做好",
        PlanState.FAILED: "没有做成",
        PlanState.CANCELLED: "已取消",
    }
)
PHASE_NAMES: Mapping[str, str] = Words(
    {
        "": "准备",
        "reading": "读取候选",
        "pruning": "缩小范围",
        "solving": "求解",
        "pricing": "计算名额紧张程度",
        "proving": "核对有没有更好的安排",
    }
)
"""What a running plan is at: reading, then the phases of a solve."""


class RuleKind(StrEnum):
    """A coordinator's word on a pair: this need to this offering, or never."""

    PIN = "pin"
    BAR = "bar"


KIND_NAMES: Mapping[RuleKind, str] = Words({RuleKind.PIN: "固定", RuleKind.BAR: "排除"})


# what the worker reads -----------------------------------------------------------------------------------------------


class QueuedNeed(Struct, frozen=True, kw_only=True):
    """A need that waits for approval, with the match proposed for it: its first choice."""

    need_id: int
    match_id: int
    first_id: int
    """The offering proposed."""
    enterprise_name: str
    body: str


class QueuedCandidate(Struct, frozen=True, kw_only=True):
    """A candidate of a queued need. ``score`` of at most ``most``, as its run had it; ``conflict``: the institution is
    the enterprise itself.
    """

    need_id: int
    offering_id: int
    score: float
    most: float
    values: tuple[float, ...] | None
    """Of the features, in their order; None where the run had others."""
    conflict: bool

    @property
    def share(self) -> float:
        """The score as a share of a perfect one's, 0..1."""
        return min(1.0, max(0.0, self.score / self.most)) if self.most > 0 else 0.0


class QueuedOffering(Struct, frozen=True, kw_only=True):
    """An offering of an institution that the queue has candidates of. ``capacity``: 0 where it takes no more needs."""

    offering_id: int
    institution_id: int
    institution_name: str
    title: str
    capacity: int
    load: int


class PairRule(Struct, frozen=True, kw_only=True):
    """What a coordinator has ruled for a need and one of its candidates; ``reason`` may be empty for a pin."""

    need_id: int
    offering_id: int
    kind: RuleKind
    reason: str
    enterprise_name: str
    institution_name: str
    title: str
    made_by_name: str
    created_at: datetime

    @property
    def kind_name(self) -> str:
        """The kind in words."""
        return KIND_NAMES[self.kind]


class Choosable(Struct, frozen=True, kw_only=True):
    """A candidate by name."""

    offering_id: int
    rank: int
    name: str


class OpenNeed(QueuedNeed, frozen=True, kw_only=True):
    """A queued need as rules are made for it: with what a coordinator may choose from, best first."""

    due_at: datetime
    due_provisional: bool
    choices: tuple[Choosable, ...]


# what a plan holds ---------------------------------------------------------------------------------------------------


class Option(Struct, frozen=True, kw_only=True):
    """An offering for a need, and its utility there, 0..1."""

    offering_id: int
    title: str
    institution_name: str
    utility: float

    @property
    def points(self) -> float:
        """The utility as people read it."""
        return POINTS * self.utility


class Pair(Struct, frozen=True, kw_only=True):
    """A need and the offering planned for it; ``match_id`` is the proposal that stood when the plan was made."""

    need_id: int
    match_id: int
    enterprise_name: str
    body: str
    first: Option
    planned: Option
    alternates: tuple[Option, ...]
    reason: str
    """Why it is not the first choice; empty where it is."""
    price: str
    """How sought after the planned offering is, in words; empty where it has room."""
    pinned: bool = False
    """A coordinator had it so."""

    @property
    def changed(self) -> bool:
        """Whether another than the first choice is planned."""
        return self.planned.offering_id != self.first.offering_id


class LeftOver(Struct, frozen=True, kw_only=True):
    """A need the plan has nobody for. ``reason``: one of matching's REASONS; ``words``: the same, with names."""

    need_id: int
    enterprise_name: str
    body: str
    reason: str
    words: str


class Load(Struct, frozen=True, kw_only=True):
    """Matches being served, before the plan and after it, of so many that can be."""

    name: str
    capacity: int
    before: int
    after: int


class InstitutionLoad(Struct, frozen=True, kw_only=True):
    """An institution's load in all its offerings, and in each of those the queue has candidates of."""

    total: Load
    offerings: tuple[Load, ...]


class Total(Struct, frozen=True, kw_only=True):
    """A way to serve the queue as a whole: needs with a match, the sum of their utilities, institutions without any.

    ``balance``: how loads are spread over the institutions then, and how the worst-served needs fare; None in plans of
    earlier releases.
    """

    matched: int
    utility: float
    idle: int
    balance: Balance | None = None

    @property
    def points(self) -> float:
        """The sum as people read it."""
        return POINTS * self.utility

    @property
    def mean_points(self) -> float:
        """Of one match."""
        return self.points / self.matched if self.matched else 0.0


class Content(Struct, frozen=True, kw_only=True):
    """What a finished plan proposes. ``beyond``: needs that waited too but found no place in this plan."""

    pairs: tuple[Pair, ...]
    left_over: tuple[LeftOver, ...]
    institutions: tuple[InstitutionLoad, ...]
    planned: Total
    first_choices: Total
    """What would come of approving each first choice, by deadline, until the capacities are used up."""
    beyond: int
    rules: tuple[PairRule, ...] = ()
    """What coordinators had ruled for pairs of these needs."""
    unsolvable: tuple[str, ...] = ()
    """Why no plan keeps all rules, in words; there are no pairs then."""
    by_acceptance: bool = False
    """Utilities are probabilities of acceptance; otherwise shares of the score."""


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of a pair that was ticked; ``words`` say why where it was not approved."""

    need_id: int
    approved: bool
    words: str
    actor_name: str
    at: datetime


class Plan(Struct, frozen=True, kw_only=True):
    """A plan of one node. ``content`` is there once it is done."""

    id: int
    node_id: int
    node_name: str
    node_prefix: str
    made_by_name: str
    state: PlanState
    phase: str
    needs_done: int
    needs_left: int
    content: Content | None
    outcomes: tuple[Outcome, ...]
    created_at: datetime

    @property
    def state_name(self) -> str:
        """The state in words."""
        return STATE_NAMES[self.state]

    @property
    def phase_name(self) -> str:
        """What it is at, in words."""
        return PHASE_NAMES[self.phase]

    @property
    def outcome_of(self) -> Mapping[int, Outcome]:
        """The last outcome of each need that has one."""
        return {outcome.need_id: outcome for outcome in self.outcomes}

    @property
    def open_pairs(self) -> tuple[Pair, ...]:
        """Pairs that have not been approved."""
        done = {outcome.need_id for outcome in self.outcomes if outcome.approved}
        return tuple(pair for pair in self.content.pairs if pair.need_id not in done) if self.content else ()


class Selection(Struct, frozen=True, forbid_unknown_fields=True):
    """The needs whose pairs a coordinator approves."""

    needs: Annotated[tuple[Annotated[int, Meta(ge=1, le=2**63 - 1)], ...], Meta(min_length=1, max_length=MOST_NEEDS)]


class RuleForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule for a pair of a need and one of its candidates. Who bars a pair says why."""

    need_id: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    offering_id: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    kind: RuleKind
    reason: Explanation = ""
