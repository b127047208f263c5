"""Texts as engines take them: normalised, in runs of one script, and Chinese in pairs of characters or in words."""

import re
import unicodedata
from collections.abc import Iterator
from operator import add

import rjieba

_CHINESE = r"\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# The first group is Chinese, the second one any other script.
_RUN = re.compile(f"([{_CHINESE}]+)|([^\\W_{_CHINESE}]+)")
# Chinese, ASCII and its full-width copy, and signs of which no part is ever in a run.
_PLAIN = re.compile(
    r"[\x00-\x7f\u2013\u2014\u2018-\u201d\u2026\u3001\u3002\u3007-\u3011\u3400-\u4dbf\u4e00-\u9fff\uff01-\uff5e]*"
)


class _Folded(dict[int, str]):
    """For ``str.translate``, made as characters come: a call for each of them takes eight times as long."""

    def __missing__(self, code: int) -> str:
        folded = unicodedata.normalize("NFKC", chr(code)).lower()
        self[code] = folded if len(folded) == 1 else chr(code)
        return self[code]


_FOLDED = _Folded()

# Longer words than this are codes nobody types in full; the engines' own limits lie above it.
LONGEST_WORD = 64


def normalise(text: str) -> str:
    """Full-width to half-width (NFKC) and lower case; what no run holds (signs, controls) is left as it is.

    Nearly always what its characters are one by one, which takes half as long.
    """
    folded = fold(text)
    return folded if unicodedata.is_normalized("NFKC", folded) else unicodedata.normalize("NFKC", text).lower()


def fold(text: str) -> str:
    """Normalised character by character, so that places in it are places in the text."""
    return text.translate(_FOLDED)


def runs(normal: str) -> Iterator[re.Match[str]]:
    """Stretches of Chinese, and words of letters and digits, of a normalised text."""
    return _RUN.finditer(normal)


def stretches(text: str) -> list[tuple[str, str]]:
    """The runs of any text, normalised: each Chinese and no other, or no Chinese and another.

    Where all but letters and digits stays as it is or falls between the runs, as in nearly all texts, only they are
    normalised: the rest would be most of the work.
    """
    if _PLAIN.fullmatch(text) is None:
        return _RUN.findall(normalise(text))
    return [(chinese, other and normalise(other)) for chinese, other in _RUN.findall(text)]


def is_chinese(run: str) -> bool:
    """Whether a run is Chinese."""
    return "\u3400" <= run[0] <= "\u9fff" or "\uf900" <= run[0] <= "\ufaff" or run[0] == "\u3007"


def pairs(run: str) -> list[str]:
    """Every character of a Chinese run with the next one; the last one stands alone.

    So each character begins exactly one token: 待处理 → 待处 处理 理. A word is found inside any other, and a single
    character as the beginning of a token.
    """
    return [*map(add, run, run[1:]), run[-1]]


def tokens(text: str) -> list[str]:
    """What an index of pairs holds of a text."""
    found: list[str] = []
    for chinese, other in stretches(text):
        if chinese:
            found += map(add, chinese, chinese[1:])
            found.append(chinese[-1])
        else:
            found.append(other[:LONGEST_WORD])
    return found


def cut(run: str) -> list[str]:
    """The words of a Chinese run, by the dictionary alone: what it does not know falls into single characters."""
    return rjieba.cut(run, False)


def spaced(text: str) -> str:
    """Words with spaces between them, long words with those they contain: what a server that takes words is given.

    待处理 → 处理 待处理.
    """
    words: list[str] = []
    for chinese, other in stretches(text):
        words += rjieba.cut_for_search(chinese) if chinese else [other[:LONGEST_WORD]]
    return " ".join(words)


def parts(word: str) -> list[str]:
    """A long Chinese word as the words of two characters it is made of, if it is: 申请专利 → 申请 专利.

    As one word it is found only where it stands as one.
    """
    halves = [word[i : i + 2] for i in range(0, len(word), 2)]
    within = rjieba.cut_for_search(word) if len(word) > 3 and len(word) % 2 == 0 else []
    return halves if within and set(halves) <= set(within) else [word]
