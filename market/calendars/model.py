"""Working-day arithmetic 工作日. Pure: the announced days come from the database, by way of the caller.

The State Council announces the next year's holidays in November. Past the last announced day (the horizon) the
plain rule holds, Monday to Friday, and whatever is counted so is marked provisional.

Periods are counted by the Civil Code, Articles 201–203: the day on which a period starts does not count; one in months
ends on the same day of its last month, or on that month's last day; one that would end on a day off ends on the next
working day; and where there are business hours, the day ends with them.
"""

import calendar
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import accumulate
from zoneinfo import ZoneInfo

from msgspec import Struct

from market.regions.model import lineage

ZONE = ZoneInfo("Asia/Shanghai")


class DueDate(Struct, frozen=True):
    """The day a period ends; ``provisional``: it lies past the horizon, an announcement may still move it."""

    day: date
    provisional: bool


class Hours(Struct, frozen=True):
    """Business hours of every working day."""

    opens: time = time(9)
    closes: time = time(18)


class NamedDay(Struct, frozen=True):
    """A day that a notice names, and whose notice it is: the region's, or that of one above it."""

    day: date
    working: bool
    name: str
    region_code: str


class DayKind(StrEnum):
    """What a day of the year is, as people speak of it."""

    WORK = "work"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"
    """Off by a notice."""
    SHIFTED = "shifted"
    """Worked by a notice, although it is a weekend (调休)."""


class CalendarDay(Struct, frozen=True, kw_only=True):
    """One day of a year as it holds in a region. ``name`` and ``region_code`` are those of the notice, where one is."""

    day: date
    kind: DayKind
    name: str = ""
    region_code: str | None = None


class Month(Struct, frozen=True):
    """A month in weeks from Monday to Sunday; None: a day of another month."""

    number: int
    weeks: list[list[CalendarDay | None]]
    working_days: int


class Span(Struct, frozen=True):
    """Days in a row that one notice names alike."""

    first: date
    last: date
    working: bool
    name: str
    region_code: str


class Period(Struct, frozen=True):
    """How long something may take: in working days, in months, or whichever of the two ends first.

    At least one of them is given.
    """

    days: int | None = None
    months: int | None = None


class Calendar(Struct, frozen=True, dict=True):  # dict: cached_property keeps its value there
    """Days that notices name (True: worked, False: off), the last announced day, and business hours."""

    days: dict[date, bool]
    horizon: date
    hours: Hours = Hours()

    def is_working(self, day: date) -> bool:
        """Whether people work on ``day``; by the plain rule if no notice names it."""
        return self.days.get(day, _is_weekday(day))

    def add_working_days(self, start: date, n: int) -> DueDate:
        """The last day of a period of ``n`` working days.

        The day on which the period starts does not count (期间开始的日不计算在期间内): the first working day
        after it is day 1. With ``n`` = 0 it is ``start`` itself, or the next working day if nobody works then.

        Raises:
            ValueError: ``n`` is negative, or the period ends after the year 9999.
        """
        if n < 0:
            raise ValueError("n must not be negative")
        wanted = self._count(start.toordinal()) + (n or not self.is_working(start))
        return self._due(self._first_with(wanted, start.toordinal()))

    def add_months(self, start: date, n: int) -> DueDate:
        """The last day of a period of ``n`` months.

        Raises:
            ValueError: ``n`` is negative, or the period ends after the year 9999.
        """
        if n < 0:
            raise ValueError("n must not be negative")
        year, month = divmod(start.year * 12 + start.month - 1 + n, 12)
        last = calendar.monthrange(year, month + 1)[1]
        return self.add_working_days(date(year, month + 1, min(start.day, last)), 0)

    def working_days_before(self, day: date, n: int) -> date:
        """The ``n``-th working day before ``day``; ``n`` is positive."""
        return date.fromordinal(self._first_with(self._count(day.toordinal() - 1) - n + 1, 1))

    def working_days_between(self, a: date, b: date) -> int:
        """Working days after ``a`` up to and including ``b``; negative if ``b`` is earlier.

        With today and a due day: how many working days are left, 0 on the last one, −1 one working day late.
        """
        return self._count(b.toordinal()) - self._count(a.toordinal())

    def received(self, moment: datetime) -> date:
        """The working day on which what comes at ``moment`` counts as received.

        What comes on a day off, or after closing, is received on the next working day.

        Raises:
            ValueError: ``moment`` has no time zone.
        """
        if moment.tzinfo is None:
            raise ValueError("the moment needs a time zone")
        local = moment.astimezone(ZONE)
        closed = self.is_working(local.date()) and local.time() >= self.hours.closes
        return self.add_working_days(local.date(), int(closed)).day

    def due_at(self, submitted: datetime, working_days: int) -> tuple[datetime, bool]:
        """When a period of working days ends, at closing on its last day, and if that is provisional.

        Raises:
            ValueError: ``submitted`` has no time zone, or as ``add_working_days``.
        """
        due = self.due_day(submitted, Period(days=working_days))
        return self.closing(due.day), due.provisional

    def due_day(self, submitted: datetime, period: Period) -> DueDate:
        """The last day of a period that starts with what came in at ``submitted``.

        Raises:
            ValueError: as ``due_at``, or the period has neither days nor months.
        """
        start = self.received(submitted)
        ends = []
        if period.days is not None:
            ends.append(self.add_working_days(start, period.days))
        if period.months is not None:
            ends.append(self.add_months(start, period.months))
        return min(ends, key=lambda due: due.day)

    def due_on(self, moment: datetime) -> DueDate:
        """The day of a moment that was promised."""
        return self._due(moment.astimezone(ZONE).date().toordinal())

    def opening(self, day: date) -> datetime:
        """When business begins on ``day``."""
        return datetime.combine(day, self.hours.opens, ZONE)

    def closing(self, day: date) -> datetime:
        """When business ends on ``day``."""
        return datetime.combine(day, self.hours.closes, ZONE)

    @cached_property
    def _shifts(self) -> tuple[list[int], list[int]]:
        """Ordinals of the days that break the plain rule; working days gained before each, and after all."""
        shifted = [(day, worked) for day, worked in sorted(self.days.items()) if worked != _is_weekday(day)]
        gains = accumulate((1 if worked else -1 for _, worked in shifted), initial=0)
        return [day.toordinal() for day, _ in shifted], list(gains)

    def _count(self, ordinal: int) -> int:
        """Working days from the beginning of the year 1, a Monday, up to and including ``ordinal``."""
        weeks, rest = divmod(ordinal, 7)
        ordinals, gained = self._shifts
        return 5 * weeks + min(rest, 5) + gained[bisect_right(ordinals, ordinal)]

    def _first_with(self, wanted: int, since: int) -> int:
        """The first ordinal from ``since`` on up to which ``wanted`` working days were counted."""
        return bisect_left(range(date.max.toordinal() + 1), wanted, lo=since, key=self._count)

    def _due(self, ordinal: int) -> DueDate:
        day = date.fromordinal(ordinal)
        return DueDate(day, provisional=day > self.horizon)


