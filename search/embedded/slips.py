"""Slips of the keyboard in what was typed: what the index writes instead."""

from collections.abc import Iterable, Iterator, Sequence

import tantivy

from search.correct import distance, most_slips, spelling
from search.embedded.clauses import Terms, needed
from search.embedded.fields import SOUNDS
from search.parse import Word
from search.sounds import Sounds

_RARER = 50
"""A word that the dictionary does not know is a slip if another of its sound is so many times more frequent."""
_LONGEST_RUN = 8


class Slips:
    """Finds words with a slip in them: words of the dictionary are none if any document has them."""

    def __init__(self, terms: Terms, sounds: Sounds, known: Iterable[str]) -> None:
        """`known`: words of letters that are right though no document has them."""
        self._terms = terms
        self._sounds = sounds
        self._known = [word for word in known if word.isascii()]

    def heard(self, words: Sequence[Word]) -> Iterator[tuple[str, tantivy.Query]]:
        """Chinese slips that keep the sound, with what finds texts in which the right spelling stands."""
        for word in words:
            if word.chinese and (word.run or not self._terms.frequency(self._terms.text, needed(word.text))):
                yield from self._heard(word)

    def letters(self, word: str) -> str | None:
        """The right spelling of a word of letters; its first letter is never wrong."""
        most = most_slips(word)
        if not most:
            return None
        written = [(-count, term) for term, count in self._terms.with_prefix(word[0])]
        near = [
            (far, count, term)
            for count, term in [*written, *((0, one) for one in self._known if one[0] == word[0])]
            if (far := distance(word, term, most)) is not None
        ]
        return min(near)[2] if near else None

    def right(self, written: str, texts: Iterable[str]) -> str | None:
        """How the texts spell what sounds like that."""
        return spelling(written, texts, self._sounds)

    def _heard(self, word: Word) -> Iterator[tuple[str, tantivy.Query]]:
        """The longest stretch of the run that sounds like something written differently."""
        run = (word.run or word.text)[:_LONGEST_RUN]
        stretches = (run[i : i + size] for size in range(len(run), 1, -1) for i in range(len(run) - size + 1))
        for stretch in stretches:
            heard = self._sounds.pairs(stretch)
            if set(stretch).isdisjoint(word.text) or len(heard) < len(stretch) - 1:
                continue
            written = self._terms.frequency(self._terms.text, needed(stretch))
            if self._terms.frequency(SOUNDS, heard) > _RARER * written:
                yield stretch, self._terms.every(SOUNDS, heard)
                return
