"""Known words in a text: as they stand (longest match), or covered in any order."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Generic, Self, TypeVar

import numpy as np
from scipy.sparse import csr_array

from matching.text import Grams, normalise
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
        longest_first = sorted(self._meanings, key=len, reverse=True)
        # A lookahead tries every position, so that in 申请专利费减 the start 申请专利 does not hide 专利费减.
        self._pattern = re.compile(f"(?=({'|'.join(map(re.escape, longest_first))}))") if longest_first else None

    def find(self, normal: str) -> list[T]:
        """Meanings of the words in a normalised text, in their order; where words overlap, the longer one counts."""
        if self._pattern is None:
            return []
        hits = [(match.start(), match.group(1)) for match in self._pattern.finditer(normal)]
        free = np.ones(len(normal), dtype=np.bool_)
        kept = []
        for start, word in sorted(hits, key=lambda hit: (-len(hit[1]), hit[0])):
            span = slice(start, start + len(word))
            if free[span].all():
                free[span] = False
                kept.append((start, word))
        return [meaning for _, word in sorted(kept) for meaning in self._meanings[word]]


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
