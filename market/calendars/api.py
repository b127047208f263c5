"""JSON routes of calendars. What holds is public: everybody can count after us."""

from datetime import date, time
from typing import Annotated

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter
from msgspec import Meta, Struct

from infra.db import Transaction, start_over
from market.accounts.model import Role
from market.auth import allow
from market.calendars import queries
from market.calendars.model import NamedDay
from market.calendars.service import Deadlines
from market.deadlines.announcement import Announced, announce
from market.regions.model import NATION
from market.web import AppRequest, actor_of, once

Year = Annotated[int, QueryParameter(ge=2000, le=2100)]


class YearOfRegion(Struct, frozen=True, kw_only=True):
    """A region's calendar: days that differ from Monday to Friday, business hours, and the last announced day."""

    region_code: str
    year: int
    days: list[NamedDay]
    opens: time
    closes: time
    announced_to: date


@get("/calendar", summary="Show a region's calendar")
async def calendar(
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    year: Year,
    region_code: FromQuery[str] = NATION,
) -> YearOfRegion:
    """What counts as a working day in the region, by its own notices and those of the regions above it."""
    found = deadlines.calendar(region_code)
    return YearOfRegion(
        region_code=region_code,
        year=year,
        days=await queries.named(tx, region_code, year),
        opens=found.hours.opens,
        closes=found.hours.closes,
        announced_to=found.horizon,
    )


class CalendarFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A CSV or JSON of days, as `zhipei import --kind calendar` reads it."""

    text: Annotated[str, Meta(min_length=1, max_length=200_000)]


@post(
    "/calendar/preview",
    status_code=200,
    guards=[allow(Role.COORDINATOR, Role.ADMIN)],
    summary="Try a notice of days off",
)
async def preview(
    request: AppRequest, tx: NamedDependency[Transaction], data: JSONBody[CalendarFile]
) -> Response[Announced]:
    """Which days would change, and which open deadlines would move; nothing is stored."""
    actor = actor_of(request)

    async def act() -> Announced:
        found = await announce(tx, actor, data.text.encode(), "text")
        await start_over(tx)
        return found

    return await once(request, tx, act)


@post("/calendar/days", status_code=200, guards=[allow(Role.COORDINATOR, Role.ADMIN)], summary="Announce days off")
async def announcement(
    request: AppRequest, tx: NamedDependency[Transaction], data: JSONBody[CalendarFile]
) -> Response[Announced]:
    """Store days of your region, all or none. Deadlines that run are counted again, and never due earlier."""
    actor = actor_of(request)
    return await once(request, tx, lambda: announce(tx, actor, data.text.encode(), "text"))


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[calendar, preview, announcement], tags=["calendar"])
