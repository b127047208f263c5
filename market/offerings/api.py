"""JSON routes of offerings: public to read, an institution's own to write."""

from litestar import Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Struct

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.caching import edited
from market.discovery import service as discovery
from market.discovery.model import Found, Order
from market.discovery.params import asked, provide_offering_filter
from market.discovery.service import Finder
from market.offerings import service
from market.offerings.model import Offering, OfferingFilter, OfferingForm, OfferingState
from market.web import (
    AppRequest,
    PathId,
    Version,
    VersionQuery,
    actor_of,
    once,
)


class NewOffering(OfferingForm, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An offering, and whether it is published at once."""

    state: OfferingState = OfferingState.PUBLISHED


class Revision(OfferingForm, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An offering revised, and the version it was read in."""

    version: Version


class StateChange(Struct, frozen=True, forbid_unknown_fields=True):
    """Publish, or pause."""

    state: OfferingState


@get(
    "/",
    dependencies=asked(provide_offering_filter),
    summary="List offerings",
    opt={"limits": "search"},
)
async def listing(
    tx: NamedDependency[Transaction],
    finder: NamedDependency[Finder],
    wanted: NamedDependency[OfferingFilter],
    order: NamedDependency[Order],
) -> Found[Offering]:
    """Published offerings that fit, with counts of what they could be narrowed down by."""
    return await discovery.offerings(tx, finder, wanted, order)


@get("/{offering_id:int}", summary="Show an offering")
async def show(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    offering_id: PathId,
    version: VersionQuery = None,
) -> Offering:
    """One offering, in the version asked for or in its current one."""
    return await service.find(tx, request.user, offering_id, version)


@post("/", guards=[allow(Role.INSTITUTION)], summary="Add an offering")
async def add(request: AppRequest, tx: NamedDependency[Transaction], data: JSONBody[NewOffering]) -> Response[Offering]:
    """Add an offering of your institution."""
    actor = actor_of(request)

    async def act() -> Offering:
        offering_id = await service.publish(tx, actor, data, data.state)
        return await service.own(tx, actor, offering_id)

    return await once(request, tx, act, status=201, at="/api/v1/offerings/{id}")


@put("/{offering_id:int}", guards=[allow(Role.INSTITUTION)], summary="Revise an offering")
async def revise(
    request: AppRequest, tx: NamedDependency[Transaction], offering_id: PathId, data: JSONBody[Revision]
) -> Response[Offering]:
    """Store a new version. Matches made before keep theirs."""
    actor = actor_of(request)
    return await edited(
        request,
        tx,
        lambda: service.own(tx, actor, offering_id),
        lambda: service.revise(tx, actor, offering_id, data.version, data),
    )


@post("/{offering_id:int}/state", status_code=200, guards=[allow(Role.INSTITUTION)], summary="Publish or pause")
async def set_state(
    request: AppRequest, tx: NamedDependency[Transaction], offering_id: PathId, data: JSONBody[StateChange]
) -> Response[Offering]:
    """Publish or pause. A paused offering finishes what it has and takes nothing new."""
    actor = actor_of(request)

    async def act() -> Offering:
        await service.set_state(tx, actor, offering_id, data.state)
        return await service.own(tx, actor, offering_id)

    return await once(request, tx, act)


def router() -> Router:
    """The routes, for create_app."""
    return Router("/offerings", route_handlers=[listing, show, add, revise, set_state], tags=["offerings"])
