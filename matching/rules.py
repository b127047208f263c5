"""The hard rules: who may not be proposed for a need, whatever the score. The first rule broken is the one shown."""

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from matching.encode import EncodedNeed, OfferingArrays, covers, in_territory
from matching.types import BoolArray, Exclusion, IntArray


class Rule(Struct, frozen=True):
    """`broken` gives a mask [n] of the offerings that may not serve the need; `zh`, `en` tell a coordinator why."""

    code: str
    zh: str
    en: str
    broken: Callable[[EncodedNeed, OfferingArrays], BoolArray]


def _unpublished(_need: EncodedNeed, offerings: OfferingArrays) -> BoolArray:
    return ~offerings.published


def _own_enterprise(need: EncodedNeed, offerings: OfferingArrays) -> BoolArray:
    return np.isin(offerings.institution_id, need.conflicts)


def _declined(need: EncodedNeed, offerings: OfferingArrays) -> BoolArray:
    return np.isin(offerings.institution_id, need.declined_by)


def _outside_territory(need: EncodedNeed, offerings: OfferingArrays) -> BoolArray:
    return ~in_territory(need, offerings)


def _region_not_covered(need: EncodedNeed, offerings: OfferingArrays) -> BoolArray:
    outside = np.ones(len(offerings), dtype=np.bool_)
    outside[offerings.cover_owner[covers(offerings.cover_code, need.region)]] = False
    return outside


def _audience_not_served(need: EncodedNeed, offerings: OfferingArrays) -> BoolArray:
    broken: BoolArray = (offerings.audience != 0) & (offerings.audience & need.audience == 0)
    return broken


def _no_capacity(_need: EncodedNeed, offerings: OfferingArrays) -> BoolArray:
    return offerings.load >= offerings.capacity


# From what cannot change for this need to what may change by tomorrow: the lasting reason is the one worth reading.
RULES: tuple[Rule, ...] = (
    Rule("unpublished", "该服务已停止发布", "no longer published", _unpublished),
    Rule(
        "own_enterprise",
        "提供机构就是需求企业本身",
        "the institution is the enterprise itself",
        _own_enterprise,
    ),
    Rule("outside_territory", "机构不在本节点辖区内", "outside the node's territory", _outside_territory),
    Rule(
        "region_not_covered",
        "服务范围不含需求所在地区",
        "does not cover the need's region",
        _region_not_covered,
    ),
    Rule("audience_not_served", "不面向这一类企业", "not open to this kind of enterprise", _audience_not_served),
    Rule("declined", "该机构已婉拒过这项需求", "the institution has already declined this need", _declined),
    Rule("no_capacity", "承接量已满", "no capacity left", _no_capacity),
)


def first_broken(need: EncodedNeed, offerings: OfferingArrays) -> IntArray:
    """For each offering the position in RULES of the first rule it breaks, len(RULES) where it may serve; [n]."""
    first = np.full(len(offerings), len(RULES), dtype=np.int64)
    for position, rule in reversed(list(enumerate(RULES))):
        first[rule.broken(need, offerings)] = position
    return first


def exclusions(offerings: OfferingArrays, broken: IntArray) -> tuple[Exclusion, ...]:
    """The excluded offerings in the order of `offerings`, from the result of `first_broken`."""
    rows = np.flatnonzero(broken < len(RULES))
    return tuple(
        Exclusion(offering_id, RULES[position].code)
        for offering_id, position in zip(offerings.offering_id[rows].tolist(), broken[rows].tolist(), strict=True)
    )
