"""JSON routes of needs."""

from typing import Annotated

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.errors import IdempotencyMissing
from market.needs import queries, service
from market.needs.model import Event, Need, NeedRow, NeedState, Submission
from market.web import AppRequest, Page, PageSize, PathId, actor_of, once, page_of, read_cursor


@post("/", guards=[allow(Role.ENTERPRISE, Role.CLERK)], summary="Submit a need")
async def submit(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    data: JSONBody[Submission],
) -> Response[bytes]:
    """Submit a need (一键提交). Needs an ``Idempotency-Key``; the same key gives the same need."""
    if "idempotency-key" not in request.headers:
        raise IdempotencyMissing
    return await once(request, tx, lambda: service.submit(tx, actor_of(request), data, deadlines), status=201)


@get("/", guards=[allow()], summary="List needs")
async def listing(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    in_state: Annotated[NeedState | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageSize = 20,
) -> Page[NeedRow]:
    """The needs you may see, newest first."""
    before = read_cursor(cursor, int)
    rows = await queries.visible_rows(tx, actor_of(request), state=in_state, before=before, limit=limit + 1)
    return page_of(rows, limit, lambda row: row.id)


@get("/{need_id:int}", guards=[allow()], summary="Show a need")
async def show(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> Need:
    """One need."""
    return await service.find(tx, actor_of(request), need_id)


@get("/{need_id:int}/events", guards=[allow()], summary="Show a need's history")
async def history(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> list[Event]:
    """Every step of the need and of its matches, oldest first."""
    need = await service.find(tx, actor_of(request), need_id)
    return await service.history(tx, actor_of(request), need)


@post("/{need_id:int}/resubmit", status_code=200, summary="Complete a returned need")
async def resubmit(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
    data: JSONBody[Submission],
) -> Response[bytes]:
    """Submit a returned need again, completed."""
    actor = actor_of(request)

    async def act() -> Need:
        await service.resubmit(tx, actor, need_id, data, deadlines)
        return await service.find(tx, actor, need_id)

    return await once(request, tx, act)


def router() -> Router:
    """The routes, for create_app."""
    return Router("/needs", route_handlers=[submit, listing, show, history, resubmit], tags=["needs"])
