"""What is looked for as queries of tantivy. Composed from objects, never parsed from strings: nothing typed is syntax.

Each word becomes a clause that says where it can be found: as it is written, as a synonym, as the beginning of a word,
by its sound, with a letter wrong. What the index holds decides which of them, so a word that is there as it was typed
is never taken for a slip.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import tantivy
from msgspec import Struct
from tantivy import Occur, Query

from search.correct import distance, most_slips
from search.embedded.fields import INITIALS, SOUNDS, TEXT
from search.highlight import Finds
from search.parse import Word
from search.sounds import Sounds
from search.text import LONGEST_WORD, is_chinese, pairs, tokens

MOST_EXPANSIONS = 50
"""Words that the beginning of a word may stand for."""
MOST_SPELLINGS = 3
MOST_TERMS = 40
"""That a whole need is looked for by: it bounds the time, and common words add little."""
_AS_SYNONYM = 0.7
_AS_BEGINNING = 0.6
_BY_SOUND = 0.5
_BY_LETTERS = 0.8
_TOGETHER = 0.4
"""What it adds that two words stand next to each other as they were typed."""
_SLIP = 50
"""A word so many times rarer than another of its sound may be a slip for it."""


class Way(Struct, frozen=True):
    """One way of finding a word."""

    query: Query
    finds: Finds


class Clause(Struct, frozen=True):
    """A word and the ways of finding it; without one, nothing in the index is like it."""

    word: Word
    ways: tuple[Way, ...]
    frequency: int
    """Documents that have it, at most."""
    heard: bool = False
    """Whether it is found by its sound, as a slip."""
    spelt: str | None = None
    """For a word of letters with a slip: as it is spelt."""

    @property
    def query(self) -> Query:
        """Finds it in any way; the best one counts."""
        queries = [way.query for way in self.ways]
        return queries[0] if len(queries) == 1 else Query.disjunction_max_query(queries)


class Terms:
    """Queries for single terms of one index, and what it holds."""

    def __init__(self, schema: tantivy.Schema, searcher: tantivy.Searcher, text: str = TEXT) -> None:
        """`text`: the field that words are looked for in."""
        self._schema = schema
        self._searcher = searcher
        self.text = text

    def term(self, field: str, value: str) -> Query:
        """Documents with the term."""
        return Query.term_query(self._schema, field, value, "freq" if field == TEXT else "basic")

    def any_of(self, field: str, values: Sequence[str]) -> Query:
        """Documents with any of the terms; a yes or no, all alike."""
        return Query.const_score_query(Query.term_set_query(self._schema, field, values), 1.0)

    def every(self, field: str, values: Iterable[str]) -> Query:
        """Documents with all of the terms."""
        queries = [self.term(field, value) for value in dict.fromkeys(values)]
        return queries[0] if len(queries) == 1 else Query.boolean_query([(Occur.Must, query) for query in queries])

    def frequency(self, field: str, values: Iterable[str]) -> int:
        """Documents with all of the terms, at most."""
        return min(self._searcher.doc_freq(field, value) for value in values)

    def begins(self, field: str, prefix: str) -> list[str]:
        """The most frequent terms that begin so."""
        found = self._searcher.terms_with_prefix(field, prefix, limit=MOST_EXPANSIONS)
        return [term for term, _ in found]

    def alike(self, word: str) -> list[str]:
        """Words of letters that differ from this one by few, the closest first; the first letter is never wrong."""
        most = most_slips(word)
        if not most:
            return []
        near = [
            (far, -count, term)
            for term, count in self._searcher.terms_with_prefix(self.text, word[0])
            if (far := distance(word, term, most)) is not None
        ]
        return [term for _, _, term in sorted(near)[:MOST_SPELLINGS]]


class Resolver:
    """Finds out how each word can be found in an index."""

    def __init__(self, terms: Terms, sounds: Sounds) -> None:
        self._terms = terms
        self._sounds = sounds

    def resolve(self, words: Sequence[Word]) -> list[Clause]:
        """A clause for each word; syllables of pinyin typed apart are taken together."""
        joined = list(self._joined(words))
        return [self._clause(word, last=word is joined[-1]) for word in joined]

    def together(self, words: Sequence[Word], typed: str) -> list[Query]:
        """Words that were typed next to each other, found next to each other: nothing must, all counts."""
        neighbours = [
            one.text[-1] + other.text[0]
            for one, other in pairwise(words)
            if one.chinese and other.chinese and one.text + other.text in typed
        ]
        inner = [pair for word in words if word.chinese for pair in pairs(word.text)[:-1]]
        wanted = {pair for word in words if word.chinese for pair in _cover(word.text)}
        extra = [pair for pair in dict.fromkeys((*neighbours, *inner)) if pair not in wanted]
        return [Query.boost_query(self._terms.term(self._terms.text, pair), _TOGETHER) for pair in extra]

    def _joined(self, words: Sequence[Word]) -> Iterator[Word]:
        """Neighbouring words of letters that are pinyin only if taken together."""
        held = ""
        for word in words:
            if not word.same and self._is_syllable(word.text):
                held += word.text
                continue
            if held:
                yield Word(held)
            held = ""
            yield word
        if held:
            yield Word(held)

    def _is_syllable(self, text: str) -> bool:
        read = self._sounds.split(text)
        return read is not None and not read[1] and not self._terms.frequency(self._terms.text, [text])

    def _clause(self, word: Word, *, last: bool) -> Clause:
        clause = self._chinese(word) if word.chinese else self._letters(word, last=last)
        same = [way for other in word.same if (way := self._synonym(other)) is not None]
        frequency = clause.frequency + sum(self._frequency(other) for other in word.same)
        return Clause(word, (*clause.ways, *same), frequency, clause.heard and not same, clause.spelt)

    def _synonym(self, other: str) -> Way | None:
        if not self._frequency(other):
            return None
        return Way(Query.boost_query(self._terms.every(self._terms.text, _needed(other)), _AS_SYNONYM), Finds((other,)))

    def _frequency(self, text: str) -> int:
        return self._terms.frequency(self._terms.text, _needed(text))

    def _chinese(self, word: Word) -> Clause:
        text = word.text
        if len(text) == 1:
            return self._single(word)
        frequency, heard = self._frequency(text), self._heard_pairs(text)
        by_sound = self._terms.frequency(SOUNDS, heard) if heard else 0
        slip = by_sound > _SLIP * frequency
        ways = []
        if frequency:
            ways.append(Way(self._terms.every(self._terms.text, _cover(text)), Finds((text,))))
        if slip:
            sounds = tuple(sound for sound in self._sounds.heard(text) if sound is not None)
            query = Query.boost_query(self._terms.every(SOUNDS, heard), _BY_SOUND)
            ways.append(Way(query, Finds(heard=(sounds,))))
        if not ways:
            ways = [way for char in text if (way := self._beginning(char)) is not None]
        return Clause(word, tuple(ways), frequency + by_sound * slip, slip)

    def _heard_pairs(self, text: str) -> list[str]:
        """What to look for among sounds; nothing if a character has none."""
        heard = self._sounds.pairs(text)
        return heard if len(heard) == len(text) - 1 else []

    def _single(self, word: Word) -> Clause:
        way = self._beginning(word.text)
        return Clause(word, (way,) if way else (), self._terms.frequency(self._terms.text, [word.text]))

    def _beginning(self, prefix: str) -> Way | None:
        found = self._terms.begins(self._terms.text, prefix)
        if not found:
            return None
        return Way(Query.boost_query(self._terms.any_of(self._terms.text, found), _AS_BEGINNING), Finds((prefix,)))

    def _letters(self, word: Word, *, last: bool) -> Clause:
        text = word.text
        frequency = self._frequency(text)
        ways = [Way(self._terms.term(self._terms.text, text), Finds((text,)))] if frequency else []
        if last and (way := self._beginning(text)) is not None:
            ways.append(way)
        ways += [way for way in (self._initials(text), self._pinyin(text)) if way is not None]
        if ways:
            return Clause(word, tuple(ways), frequency or 1)
        alike = self._terms.alike(text)
        ways = [
            Way(Query.boost_query(self._terms.term(self._terms.text, one), _BY_LETTERS), Finds((one,))) for one in alike
        ]
        return Clause(word, tuple(ways), frequency, spelt=alike[0] if alike else None)

    def _initials(self, text: str) -> Way | None:
        if len(text) < 2 or not text.isascii() or not (found := self._terms.begins(INITIALS, text)):
            return None
        return Way(Query.boost_query(self._terms.any_of(INITIALS, found), _BY_LETTERS), Finds(initials=(text,)))

    def _pinyin(self, text: str) -> Way | None:
        read = self._sounds.split(text)
        if read is None or not read[0]:
            return None
        syllables, rest = read
        neighbours = ["".join(two) for two in pairwise(syllables)]
        if neighbours and not self._terms.frequency(SOUNDS, neighbours):
            return None
        queries = [self._terms.term(SOUNDS, pair) for pair in neighbours]
        if rest or not neighbours:
            begun = self._terms.begins(SOUNDS, syllables[-1] + rest)
            if not begun:
                return None
            queries.append(self._terms.any_of(SOUNDS, begun))
        query = Query.boolean_query([(Occur.Must, query) for query in queries])
        return Way(Query.boost_query(query, _BY_LETTERS), Finds(heard=(tuple(syllables),)))


def strict(clauses: Sequence[Clause], extra: Sequence[Query]) -> Query:
    """Documents with every word."""
    found = [(Occur.Must, clause.query) for clause in clauses] + [(Occur.Should, query) for query in extra]
    return found[0][1] if len(found) == 1 else Query.boolean_query(found)


def loose(clauses: Sequence[Clause], documents: int) -> Query:
    """Documents with any word that says something; words that a fifth of all documents has only add to the score."""
    known = [clause for clause in clauses if clause.ways]
    telling = [clause for clause in known if clause.frequency * 5 < documents] or known
    must = Query.boolean_query([(Occur.Should, clause.query) for clause in telling])
    rest = [(Occur.Should, clause.query) for clause in known if clause not in telling]
    return Query.boolean_query([(Occur.Must, must), *rest]) if rest else must


def rarest(words: Iterable[Word], terms: Terms) -> list[str]:
    """The terms that tell most about a whole need: the rarest of its words and their synonyms, MOST_TERMS at most."""
    every = {term for word in words for text in (word.text, *word.same) for term in _needed(text)}
    known = [(frequency, term) for term in every if (frequency := terms.frequency(terms.text, [term]))]
    return [term for _, term in sorted(known)[:MOST_TERMS]]


def all_finds(clauses: Iterable[Clause]) -> Finds:
    """What to mark."""
    found = [way.finds for clause in clauses for way in clause.ways]
    return Finds(
        words=tuple({word for one in found for word in one.words}),
        heard=tuple({heard for one in found for heard in one.heard}),
        initials=tuple({typed for one in found for typed in one.initials}),
    )


def _cover(text: str) -> list[str]:
    """Pairs that cover a Chinese word: 知识产权 → 知识 产权; 专利权 → 专利 利权."""
    found = pairs(text)[:-1]
    return found if len(found) < 3 else [*found[:-1:2], found[-1]]


def _needed(text: str) -> list[str]:
    """The terms that a word or phrase as it is written needs, at least one."""
    if is_chinese(text):
        return _cover(text) if len(text) > 1 else [text]
    return tokens(text) or [text[:LONGEST_WORD]]
