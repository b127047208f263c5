"""An institution's own offerings: list, form, preview, versions, publish and pause, capacity."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import Meta, Struct, structs

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.auth import allow
from market.catalogue import queries as catalogue
from market.catalogue import service as catalogue_service
from market.catalogue.guide_form import fields_of, with_guide
from market.catalogue.model import ITEM_LIST_NAMES, ItemList, ServiceItem
from market.diff import FieldDiff, compare
from market.enterprises import queries as enterprises
from market.errors import DomainError, EditedMeanwhile, InvalidInput
from market.forms import decode, merged
from market.institutions import service as institutions
from market.offerings import queries, service
from market.offerings.changes import all_in_words, differences
from market.offerings.model import CHANNEL_NAMES, Offering, OfferingForm, OfferingState
from market.regions import queries as regions
from market.web import AppRequest, IdQuery, PathId, Rejected, Version, actor_of, go, go_once, one_time_key, page

OWN = [allow(Role.INSTITUTION)]
Form = dict[str, Any]


class Revision(OfferingForm, frozen=True, kw_only=True):
    """The form of an offering, and the version it was read in."""

    version: Version


class StateForm(Struct, frozen=True):
    """Publish, or pause."""

    state: OfferingState


class CapacityForm(Struct, frozen=True):
    """Needs served at the same time."""

    capacity: Annotated[int, Meta(ge=0, le=100_000)]


class WrongCapacity(Struct, frozen=True):
    """A capacity that came back: of which offering, what was typed, what is wrong with it."""

    offering_id: int
    typed: str
    words: str


@get("/", guards=OWN)
async def listing(request: AppRequest, tx: NamedDependency[Transaction], done: IdQuery = None) -> Template:
    """All offerings of the institution, in any state."""
    return await _listing(tx, actor_of(request), done=done)


async def _listing(
    tx: Transaction, actor: Actor, *, done: int | None = None, wrong: WrongCapacity | None = None
) -> Template:
    assert actor.institution_id is not None, "accounts' CHECK gives an institution account its institution"
    mine = await queries.of_institution(tx, actor.institution_id)
    return page(
        "desk/offerings.html",
        status=InvalidInput.status if wrong else 200,
        groups=[(state, [one for one in mine if one.state is state]) for state in reversed(OfferingState)],
        done=next((one for one in mine if one.id == done), None),
        wrong=wrong,
    )


@get("/new", guards=OWN)
async def new(request: AppRequest, tx: NamedDependency[Transaction], item: FromQuery[str | None] = None) -> Template:
    """First which item, then its form, filled in with the item's guide."""
    if item is None:
        mine = (None, actor_of(request).institution_id)
        items = [one for one in await catalogue.items(tx) if one.institution_id in mine]
        lists = [(name, [one for one in items if one.item_list is kind]) for kind, name in ITEM_LIST_NAMES.items()]
        return page("desk/choose_item.html", lists=lists)
    chosen = await catalogue_service.find(tx, item)
    return await _form(tx, actor_of(request), chosen, _of_item(chosen))


@post("/new", guards=OWN)
async def add(request: AppRequest, tx: NamedDependency[Transaction], data: URLEncodedBody[Form]) -> Redirect | Template:
    """Publish a new offering, once however often it is clicked, keep it as a draft, or show how it will look."""
    actor, raw = actor_of(request), with_guide(data)
    item = await catalogue_service.find(tx, str(data.get("item_code", "")))

    async def act() -> str:
        state = decode(StateForm, data).state
        return f"/desk/offerings?done={await service.publish(tx, actor, form, state)}"

    try:
        form = decode(OfferingForm, raw)
        if "preview" in data:
            return await _form(tx, actor, item, raw, shown=await _as_it_would_be(tx, actor, form))
        return await go_once(tx, actor, data, act)
    except InvalidInput as error:
        raise Rejected(await _form(tx, actor, item, raw, error=error)) from None


@get("/{offering_id:int}/edit", guards=OWN)
async def edit(request: AppRequest, tx: NamedDependency[Transaction], offering_id: PathId) -> Template:
    """The form, as the offering is now."""
    offering = await service.own(tx, actor_of(request), offering_id)
    item = await catalogue_service.find(tx, offering.item_code)
    return await _form(tx, actor_of(request), item, _of_offering(offering), offering=offering)


