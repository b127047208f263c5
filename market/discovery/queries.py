"""All SQL of discovery: rows that documents are made of, rebuilds, and what people searched for."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from infra.db import Connection, Transaction, many, one_or_none
from market.catalogue.model import Guide, ItemList, Limit
from market.discovery.model import Rebuild, Wanted
from market.i18n import N_
from search.engine import IndexName


class OfferingRow(Struct, frozen=True, kw_only=True):
    """What an offering's document is made of. ``satisfaction``: hundredths of a level, None without a rating."""

    id: int
    title: str
    summary: str
    guide: str
    """As JSON: guides repeat, and each is decoded once (``documents``)."""
    item_code: str
    item_name: str
    item_list: ItemList
    aliases: str
    """In one: as an array they would be half of what a page costs."""
    rights: tuple[str, ...]
    stages: tuple[str, ...]
    institution_id: int
    institution_name: str
    institution_kind: str
    region_code: str
    region_codes: tuple[str, ...]
    audience: tuple[str, ...]
    channels: tuple[str, ...]
    fee: str
    promised_days: int | None
    satisfaction: int | None


class InstitutionRow(Struct, frozen=True, kw_only=True):
    """What an institution's document is made of; ``services`` are the items it offers."""

    id: int
    name: str
    kind: str
    kind_name: str
    region_code: str
    address: str
    summary: str
    services: tuple[str, ...]
    item_codes: tuple[str, ...]
    rights: tuple[str, ...]
    stages: tuple[str, ...]
    satisfaction: int | None


class ItemRow(Struct, frozen=True, kw_only=True):
    """What an item's document is made of."""

    code: str
    name: str
    item_group: str
    item_list: ItemList
    aliases: tuple[str, ...]
    rights: tuple[str, ...]
    stages: tuple[str, ...]
    guide: Guide
    fee: str | None
    promised_limit: Limit | None


class NoticeRow(Struct, frozen=True, kw_only=True):
    """What a notice's document is made of."""

    id: int
    title: str
    body: str
    kind: str
    region_code: str
    published_day: int


Row = OfferingRow | InstitutionRow | ItemRow | NoticeRow

