"""All SQL of the log of changes. The triggers of items and offerings write it (infra/migrations/0009_lists.sql)."""

from infra.db import Transaction, many
from market.feeds.model import Change

CHANGE = """
SELECT c.id, c.action, coalesce(c.item_code, v.item_code) AS item_code, c.offering_id, c.version,
       coalesce(v.title, s.name) AS title, s.item_list, n.institution_id, n.name AS institution_name, c.at
FROM changes c
LEFT JOIN offerings f ON f.id = c.offering_id
LEFT JOIN offering_versions v ON v.offering_id = c.offering_id AND v.version = c.version
JOIN service_item_versions s ON s.item_code = coalesce(c.item_code, v.item_code)
     AND s.version = CASE WHEN c.offering_id IS NULL THEN c.version ELSE v.item_version END
JOIN service_items o ON o.code = s.item_code
LEFT JOIN institutions i ON i.id = coalesce(f.institution_id, o.institution_id)
LEFT JOIN institution_versions n ON n.institution_id = i.id AND n.version = i.version
"""
SINCE = f"{CHANGE} WHERE c.id > $1 ORDER BY c.id LIMIT $2"
BEFORE = f"{CHANGE} WHERE $1::bigint IS NULL OR c.id < $1::bigint ORDER BY c.id DESC LIMIT $2"


async def since(tx: Transaction, change_id: int, limit: int) -> list[Change]:
    """What happened after that change, in its order."""
    return many(Change, await tx.fetch(SINCE, change_id, limit))


async def before(tx: Transaction, change_id: int | None, limit: int) -> list[Change]:
    """What happened before that change, None: up to now; the latest first."""
    return many(Change, await tx.fetch(BEFORE, change_id, limit))
