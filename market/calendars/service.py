"""When things are due: periods on the stored calendars, with the days that regions set for themselves."""

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime

from msgspec import Struct

from infra.db import Transaction
from market.audit import service as audit
from market.audit.model import TERMINAL, Action
from market.calendars import queries
from market.calendars.model import Calendar, Calendars, Hours, Period
from market.errors import InvalidInput
from market.i18n import _
from market.regions import queries as regions
from market.regions.model import NATION, lineage
from market.rules import queries as rules
from market.rules.model import RuleName

CALENDAR_SECONDS = 60
"""A calendar or a rule changed by another process is used after so long at most."""


class Times(Struct, frozen=True, kw_only=True):
    """A deadline's moments. ``remind_at`` is None where it would lie in the past, or not before ``due_at``."""

    due_at: datetime
    provisional: bool
    remind_at: datetime | None
    node_at: datetime
    above_at: datetime


class Deadlines:
    """Time limits on one edition of the calendars, counted from now."""

    def __init__(self, calendars: Calendars, rules: Mapping[tuple[RuleName, str], int]) -> None:
        """``rules``: working days by name and region code; the nation has one of every name."""
        self._calendars = calendars
        self._rules = rules

    @property
    def stamp(self) -> int:
        """The edition of the calendars."""
        return self._calendars.stamp

    def calendar(self, region_code: str = NATION) -> Calendar:
        """The calendar that holds in the region."""
        return self._calendars.of(region_code)

    def days(self, rule: RuleName, region_code: str) -> int:
        """The rule of the region, or of the nearest above it that has one."""
        return next(self._rules[rule, one] for one in reversed(lineage(region_code)) if (rule, one) in self._rules)

    def times(self, region_code: str, started: datetime, period: Period, *, promised: datetime | None = None) -> Times:
        """The moments of a deadline that began at ``started``.

        It is never due before ``promised``, the moment that people were told already.
        """
        calendar = self.calendar(region_code)
        due = calendar.due_day(started, period)
        due_at = calendar.closing(due.day)
        if promised is not None and promised > due_at:
            due_at, due = promised, calendar.due_on(promised)
        step = self.days(RuleName.ESCALATE_AFTER, region_code)
        node = calendar.add_working_days(due.day, step).day
        return Times(
            due_at=due_at,
            provisional=due.provisional,
            remind_at=self._remind_at(calendar, region_code, due.day, due_at),
            node_at=max(due_at, calendar.closing(node)),
            above_at=max(due_at, calendar.closing(calendar.add_working_days(node, step).day)),
        )

    def _remind_at(self, calendar: Calendar, region_code: str, due: date, due_at: datetime) -> datetime | None:
        """At opening, some working days before the day it is due; where that is past, on the day itself.

        New business hours may open after the moment that was told: then there is no time for a reminder.
        """
        ahead = self.days(RuleName.REMIND_BEFORE, region_code)
        days = [calendar.working_days_before(due, ahead)] if ahead else []
        moments = (calendar.opening(day) for day in (*days, due))
        return next((moment for moment in moments if datetime.now(UTC) < moment < due_at), None)


async def set_hours(tx: Transaction, region_code: str, hours: Hours) -> None:
    """Give a region business hours of its own; what is open is counted again.

    Raises:
        InvalidInput: there is no such region, or it would close before it opens.
    """
    if await regions.region(tx, region_code) is None:
        raise InvalidInput(fields={"region_code": _("没有代码为 {region_code} 的地区。", region_code=region_code)})
    if hours.opens >= hours.closes:
        raise InvalidInput(fields={"closes": _("下班时间要晚于上班时间。")})
    await audit.record(tx, None, Action.SET_CALENDAR, f"calendar:{region_code}", role=TERMINAL)
    await queries.set_hours(tx, region_code, hours)


class DeadlinesSource:
    """Keeps calendars and rules in memory, for every submission needs them and they change a few times a year."""

    def __init__(self) -> None:
        self._current: Deadlines | None = None
        self._read_at = 0.0

    async def get(self, tx: Transaction) -> Deadlines:
        """Deadlines on calendars and rules read at most CALENDAR_SECONDS ago."""
        now = time.monotonic()
        if self._current is None or now - self._read_at > CALENDAR_SECONDS:
            self._current = await deadlines(tx)
            self._read_at = now
        return self._current


async def deadlines(tx: Transaction) -> Deadlines:
    """Deadlines on calendars and rules as they are now."""
    return Deadlines(await queries.calendars(tx), await rules.everywhere(tx))
