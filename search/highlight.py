"""Where a search found something in a text, and the stretch of it worth showing. Plain pieces, never HTML."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from search.engine import Piece, Snippet
from search.sounds import Sounds
from search.text import fold, is_chinese

LONGEST_SNIPPET = 90
"""Characters of a snippet; a text a little longer is shown whole."""
_BEFORE = 24
"""Characters shown before the first find."""
_SLACK = 20

Range = tuple[int, int]


class Finds(Struct, frozen=True):
    """What is to be marked."""

    words: tuple[str, ...] = ()
    """As they are written."""
    heard: tuple[tuple[str, ...], ...] = ()
    """Characters by their sounds."""
    initials: tuple[str, ...] = ()
    """Characters by their first letters."""


class Marker:
    """Marks what was found, by writing or by sound."""

    def __init__(self, finds: Finds, sounds: Sounds) -> None:
        self._finds = finds
        self._sounds = sounds

    def ranges(self, text: str) -> list[Range]:
        """Places in the text, in order, none touching another."""
        folded = fold(text)
        found = [place for word in self._finds.words for place in _written(folded, word)]
        if self._finds.heard:
            heard = self._sounds.heard(folded)
            found += [place for sounds in self._finds.heard for place in _within(heard, list(sounds))]
        if self._finds.initials:
            letters = self._sounds.initials(folded)
            found += [place for typed in self._finds.initials for place in _within(letters, typed)]
        return merge(found)


def merge(ranges: Iterable[Range]) -> list[Range]:
    """In order; those that touch or overlap as one."""
    merged: list[Range] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def snippet(text: str, ranges: Sequence[Range]) -> Snippet:
    """The text, or if it is long the stretch around the first find, in pieces; … where something is left out.

    `ranges`: at least one, as from `Marker.ranges`.
    """
    start, end = 0, len(text)
    if end > LONGEST_SNIPPET + _SLACK:
        start = max(0, min(ranges[0][0] - _BEFORE, end - LONGEST_SNIPPET))
        end = start + LONGEST_SNIPPET
    pieces: list[Piece] = []
    place = start
    for first, last in ranges:
        if first >= end:
            break
        pieces += [Piece(text[place:first], False), Piece(text[first : min(last, end)], True)]
        place = min(last, end)
    pieces.append(Piece(text[place:end], False))
    before, after = ("…" if start else ""), ("…" if end < len(text) else "")
    framed = (Piece(before, False), *pieces, Piece(after, False))
    return tuple(piece for piece in framed if piece.text)


def snippets(texts: dict[str, str], marker: Marker) -> dict[str, Snippet]:
    """The texts in which something is found, as snippets."""
    found = {name: (text, marker.ranges(text)) for name, text in texts.items()}
    return {name: snippet(text, ranges) for name, (text, ranges) in found.items() if ranges}


def _written(folded: str, word: str) -> list[Range]:
    """Every place where the word is written; letters only from the beginning of a word."""
    found, start = [], folded.find(word)
    while start >= 0:
        if is_chinese(word) or not folded[start - 1 : start].isalnum() or is_chinese(folded[start - 1]):
            found.append((start, start + len(word)))
        start = folded.find(word, start + 1)
    return found


def _within(whole: Sequence[str | None], part: Sequence[str]) -> list[Range]:
    """Every place where the part stands in the whole."""
    size = len(part)
    return [(i, i + size) for i in range(len(whole) - size + 1) if whole[i : i + size] == part]
