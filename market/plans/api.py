"""JSON routes of plans."""

from litestar import Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.plans import service
from market.plans.model import PairRule, Plan, RuleForm, Selection
from market.web import AppRequest, PathId, actor_of, once


@post("/plans", guards=[allow(Role.COORDINATOR)], summary="Plan a whole queue")
async def make(request: AppRequest, tx: NamedDependency[Transaction]) -> Response[Plan]:
    """Have a plan made for all needs that wait for approval at your node and below. Ask for it until it is done."""
    return await once(request, tx, lambda: service.make(tx, actor_of(request)), status=201, at="/api/v1/plans/{id}")


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
) -> Response[Plan]:
    """Assign the planned offerings of these needs. `outcomes` tells which could not be, and why."""
    actor = actor_of(request)
    return await once(request, tx, lambda: service.approve(tx, actor, plan_id, data.needs, deadlines))


@post("/plans/{plan_id:int}/cancel", status_code=200, guards=[allow(Role.COORDINATOR)], summary="Cancel a plan")
async def cancel(request: AppRequest, tx: NamedDependency[Transaction], plan_id: PathId) -> Response[Plan]:
    """End a plan that waits or is being made. What is done does nothing until it is approved."""
    actor = actor_of(request)
    return await once(request, tx, lambda: service.cancel(tx, actor, plan_id))


@get("/plans/rules", guards=[allow(Role.COORDINATOR)], summary="List rules for pairs")
async def rules(request: AppRequest, tx: NamedDependency[Transaction]) -> list[PairRule]:
    """What was ruled for needs that wait for approval at your node and below: pins and bars."""
    return await service.rules(tx, actor_of(request))


@post("/plans/rules", guards=[allow(Role.COORDINATOR)], summary="Pin or bar a pair")
async def set_rule(
    request: AppRequest, tx: NamedDependency[Transaction], data: JSONBody[RuleForm]
) -> Response[list[PairRule]]:
    """Have every plan keep a need with one of its candidates (`pin`), or apart from it (`bar`, for a reason)."""
    actor = actor_of(request)

    async def act() -> list[PairRule]:
        await service.set_rule(tx, actor, data)
        return await service.rules(tx, actor)

    return await once(request, tx, act, status=201, at="/api/v1/plans/rules")


@delete(
    "/plans/rules/{need_id:int}/{offering_id:int}",
    status_code=200,
    guards=[allow(Role.COORDINATOR)],
    summary="Take a rule back",
)
async def drop_rule(
    request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId, offering_id: PathId
) -> Response[list[PairRule]]:
    """Leave the pair to plans again; answers with the rules that remain."""
    actor = actor_of(request)

    async def act() -> list[PairRule]:
        await service.drop_rule(tx, actor, need_id, offering_id)
        return await service.rules(tx, actor)

    return await once(request, tx, act)


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[make, show, approve, cancel, rules, set_rule, drop_rule], tags=["plans"])
