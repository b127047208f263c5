"""All SQL of the working-day calendar."""

from datetime import date

from infra.db import Transaction
from market.calendars.model import Calendar

DAYS = "SELECT day, working FROM calendar_days"
HORIZON = "SELECT coalesce(make_date(max(year), 12, 31), '0001-01-01') FROM calendar_years"


async def calendar(tx: Transaction) -> Calendar:
    """All announced days. With no year announced every due day is provisional."""
    days = {row["day"]: row["working"] for row in await tx.fetch(DAYS)}
    horizon: date = await tx.fetchval(HORIZON)
    return Calendar(days=days, horizon=horizon)
