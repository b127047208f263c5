"""JSON routes of institutions. Public."""

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from infra.db import Transaction
from market.institutions import queries, service
from market.institutions.model import Institution
from market.web import Page, PageSize, PathId, SearchQuery, page_of, read_cursor
from search.terms import like_patterns


@get("/", summary="List institutions")
async def listing(
    tx: NamedDependency[Transaction],
    q: SearchQuery = "",
    kind: FromQuery[str | None] = None,
    region_code: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageSize = 20,
) -> Page[Institution]:
    """Institutions of a kind, within a region, whose name or summary has every word of ``q``."""
    after = read_cursor(cursor, int)
    rows = await queries.page(
        tx, kind=kind, region_code=region_code, patterns=like_patterns(q), after=after, limit=limit + 1
    )
    return page_of(rows, limit, lambda row: row.id)


@get("/{institution_id:int}", summary="Show an institution")
async def show(tx: NamedDependency[Transaction], institution_id: PathId) -> Institution:
    """One institution."""
    return await service.find(tx, institution_id)


def router() -> Router:
    """The routes, for create_app."""
    return Router("/institutions", route_handlers=[listing, show], tags=["institutions"])
