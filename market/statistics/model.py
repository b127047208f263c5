"""What everybody may read of the service, and which small numbers are not told. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum

from msgspec import Struct

from market.catalogue.model import ChainStage
from market.i18n import Words
from market.ledger.figures import Figures
from market.ledger.periods import Period, month_of

MONTHS = 12
"""Whole months that are looked at: of the current one a reader could tell from day to day who came."""
FEWEST = 5
"""A smaller number could point at somebody; nought points at nobody."""


class Name(StrEnum):
    """The statistics there are, as their addresses call them."""

    NEEDS = "needs-by-month"
    STAGES = "needs-by-stage"
    RIGHTS = "needs-by-right"
    ON_TIME = "on-time"
    SATISFACTION = "satisfaction"
    OFFERINGS = "offerings"
    INSTITUTIONS = "institutions"


class Hidden(StrEnum):
    """Why a figure is not told."""

    FEW = "few"
    """It is 1 to 4, or a share or mean of so few."""
    WITHHELD = "withheld"
    """Together with the total it would tell one of these."""


HIDDEN_NAMES: Mapping[Hidden, str] = Words({Hidden.FEW: "少于 5", Hidden.WITHHELD: "不列出"})


class Line(Struct, frozen=True, kw_only=True):
    """One figure. ``key``: a month, a stage, a right, or the code of a region or kind, whose ``name`` is given;
    ``stage``: of what is told by two. Without ``value`` it is hidden, or there is nothing to tell.
    """

    key: str
    name: str = ""
    stage: ChainStage | None = None
    value: float | None
    hidden: Hidden | None = None


class Statistic(Struct, frozen=True, kw_only=True):
    """Figures of one kind: counts, shares (0 to 1), or levels (1 to 5). ``overall``: all lines together."""

    name: Name
    overall: float | None
    lines: tuple[Line, ...]


class Statistics(Struct, frozen=True, kw_only=True):
    """All that is told. ``since`` and ``until``: the first and the last month, as 2026-07."""

    since: str
    until: str
    statistics: tuple[Statistic, ...]

    def of(self, name: Name) -> Statistic:
        """The one of that name."""
        return next(one for one in self.statistics if one.name is name)


class Cell(Struct, frozen=True):
    """Offerings of the institutions of a region, of one stage."""

    region_code: str
    stage: ChainStage
    count: int


class Kind(Struct, frozen=True):
    """Institutions of one kind."""

    code: str
    name: str
    count: int


def months(today: date) -> list[Period]:
    """Those that are looked at, in their order."""
    return [month_of(today).moved(by) for by in range(-MONTHS, 0)]


def counted(name: Name, counts: Mapping[str, int]) -> Statistic:
    """Counts without the small ones, and without what would tell them."""
    hidden, certain = hide(counts)
    lines = (
        Line(key=key, value=None if key in hidden else count, hidden=hidden.get(key)) for key, count in counts.items()
    )
    return Statistic(name=name, overall=sum(counts.values()) if certain else None, lines=tuple(lines))


def on_time(by_month: Mapping[str, Figures]) -> Statistic:
    """Deliveries within their limit. Of how many is not told, so that nobody can count back from the share."""
    lines = (_measured(key, of.delivered, of.on_time_share, 2) for key, of in by_month.items())
    done = sum(of.delivered for of in by_month.values())
    overall = sum(of.on_time for of in by_month.values()) / done if done >= FEWEST else None
    return Statistic(name=Name.ON_TIME, overall=_rounded(overall, 2), lines=tuple(lines))


def satisfaction(by_month: Mapping[str, Figures], year: Figures) -> Statistic:
    """The smoothed mean level; of how many is not told either."""
    lines = (_measured(key, of.ratings, of.satisfaction, 1) for key, of in by_month.items())
    overall = year.satisfaction if year.ratings >= FEWEST else None
    return Statistic(name=Name.SATISFACTION, overall=_rounded(overall, 1), lines=tuple(lines))


def offered(cells: Sequence[Cell], names: Mapping[str, str], total: int) -> Statistic:
    """Offerings by region and stage. What is published anybody can count: nothing is hidden."""
    lines = (Line(key=one.region_code, name=names[one.region_code], stage=one.stage, value=one.count) for one in cells)
    return Statistic(name=Name.OFFERINGS, overall=total, lines=tuple(lines))


def registered(kinds: Sequence[Kind]) -> Statistic:
    """Institutions by kind; nothing is hidden either."""
    lines = tuple(Line(key=one.code, name=one.name, value=one.count) for one in kinds)
    return Statistic(name=Name.INSTITUTIONS, overall=sum(one.count for one in kinds), lines=lines)


def hide(counts: Mapping[str, int]) -> tuple[dict[str, Hidden], bool]:
    """The counts that are not told: those of 1 to 4, and as many others, the smallest first, as it takes for none of
    them to follow from the total. Where even all do not suffice, the second is False: the total must not be told.
    """
    hidden = {key: Hidden.FEW for key, count in counts.items() if 0 < count < FEWEST}
    others = sorted((key for key, count in counts.items() if count >= FEWEST), key=counts.__getitem__)
    for key in others:
        if not _follows(counts, hidden):
            break
        hidden[key] = Hidden.WITHHELD
    return hidden, not _follows(counts, hidden)


def _follows(counts: Mapping[str, int], hidden: Mapping[str, Hidden]) -> bool:
    """Whether one of the small numbers is certain to whoever knows the sum of all that is hidden, and the rules."""
    total = sum(counts[key] for key in hidden)
    small = sum(why is Hidden.FEW for why in hidden.values())
    if not small:
        return False
    withheld = len(hidden) - small
    least = max(1, total - (FEWEST - 1) * (small - 1)) if not withheld else 1
    most = min(FEWEST - 1, total - (small - 1) - FEWEST * withheld)
    return least >= most


def _measured(key: str, cases: int, value: float | None, digits: int) -> Line:
    if 0 < cases < FEWEST:
        return Line(key=key, value=None, hidden=Hidden.FEW)
    return Line(key=key, value=_rounded(value, digits))


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
