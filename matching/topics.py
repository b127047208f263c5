"""What a text is about, by words of the field that mean the same: 快过期了 and 续展 are one topic.

An item has the topics of its own name and aliases, so a new item has them at once.
"""

from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
from msgspec import Struct

from matching.types import Cue, FloatArray


class TopicFit(Struct, frozen=True, eq=False):
    """How a text's topics and those of each thing go together, each [m] and 0..1.

    `shared`: cosine; `unmet`: weight of the text's topics that the thing lacks, of all of the text's.
    """

    shared: FloatArray
    unmet: FloatArray


class Topics:
    """Topics of things 0..m−1; immutable."""

    def __init__(self, order: dict[str, int], rarity: FloatArray, owned: FloatArray) -> None:
        """`rarity` [k] weight of each topic; `owned` [m, k] rows of length 1."""
        self._order = order
        self._rarity = rarity
        self._owned = owned

    @classmethod
    def fit(cls, named: Sequence[Iterable[Cue]], aliased: Sequence[Sequence[Iterable[Cue]]]) -> Self:
        """`named[i]`: the cues in the name of thing i; `aliased[i]`: those in each of its aliases."""
        cues = [cue for name in named for cue in name] + [c for one in aliased for alias in one for c in alias]
        order = {topic: place for place, topic in enumerate(dict.fromkeys(t for cue in cues for t in cue.topics))}
        names = _rows(named, order)
        shares = np.zeros_like(names)
        for thing, aliases in enumerate(aliased):
            if aliases:
                shares[thing] = _rows(aliases, order).mean(axis=0)
        # A topic of the name is wholly the thing's; one of its aliases, as far as they speak of it.
        owned = np.maximum(names, np.sqrt(shares))
        rarity = np.log((1 + len(named)) / (0.5 + (owned > 0.3).sum(axis=0)))
        weighted = owned * rarity
        length = np.linalg.norm(weighted, axis=1, keepdims=True)
        return cls(order, rarity, np.divide(weighted, length, where=length > 0, out=weighted))

    def compare(self, cues: Iterable[Cue]) -> TopicFit:
        """A text with these cues against all things."""
        said = _rows([cues], self._order)[0] * self._rarity
        length = np.linalg.norm(said)
        return TopicFit(
            shared=self._owned @ said / length if length else np.zeros(len(self._owned)),
            unmet=(self._owned < 0.1) @ said / (said.sum() or 1.0),
        )


def _rows(texts: Iterable[Iterable[Cue]], order: dict[str, int]) -> FloatArray:
    """[n, k]: 1 where a text has a cue of a topic; topics out of `order` do not count."""
    texts = list(texts)
    rows = np.zeros((len(texts), len(order)))
    for row, cues in enumerate(texts):
        for cue in cues:
            rows[row, [order[topic] for topic in cue.topics if topic in order]] = 1.0
    return rows
