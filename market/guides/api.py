"""JSON routes of guides. Public."""

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from infra.db import Transaction
from market.guides import service
from market.guides.model import PublicGuide
from market.web import AppRequest, PathId, VersionQuery


@get("/items/{code:str}/guide", summary="Show an item's guide")
async def of_item(tx: NamedDependency[Transaction], code: FromPath[str], version: VersionQuery = None) -> PublicGuide:
    """The eight elements of the guide, and where to complain or praise, whoever published it."""
    return await service.of_item(tx, code, version)


@get("/offerings/{offering_id:int}/guide", summary="Show an offering's guide")
async def of_offering(
    request: AppRequest, tx: NamedDependency[Transaction], offering_id: PathId, version: VersionQuery = None
) -> PublicGuide:
    """The guide as the institution offers it."""
    return await service.of_offering(tx, request.user, offering_id, version)


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[of_item, of_offering], tags=["guides"])
