"""Bringing the ledger up to date: every night what is new, or all of it anew; and closing what is due."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from msgspec import Struct

from infra.db import Transaction
from market.calendars.model import ZONE, Calendar
from market.calendars.service import Deadlines
from market.errors import Conflict
from market.i18n import _
from market.ledger import counting
from market.ledger.counting import Cell, WorkingDays
from market.ledger.periods import Period, month_of, period
from market.rules.model import RuleName

WAIT_SECONDS, POLL_SECONDS = 60.0, 0.05
"""How long whoever was writing events may take to end; requests take a fraction of a second."""


class Recorded(Struct, frozen=True):
    """What a run did: up to which event, how many cells were counted (None: all of them), what was closed."""

    event_id: int
    cells: int | None
    closed: list[str]


async def bring_up_to_date(tx: Transaction, deadlines: Deadlines, *, whole: bool = False) -> Recorded:
    """Count what happened since the last run and close what is due. Only one run at a time: others wait.

    All is counted anew the first time, where ``whole`` asks for it, and after a calendar was changed, because working
    days of the past may then be others.

    Raises:
        Conflict: somebody has been writing events for a minute and does not end.
    """
    state = await counting.lock(tx)
    upto = await settled(tx)
    working = await _working_days(tx, deadlines)
    cells: int | None = None
    if whole or not state.event_id or state.stamp != deadlines.stamp:
        await _count_all(tx, upto, working)
    else:
        dirty = await counting.dirty(tx, state.event_id, upto)
        await _count(tx, dirty, upto, working)
        cells = len(dirty)
    now = datetime.now(UTC)
    closed = await close_due(tx, deadlines, now)
    await counting.correct(tx)
    await counting.save(tx, upto, deadlines.stamp, now)
    return Recorded(upto, cells, closed)


async def count_anew(tx: Transaction, deadlines: Deadlines, upto: int) -> None:
    """Count all events up to that id; nothing is closed, and the next run goes on from there."""
    await counting.lock(tx)
    await _count_all(tx, upto, await _working_days(tx, deadlines))
    await counting.save(tx, upto, deadlines.stamp, datetime.now(UTC))


async def differences(tx: Transaction, deadlines: Deadlines) -> int:
    """How many rows differ when all events counted so far are counted anew. The caller rolls back."""
    state = await counting.lock(tx)
    await counting.remember(tx)
    await _count_all(tx, state.event_id, await _working_days(tx, deadlines))
    return await counting.different(tx)


async def settled(tx: Transaction) -> int:
    """An id up to which every event is seen.

    Ids are drawn before their transactions commit, so a smaller one may still be on its way. Whoever was writing when
    the largest was read is waited for; whoever writes later draws larger ones. Nobody is held up by this.

    Raises:
        Conflict: somebody does not end.
    """
    # First the largest that others may have overtaken, then who is on the way: both as of now.
    upto = await counting.last(tx)
    waiting = await counting.writers(tx)
    ends = asyncio.get_running_loop().time() + WAIT_SECONDS
    while waiting & await counting.writers(tx):
        if asyncio.get_running_loop().time() > ends:
            raise Conflict(_("有一项写入长时间没有结束，台账下次再更新。"))
        await asyncio.sleep(POLL_SECONDS)
    return upto


async def close_due(tx: Transaction, deadlines: Deadlines, now: datetime) -> list[str]:
    """Freeze the periods whose days of grace are over, province by province; their codes."""
    began = await counting.first(tx)
    if began is None:
        return []
    found: list[str] = []
    for province in await counting.provinces(tx):
        closed = await counting.closed(tx, province)
        calendar, days = deadlines.calendar(province), deadlines.days(RuleName.LEDGER_CLOSE, province)
        due = [
            one.code
            for one in ended(began.astimezone(ZONE).date(), now.astimezone(ZONE).date())
            if one.code not in closed and now > closes_at(one, calendar, days)
        ]
        if due:
            await counting.close(tx, province, due, now)
        found += due
    return sorted(set(found))


def closes_at(one: Period, calendar: Calendar, days: int) -> datetime:
    """When a period is closed: so many working days after its last day, with business hours."""
    return calendar.closing(calendar.add_working_days(one.end - timedelta(days=1), days).day)


def ended(began: date, today: date) -> list[Period]:
    """Every month, quarter and year since ``began`` that has ended, in this order."""
    month, found = month_of(began), []
    while month.end <= today:
        found.append(month)
        month = month.moved(1)
    quarters = {Period(one.year, (one.month - 1) // 3 * 3 + 1, 3) for one in found}
    years = {Period(one.year, 1, 12) for one in found}
    return [
        *found,
        *sorted(one for one in quarters if one.end <= today),
        *sorted(one for one in years if one.end <= today),
    ]


def span(one: Period) -> tuple[datetime, datetime]:
    """From when until when a period lasts, in Beijing."""
    return datetime.combine(one.first_day, time(), ZONE), datetime.combine(one.end, time(), ZONE)


async def _count_all(tx: Transaction, upto: int, working: WorkingDays) -> None:
    await counting.forget_all(tx)
    began = datetime(1970, 1, 1, tzinfo=UTC)
    await counting.count_cells(tx, upto, began, datetime(9999, 1, 1, tzinfo=UTC), None, working)
    await counting.add_up(tx, await counting.years(tx), None)


async def _count(tx: Transaction, dirty: Iterable[Cell], upto: int, working: WorkingDays) -> None:
    by_month: dict[str, set[int]] = defaultdict(set)
    by_year: dict[str, set[int]] = defaultdict(set)
    for cell in dirty:
        by_month[cell.month].add(cell.institution_id)
        by_year[cell.month[:4]].add(cell.institution_id)
    for month, institutions in by_month.items():
        ids = sorted(institutions)
        await counting.forget_cells(tx, [month], ids)
        await counting.count_cells(tx, upto, *span(period(month)), ids, working)
    for year, institutions in by_year.items():
        await counting.add_up(tx, [year], sorted(institutions))


async def _working_days(tx: Transaction, deadlines: Deadlines) -> WorkingDays:
    """For each region of an institution its calendar; of each calendar the working days up to every day since the first
    event."""
    began, codes = await counting.first(tx), await counting.regions(tx)
    today = datetime.now(ZONE).date()
    start = (began.astimezone(ZONE).date() if began else today) - timedelta(days=1)
    calendars: list[Calendar] = []
    of_region, of, days, numbers = [], [], [], []
    for code in codes:
        calendar = deadlines.calendar(code)
        place = next((at for at, one in enumerate(calendars) if one is calendar), len(calendars))
        of_region.append(place)
        if place == len(calendars):
            calendars.append(calendar)
            for by in range((today - start).days + 2):
                day = start + timedelta(days=by)
                of.append(place)
                days.append(day)
                numbers.append(calendar.working_days_between(start, day))
    return WorkingDays(codes, of_region, of, days, numbers)
