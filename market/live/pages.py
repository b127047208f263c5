"""Streams of server-sent events for pages that are open: they say that something changed, and nothing of what.

The page then reads itself again, as its reader may see it; so a stream tells nobody more than the page would.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

from litestar import Router, get
from litestar.params import FromQuery, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from infra.db import Transaction
from market.accounts import queries as accounts
from market.accounts.model import Actor, Role, Session
from market.auth import allow
from market.errors import NotAuthenticated
from market.live import queries
from market.live.hub import Said, Topic
from market.live.queries import Stamp
from market.needs import queries as needs
from market.needs import service as need_service
from market.web import AppRequest, PathId, Services, actor_of, services

May = Callable[[Actor], Awaitable[bool]]
Missed = Callable[[Transaction], Awaitable[bool]]
After = Annotated[str | None, QueryParameter(pattern=r"^[0-9]{1,18}\.[0-9]{1,4}\Z")]
RETRY_MILLISECONDS = 3_000
MESSAGES = {
    Said.CHANGED: ServerSentEventMessage(event="changed"),
    Said.ALIVE: ServerSentEventMessage(data=None, comment="alive"),
    Said.END: ServerSentEventMessage(event="end"),
}


@get("/live/needs/{need_id:int}", guards=[allow()])
async def of_need(request: AppRequest, need_id: PathId, after: FromQuery[int | None] = None) -> ServerSentEvent:
    """Changes of one need, for whoever may see it. ``after``: the id of the last event that the page knows."""
    held = services(request)
    async with held.db.reading() as tx:
        await need_service.find(tx, actor_of(request), need_id)

    async def may(actor: Actor) -> bool:
        async with held.db.reading() as tx:
            return await needs.find(tx, actor, need_id) is not None

    async def missed(tx: Transaction) -> bool:
        return after is not None and await queries.happened(tx, need_id, after)

    return _stream(request, Topic(need_id=need_id), may, missed)


@get("/live/queue", guards=[allow(Role.COORDINATOR)])
async def of_queue(request: AppRequest, after: After = None) -> ServerSentEvent:
    """Changes in the area of the coordinator's node. ``after``: the stamp of the page."""
    topic = Topic(prefix=actor_of(request).node_prefix or "")
    return _stream(request, topic, _always, _since(topic, after))


@get("/live/desk", guards=[allow(Role.INSTITUTION)])
async def of_desk(request: AppRequest, after: After = None) -> ServerSentEvent:
    """Changes of what the institution serves. ``after``: the stamp of the page."""
    topic = Topic(institution_id=actor_of(request).institution_id)
    return _stream(request, topic, _always, _since(topic, after))


def _since(topic: Topic, after: str | None) -> Missed | None:
    """Whether a page with that stamp may look different by now."""
    if after is None:
        return None
    newest, _dot, latest = after.partition(".")
    known = Stamp(int(newest), int(latest))

    async def missed(tx: Transaction) -> bool:
        if await queries.appeared(tx, known):
            return True
        changes = await queries.since(tx, known.newest)
        return len(changes) >= queries.MOST or any(topic.covers(change) for change in changes)

    return missed


async def _always(_actor: Actor) -> bool:
    return True


def _stream(request: AppRequest, topic: Topic, may: May, missed: Missed | None) -> ServerSentEvent:
    session = request.auth
    if session is None:
        raise NotAuthenticated
    held = services(request)
    held.hub.check_room(session.token)

    async def messages() -> AsyncIterator[ServerSentEventMessage]:
        with held.hub.watching(topic, session.token) as watcher:
            yield ServerSentEventMessage(event="open", retry=RETRY_MILLISECONDS)
            if missed is not None:  # between the page and its stream
                await held.hub.following()
                async with held.db.reading() as tx:
                    if await missed(tx):
                        watcher.wake(changed=True)
            async for said in held.hub.stream(watcher, lambda: _goes_on(held, session, may)):
                yield MESSAGES[said]

    return ServerSentEvent(messages(), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


async def _goes_on(held: Services, session: Session, may: May) -> bool:
    """Whether the reader is logged in, with an account that is not disabled, and may still see the page."""
    if not await held.sessions.lives(session):
        return False
    async with held.db.reading() as tx:
        now = await accounts.actor_by_session(tx, session.account_id, session.epoch)
    return now is not None and await may(now)


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[of_need, of_queue, of_desk], include_in_schema=False)
