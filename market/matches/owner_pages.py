"""Who owns a need (首问负责): taking it, handing it on, answering, taking it over."""

from typing import Any

from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody
from litestar.response import Redirect

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.forms import decode
from market.matches.pages import decide
from market.needs import ownership
from market.needs.ownership import Handover, Offer, Reply
from market.web import AppRequest, PathId, actor_of

Form = dict[str, Any]
NODE = [allow(Role.COORDINATOR)]


@post("/take", guards=NODE)
async def take(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> Redirect:
    """Own a need that nobody owns."""
    actor = actor_of(request)

    async def act() -> None:
        await ownership.take(tx, actor, need_id)

    return await decide(request, tx, need_id, act, form="take", typed={}, then=f"/needs/{need_id}")


@post("/offer", guards=NODE)
async def offer(
    request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """Ask a colleague to take the need on."""
    actor = actor_of(request)

    async def act() -> None:
        form = decode(Offer, data)
        await ownership.offer(tx, actor, need_id, form.to_account, form.note)

    return await decide(request, tx, need_id, act, form="offer", typed=data, then=f"/needs/{need_id}")


@post("/offer/reply", guards=NODE)
async def reply(
    request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """Take the need on, or turn it down."""
    actor = actor_of(request)

    async def act() -> None:
        await ownership.reply(tx, actor, need_id, decode(Reply, data))

    return await decide(request, tx, need_id, act, form="reply", typed=data, then=f"/needs/{need_id}")


@post("/offer/call-off", guards=NODE)
async def call_off(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> Redirect:
    """Take back an offer that has not been answered."""
    actor = actor_of(request)

    async def act() -> None:
        await ownership.call_off(tx, actor, need_id)

    return await decide(request, tx, need_id, act, form="call-off", typed={}, then=f"/needs/{need_id}")


@post("/take-over", guards=NODE)
async def take_over(
    request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """Own what its owner has let slip."""
    actor = actor_of(request)

    async def act() -> None:
        await ownership.take_over(tx, actor, need_id, decode(Handover, data).note)

    return await decide(request, tx, need_id, act, form="take-over", typed=data, then=f"/needs/{need_id}")


def router() -> Router:
    """The routes, for market.pages."""
    return Router(
        "/needs/{need_id:int}", route_handlers=[take, offer, reply, call_off, take_over], include_in_schema=False
    )
