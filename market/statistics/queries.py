"""All SQL of the public statistics."""

from collections.abc import Sequence
from datetime import date

from infra.db import Transaction, many
from market.ledger.figures import Figures
from market.statistics.model import Cell, Kind

# $1, $2: the first day, and the day after the last. Each in the month in which it was submitted.
NEEDS = """
WITH came AS MATERIALIZED (
    SELECT created_at, understanding FROM needs
    WHERE created_at >= $1::date::timestamp AT TIME ZONE 'Asia/Shanghai'
      AND created_at < $2::date::timestamp AT TIME ZONE 'Asia/Shanghai'
)
SELECT 'month' AS by, to_char(created_at AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM') AS key, count(*) AS n
FROM came GROUP BY 2
UNION ALL
SELECT 'stage', s.key, count(*) FROM came, jsonb_array_elements_text(understanding -> 'stages') AS s (key) GROUP BY 2
UNION ALL
SELECT 'right', s.key, count(*) FROM came, jsonb_array_elements_text(understanding -> 'rights') AS s (key) GROUP BY 2
"""
# As the figures stand now: a closed month's corrections count.
WORK = """
SELECT period, sum(delivered) AS delivered, sum(on_time) AS on_time,
       ARRAY[sum(rated[1]), sum(rated[2]), sum(rated[3]), sum(rated[4]), sum(rated[5])] AS rated
FROM ledger_rows WHERE period = ANY($1::text[]) AND item_code = '' AND NOT frozen GROUP BY period
"""
_PUBLISHED = """
FROM offerings f JOIN offering_versions v ON v.offering_id = f.id AND v.version = f.version
JOIN institutions i ON i.id = f.institution_id AND i.state = 'active'
JOIN institution_versions n ON n.institution_id = i.id AND n.version = i.version
"""
# By city; a nationwide catalogue has too many of these.
OFFERINGS = f"""
WITH placed AS MATERIALIZED (
    SELECT n.region_code, w.stages {_PUBLISHED}
    JOIN service_item_versions w ON w.item_code = v.item_code AND w.version = v.item_version
    WHERE f.state = 'published'
), width AS (
    SELECT CASE WHEN count(DISTINCT left(region_code, 4)) > $1 THEN 2 ELSE 4 END AS digits FROM placed
)
SELECT rpad(left(region_code, digits), 6, '0') AS region_code, s.stage, count(*) AS count
FROM placed CROSS JOIN width CROSS JOIN LATERAL unnest(stages) AS s (stage) GROUP BY 1, 2 ORDER BY 1, 2
"""
COUNT_OFFERINGS = f"SELECT count(*) {_PUBLISHED} WHERE f.state = 'published'"
INSTITUTIONS = """
SELECT k.code, k.name, count(*) AS count
FROM institutions i JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
JOIN institution_kinds k ON k.code = v.kind
WHERE i.state = 'active' GROUP BY 1, 2 ORDER BY 3 DESC, 1
"""
MOST_CITIES = 20


async def needs(tx: Transaction, since: date, until: date) -> dict[str, dict[str, int]]:
    """How many came, by month, stage and right; ``until``: the day after the last."""
    found: dict[str, dict[str, int]] = {"month": {}, "stage": {}, "right": {}}
    for row in await tx.fetch(NEEDS, since, until):
        found[row["by"]][row["key"]] = row["n"]
    return found


async def work(tx: Transaction, periods: Sequence[str]) -> dict[str, Figures]:
    """What all institutions together delivered and how it was rated, by period."""
    return {
        row["period"]: Figures(delivered=row["delivered"], on_time=row["on_time"], rated=tuple(row["rated"]))
        for row in await tx.fetch(WORK, list(periods))
    }


async def offerings(tx: Transaction) -> list[Cell]:
    """Published offerings by the region of their institution and stage."""
    return many(Cell, await tx.fetch(OFFERINGS, MOST_CITIES))


async def count_offerings(tx: Transaction) -> int:
    """All of them: one of two stages is one."""
    count: int = await tx.fetchval(COUNT_OFFERINGS)
    return count


async def institutions(tx: Transaction) -> list[Kind]:
    """Active institutions by kind, the most first."""
    return many(Kind, await tx.fetch(INSTITUTIONS))
