"""JSON routes of revisions and take-ups: for those who keep lists."""

from typing import Annotated

from litestar import Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Struct

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.caching import edited
from market.lists import queries, service, taking_up
from market.lists.model import (
    Lists,
    Move,
    NewRevision,
    Revision,
    RevisionState,
    Save,
    Step,
    TakeUp,
    Withdrawal,
)
from market.web import AppRequest, Page, PageSize, PathId, actor_of, once, page_of, read_cursor

STAFF = [allow(Role.INSTITUTION, Role.COORDINATOR, Role.ADMIN)]
WRITERS = [allow(Role.INSTITUTION, Role.ADMIN)]
INSTITUTIONS = [allow(Role.INSTITUTION)]


class Taking(Struct, frozen=True, forbid_unknown_fields=True):
    """Items of the common list to take up; left out: all of it."""

    item_codes: tuple[str, ...] | None = None


@get("/item-revisions", guards=STAFF, summary="List revisions of items")
async def listing(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    in_state: Annotated[RevisionState | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageSize = 20,
) -> Page[Revision]:
    """Revisions of your list, or those you review, newest first."""
    states = [in_state] if in_state else list(RevisionState)
    rows = await queries.page(tx, actor_of(request), states, before=read_cursor(cursor, int), limit=limit + 1)
    return page_of(rows, limit, lambda row: row.id)


@post("/item-revisions", guards=WRITERS, summary="Draft a revision")
async def draft(
    request: AppRequest, tx: NamedDependency[Transaction], data: JSONBody[NewRevision]
) -> Response[Revision]:
    """A draft of a new item, or of the next version of the item with that code."""
    actor = actor_of(request)

    async def act() -> Revision:
        return await service.find(tx, actor, await service.draft(tx, actor, data))

    return await once(request, tx, act, status=201, at="/api/v1/item-revisions/{id}")


@get("/item-revisions/{revision_id:int}", guards=STAFF, summary="Show a revision")
async def show(request: AppRequest, tx: NamedDependency[Transaction], revision_id: PathId) -> Revision:
    """One revision."""
    return await service.find(tx, actor_of(request), revision_id)


@get("/item-revisions/{revision_id:int}/events", guards=STAFF, summary="Show a revision's history")
async def events(request: AppRequest, tx: NamedDependency[Transaction], revision_id: PathId) -> list[Step]:
    """Every step, oldest first."""
    revision = await service.find(tx, actor_of(request), revision_id)
    return await queries.steps(tx, revision.id)


@put("/item-revisions/{revision_id:int}", guards=WRITERS, summary="Save a draft")
async def save(
    request: AppRequest, tx: NamedDependency[Transaction], revision_id: PathId, data: JSONBody[Save]
) -> Response[Revision]:
    """Replace what a draft says; 409 if somebody saved it since the edit you read."""
    actor = actor_of(request)
    return await edited(
        request,
        tx,
        lambda: service.find(tx, actor, revision_id),
        lambda: service.save(tx, actor, revision_id, data),
    )


@post("/item-revisions/{revision_id:int}/move", status_code=200, guards=STAFF, summary="Move a revision")
async def move(
    request: AppRequest, tx: NamedDependency[Transaction], revision_id: PathId, data: JSONBody[Move]
) -> Response[dict[str, RevisionState]]:
    """Submit, take_back or discard your own; approve or send_back (with a note) what you review. The new state."""
    actor = actor_of(request)

    async def act() -> dict[str, RevisionState]:
        return {"state": await service.move(tx, actor, revision_id, data)}

    return await once(request, tx, act)


@post("/items/{code:str}/withdrawal", status_code=201, guards=WRITERS, summary="Ask for an item's withdrawal")
async def withdraw(
    request: AppRequest, tx: NamedDependency[Transaction], code: FromPath[str], data: JSONBody[Withdrawal]
) -> Response[Revision]:
    """A revision that would withdraw the item, sent to review."""
    actor = actor_of(request)

    async def act() -> Revision:
        return await service.find(tx, actor, await service.withdraw(tx, actor, code, data))

    return await once(request, tx, act, status=201, at="/api/v1/item-revisions/{id}")


@get("/take-ups", guards=INSTITUTIONS, summary="List what you have taken up")
async def taken(request: AppRequest, tx: NamedDependency[Transaction]) -> list[TakeUp]:
    """The common list, and since when your institution has taken up each item."""
    return await taking_up.common(tx, actor_of(request))


@post("/take-ups", status_code=200, guards=INSTITUTIONS, summary="Take up the common list")
async def take_up(
    request: AppRequest, tx: NamedDependency[Transaction], data: JSONBody[Taking]
) -> Response[list[TakeUp]]:
    """Take up items of the common list. What is taken up cannot be refused: a decline becomes a request."""
    actor = actor_of(request)

    async def act() -> list[TakeUp]:
        await taking_up.take_up(tx, actor, data.item_codes)
        return await taking_up.common(tx, actor)

    return await once(request, tx, act)


@get("/institutions/{institution_id:int}/lists", summary="Show an institution's lists")
async def of_institution(tx: NamedDependency[Transaction], institution_id: PathId) -> Lists:
    """What an institution has taken up of the common list, and its specific list. Public."""
    return await taking_up.of_institution(tx, institution_id)


def router() -> Router:
    """The routes, for create_app."""
    return Router(
        "/",
        route_handlers=[listing, draft, show, events, save, move, withdraw, taken, take_up, of_institution],
        tags=["lists"],
    )
