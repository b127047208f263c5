"""Public pages of institutions."""

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.response import Template

from infra.db import Transaction
from market.catalogue import queries as catalogue
from market.discovery import service as discovery
from market.discovery.facets import facets
from market.discovery.model import Order
from market.discovery.params import count, of_page
from market.discovery.service import Finder
from market.institutions import service
from market.institutions.model import InstitutionFilter
from market.lists import taking_up
from market.offerings import service as offerings
from market.offerings.model import OfferingFilter
from market.ratings import queries as rating_queries
from market.ratings import service as ratings
from market.web import AppRequest, PathId, page

FACETS = ("institution_kind", "within", "right", "stage")
MOST_OFFERINGS = 50
SAID = 3
"""Ratings shown beside the figures."""


@get("/institutions", opt={"limits": "search"})
async def listing(request: AppRequest, tx: NamedDependency[Transaction], finder: NamedDependency[Finder]) -> Template:
    """Institutions, by kind, region and words."""
    wanted, order = of_page(request, InstitutionFilter), of_page(request, Order)
    found = await discovery.institutions(tx, finder, wanted, order)
    await count(request, tx, wanted.q, found.total)
    return page(
        "institutions/list.html",
        wanted=wanted,
        order=order,
        found=found,
        facets=await facets(tx, found.facets, wanted, FACETS),
        completions=await discovery.completions(finder, wanted.q),
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
        taken_up=(await taking_up.of_institution(tx, institution_id)).taken_up,
        specific=[item for item in await catalogue.of_institution(tx, institution_id) if item.withdrawn_on is None],
    )


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[listing, show], include_in_schema=False)
