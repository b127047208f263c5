"""All SQL of the working-day calendars and business hours."""

from collections import defaultdict
from datetime import date

from infra.db import Transaction, many
from market.calendars.model import Calendars, Hours, NamedDay

STAMP = "SELECT stamp FROM calendar_stamp"
DAYS = "SELECT region_code, day, working FROM calendar_days"
HOURS = "SELECT region_code, opens, closes FROM business_hours"
# $1: a region. Of each day the notice of the nearest region above it, or of itself.
NAMED = """
SELECT DISTINCT ON (day) day, working, name, region_code FROM calendar_days
WHERE starts_with($1::text, region_prefix(region_code)) AND day BETWEEN make_date($2, 1, 1) AND make_date($2, 12, 31)
ORDER BY day, length(region_prefix(region_code)) DESC
"""
HORIZON = "SELECT coalesce(make_date(max(year), 12, 31), '0001-01-01') FROM calendar_years"
YEARS = "SELECT year, source FROM calendar_years ORDER BY year"
SET_HOURS = """
INSERT INTO business_hours (region_code, opens, closes) VALUES ($1, $2, $3)
ON CONFLICT (region_code) DO UPDATE SET opens = excluded.opens, closes = excluded.closes
"""


async def calendars(tx: Transaction) -> Calendars:
    """All announced days and business hours. With no year announced every due day is provisional."""
    # The stamp first: what changes while the rest is read belongs to the next edition and is counted again.
    stamp: int = await tx.fetchval(STAMP)
    days: dict[str, dict[date, bool]] = defaultdict(dict)
    for row in await tx.fetch(DAYS):
        days[row["region_code"]][row["day"]] = row["working"]
    hours = {row["region_code"]: Hours(row["opens"], row["closes"]) for row in await tx.fetch(HOURS)}
    horizon: date = await tx.fetchval(HORIZON)
    return Calendars(stamp=stamp, days=dict(days), hours=hours, horizon=horizon)


async def named(tx: Transaction, region_code: str, year: int) -> list[NamedDay]:
    """The days of a year that notices name, as they hold in the region."""
    return many(NamedDay, await tx.fetch(NAMED, region_code, year))


async def years(tx: Transaction) -> dict[int, str]:
    """The years that were announced, each with its notice."""
    return {row["year"]: row["source"] for row in await tx.fetch(YEARS)}


async def lock(tx: Transaction) -> int:
    """The edition of the calendars, which nobody changes until the transaction ends."""
    stamp: int = await tx.fetchval(f"{STAMP} FOR UPDATE")
    return stamp


async def set_hours(tx: Transaction, region_code: str, hours: Hours) -> None:
    """The region's own business hours from now on."""
    await tx.execute(SET_HOURS, region_code, hours.opens, hours.closes)
