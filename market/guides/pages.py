"""Guides for reading and for the printer."""

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Template

from infra.db import Transaction
from market.guides import service
from market.guides.model import PublicGuide
from market.web import AppRequest, PathId, VersionQuery, page, services


@get("/items/{code:str}/guide")
async def of_item(
    request: AppRequest, tx: NamedDependency[Transaction], code: FromPath[str], version: VersionQuery = None
) -> Template:
    """An item's guide on one sheet."""
    return _sheet(request, await service.of_item(tx, code, version))


@get("/offerings/{offering_id:int}/guide")
async def of_offering(
    request: AppRequest, tx: NamedDependency[Transaction], offering_id: PathId, version: VersionQuery = None
) -> Template:
    """An offering's guide on one sheet."""
    return _sheet(request, await service.of_offering(tx, request.user, offering_id, version))


def _sheet(request: AppRequest, guide: PublicGuide) -> Template:
    return page("guides/sheet.html", sheet=guide, address=services(request).settings.address)


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[of_item, of_offering], include_in_schema=False)
