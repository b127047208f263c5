"""All SQL of supply."""

from collections.abc import Sequence

from infra.db import Transaction, many
from market.regions.model import lineage, prefix_of
from market.supply.model import PublishedOffering
from matching.types import PastNeed, PastService, Record

OFFERED = """
SELECT f.id AS offering_id, f.version, f.institution_id, n.region_code AS institution_region, v.item_code,
       s.name AS item_name, v.title, v.summary, v.region_codes, v.audience, v.promised_days, s.rights, s.stages
FROM offerings f JOIN offering_versions v ON v.offering_id = f.id AND v.version = f.version
JOIN service_item_versions s ON s.item_code = v.item_code AND s.version = v.item_version
JOIN institutions i ON i.id = f.institution_id AND i.state = 'active'
JOIN institution_versions n ON n.institution_id = i.id AND n.version = i.version
WHERE f.state = 'published'
"""
PUBLISHED = f"{OFFERED} ORDER BY f.id LIMIT $1"
PUBLISHED_OF = f"{OFFERED} AND f.id = ANY($1::bigint[]) ORDER BY f.id"
# Those that serve the region first, otherwise by a hash that differs from need to need; no item: of any.
UNDER_ITEMS = """
SELECT f.id FROM offerings f JOIN offering_versions v ON v.offering_id = f.id AND v.version = f.version
JOIN institutions i ON i.id = f.institution_id AND i.state = 'active'
JOIN institution_versions n ON n.institution_id = i.id AND n.version = i.version
WHERE f.state = 'published' AND (f.item_code = ANY($1::text[]) OR $1::text[] = '{}') AND starts_with(n.region_code, $2)
ORDER BY v.region_codes && $3::text[] DESC, hashtextextended(f.id::text, $4::bigint) LIMIT $5
"""
RECORDS = """
SELECT f.id, f.capacity, f.load, f.accepted, f.declined, f.delivered, f.on_time,
       f.rated[1] + f.rated[2] + f.rated[3] + f.rated[4] + f.rated[5] AS rated,
       f.rated[2] + 2 * f.rated[3] + 3 * f.rated[4] + 4 * f.rated[5] AS rating_points
FROM offerings f JOIN institutions i ON i.id = f.institution_id AND i.state = 'active'
WHERE f.state = 'published' AND ($1::bigint[] IS NULL OR f.id = ANY($1))
"""
# What people confirmed: the item a need was served under to the end, or that it was none of the platform's business.
CONFIRMED = """
(SELECT n.body AS text, m.item_code, m.id AS at FROM matches m JOIN needs n ON n.id = m.need_id
 WHERE m.state = 'completed' ORDER BY m.id DESC LIMIT $1)
UNION ALL
(SELECT body, NULL, 0 FROM needs WHERE state = 'closed' AND (understanding ->> 'outside_scope')::boolean
 ORDER BY id DESC LIMIT $1)
ORDER BY at
"""
COMPLETED = """
SELECT n.body AS text, m.institution_id, left(e.industry_code, 1) AS industry
FROM matches m JOIN needs n ON n.id = m.need_id JOIN enterprises e ON e.id = n.enterprise_id
WHERE m.state = 'completed' ORDER BY m.id DESC LIMIT $1
"""
# What was proposed, whoever was chosen in the end.
PROPOSED = """
SELECT m.offering_id, count(*) AS times
FROM matches m JOIN candidates c ON c.run_id = m.run_id AND c.offering_id = m.offering_id AND c.rank = 1
WHERE m.created_at > now() - make_interval(days => $1) GROUP BY m.offering_id
"""


async def published(tx: Transaction, most: int) -> list[PublishedOffering]:
    """What may be proposed to anyone; at most so many, the oldest first."""
    return many(PublishedOffering, await tx.fetch(PUBLISHED, most))


async def published_of(tx: Transaction, ids: Sequence[int]) -> list[PublishedOffering]:
    """Those of the ids that may be proposed."""
    return many(PublishedOffering, await tx.fetch(PUBLISHED_OF, ids))


async def under_items(
    tx: Transaction, codes: Sequence[str], *, territory: str, region: str, seed: int, most: int
) -> list[int]:
    """At most so many offerings of the items by institutions of the territory, those that serve the region first."""
    rows = await tx.fetch(UNDER_ITEMS, codes, prefix_of(territory), lineage(region), seed, most)
    return [row["id"] for row in rows]


async def records(tx: Transaction, ids: Sequence[int] | None = None) -> dict[int, Record]:
    """Capacity, load and record of each published offering, or of those named, by its id."""
    return {row["id"]: Record(*row[1:]) for row in await tx.fetch(RECORDS, ids)}


async def confirmed(tx: Transaction, most: int) -> list[PastNeed]:
    """Past needs whose item people confirmed, oldest first; at most so many of either kind."""
    return [PastNeed(row["text"], row["item_code"]) for row in await tx.fetch(CONFIRMED, most)]


async def completed(tx: Transaction, most: int) -> list[PastService]:
    """The newest so many needs that were completed, and by whom."""
    return many(PastService, await tx.fetch(COMPLETED, most))


async def proposed(tx: Transaction, days: int) -> dict[int, int]:
    """How often each offering was proposed over the last so many days."""
    return {row["offering_id"]: row["times"] for row in await tx.fetch(PROPOSED, days)}
