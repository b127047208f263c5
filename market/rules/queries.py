"""All SQL of rules."""

from infra.db import Transaction, many
from market.rules.model import Rule, RuleName

# $1: a region. For each name the rule of the nearest region above it, or of itself.
IN_FORCE = """
SELECT DISTINCT ON (l.name) l.name, l.region_code, r.name AS region_name, l.working_days
FROM region_rules l JOIN regions r ON r.code = l.region_code
WHERE starts_with($1::text, l.region_prefix) ORDER BY l.name, length(l.region_prefix) DESC
"""
WORKING_DAYS = """
SELECT working_days FROM region_rules WHERE name = $1 AND starts_with($2::text, region_prefix)
ORDER BY length(region_prefix) DESC LIMIT 1
"""
SET = """
INSERT INTO region_rules (name, region_code, working_days, set_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (name, region_code) DO UPDATE
SET working_days = excluded.working_days, set_by = excluded.set_by, set_at = now()
WHERE region_rules.working_days <> excluded.working_days
"""
FORGET = "DELETE FROM region_rules WHERE name = $1 AND region_code = $2"


async def in_force(tx: Transaction, region_code: str) -> list[Rule]:
    """Every rule as it holds in the region."""
    return many(Rule, await tx.fetch(IN_FORCE, region_code))


async def working_days(tx: Transaction, name: RuleName, region_code: str) -> int:
    """The limit that holds in the region."""
    days: int = await tx.fetchval(WORKING_DAYS, name, region_code)
    return days


async def put(tx: Transaction, name: RuleName, region_code: str, days: int, set_by: str) -> None:
    """The region's own limit from now on; who set it is kept where it changes."""
    await tx.execute(SET, name, region_code, days, set_by)


async def forget(tx: Transaction, name: RuleName, region_code: str) -> None:
    """The region has no limit of its own any more."""
    await tx.execute(FORGET, name, region_code)
