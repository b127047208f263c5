"""The ledger: periods, figures that add up, and what is made of them. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from statistics import quantiles
from typing import Any

from msgspec import Struct, structs

from market.calendars.model import ZONE
from market.catalogue.model import ChainStage
from market.errors import InvalidInput
from market.ratings.figures import Tally

FIRST_YEAR = 2000
FEWEST_PEERS = 3
"""With fewer a median would tell an institution what one of its neighbours did."""
LONGEST_DAYS = 250
"""What took longer counts as this, a year of working days: medians below it are exact."""

# periods -------------------------------------------------------------------------------------------------------------

_PERIOD = re.compile(r"(\d{4})(?:-(0[1-9]|1[0-2])|Q([1-4]))?")


class Period(Struct, frozen=True, order=True):
    """A month, a quarter or a year, by its first month and how many it has."""

    year: int
    month: int
    months: int

    @property
    def code(self) -> str:
        """2026-07, 2026Q3, 2026: how the database and addresses call it."""
        if self.months == 1:
            return f"{self.year}-{self.month:02}"
        return f"{self.year}Q{(self.month + 2) // 3}" if self.months == 3 else str(self.year)

    @property
    def name(self) -> str:
        """2026年7月, 2026年第3季度, 2026年."""
        if self.months == 1:
            return f"{self.year}年{self.month}月"
        return f"{self.year}年第{(self.month + 2) // 3}季度" if self.months == 3 else f"{self.year}年"

    @property
    def first_day(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)

    @property
    def end(self) -> date:
        """The day after its last."""
        return self.moved(1).first_day

    def moved(self, by: int) -> "Period":
        """The period of the same length so many later."""
        year, month = divmod(self.year * 12 + self.month - 1 + by * self.months, 12)
        return Period(year, month + 1, self.months)


def period(code: str, *, today: date | None = None) -> Period:
    """The period that a code names.

    Raises:
        InvalidInput: it names none, or one that has not begun.
    """
    given = _PERIOD.fullmatch(code)
    if given is None or int(given[1]) < FIRST_YEAR:
        raise InvalidInput(fields={"period": "请写成 2026-07（月）、2026Q3（季）或 2026（年）。"})
    year, month, quarter = int(given[1]), given[2], given[3]
    found = Period(year, 1, 12)
    if month:
        found = Period(year, int(month), 1)
    elif quarter:
        found = Period(year, 3 * int(quarter) - 2, 3)
    if found.first_day > (today or datetime.now(ZONE).date()):
        raise InvalidInput(fields={"period": f"{found.name}还没有开始，请选已经开始的时段。"})
    return found


def month_of(day: date) -> Period:
    """The month of a day."""
    return Period(day.year, day.month, 1)


def quarter_of(day: date) -> Period:
    """The quarter of a day."""
    return Period(day.year, (day.month - 1) // 3 * 3 + 1, 3)


def months_of(one: Period) -> list[Period]:
    """Its months."""
    first = Period(one.year, one.month, 1)
    return [first.moved(by) for by in range(one.months)]


def choices(today: date) -> dict[str, dict[str, str]]:
    """Codes and names of the periods a reader may pick, by their length, the latest first."""
    month, quarter = month_of(today), quarter_of(today)
    return {
        "月": {one.code: one.name for one in (month.moved(-by) for by in range(13))},
        "季度": {one.code: one.name for one in (quarter.moved(-by) for by in range(6))},
        "年": {one.code: one.name for one in (Period(today.year - by, 1, 12) for by in range(3))},
    }


# figures -------------------------------------------------------------------------------------------------------------


class Figures(Struct, frozen=True, kw_only=True):
    """What happened, counted, each in the month in which it happened. All of it adds up."""

    offered: int = 0
    """Needs assigned to the institution: by approval or override."""
    accepted: int = 0
    declined: int = 0
    """Refused, or asked to be let off and was."""
    lapsed: int = 0
    """Taken back because it stayed silent."""
    decline_requested: int = 0
    """Asked not to serve an item of the common list that it has taken up."""
    decline_granted: int = 0
    decline_refused: int = 0
    taken_back: int = 0
    """Assigned to another or ended by the node or the enterprise, before delivery."""
    delivered: int = 0
    """Delivered for the first time; what is reworked is counted there."""
    on_time: int = 0
    """Of these, those within their limit; without one, always."""
    overdue: int = 0
    """Delivery limits that passed."""
    reworked: int = 0
    completed: int = 0
    withheld: int = 0
    """Ratings given then that were ruled out of the figures since."""
    rectifications: int = 0
    rectified: int = 0
    rectification_overdue: int = 0
    rated: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    """By level, 1 to 5."""
    days: tuple[int, ...] = ()
    times: tuple[int, ...] = ()
    """``times[i]`` deliveries came ``days[i]`` working days after their acceptance; in the order of days."""

    @property
    def answered(self) -> int:
        """Assigned needs that the institution has said yes or no to, silence included."""
        return self.accepted + self.declined + self.lapsed

    @property
    def acceptance(self) -> float | None:
        """Share of these that it took."""
        return self.accepted / self.answered if self.answered else None

    @property
    def on_time_share(self) -> float | None:
        """Share of deliveries within their limit."""
        return self.on_time / self.delivered if self.delivered else None

    @property
    def median_days(self) -> float | None:
        """Working days from acceptance to delivery, the median of all deliveries."""
        return median(self.days, self.times)

    @property
    def tally(self) -> Tally:
        """Its ratings."""
        return Tally(self.rated)

    @property
    def ratings(self) -> int:
        """How many ratings count."""
        return sum(self.rated)

    @property
    def satisfaction(self) -> float | None:
        """The smoothed mean level, 1 to 5."""
        return self.tally.smoothed


COUNTS: tuple[str, ...] = tuple(one for one in Figures.__struct_fields__ if one not in ("rated", "days", "times"))
"""The plain counts, which are columns of the same names."""

NAMES: Mapping[str, str] = {
    "offered": "派单",
    "accepted": "受理",
    "declined": "谢绝",
    "lapsed": "逾期未受理",
    "decline_requested": "共性事项申请谢绝",
    "decline_granted": "同意谢绝",
    "decline_refused": "不同意谢绝",
    "taken_back": "改派或取消",
    "delivered": "办结送达",
    "on_time": "按时送达",
    "overdue": "办理超期",
    "reworked": "要求继续办理",
    "completed": "企业确认",
    "withheld": "不予公开的评价",
    "rectifications": "启动整改",
    "rectified": "整改办结",
    "rectification_overdue": "整改超期",
    "ratings": "评价",
    "acceptance": "受理率",
    "on_time_share": "按时率",
    "median_days": "办理天数中位数",
    "satisfaction": "满意度",
}


def median(days: Sequence[int], times: Sequence[int]) -> float | None:
    """The median of ``times[i]`` values of ``days[i]``, which rise; the mean of the middle two of an even number."""
    total = sum(times)
    if not total:
        return None
    low, high, seen = (total - 1) // 2, total // 2, 0
    found: list[int] = []
    for day, count in zip(days, times, strict=True):
        seen += count
        while len(found) < 2 and seen > (low, high)[len(found)]:
            found.append(day)
    return (found[0] + found[1]) / 2


def total(many: Iterable[Figures]) -> Figures:
    """All of them together."""
    rows = list(many)
    spread: Counter[int] = Counter()
    for row in rows:
        for day, count in zip(row.days, row.times, strict=True):
            spread[day] += count
    one, two, three, four, five = (
        (sum(column) for column in zip(*(row.rated for row in rows), strict=True)) if rows else (0,) * 5
    )
    return Figures(
        **{name: sum(getattr(row, name) for row in rows) for name in COUNTS},
        rated=(one, two, three, four, five),
        days=tuple(sorted(spread)),
        times=tuple(spread[day] for day in sorted(spread)),
    )


class Measures(Struct, frozen=True, kw_only=True):
    """What figures say, as it is read: shares 0 to 1, days and levels; None where there is nothing to divide by."""

    acceptance: float | None
    on_time_share: float | None
    median_days: float | None
    satisfaction: float | None
    ratings: int


def measures(of: Figures) -> Measures:
    """The measures of figures, rounded as they are published."""
    return Measures(
        acceptance=_rounded(of.acceptance, 3),
        on_time_share=_rounded(of.on_time_share, 3),
        median_days=of.median_days,
        satisfaction=_rounded(of.satisfaction, 2),
        ratings=of.ratings,
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


# what is read --------------------------------------------------------------------------------------------------------


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


WHAT_NAMES: Mapping[What, str] = {
    one: {"late": "未按时送达", "rated": "评价"}.get(one, NAMES.get(one, "")) for one in What
}
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


def plain_row(figures: Figures) -> dict[str, Any]:
    """Counts, ratings by level and measures, by name, for exports."""
    given = structs.asdict(measures(figures))
    levels = {f"rated_{level}": count for level, count in enumerate(figures.rated, 1)}
    return {name: getattr(figures, name) for name in COUNTS} | levels | given
