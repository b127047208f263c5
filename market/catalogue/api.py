"""JSON routes of service items. Public."""

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from infra.db import Transaction
from market.catalogue import queries, service
from market.catalogue.model import ServiceItem
from market.discovery import service as discovery
from market.discovery.model import Found, ItemFilter, Order
from market.discovery.params import asked, provide_item_filter
from market.discovery.service import Finder
from market.web import VersionQuery


@get(
    "/items",
    dependencies=asked(provide_item_filter),
    summary="List service items",
    opt={"limits": "search"},
)
async def listing(
    tx: NamedDependency[Transaction],
    finder: NamedDependency[Finder],
    wanted: NamedDependency[ItemFilter],
    order: NamedDependency[Order],
) -> Found[ServiceItem]:
    """Service items that fit, with their guides, in the versions now in force."""
    return await discovery.items(tx, finder, wanted, order)


@get("/items/{code:str}", summary="Show a service item")
async def show(tx: NamedDependency[Transaction], code: FromPath[str], version: VersionQuery = None) -> ServiceItem:
    """One service item, in the version asked for or in its newest; a withdrawn one says since when."""
    return await service.find(tx, code, version)


@get("/items/{code:str}/versions", summary="List an item's versions")
async def versions(tx: NamedDependency[Transaction], code: FromPath[str]) -> list[ServiceItem]:
    """Every version, newest first."""
    await service.find(tx, code)
    return await queries.versions(tx, code)


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[listing, show, versions], tags=["catalogue"])
