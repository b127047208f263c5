"""Use cases of deadlines. Needs and matches start and end them, inside their own steps; time moves them, in batches."""

from datetime import UTC, datetime

from msgspec import Struct, structs

from infra.db import Transaction
from market.accounts.model import Actor
from market.calendars.model import ZONE, Period
from market.calendars.service import Deadlines
from market.deadlines import queries
from market.deadlines.model import (
    LATE,
    OF_INSTITUTION,
    BoardRow,
    Counting,
    Deadline,
    DeadlineState,
    LimitKind,
    Moved,
    NewDeadline,
    View,
)
from market.rules.model import RuleName

LAPSE = "lapse_match"
"""Topic of the outbox: the institution has not taken this match in time."""


class Recounted(Struct, frozen=True):
    """How many deadlines a batch counted on the new calendar, and how many of them are due at another moment now."""

    counted: int
    moved: int


# started and ended by what becomes of a need -------------------------------------------------------------------------


def counted(
    deadlines: Deadlines,
    kind: LimitKind,
    region_code: str,
    period: Period,
    *,
    started: datetime | None = None,
    promised: datetime | None = None,
) -> NewDeadline:
    """A deadline that starts now, or started then; never due before ``promised``."""
    times = deadlines.times(region_code, started or datetime.now(UTC), period, promised=promised)
    return NewDeadline(
        kind=kind, days=period.days, months=period.months, stamp=deadlines.stamp, **structs.asdict(times)
    )


def by_rule(deadlines: Deadlines, kind: LimitKind, region_code: str) -> NewDeadline:
    """A deadline that starts now and takes the days that the region set."""
    return counted(deadlines, kind, region_code, Period(days=deadlines.days(RuleName(kind), region_code)))


def of_delivery(
    deadlines: Deadlines, region_code: str, promised: Period | None, statutory: Period | None
) -> list[NewDeadline]:
    """The clocks of serving: what is due first, and the law's own where it allows longer; none without a limit."""
    if promised is None:
        return []
    first = counted(deadlines, LimitKind.DELIVER, region_code, promised)
    if statutory is None:
        return [first]
    law = counted(deadlines, LimitKind.DELIVER_STATUTORY, region_code, statutory)
    return [first, law] if law.due_at > first.due_at else [first]


async def start(tx: Transaction, need_id: int, *new: NewDeadline, match_id: int | None = None) -> None:
    """Set clocks going. The caller holds the need's lock, here and below."""
    await queries.start(tx, need_id, match_id, new)


async def finish(tx: Transaction, need_id: int, *kinds: LimitKind) -> None:
    """What was limited is done; nothing where no such clock runs."""
    await queries.end(tx, need_id, DeadlineState.DONE, kinds)


async def cancel(tx: Transaction, need_id: int, *kinds: LimitKind) -> None:
    """Nobody waits for it any more."""
    await queries.end(tx, need_id, DeadlineState.CANCELLED, kinds)


async def end_all(tx: Transaction, need_id: int, *, done: bool) -> None:
    """The need has ended, and all its clocks with it."""
    await queries.end(tx, need_id, DeadlineState.DONE if done else DeadlineState.CANCELLED)


async def pause(tx: Transaction, deadlines: Deadlines, need_id: int, region_code: str, *kinds: LimitKind) -> None:
    """Stop the clocks while somebody else owes an answer.

    What is left in working days is kept, the day on which the pause counts as begun not counted; at least one, for
    whoever goes on after the pause.
    """
    calendar = deadlines.calendar(region_code)
    begun = calendar.received(datetime.now(ZONE))
    for kind in kinds:
        live = await queries.lock_live(tx, need_id, kind)
        if live is not None and live.state is not DeadlineState.PAUSED:
            left = calendar.working_days_between(begun, live.due_at.astimezone(ZONE).date())
            await queries.pause(tx, live, max(left, 1))


async def resume(tx: Transaction, deadlines: Deadlines, need_id: int, region_code: str, *kinds: LimitKind) -> None:
    """Let paused clocks go on with what was left."""
    for kind in kinds:
        live = await queries.lock_live(tx, need_id, kind)
        if live is not None and live.left_days is not None:
            await queries.resume(tx, live.id, counted(deadlines, kind, region_code, Period(days=live.left_days)))


# moved by time -------------------------------------------------------------------------------------------------------


async def recount(tx: Transaction, deadlines: Deadlines, limit: int) -> Recounted:
    """Count up to ``limit`` deadlines again that were counted on an older edition of the calendars.

    A deadline may move later, never earlier: whoever was told a day keeps it.
    """
    found = await queries.stale(tx, deadlines.stamp, limit)
    moved = await queries.recount(tx, [_again(deadlines, one) for one in found], deadlines.stamp) if found else 0
    return Recounted(len(found), moved)


def _again(deadlines: Deadlines, one: Counting) -> dict[str, object]:
    period = Period(days=one.days, months=one.months)
    times = deadlines.times(one.region_code, one.started_at, period, promised=one.due_at)
    return {"id": one.id} | structs.asdict(times)


async def move(tx: Transaction, limit: int) -> Moved:
    """Move up to ``limit`` deadlines by the step that is due: reminder, expiry, escalation. The earliest go first."""
    return await queries.move(tx, limit, list(OF_INSTITUTION), LAPSE)


# reading -------------------------------------------------------------------------------------------------------------


async def of_need(tx: Transaction, need_id: int) -> list[Deadline]:
    """The need's clocks that run or are paused, the first due first. The caller has checked who asks."""
    return await queries.of_need(tx, need_id)


def escalated(found: list[Deadline]) -> bool:
    """Whether one of them was brought before the node."""
    return any(one.state in LATE - {DeadlineState.OVERDUE} for one in found)


async def board(
    tx: Transaction, actor: Actor, view: View, *, mine: bool, after: tuple[datetime, int] | None, limit: int
) -> list[BoardRow]:
    """What is due at the coordinator's node and below; ``mine``: of needs that the actor owns."""
    return await queries.board(
        tx,
        actor.node_prefix or "",
        view,
        owner_id=actor.id if mine else None,
        today_ends=_today_ends(),
        after=after,
        limit=limit,
    )


async def counts(tx: Transaction, actor: Actor, *, mine: bool) -> dict[View, int]:
    """How many deadlines each view of the board has."""
    return await queries.counts(tx, actor.node_prefix or "", actor.id if mine else None, _today_ends())


def _today_ends() -> datetime:
    return datetime.now(ZONE).replace(hour=23, minute=59, second=59, microsecond=0)
