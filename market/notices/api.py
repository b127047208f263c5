"""JSON routes of public notices."""

from litestar import Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.caching import edited
from market.discovery import service as discovery
from market.discovery.model import Found, NoticeFilter, Order
from market.discovery.params import asked, provide_notice_filter
from market.discovery.service import Finder
from market.notices import service
from market.notices.model import Notice, NoticeForm
from market.web import AppRequest, PathId, Version, actor_of, once


class Revision(NoticeForm, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A notice revised, and the version it was read in."""

    version: Version


@get(
    "/",
    dependencies=asked(provide_notice_filter),
    summary="List notices",
)
async def listing(
    tx: NamedDependency[Transaction],
    finder: NamedDependency[Finder],
    wanted: NamedDependency[NoticeFilter],
    order: NamedDependency[Order],
) -> Found[Notice]:
    """Published notices that fit; without a text the newest first."""
    return await discovery.notices(tx, finder, wanted, order)


@get("/{notice_id:int}", summary="Show a notice")
async def show(request: AppRequest, tx: NamedDependency[Transaction], notice_id: PathId) -> Notice:
    """One notice."""
    return await service.find(tx, request.user, notice_id)


@post("/", guards=[allow(Role.COORDINATOR)], summary="Publish a notice")
async def publish(
    request: AppRequest, tx: NamedDependency[Transaction], data: JSONBody[NoticeForm]
) -> Response[Notice]:
    """Publish a notice of your node."""
    actor = actor_of(request)

    async def act() -> Notice:
        return await service.own(tx, actor, await service.publish(tx, actor, data))

    return await once(request, tx, act, status=201, at="/api/v1/notices/{id}")


@put("/{notice_id:int}", guards=[allow(Role.COORDINATOR)], summary="Revise a notice")
async def revise(
    request: AppRequest, tx: NamedDependency[Transaction], notice_id: PathId, data: JSONBody[Revision]
) -> Response[Notice]:
    """Change a notice of your node."""
    actor = actor_of(request)
    return await edited(
        request,
        tx,
        lambda: service.own(tx, actor, notice_id),
        lambda: service.revise(tx, actor, notice_id, data.version, data),
    )


@post("/{notice_id:int}/withdraw", status_code=200, guards=[allow(Role.COORDINATOR)], summary="Withdraw a notice")
async def withdraw(request: AppRequest, tx: NamedDependency[Transaction], notice_id: PathId) -> Response[Notice]:
    """Take a notice of your node back."""
    actor = actor_of(request)

    async def act() -> Notice:
        await service.withdraw(tx, actor, notice_id)
        return await service.own(tx, actor, notice_id)

    return await once(request, tx, act)


def router() -> Router:
    """The routes, for create_app."""
    return Router("/notices", route_handlers=[listing, show, publish, revise, withdraw], tags=["notices"])
