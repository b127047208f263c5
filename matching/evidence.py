"""The signs that a text asks for an item, and that it concerns intellectual property at all: one column a sign."""

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct

from matching.kin import Kin
from matching.phrases import PhraseCover, WordFinder
from matching.spelling import Speller
from matching.text import TextIndex, normalise
from matching.topics import Topics
from matching.types import Cue, FloatArray, ItemText, ItemWeights, ScopeWeights

# Past needs beyond this number, the latest, make the build slow and the reading no better.
MOST_KIN = 2_000

# The topic of words with which people ask rather than order: 咨询, 请教.
ASKING = "ask"


class Evidence(Struct, frozen=True, eq=False):
    """What one text shows: `items` [m, signs of ItemWeights], `scope` [signs of ScopeWeights]."""

    normal: str
    cues: tuple[Cue, ...]
    items: FloatArray
    scope: FloatArray

    @property
    def rights(self) -> tuple[str, ...]:
        """In the order of their words; each once."""
        return tuple(dict.fromkeys(right for cue in self.cues for right in cue.rights))

    @property
    def stages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(stage for cue in self.cues for stage in cue.stages))


class EvidenceSource:
    """Gathers evidence for the items of a catalogue; immutable, built once per version of the catalogue."""

    def __init__(
        self,
        items: Sequence[ItemText],
        cues: Sequence[Cue],
        sounds: dict[str, str],
        history: Sequence[tuple[str, str]],
    ) -> None:
        """`history`: confirmed needs with their item's code, oldest first; codes out of the catalogue do not count."""
        self._items = tuple(items)
        place = {item.code: number for number, item in enumerate(items)}
        phrases = [(item.name, *item.aliases) for item in items]
        named = [(phrase, number) for number, names in enumerate(phrases) for phrase in names]
        past = [(text, place[code]) for text, code in history if code in place][-MOST_KIN:]
        called = [f"{item.name} {item.group} {' '.join(item.aliases)}" for item in items]
        self._speller = Speller(sounds, (cue.word for cue in cues if cue.weight >= 0))
        self._words = WordFinder((cue.word, cue) for cue in cues)
        self._kin = Kin.fit([*named, *past], len(items))
        self._called = TextIndex.fit(called)
        self._says = TextIndex.fit([f"{names} {item.text}" for names, item in zip(called, items, strict=True)])
        self._cover = PhraseCover.fit(phrases)
        self._topics = Topics.fit(
            [self._find(item.name) for item in items],
            [[self._find(alias) for alias in item.aliases] for item in items],
        )
        kinds = max(len({right for item in items for right in item.rights}), 1)
        self._breadth = np.array([len(item.rights) / kinds for item in items])
        self._consultation = np.array([float(item.consultation) for item in items])

    def gather(self, text: str) -> Evidence:
        """What `text` shows for every item and for scope. Any text is allowed."""
        normal = self._speller.mend(normalise(text))
        cues = tuple(self._words.find(normal))
        called, covered = self._called.similarity(normal), self._cover.share(normal)
        votes, topics = self._kin.votes(normal), self._topics.compare(cues)
        asks = any(ASKING in cue.topics for cue in cues)
        # Nothing concrete is near: what only a consultation can answer.
        unfit = 1.0 - (topics.shared * (1.0 - self._consultation)).max(initial=0.0)
        items: dict[str, FloatArray] = {
            "votes": votes,
            "called": called,
            "says": self._says.similarity(normal),
            # Half of a phrase is much less than half of the evidence: hence the square.
            "covered": covered**2,
            "shared": topics.shared,
            "unmet": topics.unmet,
            "unsaid": topics.unsaid,
            "other_right": self._other_right({right for cue in cues for right in cue.rights}),
            "breadth": self._breadth,
            "consultation": self._consultation,
            "asks": self._consultation * asks,
            "unfit": self._consultation * unfit,
        }
        field = _any_of(cue for cue in cues if cue.weight > 0)
        scope = {
            "bias": 1.0,
            "field": field,
            # 离婚 in a text about a trademark says little.
            "everyday": (1.0 - field) * _any_of(cue for cue in cues if cue.weight < 0),
            "covered": covered.max(initial=0.0),
            "called": called.max(initial=0.0),
            "votes": votes.max(initial=0.0),
        }
        return Evidence(
            normal=normal,
            cues=cues,
            items=np.column_stack([items[sign] for sign in ItemWeights.__struct_fields__]),
            scope=np.array([scope[sign] for sign in ScopeWeights.__struct_fields__]),
        )

    def _find(self, text: str) -> list[Cue]:
        return self._words.find(normalise(text))

    def _other_right(self, rights: set[str]) -> FloatArray:
        """[m], 1 where an item is for other kinds of right than these; 0 where either names none."""
        return np.array([float(bool(rights and i.rights and rights.isdisjoint(i.rights))) for i in self._items])


def _any_of(cues: Iterable[Cue]) -> float:
    """How surely one of these words means what it mostly means, each word counted once; 0..1."""
    weights = {cue.word: abs(cue.weight) for cue in cues}
    return float(1.0 - np.prod([1.0 - weight for weight in weights.values()]))
