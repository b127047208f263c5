"""Slips that keep the sound: 专力 for 专利. What the index writes instead is what was meant."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

from search.parse import Word
from search.sounds import Sounds
from search.text import fold

_RARER = 50
"""A word that the dictionary does not know is a slip if others of its sound are so many times more frequent."""
_LONGEST_SLIP = 4


class Vocabulary(Protocol):
    """What an index holds."""

    def written(self, text: str) -> int:
        """Documents with the word, about."""

    def sounding(self, heard: list[str]) -> int:
        """Documents in whose names these pairs of sounds are, about."""

    def texts_sounding(self, heard: list[str]) -> list[str]:
        """Some of their texts."""


def heard_slips(words: Sequence[Word], index: Vocabulary, sounds: Sounds) -> dict[str, str]:
    """What was written → what was meant. A word of the dictionary is no slip if any document has it."""
    found = {}
    for word in words:
        if word.chinese and (word.run or not index.written(word.text)) and (slip := _slip(word, index, sounds)):
            found[slip[0]] = slip[1]
    return found


def mended(text: str, slips: dict[str, str]) -> str:
    """The text with each slip in its right spelling; as it is if there are none."""
    right = fold(text)
    for slip, meant in slips.items():
        right = right.replace(slip, meant)
    return text if right == fold(text) else right


def _slip(word: Word, index: Vocabulary, sounds: Sounds) -> tuple[str, str] | None:
    """The longest stretch around the word that sounds like something written differently."""
    run = word.run or word.text
    widths = range(min(len(run), _LONGEST_SLIP), 1, -1)
    for stretch in (run[i : i + width] for width in widths for i in range(len(run) - width + 1)):
        heard = sounds.pairs(stretch)
        # Stop words alone are no slip, nor is what has a character without a sound.
        if set(stretch).isdisjoint(word.text) or len(heard) < len(stretch) - 1:
            continue
        often = index.sounding(heard)
        if often and often > _RARER * index.written(stretch):
            meant = _spelling(stretch, index.texts_sounding(heard), sounds)
            return (stretch, meant) if meant else None
    return None


def _spelling(written: str, texts: Iterable[str], sounds: Sounds) -> str | None:
    """How the texts write what sounds so: their most frequent spelling."""
    wanted, size = sounds.heard(written), len(written)
    spellings: Counter[str] = Counter()
    for text in map(fold, texts):
        heard = sounds.heard(text)
        spellings.update(text[i : i + size] for i in range(len(text) - size + 1) if heard[i : i + size] == wanted)
    del spellings[written]
    return max(spellings, key=lambda one: (spellings[one], one), default=None)
