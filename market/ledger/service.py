"""Use cases of the ledger: who may read which, and what is put together for a page."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.calendars.model import ZONE, Calendar
from market.calendars.service import Deadlines
from market.errors import Forbidden, NotFound
from market.i18n import _
from market.ledger import queries
from market.ledger.figures import Figures, measures, total
from market.ledger.model import (
    SECRET,
    Area,
    Correction,
    ItemLine,
    Ledger,
    LedgerRow,
    ListLine,
    Peers,
    RecordLine,
    Subject,
    What,
    by_stage,
    compare,
    corrections,
)
from market.ledger.periods import Period, month_of, months_of
from market.ledger.recording import span
from market.matches.model import LIVE, MatchState
from market.regions.model import prefix_of

TREND_MONTHS = 12
WHOSE = ("need_id", "match_id", "enterprise_name")
OF_NODE = frozenset({What.OFFERED, What.TAKEN_BACK})
"""Why a node chose an institution, or another, is between coordinators."""
SERVED = MatchState.COMPLETED, *(LIVE - {MatchState.PROPOSED})
READERS = frozenset({Role.INSTITUTION, Role.COORDINATOR, Role.ADMIN})


async def find(tx: Transaction, actor: Actor, institution_id: int) -> Subject:
    """The institution, if the actor may read its ledger: its own, those of the node's region and below, or all.

    Raises:
        NotFound: there is none, or it is not theirs to read.
    """
    mine = actor.role is not Role.INSTITUTION or actor.institution_id == institution_id
    allowed = actor.role in READERS and mine
    found = await queries.subject(tx, institution_id, actor.node_prefix) if allowed else None
    if found is None:
        raise NotFound
    return found


async def read(tx: Transaction, actor: Actor, institution_id: int, one: Period) -> Ledger:
    """The institution's ledger of the period; as closed, where it is closed.

    Raises:
        NotFound: as ``find``.
    """
    subject = await find(tx, actor, institution_id)
    closed_at = await queries.closed_at(tx, subject.province, one.code)
    frozen = closed_at is not None
    now = await queries.rows(tx, subject.id, one.code, frozen=False)
    shown = await queries.rows(tx, subject.id, one.code, frozen=True) if frozen else now
    lines = await _items(tx, shown)
    figures = _whole(shown)
    return Ledger(
        institution=subject,
        period=one.code,
        closed_at=closed_at,
        counted_at=await queries.counted_at(tx),
        figures=figures,
        measures=measures(figures),
        items=lines,
        stages=by_stage(lines),
        peers=await peers(tx, subject, one.code, frozen=frozen),
        trend=await _trend(tx, subject.id, one),
        corrections=_corrections(shown, now) if frozen else [],
    )


async def peers(tx: Transaction, subject: Subject, code: str, *, frozen: bool) -> Peers:
    """The middle of the institutions of its kind in its province."""
    return compare(await queries.peers(tx, subject, code, frozen=frozen))


async def listing(
    tx: Transaction, actor: Actor, one: Period, *, kind: str | None = None, region_code: str | None = None
) -> list[ListLine]:
    """The institutions that the actor looks after, or those of a region within, with their figures of the period.

    Raises:
        Forbidden: the region lies outside of the coordinator's.
    """
    own = actor.node_prefix or ""
    prefix = own if region_code is None else prefix_of(region_code)
    if not prefix.startswith(own):
        raise Forbidden(_("这个地区不在您的辖区内，看不到它的台账。"))
    return await queries.listed(tx, one.code, prefix, kind)


async def areas(tx: Transaction, actor: Actor, one: Period) -> list[Area]:
    """The sums of nodes and provinces within the actor's region: nodes first."""
    own = actor.node_prefix or ""
    lines = await queries.listed(tx, one.code, own, None)
    found = []
    for area in await queries.areas(tx):
        prefix = prefix_of(area["region_code"])
        inside = [line for line in lines if line.region_code.startswith(prefix)]
        if prefix.startswith(own):
            summed = total(inside)
            found.append(
                Area(
                    region_code=area["region_code"],
                    name=area["name"],
                    is_node=area["is_node"],
                    institutions=sum(1 for line in inside if line.figures != Figures()),
                    figures=summed,
                    measures=measures(summed),
                )
            )
    return found


async def records(
    tx: Transaction,
    actor: Actor,
    deadlines: Deadlines,
    institution_id: int,
    one: Period,
    what: What,
    *,
    item_code: str | None = None,
    before: int | None = None,
    limit: int,
) -> list[RecordLine]:
    """What a figure counts, newest first, with ids below ``before``, as the events stand now.

    Raises:
        NotFound: as ``find``.
    """
    subject = await find(tx, actor, institution_id)
    rows = await queries.records(tx, subject.id, span(one), what, item_code=item_code, before=before, limit=limit)
    calendar = deadlines.calendar(subject.region_code)
    return [_record(row, calendar, _hidden(row, actor, what)) for row in rows]


def _hidden(row: Mapping[str, Any], actor: Actor, what: What) -> tuple[str, ...]:
    """What of a record the actor is not told."""
    if actor.role is Role.INSTITUTION:
        if what in SECRET and row["anonymous"]:
            return (*WHOSE, "at", "due_at")
        # What it does not serve any more it cannot open.
        closed = () if row["state"] in SERVED else ("need_id",)
        return (*closed, "note") if what in OF_NODE else closed
    # A need of another region, which the institution also serves.
    return () if row["need_region"].startswith(actor.node_prefix or "") else WHOSE


def _record(row: Mapping[str, Any], calendar: Calendar, hidden: tuple[str, ...]) -> RecordLine:
    kept = {name: row[name] for name in RecordLine.__struct_fields__ if name != "days"}
    kept |= {name: "" if name == "note" else None for name in hidden}
    accepted, days = row["accepted_at"], None
    if accepted is not None:
        days = max(calendar.working_days_between(_day(accepted), _day(row["at"])), 0)
    return RecordLine(**kept, days=days)


def _day(moment: datetime) -> date:
    return moment.astimezone(ZONE).date()


def _whole(rows: list[LedgerRow]) -> Figures:
    """All items together."""
    return next((row.figures for row in rows if not row.item_code), Figures())


async def _items(tx: Transaction, rows: list[LedgerRow]) -> list[ItemLine]:
    known = await queries.items(tx, [row.item_code for row in rows])
    lines = [
        ItemLine(
            item_code=row.item_code,
            item_name=known[row.item_code]["item_name"],
            stages=tuple(known[row.item_code]["stages"]),
            figures=row.figures,
        )
        for row in rows
        if row.item_code
    ]
    return sorted(lines, key=lambda line: (-line.figures.offered, line.item_code))


async def _trend(tx: Transaction, institution_id: int, one: Period) -> dict[str, Figures]:
    last = min(months_of(one)[-1], month_of(datetime.now(ZONE).date()))
    months = [last.moved(by - TREND_MONTHS + 1).code for by in range(TREND_MONTHS)]
    rows = {row.period: row.figures for row in await queries.trend(tx, institution_id, months)}
    return {month: rows.get(month, Figures()) for month in months}


def _corrections(closed: list[LedgerRow], now: list[LedgerRow]) -> list[Correction]:
    before = {row.item_code: row.figures for row in closed}
    after = {row.item_code: row.figures for row in now}
    return [
        one
        for code in sorted(before | after)
        for one in corrections(code, before.get(code, Figures()), after.get(code, Figures()))
    ]
