"""What is counted, and what the counts say: shares, medians, means. All counts add up. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from market.i18n import Words
from market.ratings.figures import Tally

LONGEST_DAYS = 250
"""What took longer counts as this, a year of working days: medians below it are exact."""


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

NAMES: Mapping[str, str] = Words(
    {
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
)


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


def plain_row(figures: Figures) -> dict[str, Any]:
    """Counts, ratings by level and measures, by name, for exports."""
    given = structs.asdict(measures(figures))
    levels = {f"rated_{level}": count for level, count in enumerate(figures.rated, 1)}
    return {name: getattr(figures, name) for name in COUNTS} | levels | given
