"""All SQL of standing."""

from collections.abc import Sequence

from infra.db import Transaction, many
from market.standing.model import ExcludedRow, ListedRow

# The newest rankings of the nodes that the institution lies under: theirs are the lists it can be in.
OF_NODES = """
lists AS MATERIALIZED (
    SELECT r.id, r.need_id, r.proposed_rank, r.excluded
    FROM ranking_runs r JOIN nodes d ON d.id = r.node_id AND starts_with($2, d.region_prefix)
    ORDER BY r.id DESC LIMIT $3
)
"""
COUNT = """
SELECT count(*) FROM (
    SELECT FROM ranking_runs r JOIN nodes d ON d.id = r.node_id AND starts_with($1, d.region_prefix) LIMIT $2
) r
"""
LISTED = f"""
WITH {OF_NODES}
SELECT l.id AS run_id, c.rank, c.offering_id, f.institution_id, c.rank = l.proposed_rank AS proposed,
       f.institution_id = $1 AND EXISTS (
           SELECT FROM matches m JOIN events a ON a.match_id = m.id AND a.to_state = 'approved'
           WHERE m.offering_id = c.offering_id AND m.run_id = c.run_id) AS approved,
       CASE WHEN w.features = $4::text[] THEN w.values END AS "values",
       CASE WHEN w.features = $4::text[] THEN w.evidence END AS evidence
FROM lists l JOIN candidates c ON c.run_id = l.id AND c.shown JOIN offerings f ON f.id = c.offering_id
CROSS JOIN LATERAL (
    SELECT array_agg(p ->> 'feature' ORDER BY place) AS features,
           array_agg((p ->> 'value')::float8 ORDER BY place) AS values,
           array_agg((p ->> 'evidence')::bigint ORDER BY place) AS evidence
    FROM jsonb_array_elements(c.parts) WITH ORDINALITY AS of (p, place)
) w
WHERE EXISTS (
    SELECT FROM candidates o JOIN offerings g ON g.id = o.offering_id
    WHERE o.run_id = l.id AND o.shown AND g.institution_id = $1)
ORDER BY l.id DESC, c.rank
"""
EXCLUDED = f"""
WITH {OF_NODES}
SELECT x.offering_id, x.rule,
       CASE x.rule WHEN 'region_not_covered' THEN g.name WHEN 'audience_not_served' THEN k.name ELSE '' END AS what,
       count(*) AS times
FROM lists l CROSS JOIN LATERAL jsonb_to_recordset(l.excluded) AS x (offering_id bigint, rule text)
JOIN offerings f ON f.id = x.offering_id AND f.institution_id = $1
JOIN needs n ON n.id = l.need_id JOIN enterprises e ON e.id = n.enterprise_id
JOIN regions g ON g.code = n.region_code JOIN enterprise_kinds k ON k.code = e.kind
GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 2, 3
"""


async def count(tx: Transaction, region_code: str, lists: int) -> int:
    """How many rankings the nodes above the region have made, counted up to ``lists``."""
    found: int = await tx.fetchval(COUNT, region_code, lists)
    return found


async def listed(
    tx: Transaction, institution_id: int, region_code: str, lists: int, features: Sequence[str]
) -> list[ListedRow]:
    """All that was shown in those of the nodes' newest lists that the institution was in, newest first."""
    return many(ListedRow, await tx.fetch(LISTED, institution_id, region_code, lists, features))


async def excluded(tx: Transaction, institution_id: int, region_code: str, lists: int) -> list[ExcludedRow]:
    """What kept the institution's offerings out of the nodes' newest lists, the most frequent first."""
    return many(ExcludedRow, await tx.fetch(EXCLUDED, institution_id, region_code, lists))
