"""Administrative divisions 行政区划 by their six-digit code of GB/T 2260.

A code has three pairs of digits: province, city, county; pairs of zeros at the end mean "all of it", so 440300
is Shenzhen and 000000 the nation. Everything here but ``full_name`` follows from the code alone.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated

from msgspec import Meta, Struct

NATION = "000000"
COUNTY_LEVEL = 3

# max_length as well, because `$` would let a newline at the end through.
SearchText = Annotated[str, Meta(max_length=500)]
RegionCode = Annotated[str, Meta(pattern="^[0-9]{6}$", max_length=6)]

# "Cities" that exist in the code table only and that nobody says aloud.
PLACEHOLDERS = frozenset(  # not translated: names of the code table
    {"市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划"}
)


class Region(Struct, frozen=True):
    """A region; ``level`` is 0 nation, 1 province, 2 city, 3 county; only the nation has no parent."""

    code: RegionCode
    name: str
    level: int
    parent_code: RegionCode | None


class Node(Struct, frozen=True, kw_only=True):
    """A backbone node (公共服务骨干节点): matches for its region and all below it."""

    id: int
    name: str
    region_code: str
    parent_id: int | None


def prefix_of(code: str) -> str:
    """The digits shared by every code in the region: 000000 → "", 440300 → "4403", 429000 → "4290"."""
    while code.endswith("00"):
        code = code[:-2]
    return code


def lineage(code: str) -> list[str]:
    """The region and all it lies in, from the nation down: 440305 → 000000, 440000, 440300, 440305."""
    return list(dict.fromkeys((NATION, code[:2] + "0000", code[:4] + "00", code)))


def covers(outer: str, inner: str) -> bool:
    """Whether ``inner`` is ``outer`` or lies within it."""
    return prefix_of(inner).startswith(prefix_of(outer))


def nearest(nodes: Iterable[Node], code: str) -> Node | None:
    """The node that matches for the region: of those that cover it, the one of the smallest region."""
    covering = (node for node in nodes if covers(node.region_code, code))
    return max(covering, key=lambda node: len(prefix_of(node.region_code)), default=None)


def level_distance(a: str, b: str) -> int:
    """How far up the tree two regions meet: 0 the same region, 1 in one city, 2 in one province, 3 in none.

    The scale is the same whatever the levels of the two: a county and its own city are 1 apart, two cities of
    one province 2, a province and the nation 3. Counties directly under a province (4290xx) count as one city.
    """
    if a == b:
        return 0
    common = 0
    for level in range(1, COUNTY_LEVEL):
        pairs = slice(0, 2 * level)
        if a[pairs] == b[pairs] and not a[pairs].endswith("00"):
            common = level
    return COUNTY_LEVEL - common


def full_name(code: str, regions: Mapping[str, Region]) -> str:
    """The name after those of the regions above it, 广东省深圳市南山区; without placeholders such as 市辖区.

    Raises:
        KeyError: ``regions`` has no such code.
    """
    region = regions[code]
    if region.parent_code is None:
        return region.name
    above = "" if region.parent_code == NATION else full_name(region.parent_code, regions)
    return above if region.name in PLACEHOLDERS else above + region.name
