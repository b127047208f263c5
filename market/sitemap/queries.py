"""All SQL of the sitemap."""

from collections.abc import Sequence
from datetime import datetime

from infra.db import Transaction

# Those of the newest first, where there are more than one file may name.
PUBLISHED = """
SELECT path, at FROM (
    SELECT '/items/' || i.code AS path, v.created_at AS at
    FROM service_items i JOIN service_item_versions v ON v.item_code = i.code AND v.version = i.version
    WHERE i.withdrawn_on IS NULL
    UNION ALL
    SELECT '/institutions/' || i.id, v.created_at
    FROM institutions i JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
    WHERE i.state = 'active'
    UNION ALL
    SELECT '/offerings/' || o.id, v.created_at
    FROM offerings o JOIN offering_versions v ON v.offering_id = o.id AND v.version = o.version
    WHERE o.state = 'published'
    UNION ALL
    SELECT '/notices/' || n.id, n.published_at FROM notices n WHERE n.state = 'published'
) AS p ORDER BY at DESC, path LIMIT $1
"""


async def published(tx: Transaction, limit: int) -> Sequence[tuple[str, datetime]]:
    """Paths of what is published, and when each last changed; the newest first."""
    return [(row["path"], row["at"]) for row in await tx.fetch(PUBLISHED, limit)]
