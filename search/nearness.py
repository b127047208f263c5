"""Sorting by nearness: hits in tiers, those of the region itself first."""

from itertools import pairwise

from search.documents import lineage
from search.engine import Filter, NoneOf, OneOf
from search.settings import PLACE


def tiers(near: str) -> list[tuple[Filter, ...]]:
    """Filters of the tiers, from the nearest on; every document is in exactly one.

    440305 → in it; else in 440300; else in 440000; elsewhere.
    """
    levels = lineage(near)[1:][::-1]
    if not levels:
        return [()]
    found: list[tuple[Filter, ...]] = [(OneOf(PLACE, (levels[0],)),)]
    for inner, outer in pairwise(levels):
        found.append((OneOf(PLACE, (outer,)), NoneOf(PLACE, (inner,))))
    return [*found, (NoneOf(PLACE, (levels[-1],)),)]


def windows(counts: list[int], offset: int, limit: int) -> list[tuple[int, int]]:
    """Offset and limit within each tier, given how many hits each has."""
    found = []
    for count in counts:
        start = min(offset, count)
        size = min(limit, count - start)
        found.append((start, size))
        offset, limit = offset - start, limit - size
    return found
