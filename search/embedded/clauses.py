"""What is looked for as queries of tantivy. Composed from objects, never parsed from strings: nothing typed is syntax.

Each word becomes a clause that says where it can be found: as it is written, as a synonym, as the beginning of a word,
by its sound, with a letter wrong. What the index holds decides which of them, so a word that is there as it was typed
is never taken for a slip.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import tantivy
from msgspec import Struct
from tantivy import Occur, Query

from search.distance import distance, most_slips
from search.embedded.fields import INITIALS, NAME, SOUNDS, STORED, TEXT, Stored, unpack
from search.highlight import Finds
from search.parse import Word, join_syllables
from search.sounds import Sounds
from search.text import LONGEST_WORD, is_chinese, pairs, tokens

MOST_EXPANSIONS = 50
"""Words that the beginning of a word may stand for."""
MOST_TERMS = 40
"""That a whole need is looked for by: it bounds the time, and common words add little."""
_FEW = 4
"""Of so many words, one that is not known is looked for by its characters; of more, that would take long for little."""
_PLENTY = 20_000
"""What so many documents have is found without synonyms, and no rarer for being in a name; unions of long lists of
documents are what takes longest."""
_SAMPLE = 10
"""Documents in which a spelling is looked up."""
_AS_SYNONYM = 0.7
_AS_BEGINNING = 0.6
_BY_LETTERS = 0.8


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

    def spelt_like(self, word: str, known: Iterable[str]) -> str | None:
        """The word of letters that was meant: of the index, or of those known. The first letter is never wrong."""
        most = most_slips(word)
        if not most:
            return None
        written = [(-count, term) for term, count in self._searcher.terms_with_prefix(self.text, word[0])]
        near = [
            (far, count, term)
            for count, term in [*written, *((0, one) for one in known if one[0] == word[0])]
            if (far := distance(word, term, most)) is not None
        ]
        return min(near)[2] if near else None

    def written(self, text: str) -> int:
        """See ``Vocabulary``."""
        return self.frequency(self.text, needed(text))

    def sounding(self, heard: list[str]) -> int:
        """See ``Vocabulary``."""
        return self.frequency(SOUNDS, heard)

    def texts_sounding(self, heard: list[str]) -> list[str]:
        """See ``Vocabulary``."""
        hits = self._searcher.search(self.every(SOUNDS, heard), _SAMPLE, count=False).hits
        return [text for _, address in hits for text in self.stored(address).texts.values()]

    def stored(self, address: tantivy.DocAddress) -> Stored:
        """What a hit is made of."""
        packed: bytes = self._searcher.doc(address)[STORED][0]
        return unpack(packed)


class Resolver:
    """Finds out how each word can be found in an index."""

    def __init__(self, terms: Terms, sounds: Sounds) -> None:
        self._terms = terms
        self._sounds = sounds

    def resolve(self, words: Sequence[Word]) -> list[Clause]:
        """A clause for each word; syllables of pinyin typed one by one are taken together."""
        joined = join_syllables(words, self._is_syllable)
        few = len(joined) <= _FEW
        return [self._clause(word, last=word is joined[-1], few=few) for word in joined]

    def bonus(self, words: Sequence[Word], typed: str) -> list[Query]:
        """What need not be but counts: words in a name, and together where they were typed together."""
        return [*self._named(words), *self._together(words, typed)]

    def _named(self, words: Sequence[Word]) -> list[Query]:
        wanted = dict.fromkeys(term for word in words for text in (word.text, *word.same) for term in needed(text))
        return [self._terms.term(NAME, term) for term in wanted if self._terms.frequency(NAME, [term]) < _PLENTY]

    def _together(self, words: Sequence[Word], typed: str) -> list[Query]:
        neighbours = [
            one.text[-1] + other.text[0]
            for one, other in pairwise(words)
            if one.chinese and other.chinese and one.text + other.text in typed
        ]
        inner = [pair for word in words if word.chinese for pair in pairs(word.text)[:-1]]
        wanted = {pair for word in words for pair in needed(word.text)}
        extra = [pair for pair in dict.fromkeys((*neighbours, *inner)) if pair not in wanted]
        return [self._terms.term(NAME, pair) for pair in extra]

    def _is_syllable(self, text: str) -> bool:
        return self._sounds.is_syllable(text) and not self._terms.written(text)

    def _clause(self, word: Word, *, last: bool, few: bool) -> Clause:
        ways = self._chinese(word, few=few) if word.chinese else self._letters(word.text, last=last)
        written = self._terms.written(word.text)
        if written >= _PLENTY:
            return Clause(word, tuple(ways), written)
        same = [way for other in word.same if (way := self._synonym(other)) is not None]
        frequency = sum(self._terms.written(other) for other in word.same) + written
        return Clause(word, (*ways, *same), frequency or 1)

    def _synonym(self, other: str) -> Way | None:
        if not self._terms.written(other):
            return None
        return Way(Query.boost_query(self._terms.every(self._terms.text, needed(other)), _AS_SYNONYM), Finds((other,)))

    def _chinese(self, word: Word, *, few: bool) -> list[Way]:
        text = word.text
        if len(text) > 1 and self._terms.written(text):
            return [Way(self._terms.every(self._terms.text, needed(text)), Finds((text,)))]
        # What the dictionary knows is not taken apart: 处理 says nothing of 理由.
        apart = text if word.run and few else ""
        return [way for char in apart if (way := self._beginning(char)) is not None]

    def _beginning(self, prefix: str) -> Way | None:
        found = self._terms.begins(self._terms.text, prefix)
        if not found:
            return None
        return Way(Query.boost_query(self._terms.any_of(self._terms.text, found), _AS_BEGINNING), Finds((prefix,)))

    def _letters(self, text: str, *, last: bool) -> list[Way]:
        ways = [Way(self._terms.term(self._terms.text, text), Finds((text,)))] if self._terms.written(text) else []
        others = (self._beginning(text) if last else None, self._initials(text), self._pinyin(text))
        return ways + [way for way in others if way is not None]

    def _initials(self, text: str) -> Way | None:
        if len(text) < 2 or not text.isascii() or not (found := self._terms.begins(INITIALS, text)):
            return None
        return Way(Query.boost_query(self._terms.any_of(INITIALS, found), _BY_LETTERS), Finds(initials=(text,)))

    def _pinyin(self, text: str) -> Way | None:
        read = self._sounds.split(text)
        if read is None or not read[0]:
            return None
        syllables, rest = read
        heard = cover(["".join(two) for two in pairwise(syllables)])
        if heard and not self._terms.frequency(SOUNDS, heard):
            return None
        queries = [self._terms.term(SOUNDS, pair) for pair in heard]
        if rest or not heard:
            begun = self._terms.begins(SOUNDS, syllables[-1] + rest)
            if not begun:
                return None
            queries.append(self._terms.any_of(SOUNDS, begun))
        query = Query.boolean_query([(Occur.Must, query) for query in queries])
        return Way(Query.boost_query(query, _BY_LETTERS), Finds(heard=(tuple(syllables),)))


def strict(clauses: Sequence[Clause]) -> Query:
    """Documents with every word."""
    queries = [clause.query for clause in clauses]
    return queries[0] if len(queries) == 1 else Query.boolean_query([(Occur.Must, query) for query in queries])


def any_of(clauses: Sequence[Clause]) -> Query:
    """Documents with any word."""
    return Query.boolean_query([(Occur.Should, clause.query) for clause in clauses])


def favouring(query: Query, bonus: Sequence[Query]) -> Query:
    """The same documents, those with the bonus before others."""
    return Query.boolean_query([(Occur.Must, query), *((Occur.Should, one) for one in bonus)]) if bonus else query


def split(clauses: Sequence[Clause], documents: int) -> tuple[list[Clause], list[Clause]]:
    """Words that tell something, and words that a fifth of all documents has; the latter tell if there is no other."""
    telling = [clause for clause in clauses if clause.frequency * 5 < documents]
    return (telling, [one for one in clauses if one not in telling]) if telling else (list(clauses), [])


def rarest(words: Iterable[Word], terms: Terms) -> list[str]:
    """The terms that tell most about a whole need: the rarest of its words and their synonyms, MOST_TERMS at most."""
    every = {term for word in words for text in (word.text, *word.same) for term in needed(text)}
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


def cover(neighbours: list[str]) -> list[str]:
    """Of the pairs of a word, as few as cover it: 知识 识产 产权 → 知识 产权; 专利 利权 → both."""
    return neighbours if len(neighbours) < 3 else [*neighbours[:-1:2], neighbours[-1]]


def needed(text: str) -> list[str]:
    """The terms that a word or phrase as it is written needs, at least one."""
    if is_chinese(text):
        return cover(pairs(text)[:-1]) if len(text) > 1 else [text]
    return tokens(text) or [text[:LONGEST_WORD]]
