"""Public pages of offerings."""

from typing import Annotated

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Template

from infra.db import Transaction
from market.catalogue import queries as catalogue
from market.catalogue.model import ChainStage, ItemList, RightKind
from market.enterprises import queries as enterprises
from market.guides import service as guides
from market.institutions import service as institutions
from market.offerings import queries, service
from market.offerings.changes import differences
from market.offerings.model import OfferingFilter
from market.regions import queries as region_queries
from market.regions import service as regions
from market.web import AppRequest, IdQuery, PathId, SearchQuery, VersionQuery, page, page_of, read_cursor

ROWS = 20


@get("/offerings")
async def browse(
    tx: NamedDependency[Transaction],
    q: SearchQuery = "",
    item_list: Annotated[ItemList | None, QueryParameter(name="list")] = None,
    right: FromQuery[RightKind | None] = None,
    stage: FromQuery[ChainStage | None] = None,
    region: FromQuery[str] = "",
    item: FromQuery[str | None] = None,
    institution: IdQuery = None,
    cursor: FromQuery[str | None] = None,
) -> Template:
    """Published offerings, with what they can be narrowed down by."""
    wanted = OfferingFilter(
        q=q,
        item_code=item,
        item_list=item_list,
        right=right,
        stage=stage,
        region_code=region or None,
        institution_id=institution,
    )
    rows = await service.browse(tx, wanted, after=read_cursor(cursor, str), limit=ROWS + 1)
    return page(
        "offerings/browse.html",
        wanted=wanted,
        found=page_of(rows, ROWS, lambda row: queries.sort_key(row.id)),
        facets=await service.facets(tx, wanted),
        regions=await regions.choices(tx),
        item=await catalogue.item(tx, item) if item else None,
        institution=await institutions.find(tx, institution) if institution else None,
    )


@get("/offerings/{offering_id:int}")
async def show(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    offering_id: PathId,
    version: VersionQuery = None,
) -> Template:
    """One offering with its guide, in the version asked for or in its current one."""
    offering = await service.find(tx, request.user, offering_id, version)
    kinds = await enterprises.kinds(tx)
    return page(
        "offerings/show.html",
        offering=offering,
        versions=await queries.versions(tx, offering_id),
        complaints=(await guides.of_offering(tx, request.user, offering_id, version)).complaints,
        regions=await region_queries.named(tx, list(offering.region_codes)),
        audience=[kinds[code] for code in offering.audience],
    )


@get("/offerings/{offering_id:int}/compare")
async def compare_versions(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    offering_id: PathId,
    before: VersionQuery = None,
    after: VersionQuery = None,
) -> Template:
    """Two versions side by side; left out: the current one and the one before it."""
    new = await service.find(tx, request.user, offering_id, after)
    old = await service.find(tx, request.user, offering_id, before or max(new.version - 1, 1))
    return page(
        "compare.html",
        title=new.title,
        base=f"/offerings/{offering_id}",
        found=await queries.versions(tx, offering_id),
        before=old.version,
        after=new.version,
        differences=await differences(tx, old, new),
    )


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[browse, show, compare_versions], include_in_schema=False)
