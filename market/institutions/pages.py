"""Public pages of institutions."""

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Template

from infra.db import Transaction
from market.institutions import queries, service
from market.offerings import service as offerings
from market.offerings.model import OfferingFilter
from market.ratings import queries as rating_queries
from market.ratings import service as ratings
from market.regions import service as regions
from market.web import PathId, SearchQuery, page, page_of, read_cursor
from search.terms import like_patterns

ROWS = 20
MOST_OFFERINGS = 50
SAID = 3
"""Ratings shown beside the figures."""


@get("/institutions")
async def listing(
    tx: NamedDependency[Transaction],
    q: SearchQuery = "",
    kind: FromQuery[str] = "",
    region: FromQuery[str] = "",
    cursor: FromQuery[str | None] = None,
) -> Template:
    """Institutions, by kind, region and words."""
    rows = await queries.page(
        tx,
        kind=kind or None,
        region_code=region or None,
        patterns=like_patterns(q),
        after=read_cursor(cursor, int),
        limit=ROWS + 1,
    )
    return page(
        "institutions/list.html",
        found=page_of(rows, ROWS, lambda row: row.id),
        kinds=await queries.kinds(tx),
        regions=await regions.choices(tx),
        q=q,
        kind=kind,
        region=region,
    )


@get("/institutions/{institution_id:int}")
async def show(tx: NamedDependency[Transaction], institution_id: PathId) -> Template:
    """One institution and what it offers."""
    institution = await service.find(tx, institution_id)
    wanted = OfferingFilter(institution_id=institution_id)
    return page(
        "institutions/show.html",
        institution=institution,
        offered=await offerings.browse(tx, wanted, limit=MOST_OFFERINGS),
        rated=ratings.overall(await ratings.by_item(tx, institution_id)),
        said=await rating_queries.published(tx, institution_id, item_code=None, before=None, limit=SAID),
    )


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[listing, show], include_in_schema=False)
