"""Ids and codes to arrays and back; the only place where matching sees identifiers.

Region codes are those of GB/T 2260: six digits, two each for province, city and county. '440300' covers '440305',
'000000' is the whole country.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from msgspec import Struct

from matching.errors import EncodingError
from matching.types import BoolArray, FloatArray, IntArray, NeedView, OfferingView, Record

MASK_BITS = 63  # bit masks are int64

Vocabulary = Mapping[str, int]


class OfferingArrays(Struct, frozen=True, eq=False):
    """n offerings as columns; every array is [n] but `cover_*`, which hold one row per covered region.

    `rights`, `stages`, `audience` are bit masks over the vocabularies; `promised_days` is NaN where none is promised.
    Offerings of one item by one institution have the same `service`, a number from 0.
    """

    offering_id: IntArray
    version: IntArray
    institution_id: IntArray
    institution_region: IntArray
    item: IntArray
    service: IntArray
    rights: IntArray
    stages: IntArray
    audience: IntArray
    promised_days: FloatArray
    cover_owner: IntArray
    cover_code: IntArray
    published: BoolArray
    capacity: IntArray
    load: IntArray
    accepted: IntArray
    declined: IntArray
    delivered: IntArray
    on_time: IntArray
    rated: IntArray
    rating_points: IntArray

    def __len__(self) -> int:
        return len(self.offering_id)


class Vocabularies(Struct, frozen=True, eq=False):
    """Code → column or bit, learned from the offerings."""

    items: Vocabulary
    rights: Vocabulary
    stages: Vocabulary
    audience: Vocabulary


class EncodedNeed(Struct, frozen=True, eq=False):
    """A need as numbers. `rights_asked` and `stages_asked` count also what no offering has, so that it is missed."""

    region: int
    territory: int
    rights: int
    rights_asked: int
    stages: int
    stages_asked: int
    audience: int
    days_left: int | None
    conflicts: IntArray
    declined_by: IntArray


def vocabulary(codes: Iterable[str]) -> dict[str, int]:
    """Distinct codes in sorted order, so that the order of arrival never matters."""
    return {code: number for number, code in enumerate(sorted(set(codes)))}


def bit_mask(codes: Iterable[str], bits: Vocabulary) -> int:
    """The codes as a bit mask; codes outside the vocabulary set no bit."""
    mask = 0
    for code in codes:
        if code in bits:
            mask |= 1 << bits[code]
    return mask


def region_number(code: str) -> int:
    """'440305' → 440305. Raises EncodingError unless the code is six ASCII digits."""
    if len(code) != 6 or not (code.isascii() and code.isdigit()):
        raise EncodingError(f"not a six-digit region code: {code!r}")
    return int(code)


def region_span(codes: IntArray) -> IntArray:
    """How many codes each region spans: 1 for a county, 100 a city, 10,000 a province, 1,000,000 the country."""
    return np.select(
        [codes % 100 != 0, codes % 10_000 != 0, codes != 0],
        [np.int64(1), np.int64(100), np.int64(10_000)],
        np.int64(1_000_000),
    )


def covers(codes: IntArray, region: int) -> BoolArray:
    """Whether each region of `codes` is `region` or lies above it."""
    span = region_span(codes)
    covered: BoolArray = codes // span == region // span
    return covered


def lies_in(codes: IntArray, region: int) -> BoolArray:
    """Whether each region of `codes` is `region` or lies below it."""
    span = int(region_span(np.array([region], dtype=np.int64))[0])
    inside: BoolArray = codes // span == region // span
    return inside


def in_territory(need: EncodedNeed, offerings: OfferingArrays) -> BoolArray:
    """Whether each offering's institution is at home where the node that ranks has a say."""
    return lies_in(offerings.institution_region, need.territory)


