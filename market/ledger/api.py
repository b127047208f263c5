"""JSON routes of the ledger, and its files."""

from typing import Annotated

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from infra.db import Transaction
from market.calendars.service import Deadlines
from market.ledger import service
from market.ledger.exporting import MEDIA_TYPES, Form
from market.ledger.model import Area, Ledger, ListLine, RecordLine, Sort, What, ordered
from market.ledger.params import READERS, STAFF, institution_file, list_file
from market.ledger.periods import period
from market.supervision import service as supervision
from market.web import AppRequest, Page, PageSize, PathId, actor_of, page_of, read_cursor

FILES = {"files": [kind.partition(";")[0] for kind in MEDIA_TYPES.values()]}
PeriodQuery = Annotated[str, QueryParameter(name="period", max_length=10, description="2026-07, 2026Q3 or 2026")]


@get("/ledger", guards=STAFF, summary="List ledgers")
async def listing(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    period_code: PeriodQuery,
    kind: FromQuery[str | None] = None,
    region_code: Annotated[str | None, QueryParameter(pattern=r"^[0-9]{6}\Z")] = None,
    sort: FromQuery[Sort] = Sort.OFFERED,
    cursor: FromQuery[str | None] = None,
    limit: PageSize = 100,
) -> Page[ListLine]:
    """The institutions of your region with their figures of a period, those behind first."""
    lines = await service.listing(tx, actor_of(request), period(period_code), kind=kind, region_code=region_code)
    rows = ordered(await supervision.with_flags(tx, lines), sort)
    start = read_cursor(cursor, int) or 0
    found = rows[max(start, 0) :][: limit + 1]
    return page_of(found, limit, lambda _: max(start, 0) + limit)


@get("/ledger/areas", guards=STAFF, summary="Sum ledgers by node and province")
async def areas(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    period_code: PeriodQuery,
) -> list[Area]:
    """The sums over the institutions of each node and province in your region."""
    return await service.areas(tx, actor_of(request), period(period_code))


@get("/ledger/{institution_id:int}", guards=READERS, summary="Show an institution's ledger")
async def show(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    institution_id: PathId,
    period_code: PeriodQuery,
) -> Ledger:
    """Figures of a month, quarter or year by item and stage, beside those of its peers; closed figures as closed."""
    return await service.read(tx, actor_of(request), institution_id, period(period_code))


@get("/ledger/{institution_id:int}/records", guards=READERS, summary="List what a figure counts")
async def records(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    institution_id: PathId,
    what: FromQuery[What],
    period_code: PeriodQuery,
    item_code: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageSize = 20,
) -> Page[RecordLine]:
    """The single offers, answers, deliveries or ratings, newest first; to declines their reasons."""
    rows = await service.records(
        tx,
        actor_of(request),
        deadlines,
        institution_id,
        period(period_code),
        what,
        item_code=item_code,
        before=read_cursor(cursor, int),
        limit=limit + 1,
    )
    return page_of(rows, limit, lambda row: row.id)


@get(
    "/ledger/{institution_id:int}/files/{form:str}",
    guards=READERS,
    summary="Download an institution's ledger",
    opt=FILES,
)
async def download(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    institution_id: PathId,
    form: FromPath[Form],
    period_code: PeriodQuery,
) -> Response[bytes]:
    """As csv (by item, for spreadsheets), xlsx (all tables) or pdf (to be printed, with plots)."""
    return await institution_file(tx, actor_of(request), institution_id, period(period_code), form)


@get("/ledger/files/{form:str}", guards=STAFF, summary="Download the list of ledgers", opt=FILES)
async def download_list(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    form: FromPath[Form],
    period_code: PeriodQuery,
) -> Response[bytes]:
    """The institutions of your region with their figures of a period, as csv, xlsx or pdf."""
    return await list_file(tx, actor_of(request), period(period_code), form)


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[listing, areas, show, records, download, download_list], tags=["ledger"])
