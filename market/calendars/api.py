"""JSON routes of calendars. Public: everybody can count after us."""

from datetime import date, time
from typing import Annotated

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from infra.db import Transaction
from market.calendars import queries
from market.calendars.model import NamedDay
from market.calendars.service import Deadlines
from market.regions.model import NATION

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


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[calendar], tags=["calendar"])
