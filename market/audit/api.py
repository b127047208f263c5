"""JSON routes of the audit trail, for admins."""

from litestar import Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery
from litestar.response import Stream

from infra.db import Transaction
from market.audit import service
from market.audit.model import Filter, Shown
from market.audit.params import ADMIN, as_csv, provide_wanted
from market.web import AppRequest, Page, PageSize, page_of, read_cursor


@get("/", guards=ADMIN, summary="List the audit trail")
async def listing(
    tx: NamedDependency[Transaction],
    wanted: NamedDependency[Filter],
    cursor: FromQuery[str | None] = None,
    limit: PageSize = 20,
) -> Page[Shown]:
    """Who did what, newest first."""
    rows = await service.listing(tx, wanted, read_cursor(cursor, int), limit + 1)
    return page_of(rows, limit, lambda row: row.id)


@get("/export", guards=ADMIN, summary="Download the audit trail", opt={"files": ("text/csv",)})
async def export(request: AppRequest, tx: NamedDependency[Transaction], wanted: NamedDependency[Filter]) -> Stream:
    """All entries that fit, as CSV; the download itself is told of in the trail."""
    return await as_csv(request, tx, wanted)


def router() -> Router:
    """The routes, for create_app."""
    return Router(
        "/audit", route_handlers=[listing, export], dependencies={"wanted": Provide(provide_wanted)}, tags=["audit"]
    )
