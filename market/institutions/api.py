"""JSON routes of institutions. Public."""

from litestar import Router, get
from litestar.di import NamedDependency

from infra.db import Transaction
from market.discovery import service as discovery
from market.discovery.model import Found, Order
from market.discovery.params import asked, provide_institution_filter
from market.discovery.service import Finder
from market.institutions import service
from market.institutions.model import Institution, InstitutionFilter
from market.web import PathId


@get(
    "/",
    dependencies=asked(provide_institution_filter),
    summary="List institutions",
    opt={"limits": "search"},
)
async def listing(
    tx: NamedDependency[Transaction],
    finder: NamedDependency[Finder],
    wanted: NamedDependency[InstitutionFilter],
    order: NamedDependency[Order],
) -> Found[Institution]:
    """Institutions that fit, with counts of what they could be narrowed down by."""
    return await discovery.institutions(tx, finder, wanted, order)


@get("/{institution_id:int}", summary="Show an institution")
async def show(tx: NamedDependency[Transaction], institution_id: PathId) -> Institution:
    """One institution."""
    return await service.find(tx, institution_id)


def router() -> Router:
    """The routes, for create_app."""
    return Router("/institutions", route_handlers=[listing, show], tags=["institutions"])
