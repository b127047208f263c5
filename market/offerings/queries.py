"""All SQL of offerings."""

from hashlib import md5

from infra.db import Transaction, many, one_or_none
from market.catalogue.model import Guide
from market.offerings.model import Offering, OfferingFilter, OfferingForm, OfferingState

COLUMNS = """
SELECT f.id, v.version, f.state, v.title, v.summary, v.guide, v.item_code, v.item_version, s.name AS item_name,
       s.item_list, s.rights, s.stages, f.institution_id, n.name AS institution_name,
       n.region_code AS institution_region, r.name AS region_name, v.region_codes, v.audience, v.channels, v.fee,
       v.promised_days, f.capacity, f.load, f.rated, i.demo, v.created_at
FROM offerings f JOIN offering_versions v ON v.offering_id = f.id
JOIN service_item_versions s ON s.item_code = v.item_code AND s.version = v.item_version
JOIN institutions i ON i.id = f.institution_id
JOIN institution_versions n ON n.institution_id = i.id AND n.version = i.version
JOIN regions r ON r.code = n.region_code
"""
BY_ID = f"{COLUMNS} AND v.version = coalesce($2::integer, f.version) WHERE f.id = $1"
PUBLISHED = """
    f.version = v.version AND f.state = 'published' AND i.state = 'active'
    AND ($1::text[] IS NULL OR concat_ws(' ', v.title, s.name, n.name, r.name, v.summary) ILIKE ALL ($1::text[]))
    AND ($2::text IS NULL OR v.item_code = $2::text)
    AND ($3::text IS NULL OR s.item_list = $3::text)
    AND ($4::text IS NULL OR s.rights @> ARRAY[$4::text])
    AND ($5::text IS NULL OR s.stages @> ARRAY[$5::text])
    AND ($6::text IS NULL OR EXISTS (
        SELECT FROM unnest(v.region_codes) AS c WHERE starts_with($6::text, region_prefix(c))))
    AND ($7::bigint IS NULL OR f.institution_id = $7::bigint)
"""
# The cursor is the last row's sort key.
PAGE = f"""{COLUMNS}
WHERE {PUBLISHED} AND f.sort_key > coalesce($8::text, '')
ORDER BY f.sort_key LIMIT $9
"""
FACETS = f"""
WITH fit AS MATERIALIZED (
    SELECT s.item_list, s.rights, s.stages
    FROM offerings f JOIN offering_versions v ON v.offering_id = f.id
    JOIN service_item_versions s ON s.item_code = v.item_code AND s.version = v.item_version
    JOIN institutions i ON i.id = f.institution_id
    JOIN institution_versions n ON n.institution_id = i.id AND n.version = i.version
    JOIN regions r ON r.code = n.region_code
    WHERE {PUBLISHED}
)
SELECT 'item_list' AS facet, item_list AS value, count(*) AS n FROM fit GROUP BY item_list
UNION ALL SELECT 'right', value, count(*) FROM fit, unnest(rights) AS value GROUP BY value
UNION ALL SELECT 'stage', value, count(*) FROM fit, unnest(stages) AS value GROUP BY value
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
    tx: Transaction, wanted: OfferingFilter, patterns: list[str] | None, *, after: str | None, limit: int
) -> list[Offering]:
    """Published offerings that fit the filter and every LIKE pattern, after the hash ``after``."""
    return many(Offering, await tx.fetch(PAGE, *_filter(wanted, patterns), after, limit))


def sort_key(offering_id: int) -> str:
    """What PAGE orders by."""
    return md5(str(offering_id).encode(), usedforsecurity=False).hexdigest()


async def facets(tx: Transaction, wanted: OfferingFilter, patterns: list[str] | None) -> dict[str, dict[str, int]]:
    """Counts of what fits the filter, by list, right and stage."""
    counts: dict[str, dict[str, int]] = {"item_list": {}, "right": {}, "stage": {}}
    for row in await tx.fetch(FACETS, *_filter(wanted, patterns)):
        counts[row["facet"]][row["value"]] = row["n"]
    return counts


async def of_institution(tx: Transaction, institution_id: int) -> list[Offering]:
    """All offerings of an institution, in any state."""
    return many(Offering, await tx.fetch(OF_INSTITUTION, institution_id))


async def versions(tx: Transaction, offering_id: int) -> list[Offering]:
    """Every version, newest first."""
    return many(Offering, await tx.fetch(VERSIONS, offering_id))


async def insert(tx: Transaction, institution_id: int, item_code: str, state: OfferingState, capacity: int) -> int:
    """The id of a new offering that has no version yet: the transaction must add it."""
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
    """Publish, pause, or take back to draft."""
    await tx.execute(SET_STATE, offering_id, state)


def _filter(wanted: OfferingFilter, patterns: list[str] | None) -> tuple[object, ...]:
    """The parameters of PUBLISHED."""
    return (
        patterns,
        wanted.item_code,
        wanted.item_list,
        wanted.right,
        wanted.stage,
        wanted.region_code,
        wanted.institution_id,
    )