def region_steps(codes: IntArray, region: int) -> IntArray:
    """Steps on the tree country – province – city – county from `region` to each of `codes`, 0..6."""
    depth = _depth(codes)
    here = int(_depth(np.array([region], dtype=np.int64))[0])
    shared = np.zeros(len(codes), dtype=np.int64)
    for level, span in enumerate((10_000, 100, 1), start=1):
        same = (codes // span == region // span) & (depth >= level) & (here >= level)
        shared = np.where(same, level, shared)
    return depth + here - 2 * shared


def encode_offerings(offerings: Sequence[OfferingView]) -> tuple[OfferingArrays, Vocabularies]:
    """Columns and vocabularies of the offerings.

    Raises EncodingError on a malformed region, too many kinds, or a promise that is no number of days.
    """
    vocabularies = Vocabularies(
        items=vocabulary(offering.item_code for offering in offerings),
        rights=_bits("rights", (code for offering in offerings for code in offering.rights)),
        stages=_bits("stages", (code for offering in offerings for code in offering.stages)),
        audience=_bits("audience", (code for offering in offerings for code in offering.audience)),
    )
    cover = [(row, region_number(code)) for row, offering in enumerate(offerings) for code in offering.region_codes]
    arrays = OfferingArrays(
        offering_id=_ints(o.offering_id for o in offerings),
        version=_ints(o.version for o in offerings),
        institution_id=_ints(o.institution_id for o in offerings),
        institution_region=_ints(region_number(o.institution_region) for o in offerings),
        item=_ints(vocabularies.items[o.item_code] for o in offerings),
        service=_services(offerings),
        rights=_ints(bit_mask(o.rights, vocabularies.rights) for o in offerings),
        stages=_ints(bit_mask(o.stages, vocabularies.stages) for o in offerings),
        audience=_ints(bit_mask(o.audience, vocabularies.audience) for o in offerings),
        promised_days=_promises(offerings),
        cover_owner=_ints(row for row, _ in cover),
        cover_code=_ints(code for _, code in cover),
        published=np.ones(len(offerings), dtype=np.bool_),
        **record_columns([o.record for o in offerings]),
    )
    return arrays, vocabularies


def record_columns(records: Sequence[Record]) -> dict[str, IntArray]:
    """The volatile columns of `OfferingArrays`, by name."""
    return {field: _ints(getattr(record, field) for record in records) for field in Record.__struct_fields__}


def encode_need(need: NeedView, vocabularies: Vocabularies) -> EncodedNeed:
    """A need in the offerings' vocabularies. Raises EncodingError on a malformed region."""
    return EncodedNeed(
        region=region_number(need.region_code),
        territory=region_number(need.territory),
        rights=bit_mask(need.rights, vocabularies.rights),
        rights_asked=len(set(need.rights)),
        stages=bit_mask(need.stages, vocabularies.stages),
        stages_asked=len(set(need.stages)),
        audience=bit_mask(() if need.audience is None else (need.audience,), vocabularies.audience),
        days_left=need.days_left,
        conflicts=_ints(need.conflicts),
        declined_by=_ints(need.declined_by),
    )


def _promises(offerings: Sequence[OfferingView]) -> FloatArray:
    for offering in offerings:
        if offering.promised_days is not None and not 0 <= offering.promised_days < np.inf:
            raise EncodingError(f"offering {offering.offering_id} promises {offering.promised_days} days")
    return np.array([np.nan if o.promised_days is None else o.promised_days for o in offerings], dtype=np.float64)


def _services(offerings: Sequence[OfferingView]) -> IntArray:
    keys = [(offering.institution_id, offering.item_code) for offering in offerings]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return _ints(numbers[key] for key in keys)


def _depth(codes: IntArray) -> IntArray:
    """0 country, 1 province, 2 city, 3 county."""
    depth: IntArray = (codes != 0).astype(np.int64) + (codes % 10_000 != 0) + (codes % 100 != 0)
    return depth


def _bits(name: str, codes: Iterable[str]) -> dict[str, int]:
    bits = vocabulary(codes)
    if len(bits) > MASK_BITS:
        raise EncodingError(f"{len(bits)} kinds of {name}, at most {MASK_BITS} can be told apart")
    return bits


def _ints(values: Iterable[int]) -> IntArray:
    return np.fromiter(values, dtype=np.int64)
