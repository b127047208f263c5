"""The coordinator's page of a plan."""

from typing import Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody
from litestar.response import Redirect, Template

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.errors import Conflict, InvalidInput
from market.forms import decode
from market.plans import service
from market.plans.model import Plan, Selection
from market.web import AppRequest, PathId, Rejected, actor_of, go, go_once, page

Form = dict[str, Any]


@post("/plans", guards=[allow(Role.COORDINATOR)])
async def make(request: AppRequest, tx: NamedDependency[Transaction], data: URLEncodedBody[Form]) -> Redirect:
    """Have a plan made; a second click leads to the same one."""
    actor = actor_of(request)

    async def act() -> str:
        return f"/plans/{(await service.make(tx, actor)).id}"

    try:
        return await go_once(tx, actor, data, act)
    except Conflict:
        raise Rejected(go("/queue")) from None  # which says that nothing waits


@get("/plans/{plan_id:int}", guards=[allow(Role.COORDINATOR)])
async def show(request: AppRequest, tx: NamedDependency[Transaction], plan_id: PathId) -> Template:
    """A plan: how far it is, then what it proposes, then what became of it."""
    return _page(await service.find(tx, actor_of(request), plan_id))


@post("/plans/{plan_id:int}/approve", guards=[allow(Role.COORDINATOR)])
async def approve(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    plan_id: PathId,
    data: URLEncodedBody[Form],
) -> Redirect:
    """Assign what is ticked; the plan's page then says what was done, and what not and why."""
    actor = actor_of(request)
    try:
        await service.approve(tx, actor, plan_id, _ticked(data), deadlines)
    except (InvalidInput, Conflict) as error:
        words = next(iter(error.fields.values()), error.detail)
        plan = await service.find(tx, actor, plan_id)
        raise Rejected(_page(plan, notice=("bad", words), status=error.status)) from None
    return go(f"/plans/{plan_id}")


def _ticked(data: Form) -> tuple[int, ...]:
    if "needs" not in data:
        raise InvalidInput(fields={"needs": "请先勾选要批准的需求。"})
    return decode(Selection, data).needs


def _page(plan: Plan, *, notice: tuple[str, str] | None = None, status: int = 200) -> Template:
    return page("plans/show.html", status=status, plan=plan, notice=notice)


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[make, show, approve], include_in_schema=False)