class Calendars(Struct, frozen=True, dict=True):
    """The calendars of all regions: what a region's own notices do not name, the region above decides.

    ``days`` and ``hours`` are by region code; the nation's hours are there. ``stamp`` tells editions apart.
    """

    stamp: int
    days: Mapping[str, Mapping[date, bool]]
    hours: Mapping[str, Hours]
    horizon: date

    def of(self, region_code: str) -> Calendar:
        """The region's calendar. Regions without days and hours of their own share that of the region above."""
        own = tuple(code for code in lineage(region_code) if code in self.days or code in self.hours)
        if own not in self._made:
            days = {day: works for code in own for day, works in self.days.get(code, {}).items()}
            hours = [self.hours[code] for code in own if code in self.hours]
            self._made[own] = Calendar(days=days, horizon=self.horizon, hours=hours[-1] if hours else Hours())
        return self._made[own]

    @cached_property
    def _made(self) -> dict[tuple[str, ...], Calendar]:
        return {}


def months(found: Calendar, named: Mapping[date, NamedDay], year: int) -> list[Month]:
    """A year of a region's calendar, to be looked at. ``named``: the days that notices name, as they hold there."""

    def one(day: date) -> CalendarDay:
        notice, works = named.get(day), found.is_working(day)
        if notice is None or works == _is_weekday(day):
            kind = DayKind.WORK if works else DayKind.HOLIDAY if notice else DayKind.WEEKEND
        else:
            kind = DayKind.SHIFTED if works else DayKind.HOLIDAY
        return CalendarDay(
            day=day, kind=kind, name=notice.name if notice else "", region_code=notice.region_code if notice else None
        )

    made = []
    for number in range(1, 13):
        weeks = [
            [one(day) if day.month == number else None for day in week]
            for week in calendar.Calendar().monthdatescalendar(year, number)
        ]
        last = calendar.monthrange(year, number)[1]
        works = found.working_days_between(date(year, number, 1) - timedelta(days=1), date(year, number, last))
        made.append(Month(number, weeks, works))
    return made


def spans(named: Iterable[NamedDay]) -> list[Span]:
    """The days that notices name, in order, those in a row together."""
    found: list[Span] = []
    for one in sorted(named, key=lambda one: one.day):
        said = (one.working, one.name, one.region_code)
        before = found[-1] if found else None
        if (
            before
            and before.last == one.day - timedelta(days=1)
            and said
            == (
                before.working,
                before.name,
                before.region_code,
            )
        ):
            found[-1] = Span(before.first, one.day, *said)
        else:
            found.append(Span(one.day, one.day, *said))
    return found


def _is_weekday(day: date) -> bool:
    return day.weekday() < 5
