"""How Chinese is typed by its sound: pinyin (zhuanli), first letters (zlsq), and slips that keep the sound (专力)."""

import re
from collections.abc import Mapping
from itertools import pairwise

from search.text import stretches

# Sounds that many speakers and input methods do not tell apart.
_ALIKE = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("ing", "in"), ("eng", "en"))
LONGEST_INITIALS = 12
_LONGEST_SYLLABLE = 6


class Sounds:
    """Sounds of characters, folded: zhuan and zuan are one."""

    def __init__(self, table: Mapping[str, str]) -> None:
        """`table`: toneless pinyin by character; and by word, one sound a character, where it is another there."""
        self._of = {char: fold(sound) for char, sound in table.items() if len(char) == 1}
        self._words = {word: [fold(one) for one in sound.split()] for word, sound in table.items() if len(word) > 1}
        self._pattern = re.compile("|".join(map(re.escape, self._words)) or "(?!)")
        whole = {one for sound in table.values() for one in sound.split()}
        self._syllables = frozenset((*whole, *map(fold, whole)))

    def heard(self, text: str) -> list[str | None]:
        """The sound of each character; None where there is none."""
        heard = list(map(self._of.get, text))
        for match in self._pattern.finditer(text):
            heard[match.start() : match.end()] = self._words[match.group()]
        return heard

    def initials(self, text: str) -> str:
        """The first letter of each character's sound; a character without one stands for itself."""
        return _initials(text, self.heard(text))

    def pairs(self, text: str) -> list[str]:
        """Sounds of neighbouring characters: 专利申请 → zuanli lisen senqin."""
        return self.spelt(text)[0]

    def first_letters(self, text: str) -> list[str]:
        """First letters from each character on: 专利申请 → zlsq lsq sq q."""
        return self.spelt(text)[1]

    def spelt(self, text: str) -> tuple[list[str], list[str]]:
        """Pairs and first letters of a text that is heard once."""
        pairs: list[str] = []
        letters: list[str] = []
        for run, _ in stretches(text):
            if not run:
                continue
            heard = self.heard(run)
            pairs += [one + other for one, other in pairwise(heard) if one and other]
            first = _initials(run, heard)
            letters += [first[start : start + LONGEST_INITIALS] for start in range(len(first))]
        return pairs, letters

    def is_syllable(self, typed: str) -> bool:
        """Whether typed letters are one whole syllable."""
        return typed in self._syllables

    def split(self, typed: str) -> tuple[list[str], str] | None:
        """Typed letters as syllables, folded, and the beginning of one more: zhuanlish → [zuan, li], s.

        None for what is no pinyin. The longest syllables are tried first.
        """
        if not re.fullmatch("[a-z]+", typed):
            return None
        # From the end: what can be read from each place on.
        read: dict[int, tuple[list[str], str]] = {len(typed): ([], "")}
        for start in range(len(typed) - 1, -1, -1):
            rest = typed[start:]
            for width in range(min(_LONGEST_SYLLABLE, len(rest)), 0, -1):
                after = read.get(start + width)
                if rest[:width] in self._syllables and after is not None:
                    read[start] = ([fold(rest[:width]), *after[0]], after[1])
                    break
            else:
                if self._begins(rest):
                    read[start] = ([], fold(rest))
        return read.get(0)

    def _begins(self, letters: str) -> bool:
        return len(letters) < _LONGEST_SYLLABLE and any(one.startswith(letters) for one in self._syllables)


def fold(sound: str) -> str:
    """A sound without what many do not tell apart."""
    for written, alike in _ALIKE:
        sound = sound.replace(written, alike)
    return sound


def _initials(text: str, heard: list[str | None]) -> str:
    return "".join([sound[0] if sound else text[place] for place, sound in enumerate(heard)])
