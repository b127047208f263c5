"""JSON routes of messages."""

from datetime import datetime

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody
from msgspec import Struct

from infra.db import Transaction
from market import i18n
from market.auth import allow
from market.messages import queries, service
from market.messages.model import Message, Subject
from market.messages.words import render
from market.web import AppRequest, Id, LangQuery, Page, PageSize, PathId, actor_of, once, page_of, read_cursor
from matching.types import Lang


class Told(Struct, frozen=True, kw_only=True):
    """A message in words. ``link``: the page where it leads, None where there is nothing more to see."""

    id: int
    kind: str
    subject: Subject
    urgent: bool
    need_id: int | None
    due_at: datetime | None
    title: str
    body: str
    link: str | None
    at: datetime
    read_at: datetime | None


class UpTo(Struct, frozen=True, forbid_unknown_fields=True):
    """The newest message that was seen: what came later stays unread."""

    up_to: Id


class Marked(Struct, frozen=True):
    """How many messages were unread, and are read now."""

    read: int


@get("/", guards=[allow()], summary="List your messages")
async def listing(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    unread: FromQuery[bool] = False,
    lang: LangQuery = None,
    cursor: FromQuery[str | None] = None,
    limit: PageSize = 20,
) -> Page[Told]:
    """Unread first, then the newest first; with ``unread`` only those."""
    actor = actor_of(request)
    after = read_cursor(cursor, tuple[bool, int])
    rows = await service.listing(tx, actor, unread=unread, after=after, limit=limit + 1)
    found = page_of(rows, limit, lambda row: (row.read_at is None, row.id))
    return Page([_told(request, one, lang or i18n.lang()) for one in found.items], found.next)


@post("/{message_id:int}/read", status_code=200, guards=[allow()], summary="Mark a message read")
async def read(request: AppRequest, tx: NamedDependency[Transaction], message_id: PathId) -> Response[Told]:
    """Mark one of your messages read; again changes nothing."""

    async def act() -> Told:
        return _told(request, await service.read(tx, actor_of(request), message_id), i18n.lang())

    return await once(request, tx, act)


@post("/read", status_code=200, guards=[allow()], summary="Mark messages read")
async def read_all(request: AppRequest, tx: NamedDependency[Transaction], data: JSONBody[UpTo]) -> Response[Marked]:
    """Mark your messages up to that id read."""

    async def act() -> Marked:
        return Marked(await queries.read_all(tx, actor_of(request).id, data.up_to))

    return await once(request, tx, act)


def _told(request: AppRequest, one: Message, lang: Lang) -> Told:
    text = render(one.kind, one.need_id, one.data, lang)
    due = one.data.get("due")
    return Told(
        id=one.id,
        kind=one.kind,
        subject=one.subject,
        urgent=one.urgent,
        need_id=one.need_id,
        due_at=None if due is None else datetime.fromisoformat(due),
        title=text.title,
        body=text.body,
        link=service.link_of(one, actor_of(request).role),
        at=one.at,
        read_at=one.read_at,
    )


def router() -> Router:
    """The routes, for create_app."""
    return Router("/messages", route_handlers=[listing, read, read_all], tags=["messages"])
