"""A plain sentence → the service items that answer it, kinds of right, stages, or "outside the platform's scope".

Every item's log-odds are a weighted sum of signs (matching/evidence.py); a softmax over the catalogue makes them
likelihoods. Scope is a logistic of signs of its own. Weights are fitted by `python -m bench.understanding --fit`.
"""

import math
from collections.abc import Sequence

import numpy as np
from msgspec.structs import astuple, replace

from matching.evidence import Evidence, EvidenceSource
from matching.gaps import asks, gaps
from matching.text import sentences
from matching.types import FloatArray, ItemText, Lexicon, PastNeed, Reading, Understanding, UnderstoodItem

MOST_ITEMS = 5
ALWAYS_SHOWN = 3  # a reader who is sure and wrong still has to offer a choice
MOST_SENTENCES = 8
SAVING_ODDS = 0.5  # by so much more than a whole text, a sentence alone must be within scope
LEAST_SCORE = 0.02  # below, any further item is not worth showing
SURE_SCORE = 0.25  # from here on, the item counts as told


class Understander:
    """Understands needs in the words of a catalogue; immutable, built once per version of the catalogue."""

    def __init__(self, items: Sequence[ItemText], lexicon: Lexicon, history: Sequence[PastNeed] = ()) -> None:
        """Learns from names, aliases and guides, so a new item is understood at once.

        `history`: oldest first; past needs vote beside names and aliases.
        """
        self._items = tuple(items)
        # An item without a group is one of its own.
        self._groups = {item.code: item.group or item.code for item in items}
        self._source = EvidenceSource(items, lexicon.words, history)
        self._item_weights = np.array(astuple(lexicon.weights.item))
        self._scope_weights = np.array(astuple(lexicon.weights.scope))
        threshold = lexicon.weights.threshold
        self._least_odds = math.log(threshold / (1.0 - threshold))

    def understand(self, text: str) -> Understanding:
        """What `text` asks for. Any text is allowed; one that tells nothing is outside scope."""
        return self.read(text).understanding

    def read(self, text: str) -> Reading:
        """What `text` asks for, with the likelihood of every item."""
        evidence = self.evidence(text)
        likelihoods = _softmax(evidence.items @ self._item_weights)
        return Reading(
            understanding=self._understanding(evidence, likelihoods),
            scores={item.code: score for item, score in zip(self._items, likelihoods.tolist(), strict=True)},
            groups=self._groups,
        )

    def evidence(self, text: str) -> Evidence:
        """What in `text` speaks for what: in the whole, or in the sentence that saves it from being outside scope."""
        whole = self._source.gather(text)
        told = sentences(whole.mended)
        if len(told) < 2 or self._odds(whole) >= self._least_odds:
            return whole
        best = max(map(self._source.gather, told[:MOST_SENTENCES]), key=self._odds)
        saves = self._odds(best) >= self._least_odds + SAVING_ODDS
        return replace(best, mended=whole.mended) if saves else whole

    def _odds(self, evidence: Evidence) -> float:
        """Logarithm of the odds that the text is within scope."""
        return float(evidence.scope @ self._scope_weights)

    def _understanding(self, evidence: Evidence, likelihoods: FloatArray) -> Understanding:
        outside = self._odds(evidence) < self._least_odds and not evidence.bare
        best = [] if outside else np.argsort(-likelihoods, kind="stable")[:MOST_ITEMS].tolist()
        sure = [self._items[place] for place in best if likelihoods[place] >= SURE_SCORE]
        return Understanding(
            items=tuple(
                UnderstoodItem(item.number, item.code, item.name, score)
                for rank, (item, score) in enumerate((self._items[place], float(likelihoods[place])) for place in best)
                if rank < ALWAYS_SHOWN or score >= LEAST_SCORE
            ),
            rights=evidence.rights,
            stages=evidence.stages,
            outside_scope=outside,
            # An item for one kind of right tells the right, whether or not the text names it.
            missing=gaps(
                evidence.mended,
                # Consultation is told by what it is about: "I have a question" is none.
                item_known=any(not item.consultation for item in sure) or (bool(sure) and asks(evidence.mended)),
                right_known=bool(evidence.rights) or any(len(item.rights) == 1 for item in sure),
            ),
        )


def _softmax(log_odds: FloatArray) -> FloatArray:
    odds = np.exp(log_odds - log_odds.max(initial=0.0))
    likelihoods: FloatArray = odds / odds.sum()
    return likelihoods
