"""The whole flow: a need and the published offerings → hard rules → features → score → the best, with reasons."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from itertools import count, repeat
from typing import Self

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from matching.columns import Pairs
from matching.encode import OfferingArrays, Vocabularies, encode_need, encode_offerings, in_territory, record_columns
from matching.errors import FeatureError
from matching.explore import Chance, propensities, shuffled
from matching.features import FEATURES, FeatureMatrix, feature_matrix
from matching.past import NO_PAST, Past
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
    past: Past

    @classmethod
    def build(cls, offerings: Sequence[OfferingView], past: Past = NO_PAST) -> Self:
        """Seconds for ten thousand: done when the catalogue changes, not for every need."""
        arrays, vocabularies = encode_offerings(offerings)
        texts = TextIndex.fit([_text(offering) for offering in offerings])
        item_codes = {offering.offering_id: offering.item_code for offering in offerings}
        return cls(arrays, vocabularies, texts, item_codes, past)

    def over(self, offerings: Sequence[OfferingView]) -> Self:
        """Other offerings in place of these: candidates of a catalogue that is too large to be read whole.

        How rare words are, and what the past tells, stays.
        """
        arrays, vocabularies = encode_offerings(offerings)
        texts = self.texts.over([_text(offering) for offering in offerings])
        item_codes = {offering.offering_id: offering.item_code for offering in offerings}
        return type(self)(arrays, vocabularies, texts, item_codes, self.past)

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

    def with_past(self, past: Past) -> Self:
        """The same offerings, with what their institutions have done by now."""
        return replace(self, past=past)


def _text(offering: OfferingView) -> str:
    return f"{offering.title} {offering.text}"


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
    pairs = _pairs(_completed(need, reading), index, reading)
    broken = first_broken(pairs.need, index.arrays)
    eligible = np.flatnonzero(broken == len(RULES))
    matrix = feature_matrix(pairs).rows(eligible)
    scores = scorer.score(matrix.values)
    shown, propensity = _shown(scores.total, index.arrays.offering_id[eligible], chance, top=top, seed=seed)
    others = _others(index.arrays.offering_id[eligible], shown, passed_over, seed=seed)
    kept = np.concatenate([shown, others])
    ranked = listed(
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


def _pairs(need: NeedView, index: OfferingIndex, reading: Reading) -> Pairs:
    """The need against every offering, also those that hard rules exclude: exposure is compared with all of them."""
    encoded = encode_need(need, index.vocabularies)
    return Pairs(
        need=encoded,
        offerings=index.arrays,
        similarity=index.texts.similarity(need.text),
        item_fit=_by_item(index, _likelihoods(need.item_codes, reading.scores)),
        category=_by_item(index, _category_likelihoods(need.item_codes, reading)),
        standing=index.past.standing(
            need,
            offering_ids=index.arrays.offering_id,
            institution_ids=index.arrays.institution_id,
            near=in_territory(encoded, index.arrays),
        ),
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
    rounded = scores.round(TIE_DIGITS)
    order: IntArray = np.argsort(-rounded)
    first = rounded[order[: top + 1]]
    if (first[1:] == first[:-1]).any():
        # Only what can reach the list is hashed; all that tie with its last place are kept for the hash to decide.
        kept = order[rounded[order] >= first[:top].min(initial=np.inf)]
        tie = np.fromiter((_tie(seed, offering_id) for offering_id in offering_ids[kept].tolist()), dtype=np.uint64)
        order = kept[np.lexsort((tie, -rounded[kept]))]
    return order[:top]


def _tie(seed: int, offering_id: int) -> int:
    return int.from_bytes(blake2b(f"{seed}:{offering_id}".encode(), digest_size=8).digest())


def _completed(need: NeedView, reading: Reading) -> NeedView:
    """The need with rights and stages as read from its text where nobody confirmed any."""
    found = reading.understanding
    return replace(need, rights=need.rights or found.rights, stages=need.stages or found.stages)


def _likelihoods(confirmed: Collection[str], scores: Mapping[str, float]) -> dict[str, float]:
    """How surely each is asked for, 0..1; 1 only for what a person confirmed."""
    ceiling = ALTERNATIVE if confirmed else UNDERSTOOD
    return {code: ceiling * score for code, score in scores.items()} | dict.fromkeys(confirmed, 1.0)


def _category_likelihoods(confirmed: Collection[str], reading: Reading) -> dict[str, float]:
    """How surely the group of each item is asked for, by item code."""
    scores: dict[str, float] = defaultdict(float)
    for code, score in reading.scores.items():
        scores[reading.groups[code]] += score
    by_group = _likelihoods({reading.groups[code] for code in confirmed if code in reading.groups}, scores)
    return {code: by_group[group] for code, group in reading.groups.items()}


def _by_item(index: OfferingIndex, values: Mapping[str, float]) -> FloatArray:
    """Each offering's share of what is known of its item, [n]."""
    by_item = np.array([values.get(code, 0.0) for code in index.vocabularies.items], dtype=np.float64)
    by_offering: FloatArray = by_item[index.arrays.item]
    return by_offering


def listed(
    scorer: Scorer,
    matrix: FeatureMatrix,
    scores: Scores,
    *,
    ids: list[int],
    versions: list[int],
    propensity: list[float],
) -> tuple[Ranked, ...]:
    """All rows as values, in their order; `ids`, `versions` and `propensity` are those of the rows."""
    weights, totals, points = scorer.weights.tolist(), scores.total.tolist(), scores.parts.tolist()
    values, evidence = matrix.values.tolist(), matrix.evidence.tolist()
    names = scorer.features
    parts = [tuple(map(Part, names, *columns)) for columns in zip(values, repeat(weights), points, evidence)]
    return tuple(map(Ranked, count(1), ids, versions, totals, parts, propensity))
