"""Words typed by their sound: 专力 is read as 专利, 商镖 as 商标. Most slips of Chinese typing keep the sound."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from matching.text import normalise

# Sounds that many speakers and input methods do not tell apart.
_ALIKE = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("ing", "in"), ("eng", "en"))

# A word of grammar in the place of a character is no slip: 不办 (does not handle) is not 补办 (replace).
_GRAMMAR = frozenset("不是有在的了我他她你要去到上下大小中人这那没也都就会能可好多少只还被把给和与或再又很太吗呢吧啊个")


class Speller:
    """Mends known words that are written with other characters of the same sound."""

    def __init__(self, sounds: Mapping[str, str], words: Iterable[str]) -> None:
        """`sounds`: toneless pinyin by character; `words`: what may be meant, each of two characters or more."""
        self._sounds = {char: _fold(sound) for char, sound in sounds.items()}
        by_sound: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for word in dict.fromkeys(map(normalise, words)):
            if len(word) > 1 and all(char in self._sounds for char in word):
                by_sound[self._heard(word)].append(word)
        self._by_sound = dict(by_sound)
        self._widths = sorted({len(key) for key in by_sound}, reverse=True)

    def mend(self, normal: str) -> str:
        """A normalised text with slips mended: of the same length, every known word left as it stands."""
        heard = self._heard(normal)
        right: set[int] = set()
        slips: list[tuple[int, str]] = []
        for width in self._widths:
            for start in range(len(normal) - width + 1):
                words = self._by_sound.get(heard[start : start + width])
                if words is None:
                    continue
                written = normal[start : start + width]
                if written in words:
                    right.update(range(start, start + width))
                else:
                    slips += [(start, word) for word in words if _is_slip(written, word)][:1]
        mended = list(normal)
        for start, word in slips:  # longer words first
            span = range(start, start + len(word))
            if right.isdisjoint(span):
                mended[start : start + len(word)] = word
                right.update(span)
        return "".join(mended)

    def _heard(self, text: str) -> tuple[str, ...]:
        return tuple(self._sounds.get(char, char) for char in text)


def _fold(sound: str) -> str:
    for written, alike in _ALIKE:
        sound = sound.replace(written, alike)
    return sound


def _is_slip(written: str, word: str) -> bool:
    """Some character is right, and none of the wrong ones is a word of grammar."""
    pairs = list(zip(written, word, strict=True))
    return any(one == other for one, other in pairs) and all(one == other or one not in _GRAMMAR for one, other in pairs)