# Hundredths of the smoothed mean that market/ratings/figures.py shows; NULL without a rating. `r`: counts by level.
SATISFACTION = """
round(100 * (40 + r[1] + 2 * r[2] + 3 * r[3] + 4 * r[4] + 5 * r[5])
      / nullif((10 + r[1] + r[2] + r[3] + r[4] + r[5])::numeric, 10))::integer
"""
OFFERINGS = f"""
SELECT f.id, v.title, v.summary, v.guide::text, v.item_code, s.name AS item_name, s.item_list,
       array_to_string(s.aliases, ' ') AS aliases, s.rights, s.stages, f.institution_id, n.name AS institution_name,
       n.kind AS institution_kind, n.region_code, v.region_codes, v.audience, v.channels, v.fee, v.promised_days,
       {SATISFACTION.replace("r[", "f.rated[")} AS satisfaction
FROM offerings f JOIN offering_versions v ON v.offering_id = f.id AND v.version = f.version
JOIN service_item_versions s ON s.item_code = v.item_code AND s.version = v.item_version
JOIN institutions i ON i.id = f.institution_id
JOIN institution_versions n ON n.institution_id = i.id AND n.version = i.version
WHERE f.state = 'published' AND i.state = 'active'
"""
INSTITUTIONS = f"""
SELECT i.id, n.name, n.kind, k.name AS kind_name, n.region_code, n.address, n.summary,
       coalesce(o.services, '{{}}') AS services, coalesce(o.item_codes, '{{}}') AS item_codes,
       coalesce(o.rights, '{{}}') AS rights, coalesce(o.stages, '{{}}') AS stages,
       {SATISFACTION} AS satisfaction
FROM institutions i JOIN institution_versions n ON n.institution_id = i.id AND n.version = i.version
JOIN institution_kinds k ON k.code = n.kind
LEFT JOIN LATERAL (
    SELECT array_agg(DISTINCT s.name) AS services, array_agg(DISTINCT s.item_code) AS item_codes,
           array_agg(DISTINCT r) FILTER (WHERE r IS NOT NULL) AS rights,
           array_agg(DISTINCT g) FILTER (WHERE g IS NOT NULL) AS stages
    FROM offerings f JOIN offering_versions v ON v.offering_id = f.id AND v.version = f.version
    JOIN service_item_versions s ON s.item_code = v.item_code AND s.version = v.item_version
    LEFT JOIN LATERAL unnest(s.rights) AS r ON true LEFT JOIN LATERAL unnest(s.stages) AS g ON true
    WHERE f.institution_id = i.id AND f.state = 'published'
) o ON true
LEFT JOIN LATERAL (
    SELECT ARRAY[coalesce(sum(f.rated[1]), 0), coalesce(sum(f.rated[2]), 0), coalesce(sum(f.rated[3]), 0),
                 coalesce(sum(f.rated[4]), 0), coalesce(sum(f.rated[5]), 0)]::integer[] AS r
    FROM offerings f WHERE f.institution_id = i.id
) s ON true
WHERE i.state = 'active'
"""
ITEMS = """
SELECT i.code, v.name, v.item_group, v.item_list, v.aliases, v.rights, v.stages, v.guide, v.fee, v.promised_limit
FROM service_items i JOIN service_item_versions v ON v.item_code = i.code AND v.version = i.version
WHERE i.withdrawn_on IS NULL
"""
NOTICES = """
SELECT n.id, n.title, n.body, n.kind, d.region_code, n.published_at::date - date '1970-01-01' AS published_day
FROM notices n JOIN nodes d ON d.id = n.node_id WHERE n.state = 'published'
"""
OFFERINGS_BY_ID = f"{OFFERINGS} AND f.id = ANY($1::bigint[])"
OFFERINGS_AFTER = f"{OFFERINGS} AND f.id > $1::bigint ORDER BY f.id LIMIT $2"
INSTITUTIONS_BY_ID = f"{INSTITUTIONS} AND i.id = ANY($1::bigint[])"
INSTITUTIONS_AFTER = f"{INSTITUTIONS} AND i.id > $1::bigint ORDER BY i.id LIMIT $2"
ITEMS_BY_CODE = f"{ITEMS} AND i.code = ANY($1::text[])"
ITEMS_AFTER = f"{ITEMS} AND i.code > $1::text ORDER BY i.code LIMIT $2"
NOTICES_BY_ID = f"{NOTICES} AND n.id = ANY($1::bigint[])"
NOTICES_AFTER = f"{NOTICES} AND n.id > $1::bigint ORDER BY n.id LIMIT $2"
COUNT_OFFERINGS = "SELECT count(*) FROM offerings WHERE state = 'published'"
COUNT_INSTITUTIONS = "SELECT count(*) FROM institutions WHERE state = 'active'"
COUNT_ITEMS = "SELECT count(*) FROM service_items WHERE withdrawn_on IS NULL"
COUNT_NOTICES = "SELECT count(*) FROM notices WHERE state = 'published'"

LOCK_INDEXING = "SELECT pg_try_advisory_lock(hashtext('zhipei indexing'))"

REBUILD_COLUMNS = "id, index_name, reason, state, done, total, error, created_at, finished_at"
ASK_REBUILD = """
INSERT INTO rebuilds (index_name, reason) VALUES ($1, $2)
ON CONFLICT (index_name) WHERE state = 'waiting' DO UPDATE SET reason = rebuilds.reason RETURNING id
"""
NEXT_REBUILD = f"""
UPDATE rebuilds SET state = 'running'
WHERE id = (SELECT id FROM rebuilds WHERE state = 'waiting' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING {REBUILD_COLUMNS}
"""
REBUILD_PROGRESS = "UPDATE rebuilds SET done = $2, total = $3 WHERE id = $1"
END_REBUILD = """
UPDATE rebuilds SET state = CASE WHEN $2 = '' THEN 'done' ELSE 'failed' END, error = $2, finished_at = now()
WHERE id = $1
"""
# Only one indexer runs: what still seems to be running when another begins, its indexer left.
INTERRUPTED = N_("执行中断，请再试一次。")
REBUILDS_INTERRUPTED = """
UPDATE rebuilds SET state = 'failed', error = $1, finished_at = now() WHERE state = 'running'
"""
REBUILDS = f"SELECT {REBUILD_COLUMNS} FROM rebuilds WHERE id = ANY($1::bigint[]) ORDER BY id"

