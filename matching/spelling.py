"""Slips of typing: 专力, 利专, 专刊 with a wrong stroke, zhuanli and 专这利 are read as 专利."""

import re
from collections.abc import Iterable, Mapping, Sequence

from matching.text import normalise, plain_edges

# Sounds that many speakers and input methods do not tell apart.
_ALIKE = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("ing", "in"), ("eng", "en"))

# A word of grammar in the place of a character is no slip: 不办 (does not handle) is not 补办 (replace).
_GRAMMAR = frozenset(
    "一三四不是有在的了我他她你要去到上下大小中人这那没也都就会能好多少只还被把给和与或再又很太吗呢吧啊个"
)

_LETTERS = re.compile(r"[a-z]+(?: [a-z]+)*")
# Of one piece of pinyin, and words of letters that it may be spread over: zhuan li shen qing.
_MOST_LETTERS, _MOST_PIECES = 40, 6


class Speller:
    """Mends known words: a character of the same sound or of like strokes, two that changed places, within the
    word or over its edge, or pinyin."""

    def __init__(
        self,
        sounds: Mapping[str, str],
        strokes: Sequence[str],
        words: Iterable[str],
        others: Iterable[str] = (),
    ) -> None:
        """`sounds`: toneless pinyin by character; `strokes`: groups of characters drawn alike; `words`: what may be
        meant, the likelier first; `others`: right as they stand, too."""
        self._sounds = {char: _fold(sound) for char, sound in sounds.items()}
        meant = self._spelt(words)
        self._words = frozenset((*meant, *self._spelt(others)))
        self._pairs = frozenset(word for word in meant if len(word) == 2)
        self._slips: dict[tuple[str, ...], list[str]] = {self._heard(word): [] for word in self._words}
        for word in meant:
            heard = self._heard(word)
            for key in dict.fromkeys((heard, *_swapped(heard), *_redrawn(word, strokes))):
                self._slips.setdefault(key, []).append(word)
        self._widths = sorted(set(map(len, self._slips)), reverse=True)
        # From the last to the first, so that of two words that sound alike the likelier stays.
        self._pinyin = {_fold("".join(map(sounds.__getitem__, word))): word for word in reversed(meant)}

    def mend(self, normal: str) -> str:
        """A normalised text with slips mended, every known word left as it stands."""
        in_place = self._mend_characters(_LETTERS.sub(lambda letters: self._mend_pinyin(letters.group()), normal))
        return self._reunite(in_place)

    def _mend_characters(self, normal: str) -> str:
        right, slips = self._known(normal)
        if not slips:
            return normal
        # 厂商示范 has no 商标: a slip does not cut a plain word in two.
        edges = plain_edges(normal)
        mended = list(normal)
        for start, word in slips:
            span = range(start, start + len(word))
            if right.isdisjoint(span) and edges[start] and edges[span.stop]:
                mended[start : span.stop] = word
                right.update(span)
        return "".join(mended)

    def _reunite(self, normal: str) -> str:
        """商要标 as 要商标: half of a pair changed places with what stands beside it."""
        places = [start for start in range(len(normal) - 2) if normal[start] + normal[start + 2] in self._pairs]
        if not places:
            return normal
        edges = plain_edges(normal)
        chars = list(normal)
        for start in places:
            one, between, other = chars[start : start + 3]
            right = {one + between, between + other} & self._words
            if one + other in self._pairs and not right and all(edges[start : start + 4]):
                chars[start : start + 2] = between, one
        return "".join(chars)

    def _known(self, normal: str) -> tuple[set[int], list[tuple[int, str]]]:
        """Places covered by known words as they stand, and likely slips with their place, longer words first."""
        heard = self._heard(normal)
        right: set[int] = set()
        slips: list[tuple[int, str]] = []
        for width in self._widths:
            for start in range(len(normal) - width + 1):
                written = normal[start : start + width]
                if written in self._words:
                    right.update(range(start, start + width))
                    continue
                words = (*self._slips.get(heard[start : start + width], ()), *self._slips.get(tuple(written), ()))
                slips += [(start, word) for word in words if _is_slip(written, word)][:1]
        return right, slips

    def _mend_pinyin(self, letters: str) -> str:
        """Words in Latin letters, those that are pinyin of known words replaced by them."""
        mended, words = [], letters.split(" ")
        while words:
            for count in range(min(len(words), _MOST_PIECES), 0, -1):
                if meant := self._read(_fold("".join(words[:count]))):
                    break
            mended.append(meant or words[0])
            del words[:count]
        return " ".join(mended)

    def _read(self, spelt: str) -> str:
        """The known words of which this is the pinyin, one after the other; empty if it is not."""
        if len(spelt) > _MOST_LETTERS:
            return ""
        for end in range(len(spelt), 3, -1):
            word = self._pinyin.get(spelt[:end])
            if word and (end == len(spelt) or (rest := self._read(spelt[end:]))):
                return word if end == len(spelt) else word + rest
        return ""

    def _spelt(self, words: Iterable[str]) -> list[str]:
        """Words of two characters or more whose sounds are known, without words of grammar; each once."""
        normal = dict.fromkeys(map(normalise, words))
        return [
            word
            for word in normal
            if len(word) > 1 and all(char in self._sounds for char in word) and _GRAMMAR.isdisjoint(word)
        ]

    def _heard(self, text: str) -> tuple[str, ...]:
        return tuple([self._sounds.get(char, char) for char in text])


def _fold(sound: str) -> str:
    for written, alike in _ALIKE:
        sound = sound.replace(written, alike)
    return sound


def _swapped(heard: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [(*heard[:i], heard[i + 1], heard[i], *heard[i + 2 :]) for i in range(len(heard) - 1)]


def _redrawn(word: str, strokes: Sequence[str]) -> list[tuple[str, ...]]:
    """The word with one character drawn like another."""
    return [
        (*word[:place], other, *word[place + 1 :])
        for place, char in enumerate(word)
        for group in strokes
        if char in group
        for other in group
        if other != char
    ]


def _is_slip(written: str, word: str) -> bool:
    """The same characters in another order; or some character is right, and none of the wrong ones is of grammar."""
    if sorted(written) == sorted(word):
        return True
    pairs = list(zip(written, word, strict=True))
    return any(one == other for one, other in pairs) and all(
        one == other or one not in _GRAMMAR for one, other in pairs
    )
