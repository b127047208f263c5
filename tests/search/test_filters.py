"""Filters and facets: every engine gives the sets and counts that a plain reading of the documents gives."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.engine import Between, Document, Filter, IndexName, NoneOf, OneOf, Query
from tests.search.conftest import Subject

pytestmark = pytest.mark.anyio
KEYWORDS = ("right", "stage", "city", "item_code")
FACETS = ("right", "stage", "city")
NUMBERS = ("promised_days", "satisfaction")
# What could be taken for syntax, for the end of a string, for another value, or for nothing.
VALUES = (
    "patent",
    "Patent",
    "patents",
    'a" OR right = "patent',
    "a' OR right EXISTS",
    "x\\",
    'x\\"',
    "",
    " ",
    "a]b,c",
    "线上",
    "線上",
    "é",
    "e\u0301",
    "\x00",
    "🙂",
    "%",
    "%41",
    "NOT",
)
NUMBER = st.integers(-3, 6) | st.sampled_from([-(2**31), 2**31])
FILTER = st.one_of(
    st.builds(OneOf, st.sampled_from(KEYWORDS), st.lists(st.sampled_from([*VALUES, "nowhere"]), max_size=3).map(tuple)),
    st.builds(NoneOf, st.sampled_from(KEYWORDS), st.lists(st.sampled_from(VALUES), max_size=2).map(tuple)),
    st.builds(Between, st.sampled_from(NUMBERS), st.none() | NUMBER, st.none() | NUMBER),
)
FILTERS = st.lists(FILTER, max_size=3).map(tuple)


def documents() -> list[Document]:
    """Every value alone and beside the next, in fields that some documents lack."""
    found = []
    for number in range(3 * len(VALUES)):
        value, other = VALUES[number % len(VALUES)], VALUES[(number * 5 + 1) % len(VALUES)]
        keywords = {
            "right": tuple(dict.fromkeys((value, other))),
            "stage": (other,) if number % 3 else (),
            "city": (value,),
        }
        if number % 4:
            keywords["item_code"] = (VALUES[number % 7],)
        numbers = {"promised_days": number % 9 - 3} | ({"satisfaction": number % 5} if number % 2 else {})
        texts = {"title": f"专利{number}", "summary": "甲" if number % 2 else "乙"}
        found.append(Document(id=f"d-{number}", texts=texts, keywords=keywords, numbers=numbers))
    return found


DOCUMENTS = documents()


def fits(document: Document, one: Filter) -> bool:
    """What a filter says, read plainly."""
    if isinstance(one, Between):
        number = document.numbers.get(one.field)
        return (
            number is not None and (one.low is None or number >= one.low) and (one.high is None or number <= one.high)
        )
    any_ = not set(one.values).isdisjoint(document.keywords.get(one.field, ()))
    return any_ if isinstance(one, OneOf) else not any_


def expected(filters: tuple[Filter, ...], text: str, without: str = "") -> list[Document]:
    """Documents that fit all filters but those of one field, and have the text."""
    return [
        document
        for document in DOCUMENTS
        if text in document.texts["summary"] and all(fits(document, one) for one in filters if one.field != without)
    ]


@pytest.fixture(scope="module")
async def filled(subject: Subject) -> Subject:
    """The engine with the documents in it."""
    await subject.hold(IndexName.OFFERINGS, DOCUMENTS)
    return subject


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filters=FILTERS, text=st.sampled_from(["", "甲", "乙"]))
async def test_filters_and_facets(filled: Subject, filters: tuple[Filter, ...], text: str) -> None:
    query = Query(index=IndexName.OFFERINGS, text=text, filters=filters, facets=FACETS, size=100)
    results = await filled.engine.search(query)
    fitting = expected(filters, text)
    assert {hit.id for hit in results.hits} == {document.id for document in fitting}
    assert results.total == len(fitting)
    for facet in FACETS:
        counts = Counter(
            value for one in expected(filters, text, without=facet) for value in one.keywords.get(facet, ())
        )
        assert results.facets[facet] == counts, facet
        assert list(results.facets[facet]) == sorted(counts, key=lambda value: (-counts[value], value))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filters=FILTERS)
async def test_recall_keeps_to_the_filters(filled: Subject, filters: tuple[Filter, ...]) -> None:
    found = await filled.engine.recall(IndexName.OFFERINGS, "甲乙丙丁 甲 乙", filters)
    assert {one.id for one in found} == {document.id for document in expected(filters, "")}


@pytest.mark.parametrize("value", ["\ud800", "x" * 100_000, "a\nb"])
async def test_values_that_nothing_has(filled: Subject, value: str) -> None:
    some = Query(index=IndexName.OFFERINGS, filters=(OneOf("right", (value,)),))
    assert (await filled.engine.search(some)).total == 0
    none = Query(index=IndexName.OFFERINGS, filters=(NoneOf("right", (value,)),))
    assert (await filled.engine.search(none)).total == len(DOCUMENTS)
