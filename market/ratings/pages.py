"""Pages of ratings: the form on a need's page, what everybody reads, the coordinator's list, one rating."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

from litestar import Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, QueryParameter, URLEncodedBody
from litestar.response import Redirect, Template

from infra.db import Transaction, start_over
from market.accounts.model import Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.catalogue import service as catalogue
from market.errors import Conflict, DomainError, Forbidden, InvalidInput
from market.forms import REQUIRED, decode
from market.i18n import Words, _
from market.institutions import service as institutions
from market.matches.model import Remark
from market.matches.pages import Draft
from market.needs.pages import Shown, provide_shown, refused
from market.ratings import outlook, queries, rectification, service
from market.ratings.model import (
    Finding,
    LaterRemark,
    Place,
    Rating,
    RatingFilter,
    RatingForm,
    Revisit,
    Ruling,
    place,
)
from market.web import (
    AppRequest,
    Page,
    PathId,
    Rejected,
    actor_of,
    address_hash,
    go,
    go_once,
    page,
    page_of,
    read_cursor,
    services,
)

ROWS = 20
Form = dict[str, Any]
PARTY = [allow(Role.ENTERPRISE, Role.CLERK)]
STAFF = [allow(Role.COORDINATOR, Role.ADMIN)]
NODE = [allow(Role.COORDINATOR)]
RATED = [allow(Role.INSTITUTION)]
TABS: Mapping[RatingFilter, str] = Words(
    {
        RatingFilter.NODE: "等我处理",
        RatingFilter.INSTITUTION: "机构整改中",
        RatingFilter.REVISIT: "等回访",
        RatingFilter.OVERDUE: "已超期",
        RatingFilter.BAD: "差评",
        RatingFilter.REPORTS: "申诉",
        RatingFilter.ALL: "全部",
    }
)

# on the need's page --------------------------------------------------------------------------------------------------


@post("/needs/{need_id:int}/rating", guards=PARTY)
async def rate(shown: NamedDependency[Shown], data: URLEncodedBody[Form]) -> Redirect:
    """Rate the service, once however often the button is pressed."""
    actor = actor_of(shown.request)

    async def act() -> str:
        source = address_hash(shown.request)
        await service.rate(shown.tx, actor, shown.need_id, rating_form(data), shown.deadlines, source)
        return f"/needs/{shown.need_id}"

    try:
        return await go_once(shown.tx, actor, data, act)
    except DomainError as error:
        raise await refused(shown, error, form="rating", typed=data) from None


@post("/needs/{need_id:int}/rating/remark", guards=PARTY)
async def add_remark(shown: NamedDependency[Shown], data: URLEncodedBody[Form]) -> Redirect:
    """Add to the rating, once."""
    actor = actor_of(shown.request)

    async def act() -> None:
        await service.add_remark(shown.tx, actor, shown.need_id, decode(LaterRemark, data).remark, shown.deadlines)

    return await _on_need(shown, act, "remark", data)


@post("/needs/{need_id:int}/rating/revisit", guards=PARTY)
async def revisit(shown: NamedDependency[Shown], data: URLEncodedBody[Form]) -> Redirect:
    """Say whether the rectification satisfies."""
    actor = actor_of(shown.request)

    async def act() -> None:
        rating = await service.own(shown.tx, actor, shown.need_id)
        await rectification.revisit(shown.tx, actor, rating.id, revisit_form(data), shown.deadlines)

    return await _on_need(shown, act, "revisit", data)


async def _on_need(shown: Shown, act: Callable[[], Awaitable[None]], form: str, data: Form) -> Redirect:
    try:
        await act()
    except DomainError as error:
        raise await refused(shown, error, form=form, typed=data) from None
    return go(f"/needs/{shown.need_id}")


def rating_form(data: Form) -> RatingForm:
    """The form as posted. Every level has its own reasons: only those of the chosen one were meant."""
    given = data | {"indicators": data.get(f"indicators_{data.get('level')}")}
    try:
        return decode(RatingForm, given)
    except InvalidInput as error:
        raise _reworded(error, "level", _("请先选一个满意程度。")) from None


def revisit_form(data: Form) -> Revisit:
    try:
        return decode(Revisit, data)
    except InvalidInput as error:
        raise _reworded(error, "satisfied", _("请选择满意或不满意。")) from None


def _reworded(error: InvalidInput, field: str, words: str) -> InvalidInput:
    """What is missing from a group of choices is not filled in but chosen."""
    return InvalidInput(fields={n: words if (n, w) == (field, REQUIRED) else w for n, w in error.fields.items()})


# public --------------------------------------------------------------------------------------------------------------


@get("/institutions/{institution_id:int}/ratings")
async def published(
    tx: NamedDependency[Transaction],
    institution_id: PathId,
    item: FromQuery[str] = "",
    cursor: FromQuery[str | None] = None,
) -> Template:
    """What was said of an institution and what it answered, of one item or of all."""
    rows = await queries.published(
        tx, institution_id, item_code=item or None, before=read_cursor(cursor, int), limit=ROWS + 1
    )
    by_item = await service.by_item(tx, institution_id)
    return page(
        "ratings/published.html",
        institution=await institutions.find(tx, institution_id),
        found=page_of(rows, ROWS, lambda row: row.id),
        item=await catalogue.find(tx, item) if item else None,
        by_item=by_item,
        overall=service.overall([one for one in by_item if item in ("", one.item_code)]),
    )


# the coordinator's list ----------------------------------------------------------------------------------------------


@get("/ratings", guards=STAFF)
async def listing(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    wanted: Annotated[RatingFilter, QueryParameter(name="filter")] = RatingFilter.NODE,
    cursor: FromQuery[str | None] = None,
) -> Template:
    """Ratings of the coordinator's region: what waits for somebody, and the others."""
    return page(
        "ratings/list.html",
        wanted=wanted,
        tabs=TABS,
        counts=await queries.counts(tx, actor_of(request)),
        found=await rows_of(request, tx, wanted, cursor),
        calendar=deadlines.calendar,
    )


