"""The page of one's own personal data: what there is, who saw it, and that it be erased."""

from typing import Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody
from litestar.response import Redirect, Template

from infra.db import Transaction
from market.accounts.model import Role
from market.accounts.own_pages import Asked, asked_again
from market.auth import allow, leave
from market.enterprises import service as enterprises
from market.errors import DomainError
from market.forms import decode
from market.i18n import Words
from market.messages import queries as messages
from market.personal import queries, service
from market.web import AppRequest, Rejected, actor_of, form_page, go, services

Form = URLEncodedBody[dict[str, Any]]
HERE = "/account/personal"
PERSON = [allow(Role.ENTERPRISE)]
DONE = Words({"asked": "已经记下，办结后自动删除。", "called-off": "申请已经取消，什么都没有删除。"})


@get(HERE, guards=[allow()])
async def show(request: AppRequest, tx: NamedDependency[Transaction]) -> Template:
    """What is kept, who saw it, and how to have it erased."""
    return await _page(request, tx)


@post(f"{HERE}/erasure", guards=PERSON)
async def erase(request: AppRequest, data: Form) -> Redirect:
    """Erase all of it now, or as soon as nothing is open; the password is asked again, for there is no way back."""
    held, actor = services(request), actor_of(request)
    try:
        await asked_again(request, decode(Asked, data).password)
        async with held.db.transaction() as tx:
            done = await service.ask(tx, actor)
    except DomainError as error:
        async with held.db.transaction() as tx:
            raise Rejected(await _page(request, tx, error)) from None
    if not done:
        return go(f"{HERE}?done=asked#erasure")
    await leave(request)
    return go("/login?done=erased")


@post(f"{HERE}/erasure/call-off", guards=PERSON)
async def call_off(request: AppRequest, tx: NamedDependency[Transaction]) -> Redirect:
    """Keep it after all."""
    await queries.call_off(tx, actor_of(request).id)
    return go(f"{HERE}?done=called-off#erasure")


async def _page(request: AppRequest, tx: Transaction, error: DomainError | None = None) -> Template:
    actor = actor_of(request)
    done = DONE.get(request.query_params.get("done", ""))
    told = {"notice": ("ok", done)} if done and error is None else {}
    return form_page(
        "personal/show.html",
        error,
        actor=actor,
        profile=await enterprises.profile(tx, actor.enterprise_id) if actor.enterprise_id else None,
        address=(await messages.settings(tx, actor.id)).address,
        views=await service.views(tx, actor.enterprise_id) if actor.enterprise_id else [],
        open_needs=await service.open_needs(tx, actor.id),
        erasure=await queries.erasure(tx, actor.id),
        days=services(request).settings.contact_days,
        **told,
    )


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[show, erase, call_off], include_in_schema=False)
