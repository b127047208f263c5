"""JSON routes of plans."""

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.plans import service
from market.plans.model import Plan, Selection
from market.web import AppRequest, PathId, actor_of, once


@post("/plans", guards=[allow(Role.COORDINATOR)], summary="Plan a whole queue")
async def make(request: AppRequest, tx: NamedDependency[Transaction]) -> Response[bytes]:
    """Have a plan made for all needs that wait for approval at your node and below. Ask for it until it is done."""
    return await once(request, tx, lambda: service.make(tx, actor_of(request)), status=201)


@get("/plans/{plan_id:int}", guards=[allow(Role.COORDINATOR)], summary="Show a plan")
async def show(request: AppRequest, tx: NamedDependency[Transaction], plan_id: PathId) -> Plan:
    """A plan of your node: how far it is, and once done, its pairs, what it leaves over and why, loads, outcomes."""
    return await service.find(tx, actor_of(request), plan_id)


@post("/plans/{plan_id:int}/approve", status_code=200, guards=[allow(Role.COORDINATOR)], summary="Approve a plan")
async def approve(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    plan_id: PathId,
    data: JSONBody[Selection],
) -> Response[bytes]:
    """Assign the planned offerings of these needs. `outcomes` tells which could not be, and why."""
    actor = actor_of(request)
    return await once(request, tx, lambda: service.approve(tx, actor, plan_id, data.needs, deadlines))


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[make, show, approve], tags=["plans"])
