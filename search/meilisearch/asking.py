"""One index of the server asked: from the words of a query to the page of its answer.

The usual search is one request. Only where nothing at all has all the words are more made: for slips, for pinyin, and
at last for any of the words.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import log
from time import perf_counter
from typing import Any

from msgspec import Struct

from search.engine import (
    MOST_CHARS,
    MOST_NEED_CHARS,
    NEARNESS,
    RELEVANCE,
    Candidate,
    Filter,
    Hit,
    IndexName,
    Query,
    Results,
    Suggestion,
)
from search.highlight import Finds, Marker, Range, merge, snippet
from search.meilisearch import shape
from search.meilisearch.server import Found, Server
from search.nearness import tiers, windows
from search.paging import offset_of, page_count
from search.parse import Synonyms, Word, join_syllables, parse
from search.settings import SCHEMAS
from search.slips import heard_slips, mended
from search.sounds import Sounds
from search.suggesting import suggestions
from search.text import spaced

_Raw = dict[str, Any]
_SAMPLE = 10
_MOST_RECALLED_WORDS = 20
"""Words of a need that are looked for, each in a query of its own."""


class _Looked(Struct, frozen=True):
    """What the server is asked for."""

    words: str
    all_words: bool
    finds: Finds

    def query(self) -> _Raw:
        """The part of a search that says what is looked for."""
        return {"q": self.words, "matchingStrategy": "all" if self.all_words else "frequency"}


class Asking:
    """Asks one index."""

    def __init__(self, server: Server, index: IndexName, uid: str, sounds: Sounds, synonyms: Synonyms) -> None:
        self._server = server
        self._index = index
        self._uid = uid
        self._schema = SCHEMAS[index]
        self._sounds = sounds
        self._synonyms = synonyms

    def search(self, query: Query) -> Results:
        """See ``Engine.search``; the query has been checked."""
        began = perf_counter()
        words = parse(query.text, self._synonyms)
        looked, corrected = self._all_of(words), None
        total, raw, facets = self._page(query, looked)
        if not total and words and not (query.filters and self._count(looked)):
            looked, corrected = self._instead(query, words)
            total, raw, facets = self._page(query, looked)
        pages = page_count(query, total)
        marker = Marker(looked.finds, self._sounds)
        return Results(
            hits=[self._hit(one, marker, scored=query.sort == RELEVANCE) for one in raw],
            total=total,
            pages=pages,
            facets=facets,
            corrected=corrected,
            milliseconds=(perf_counter() - began) * 1e3,
        )

    def suggest(self, text: str, limit: int) -> list[Suggestion]:
        """See ``Engine.suggest``; of this index."""
        words = parse(text, self._synonyms) if len(text) <= MOST_CHARS else []
        if not words:
            return []
        looked = self._all_of(words)
        names = [field for one in self._schema.texts if one.named for field in (shape.words_of(one.name), one.name)]
        within = {"attributesToSearchOn": [*names, shape.SOUNDS, shape.INITIALS], "limit": 4 * limit}
        ways = [one for one in (looked, self._as_pinyin(words)) if one is not None]
        found = self._ask(*(one.query() | within for one in ways))
        called = self._schema.name.name
        for one, answer in zip(ways, found, strict=True):
            named = [(hit[shape.KEY], hit[called]) for hit in answer.hits if called in hit]
            if kept := suggestions(self._index, named, Marker(one.finds, self._sounds)):
                return kept
        return []

    def recall(self, text: str, filters: tuple[Filter, ...], depth: int) -> list[Candidate]:
        """See ``Engine.recall``. The server has no "any of": each word is a query, the rarer the more it counts."""
        words = [word.text for word in parse(text[:MOST_NEED_CHARS], self._synonyms)][:_MOST_RECALLED_WORDS]
        common = {"filter": shape.filters(filters), "page": 1, "hitsPerPage": depth, "showRankingScore": True}
        answers = self._ask(*({"q": word, "attributesToRetrieve": [shape.KEY]} | common for word in words))
        most = max((answer.total_hits for answer in answers), default=0)
        scores: dict[str, float] = {}
        for answer in answers:
            rarity = log(1 + most / max(1, answer.total_hits))
            for hit in answer.hits:
                scores[hit[shape.KEY]] = scores.get(hit[shape.KEY], 0.0) + rarity * hit["_rankingScore"]
        best = sorted(scores.items(), key=lambda one: (-one[1], one[0]))[:depth]
        return [Candidate(id_, score) for id_, score in best]

    def written(self, text: str) -> int:
        """See ``Vocabulary``."""
        return self._total({"q": f'"{text}"'})

    def sounding(self, heard: list[str]) -> int:
        """See ``Vocabulary``."""
        return self._total(_sounding(heard))

    def texts_sounding(self, heard: list[str]) -> list[str]:
        """See ``Vocabulary``."""
        (answer,) = self._ask(_sounding(heard) | {"limit": _SAMPLE})
        return [hit[text] for hit in answer.hits for text in self._schema.shown if text in hit]

    def _all_of(self, words: Sequence[Word]) -> _Looked:
        return _Looked(_typed(words), True, self._finds(words))

    def _instead(self, query: Query, words: Sequence[Word]) -> tuple[_Looked, str | None]:
        """What to look for where nothing has all the words, and the text it stands for if that is another."""
        corrected = None
        if not query.as_typed:
            right = mended(query.text, heard_slips(words[: shape.MOST_WORDS], self, self._sounds))
            if right != query.text:
                corrected, words = right, parse(right, self._synonyms)
        tried = [self._all_of(words), self._as_pinyin(words)]
        looked = next((one for one in tried if one is not None and self._count(one)), None)
        return looked or _Looked(_typed(words), False, self._finds(words)), corrected

    def _as_pinyin(self, words: Sequence[Word]) -> _Looked | None:
        """The words with those that are pinyin as their sounds; None if none is."""
        words = join_syllables(words, self._sounds.is_syllable)
        read = [None if word.chinese else self._sounds.split(word.text) for word in words]
        if not any(one and len(one[0]) > 1 for one in read):
            return None
        parts: list[str] = []
        for word, one in zip(words, read, strict=True):
            syllables = [*one[0], *([one[1]] if one[1] else [])] if one else []
            parts += map("".join, pairwise(syllables)) if len(syllables) > 1 else [word.text]
        heard = tuple(tuple(one[0]) for one in read if one and one[0])
        return _Looked(" ".join(parts[: shape.MOST_WORDS]), True, Finds(heard=heard))

    def _finds(self, words: Sequence[Word]) -> Finds:
        letters = tuple(word.text for word in words if not word.chinese and len(word.text) > 1)
        return Finds(tuple(text for word in words for text in (word.text, *word.same)), initials=letters)

    def _page(self, query: Query, looked: _Looked) -> tuple[int, list[_Raw], dict[str, dict[str, int]]]:
        """How many there are, the page, and counts of the facets."""
        passes = self._facet_passes(query)
        counting = [
            looked.query() | {"filter": shape.filters(others), "facets": facets, "page": 1, "hitsPerPage": 0}
            for others, facets in passes
        ]
        if query.sort == NEARNESS and query.near is not None:
            total, hits = self._nearest(query, looked)
            counted = self._ask(*counting)
        else:
            offset_of(query)
            wanted = looked.query() | {"filter": shape.filters(query.filters), "page": query.page}
            wanted |= {"hitsPerPage": query.size, "sort": _sort(query)} | _SHOWING
            page, *counted = self._ask(wanted, *counting)
            total, hits = page.total_hits, page.hits
        return total, hits, _counts(query, passes, counted)

    def _nearest(self, query: Query, looked: _Looked) -> tuple[int, list[_Raw]]:
        """The page of all tiers after each other."""
        assert query.near is not None
        nearer = [looked.query() | {"filter": shape.filters((*query.filters, *tier))} for tier in tiers(query.near)]
        counts = [answer.total_hits for answer in self._ask(*(one | _COUNT for one in nearer))]
        stretches = zip(nearer, windows(counts, offset_of(query), query.size), strict=True)
        wanted = [one | {"offset": start, "limit": size} | _SHOWING for one, (start, size) in stretches if size]
        return sum(counts), [hit for answer in self._ask(*wanted) for hit in answer.hits]

    def _facet_passes(self, query: Query) -> list[tuple[tuple[Filter, ...], list[str]]]:
        """Facets by the filters that narrow them: those without a filter of their own share a pass."""
        passes: dict[tuple[Filter, ...], list[str]] = {}
        for facet in query.facets:
            passes.setdefault(tuple(one for one in query.filters if one.field != facet), []).append(facet)
        return list(passes.items())

    def _count(self, looked: _Looked) -> int:
        return self._total(looked.query())

    def _total(self, query: _Raw) -> int:
        (answer,) = self._ask(query | _COUNT)
        return answer.total_hits

    def _ask(self, *queries: _Raw) -> list[Found]:
        if not queries:
            return []
        return self._server.search([{"indexUid": self._uid, "locales": ["cmn"]} | query for query in queries])

    def _hit(self, raw: _Raw, marker: Marker, *, scored: bool) -> Hit:
        texts = {text: raw[text] for text in self._schema.shown if text in raw}
        places = raw.get("_matchesPosition") or {}
        found = {
            name: merge([*marker.ranges(text), *_characters(text, places.get(name, ()))])
            for name, text in texts.items()
        }
        return Hit(
            id=raw[shape.KEY],
            score=raw["_rankingScore"] if scored else 0.0,
            texts=texts,
            snippets={name: snippet(texts[name], ranges) for name, ranges in found.items() if ranges},
        )


_COUNT: _Raw = {"page": 1, "hitsPerPage": 0}
_SHOWING: _Raw = {"showMatchesPosition": True, "showRankingScore": True}


def _typed(words: Sequence[Word]) -> str:
    """The words as the server is given them. Without signs: a quote would make a phrase, a minus a negation."""
    return " ".join(spaced(word.text) if word.run else word.text for word in words[: shape.MOST_WORDS])


def _sounding(heard: list[str]) -> _Raw:
    return {"q": " ".join(heard), "matchingStrategy": "all", "attributesToSearchOn": [shape.SOUNDS]}


def _sort(query: Query) -> list[str]:
    return [] if query.sort == RELEVANCE else [f"{shape.sort_field(query.sort)}:asc"]


def _counts(
    query: Query, passes: Sequence[tuple[tuple[Filter, ...], list[str]]], answers: Sequence[Found]
) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (_, facets), answer in zip(passes, answers, strict=True):
        for facet in facets:
            stored = answer.facet_distribution.get(facet, {})
            values = [(shape.decode(value), count) for value, count in stored.items() if count]
            counts[facet] = dict(sorted(values, key=lambda one: (-one[1], one[0])))
    return {facet: counts[facet] for facet in query.facets}


def _characters(text: str, places: Sequence[_Raw]) -> list[Range]:
    """Places in bytes as places in characters."""
    encoded = text.encode()
    found = []
    for place in places:
        start = len(encoded[: place["start"]].decode(errors="ignore"))
        size = len(encoded[place["start"] : place["start"] + place["length"]].decode(errors="ignore"))
        found.append((start, start + size))
    return found
