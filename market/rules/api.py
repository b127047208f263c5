"""JSON routes of rules. What holds is public."""

from litestar import Response, Router, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.caching import edited
from market.regions.model import NATION
from market.rules import service
from market.rules.model import Rule, RuleChange
from market.web import AppRequest, actor_of


@get("/", summary="List time limits by region")
async def listing(tx: NamedDependency[Transaction], region_code: FromQuery[str] = NATION) -> list[Rule]:
    """Every limit as it holds in the region, and which region above it comes from."""
    return await service.in_force(tx, region_code)


@put("/{region_code:str}", guards=[allow(Role.COORDINATOR, Role.ADMIN)], summary="Set a region's time limit")
async def change(
    request: AppRequest, tx: NamedDependency[Transaction], region_code: FromPath[str], data: JSONBody[RuleChange]
) -> Response[list[Rule]]:
    """A region's own limit in working days; null: as in the region above. What is due already keeps its day."""
    return await edited(
        request,
        tx,
        lambda: service.held(tx, region_code),
        lambda: service.change(tx, actor_of(request), region_code, [data]),
    )


def router() -> Router:
    """The routes, for create_app."""
    return Router("/rules", route_handlers=[listing, change], tags=["rules"])
