"""The institution's list of its ratings."""

from collections.abc import Mapping
from typing import Annotated

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Template

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.i18n import Words
from market.ratings import queries, service
from market.ratings.model import RatingFilter
from market.ratings.pages import rows_of
from market.web import AppRequest, actor_of, page

TABS: Mapping[RatingFilter, str] = Words(
    {
        RatingFilter.ALL: "全部",
        RatingFilter.INSTITUTION: "等我处理",
        RatingFilter.REVISIT: "等回访",
        RatingFilter.OVERDUE: "已超期",
        RatingFilter.BAD: "差评",
        RatingFilter.REPORTS: "我的申诉",
    }
)


@get("/desk/ratings", guards=[allow(Role.INSTITUTION)])
async def listing(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    wanted: Annotated[RatingFilter, QueryParameter(name="filter")] = RatingFilter.ALL,
    cursor: FromQuery[str | None] = None,
) -> Template:
    """How the institution was rated, and what is to be done about it."""
    actor = actor_of(request)
    assert actor.institution_id is not None, "accounts' CHECK gives an institution account its institution"
    return page(
        "ratings/desk.html",
        wanted=wanted,
        tabs=TABS,
        counts=await queries.counts(tx, actor),
        found=await rows_of(request, tx, wanted, cursor),
        overall=service.overall(await service.by_item(tx, actor.institution_id)),
        calendar=deadlines.calendar,
    )


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[listing], include_in_schema=False)
