"""All SQL of service items."""

from datetime import date, datetime

from msgspec import Struct

from infra.db import Transaction, many, one_or_none
from market.catalogue.model import ItemContent, ServiceItem

COLUMNS = """
SELECT i.code, v.version, i.number, v.name, v.item_group, v.item_list, v.rights, v.stages, v.aliases, v.guide, v.fee,
       v.handlers, v.statutory_limit, v.promised_limit, i.institution_id, n.name AS institution_name,
       coalesce(v.effective_from, (v.created_at AT TIME ZONE 'Asia/Shanghai')::date) AS effective_from,
       v.effective_until, i.withdrawn_on
FROM service_items i JOIN service_item_versions v ON v.item_code = i.code
LEFT JOIN institutions o ON o.id = i.institution_id
LEFT JOIN institution_versions n ON n.institution_id = o.id AND n.version = o.version
"""
ITEMS = f"{COLUMNS} WHERE v.version = i.version AND i.withdrawn_on IS NULL ORDER BY i.number"
WITHDRAWN = f"""{COLUMNS}
WHERE v.version = i.version AND i.withdrawn_on IS NOT NULL ORDER BY i.withdrawn_on DESC, i.number
"""
OF_INSTITUTION = f"{COLUMNS} WHERE v.version = i.version AND i.institution_id = $1 ORDER BY i.number"
ITEM = f"{COLUMNS} WHERE i.code = $1 AND v.version = coalesce($2::integer, i.version)"
VERSIONS = f"{COLUMNS} WHERE i.code = $1 ORDER BY v.version DESC"
# A new code without a number comes last; whoever asks for that holds the stamp, so that no two get the same.
ADD = """
WITH item AS (
    INSERT INTO service_items (code, number, version, institution_id)
    VALUES ($1, coalesce($2, (SELECT coalesce(max(number), 0) + 1 FROM service_items)), 1, $14)
    ON CONFLICT (code) DO UPDATE
    SET version = service_items.version + 1, number = coalesce($2, service_items.number), withdrawn_on = NULL
    RETURNING code, version
)
INSERT INTO service_item_versions (item_code, version, name, item_group, item_list, rights, stages, aliases, guide, fee,
                                   handlers, statutory_limit, promised_limit, effective_from, effective_until)
SELECT code, version, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $15, $16 FROM item RETURNING version
"""
# What is offered under the item is not found any more; matches that run keep their versions and go on.
WITHDRAW = """
WITH gone AS (
    UPDATE service_items SET withdrawn_on = $2 WHERE code = $1 AND withdrawn_on IS NULL RETURNING code
)
UPDATE offerings SET state = 'paused' FROM gone WHERE item_code = gone.code AND state = 'published'
"""
EXPIRED = """
SELECT i.code FROM service_items i JOIN service_item_versions v ON v.item_code = i.code AND v.version = i.version
WHERE i.withdrawn_on IS NULL AND v.effective_until < $1 ORDER BY i.code
"""
STAMP = "SELECT stamp FROM catalogue_stamp"
HOLD = "SELECT stamp FROM catalogue_stamp FOR UPDATE"
EDITION = "SELECT stamp, moved_at FROM catalogue_stamp"


class Edition(Struct, frozen=True):
    """The state of all that is published: a number that grows with every change, and when it last did."""

    stamp: int
    moved_at: datetime


async def items(tx: Transaction) -> list[ServiceItem]:
    """All items in force, in the order of their list."""
    return many(ServiceItem, await tx.fetch(ITEMS))


async def withdrawn(tx: Transaction) -> list[ServiceItem]:
    """Items that are not in force any more, the latest first."""
    return many(ServiceItem, await tx.fetch(WITHDRAWN))


async def of_institution(tx: Transaction, institution_id: int) -> list[ServiceItem]:
    """The institution's specific list, withdrawn items too."""
    return many(ServiceItem, await tx.fetch(OF_INSTITUTION, institution_id))


async def item(tx: Transaction, code: str, version: int | None = None) -> ServiceItem | None:
    """The item in that version, or in its newest; in force or withdrawn."""
    return one_or_none(ServiceItem, await tx.fetchrow(ITEM, code, version))


async def versions(tx: Transaction, code: str) -> list[ServiceItem]:
    """Every version, newest first."""
    return many(ServiceItem, await tx.fetch(VERSIONS, code))


async def add_version(
    tx: Transaction,
    code: str,
    content: ItemContent,
    *,
    number: int | None = None,
    institution_id: int | None = None,
    effective_from: date | None = None,
    effective_until: date | None = None,
) -> int:
    """Store the item's next version (the first, for a new code) and put it in force; the version's number.

    ``number``: its place in the list; None: where it is, a new one last. ``institution_id``: whose specific list a new
    item is on. ``effective_from`` None: today.
    """
    version: int = await tx.fetchval(
        ADD,
        code,
        number,
        content.name,
        content.item_group,
        content.item_list,
        content.rights,
        content.stages,
        content.aliases,
        content.guide,
        content.fee,
        content.handlers,
        content.statutory_limit,
        content.promised_limit,
        institution_id,
        effective_from,
        effective_until,
    )
    return version


async def withdraw(tx: Transaction, code: str, day: date) -> None:
    """The item is in force no longer from ``day`` on; a second time changes nothing."""
    await tx.execute(WITHDRAW, code, day)


async def expired(tx: Transaction, day: date) -> list[str]:
    """Codes of items whose last day has passed on ``day``."""
    return [row["code"] for row in await tx.fetch(EXPIRED, day)]


async def stamp(tx: Transaction) -> int:
    """Grows whenever an item, or what is published under one, changes."""
    value: int = await tx.fetchval(STAMP)
    return value


async def hold_stamp(tx: Transaction) -> None:
    """Let nobody else change what is published until this transaction ends."""
    await tx.execute(HOLD)


async def edition(tx: Transaction) -> Edition:
    """For whoever keeps a copy of what is published."""
    return many(Edition, await tx.fetch(EDITION))[0]
