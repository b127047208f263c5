"""A plain sentence → the service items that answer it, kinds of right, stages, or "outside the platform's scope".

Every item's log-odds are a weighted sum of signs (matching/evidence.py); a softmax over the catalogue makes them
likelihoods. Scope is a logistic of signs of its own. Weights are fitted by `python -m bench.understanding --fit`.
"""

from collections.abc import Sequence

import numpy as np
from msgspec.structs import astuple

from matching.evidence import Evidence, EvidenceSource
from matching.gaps import gaps
from matching.types import FloatArray, ItemText, Lexicon, PastNeed, Reading, Understanding, UnderstoodItem

MOST_ITEMS = 5
ALWAYS_SHOWN = 3  # a reader who is sure and wrong still has to offer a choice
LEAST_SCORE = 0.02  # below, any further item is not worth showing
SURE_SCORE = 0.3  # from here on, the item counts as told


class Understander:
    """Understands needs in the words of a catalogue; immutable, built once per version of the catalogue."""

    def __init__(self, items: Sequence[ItemText], lexicon: Lexicon, history: Sequence[PastNeed] = ()) -> None:
        """Learns from names, aliases and guides, so a new item is understood at once.

        `history`: oldest first; past needs vote beside names and aliases.
        """
        self._items = tuple(items)
        # An item without a group is one of its own.
        self._groups = {item.code: item.group or item.code for item in items}
        self._source = EvidenceSource(items, lexicon.cues, lexicon.sounds, history)
        self._item_weights = np.array(astuple(lexicon.weights.item))
        self._scope_weights = np.array(astuple(lexicon.weights.scope))
        self._threshold = lexicon.weights.threshold

    def understand(self, text: str) -> Understanding:
        """What `text` asks for. Any text is allowed; one that tells nothing is outside scope."""
        return self.read(text).understanding

    def read(self, text: str) -> Reading:
        """What `text` asks for, with the likelihood of every item."""
        evidence = self._source.gather(text)
        likelihoods = _softmax(evidence.items @ self._item_weights)
        return Reading(
            understanding=self._understanding(evidence, likelihoods),
            scores={item.code: score for item, score in zip(self._items, likelihoods.tolist(), strict=True)},
            groups=self._groups,
        )

    def _understanding(self, evidence: Evidence, likelihoods: FloatArray) -> Understanding:
        outside = _logistic(float(evidence.scope @ self._scope_weights)) < self._threshold
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
                evidence.normal,
                item_known=bool(sure),
                right_known=bool(evidence.rights) or any(len(item.rights) == 1 for item in sure),
            ),
        )


def _softmax(log_odds: FloatArray) -> FloatArray:
    odds = np.exp(log_odds - log_odds.max(initial=0.0))
    likelihoods: FloatArray = odds / odds.sum()
    return likelihoods


def _logistic(log_odds: float) -> float:
    return float(1.0 / (1.0 + np.exp(-log_odds)))
