"""Use cases of exporting: an export as pieces of a file, read a page at a time."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from infra.db import Transaction
from market.catalogue import queries as catalogue
from market.exporting import hsds, queries, tables
from market.exporting.model import KINDS, Format, What
from market.exporting.tables import Row
from market.regions import queries as regions
from market.regions.model import Region

ROWS = 500
"""Read by one statement."""

Reading = Callable[[], AbstractAsyncContextManager[Transaction]]
"""Opens a transaction for one page: a new one each time, so that whoever downloads slowly holds no connection; or the
same each time, for an export of one moment."""
Pages = AsyncIterator[list[Any]]


async def pieces(reading: Reading, what: What, form: Format, address: str) -> AsyncIterator[bytes]:
    """The file, piece by piece. ``address``: of the site, for links."""
    kind = KINDS[what]
    if form is Format.CSV:
        yield tables.csv_header(kind).encode()
        async for rows in _rows(reading, what):
            yield "".join(tables.csv_line(kind, row) for row in rows).encode()
        return
    yield b"["
    separator = b"\n"
    async for objects in _hsds(reading, what, address) if form is Format.HSDS else _rows(reading, what):
        told = [tables.json_row(kind, row) for row in objects] if form is Format.JSON else objects
        if told:
            yield separator + b",\n".join(msgspec.json.encode(one) for one in told)
            separator = b",\n"
    yield b"\n]\n"


async def _rows(reading: Reading, what: What) -> AsyncIterator[list[Row]]:
    async with reading() as tx:
        items = await catalogue.items(tx)
        owners = await queries.institutions_by_id(tx, [one.institution_id for one in items if one.institution_id])
    if what is What.LISTS:
        yield [tables.item_row(one, {owner.id: owner.uscc for owner in owners.values()}) for one in items]
    elif what is What.INSTITUTIONS:
        async for institutions in _pages(reading, queries.institutions):
            yield [tables.institution_row(one) for one in institutions]
    else:
        async for offerings in _pages(reading, queries.offerings):
            async with reading() as tx:
                known = await queries.institutions_by_id(tx, [one.institution_id for one in offerings])
            yield [tables.offering_row(one, {owner.id: owner.uscc for owner in known.values()}) for one in offerings]


async def _hsds(reading: Reading, what: What, address: str) -> AsyncIterator[list[hsds.Object]]:
    if what is What.LISTS:
        async with reading() as tx:
            items = await catalogue.items(tx)
        yield [hsds.item(one, address) for one in items]
    elif what is What.INSTITUTIONS:
        async for institutions in _pages(reading, queries.institutions):
            async with reading() as tx:
                known = await regions.above(tx, [one.region_code for one in institutions])
            yield [hsds.organization(one, known, address) for one in institutions]
    else:
        async for offerings in _pages(reading, queries.offerings):
            async with reading() as tx:
                owners = await queries.institutions_by_id(tx, [one.institution_id for one in offerings])
                places = await _places(tx, offerings, owners)
            yield [hsds.service(one, owners[one.institution_id], places, address) for one in offerings]


async def _places(tx: Transaction, offerings: list[Any], owners: Mapping[int, Any]) -> dict[str, Region]:
    served = {code for one in offerings for code in one.region_codes}
    return await regions.above(tx, served | {owner.region_code for owner in owners.values()})


async def _pages(reading: Reading, page: Callable[[Transaction, int, int], Any]) -> Pages:
    after = 0
    while True:
        async with reading() as tx:
            rows = await page(tx, after, ROWS)
        if not rows:
            return
        yield rows
        after = rows[-1].id