async def rows_of(request: AppRequest, tx: Transaction, wanted: RatingFilter, cursor: str | None) -> Page[Rating]:
    """One part of a list, as the actor is told of it."""
    after = read_cursor(cursor, Place)
    return page_of(await service.listing(tx, actor_of(request), wanted, after, ROWS + 1), ROWS, place)


@get("/ratings/suspicions", guards=STAFF)
async def suspicions(request: AppRequest, tx: NamedDependency[Transaction]) -> Template:
    """Patterns a person should look at, each with its rule in words."""
    return page("ratings/suspicions.html", hints=await service.suspicions(tx, actor_of(request)))


# one rating ----------------------------------------------------------------------------------------------------------


@get("/ratings/{rating_id:int}", guards=[allow(Role.INSTITUTION, Role.COORDINATOR, Role.ADMIN)])
async def show(request: AppRequest, tx: NamedDependency[Transaction], rating_id: PathId) -> Template:
    """A rating with its rectification, and what may be done now."""
    return await _show(request, tx, rating_id)


async def _show(
    request: AppRequest,
    tx: Transaction,
    rating_id: int,
    *,
    draft: Draft | None = None,
    notice: tuple[str, str] | None = None,
    status: int = 200,
) -> Template:
    actor = actor_of(request)
    rating = await service.find(tx, actor, rating_id)
    deadlines = await services(request).deadlines.get(tx)
    return page(
        "ratings/show.html",
        status=status,
        rating=rating,
        role=actor.role,
        outlook=outlook.outlook(rating, actor.role),
        actions=outlook.actions(rating, actor.role),
        steps=outlook.steps(rating, actor.role),
        events=await service.history(tx, actor, rating_id),
        calendar=deadlines.calendar,
        draft=draft or Draft(),
        notice=notice,
    )


Act = Callable[[Deadlines], Awaitable[Rating]]


