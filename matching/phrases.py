"""Known words in a text: as they stand (longest match), or covered in any order."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Self, TypeVar

import numpy as np
from scipy.sparse import csr_array

from matching.text import Grams, normalise, plain_edges
from matching.types import FloatArray, IntArray

T = TypeVar("T")


class WordFinder(Generic[T]):
    """Finds known words and gives back what they stand for."""

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        """`entries`: words, compared after normalisation, with their meaning; a word may have several."""
        meanings: dict[str, list[T]] = defaultdict(list)
        for word, meaning in entries:
            if normal := normalise(word):
                meanings[normal].append(meaning)
        self._meanings = dict(meanings)
        widths: dict[str, set[int]] = defaultdict(set)
        for word in meanings:
            widths[word[0]].add(len(word))
        self._widths = {first: tuple(lengths) for first, lengths in widths.items()}

    def find(self, normal: str) -> list[T]:
        """Meanings of the words in a normalised text, in their order."""
        return [meaning for _, word in self._spans(normal) for meaning in self._meanings[word]]

    def rewrite(self, normal: str, written: Callable[[T], str]) -> str:
        """A normalised text with each word replaced by what is `written` for its first meaning."""
        parts, end = [], 0
        for start, word in self._spans(normal):
            parts += [normal[end:start], written(self._meanings[word][0])]
            end = start + len(word)
        return "".join([*parts, normal[end:]])

    def _spans(self, normal: str) -> list[tuple[int, str]]:
        """Words with the place where each starts; where words overlap, the longer one counts."""
        hits = [
            (start, word)
            for start, first in enumerate(normal)
            for width in self._widths.get(first, ())
            if (word := normal[start : start + width]) in self._meanings
        ]
        if not hits:
            return []
        edges = plain_edges(normal)
        hits = [(start, word) for start, word in hits if _stands_alone(normal, edges, start, start + len(word))]
        taken = bytearray(len(normal))
        kept = []
        for start, word in sorted(hits, key=lambda hit: (-len(hit[1]), hit[0])):
            end = start + len(word)
            if not any(taken[start:end]):
                taken[start:end] = bytes([1]) * len(word)
                kept.append((start, word))
        return sorted(kept)


def _stands_alone(normal: str, edges: Sequence[bool], start: int, end: int) -> bool:
    """Whether it is a word here: there is no app in apple, and no 高企 in 提高|企业, where it would cut two words."""
    if any(0 < cut < len(normal) and _latin(normal[cut - 1]) and _latin(normal[cut]) for cut in (start, end)):
        return False
    return edges[start] or edges[end] or not any(edges[start:end])


def _latin(char: str) -> bool:
    return char.isascii() and char.isalnum()


class PhraseCover:
    """How far a text covers the phrases by which things are called; things are numbered 0..m−1."""

    def __init__(self, grams: Grams, rows: csr_array, owner: IntArray, count: int) -> None:
        """`rows` [phrases, grams] sum to 1; `owner` [phrases] the thing of each; `count` of things."""
        self._grams = grams
        self._rows = rows
        self._owner = owner
        self._count = count

    @classmethod
    def fit(cls, phrases: Sequence[Sequence[str]]) -> Self:
        """`phrases[i]`: what thing i is called."""
        flat = [(thing, normal) for thing, names in enumerate(phrases) for name in names if (normal := normalise(name))]
        grams, rows = Grams.fit([phrase for _, phrase in flat])
        owner = np.fromiter((thing for thing, _ in flat), dtype=np.int64)
        return cls(grams, csr_array(rows.multiply(1.0 / rows.sum(axis=1)[:, None])), owner, len(phrases))

    def share(self, normal: str) -> FloatArray:
        """[m], 0..1: how much of its best phrase a normalised text covers, rare characters and pairs counting more."""
        present = np.zeros(len(self._grams))
        present[self._grams.vector(normal)[0]] = 1.0
        best = np.zeros(self._count)
        np.maximum.at(best, self._owner, np.clip(self._rows @ present, 0.0, 1.0))
        return best
