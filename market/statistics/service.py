"""The public statistics, read at most every few minutes."""

import asyncio
import time
from collections.abc import Mapping
from datetime import date, datetime

from infra.db import Transaction
from market.calendars.model import ZONE
from market.catalogue.model import ChainStage, RightKind
from market.ledger.figures import Figures, total
from market.regions import queries as regions
from market.regions.model import Region
from market.statistics import model, queries
from market.statistics.model import Name, Statistics

SECONDS = 300
"""So old may figures be. They are of whole months: within one they change with corrections and the catalogue only."""


class StatisticsSource:
    """Keeps them in memory, for anybody may ask, and counting a year of needs takes a while."""

    def __init__(self) -> None:
        self._current: Statistics | None = None
        self._read_at = 0.0
        self._reading = asyncio.Lock()

    async def get(self, tx: Transaction) -> Statistics:
        """Statistics read at most SECONDS ago. Only one request reads; those that come meanwhile get the last ones."""
        if self._current is not None and self._reading.locked():
            return self._current
        async with self._reading:
            if self._current is None or time.monotonic() - self._read_at > SECONDS:
                self._current = await read(tx, datetime.now(ZONE).date())
                self._read_at = time.monotonic()
            return self._current


async def read(tx: Transaction, today: date) -> Statistics:
    """Statistics as they are now."""
    periods = model.months(today)
    codes = [one.code for one in periods]
    came = await queries.needs(tx, periods[0].first_day, periods[-1].end)
    worked = await queries.work(tx, codes)
    by_month = {code: worked.get(code, Figures()) for code in codes}
    cells = await queries.offerings(tx)
    places = await regions.above(tx, [cell.region_code for cell in cells])
    offered = await queries.count_offerings(tx)
    return Statistics(
        since=codes[0],
        until=codes[-1],
        statistics=(
            model.counted(Name.NEEDS, {code: came["month"].get(code, 0) for code in codes}),
            model.counted(Name.STAGES, {stage.value: came["stage"].get(stage, 0) for stage in ChainStage}),
            model.counted(Name.RIGHTS, {right.value: came["right"].get(right, 0) for right in RightKind}),
            model.on_time(by_month),
            model.satisfaction(by_month, total(by_month.values())),
            model.offered(cells, {code: _name(one, places) for code, one in places.items()}, offered),
            model.registered(await queries.institutions(tx)),
        ),
    )


def _name(place: Region, places: Mapping[str, Region]) -> str:
    """A city's name; the districts of a municipality are a city that has none."""
    named = place.name != "市辖区"  # not translated: as the official list has it
    return place.name if named else places[place.parent_code or place.code].name
