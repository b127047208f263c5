"""Pages of the ledger: the list, an institution's, what a figure counts, nodes and provinces."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Redirect, Template

from infra.db import Transaction
from market.accounts.model import Role
from market.calendars.model import ZONE
from market.calendars.service import Deadlines
from market.i18n import Words, _
from market.institutions import queries as institutions
from market.ledger import service
from market.ledger.exporting import Form
from market.ledger.figures import NAMES, total
from market.ledger.model import WHAT_NAMES, Sort, What, ordered
from market.ledger.params import READERS, STAFF, institution_file, list_file
from market.ledger.periods import Period, choices, period, quarter_of
from market.ledger.plots import days, level, percent, plots, shown
from market.supervision import queries as supervisions
from market.supervision import service as supervision
from market.supervision.model import RULE_NAMES
from market.web import AppRequest, PathId, actor_of, page, page_of, read_cursor

ROWS = 50
REASONS = 5
"""Declines whose reasons an institution's page tells; the others are a click away."""
SORTS: Mapping[Sort, str] = Words(
    {
        Sort.OFFERED: "派单多的在前",
        Sort.ACCEPTANCE: "受理率低的在前",
        Sort.ON_TIME: "按时率低的在前",
        Sort.DAYS: "办得慢的在前",
        Sort.SATISFACTION: "满意度低的在前",
        Sort.NAME: "按名称",
    }
)
TOLD: dict[str, Any] = {
    "percent": percent,
    "days": days,
    "level": level,
    "shown": shown,
    "NAMES": NAMES,
    "RULE_NAMES": RULE_NAMES,
}
"""What every template of the ledger is given."""
PeriodQuery = Annotated[str, QueryParameter(name="period", max_length=10)]


def _asked(code: str) -> Period:
    """The period asked for; without one the quarter that runs."""
    return period(code) if code else quarter_of(datetime.now(ZONE).date())


@get("/ledger", guards=READERS)
async def listing(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    period_code: PeriodQuery = "",
    kind: FromQuery[str] = "",
    sort: FromQuery[Sort] = Sort.OFFERED,
    start: Annotated[int, QueryParameter(name="from", ge=0, le=1_000_000)] = 0,
) -> Template | Redirect:
    """The institutions one looks after, those behind first; an institution sees its own ledger."""
    actor, one = actor_of(request), _asked(period_code)
    if actor.role is Role.INSTITUTION:
        return Redirect(f"/ledger/{actor.institution_id}?period={one.code}", status_code=303)
    lines = await supervision.with_flags(tx, await service.listing(tx, actor, one, kind=kind or None))
    rows = ordered(lines, sort)
    return page(
        "ledger/list.html",
        one=one,
        choices=choices(datetime.now(ZONE).date()),
        kinds=await institutions.kinds(tx),
        kind=kind,
        sort=sort,
        sorts=SORTS,
        rows=rows[start : start + ROWS],
        more=start + ROWS if len(rows) > start + ROWS else None,
        whole=total(line.figures for line in lines),
        behind=sum(1 for line in lines if line.flags),
        count=len(lines),
        **TOLD,
    )


@get("/ledger/areas", guards=STAFF)
async def areas(request: AppRequest, tx: NamedDependency[Transaction], period_code: PeriodQuery = "") -> Template:
    """Nodes and provinces side by side."""
    one = _asked(period_code)
    return page(
        "ledger/areas.html",
        one=one,
        choices=choices(datetime.now(ZONE).date()),
        areas=await service.areas(tx, actor_of(request), one),
        **TOLD,
    )


@get("/ledger/{institution_id:int}", guards=READERS)
async def show(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    institution_id: PathId,
    period_code: PeriodQuery = "",
) -> Template:
    """An institution's ledger: how many, how fast, how satisfied, against its peers; then plots, tables, files."""
    actor, one = actor_of(request), _asked(period_code)
    ledger = await service.read(tx, actor, institution_id, one)
    return page(
        "ledger/show.html",
        one=one,
        choices=choices(datetime.now(ZONE).date()),
        ledger=ledger,
        plots=plots(ledger, one),
        flags=await supervision.flags_of(tx, actor, institution_id),
        supervision=await supervisions.open_of(tx, institution_id),
        declines=await service.records(tx, actor, deadlines, institution_id, one, What.DECLINED, limit=REASONS),
        item_names={line.item_code: line.item_name for line in ledger.items} | {"": _("全部事项")},
        calendar=deadlines.calendar,
        **TOLD,
    )


@get("/ledger/{institution_id:int}/records", guards=READERS)
async def records(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    institution_id: PathId,
    what: FromQuery[What] = What.OFFERED,
    period_code: PeriodQuery = "",
    item_code: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
) -> Template:
    """What one figure counts, down to the single need."""
    actor, one, before = actor_of(request), _asked(period_code), read_cursor(cursor, int)
    subject = await service.find(tx, actor, institution_id)
    rows = await service.records(
        tx,
        actor,
        deadlines,
        institution_id,
        one,
        what,
        item_code=item_code,
        before=before,
        limit=ROWS + 1,
    )
    return page(
        "ledger/records.html",
        one=one,
        subject=subject,
        what=what,
        names=WHAT_NAMES,
        rows=page_of(rows, ROWS, lambda row: row.id),
        **TOLD,
    )


@get("/ledger/{institution_id:int}/files/{form:str}", guards=READERS)
async def download(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    institution_id: PathId,
    form: FromPath[Form],
    period_code: PeriodQuery = "",
) -> Response[bytes]:
    """An institution's ledger as a file."""
    return await institution_file(tx, actor_of(request), institution_id, _asked(period_code), form)


@get("/ledger/files/{form:str}", guards=STAFF)
async def download_list(
    request: AppRequest, tx: NamedDependency[Transaction], form: FromPath[Form], period_code: PeriodQuery = ""
) -> Response[bytes]:
    """The list as a file."""
    return await list_file(tx, actor_of(request), _asked(period_code), form)


def router() -> Router:
    """The routes, for market.pages."""
    handlers = [listing, areas, show, records, download, download_list]
    return Router("/", route_handlers=handlers, include_in_schema=False)
