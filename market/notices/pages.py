"""Public notices as everybody reads them, and as their node writes them."""

from collections.abc import Mapping
from typing import Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody
from litestar.response import Redirect, Template

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.discovery import service as discovery
from market.discovery.facets import facets
from market.discovery.model import NoticeFilter, Order
from market.discovery.params import of_page
from market.discovery.service import Finder
from market.errors import DomainError
from market.forms import decode
from market.notices import service
from market.notices.model import NOTICE_KIND_NAMES, Notice, NoticeForm
from market.web import AppRequest, PathId, Rejected, Version, actor_of, go, go_once, page

FACETS = ("kind", "within")
Form = URLEncodedBody[dict[str, Any]]


class Revision(NoticeForm, frozen=True, kw_only=True):
    """A notice revised, and the version it was read in."""

    version: Version


@get("/notices")
async def listing(request: AppRequest, tx: NamedDependency[Transaction], finder: NamedDependency[Finder]) -> Template:
    """Published notices, the newest first, or by words."""
    wanted, order = of_page(request, NoticeFilter), of_page(request, Order)
    found = await discovery.notices(tx, finder, wanted, order)
    chosen = await facets(tx, found.facets, wanted, FACETS)
    return page("notices/list.html", wanted=wanted, order=order, found=found, facets=chosen, completions=[])


@get("/notices/{notice_id:int}")
async def show(request: AppRequest, tx: NamedDependency[Transaction], notice_id: PathId) -> Template:
    """One notice."""
    notice = await service.find(tx, request.user, notice_id)
    return page("notices/show.html", subject=notice, mine=service.may_edit(request.user, notice))


@get("/notices/new", guards=[allow(Role.COORDINATOR)])
async def new() -> Template:
    """The form for a new notice."""
    return _form(None, {})


@post("/notices", guards=[allow(Role.COORDINATOR)])
async def publish(request: AppRequest, tx: NamedDependency[Transaction], data: Form) -> Redirect:
    """Publish a notice; a double click publishes one."""
    actor = actor_of(request)
    try:
        form = decode(NoticeForm, data)
    except DomainError as error:
        raise Rejected(_form(None, data, error)) from None

    async def act() -> str:
        return f"/notices/{await service.publish(tx, actor, form)}"

    return await go_once(tx, actor, data, act)


@get("/notices/{notice_id:int}/edit", guards=[allow(Role.COORDINATOR)])
async def edit(request: AppRequest, tx: NamedDependency[Transaction], notice_id: PathId) -> Template:
    """The form to change a notice."""
    notice = await service.own(tx, actor_of(request), notice_id)
    return _form(notice, {"kind": notice.kind, "title": notice.title, "body": notice.body})


@post("/notices/{notice_id:int}", guards=[allow(Role.COORDINATOR)])
async def revise(request: AppRequest, tx: NamedDependency[Transaction], notice_id: PathId, data: Form) -> Redirect:
    """Change a notice; nothing typed is lost when a colleague was faster."""
    actor = actor_of(request)
    notice = await service.own(tx, actor, notice_id)
    try:
        form = decode(Revision, data)
        await service.revise(tx, actor, notice_id, form.version, form)
    except DomainError as error:
        raise Rejected(_form(notice, data, error)) from None
    return go(f"/notices/{notice_id}")


@post("/notices/{notice_id:int}/withdraw", guards=[allow(Role.COORDINATOR)])
async def withdraw(request: AppRequest, tx: NamedDependency[Transaction], notice_id: PathId) -> Redirect:
    """Take a notice back."""
    await service.withdraw(tx, actor_of(request), notice_id)
    return go(f"/notices/{notice_id}")


def _form(notice: Notice | None, values: Mapping[str, Any], error: DomainError | None = None) -> Template:
    return page(
        "notices/form.html",
        status=200 if error is None else error.status,
        notice=None if error is None or error.fields else ("bad", error.detail),
        subject=notice,
        kinds=NOTICE_KIND_NAMES,
        values=values,
        errors={} if error is None else error.fields,
    )


def router() -> Router:
    """The routes, for market.pages."""
    handlers = [listing, show, new, publish, edit, revise, withdraw]
    return Router("/", route_handlers=handlers, include_in_schema=False)
