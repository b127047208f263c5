"""What a list can be narrowed down by, in words and in the order to show it."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from infra.db import Transaction
from market.catalogue.model import ITEM_LIST_NAMES, RIGHT_NAMES, STAGE_NAMES
from market.enterprises import queries as enterprises
from market.i18n import N_, _
from market.institutions import queries as institutions
from market.notices.model import NOTICE_KIND_NAMES
from market.offerings.model import FEE_KIND_NAMES, LIMIT_BAND_NAMES
from market.regions import queries as regions
from market.regions.model import full_name, lineage
from search.documents import EVERYONE

MOST_VALUES = 12
"""Of a facet without an order of its own, the most frequent."""
LEVELS = ("province", "city", "county")
Names = Mapping[Any, str]


class Choice(Struct, frozen=True):
    """One value: its words, how many there would be, and whether it is chosen."""

    value: str
    words: str
    count: int
    chosen: bool


class Facet(Struct, frozen=True):
    """``param`` of the page's address, what it is called, and its values."""

    param: str
    title: str
    choices: Sequence[Choice]


FIXED: Mapping[str, tuple[str, str, Names]] = {
    "right": (N_("权利类型"), "right", RIGHT_NAMES),
    "stage": (N_("环节"), "stage", STAGE_NAMES),
    "item_list": (N_("清单"), "item_list", ITEM_LIST_NAMES),
    "fee": (N_("费用"), "fee", FEE_KIND_NAMES),
    "time_limit": (N_("承诺时限"), "limit", LIMIT_BAND_NAMES),
    "kind": (N_("类型"), "kind", NOTICE_KIND_NAMES),
}
"""Facets whose values have an order of their own: param → title, field of the index, words."""


async def facets(
    tx: Transaction, counts: Mapping[str, Mapping[str, int]], wanted: Struct, params: Sequence[str]
) -> list[Facet]:
    """The facets of these params that offer a choice; ``counts`` by field of the index."""
    found = [await _facet(tx, counts, wanted, param) for param in params]
    return [facet for facet in found if len(facet.choices) > 1 or any(one.chosen for one in facet.choices)]


async def _facet(tx: Transaction, counts: Mapping[str, Mapping[str, int]], wanted: Struct, param: str) -> Facet:
    if param == "within":
        return await _places(tx, counts, getattr(wanted, param))
    chosen = getattr(wanted, param)
    if param in FIXED:
        title, field, names = FIXED[param]
        return Facet(param, _(title), _choices(counts.get(field, {}), names, chosen))
    title, names = await _named(tx, param)
    field_counts = counts.get(param, {})
    names = {value: names.get(value, value) for value in [*chosen, *field_counts]}
    return Facet(param, title, _choices(field_counts, names, chosen)[:MOST_VALUES])


async def _named(tx: Transaction, param: str) -> tuple[str, Names]:
    match param:
        case "institution_kind":
            return _("机构类型"), await institutions.kinds(tx)
        case "audience":
            return _("服务对象"), {**await enterprises.kinds(tx), EVERYONE: _("所有创新主体")}
        case _:
            return _("办理渠道"), {}  # the lists' own words


async def _places(tx: Transaction, counts: Mapping[str, Mapping[str, int]], within: str | None) -> Facet:
    """The first level, below the place chosen, that offers a choice; the place itself with those above it first."""
    depth = len(lineage(within)) - 1 if within else 0
    level = next((level for level in LEVELS[depth:] if len(counts.get(level, {})) > 1), None)
    here = counts.get(level, {}) if level else {}
    chain = lineage(within)[1:] if within else []
    known = await regions.above(tx, [*here, *chain])
    above = [Choice(code, full_name(code, known), 0, chosen=code == within) for code in chain if code in known]
    below = [Choice(code, known[code].name, n, chosen=False) for code, n in here.items() if code in known]
    return Facet("within", _("机构所在地"), above + below[:MOST_VALUES])


def _choices(counts: Mapping[str, int], names: Names, chosen: Sequence[str]) -> list[Choice]:
    return [
        Choice(value, words, counts.get(value, 0), chosen=value in chosen)
        for value, words in names.items()
        if counts.get(value) or value in chosen
    ]
