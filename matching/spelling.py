"""Slips of typing: 专力 and 利专 are read as 专利. Most slips of Chinese typing keep the sound."""

from collections.abc import Iterable, Mapping

from matching.text import normalise

# Sounds that many speakers and input methods do not tell apart.
_ALIKE = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("ing", "in"), ("eng", "en"))

# A word of grammar in the place of a character is no slip: 不办 (does not handle) is not 补办 (replace).
_GRAMMAR = frozenset(
    "一三四不是有在的了我他她你要去到上下大小中人这那没也都就会能好多少只还被把给和与或再又很太吗呢吧啊个"
)


class Speller:
    """Mends known words of which a character is another of the same sound, or two have changed places."""

    def __init__(self, sounds: Mapping[str, str], words: Iterable[str], others: Iterable[str] = ()) -> None:
        """`sounds`: toneless pinyin by character; `words`: what may be meant; `others`: right as they stand, too."""
        self._sounds = {char: _fold(sound) for char, sound in sounds.items()}
        meant = self._spelt(words)
        self._words = frozenset((*meant, *self._spelt(others)))
        by_sound: dict[tuple[str, ...], list[str]] = {self._heard(word): [] for word in self._words}
        for word in meant:
            heard = self._heard(word)
            for key in dict.fromkeys((heard, *_swapped(heard))):
                by_sound.setdefault(key, []).append(word)
        self._by_sound = by_sound
        self._widths = sorted(set(map(len, by_sound)), reverse=True)

    def mend(self, normal: str) -> str:
        """A normalised text with slips mended: of the same length, every known word left as it stands."""
        right, slips = self._known(normal)
        mended = list(normal)
        for start, word in slips:
            span = range(start, start + len(word))
            if right.isdisjoint(span):
                mended[start : start + len(word)] = word
                right.update(span)
        return "".join(mended)

    def _known(self, normal: str) -> tuple[set[int], list[tuple[int, str]]]:
        """Places covered by known words as they stand, and likely slips with their place, longer words first."""
        heard = self._heard(normal)
        right: set[int] = set()
        slips: list[tuple[int, str]] = []
        for width in self._widths:
            for start in range(len(normal) - width + 1):
                words = self._by_sound.get(heard[start : start + width])
                if words is None:
                    continue
                written = normal[start : start + width]
                if written in self._words:
                    right.update(range(start, start + width))
                else:
                    slips += [(start, word) for word in words if _is_slip(written, word)][:1]
        return right, slips

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


def _is_slip(written: str, word: str) -> bool:
    """The same characters in another order; or some character is right, and none of the wrong ones is of grammar."""
    if sorted(written) == sorted(word):
        return True
    pairs = list(zip(written, word, strict=True))
    return any(one == other for one, other in pairs) and all(
        one == other or one not in _GRAMMAR for one, other in pairs
    )
