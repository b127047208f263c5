"""Public pages of offerings."""

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.response import Template
from msgspec.structs import replace

from infra.db import Transaction
from market.catalogue import queries as catalogue
from market.discovery import service as discovery
from market.discovery.facets import facets
from market.discovery.model import Order
from market.discovery.params import count, of_page
from market.discovery.service import Finder
from market.enterprises import queries as enterprises
from market.enterprises import service as enterprise_service
from market.guides import service as guides
from market.institutions import queries as institutions
from market.offerings import queries, service
from market.offerings.changes import differences
from market.offerings.model import OfferingFilter
from market.regions import queries as region_queries
from market.regions import service as regions
from market.web import AppRequest, PathId, VersionQuery, page
from search.engine import NEARNESS

FACETS = ("right", "stage", "within", "item_list", "institution_kind", "audience", "channel", "fee", "time_limit")


@get("/offerings", opt={"limits": "search"})
async def browse(request: AppRequest, tx: NamedDependency[Transaction], finder: NamedDependency[Finder]) -> Template:
    """Published offerings, with what they can be narrowed down by."""
    wanted = of_page(request, OfferingFilter)
    order = await _placed(request, tx, of_page(request, Order), wanted)
    found = await discovery.offerings(tx, finder, wanted, order)
    await count(request, tx, wanted.q, found.total)
    return page(
        "offerings/browse.html",
        wanted=wanted,
        order=order,
        found=found,
        facets=await facets(tx, found.facets, wanted, FACETS),
        completions=await discovery.completions(finder, wanted.q),
        regions=await regions.choices(tx),
        item=await catalogue.item(tx, wanted.item_code) if wanted.item_code else None,
        institution=await institutions.by_id(tx, wanted.institution_id) if wanted.institution_id else None,
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


async def _placed(request: AppRequest, tx: Transaction, order: Order, wanted: OfferingFilter) -> Order:
    """Nearness is measured from the region asked for, or else from where the enterprise is at home."""
    if order.sort != NEARNESS or order.near:
        return order
    actor = request.user
    home = await enterprise_service.region_code(tx, actor.enterprise_id) if actor and actor.enterprise_id else None
    near = wanted.region_code or home
    return replace(order, near=near) if near else replace(order, sort=Order().sort)


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[browse, show, compare_versions], include_in_schema=False)