LOG_SEARCH = """
INSERT INTO searches (day, text, found_nothing) VALUES (CURRENT_DATE, $1, $2::boolean::integer)
ON CONFLICT (day, text) DO UPDATE
SET times = searches.times + 1, found_nothing = searches.found_nothing + excluded.found_nothing
"""
WANTED = """
SELECT text, sum(times)::integer AS times, sum(found_nothing)::integer AS found_nothing, max(day) AS last_day
FROM searches WHERE day > CURRENT_DATE - $1::integer AND found_nothing > 0
GROUP BY text ORDER BY 3 DESC, 4 DESC, text LIMIT $2
"""
FORGET_SEARCHES = "DELETE FROM searches WHERE day < CURRENT_DATE - $1::integer"


async def rows(tx: Transaction, index: IndexName, ids: Sequence[str]) -> Sequence[Row]:
    """What is published of these ids, in no order."""
    match index:
        case IndexName.OFFERINGS:
            return many(OfferingRow, await tx.fetch(OFFERINGS_BY_ID, _numbers(ids)))
        case IndexName.INSTITUTIONS:
            return many(InstitutionRow, await tx.fetch(INSTITUTIONS_BY_ID, _numbers(ids)))
        case IndexName.ITEMS:
            return many(ItemRow, await tx.fetch(ITEMS_BY_CODE, list(ids)))
        case IndexName.NOTICES:
            return many(NoticeRow, await tx.fetch(NOTICES_BY_ID, _numbers(ids)))


async def rows_after(tx: Transaction, index: IndexName, after: str, limit: int) -> Sequence[Row]:
    """What is published, in the order of ids, after that one; from the beginning after ""."""
    match index:
        case IndexName.OFFERINGS:
            return many(OfferingRow, await tx.fetch(OFFERINGS_AFTER, int(after or 0), limit))
        case IndexName.INSTITUTIONS:
            return many(InstitutionRow, await tx.fetch(INSTITUTIONS_AFTER, int(after or 0), limit))
        case IndexName.ITEMS:
            return many(ItemRow, await tx.fetch(ITEMS_AFTER, after, limit))
        case IndexName.NOTICES:
            return many(NoticeRow, await tx.fetch(NOTICES_AFTER, int(after or 0), limit))


async def count(tx: Transaction, index: IndexName) -> int:
    """How much is published, about: for a progress bar."""
    statement = {
        IndexName.OFFERINGS: COUNT_OFFERINGS,
        IndexName.INSTITUTIONS: COUNT_INSTITUTIONS,
        IndexName.ITEMS: COUNT_ITEMS,
        IndexName.NOTICES: COUNT_NOTICES,
    }[index]
    n: int = await tx.fetchval(statement)
    return n


async def lock_indexing(connection: Connection) -> bool:
    """Whether the lock of the one indexer is now this connection's, for as long as it lives."""
    locked: bool = await connection.fetchval(LOCK_INDEXING)
    return locked


async def ask_rebuild(tx: Transaction, index: IndexName, reason: str) -> int:
    """The id of a rebuild that waits; of the one that waits already, if any."""
    rebuild_id: int = await tx.fetchval(ASK_REBUILD, index, reason)
    return rebuild_id


async def next_rebuild(tx: Transaction) -> Rebuild | None:
    """The oldest that waits, now running."""
    return one_or_none(Rebuild, await tx.fetchrow(NEXT_REBUILD))


async def rebuild_progress(tx: Transaction, rebuild_id: int, done: int, total: int) -> None:
    """How far a rebuild is."""
    await tx.execute(REBUILD_PROGRESS, rebuild_id, done, total)


async def end_rebuild(tx: Transaction, rebuild_id: int, problem: str) -> None:
    """A rebuild has ended; well, if there is no problem."""
    await tx.execute(END_REBUILD, rebuild_id, problem)


async def rebuilds_interrupted(tx: Transaction) -> None:
    """End what an indexer left running."""
    await tx.execute(REBUILDS_INTERRUPTED, INTERRUPTED)


async def rebuilds(tx: Transaction, ids: Sequence[int]) -> list[Rebuild]:
    """These rebuilds."""
    return many(Rebuild, await tx.fetch(REBUILDS, ids))


async def log_search(tx: Transaction, text: str, *, in_vain: bool) -> None:
    """Count a search."""
    await tx.execute(LOG_SEARCH, text, in_vain)


async def wanted(tx: Transaction, days: int, limit: int) -> list[Wanted]:
    """What was searched for in vain in the last days, the most often first."""
    return many(Wanted, await tx.fetch(WANTED, days, limit))


async def forget_searches(tx: Transaction, days: int) -> None:
    """Drop what is older."""
    await tx.execute(FORGET_SEARCHES, days)


def _numbers(ids: Sequence[str]) -> list[Any]:
    return [int(one) for one in ids]
