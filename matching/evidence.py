"""The signs that a text asks for an item, and that it concerns intellectual property at all: one column a sign."""

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct

from matching.kin import Kin
from matching.phrases import PhraseCover, WordFinder
from matching.spelling import Speller
from matching.text import TextIndex, normalise
from matching.topics import Topics
from matching.types import Cue, FloatArray, ItemText, ItemWeights, PastNeed, ScopeWeights

# Past needs beyond this number, the latest, make the build slow and the reading no better.
MOST_KIN = 2_000

# A cue of at least this weight is a word of the field, and a likely meaning of what is nearly it.
FIELD_WEIGHT = 0.3


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
        self, items: Sequence[ItemText], cues: Sequence[Cue], sounds: dict[str, str], history: Sequence[PastNeed]
    ) -> None:
        """`history`: oldest first; needs of items that are not in the catalogue do not count."""
        self._items = tuple(items)
        phrases = [(item.name, *item.aliases) for item in items]
        guides = [f"{' '.join(names)} {item.group} {item.text}" for names, item in zip(phrases, items, strict=True)]
        self._speller = _speller(items, cues, sounds)
        self._words = WordFinder((cue.word, cue) for cue in cues)
        self._kin = Kin.fit(_known(items, history), len(items) + 1)
        self._says = TextIndex.fit(guides)
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
        covered, topics = self._cover.share(normal), self._topics.compare(cues)
        *votes, strange = self._kin.votes(normal)
        items: dict[str, FloatArray] = {
            "votes": np.array(votes),
            "says": self._says.similarity(normal),
            # Half of a phrase is much less than half of the evidence: hence the square.
            "covered": covered**2,
            "shared": topics.shared,
            "unmet": topics.unmet,
            "other_right": self._other_right({right for cue in cues for right in cue.rights}),
            "breadth": self._breadth,
            "consultation": self._consultation,
        }
        field = _any_of(cue for cue in cues if cue.weight > 0)
        scope = {
            "bias": 1.0,
            "field": field,
            # 离婚 in a text about a trademark says little.
            "everyday": (1.0 - field) * _any_of(cue for cue in cues if cue.weight < 0),
            "covered": covered.max(initial=0.0),
            "votes": max(votes, default=0.0),
            "strange": strange,
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


def _known(items: Sequence[ItemText], history: Sequence[PastNeed]) -> list[tuple[str, int]]:
    """Texts of known meaning, each with its item's place; those outside scope have the place after the last."""
    place = {item.code: number for number, item in enumerate(items)} | {None: len(items)}
    named = [(phrase, place[item.code]) for item in items for phrase in (item.name, *item.aliases)]
    return named + [(past.text, place[past.item_code]) for past in history if past.item_code in place][-MOST_KIN:]


def _speller(items: Sequence[ItemText], cues: Iterable[Cue], sounds: dict[str, str]) -> Speller:
    """Mends words of the field, and those in the items' names; other everyday words are left alone."""
    meant = {cue.word: cue.weight >= FIELD_WEIGHT or any(cue.word in item.name for item in items) for cue in cues}
    return Speller(sounds, [word for word in meant if meant[word]], [word for word in meant if not meant[word]])


def _any_of(cues: Iterable[Cue]) -> float:
    """How surely one of these words means what it mostly means, each word counted once; 0..1."""
    weights = {cue.word: abs(cue.weight) for cue in cues}
    return float(1.0 - np.prod([1.0 - weight for weight in weights.values()]))
