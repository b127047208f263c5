"""Use cases of regions."""

from collections import defaultdict

from infra.db import Transaction
from market.regions import queries
from market.regions.model import COUNTY_LEVEL, Region, full_name

Choices = dict[str, dict[str, str]]
"""For a select: the names of a region above → codes and names of the regions below it."""


async def choices(tx: Transaction) -> Choices:
    """The smallest regions that nodes match for, grouped by the region above."""
    found: dict[str, Region] = {}
    for node in await queries.nodes(tx):
        if node.region_code not in found:  # larger regions come first, so a node below adds nothing
            found |= {region.code: region for region in await queries.below(tx, node.region_code, COUNTY_LEVEL)}
    names = found | await queries.above(tx, found)
    parents = {region.parent_code for region in found.values()}
    groups: Choices = defaultdict(dict)
    for region in found.values():
        if region.code not in parents:
            groups[full_name(region.parent_code or region.code, names)][region.code] = region.name
    return dict(groups)
