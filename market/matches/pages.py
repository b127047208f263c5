"""The coordinator's pages: the queue, and one need with its candidates."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import Struct

from infra.db import Transaction, start_over
from market.accounts.model import Actor, Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.conversations.service import at_need as conversation
from market.errors import Conflict, DomainError, InvalidInput
from market.forms import decode
from market.i18n import Words, lang
from market.matches import queries, service, work
from market.matches.model import Answer, Approval, OneTimeNotice, Override, Remark
from market.needs import queries as needs
from market.needs.model import NeedRow, NeedState
from market.plans import queries as plans
from market.ratings import service as ratings
from market.web import (
    AppRequest,
    IdQuery,
    Page,
    PathId,
    Rejected,
    actor_of,
    go,
    one_time_key,
    page,
    page_of,
    read_cursor,
    services,
)

QUEUE_ROWS = 30
Form = dict[str, Any]


class Tab(StrEnum):
    """What a queue is looked at for."""

    OPEN = "open"
    RANKING = "ranking"
    ASSIGNED = "assigned"
    SERVING = "serving"
    DELIVERED = "delivered"
    RETURNED = "returned"
    ENDED = "ended"


TABS: Mapping[Tab, tuple[NeedState, ...]] = {
    Tab.OPEN: (NeedState.PROPOSED, NeedState.UNMATCHED),
    Tab.RANKING: (NeedState.SUBMITTED,),
    Tab.ASSIGNED: (NeedState.ASSIGNED,),
    Tab.SERVING: (NeedState.SERVING,),
    Tab.DELIVERED: (NeedState.DELIVERED,),
    Tab.RETURNED: (NeedState.RETURNED,),
    Tab.ENDED: (NeedState.COMPLETED, NeedState.WITHDRAWN, NeedState.CLOSED),
}


TAB_NAMES: Mapping[Tab, str] = Words(
    {
        Tab.OPEN: "等我审核",
        Tab.RANKING: "正在匹配",
        Tab.ASSIGNED: "等机构受理",
        Tab.SERVING: "办理中",
        Tab.DELIVERED: "等企业确认",
        Tab.RETURNED: "退回补正",
        Tab.ENDED: "已结束",
    }
)


class Draft(Struct, frozen=True, kw_only=True):
    """A form that came back: which one, what was typed, what is wrong with it."""

    form: str = ""
    values: Mapping[str, Any] = {}
    errors: Mapping[str, str] = {}


@get("/queue", guards=[allow(Role.COORDINATOR)])
async def queue(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    tab: FromQuery[Tab] = Tab.OPEN,
    cursor: FromQuery[str | None] = None,
    done: IdQuery = None,
    number: FromQuery[str] = "",
) -> Template | Redirect:
    """The needs of the coordinator's node and those below it, by deadline. ``number``: go to that one."""
    actor = actor_of(request)
    if number.strip().isdecimal():
        return go(f"/needs/{int(number)}")
    prefix = _prefix(actor)
    counts = await needs.counts(tx, prefix)
    return page(
        "queue/list.html",
        tab=tab,
        tabs={one: (TAB_NAMES[one], sum(counts.get(s, 0) for s in within)) for one, within in TABS.items()},
        rows=await _rows(tx, prefix, tab, cursor),
        first=cursor is None,
        declines=await queries.decline_requests(tx, prefix),
        calendar=deadlines.calendar,
        decided=done and await work.last_decision(tx, actor, done),
        may_plan=counts.get(NeedState.PROPOSED, 0) > 0,
        last_plan=actor.node_id and await plans.latest_id(tx, actor.node_id),
        key=one_time_key(),
    )


async def _rows(tx: Transaction, prefix: str, tab: Tab, cursor: str | None) -> Page[NeedRow]:
    states = list(TABS[tab])
    if tab is Tab.ENDED:
        before = read_cursor(cursor, int)
        ended = await needs.ended_rows(tx, prefix, states, before=before, limit=QUEUE_ROWS + 1)
        return page_of(ended, QUEUE_ROWS, lambda row: row.id)
    after = read_cursor(cursor, tuple[datetime, int])
    rows = await needs.queue(tx, prefix, states, after=after, limit=QUEUE_ROWS + 1)
    return page_of(rows, QUEUE_ROWS, lambda row: (row.due_at, row.id))


async def work_page(
    request: AppRequest,
    tx: Transaction,
    deadlines: Deadlines,
    need_id: int,
    *,
    draft: Draft | None = None,
    notice: tuple[str, str] | None = None,
    status: int = 200,
) -> Template:
    """A need as staff see it: what ``/needs/{need_id}`` shows to coordinators and admins.

    ``?pick=`` names a candidate to look at, ``?done=`` the need that was decided before this one.
    """
    actor, asked = actor_of(request), request.query_params
    done = _number(asked.get("done"))
    opened = await work.open_work(tx, actor, need_id, pick=_number(asked.get("pick")), lang=lang())
    return page(
        "queue/work.html",
        status=status,
        work=opened,
        rating=await ratings.of_need(tx, actor, opened.need),
        talk=await conversation(tx, actor, opened.need),
        decided=done and await work.last_decision(tx, actor, done),
        calendar=deadlines.calendar,
        key=one_time_key(),
        draft=draft or Draft(),
        notice=notice,
    )


