"""One index asked: from the words of a query to the page of its answer."""

from collections.abc import Sequence
from time import perf_counter

import tantivy
from tantivy import FieldType, Occur

from search.embedded.clauses import Clause, Resolver, Terms, all_finds, any_of, favouring, rarest, split, strict
from search.embedded.fields import NAME, NUMBER, TEXT, TIE, WEIGHT, Stored, sort_field
from search.engine import (
    MOST_CHARS,
    MOST_NEED_CHARS,
    NEARNESS,
    RELEVANCE,
    Between,
    Candidate,
    Filter,
    Hit,
    IndexName,
    OneOf,
    Query,
    Results,
    Suggestion,
)
from search.highlight import Marker, snippets
from search.nearness import tiers, windows
from search.paging import offset_of, page_count
from search.parse import MOST_WORDS, Synonyms, Word, parse
from search.settings import MOST_VALUES, Schema
from search.slips import heard_slips, mended
from search.sounds import Sounds
from search.suggesting import suggestions
from search.text import normalise

_Addresses = list[tuple[float, tantivy.DocAddress]]
_NONE = tantivy.Query.empty_query()
_FEW_VALUES = 8
"""Of a filter: beyond them one bit for every document is cheaper than one list for every value."""


class Answering:
    """Answers from one commit of one index."""

    def __init__(
        self,
        schema: Schema,
        fields: tantivy.Schema,
        searcher: tantivy.Searcher,
        sounds: Sounds,
        synonyms: Synonyms,
    ) -> None:
        self._schema = schema
        self._fields = fields
        self._searcher = searcher
        self._sounds = sounds
        self._synonyms = synonyms

    def search(self, query: Query) -> Results:
        """See ``Engine.search``; the query has been checked."""
        began = perf_counter()
        text = query.text if query.as_typed else self._mended(query.text, TEXT)
        words = self._words(text)
        clauses = Resolver(self._terms(TEXT), self._sounds).resolve(words)
        found, total, addresses = self._found(query, text, clauses)
        pages = page_count(query, total)
        stored = [self._stored(address) for _, address in addresses]
        marker = Marker(all_finds(clauses), self._sounds)
        return Results(
            hits=[
                Hit(
                    id=one.id,
                    score=score if query.sort == RELEVANCE else 0.0,
                    texts=one.texts,
                    snippets=snippets(one.texts, marker),
                )
                for (score, _), one in zip(addresses, stored, strict=True)
            ],
            total=total,
            pages=pages,
            facets=self._facets(query, found),
            corrected=text if text != query.text else None,
            milliseconds=(perf_counter() - began) * 1e3,
        )

    def suggest(self, index: IndexName, text: str, limit: int) -> list[Suggestion]:
        """Names in which every word is found; those that begin with the text come first."""
        words = self._words(self._mended(text, NAME)) if len(text) <= MOST_CHARS else []
        clauses = Resolver(self._terms(NAME), self._sounds).resolve(words)
        if not clauses or not all(clause.ways for clause in clauses):
            return []
        # More than asked for, since names repeat; the weight makes equals come in the order of their hash.
        addresses, _ = self._top(strict(clauses), RELEVANCE, 0, 4 * limit, has_text=True)
        stored = [self._stored(address) for _, address in addresses]
        names = [(one.id, one.texts[self._schema.name.name]) for one in stored]
        return suggestions(index, names, Marker(all_finds(clauses), self._sounds))

    def recall(self, text: str, filters: tuple[Filter, ...], depth: int) -> list[Candidate]:
        """See ``Engine.recall``."""
        terms = self._terms(TEXT)
        wanted = rarest(parse(text[:MOST_NEED_CHARS], self._synonyms), terms)
        # Plain terms, not counted: tantivy then skips blocks that cannot reach the best (block-max WAND).
        query = tantivy.Query.boolean_query([(Occur.Should, terms.term(TEXT, term)) for term in wanted])
        hits = self._searcher.search(self._within(query, filters), depth, count=False).hits
        numbers = self._searcher.fast_field_values(NUMBER, [address for _, address in hits])
        return [
            Candidate(self._stored(address).id if number is None else str(number), score)
            for (score, address), number in zip(hits, numbers, strict=True)
        ]

    def digests(self) -> dict[str, str]:
        """See ``Engine.digests``."""
        every = tantivy.Query.all_query()
        hits = self._searcher.search(every, max(1, self._searcher.num_docs), count=False, order_by_field=TIE).hits
        return {stored.id: stored.digest for stored in (self._stored(address) for _, address in hits)}

    def _words(self, text: str) -> list[Word]:
        return parse(text, self._synonyms)[:MOST_WORDS]

    def _stored(self, address: tantivy.DocAddress) -> Stored:
        return self._terms(TEXT).stored(address)

    def _terms(self, field: str) -> Terms:
        return Terms(self._fields, self._searcher, field)

    def _found(self, query: Query, text: str, clauses: Sequence[Clause]) -> tuple[tantivy.Query, int, _Addresses]:
        """What fits the text, for counting, without the filters; and within them how much it is, and the page.

        All words are wanted; if nothing at all has all of them, any will do. Filters do not turn the one into the
        other: where they leave nothing, nothing is what there is.
        """
        if not clauses:
            every = tantivy.Query.all_query()
            return every, *self._page(query, every)
        bonus = Resolver(self._terms(TEXT), self._sounds).bonus([one.word for one in clauses], normalise(text))
        if all(clause.ways for clause in clauses):
            found = strict(clauses)
            total, addresses = self._page(query, favouring(found, bonus))
            if total or self._count(found):
                return found, total, addresses
        known = [clause for clause in clauses if clause.ways]
        telling, rest = split(known, self._searcher.num_docs)
        found = any_of(telling) if telling else _NONE
        return found, *self._page(query, favouring(found, [*(clause.query for clause in rest), *bonus]))

    def _page(self, query: Query, found: tantivy.Query) -> tuple[int, _Addresses]:
        offset, has_text = offset_of(query), bool(self._words(query.text))
        if query.sort != NEARNESS or query.near is None:
            within = self._within(found, query.filters)
            addresses, total = self._top(within, query.sort, offset, query.size, has_text=has_text)
            return total, addresses
        nearer = [self._within(found, (*query.filters, *tier)) for tier in tiers(query.near)]
        counts = [self._count(one) for one in nearer]
        addresses = []
        for one, (start, size) in zip(nearer, windows(counts, offset, query.size), strict=True):
            if size:
                addresses += self._top(one, RELEVANCE, start, size, has_text=has_text)[0]
        return sum(counts), addresses

    def _top(
        self, query: tantivy.Query, sort: str, offset: int, limit: int, *, has_text: bool
    ) -> tuple[_Addresses, int]:
        """Scores and addresses in order, and how many there are in all."""
        if sort == RELEVANCE and has_text:
            result = self._searcher.search(query, limit, offset=offset, weight_by_field=WEIGHT)
            return result.hits, _count(result)
        field = TIE if sort == RELEVANCE else sort_field(sort)
        result = self._searcher.search(query, limit, offset=offset, order_by_field=field, order=tantivy.Order.Asc)
        return [(0.0, address) for _, address in result.hits], _count(result)

    def _count(self, query: tantivy.Query) -> int:
        return _count(self._searcher.search(query, 1))

    def _within(self, query: tantivy.Query, filters: tuple[Filter, ...]) -> tantivy.Query:
        if not filters:
            return query
        return tantivy.Query.boolean_query([(Occur.Must, query), *map(self._filter, filters)])

    def _filter(self, one: Filter) -> tuple[Occur, tantivy.Query]:
        if isinstance(one, Between):
            if one.low is None and one.high is None:
                found = tantivy.Query.exists_query(one.field)
            else:
                found = tantivy.Query.range_query(self._fields, one.field, FieldType.Integer, one.low, one.high)
        else:
            found = self._any_value(one.field, [*filter(_is_text, one.values)])
        # Filters say yes or no: they must not add to the score.
        silent = tantivy.Query.const_score_query(found, 0.0)
        return (Occur.Must if isinstance(one, Between | OneOf) else Occur.MustNot), silent

    def _any_value(self, field: str, values: list[str]) -> tantivy.Query:
        """A set of terms reads all their documents before it says anything; a few terms skip with the words."""
        if not 0 < len(values) <= _FEW_VALUES:
            return tantivy.Query.term_set_query(self._fields, field, values)
        terms = [tantivy.Query.term_query(self._fields, field, value, "basic") for value in values]
        return terms[0] if len(terms) == 1 else tantivy.Query.boolean_query([(Occur.Should, one) for one in terms])

    def _facets(self, query: Query, found: tantivy.Query) -> dict[str, dict[str, int]]:
        """Counts; facets without a filter of their own are counted together, in one pass."""
        passes: dict[tuple[Filter, ...], list[str]] = {}
        for facet in query.facets:
            others = tuple(one for one in query.filters if one.field != facet)
            passes.setdefault(others, []).append(facet)
        counts: dict[str, dict[str, int]] = {}
        for others, facets in passes.items():
            wanted = {facet: {"terms": {"field": facet, "size": MOST_VALUES}} for facet in facets}
            counted = self._searcher.aggregate(self._within(found, others), wanted)
            for facet in facets:
                buckets = [(bucket["key"], bucket["doc_count"]) for bucket in counted[facet]["buckets"]]
                counts[facet] = dict(sorted(buckets, key=lambda one: (-one[1], one[0])))
        return {facet: counts[facet] for facet in query.facets}

    def _mended(self, typed: str, field: str) -> str:
        words, terms = self._words(typed), self._terms(field)
        slips = heard_slips(words, terms, self._sounds)
        letters = any(not word.chinese for word in words)
        for clause in Resolver(terms, self._sounds).resolve(words) if letters else ():
            if not clause.ways and not clause.word.chinese:
                meant = terms.spelt_like(clause.word.text, self._synonyms.of)
                slips |= {clause.word.text: meant} if meant else {}
        return mended(typed, slips)


def _count(result: tantivy.SearchResult) -> int:
    count: int = result.count  # type: ignore[attr-defined]  # forgotten in tantivy's stubs
    return count


def _is_text(value: str) -> bool:
    """Whether a value can be in an index at all: half of a surrogate pair cannot."""
    return not any("\ud800" <= char <= "\udfff" for char in value)