@post("/{offering_id:int}/edit", guards=OWN)
async def revise(
    request: AppRequest, tx: NamedDependency[Transaction], offering_id: PathId, data: URLEncodedBody[Form]
) -> Redirect | Template:
    """Store a new version, published at once where that was asked for, or show how it will look."""
    actor, raw = actor_of(request), with_guide(data)
    offering = await service.own(tx, actor, offering_id)
    item = await catalogue_service.find(tx, offering.item_code)

    async def act() -> str:
        await service.revise(tx, actor, offering_id, form.version, form)
        if "state" in data:
            await service.set_state(tx, actor, offering_id, decode(StateForm, data).state)
        return f"/desk/offerings?done={offering_id}"

    try:
        form = decode(Revision, raw)
        if "preview" in data:
            shown = await _as_it_would_be(tx, actor, form)
            return await _form(tx, actor, item, raw, offering=offering, shown=shown)
        return await go_once(tx, actor, data, act)
    except EditedMeanwhile as error:
        # Shown once, what the others did counts as seen: the next save goes on top of it.
        newest, seen = await service.own(tx, actor, offering_id), await queries.find(tx, offering_id, form.version)
        others = await differences(tx, seen, newest) if seen else []
        now = merged(raw, _of_offering(seen or newest), _of_offering(newest)) | {"version": newest.version}
        raise Rejected(await _form(tx, actor, item, now, offering=newest, error=error, others=others)) from None
    except InvalidInput as error:
        raise Rejected(await _form(tx, actor, item, raw, offering=offering, error=error)) from None


@get("/{offering_id:int}/versions", guards=OWN)
async def versions(request: AppRequest, tx: NamedDependency[Transaction], offering_id: PathId) -> Template:
    """Every version, newest first, with what it changed."""
    offering = await service.own(tx, actor_of(request), offering_id)
    found = await queries.versions(tx, offering_id)
    words = await all_in_words(tx, found)
    steps = [compare(old, now) for now, old in pairwise(words)]
    return page("desk/versions.html", offering=offering, versions=list(zip(found, [*steps, None], strict=True)))


@post("/{offering_id:int}/state", guards=OWN)
async def set_state(
    request: AppRequest, tx: NamedDependency[Transaction], offering_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """Publish, or pause."""
    await service.set_state(tx, actor_of(request), offering_id, decode(StateForm, data).state)
    return go(f"/desk/offerings?done={offering_id}")


@post("/{offering_id:int}/capacity", guards=OWN)
async def set_capacity(
    request: AppRequest, tx: NamedDependency[Transaction], offering_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """How many needs it serves at once; no new version, for nothing the public reads has changed."""
    try:
        capacity = decode(CapacityForm, data).capacity
    except InvalidInput as error:
        wrong = WrongCapacity(offering_id, str(data.get("capacity", "")), error.fields["capacity"])
        raise Rejected(await _listing(tx, actor_of(request), wrong=wrong)) from None
    await service.set_capacity(tx, actor_of(request), offering_id, capacity)
    return go(f"/desk/offerings?done={offering_id}")


async def _as_it_would_be(tx: Transaction, actor: Actor, form: OfferingForm) -> OfferingForm:
    """The form with the guide that it would get.

    Raises:
        InvalidInput: it would be refused.
    """
    assert actor.institution_id is not None, "accounts' CHECK gives an institution account its institution"
    return structs.replace(form, guide=await service.checked(tx, form, actor.institution_id))


async def _changes(tx: Transaction, offering: Offering, form: OfferingForm) -> list[FieldDiff]:
    """What the form would change in the offering."""
    said = {name: getattr(form, name) for name in OfferingForm.__struct_fields__}
    return await differences(tx, offering, structs.replace(offering, **said))


async def _form(
    tx: Transaction,
    actor: Actor,
    item: ServiceItem,
    values: Mapping[str, Any],
    *,
    offering: Offering | None = None,
    shown: OfferingForm | None = None,
    error: DomainError | None = None,
    others: list[FieldDiff] | None = None,
) -> Template:
    """The form with ``values``; ``shown``: with a preview above it; ``others``: with what others changed meanwhile."""
    assert actor.institution_id is not None, "accounts' CHECK gives an institution account its institution"
    home = await institutions.find(tx, actor.institution_id)
    given = values.get("region_codes") or []
    around = await regions.around(tx, home.region_code, [given] if isinstance(given, str) else list(given))
    return page(
        "desk/offering_form.html",
        status=error.status if error else 200,
        item=item,
        offering=offering,
        shown=shown,
        changes=await _changes(tx, offering, shown) if offering and shown else None,
        home=home,
        key=values.get("key") or one_time_key(),
        values=values,
        errors=error.fields if error else {},
        notice=("bad", error.detail) if isinstance(error, EditedMeanwhile) else None,
        others=others,
        region_names={region.code: region.name for region in around},
        kind_names=await enterprises.kinds(tx),
        channel_names=CHANNEL_NAMES,
        common=item.item_list is ItemList.COMMON,
    )


def _of_item(item: ServiceItem) -> Form:
    return {"item_code": item.code, "capacity": 10, "fee": item.fee or "", **fields_of(item.guide)}


def _of_offering(offering: Offering) -> Form:
    names = ("item_code", "title", "summary", "region_codes", "audience", "channels", "fee", "capacity", "version")
    known = {name: getattr(offering, name) for name in (*names, "promised_days")}
    return {**known, **fields_of(offering.guide)}


def router() -> Router:
    """The routes, for create_app."""
    return Router(
        "/desk/offerings",
        route_handlers=[listing, new, add, edit, revise, versions, set_state, set_capacity],
        include_in_schema=False,
    )
