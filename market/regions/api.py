"""JSON routes of regions and nodes. Public."""

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from infra.db import Transaction
from market.regions import queries
from market.regions.model import NATION, Node, Region


@get("/regions", summary="List regions")
async def regions(tx: NamedDependency[Transaction], parent: FromQuery[str] = NATION) -> list[Region]:
    """The regions right below ``parent``, by code of GB/T 2260."""
    return await queries.children(tx, parent)


@get("/nodes", summary="List backbone nodes")
async def nodes(tx: NamedDependency[Transaction]) -> list[Node]:
    """All backbone nodes with the regions they match for."""
    return await queries.nodes(tx)


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[regions, nodes], tags=["regions"])
