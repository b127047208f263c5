"""All SQL of regions and nodes."""

from collections.abc import Iterable

from infra.db import Transaction, many, one_or_none
from market.regions.model import Node, Region, lineage

REGION = "SELECT code, name, level, parent_code FROM regions WHERE code = $1"
CHILDREN = "SELECT code, name, level, parent_code FROM regions WHERE parent_code = $1 ORDER BY code"
BELOW = """
SELECT code, name, level, parent_code FROM regions
WHERE code LIKE region_prefix($1::text) || '%' AND level <= $2 ORDER BY code
"""
NAMES = "SELECT code, name, level, parent_code FROM regions WHERE code = ANY($1::text[])"
NODES = "SELECT id, name, region_code, parent_id FROM nodes ORDER BY region_code"
NODE_ABOVE = "SELECT p.name FROM nodes n JOIN nodes p ON p.id = n.parent_id WHERE n.id = $1"
# What an institution may choose to serve: its own region, those around it and those above.
AROUND = """
SELECT code, name, level, parent_code FROM regions
WHERE starts_with($1::text, region_prefix(code)) OR code = ANY($2::text[])
   OR parent_code = (SELECT CASE WHEN level = 3 THEN parent_code ELSE code END FROM regions WHERE code = $1::text)
ORDER BY level, code
"""
UPSERT_NODE = """
INSERT INTO nodes (name, region_code, parent_id) VALUES ($1, $2, $3)
ON CONFLICT (region_code) DO UPDATE SET name = excluded.name, parent_id = excluded.parent_id RETURNING id
"""


async def region(tx: Transaction, code: str) -> Region | None:
    """The region, if the code is one."""
    return one_or_none(Region, await tx.fetchrow(REGION, code))


async def children(tx: Transaction, code: str) -> list[Region]:
    """Regions right below."""
    return many(Region, await tx.fetch(CHILDREN, code))


async def below(tx: Transaction, code: str, level: int) -> list[Region]:
    """The region and all below it, down to ``level``."""
    return many(Region, await tx.fetch(BELOW, code, level))


async def named(tx: Transaction, codes: list[str]) -> dict[str, Region]:
    """The regions with these codes."""
    return {r.code: r for r in many(Region, await tx.fetch(NAMES, codes))}


async def above(tx: Transaction, codes: Iterable[str]) -> dict[str, Region]:
    """The regions with these codes and all that they lie in."""
    return await named(tx, list({outer for code in codes for outer in lineage(code)}))


async def nodes(tx: Transaction) -> list[Node]:
    """All nodes, those of larger regions first."""
    return many(Node, await tx.fetch(NODES))


async def node_above(tx: Transaction, node_id: int) -> str | None:
    """The name of the node above, if there is one."""
    name: str | None = await tx.fetchval(NODE_ABOVE, node_id)
    return name


async def around(tx: Transaction, code: str, also: list[str]) -> list[Region]:
    """The region, those above it, those beside a county or else right below, and ``also``; larger ones first."""
    return many(Region, await tx.fetch(AROUND, code, also))


async def upsert_node(tx: Transaction, name: str, region_code: str, parent_id: int | None) -> int:
    """The id of the region's node, made or renamed."""
    node_id: int = await tx.fetchval(UPSERT_NODE, name, region_code, parent_id)
    return node_id
