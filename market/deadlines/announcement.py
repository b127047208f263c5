"""A notice of days off: what it changes in the calendars, and which open deadlines move with it.

What was told stays told (docs/decisions/0013-deadlines.md): a deadline may move later, never earlier.
"""

from collections import Counter
from datetime import date, datetime, time

from msgspec import Struct

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.audit import service as audit
from market.audit.model import Action
from market.calendars import service as calendars
from market.calendars.model import ZONE, Period
from market.calendars.service import Deadlines
from market.deadlines import queries
from market.deadlines.model import KIND_NAMES, Counting, LimitKind
from market.errors import Forbidden
from market.i18n import _
from market.importing import files
from market.importing import service as importing
from market.importing.model import CalendarDayForm, ImportFailed, Problem
from market.regions import queries as regions
from market.regions.model import prefix_of

MOST_COUNTED = 20_000
"""Deadlines a preview counts: a second. The job counts all of them, in batches."""
SHOWN = 50
"""Deadlines that are listed; of the rest only how many."""


class DayChange(Struct, frozen=True, kw_only=True):
    """A day of a region on which people work now, or do not any more."""

    region_code: str
    region_name: str
    day: date
    worked: bool
    works: bool
    name: str


class Shift(Struct, frozen=True, kw_only=True):
    """An open deadline that is due later by the new days."""

    need_id: int
    kind: LimitKind
    due_at: datetime
    moves_to: datetime

    @property
    def kind_name(self) -> str:
        """What is limited, in words."""
        return KIND_NAMES[self.kind]


class Announced(Struct, frozen=True, kw_only=True):
    """What a notice does: rows read, days that change, deadlines due later, and those it would let be due earlier."""

    rows: int
    changes: list[DayChange]
    later: int
    shifts: list[Shift]
    """The first SHOWN of those due later."""
    kept: int
    """Would be due earlier, and keep their day."""
    counted: int
    """Of how many deadlines; MOST_COUNTED at most."""
    stamp: int
    """The edition of the calendars that it was compared with."""

    @property
    def partly(self) -> bool:
        """Whether there may be more deadlines than were counted."""
        return self.counted == MOST_COUNTED


async def announce(tx: Transaction, actor: Actor, raw: bytes, name: str) -> Announced:
    """Store the days a file names, all or none, and say what that changes. For a preview, undo the transaction.

    Admins for every region, coordinators for those of their node. Deadlines themselves are counted anew by the job.

    Raises:
        Forbidden: the role has no say in calendars.
        ImportFailed: with all that is wrong in the file, by line; nothing of it was stored.
    """
    if actor.role not in (Role.COORDINATOR, Role.ADMIN):
        raise Forbidden
    before = await calendars.deadlines(tx)
    sheet = files.parse(raw, name)
    if not sheet.rows:
        raise ImportFailed([Problem(_("文件"), "", _("只有表头，没有日期。请至少填一行。"))])
    days = await importing.load_days(tx, sheet, actor.node_prefix or "")
    after = await calendars.deadlines(tx)
    changes = await _changes(tx, before, after, days)
    for code, count in Counter(one.region_code for one in changes).items():
        await audit.record(tx, actor, Action.SET_CALENDAR, f"calendar:{code}", days=count)
    found = await _open(tx, changes)
    shifts, kept = [], 0
    for one in found:
        period = Period(days=one.days, months=one.months)
        was, now = (_due(each, one.region_code, one.started_at, period) for each in (before, after))
        if now > one.due_at:
            shifts.append(Shift(need_id=one.need_id, kind=one.kind, due_at=one.due_at, moves_to=now))
        kept += now < was
    return Announced(
        rows=len(days),
        changes=changes,
        later=len(shifts),
        shifts=shifts[:SHOWN],
        kept=kept,
        counted=len(found),
        stamp=before.stamp,
    )


async def _changes(
    tx: Transaction, before: Deadlines, after: Deadlines, days: list[CalendarDayForm]
) -> list[DayChange]:
    names = await regions.named(tx, [one.region_code for one in days])
    found = [
        DayChange(
            region_code=one.region_code,
            region_name=names[one.region_code].name,
            day=one.day,
            worked=before.calendar(one.region_code).is_working(one.day),
            works=after.calendar(one.region_code).is_working(one.day),
            name=one.name,
        )
        for one in sorted(days, key=lambda one: (one.region_code, one.day))
    ]
    return [one for one in found if one.worked != one.works]


async def _open(tx: Transaction, changes: list[DayChange]) -> list[Counting]:
    if not changes:
        return []
    since = datetime.combine(min(one.day for one in changes), time(), ZONE)
    return await queries.within_regions(
        tx, sorted({prefix_of(one.region_code) for one in changes}), since, MOST_COUNTED
    )


def _due(deadlines: Deadlines, region_code: str, started: datetime, period: Period) -> datetime:
    calendar = deadlines.calendar(region_code)
    return calendar.closing(calendar.due_day(started, period).day)
