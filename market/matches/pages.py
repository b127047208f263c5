"""The coordinator's page of one need with its candidates, and what may be decided there."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import Struct

from infra.db import Transaction, start_over
from market.accounts.model import Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.catalogue import queries as catalogue
from market.conversations.service import at_need as conversation
from market.errors import Conflict, DomainError, InvalidInput
from market.forms import decode
from market.i18n import N_, _, lang
from market.matches import service, work
from market.matches.model import Answer, Approval, OneTimeNotice, Override, Remark
from market.needs import service as need_service
from market.queue import holding
from market.queue import queries as queue
from market.queue.model import ALL, TABS, Decision, Filter, Tab
from market.ratings import service as ratings
from market.web import (
    AppRequest,
    PathId,
    Rejected,
    actor_of,
    go,
    one_time_key,
    page,
    services,
)

HELD = ("approve", "override")
"""Forms whose decisions can be taken back."""
TOO_LATE = N_("这个决定已经派出，不能再撤回。需要改的话，可以改派。")
Form = dict[str, Any]


class Draft(Struct, frozen=True, kw_only=True):
    """A form that came back: which one, what was typed, what is wrong with it."""

    form: str = ""
    values: Mapping[str, Any] = {}
    errors: Mapping[str, str] = {}


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

    ``?pick=`` names a candidate to look at, ``?done=`` the need that was decided before this one, ``?queue=`` what the
    queue showed that somebody comes from and goes on with.
    """
    actor, asked = actor_of(request), request.query_params
    done = _number(asked.get("done"))
    opened = await work.open_work(tx, actor, need_id, pick=_number(asked.get("pick")), lang=lang())
    return page(
        "queue/work.html",
        status=status,
        work=opened,
        within=_within(draft.values if draft else asked).query,
        rating=await ratings.of_need(tx, actor, opened.need),
        talk=await conversation(tx, actor, opened.need),
        decided=done and await work.last_decision(tx, actor, done),
        calendar=deadlines.calendar,
        held=await queue.held_of_actor(tx, actor.id),
        waiting=await queue.held_of_need(tx, need_id),
        items={one.code: one.name for one in await catalogue.items(tx)} if opened.actions else {},
        key=one_time_key(),
        draft=draft or Draft(),
        notice=notice or (("wait", _(TOO_LATE)) if asked.get("late") else None),
    )


@post("/needs/{need_id:int}/approve", guards=[allow(Role.COORDINATOR)])
async def approve(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
    data: URLEncodedBody[Form],
) -> Redirect:
    """Assign the proposed offering, some seconds from now: until then it can be taken back."""
    actor = actor_of(request)

    async def act() -> None:
        decision = Decision(match_id=decode(Approval, data).match_id)
        seconds = services(request).settings.undo_seconds
        await holding.decide(tx, actor, need_id, decision, deadlines, seconds=seconds)

    then = _queue_at(str(data["back"])) if "back" in data else None
    return await decide(request, tx, need_id, act, form="approve", typed=data, then=then)


@post("/needs/{need_id:int}/override", guards=[allow(Role.COORDINATOR)])
async def override(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
    data: URLEncodedBody[Form],
) -> Redirect:
    """Assign another candidate, for a reason; it can be taken back as ``approve``."""
    actor = actor_of(request)

    async def act() -> None:
        form = decode(Override, data)
        decision = Decision(offering_id=form.offering_id, reason=form.reason)
        seconds = services(request).settings.undo_seconds
        await holding.decide(tx, actor, need_id, decision, deadlines, seconds=seconds)

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


def _queue_at(query: str) -> str:
    """The queue as it was filtered, whatever was typed as its address."""
    return f"/queue?{urlencode(parse_qsl(query))}"


@get("/needs/{need_id:int}/next", guards=[allow(Role.COORDINATOR)])
async def following(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> Redirect:
    """The need to work on after this one, of those the queue showed; the queue where there is none."""
    await need_service.find(tx, actor_of(request), need_id)
    within = _within(request.query_params)
    return _onward(within, await queue.following(tx, actor_of(request), within, TABS[Tab.OPEN], need_id))


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
    if form not in HELD:
        await queue.forget(tx, need_id)  # what was decided before and is not sent is overtaken
    if then:
        return go(then)
    within = _within(typed)
    found = await queue.following(tx, actor_of(request), within, TABS[Tab.OPEN], need_id)
    # What can be taken back is told on every page of its author's until it is sent.
    told = form not in HELD or not services(request).settings.undo_seconds
    return _onward(within, found, done=need_id if told else None)


def _within(given: Mapping[str, Any]) -> Filter:
    """What the queue showed that somebody works through; everything where that is not said, or not understood."""
    try:
        return decode(Filter, dict(parse_qsl(str(given.get("queue", "")))))
    except InvalidInput:
        return ALL


def _onward(within: Filter, need_id: int | None, *, done: int | None = None) -> Redirect:
    """To the next need, or back to the queue as it was."""
    told = [("done", str(done))] if done else []
    if need_id is None:
        query = urlencode([*parse_qsl(within.query), *told])
        return go(f"/queue?{query}" if query else "/queue")
    query = urlencode([*([("queue", within.query)] if within.query else []), *told])
    return go(f"/needs/{need_id}?{query}" if query else f"/needs/{need_id}")


async def _again(request: AppRequest, tx: Transaction, need_id: int, draft: Draft, error: DomainError) -> Template:
    await start_over(tx)
    deadlines = await services(request).deadlines.get(tx)
    return await work_page(
        request, tx, deadlines, need_id, draft=draft, notice=("bad", error.detail), status=error.status
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 19 else None


def router() -> Router:
    """The routes, for create_app."""
    return Router(
        "/",
        route_handlers=[following, approve, override, return_once, escalate, close, rank_again, answer_decline],
        include_in_schema=False,
    )
