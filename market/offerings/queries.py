"""All SQL of offerings."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from infra.db import Transaction, many, one_or_none
from market.catalogue.model import Guide
from market.errors import ItemWithdrawn
from market.offerings.model import Offering, OfferingFilter, OfferingForm, OfferingState

ITEM_WITHDRAWN = "ZP002"

COLUMNS = """
SELECT f.id, v.version, f.state, v.title, v.summary, v.guide, v.item_code, v.item_version, s.name AS item_name,
       s.item_list, s.rights, s.stages, f.institution_id, n.name AS institution_name,
       n.region_code AS institution_region, r.name AS region_name, v.region_codes, v.audience, v.channels, v.fee,
       v.promised_days, f.capacity, f.load, f.rated, i.demo, v.created_at, o.withdrawn_on AS item_withdrawn_on
FROM offerings f JOIN offering_versions v ON v.offering_id = f.id
JOIN service_items o ON o.code = f.item_code
JOIN service_item_versions s ON s.item_code = v.item_code AND s.version = v.item_version
JOIN institutions i ON i.id = f.institution_id
JOIN institution_versions n ON n.institution_id = i.id AND n.version = i.version
JOIN regions r ON r.code = n.region_code
"""
BY_ID = f"{COLUMNS} AND v.version = coalesce($2::integer, f.version) WHERE f.id = $1"
PUBLISHED = (  # not translated: what institutions write
    r"""
    f.version = v.version AND f.state = 'published' AND i.state = 'active'
    AND ($1::text[] IS NULL OR concat_ws(' ', v.title, s.name, n.name, r.name, v.summary) ILIKE ALL ($1::text[]))
    AND ($2::text IS NULL OR v.item_code = $2::text)
    AND ($3::text[] IS NULL OR s.item_list = ANY ($3::text[]))
    AND ($4::text[] IS NULL OR s.rights && $4::text[])
    AND ($5::text[] IS NULL OR s.stages && $5::text[])
    AND ($6::text IS NULL OR EXISTS (
        SELECT FROM unnest(v.region_codes) AS c WHERE starts_with($6::text, region_prefix(c))))
    AND ($7::bigint IS NULL OR f.institution_id = $7::bigint)
    AND ($8::text IS NULL OR starts_with(n.region_code, region_prefix($8::text)))
    AND ($9::text[] IS NULL OR n.kind = ANY ($9::text[]))
    AND ($10::text[] IS NULL OR v.audience && $10::text[] OR ('everyone' = ANY ($10::text[]) AND v.audience = '{}'))
    AND ($11::text[] IS NULL OR v.channels && $11::text[])
    AND ($12::text[] IS NULL OR CASE
        WHEN btrim(v.fee) = '' THEN 'unstated'
        WHEN btrim(v.fee) ~ '免费|不收费|无偿|^0$|^无$'
             AND v.fee !~ '[0-9]\s*元|按.{0,12}(计算|缴纳|收费)|面议|协商' THEN 'free'
        ELSE 'paid' END = ANY ($12::text[]))
    AND ($13::text[] IS NULL OR CASE
        WHEN v.promised_days IS NULL THEN 'unstated' WHEN v.promised_days = 0 THEN 'same_day'
        WHEN v.promised_days <= 5 THEN 'week' WHEN v.promised_days <= 10 THEN 'fortnight'
        WHEN v.promised_days <= 22 THEN 'month' ELSE 'longer' END = ANY ($13::text[]))
"""
)
# What serves while the search engine is away: slower, in no order of merit, but with the same filters.
PAGE = f"""{COLUMNS}
WHERE {PUBLISHED}
ORDER BY f.sort_key LIMIT $14 OFFSET $15
"""
BY_IDS = f"{COLUMNS} AND v.version = f.version WHERE f.id = ANY($1::bigint[])"
OF_INSTITUTION = f"{COLUMNS} AND v.version = f.version WHERE f.institution_id = $1 ORDER BY f.state, f.id DESC"
VERSIONS = f"{COLUMNS} WHERE f.id = $1 ORDER BY v.version DESC"
INSERT = """
INSERT INTO offerings (institution_id, item_code, state, version, capacity) VALUES ($1, $2, $3, 1, $4) RETURNING id
"""
INSERT_VERSION = """
INSERT INTO offering_versions (offering_id, version, item_code, item_version, title, summary, guide, region_codes,
                               audience, channels, fee, promised_days, created_by)
