"""JSON routes of ratings and rectifications. What is published is public."""

from typing import Annotated

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Struct

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.catalogue import service as catalogue
from market.data import RatingLevelData
from market.institutions import service as institutions
from market.matches.model import Remark
from market.ratings import queries, rectification, service
from market.ratings.figures import Figures, ItemTally, Tally, figures
from market.ratings.model import (
    Finding,
    LaterRemark,
    Place,
    PublishedRating,
    Rating,
    RatingFilter,
    RatingForm,
    Revisit,
    Ruling,
    Step,
    place,
)
from market.ratings.scale import SCALE
from market.ratings.suspicion import Hint
from market.web import AppRequest, Page, PageSize, PathId, actor_of, address_hash, once, page_of, read_cursor

PARTY = [allow(Role.ENTERPRISE, Role.CLERK)]
RATED = [allow(Role.INSTITUTION)]
NODE = [allow(Role.COORDINATOR)]


class ItemFigures(Struct, frozen=True, kw_only=True):
    """How one institution's service of one item was rated."""

    institution_id: int
    institution_name: str
    item_code: str
    item_name: str
    figures: Figures


class Satisfaction(Struct, frozen=True, kw_only=True):
    """How an institution, or an item, was rated: altogether, and by item, or by institution."""

    overall: Figures
    rows: list[ItemFigures]


def _satisfaction(rows: list[ItemTally]) -> Satisfaction:
    found = [
        ItemFigures(
            institution_id=row.institution_id,
            institution_name=row.institution_name,
            item_code=row.item_code,
            item_name=row.item_name,
            figures=figures(Tally(row.counts)),
        )
        for row in rows
    ]
    return Satisfaction(overall=figures(service.overall(rows)), rows=found)


# public --------------------------------------------------------------------------------------------------------------


@get("/ratings/scale", summary="Show the scale of ratings")
async def scale() -> list[RatingLevelData]:
    """The five levels with the indicators that can be ticked, for services asked for online and at a counter."""
    return list(SCALE)


@get("/institutions/{institution_id:int}/satisfaction", summary="Show how an institution was rated")
async def of_institution(tx: NamedDependency[Transaction], institution_id: PathId) -> Satisfaction:
    """Counts by level, mean, and the mean as if ten ratings of 满意 had come first; by item."""
    await institutions.find(tx, institution_id)
    return _satisfaction(await service.by_item(tx, institution_id))


@get("/items/{code:str}/satisfaction", summary="Show how an item's services were rated")
async def of_item(tx: NamedDependency[Transaction], code: FromPath[str]) -> Satisfaction:
    """As for an institution; by institution, the best first by the smoothed mean."""
    await catalogue.find(tx, code)
    return _satisfaction(await service.by_institution(tx, code))


@get("/institutions/{institution_id:int}/ratings", summary="List an institution's published ratings")
async def published(
    tx: NamedDependency[Transaction],
    institution_id: PathId,
    item_code: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageSize = 20,
) -> Page[PublishedRating]:
    """What was said and answered, newest first; never by whom."""
    await institutions.find(tx, institution_id)
    before = read_cursor(cursor, int)
    rows = await queries.published(tx, institution_id, item_code=item_code, before=before, limit=limit + 1)
    return page_of(rows, limit, lambda row: row.id)


# whoever was served --------------------------------------------------------------------------------------------------


@post("/needs/{need_id:int}/rating", guards=PARTY, summary="Rate a service")
async def rate(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
    data: JSONBody[RatingForm],
) -> Response[Rating]:
    """Rate the service that ended a need, once; a clerk for somebody at the counter."""
    actor, source = actor_of(request), address_hash(request)
    return await once(
        request,
        tx,
        lambda: service.rate(tx, actor, need_id, data, deadlines, source),
        status=201,
        at=f"/api/v1/needs/{need_id}/rating",
    )


