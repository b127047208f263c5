"""The periods of a ledger: months, quarters, years. Pure."""

import re
from datetime import date, datetime

from msgspec import Struct

from market.calendars.model import ZONE
from market.errors import InvalidInput
from market.i18n import _

FIRST_YEAR = 2000
_PERIOD = re.compile(r"([0-9]{4})(?:-(0[1-9]|1[0-2])|Q([1-4]))?")


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
            return _("{year}年{month}月", year=self.year, month=self.month)
        if self.months == 3:
            return _("{year}年第{quarter}季度", year=self.year, quarter=(self.month + 2) // 3)
        return _("{year}年", year=self.year)

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
        raise InvalidInput(fields={"period": _("请写成 2026-07（月）、2026Q3（季）或 2026（年）。")})
    year, month, quarter = int(given[1]), given[2], given[3]
    found = Period(year, 1, 12)
    if month:
        found = Period(year, int(month), 1)
    elif quarter:
        found = Period(year, 3 * int(quarter) - 2, 3)
    if found.first_day > (today or datetime.now(ZONE).date()):
        raise InvalidInput(fields={"period": _("{period}还没有开始，请选已经开始的时段。", period=found.name)})
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
        _("月"): {one.code: one.name for one in (month.moved(-by) for by in range(13))},
        _("季度"): {one.code: one.name for one in (quarter.moved(-by) for by in range(6))},
        _("年"): {one.code: one.name for one in (Period(today.year - by, 1, 12) for by in range(3))},
    }
