"""The ledger as it is read: rows, peers, corrections, records. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from statistics import quantiles
from typing import Any

from msgspec import Struct

from market.catalogue.model import ChainStage
from market.i18n import Words
from market.ledger.figures import COUNTS, NAMES, Figures, Measures, total

FEWEST_PEERS = 3
"""With fewer a median would tell an institution what one of its neighbours did."""


class LedgerRow(Figures, frozen=True, kw_only=True):
    """The figures of an institution, a period and an item; item_code "" is all items."""

    institution_id: int
    period: str
    item_code: str

    @property
    def figures(self) -> Figures:
        """Only the figures."""
        return Figures(**{name: getattr(self, name) for name in Figures.__struct_fields__})


class ItemLine(Struct, frozen=True, kw_only=True):
    """One item's part of an institution's ledger."""

    item_code: str
    item_name: str
    stages: tuple[ChainStage, ...]
    figures: Figures


class Subject(Struct, frozen=True, kw_only=True):
    """The institution that a ledger is about."""

    id: int
    name: str
    kind: str
    kind_name: str
    region_code: str
    region_name: str
    province: str
    province_name: str
    demo: bool


class ListLine(LedgerRow, frozen=True, kw_only=True):
    """An institution in the list of ledgers."""

    name: str
    kind: str
    kind_name: str
    region_code: str
    region_name: str
    demo: bool
    closed_at: datetime | None
    flags: tuple[str, ...] = ()
    """The supervision rules by which it is behind, now."""


class Quartiles(Struct, frozen=True):
    """The middle of the peers: a quarter lie below ``low``, a quarter above ``high``; ``count`` peers have a value."""

    count: int
    low: float
    middle: float
    high: float


COMPARED = ("offered", "acceptance", "on_time_share", "median_days", "satisfaction")


class Peers(Struct, frozen=True, kw_only=True):
    """Institutions of the same kind in the province that were assigned something in the period, itself left out.

    ``measures``: by name of COMPARED; None where fewer than FEWEST_PEERS have a value.
    """

    count: int
    measures: dict[str, Quartiles | None]


def compare(peers: Iterable[Figures]) -> Peers:
    """The quartiles of the peers' measures."""
    active = [one for one in peers if one.offered]
    return Peers(count=len(active), measures={name: _quartiles(active, name) for name in COMPARED})


def _quartiles(peers: list[Figures], name: str) -> Quartiles | None:
    values = [float(value) for one in peers if (value := getattr(one, name)) is not None]
    if len(values) < FEWEST_PEERS:
        return None
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return Quartiles(len(values), round(low, 3), round(middle, 3), round(high, 3))


class Correction(Struct, frozen=True, kw_only=True):
    """A figure that changed after its period was closed. ``figure``: by its name in the API."""

    item_code: str
    figure: str
    closed: float
    now: float

    @property
    def difference(self) -> float:
        """What was added since."""
        return self.now - self.closed

    @property
    def name(self) -> str:
        """The figure in words."""
        return NAMES[self.figure]


def corrections(item_code: str, closed: Figures, now: Figures) -> list[Correction]:
    """What differs between the figures as closed and as they are."""
    names = (*COUNTS, "ratings", "median_days", "satisfaction")
    pairs = ((name, _plain(closed, name), _plain(now, name)) for name in names)
    return [
        Correction(item_code=item_code, figure=name, closed=before, now=after)
        for name, before, after in pairs
        if before != after
    ]


def _plain(of: Figures, name: str) -> float:
    return round(float(getattr(of, name) or 0), 2)


class Ledger(Struct, frozen=True, kw_only=True):
    """An institution's ledger of a period. Of a closed one the figures are those of its closing."""

    institution: Subject
    period: str
    closed_at: datetime | None
    counted_at: datetime | None
    """When events were counted last: what happened since comes in the next night."""
    figures: Figures
    measures: Measures
    items: list[ItemLine]
    stages: dict[ChainStage, Figures]
    """Sums over items; an item that belongs to two stages counts in both."""
    peers: Peers
    trend: dict[str, Figures]
    """The twelve months up to the period's last, as they stand now."""
    corrections: list[Correction]


def by_stage(items: Iterable[ItemLine]) -> dict[ChainStage, Figures]:
    """The figures of each stage of the chain."""
    lines = list(items)
    found = {stage: [one.figures for one in lines if stage in one.stages] for stage in ChainStage}
    return {stage: total(many) for stage, many in found.items() if many}


class Area(Struct, frozen=True, kw_only=True):
    """The sum over a node's or a province's institutions."""

    region_code: str
    name: str
    is_node: bool
    institutions: int
    """How many have figures in the period."""
    figures: Figures
    measures: Measures


class What(StrEnum):
    """Which records: those that one figure counts."""

    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    LAPSED = "lapsed"
    DECLINE_REQUESTED = "decline_requested"
    TAKEN_BACK = "taken_back"
    DELIVERED = "delivered"
    LATE = "late"
    OVERDUE = "overdue"
    REWORKED = "reworked"
    COMPLETED = "completed"
    RATED = "rated"
    RECTIFICATIONS = "rectifications"
    RECTIFICATION_OVERDUE = "rectification_overdue"


WHAT_NAMES: Mapping[What, str] = Words(
    {
        What.OFFERED: "派单",
        What.ACCEPTED: "受理",
        What.DECLINED: "谢绝",
        What.LAPSED: "逾期未受理",
        What.DECLINE_REQUESTED: "共性事项申请谢绝",
        What.TAKEN_BACK: "改派或取消",
        What.DELIVERED: "办结送达",
        What.LATE: "未按时送达",
        What.OVERDUE: "办理超期",
        What.REWORKED: "要求继续办理",
        What.COMPLETED: "企业确认",
        What.RATED: "评价",
        What.RECTIFICATIONS: "启动整改",
        What.RECTIFICATION_OVERDUE: "整改超期",
    }
)
SECRET = frozenset({What.RATED, What.RECTIFICATIONS, What.RECTIFICATION_OVERDUE})
"""Of these an institution is not told whose and when, where the rating is anonymous."""


class RecordLine(Struct, frozen=True, kw_only=True):
    """One thing that a figure counts. Of an anonymous rating its institution sees neither need nor moment."""

    id: int
    need_id: int | None
    match_id: int | None
    item_code: str
    item_name: str
    enterprise_name: str | None
    at: datetime | None
    note: str
    level: int | None
    due_at: datetime | None
    days: int | None = None
    """Working days from acceptance, of a delivery."""


class Sort(StrEnum):
    """The order of the list; flagged institutions come first in each."""

    OFFERED = "offered"
    ACCEPTANCE = "acceptance"
    ON_TIME = "on_time_share"
    DAYS = "median_days"
    SATISFACTION = "satisfaction"
    NAME = "name"


def ordered(lines: Iterable[ListLine], by: Sort) -> list[ListLine]:
    """Flagged institutions first, then as asked for: the most assigned, else those that fall behind, first."""
    if by is Sort.NAME:
        return sorted(lines, key=lambda one: (not one.flags, one.name))
    down = by in (Sort.OFFERED, Sort.DAYS)

    def key(one: ListLine) -> tuple[bool, bool, float, str]:
        value: Any = getattr(one, by)
        return not one.flags, value is None, (-value if down else value) if value is not None else 0, one.name

    return sorted(lines, key=key)
