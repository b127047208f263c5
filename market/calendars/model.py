"""Working-day arithmetic 工作日. Pure: the announced days come from the database, by way of the caller.

The State Council announces the next year's holidays in November. Past the last announced day (the horizon) the
plain rule holds, Monday to Friday, and whatever is counted so is marked provisional.
"""

from bisect import bisect_left, bisect_right
from datetime import date, datetime, time
from functools import cached_property
from itertools import accumulate
from zoneinfo import ZoneInfo

from msgspec import Struct

ZONE = ZoneInfo("Asia/Shanghai")
CLOSE_OF_BUSINESS = time(18)


class DueDate(Struct, frozen=True):
    """The day a period ends; ``provisional``: it lies past the horizon, an announcement may still move it."""

    day: date
    provisional: bool


class Calendar(Struct, frozen=True, dict=True):  # dict: cached_property keeps its value there
    """Days that notices name (True: worked, False: off) and the last announced day."""

    days: dict[date, bool]
    horizon: date

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
        ordinals = range(date.max.toordinal() + 1)
        day = date.fromordinal(bisect_left(ordinals, wanted, lo=start.toordinal(), key=self._count))
        return DueDate(day, provisional=day > self.horizon)

    def working_days_between(self, a: date, b: date) -> int:
        """Working days after ``a`` up to and including ``b``; negative if ``b`` is earlier.

        With today and a due day: how many working days are left, 0 on the last one, −1 one working day late.
        """
        return self._count(b.toordinal()) - self._count(a.toordinal())

    def due_at(self, submitted: datetime, working_days: int) -> tuple[datetime, bool]:
        """When a period of working days ends, 18:00 in China on its last day, and if that is provisional.

        What is due the same day but was submitted after 18:00 is due on the next working day.

        Raises:
            ValueError: ``submitted`` has no time zone, or as ``add_working_days``.
        """
        if submitted.tzinfo is None:
            raise ValueError("submitted needs a time zone")
        local = submitted.astimezone(ZONE)
        if working_days == 0 and local.time() >= CLOSE_OF_BUSINESS:
            working_days = 1
        due = self.add_working_days(local.date(), working_days)
        return datetime.combine(due.day, CLOSE_OF_BUSINESS, ZONE), due.provisional

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


def _is_weekday(day: date) -> bool:
    return day.weekday() < 5
