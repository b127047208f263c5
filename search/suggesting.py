"""Suggestions of several indexes as one list."""

from collections.abc import Sequence
from itertools import chain, zip_longest

from search.engine import IndexName, Suggestion
from search.highlight import Marker, snippet


def suggestions(index: IndexName, names: Sequence[tuple[str, str]], marker: Marker) -> list[Suggestion]:
    """Ids and names in which something is found: those that begin with it first, otherwise in their order."""
    found = [(id_, name, marker.ranges(name)) for id_, name in names]
    found = sorted((one for one in found if one[2]), key=lambda one: one[2][0][0] > 0)
    return [Suggestion(index, id_, name, snippet(name, ranges)) for id_, name, ranges in found]


def take_turns(by_index: Sequence[Sequence[Suggestion]], limit: int) -> list[Suggestion]:
    """The first of each index, then the second of each; no text twice."""
    found: dict[str, Suggestion] = {}
    for one in chain.from_iterable(zip_longest(*by_index)):
        if one is not None:
            found.setdefault(one.text, one)
    return list(found.values())[:limit]
