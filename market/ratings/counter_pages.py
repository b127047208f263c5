"""For whoever holds a receipt from the counter, without an account: how the need stands, and the rating."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import Meta, Struct

from infra.db import Transaction, start_over
from market.accounts.model import Actor, Role
from market.calendars.service import Deadlines
from market.errors import DomainError, InvalidInput, NotFound
from market.forms import decode
from market.matches import service as matches
from market.matches.outlook import outlook
from market.needs import receipts
from market.needs import service as needs
from market.ratings import rectification, service
from market.ratings.model import LaterRemark
from market.ratings.outlook import at_need
from market.ratings.pages import rating_form, revisit_form
from market.web import AppRequest, Id, PathId, Rejected, address_hash, go, go_once, one_time_key, page, services

Form = dict[str, Any]
Act = Callable[[Actor, Deadlines], Awaitable[Any]]


class Shown(Struct, frozen=True):
    """What stands on a receipt."""

    number: Id
    code: Annotated[str, Meta(min_length=1, max_length=40)]


@get("/receipt")
async def ask() -> Template:
    """Number and code."""
    return page("counter/ask.html", values={}, errors={})


@post("/receipt")
async def find(request: AppRequest, tx: NamedDependency[Transaction], data: URLEncodedBody[Form]) -> Redirect:
    """The need they stand for."""
    try:
        shown = decode(Shown, data, {})
        await receipts.holder(tx, services(request).secret, shown.number, shown.code)
    except (InvalidInput, NotFound) as error:
        wrong = error.fields or {"code": error.detail}
        raise Rejected(page("counter/ask.html", status=error.status, values=data, errors=wrong)) from None
    return go(_path(shown.number, shown.code))


@get("/receipt/{need_id:int}")
async def show(
    request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId, code: FromQuery[str] = ""
) -> Template:
    """How the need stands, and its rating."""
    return await _page(request, tx, need_id, code)


@post("/receipt/{need_id:int}/rating")
async def rate(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    need_id: PathId,
    data: URLEncodedBody[Form],
    code: FromQuery[str] = "",
) -> Redirect:
    """Rate the service, once however often the button is pressed."""

    async def act(actor: Actor, deadlines: Deadlines) -> Redirect:
        async def once() -> str:
            await service.rate(tx, actor, need_id, rating_form(data), deadlines, address_hash(request))
            return _path(need_id, code)

        return await go_once(tx, actor, data, once)

    return await _act(request, tx, need_id, code, "rating", data, act)


@post("/receipt/{need_id:int}/remark")
async def add_remark(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    need_id: PathId,
    data: URLEncodedBody[Form],
    code: FromQuery[str] = "",
) -> Redirect:
    """Add to the rating, once."""

    async def act(actor: Actor, deadlines: Deadlines) -> None:
        await service.add_remark(tx, actor, need_id, decode(LaterRemark, data).remark, deadlines)

    return await _act(request, tx, need_id, code, "remark", data, act)


@post("/receipt/{need_id:int}/revisit")
async def revisit(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    need_id: PathId,
    data: URLEncodedBody[Form],
    code: FromQuery[str] = "",
) -> Redirect:
    """Say whether the rectification satisfies."""

    async def act(actor: Actor, deadlines: Deadlines) -> None:
        rating = await service.own(tx, actor, need_id)
        await rectification.revisit(tx, actor, rating.id, revisit_form(data), deadlines)

    return await _act(request, tx, need_id, code, "revisit", data, act)


async def _act(
    request: AppRequest, tx: Transaction, need_id: int, code: str, form: str, data: Form, act: Act
) -> Redirect:
    """Do it and show the need; or show it with what is wrong, and what was typed in the form of that name."""
    actor = await receipts.holder(tx, services(request).secret, need_id, code)
    try:
        await act(actor, await services(request).deadlines.get(tx))
    except DomainError as error:
        await start_over(tx)
        raise Rejected(await _page(request, tx, need_id, code, form=form, typed=data, error=error)) from None
    return go(_path(need_id, code))


async def _page(
    request: AppRequest,
    tx: Transaction,
    need_id: int,
    code: str,
    *,
    form: str = "",
    typed: Form | None = None,
    error: DomainError | None = None,
) -> Template:
    actor = await receipts.holder(tx, services(request).secret, need_id, code)
    deadlines = await services(request).deadlines.get(tx)
    need = await needs.show(tx, actor, need_id)
    match = await matches.current(tx, actor, need)
    return page(
        "counter/holder.html",
        status=error.status if error else 200,
        need=need,
        match=match,
        outlook=outlook(need, match, Role.ENTERPRISE),
        events=await needs.history(tx, actor, need),
        rated=await at_need(tx, actor, need),
        calendar=deadlines.calendar,
        receipt=receipts.typed(code),
        role=Role.ENTERPRISE,
        key=one_time_key(),
        form=form,
        values=typed or {},
        errors=error.fields if error else {},
        notice=("bad", error.detail) if error else None,
    )


def _path(need_id: int, code: str) -> str:
    return f"/receipt/{need_id}?code={receipts.typed(code)}"


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[ask, find, show, rate, add_remark, revisit], include_in_schema=False)
