"""The coordinator's pages of plans: what is ruled before one is made, how far it is, what it proposes."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from infra.db import Transaction, start_over
from market.accounts.model import Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.errors import Conflict, DomainError, InvalidInput
from market.forms import decode
from market.i18n import _
from market.matches.pages import Draft
from market.plans import service
from market.plans.model import Plan, RuleForm, Selection
from market.web import (
    AppRequest,
    PathId,
    Rejected,
    actor_of,
    go,
    go_once,
    one_time_key,
    page,
    page_of,
    read_cursor,
    services,
)

NEED_ROWS = 20
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


@get("/plans/new", guards=[allow(Role.COORDINATOR)])
async def new(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    cursor: FromQuery[str | None] = None,
) -> Template:
    """Before a plan: which needs it will take, and what is ruled for some of them."""
    return await _new(request, tx, deadlines, cursor=cursor)


async def _new(
    request: AppRequest,
    tx: Transaction,
    deadlines: Deadlines,
    *,
    cursor: str | None = None,
    draft: Draft | None = None,
    notice: tuple[str, str] | None = None,
    status: int = 200,
) -> Template:
    actor = actor_of(request)
    after = read_cursor(cursor, tuple[datetime, int])
    rows = await service.open_needs(tx, actor, after=after, limit=NEED_ROWS + 1)
    return page(
        "plans/new.html",
        status=status,
        rows=page_of(rows, NEED_ROWS, lambda row: (row.due_at, row.need_id)),
        cursor=cursor,
        rules=await service.rules(tx, actor),
        waiting=await service.waiting(tx, actor),
        calendar=deadlines.calendar,
        key=one_time_key(),
        draft=draft or Draft(),
        notice=notice,
    )


@post("/plans/rules", guards=[allow(Role.COORDINATOR)])
async def set_rule(request: AppRequest, tx: NamedDependency[Transaction], data: URLEncodedBody[Form]) -> Redirect:
    """Pin a need to a candidate, or bar the pair; then the same place of the list."""
    try:
        rule = decode(RuleForm, {name: value for name, value in data.items() if name != "cursor"})
        await service.set_rule(tx, actor_of(request), rule)
    except (InvalidInput, Conflict) as error:
        raise Rejected(await _rule_again(request, tx, data, error)) from None
    return go(_back(data, f"need-{rule.need_id}"))


@post("/plans/rules/{need_id:int}/{offering_id:int}/drop", guards=[allow(Role.COORDINATOR)])
async def drop_rule(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    need_id: PathId,
    offering_id: PathId,
    data: URLEncodedBody[Form],
) -> Redirect:
    """Take a rule back."""
    await service.drop_rule(tx, actor_of(request), need_id, offering_id)
    return go(_back(data, "rules"))


async def _rule_again(request: AppRequest, tx: Transaction, data: Form, error: DomainError) -> Template:
    await start_over(tx)
    deadlines = await services(request).deadlines.get(tx)
    draft = Draft(form=f"rule-{data.get('need_id', '')}", values=data, errors=error.fields)
    notice = ("bad", next(iter(error.fields.values()), error.detail))
    cursor = str(data["cursor"]) if data.get("cursor") else None
    return await _new(request, tx, deadlines, cursor=cursor, draft=draft, notice=notice, status=error.status)


def _back(data: Form, place: str) -> str:
    """The page of the list that the form stood on."""
    cursor = str(data.get("cursor", ""))
    return f"/plans/new?{urlencode({'cursor': cursor})}#{place}" if cursor else f"/plans/new#{place}"


@post("/plans/{plan_id:int}/cancel", guards=[allow(Role.COORDINATOR)])
async def cancel(request: AppRequest, tx: NamedDependency[Transaction], plan_id: PathId) -> Redirect:
    """End a plan that is not done; one that has just been finished is shown instead."""
    try:
        await service.cancel(tx, actor_of(request), plan_id)
    except Conflict:
        raise Rejected(go(f"/plans/{plan_id}")) from None
    return go(f"/plans/{plan_id}")


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
        raise InvalidInput(fields={"needs": _("请先勾选要批准的需求。")})
    return decode(Selection, data).needs


def _page(plan: Plan, *, notice: tuple[str, str] | None = None, status: int = 200) -> Template:
    return page("plans/show.html", status=status, plan=plan, notice=notice)


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[make, new, set_rule, drop_rule, show, cancel, approve], include_in_schema=False)
