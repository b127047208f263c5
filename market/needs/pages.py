"""Pages of needs for those who submit them and those who serve them."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import Meta, Struct

from infra.db import Transaction, start_over
from market.accounts.model import PersonName, Phone, Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.conversations.service import at_need as conversation
from market.errors import DomainError
from market.forms import decode
from market.i18n import N_, _
from market.matches import service as matches
from market.matches.outlook import allowed, outlook
from market.matches.pages import work_page
from market.matches.ranking import Catalogue
from market.needs import queries, service
from market.needs.model import NOTE_LIMIT, NeedBody, Note, Submission
from market.personal import service as personal
from market.ratings.outlook import at_need
from market.web import AppRequest, PathId, Rejected, actor_of, go, one_time_key, page, page_of, read_cursor, services

Form = URLEncodedBody[dict[str, Any]]
Act = Callable[[], Awaitable[None]]
ROWS = 20
STAFF = (Role.COORDINATOR, Role.ADMIN)
AGAIN = N_("这条需求已经提交过，没有重复提交。")
HINTS = {"contact_phone": N_("请填写电话号码，只用数字、空格和 + - ( )。")}
FILERS = [allow(Role.ENTERPRISE, Role.CLERK)]


class Completion(Struct, frozen=True, kw_only=True):
    """A returned need, completed."""

    body: NeedBody
    item_codes: Annotated[tuple[str, ...], Meta(max_length=5)] = ()
    wanted_by: date | None = None
    contact_name: PersonName
    contact_phone: Phone


class Reason(Struct, frozen=True):
    """Why; somebody has to act on it."""

    note: Note


class Remark(Struct, frozen=True):
    """Why, if one likes to say."""

    note: Annotated[str, Meta(max_length=NOTE_LIMIT)] = ""


class Shown(Struct, frozen=True, kw_only=True):
    """What showing one need takes."""

    request: AppRequest
    tx: Transaction
    deadlines: Deadlines
    catalogue: Catalogue
    need_id: int


async def provide_shown(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> Shown:
    """For the handlers of one need."""
    # One after the other: injected, they would be fetched at once, and a connection does one thing at a time.
    held = services(request)
    return Shown(
        request=request,
        tx=tx,
        deadlines=await held.deadlines.get(tx),
        catalogue=await held.catalogue.get(tx),
        need_id=need_id,
    )


@get("/needs", guards=[allow()])
async def listing(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    cursor: FromQuery[str | None] = None,
) -> Template:
    """The needs one may see, newest first."""
    before = read_cursor(cursor, int)
    rows = await queries.visible_rows(tx, actor_of(request), state=None, before=before, limit=ROWS + 1)
    found = page_of(rows, ROWS, lambda row: row.id)
    return page("needs/list.html", found=found, calendar=deadlines.calendar, role=actor_of(request).role)


@get("/needs/{need_id:int}", guards=[allow()])
async def show(shown: NamedDependency[Shown]) -> Template:
    """One need: to staff the place where they decide, to the others its story and what is next."""
    if actor_of(shown.request).role in STAFF:
        return await work_page(shown.request, shown.tx, shown.deadlines, shown.need_id)
    return await _page(shown)


@post("/needs/{need_id:int}/contact", guards=[allow(Role.COORDINATOR, Role.INSTITUTION, Role.ADMIN)])
async def reveal(shown: NamedDependency[Shown]) -> Redirect:
    """Show the contact, to this account and for a while; that it was asked for is recorded."""
    await service.reveal(shown.tx, actor_of(shown.request), shown.need_id)
    return go(f"/needs/{shown.need_id}#contact")


@post("/needs/{need_id:int}/resubmit", guards=FILERS)
async def resubmit(shown: NamedDependency[Shown], data: Form) -> Redirect:
    """Complete a returned need."""

    async def act() -> None:
        form = decode(Completion, data, HINTS)
        submission = Submission(
            body=form.body,
            item_codes=form.item_codes,
            wanted_by=form.wanted_by,
            contact_name=form.contact_name,
            contact_phone=form.contact_phone,
        )
        await services(shown.request).pressure.admit(shown.tx, person=True)
        await service.resubmit(shown.tx, actor_of(shown.request), shown.need_id, submission, shown.deadlines)

    return await _act(shown, act, "resubmit", data)


@post("/needs/{need_id:int}/confirm", guards=FILERS)
async def confirm(shown: NamedDependency[Shown]) -> Redirect:
    """Accept the result."""
    return await _act(shown, lambda: matches.confirm(shown.tx, actor_of(shown.request), shown.need_id), "confirm", {})


@post("/needs/{need_id:int}/rework", guards=FILERS)
async def rework(shown: NamedDependency[Shown], data: Form) -> Redirect:
    """Ask the institution to go on."""

    async def act() -> None:
        await matches.rework(
            shown.tx, actor_of(shown.request), shown.need_id, decode(Reason, data).note, shown.deadlines
        )

    return await _act(shown, act, "rework", data)


@post("/needs/{need_id:int}/withdraw", guards=FILERS)
async def withdraw(shown: NamedDependency[Shown], data: Form) -> Redirect:
    """Take the need back."""

    async def act() -> None:
        await matches.withdraw(shown.tx, actor_of(shown.request), shown.need_id, decode(Remark, data).note)

    return await _act(shown, act, "withdraw", data)


async def _act(shown: Shown, act: Act, form: str, typed: Mapping[str, Any]) -> Redirect:
    """Do it and show the need; or show it with what is wrong, and what was typed."""
    try:
        await act()
    except DomainError as error:
        raise await refused(shown, error, form=form, typed=typed) from None
    return go(f"/needs/{shown.need_id}")


async def refused(shown: Shown, error: DomainError, *, form: str, typed: Mapping[str, Any]) -> Rejected:
    """The need's page with what is wrong, and what was typed in the form of that name."""
    await start_over(shown.tx)
    return Rejected(await _page(shown, form=form, typed=typed, error=error))


async def _page(
    shown: Shown, *, form: str = "", typed: Mapping[str, Any] | None = None, error: DomainError | None = None
) -> Template:
    actor, asked = actor_of(shown.request), shown.request.query_params
    need = await service.show(shown.tx, actor, shown.need_id)
    match = await matches.current(shown.tx, actor, need)
    codes = dict.fromkeys((*need.item_codes, *need.understanding.item_codes))
    return page(
        "needs/show.html",
        status=error.status if error else 200,
        need=need,
        match=match,
        role=actor.role,
        outlook=outlook(need, match, actor.role),
        allowed=allowed(need, actor.role),
        events=await service.history(shown.tx, actor, need),
        items={code: shown.catalogue.item_names[code] for code in codes},
        calendar=shown.deadlines.calendar,
        clocks=await service.clocks(shown.tx, actor, need),
        rated=await at_need(shown.tx, actor, need),
        talk=await conversation(shown.tx, actor, need),
        views=await personal.views(shown.tx, need.enterprise_id, need.id) if actor.role is Role.ENTERPRISE else [],
        key=one_time_key(),
        form=form,
        values=typed or msgspec.structs.asdict(need),
        errors=error.fields if error else {},
        notice=("bad", error.detail) if error else ("info", _(AGAIN)) if "again" in asked else None,
    )


def router() -> Router:
    """The routes, for market.pages."""
    return Router(
        "/",
        route_handlers=[listing, show, reveal, resubmit, confirm, rework, withdraw],
        dependencies={"shown": Provide(provide_shown)},
        include_in_schema=False,
    )
