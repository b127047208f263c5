"""The whole flow: a need and the published offerings → hard rules → features → score → the best, with reasons."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Self

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from matching.encode import OfferingArrays, Vocabularies, encode_need, encode_offerings, record_columns
from matching.errors import FeatureError
from matching.explore import Chance, propensities, shuffled
from matching.features import FEATURES, FeatureMatrix, Pairs, feature_matrix
from matching.rules import RULES, exclusions, first_broken
from matching.scorer import Scorer, Scores
from matching.text import TextIndex
from matching.types import (
    FloatArray,
    IntArray,
    NeedView,
    OfferingView,
    Part,
    Ranked,
    Ranking,
    Reading,
    Record,
    SecondOpinion,
)

# Understanding a text is never as sure as a person's confirmation, and once a person has confirmed an item the others
# are only alternatives.
UNDERSTOOD = 0.9
ALTERNATIVE = 0.45

# Scores closer than this are equal: the last bits of a sum are noise, not merit.
TIE_DIGITS = 9

NO_CHANCE = Chance(gap=0.0)


class OfferingIndex(Struct, frozen=True, eq=False):
    """All published offerings, encoded and vectorised once, for many needs."""

    arrays: OfferingArrays
    vocabularies: Vocabularies
    texts: TextIndex
    item_codes: Mapping[int, str]

    @classmethod
    def build(cls, offerings: Sequence[OfferingView]) -> Self:
        """Seconds for ten thousand: done when the catalogue changes, not for every need."""
        arrays, vocabularies = encode_offerings(offerings)
        texts = TextIndex.fit([f"{offering.title} {offering.text}" for offering in offerings])
        return cls(arrays, vocabularies, texts, {offering.offering_id: offering.item_code for offering in offerings})

    def item_of(self, offering_id: int) -> str:
        """The item under which an offering is published. Raises KeyError for one the index does not hold."""
        return self.item_codes[offering_id]

    def with_records(self, records: Mapping[int, Record]) -> Self:
        """The same texts with today's records, by offering id: milliseconds, done before every ranking.

        `records` tells what is published now: an offering not in it is excluded as unpublished. Ids the index does
        not hold are newer than it and wait for the next build.
        """
        gone = Record(capacity=0)
        ids = self.arrays.offering_id.tolist()
        published = np.fromiter((offering_id in records for offering_id in ids), dtype=np.bool_)
        columns = record_columns([records.get(offering_id, gone) for offering_id in ids])
        return replace(self, arrays=replace(self.arrays, published=published, **columns))


def rank(
    need: NeedView,
    index: OfferingIndex,
    scorer: Scorer,
    reading: Reading,
    *,
    top: int,
    seed: int,
    chance: Chance = NO_CHANCE,
    passed_over: int = 0,
    second: Scorer | None = None,
) -> Ranking:
    """The `top` best offerings for a need; `reading` is of its text. `passed_over`: how many of the others to keep.
    `second`: asked for its opinion on the same candidates.

    Deterministic, and independent of the offerings' order. Ties are broken by `seed`, never by name, id or age; so are
    near-ties, as far as `chance` goes.
    Raises EncodingError on a malformed region, FeatureError on a bad model.
    """
    names = tuple(feature.name for feature in FEATURES)
    if scorer.features != names:
        raise FeatureError(f"{scorer.version} reads {scorer.features}, features are {names}")
    need = _completed(need, reading)
    encoded = encode_need(need, index.vocabularies)
    broken = first_broken(encoded, index.arrays)
    eligible = np.flatnonzero(broken == len(RULES))
    pairs = Pairs(
        need=encoded,
        offerings=index.arrays,
        similarity=index.texts.similarity(need.text),
        item_fit=_item_fit(need, index, reading),
    )
    matrix = feature_matrix(pairs).rows(eligible)
    scores = scorer.score(matrix.values)
    shown, propensity = _shown(scores.total, index.arrays.offering_id[eligible], chance, top=top, seed=seed)
    others = _others(index.arrays.offering_id[eligible], shown, passed_over, seed=seed)
    kept = np.concatenate([shown, others])
    ranked = _ranked(
        scorer,
        matrix.rows(kept),
        scores.rows(kept),
        ids=index.arrays.offering_id[eligible[kept]].tolist(),
        versions=index.arrays.version[eligible[kept]].tolist(),
        propensity=[*propensity.tolist(), *[0.0] * len(others)],
    )
    return Ranking(
        model_version=scorer.version,
        seed=seed,
        considered=len(index.arrays),
        ranked=ranked[: len(shown)],
        excluded=exclusions(index.arrays, broken),
        passed_over=ranked[len(shown) :],
        second=None if second is None or not len(shown) else _opinion(second, matrix.values, shown, kept, chance),
    )


def _opinion(second: Scorer, values: FloatArray, shown: IntArray, kept: IntArray, chance: Chance) -> SecondOpinion:
    """On candidates with feature `values` [n, k], of which those at the positions `shown` are the list."""
    scores = second.score(values).total
    rounded = np.round(scores, TIE_DIGITS)
    last = np.partition(rounded, -len(shown))[-len(shown)]
    return SecondOpinion(
        model_version=second.version,
        scores=tuple(scores[kept].tolist()),
        propensity=float(propensities(rounded, shown[:1], chance)[0]),
        overlap=float((rounded[shown] >= last).mean()),
    )


def _shown(
    scores: FloatArray, offering_ids: IntArray, chance: Chance, *, top: int, seed: int
) -> tuple[IntArray, FloatArray]:
    """The positions of those to show, in their order, and the propensity of each."""
    if chance.gap == 0:
        order = best_first(scores, offering_ids, top=top, seed=seed)
        return order, propensities(np.round(scores, TIE_DIGITS), order, NO_CHANCE)
    by_id = np.argsort(offering_ids)
    order, propensity = shuffled(np.round(scores[by_id], TIE_DIGITS), chance, top=top, seed=seed)
    return by_id[order], propensity


def _others(offering_ids: IntArray, shown: IntArray, many: int, *, seed: int) -> IntArray:
    """Positions of so many of those not shown, drawn by chance."""
    rest = np.setdiff1d(np.arange(len(offering_ids)), shown)
    rest = rest[np.argsort(offering_ids[rest])]
    drawn: IntArray = np.random.default_rng(seed).permutation(rest)[:many]
    return drawn


def best_first(scores: FloatArray, offering_ids: IntArray, *, top: int, seed: int) -> IntArray:
    """Positions of the `top` highest scores, best first; ties by a hash of seed and offering."""
    rounded = np.round(scores, TIE_DIGITS)
    if 0 < top < len(rounded):
        # Only what can reach the list is hashed; all that tie with its last place are kept for the hash to decide.
        kept = np.flatnonzero(rounded >= np.partition(rounded, len(rounded) - top)[len(rounded) - top])
    else:
        kept = np.arange(len(rounded))
    tie = np.fromiter((_tie(seed, offering_id) for offering_id in offering_ids[kept].tolist()), dtype=np.uint64)
    order: IntArray = kept[np.lexsort((tie, -rounded[kept]))][:top]
    return order


def _tie(seed: int, offering_id: int) -> int:
    return int.from_bytes(blake2b(f"{seed}:{offering_id}".encode(), digest_size=8).digest())


def _completed(need: NeedView, reading: Reading) -> NeedView:
    """The need with rights and stages as read from its text where nobody confirmed any."""
    found = reading.understanding
    return replace(need, rights=need.rights or found.rights, stages=need.stages or found.stages)


def _item_fit(need: NeedView, index: OfferingIndex, reading: Reading) -> FloatArray:
    """How well each offering's item fits the need, [n], 0..1."""
    items = index.vocabularies.items
    ceiling = ALTERNATIVE if need.item_codes else UNDERSTOOD
    fit = np.array([ceiling * reading.scores.get(code, 0.0) for code in items], dtype=np.float64)
    for code in need.item_codes:
        if code in items:
            fit[items[code]] = 1.0
    by_offering: FloatArray = fit[index.arrays.item]
    return by_offering


def _ranked(
    scorer: Scorer,
    matrix: FeatureMatrix,
    scores: Scores,
    *,
    ids: list[int],
    versions: list[int],
    propensity: list[float],
) -> tuple[Ranked, ...]:
    """All rows as values, in their order."""
    weights, totals, points = scorer.weights.tolist(), scores.total.tolist(), scores.parts.tolist()
    values, evidence = matrix.values.tolist(), matrix.evidence.tolist()
    return tuple(
        Ranked(
            rank=row + 1,
            offering_id=ids[row],
            offering_version=versions[row],
            score=totals[row],
            parts=tuple(map(Part, scorer.features, values[row], weights, points[row], evidence[row])),
            propensity=propensity[row],
        )
        for row in range(len(ids))
    )
