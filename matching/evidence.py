"""The signs that a text asks for an item, and that it concerns intellectual property at all: one column a sign."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct

from matching.kin import Kin
from matching.phrases import PhraseCover, WordFinder
from matching.spelling import Speller
from matching.text import TextIndex, normalise, plain_words, sentences
from matching.topics import Topics
from matching.types import Cue, FloatArray, ItemText, ItemWeights, PastNeed, ScopeWeights, Words

# Past needs beyond this number, the latest, make the build slow and the reading no better.
MOST_KIN = 3_000

# A cue of at least this weight is a word of the field, and a likely meaning of what is nearly it.
FIELD_WEIGHT = 0.3

# Characters beside its topics that a text of bare topics may have: 被告了.
BARE_REST = 1

# What a word must weigh, and the share of the items that it must name, to be read out of one of its characters.
SURE_WEIGHT, MANY_SHARE = 0.9, 0.1


class Evidence(Struct, frozen=True, eq=False):
    """What one text shows: `items` [m, signs of ItemWeights], `scope` [signs of ScopeWeights].

    `mended`: the text in simplified characters, without slips of typing; `plain`: what of it is to the point, in the
    field's own words, in which the `cues` are.
    """

    mended: str
    plain: str
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

    @property
    def bare(self) -> bool:
        """Whether the text names a matter and nothing else: 转让. Who asks us that means what we deal with."""
        topical = {cue.word for cue in self.cues if cue.topics}
        said = sum(len(word) for word in topical)
        return said > 0 and said + BARE_REST >= len(self.plain) and all(cue.weight >= 0 for cue in self.cues)


class EvidenceSource:
    """Gathers evidence for the items of a catalogue; immutable, built once per version of the catalogue."""

    def __init__(self, items: Sequence[ItemText], words: Words, history: Sequence[PastNeed]) -> None:
        """`history`: oldest first; needs of items that are not in the catalogue do not count."""
        self._items = tuple(items)
        self._simplified = str.maketrans(words.simplified)
        self._speller = _speller(items, words)
        self._words = WordFinder((cue.word, cue) for cue in words.cues)
        self._synonyms = WordFinder((word, normalise(group[0])) for group in words.synonyms for word in group)
        phrases = [[self._plain(phrase) for phrase in (item.name, *item.aliases)] for item in items]
        guides = [f"{' '.join(names)} {item.group} {item.text}" for names, item in zip(phrases, items, strict=True)]
        known = [(self._plain(text), thing) for text, thing in _known(items, history)]
        self._kin = Kin.fit(known, len(items) + 1)
        self._says = TextIndex.fit(guides)
        self._cover = PhraseCover.fit(phrases)
        self._topics = Topics.fit(
            [self._words.find(name) for name, *_ in phrases],
            [[self._words.find(alias) for alias in aliases] for _, *aliases in phrases],
        )
        self._halves = _halves(items, words)
        self._cue_words = frozenset(cue.word for cue in words.cues)
        kinds = max(len({right for item in items for right in item.rights}), 1)
        self._breadth = np.array([len(item.rights) / kinds for item in items])
        self._consultation = np.array([float(item.consultation) for item in items])

    def gather(self, text: str) -> Evidence:
        """What `text` shows for every item and for scope. Any text is allowed."""
        mended = self._completed(self._speller.mend(self._normal(text)))
        plain = self._to_the_point(self._in_plain_words(mended))
        cues = tuple(self._words.find(plain))
        topics = self._topics.compare(cues)
        *votes, strange = self._kin.votes(plain)
        items: dict[str, FloatArray] = {
            "votes": np.array(votes),
            "says": self._says.similarity(plain),
            "shared": topics.shared,
            "unmet": topics.unmet,
            "other_right": self._other_right({right for cue in cues for right in cue.rights}),
            "breadth": self._breadth,
            "consultation": self._consultation,
        }
        familiar = self._kin.familiarity(plain)
        field = _any_of(cue for cue in cues if cue.weight > 0)
        scope = {
            "bias": 1.0,
            "field": field,
            # 离婚 in a text about a trademark says little.
            "everyday": (1.0 - field) * _any_of(cue for cue in cues if cue.weight < 0),
            "covered": self._cover.share(plain).max(initial=0.0),
            "votes": sum(votes) * familiar,
            "strange": strange * familiar,
        }
        return Evidence(
            mended=mended,
            plain=plain,
            cues=cues,
            items=np.column_stack([items[sign] for sign in ItemWeights.__struct_fields__]),
            scope=np.array([scope[sign] for sign in ScopeWeights.__struct_fields__]),
        )

    def _completed(self, mended: str) -> str:
        """With 商续展 read as 商标续展, where no word of the field or of everyday tells what the text is about."""
        if any(abs(cue.weight) >= FIELD_WEIGHT for cue in self._words.find(self._in_plain_words(mended))):
            return mended
        words = ["", *plain_words(mended), ""]
        return "".join(
            # 微商 is one word to us, though the dictionary has two.
            word if {before[-1:] + word, word + after[:1]} & self._cue_words else self._halves.get(word, word)
            for before, word, after in zip(words, words[1:], words[2:], strict=False)
        )

    def _normal(self, text: str) -> str:
        return normalise(text).translate(self._simplified)

    def _plain(self, text: str) -> str:
        return self._in_plain_words(self._normal(text))

    def _in_plain_words(self, normal: str) -> str:
        """In the field's own words: 过户 as 转让."""
        return self._synonyms.rewrite(normal, str)

    def _to_the_point(self, plain: str) -> str:
        """Without the sentences that have no word of the field, if another one has: people tell of their day first."""
        told = sentences(plain)
        if len(told) < 2:
            return plain
        cues = [self._words.find(sentence) for sentence in told]
        if not any(cue.weight >= FIELD_WEIGHT for found in cues for cue in found):
            return plain
        return "。".join(
            sentence
            for sentence, found in zip(told, cues, strict=True)
            if any(cue.weight > 0 or cue.topics for cue in found)
        )

    def _other_right(self, rights: set[str]) -> FloatArray:
        """[m], 1 where an item is for other kinds of right than these; 0 where either names none."""
        return np.array([float(bool(rights and i.rights and rights.isdisjoint(i.rights))) for i in self._items])


