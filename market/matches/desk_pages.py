"""The institution's desk: what to take, decline and deliver, in place."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import structs

from infra.db import Transaction, start_over
from market.accounts.model import Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.errors import Conflict, DomainError, InvalidInput
from market.forms import decode
from market.i18n import _n
from market.live import queries as live
from market.matches import queries, service
from market.matches.model import Delivery, DeskRow, MatchState, Remark
from market.matches.pages import Draft
from market.supervision import queries as supervisions
from market.web import (
    AppRequest,
    IdQuery,
    PathId,
    Rejected,
    actor_of,
    go_once,
    one_time_key,
    page,
    page_of,
    read_cursor,
    services,
)

URGENT_ROWS = 50
ENDED_ROWS = 20
ENDED = [MatchState.DELIVERED, MatchState.COMPLETED, MatchState.DECLINED, MatchState.LAPSED, MatchState.CANCELLED]
Form = dict[str, Any]


@get("/desk", guards=[allow(Role.INSTITUTION)])
async def desk(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    cursor: FromQuery[str | None] = None,
    done: IdQuery = None,
) -> Template:
    """To do by deadline; below it what was delivered or ended."""
    return await _desk(request, tx, deadlines, cursor=cursor, done=done)


async def _desk(
    request: AppRequest,
    tx: Transaction,
    deadlines: Deadlines,
    *,
    cursor: str | None = None,
    done: int | None = None,
    draft: Draft | None = None,
    notice: tuple[str, str] | None = None,
    status: int = 200,
) -> Template:
    actor = actor_of(request)
    stamp = await live.stamp(tx)  # before what it is a stamp of
    ended = await queries.desk(tx, actor, ENDED, before=read_cursor(cursor, int), limit=ENDED_ROWS + 1)
    todo = await queries.urgent(tx, actor, URGENT_ROWS + 1)
    return page(
        "desk/list.html",
        status=status,
        todo=todo[:URGENT_ROWS],
        stamp=stamp,
        more=len(todo) > URGENT_ROWS,
        key=one_time_key(),
        sums=_sums(todo[:URGENT_ROWS]),
        ended=page_of(ended, ENDED_ROWS, lambda row: row.id),
        done=done and await queries.find(tx, done, institution_id=actor.institution_id),
        supervision=await supervisions.open_of(tx, actor.institution_id or 0),
        calendar=deadlines.calendar,
        draft=draft or Draft(),
        notice=notice,
    )


def _sums(todo: Sequence[DeskRow]) -> list[tuple[str, int, str]]:
    """What there is to do, as (words, how many, the class that colours it)."""
    late = sum(row.due_at is not None and row.due_at < datetime.now(UTC) for row in todo)
    taking = sum(row.state is MatchState.APPROVED for row in todo)
    serving = sum(row.state is MatchState.ACCEPTED for row in todo)
    asked = len(todo) - taking - serving
    return [
        (_n("{n} 件已超期", late), late, "bad"),
        (_n("{n} 件等您受理", taking), taking, ""),
        (_n("{n} 件在办", serving), serving, ""),
        (_n("{n} 件等骨干节点答复谢绝申请", asked), asked, ""),
    ]


@post("/matches/{match_id:int}/accept", guards=[allow(Role.INSTITUTION)])
async def accept(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    match_id: PathId,
    data: URLEncodedBody[Form],
) -> Redirect:
    """Take what was assigned."""
    actor = actor_of(request)

    async def act() -> None:
        await service.accept(tx, actor, match_id, deadlines)

    return await _act(request, tx, match_id, act, Draft(values=data))


@post("/matches/{match_id:int}/decline", guards=[allow(Role.INSTITUTION)])
async def decline(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    match_id: PathId,
    data: URLEncodedBody[Form],
) -> Redirect:
    """Decline for a reason, or ask to where the item is on the common list."""
    actor = actor_of(request)

    async def act() -> None:
        await service.decline(tx, actor, match_id, decode(Remark, data).note, deadlines)

    return await _act(request, tx, match_id, act, Draft(form=f"decline-{match_id}", values=data))


@post("/matches/{match_id:int}/deliver", guards=[allow(Role.INSTITUTION)])
async def deliver(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    match_id: PathId,
    data: URLEncodedBody[Form],
) -> Redirect:
    """Hand over the result."""
    actor = actor_of(request)

    async def act() -> None:
        await service.deliver(tx, actor, match_id, decode(Delivery, data).result, deadlines)

    return await _act(request, tx, match_id, act, Draft(form=f"deliver-{match_id}", values=data))


async def _act(
    request: AppRequest, tx: Transaction, match_id: int, act: Callable[[], Awaitable[None]], draft: Draft
) -> Redirect:
    """Do it and show the desk.

    Raises:
        Rejected: with the desk, what was typed and what stood in the way.
    """

    async def once() -> str:
        await act()
        return f"/desk?done={match_id}#m-{match_id}"

    try:
        # The path says what is asked of which match: the page has one key for all of its forms.
        return await go_once(tx, actor_of(request), {**draft.values, "path": request.url.path}, once)
    except (InvalidInput, Conflict) as error:
        raise Rejected(await _again(request, tx, draft, error)) from None


async def _again(request: AppRequest, tx: Transaction, draft: Draft, error: DomainError) -> Template:
    await start_over(tx)
    return await _desk(
        request,
        tx,
        await services(request).deadlines.get(tx),
        draft=structs.replace(draft, errors=error.fields),
        notice=("bad", error.detail),
        status=error.status,
    )


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[desk, accept, decline, deliver], include_in_schema=False)
