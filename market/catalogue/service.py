"""Use cases of the catalogue."""

import msgspec

from infra.db import Transaction
from market.catalogue import queries
from market.catalogue.model import ServiceItem
from market.errors import NotFound


async def find(tx: Transaction, code: str, version: int | None = None) -> ServiceItem:
    """The item in that version, or in the one now in force.

    Raises:
        NotFound: there is none.
    """
    item = await queries.item(tx, code, version)
    if item is None:
        raise NotFound
    return item


async def revise(tx: Transaction, item: ServiceItem) -> bool:
    """Store ``item`` as a new version, unless it is as it was; whether it was stored."""
    now = await queries.item(tx, item.code)
    if now is not None and item == msgspec.structs.replace(now, version=item.version):
        return False
    await queries.add_version(tx, item)
    return True