def _known(items: Sequence[ItemText], history: Sequence[PastNeed]) -> list[tuple[str, int]]:
    """Texts of known meaning, each with its item's place; those outside scope have the place after the last."""
    place = {item.code: number for number, item in enumerate(items)} | {None: len(items)}
    named = [(phrase, place[item.code]) for item in items for phrase in (item.name, *item.aliases)]
    return named + [(past.text, place[past.item_code]) for past in history if past.item_code in place][-MOST_KIN:]


def _speller(items: Sequence[ItemText], words: Words) -> Speller:
    """Mends words of the field, and those in the items' names; other everyday words are left alone."""
    weights: dict[str, float] = {}
    for cue in words.cues:
        weights[cue.word] = max(cue.weight, weights.get(cue.word, cue.weight))
    heaviest_first = sorted(weights, key=lambda word: -weights[word])
    meant = {word: weights[word] >= FIELD_WEIGHT or any(word in item.name for item in items) for word in heaviest_first}
    others = [word for group in words.synonyms for word in group if word not in meant]
    return Speller(
        words.sounds,
        words.strokes,
        [word for word in meant if meant[word]],
        [*(word for word in meant if not meant[word]), *others],
    )


def _halves(items: Sequence[ItemText], words: Words) -> dict[str, str]:
    """By each of its two characters, a word of nothing else that many items are named by: 商标, 专利."""
    sure = {cue.word for cue in words.cues if cue.weight >= SURE_WEIGHT and len(cue.word) == 2}
    named = Counter(word for word in sure for item in items if word in item.name)
    return {half: word for word, count in named.items() if count >= MANY_SHARE * len(items) for half in word}


def _any_of(cues: Iterable[Cue]) -> float:
    """How surely one of these words means what it mostly means, each word counted once; 0..1."""
    weights = {cue.word: abs(cue.weight) for cue in cues}
    return float(1.0 - np.prod([1.0 - weight for weight in weights.values()]))
