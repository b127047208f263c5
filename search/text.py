"""Texts as engines take them: normalised, in runs of one script, and Chinese in pairs of characters or in words."""

import re
import unicodedata
from collections.abc import Iterator

import rjieba

CHINESE = r"\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_RUN = re.compile(f"[{CHINESE}]+|[^\\W_{CHINESE}]+")
_FIRST_CHINESE = "\u3007"

# Longer words than this are codes nobody types in full; the engines' own limits lie above it.
LONGEST_WORD = 64


def normalise(text: str) -> str:
    """Full-width to half-width (NFKC) and lower case; what no run holds (signs, controls) is left as it is."""
    return unicodedata.normalize("NFKC", text).lower()


def fold(text: str) -> str:
    """Normalised character by character, so that places in it are places in the text."""
    return "".join([_folded(char) for char in text])


def runs(normal: str) -> Iterator[re.Match[str]]:
    """Stretches of Chinese, and words of letters and digits, of a normalised text."""
    return _RUN.finditer(normal)


def is_chinese(run: str) -> bool:
    """Whether a run is Chinese."""
    return run[0] >= _FIRST_CHINESE and re.match(f"[{CHINESE}]", run[0]) is not None


def pairs(run: str) -> list[str]:
    """Every character of a Chinese run with the next one; the last one stands alone.

    So each character begins exactly one token: 待处理 → 待处 处理 理. A word is found inside any other, and a single
    character as the beginning of a token.
    """
    return [run[i : i + 2] for i in range(len(run))]


def tokens(text: str) -> list[str]:
    """What an index of pairs holds of a text."""
    found: list[str] = []
    for match in runs(normalise(text)):
        run = match.group()
        if is_chinese(run):
            found += pairs(run)
        else:
            found.append(run[:LONGEST_WORD])
    return found


def cut(run: str) -> list[str]:
    """The words of a Chinese run, by the dictionary alone: what it does not know falls into single characters."""
    return rjieba.cut(run, False)


def spaced(text: str) -> str:
    """Words with spaces between them, long words with those they contain: what a server that takes words is given.

    待处理 → 处理 待处理.
    """
    words: list[str] = []
    for match in runs(normalise(text)):
        run = match.group()
        words += rjieba.cut_for_search(run) if is_chinese(run) else [run[:LONGEST_WORD]]
    return " ".join(words)


def _folded(char: str) -> str:
    folded = unicodedata.normalize("NFKC", char).lower()
    return folded if len(folded) == 1 else char
