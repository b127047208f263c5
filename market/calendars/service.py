"""Deadlines on the stored calendar."""

import time
from datetime import UTC, datetime

from msgspec import Struct

from infra.db import Transaction
from infra.settings import Settings
from market.calendars import queries
from market.calendars.model import Calendar

CALENDAR_SECONDS = 60
"""A calendar imported by another process is used after so long at most."""


class Due(Struct, frozen=True):
    """When something is due; ``provisional``: past the announced calendar, so it may still move."""

    at: datetime
    provisional: bool


class Deadlines:
    """The time limits of the settings on the calendar in force, counted from now."""

    def __init__(self, settings: Settings, calendar: Calendar) -> None:
        self._settings = settings
        self.calendar = calendar

    def in_working_days(self, days: int) -> Due:
        """Close of business ``days`` working days from now."""
        at, provisional = self.calendar.due_at(datetime.now(UTC), days)
        return Due(at, provisional)

    def match_due(self) -> Due:
        """When a node has to have answered a need."""
        return self.in_working_days(self._settings.match_days)

    def accept_due(self) -> Due:
        """When an institution has to have taken an approved match."""
        return self.in_working_days(self._settings.accept_days)


class DeadlinesSource:
    """Keeps the calendar in memory, for every submission needs it and it changes once a year."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._current: Deadlines | None = None
        self._read_at = 0.0

    async def get(self, tx: Transaction) -> Deadlines:
        """Deadlines on a calendar read at most CALENDAR_SECONDS ago."""
        now = time.monotonic()
        if self._current is None or now - self._read_at > CALENDAR_SECONDS:
            self._current = Deadlines(self._settings, await queries.calendar(tx))
            self._read_at = now
        return self._current