@post("/ratings/{rating_id:int}/reply", guards=RATED)
async def reply(
    request: AppRequest, tx: NamedDependency[Transaction], rating_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """Answer a rating for everybody to read."""
    return await _act(
        request,
        tx,
        rating_id,
        "reply",
        data,
        lambda _match: service.reply(tx, actor_of(request), rating_id, _note(data)),
    )


@post("/ratings/{rating_id:int}/report", guards=RATED)
async def report(
    request: AppRequest, tx: NamedDependency[Transaction], rating_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """Put a rating before the coordinator."""
    return await _act(
        request,
        tx,
        rating_id,
        "report",
        data,
        lambda deadlines: service.report(tx, actor_of(request), rating_id, _note(data), deadlines),
    )


@post("/ratings/{rating_id:int}/rule", guards=NODE)
async def rule(
    request: AppRequest, tx: NamedDependency[Transaction], rating_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """Keep a reported rating, or withhold it."""
    actor = actor_of(request)

    async def act(deadlines: Deadlines) -> Rating:
        return await service.rule(tx, actor, rating_id, decode(Ruling, data), deadlines)

    return await _act(request, tx, rating_id, "rule", data, act)


@post("/ratings/{rating_id:int}/verify", guards=NODE)
async def verify(
    request: AppRequest, tx: NamedDependency[Transaction], rating_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """Say what was found."""
    actor = actor_of(request)

    async def act(deadlines: Deadlines) -> Rating:
        return await rectification.verify(tx, actor, rating_id, decode(Finding, data), deadlines)

    return await _act(request, tx, rating_id, "verify", data, act)


@post("/ratings/{rating_id:int}/rectify", guards=RATED)
async def rectify(
    request: AppRequest, tx: NamedDependency[Transaction], rating_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """Say what was done."""
    actor = actor_of(request)

    async def act(deadlines: Deadlines) -> Rating:
        return await rectification.rectify(tx, actor, rating_id, _note(data), deadlines)

    return await _act(request, tx, rating_id, "rectify", data, act)


@post("/ratings/{rating_id:int}/answer", guards=RATED)
async def answer(
    request: AppRequest, tx: NamedDependency[Transaction], rating_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """Tell whoever rated."""
    actor = actor_of(request)

    async def act(deadlines: Deadlines) -> Rating:
        return await rectification.answer(tx, actor, rating_id, _note(data), deadlines)

    return await _act(request, tx, rating_id, "answer", data, act)


@post("/ratings/{rating_id:int}/revisit", guards=NODE)
async def record_revisit(
    request: AppRequest, tx: NamedDependency[Transaction], rating_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """Write down what was said on the telephone."""
    actor = actor_of(request)

    async def act(deadlines: Deadlines) -> Rating:
        return await rectification.revisit(tx, actor, rating_id, revisit_form(data), deadlines)

    return await _act(request, tx, rating_id, "revisit", data, act)


@post("/ratings/{rating_id:int}/close", guards=NODE)
async def close(
    request: AppRequest, tx: NamedDependency[Transaction], rating_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """Close the rectification."""
    actor = actor_of(request)

    async def act(deadlines: Deadlines) -> Rating:
        return await rectification.close(tx, actor, rating_id, _note(data), deadlines)

    return await _act(request, tx, rating_id, "close", data, act)


async def _act(request: AppRequest, tx: Transaction, rating_id: int, form: str, data: Form, act: Act) -> Redirect:
    """Do it and show the rating.

    Raises:
        Rejected: with the rating as it is, what was typed and what stood in the way.
    """
    try:
        await act(await services(request).deadlines.get(tx))
    except (InvalidInput, Conflict, Forbidden) as error:
        await start_over(tx)
        draft = Draft(form=form, values=data, errors=error.fields)
        again = await _show(request, tx, rating_id, draft=draft, notice=("bad", error.detail), status=error.status)
        raise Rejected(again) from None
    return go(f"/ratings/{rating_id}")


def _note(data: Form) -> str:
    return decode(Remark, data).note


def router() -> Router:
    """The routes, for market.pages."""
    return Router(
        "/",
        route_handlers=[
            *(rate, add_remark, revisit),
            *(published, listing, suspicions, show),
            *(reply, report, rule, verify, rectify, answer, record_revisit, close),
        ],
        dependencies={"shown": Provide(provide_shown)},
        include_in_schema=False,
    )
