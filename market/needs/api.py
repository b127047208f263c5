"""JSON routes of needs."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.errors import IdempotencyMissing
from market.needs import ownership, queries, service
from market.needs.model import Event, Need, NeedRow, NeedState, Submission
from market.needs.ownership import Handover, Offer, Reply
from market.personal import service as personal
from market.personal.model import View
from market.web import AppRequest, Page, PageSize, PathId, actor_of, once, page_of, read_cursor, services

NODE = [allow(Role.COORDINATOR)]


@post("/", guards=[allow(Role.ENTERPRISE, Role.CLERK)], summary="Submit a need", opt={"key_required": True})
async def submit(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    data: JSONBody[Submission],
) -> Response[Need]:
    """Submit a need (一键提交). Needs an ``Idempotency-Key``; the same key gives the same need."""
    if "idempotency-key" not in request.headers:
        raise IdempotencyMissing

    async def act() -> Need:
        await services(request).pressure.admit(tx, person=False)
        return await service.submit(tx, actor_of(request), data, deadlines)

    return await once(request, tx, act, status=201, at="/api/v1/needs/{id}")


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
    """One need. Its contact has stars in its middle unless it is yours to see (``contact_whole``)."""
    return await service.show(tx, actor_of(request), need_id)


@post(
    "/{need_id:int}/contact",
    guards=[allow(Role.COORDINATOR, Role.INSTITUTION, Role.ADMIN)],
    status_code=200,
    summary="Show a need's contact",
)
async def reveal(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> Response[Need]:
    """The need with its contact whole. Who asked is recorded, for the enterprise to see; it stays shown for a while."""
    return await once(request, tx, lambda: service.reveal(tx, actor_of(request), need_id))


@get("/{need_id:int}/views", guards=[allow(Role.ENTERPRISE)], summary="Show who saw a need's contact")
async def views(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> list[View]:
    """Who saw the contact of your need, a row a person and day, the last first."""
    need = await service.find(tx, actor_of(request), need_id)
    return await personal.views(tx, need.enterprise_id, need.id)


@get("/{need_id:int}/events", guards=[allow()], summary="Show a need's history")
async def history(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> list[Event]:
    """Every step of the need and of its matches, oldest first."""
    need = await service.find(tx, actor_of(request), need_id)
    return await service.history(tx, actor_of(request), need)


@post(
    "/{need_id:int}/resubmit",
    guards=[allow(Role.ENTERPRISE, Role.CLERK)],
    status_code=200,
    summary="Complete a returned need",
)
async def resubmit(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
    data: JSONBody[Submission],
) -> Response[Need]:
    """Submit a returned need again, completed."""
    actor = actor_of(request)

    async def act() -> None:
        await services(request).pressure.admit(tx, person=False)
        await service.resubmit(tx, actor, need_id, data, deadlines)

    return await _after(request, tx, need_id, act)


@post("/{need_id:int}/take", status_code=200, guards=NODE, summary="Take a need")
async def take(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> Response[Need]:
    """Own a need that nobody owns (首问负责)."""
    actor = actor_of(request)
    return await _after(request, tx, need_id, lambda: ownership.take(tx, actor, need_id))


@post("/{need_id:int}/offer", status_code=200, guards=NODE, summary="Offer a need to a colleague")
async def offer(
    request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId, data: JSONBody[Offer]
) -> Response[Need]:
    """Ask a colleague to take your need on; it stays yours until the colleague accepts."""
    actor = actor_of(request)
    return await _after(request, tx, need_id, lambda: ownership.offer(tx, actor, need_id, data.to_account, data.note))


@post("/{need_id:int}/offer/reply", status_code=200, guards=NODE, summary="Answer an offer")
async def reply(
    request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId, data: JSONBody[Reply]
) -> Response[Need]:
    """Take on the need you were offered, or turn it down with a reason."""
    actor = actor_of(request)
    return await _after(request, tx, need_id, lambda: ownership.reply(tx, actor, need_id, data))


@post("/{need_id:int}/offer/call-off", status_code=200, guards=NODE, summary="Call an offer off")
async def call_off(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> Response[Need]:
    """Take back an offer that has not been answered."""
    actor = actor_of(request)
    return await _after(request, tx, need_id, lambda: ownership.call_off(tx, actor, need_id))


@post("/{need_id:int}/take-over", status_code=200, guards=NODE, summary="Take a need over")
async def take_over(
    request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId, data: JSONBody[Handover]
) -> Response[Need]:
    """Own what its owner has let slip: a limit was brought before the node, or the owner's account is closed."""
    actor = actor_of(request)
    return await _after(request, tx, need_id, lambda: ownership.take_over(tx, actor, need_id, data.note))


async def _after(
    request: AppRequest, tx: Transaction, need_id: int, act: Callable[[], Awaitable[None]]
) -> Response[Need]:
    """The need as it is once ``act`` is done."""

    async def acted() -> Need:
        await act()
        return await service.show(tx, actor_of(request), need_id)

    return await once(request, tx, acted)


def router() -> Router:
    """The routes, for create_app."""
    own = [take, offer, reply, call_off, take_over]
    return Router(
        "/needs", route_handlers=[submit, listing, show, reveal, views, history, resubmit, *own], tags=["needs"]
    )