@get("/needs/{need_id:int}/rating", guards=[allow()], summary="Show a need's rating")
async def of_need(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> Rating:
    """The rating of the service that ended a need; 404 where there is none, or none that you are told of."""
    return await service.own(tx, actor_of(request), need_id)


@post("/needs/{need_id:int}/rating/remark", status_code=200, guards=PARTY, summary="Add a later remark")
async def add_remark(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
    data: JSONBody[LaterRemark],
) -> Response[Rating]:
    """Add to your rating, once (追评)."""
    actor = actor_of(request)
    return await once(request, tx, lambda: service.add_remark(tx, actor, need_id, data.remark, deadlines))


# the rated, and the node ---------------------------------------------------------------------------------------------


@get("/ratings", guards=[allow(Role.INSTITUTION, Role.COORDINATOR, Role.ADMIN)], summary="List ratings")
async def listing(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    wanted: Annotated[RatingFilter, QueryParameter(name="filter")] = RatingFilter.ALL,
    cursor: FromQuery[str | None] = None,
    limit: PageSize = 20,
) -> Page[Rating]:
    """Your institution's ratings, or those of your region; what waits for somebody by deadline, else newest first."""
    after = read_cursor(cursor, Place)
    return page_of(await service.listing(tx, actor_of(request), wanted, after, limit + 1), limit, place)


@get("/ratings/{rating_id:int}", guards=[allow()], summary="Show a rating")
async def show(request: AppRequest, tx: NamedDependency[Transaction], rating_id: PathId) -> Rating:
    """One rating with its rectification."""
    return await service.find(tx, actor_of(request), rating_id)


@get("/ratings/{rating_id:int}/events", guards=[allow()], summary="Show a rating's history")
async def history(request: AppRequest, tx: NamedDependency[Transaction], rating_id: PathId) -> list[Step]:
    """Every step of the rating and its rectification that you are told of, oldest first."""
    return await service.history(tx, actor_of(request), rating_id)


@get("/ratings/suspicions", guards=[allow(Role.COORDINATOR, Role.ADMIN)], summary="List suspicious patterns")
async def suspicions(request: AppRequest, tx: NamedDependency[Transaction]) -> list[Hint]:
    """Patterns of the last half year that a person should look at; nothing is done by them."""
    return await service.suspicions(tx, actor_of(request))


@post("/ratings/{rating_id:int}/reply", status_code=200, guards=RATED, summary="Reply to a rating")
async def reply(
    request: AppRequest, tx: NamedDependency[Transaction], rating_id: PathId, data: JSONBody[Remark]
) -> Response[Rating]:
    """Answer a rating of your institution, once, for everybody to read."""
    return await once(request, tx, lambda: service.reply(tx, actor_of(request), rating_id, data.note))


@post("/ratings/{rating_id:int}/report", status_code=200, guards=RATED, summary="Report a rating")
async def report(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    rating_id: PathId,
    data: JSONBody[Remark],
) -> Response[Rating]:
    """Put a rating before the coordinator as abuse, once; it stays public until the ruling, which has a limit."""
    actor = actor_of(request)
    return await once(request, tx, lambda: service.report(tx, actor, rating_id, data.note, deadlines))


@post("/ratings/{rating_id:int}/rule", status_code=200, guards=NODE, summary="Rule on a reported rating")
async def rule(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    rating_id: PathId,
    data: JSONBody[Ruling],
) -> Response[Rating]:
    """Keep a reported rating, or withhold it from the public and the figures; it stays on record either way."""
    actor = actor_of(request)
    return await once(request, tx, lambda: service.rule(tx, actor, rating_id, data, deadlines))


@post("/ratings/{rating_id:int}/verify", status_code=200, guards=NODE, summary="Verify a bad rating")
async def verify(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    rating_id: PathId,
    data: JSONBody[Finding],
) -> Response[Rating]:
    """Say what you found: the institution is to rectify, or there is nothing to rectify."""
    actor = actor_of(request)
    return await once(request, tx, lambda: rectification.verify(tx, actor, rating_id, data, deadlines))


@post("/ratings/{rating_id:int}/rectify", status_code=200, guards=RATED, summary="Report a rectification done")
async def rectify(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    rating_id: PathId,
    data: JSONBody[Remark],
) -> Response[Rating]:
    """Say what your institution has done."""
    actor = actor_of(request)
    return await once(request, tx, lambda: rectification.rectify(tx, actor, rating_id, data.note, deadlines))


@post("/ratings/{rating_id:int}/answer", status_code=200, guards=RATED, summary="Answer after a rectification")
async def answer(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    rating_id: PathId,
    data: JSONBody[Remark],
) -> Response[Rating]:
    """Tell whoever rated what has been done; everybody reads it with the rating."""
    actor = actor_of(request)
    return await once(request, tx, lambda: rectification.answer(tx, actor, rating_id, data.note, deadlines))


@post(
    "/ratings/{rating_id:int}/revisit",
    status_code=200,
    guards=[allow(Role.ENTERPRISE, Role.CLERK, Role.COORDINATOR)],
    summary="Say whether a rectification satisfies",
)
async def revisit(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    rating_id: PathId,
    data: JSONBody[Revisit],
) -> Response[Rating]:
    """Satisfied now, or not: the first time it goes back to the institution, then it stays on record."""
    actor = actor_of(request)
    return await once(request, tx, lambda: rectification.revisit(tx, actor, rating_id, data, deadlines))


@post("/ratings/{rating_id:int}/close", status_code=200, guards=NODE, summary="Close a rectification")
async def close(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    rating_id: PathId,
    data: JSONBody[Remark],
) -> Response[Rating]:
    """Close it after the revisit, or once nobody has answered that within its time limit."""
    actor = actor_of(request)
    return await once(request, tx, lambda: rectification.close(tx, actor, rating_id, data.note, deadlines))


def router() -> Router:
    """The routes, for create_app."""
    return Router(
        "/",
        route_handlers=[
            *(scale, of_institution, of_item, published),
            *(rate, of_need, add_remark),
            *(listing, show, history, reply, report),
            *(suspicions, rule),
            *(verify, rectify, answer, revisit, close),
        ],
        tags=["ratings"],
    )
