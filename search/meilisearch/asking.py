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

from search.documents import tie
from search.engine import (
    MOST_CHARS,
    MOST_HITS,
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
from search.text import parts, spaced

_Raw = dict[str, Any]
_SAMPLE = 10
_MOST_RECALLED_WORDS = 20
"""Words of a need that are looked for, each in a query of its own."""


class _Looked(Struct, frozen=True):
    """What the server is asked for: documents with all the words, or those found before."""

    words: str
    finds: Finds
    among: dict[str, float] | None = None
    """Ids found before, with their scores."""

    def query(self, filters: tuple[Filter, ...] = ()) -> _Raw:
        """The part of a search that says what is looked for."""
        narrowed = shape.filters(filters)
        if self.among is None:
            return {"q": self.words, "matchingStrategy": "all", "filter": narrowed}
        return {"q": "", "filter": [*narrowed, shape.any_id(self.among)]}


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
        if found := self._suggest(words, limit):
            return found
        right = mended(text, heard_slips(words[: shape.MOST_WORDS], self, self._sounds))
        return self._suggest(parse(right, self._synonyms), limit) if right != text else []

    def _suggest(self, words: Sequence[Word], limit: int) -> list[Suggestion]:
        names = [field for one in self._schema.texts if one.named for field in (shape.words_of(one.name), one.name)]
        within = {"attributesToSearchOn": [*names, shape.SOUNDS, shape.INITIALS], "limit": 4 * limit}
        ways = [one for one in (self._all_of(words), self._as_pinyin(words)) if one is not None]
        called = self._schema.name.name
        for one, answer in zip(ways, self._ask(*(one.query() | within for one in ways)), strict=True):
            named = [(hit[shape.KEY], hit[called]) for hit in answer.hits if called in hit]
            if found := suggestions(self._index, named, Marker(one.finds, self._sounds)):
                return found
        return []

    def recall(self, text: str, filters: tuple[Filter, ...], depth: int) -> list[Candidate]:
        """See ``Engine.recall``. The server has no "any of": each word is a query, the rarer the more it counts."""
        words = parse(text[:MOST_NEED_CHARS], self._synonyms)
        return self._recalled([part for word in words for part in parts(word.text)], filters, depth)

    def _recalled(self, words: Sequence[str], filters: tuple[Filter, ...], depth: int) -> list[Candidate]:
        common = {"filter": shape.filters(filters), "page": 1, "hitsPerPage": depth, "showRankingScore": True}
        some = list(dict.fromkeys(words))[:_MOST_RECALLED_WORDS]
        answers = self._ask(*({"q": word, "attributesToRetrieve": [shape.KEY]} | common for word in some))
        most = max((answer.total_hits for answer in answers), default=0)
        scores: dict[str, float] = {}
        for answer in answers:
            rarity = log(1 + most / max(1, answer.total_hits))
            for hit in answer.hits:
                scores[hit[shape.KEY]] = scores.get(hit[shape.KEY], 0.0) + rarity * hit["_rankingScore"]
        best = sorted(scores.items(), key=lambda one: (-one[1], tie(one[0])))[:depth]
        return [Candidate(id_, score) for id_, score in best]

    def written(self, text: str) -> int:
        """See ``Vocabulary``."""
        return self._total({"q": f'"{text}"', "matchingStrategy": "all"})

    def sounding(self, heard: list[str]) -> int:
        """See ``Vocabulary``."""
        return self._total(_sounding(heard))

    def texts_sounding(self, heard: list[str]) -> list[str]:
        """See ``Vocabulary``."""
        (answer,) = self._ask(_sounding(heard) | {"limit": _SAMPLE})
        return [hit[text] for hit in answer.hits for text in self._schema.shown if text in hit]

    def _all_of(self, words: Sequence[Word]) -> _Looked:
        return _Looked(_typed(words), self._finds(words))

    def _instead(self, query: Query, words: Sequence[Word]) -> tuple[_Looked, str | None]:
        """What to look for where nothing has all the words, and the text it stands for if that is another."""
        corrected = None
        if not query.as_typed:
            right = mended(query.text, heard_slips(words[: shape.MOST_WORDS], self, self._sounds))
            if right != query.text:
                corrected, words = right, parse(right, self._synonyms)
        tried = [self._all_of(words), self._as_pinyin(words)]
        looked = next((one for one in tried if one is not None and self._count(one)), None)
        return looked or self._any_of(words), corrected

    def _any_of(self, words: Sequence[Word]) -> _Looked:
        """The best documents of those with any word. (The server's own way of leaving words out never leaves all.)"""
        found = self._recalled([part for word in words for part in parts(word.text)], (), MOST_HITS)
        return _Looked("", self._finds(words), {one.id: one.score for one in found})

    def _as_pinyin(self, words: Sequence[Word]) -> _Looked | None:
        """The words with those that are pinyin as their sounds; None if none is."""
        words = join_syllables(words, self._sounds.is_syllable)
        read = [None if word.chinese else self._sounds.split(word.text) for word in words]
        if not any(one and len(one[0]) > 1 for one in read):
            return None
        pieces: list[str] = []
        for word, one in zip(words, read, strict=True):
            syllables = [*one[0], *([one[1]] if one[1] else [])] if one else []
            pieces += map("".join, pairwise(syllables)) if len(syllables) > 1 else [word.text]
        heard = tuple(tuple(one[0]) for one in read if one and one[0])
        return _Looked(" ".join(pieces[: shape.MOST_WORDS]), Finds(heard=heard))

    def _finds(self, words: Sequence[Word]) -> Finds:
        letters = tuple(word.text for word in words if not word.chinese and len(word.text) > 1)
        return Finds(tuple(text for word in words for text in (word.text, *word.same)), initials=letters)

    def _page(self, query: Query, looked: _Looked) -> tuple[int, list[_Raw], dict[str, dict[str, int]]]:
        """How many there are, the page, and counts of the facets."""
        passes = self._facet_passes(query)
        counting = [looked.query(others) | _COUNT | {"facets": facets} for others, facets in passes]
        if query.sort == NEARNESS and query.near is not None:
            total, hits = self._nearest(query, looked)
            counted = self._ask(*counting)
        elif query.sort == RELEVANCE and looked.among is not None:
            total, hits = self._best(query, looked, looked.among)
            counted = self._ask(*counting)
        else:
            offset_of(query)
            wanted = {"page": query.page, "hitsPerPage": query.size, "sort": _sort(query)} | _SHOWING
            page, *counted = self._ask(looked.query(query.filters) | wanted, *counting)
            total, hits = page.total_hits, page.hits
        return total, hits, _counts(query, passes, counted)

    def _best(self, query: Query, looked: _Looked, scores: dict[str, float]) -> tuple[int, list[_Raw]]:
        """The page of what was found before, in the order of its scores."""
        wanted = {"limit": MOST_HITS, "attributesToRetrieve": [shape.KEY]}
        (every,) = self._ask(looked.query(query.filters) | wanted)
        order = sorted((hit[shape.KEY] for hit in every.hits), key=lambda id_: (-scores[id_], tie(id_)))
        start = offset_of(query)
        shown = order[start : start + query.size]
        (page,) = self._ask({"q": "", "filter": [shape.any_id(shown)], "limit": query.size})
        by_id = {hit[shape.KEY]: hit | {"_rankingScore": scores[hit[shape.KEY]]} for hit in page.hits}
        return len(order), [by_id[id_] for id_ in shown if id_ in by_id]

    def _nearest(self, query: Query, looked: _Looked) -> tuple[int, list[_Raw]]:
        """The page of all tiers after each other."""
        assert query.near is not None
        nearer = [looked.query((*query.filters, *tier)) for tier in tiers(query.near)]
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
    typed = [part for word in words for part in (spaced(word.text).split() if word.run else parts(word.text))]
    return " ".join(dict.fromkeys(typed[: shape.MOST_WORDS]))


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