SELECT f.id, f.version, i.code, i.version, $2, $3, $4, $5, $6, $7, $8, $9, $10
FROM offerings f JOIN service_items i ON i.code = f.item_code WHERE f.id = $1
RETURNING version
"""
BUMP = "UPDATE offerings SET version = version + 1 WHERE id = $1 AND version = $2 RETURNING version"
SET_CAPACITY = "UPDATE offerings SET capacity = $2 WHERE id = $1"
SET_STATE = "UPDATE offerings SET state = $2 WHERE id = $1"


async def find(tx: Transaction, offering_id: int, version: int | None = None) -> Offering | None:
    """The offering in that version, or in its current one; in any state."""
    return one_or_none(Offering, await tx.fetchrow(BY_ID, offering_id, version))


async def by_ids(tx: Transaction, offering_ids: list[int]) -> list[Offering]:
    """These offerings in their current versions, in no order."""
    return many(Offering, await tx.fetch(BY_IDS, offering_ids))


async def page(
    tx: Transaction, wanted: OfferingFilter, patterns: list[str] | None, *, limit: int, offset: int = 0
) -> list[Offering]:
    """Published offerings that fit the filter and every LIKE pattern."""
    given = (
        patterns,
        wanted.item_code,
        wanted.item_list or None,
        wanted.right or None,
        wanted.stage or None,
        wanted.region_code,
        wanted.institution_id,
        wanted.within,
        wanted.institution_kind or None,
        wanted.audience or None,
        wanted.channel or None,
        wanted.fee or None,
        wanted.time_limit or None,
    )
    return many(Offering, await tx.fetch(PAGE, *given, limit, offset))


async def of_institution(tx: Transaction, institution_id: int) -> list[Offering]:
    """All offerings of an institution, in any state."""
    return many(Offering, await tx.fetch(OF_INSTITUTION, institution_id))


async def versions(tx: Transaction, offering_id: int) -> list[Offering]:
    """Every version, newest first."""
    return many(Offering, await tx.fetch(VERSIONS, offering_id))


async def insert(tx: Transaction, institution_id: int, item_code: str, state: OfferingState, capacity: int) -> int:
    """The id of a new offering that has no version yet: the transaction must add it.

    Raises:
        ItemWithdrawn: it would be published.
    """
    with _item_in_force():
        offering_id: int = await tx.fetchval(INSERT, institution_id, item_code, state, capacity)
    return offering_id


async def insert_version(
    tx: Transaction, offering_id: int, form: OfferingForm, guide: Guide, created_by: int | None
) -> None:
    """Store what the form says as the offering's current version, under the item's version in force."""
    await tx.execute(
        INSERT_VERSION,
        offering_id,
        form.title,
        form.summary,
        guide,
        form.region_codes,
        form.audience,
        form.channels,
        form.fee,
        form.promised_days,
        created_by,
    )


async def bump(tx: Transaction, offering_id: int, version: int) -> bool:
    """Move from ``version`` to the next; False where somebody else did so first."""
    return await tx.fetchval(BUMP, offering_id, version) is not None


async def set_capacity(tx: Transaction, offering_id: int, capacity: int) -> None:
    """How many needs it serves at once from now on; what it already serves stays."""
    await tx.execute(SET_CAPACITY, offering_id, capacity)


async def set_state(tx: Transaction, offering_id: int, state: OfferingState) -> None:
    """Publish, pause, or take back to draft.

    Raises:
        ItemWithdrawn: it would be published.
    """
    with _item_in_force():
        await tx.execute(SET_STATE, offering_id, state)


@contextmanager
def _item_in_force() -> Iterator[None]:
    """What the trigger offerings_of_items_in_force means by its own SQLSTATE; other errors as they are."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate == ITEM_WITHDRAWN:
            raise ItemWithdrawn from None
        raise