@post("/needs/{need_id:int}/approve", guards=[allow(Role.COORDINATOR)])
async def approve(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
    data: URLEncodedBody[Form],
) -> Redirect:
    """Assign the proposed offering."""
    actor = actor_of(request)

    async def act() -> None:
        await service.approve(tx, actor, need_id, decode(Approval, data).match_id, deadlines)

    return await decide(request, tx, need_id, act, form="approve", typed=data)


@post("/needs/{need_id:int}/override", guards=[allow(Role.COORDINATOR)])
async def override(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
    data: URLEncodedBody[Form],
) -> Redirect:
    """Assign another candidate, for a reason."""
    actor = actor_of(request)

    async def act() -> None:
        form = decode(Override, data)
        await service.override(tx, actor, need_id, form.offering_id, form.reason, deadlines)

    return await decide(request, tx, need_id, act, form="override", typed=data)


@post("/needs/{need_id:int}/return", guards=[allow(Role.COORDINATOR)])
async def return_once(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
    data: URLEncodedBody[Form],
) -> Redirect:
    """Send the need back with everything that is missing, one point a line."""
    actor = actor_of(request)

    async def act() -> None:
        form = decode(OneTimeNotice, {**data, "missing": str(data.get("missing", "")).splitlines()})
        await service.give_notice(tx, actor, need_id, form, deadlines)

    return await decide(request, tx, need_id, act, form="return", typed=data)


@post("/needs/{need_id:int}/escalate", guards=[allow(Role.COORDINATOR)])
async def escalate(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
    data: URLEncodedBody[Form],
) -> Redirect:
    """Hand the need to the node above."""
    actor = actor_of(request)

    async def act() -> None:
        await service.escalate(tx, actor, need_id, decode(Remark, data).note, deadlines)

    return await decide(request, tx, need_id, act, form="escalate", typed=data)


@post("/needs/{need_id:int}/close", guards=[allow(Role.COORDINATOR)])
async def close(
    request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """End a need that no service can answer."""
    actor = actor_of(request)

    async def act() -> None:
        await service.close(tx, actor, need_id, decode(Remark, data).note)

    return await decide(request, tx, need_id, act, form="close", typed=data)


@post("/needs/{need_id:int}/rank-again", guards=[allow(Role.COORDINATOR)])
async def rank_again(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> Redirect:
    """Have the need ranked anew; its page shows the outcome by itself."""
    actor = actor_of(request)

    async def act() -> None:
        await service.rank_again(tx, actor, need_id)

    return await decide(request, tx, need_id, act, form="rank-again", typed={}, then=f"/needs/{need_id}")


@post("/matches/{match_id:int}/answer-decline", guards=[allow(Role.COORDINATOR)])
async def answer_decline(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    match_id: PathId,
    data: URLEncodedBody[Form],
) -> Redirect:
    """Grant or refuse an institution's request to decline."""
    actor = actor_of(request)
    match = await service.find(tx, actor, match_id)

    async def act() -> None:
        form = decode(Answer, data)
        await service.answer_decline(tx, actor, match_id, deadlines, grant=form.grant, note=form.note)

    return await decide(
        request, tx, match.need_id, act, form="answer-decline", typed=data, then=f"/needs/{match.need_id}"
    )


async def decide(
    request: AppRequest,
    tx: Transaction,
    need_id: int,
    act: Callable[[], Awaitable[None]],
    *,
    form: str,
    typed: Form,
    then: str | None = None,
) -> Redirect:
    """Do what was decided, then show ``then``, or else the next need that waits.

    Raises:
        Rejected: with the same page, what was typed and what stood in the way.
    """
    try:
        await act()
    except (InvalidInput, Conflict) as error:
        raise Rejected(
            await _again(request, tx, need_id, Draft(form=form, values=typed, errors=error.fields), error)
        ) from None
    if then:
        return go(then)
    following = await needs.next_in_queue(tx, _prefix(actor_of(request)), list(TABS[Tab.OPEN]), but=need_id)
    return go(f"/needs/{following}?done={need_id}" if following else f"/queue?done={need_id}")


async def _again(request: AppRequest, tx: Transaction, need_id: int, draft: Draft, error: DomainError) -> Template:
    await start_over(tx)
    deadlines = await services(request).deadlines.get(tx)
    return await work_page(
        request, tx, deadlines, need_id, draft=draft, notice=("bad", error.detail), status=error.status
    )


def _prefix(actor: Actor) -> str:
    assert actor.node_prefix is not None, "accounts' CHECK gives a coordinator a node"
    return actor.node_prefix


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 19 else None


def router() -> Router:
    """The routes, for create_app."""
    return Router(
        "/",
        route_handlers=[queue, approve, override, return_once, escalate, close, rank_again, answer_decline],
        include_in_schema=False,
    )
