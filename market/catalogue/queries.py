"""All SQL of service items."""

from infra.db import Transaction, many, one_or_none
from market.catalogue.model import ServiceItem

COLUMNS = """
SELECT i.code, v.version, i.number, v.name, v.item_group, v.item_list, v.rights, v.stages, v.aliases, v.guide, v.fee,
       v.handlers, v.statutory_limit, v.promised_limit
FROM service_items i JOIN service_item_versions v ON v.item_code = i.code
"""
ITEMS = f"{COLUMNS} AND v.version = i.version ORDER BY i.number"
ITEM = f"{COLUMNS} AND v.version = coalesce($2::integer, i.version) WHERE i.code = $1"
ADD = """
WITH item AS (
    INSERT INTO service_items (code, number, version) VALUES ($1, $2, 1)
    ON CONFLICT (code) DO UPDATE SET version = service_items.version + 1, number = excluded.number
    RETURNING code, version
)
INSERT INTO service_item_versions (item_code, version, name, item_group, item_list, rights, stages, aliases, guide, fee,
                                   handlers, statutory_limit, promised_limit)
SELECT code, version, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 FROM item RETURNING version
"""
STAMP = "SELECT stamp FROM catalogue_stamp"


async def items(tx: Transaction) -> list[ServiceItem]:
    """All items in the version now in force, in the order of their list."""
    return many(ServiceItem, await tx.fetch(ITEMS))


async def item(tx: Transaction, code: str, version: int | None = None) -> ServiceItem | None:
    """The item in that version, or in the one now in force."""
    return one_or_none(ServiceItem, await tx.fetchrow(ITEM, code, version))


async def add_version(tx: Transaction, item: ServiceItem) -> int:
    """Store the item as its next version (the first, for a new code); the version's number."""
    version: int = await tx.fetchval(
        ADD,
        item.code,
        item.number,
        item.name,
        item.item_group,
        item.item_list,
        item.rights,
        item.stages,
        item.aliases,
        item.guide,
        item.fee,
        item.handlers,
        item.statutory_limit,
        item.promised_limit,
    )
    return version


async def stamp(tx: Transaction) -> int:
    """Grows whenever an item, or what is published under one, changes."""
    value: int = await tx.fetchval(STAMP)
    return value
