"""A plain sentence → the service items that answer it, kinds of right, stages, or "outside scope".

An item's evidence is a weighted sum: cosine with what it is called (name, group, aliases) and with all it says; how
much of its best name or alias the text covers in any order; whether it is for other kinds of right than the text
names, and how many kinds it serves. A softmax over the catalogue turns evidence into likelihoods. Scope is a logistic
of the field's words found and the best of the same evidence over all items.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct

from matching.gaps import gaps
from matching.phrases import PhraseCover, WordFinder
from matching.text import TextIndex, normalise
from matching.types import Cue, FloatArray, ItemText, Understanding, UnderstoodItem

MOST_ITEMS = 5
LEAST_SCORE = 0.02  # below, an item is not worth showing
SURE_SCORE = 0.3  # from here on, the item counts as told

# Fitted by softmax regression on sixty needs written for the purpose in users' words, then rounded.
CALLED, SAYS, COVERED, OTHER_RIGHT, BREADTH, CONSULTATION = 17.0, 9.0, 3.0, -3.5, 2.0, 0.5

# Fitted by logistic regression on the same needs against thirty everyday questions. The threshold is low because a
# false alarm turns an enterprise away, while a miss costs a coordinator a glance.
SCOPE_BIAS, SCOPE_CUES, SCOPE_COVERED, SCOPE_CALLED = -3.0, 5.6, 1.7, 1.9
SCOPE_THRESHOLD = 0.3


class _Reading(Struct, frozen=True, eq=False):
    """One text as the catalogue sees it: words of the field, and per item [m] cosines and coverage, each 0..1."""

    normal: str
    cues: tuple[Cue, ...]
    called: FloatArray
    says: FloatArray
    covered: FloatArray

    @property
    def rights(self) -> tuple[str, ...]:
        """In the order of their words in the cue table; each once."""
        return tuple(dict.fromkeys(right for cue in self.cues for right in cue.rights))

    @property
    def stages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(stage for cue in self.cues for stage in cue.stages))


class Understander:
    """Understands needs in the words of a catalogue; immutable, built once per version of the catalogue."""

    def __init__(self, items: Sequence[ItemText], cues: Iterable[Cue]) -> None:
        """Learns from names, aliases and guides alone, so a new item is understood at once."""
        self._items = tuple(items)
        # What an item brings to any text: one that serves all kinds of right, or takes any question, is the likelier
        # answer where the words alone do not tell.
        kinds = max(len({right for item in items for right in item.rights}), 1)
        self._prior = np.array([BREADTH * len(i.rights) / kinds + CONSULTATION * i.consultation for i in items])
        called = [f"{item.name} {item.group} {' '.join(item.aliases)}" for item in items]
        self._called = TextIndex.fit(called)
        self._says = TextIndex.fit([f"{names} {item.text}" for names, item in zip(called, items, strict=True)])
        self._cover = PhraseCover.fit([(item.name, *item.aliases) for item in items])
        self._cues = WordFinder((cue.word, cue) for cue in cues)

    def understand(self, text: str) -> Understanding:
        """What `text` asks for. Any text is allowed; one that tells nothing is outside scope."""
        reading = self._read(text)
        outside = _scope(reading) < SCOPE_THRESHOLD
        items = () if outside else self._best(self._likelihoods(reading))
        item_known = bool(items) and items[0].score >= SURE_SCORE
        return Understanding(
            items=items,
            rights=reading.rights,
            stages=reading.stages,
            outside_scope=outside,
            missing=gaps(reading.normal, item_known=item_known, right_known=bool(reading.rights)),
        )

    def scores(self, text: str) -> dict[str, float]:
        """Likelihood that each item of the catalogue answers `text`, by item code; they sum to 1."""
        likelihoods = self._likelihoods(self._read(text)).tolist()
        return {item.code: score for item, score in zip(self._items, likelihoods, strict=True)}

    def _read(self, text: str) -> _Reading:
        normal = normalise(text)
        return _Reading(
            normal=normal,
            cues=tuple(self._cues.find(normal)),
            called=self._called.similarity(normal),
            says=self._says.similarity(normal),
            covered=self._cover.share(normal),
        )

    def _likelihoods(self, reading: _Reading) -> FloatArray:
        rights = set(reading.rights)
        other = np.array(
            [bool(rights and i.rights and rights.isdisjoint(i.rights)) for i in self._items], dtype=np.bool_
        )
        # Half of a phrase is much less than half of the evidence: hence the square.
        evidence: FloatArray = (
            CALLED * reading.called
            + SAYS * reading.says
            + COVERED * reading.covered**2
            + OTHER_RIGHT * other
            + self._prior
        )
        odds = np.exp(evidence - evidence.max(initial=0.0))
        likelihoods: FloatArray = odds / odds.sum()
        return likelihoods

    def _best(self, likelihoods: FloatArray) -> tuple[UnderstoodItem, ...]:
        best = np.argsort(-likelihoods, kind="stable")[:MOST_ITEMS].tolist()
        return tuple(
            UnderstoodItem(self._items[i].number, self._items[i].code, self._items[i].name, float(likelihoods[i]))
            for i in best
            if likelihoods[i] >= LEAST_SCORE
        )


def _scope(reading: _Reading) -> float:
    """Probability that the text concerns intellectual property."""
    doubt = np.prod([1.0 - weight for weight in {cue.word: cue.weight for cue in reading.cues}.values()])
    evidence = (
        SCOPE_BIAS
        + SCOPE_CUES * (1.0 - doubt)
        + SCOPE_COVERED * reading.covered.max(initial=0.0)
        + SCOPE_CALLED * reading.called.max(initial=0.0)
    )
    return float(1.0 / (1.0 + np.exp(-evidence)))
