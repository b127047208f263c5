"""What every search engine does: the protocol, its queries and answers, its errors.

Two engines keep it, ``search.embedded`` and ``search.meilisearch``; tests/search holds them to it. Readers and writers
are apart: many processes read, one writes. Nothing here knows PostgreSQL or pages: documents come in prepared
(``search.documents``), ids and texts come out, and whoever shows a hit reads the row by its id.
"""

from collections.abc import AsyncIterable, Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from search.errors import QueryTooLong

RELEVANCE = "relevance"
NEARNESS = "nearness"
"""The sorts every index has; others are declared in ``search.settings``."""

MOST_CHARS = 500
"""A search text is at most so long: what is longer is a need, and goes to ``recall``."""
MOST_NEED_CHARS = 5_000
MOST_HITS = 1_000
"""Pages reach no deeper; the total is counted beyond it."""
MOST_PER_PAGE = 100
DEPTH = 200
"""How many candidates ``recall`` gives where nothing else is said."""


class IndexName(StrEnum):
    """What can be searched."""

    OFFERINGS = "offerings"
    INSTITUTIONS = "institutions"
    ITEMS = "items"
    NOTICES = "notices"


class OneOf(Struct, frozen=True, tag=True):
    """Documents of which the keyword field has any of the values; of no values: none.

    A region with all below it is one value: place fields hold a region together with those it lies in.
    """

    field: str
    values: tuple[str, ...]


class NoneOf(Struct, frozen=True, tag=True):
    """Documents of which the keyword field has none of the values, or no value at all."""

    field: str
    values: tuple[str, ...]


class Between(Struct, frozen=True, tag=True):
    """Documents of which the number lies within both bounds, which belong to it; None: no bound.

    A document without the number never fits.
    """

    field: str
    low: int | None = None
    high: int | None = None


Filter = OneOf | NoneOf | Between


class Query(Struct, frozen=True, kw_only=True):
    """What somebody looks for in one index. The last word may be unfinished; no text: all that fits the filters."""

    index: IndexName
    text: str = ""
    as_typed: bool = False
    """Whether the text is right as it stands: no slip in it is mended."""
    filters: tuple[Filter, ...] = ()
    """All must hold."""
    facets: tuple[str, ...] = ()
    """Keyword fields whose values are counted; a field's own filters do not narrow its counts."""
    sort: str = RELEVANCE
    near: str | None = None
    """The region code that ``NEARNESS`` sorts by: same county first, then city, province, the rest."""
    page: int = 1
    """From 1."""
    size: int = 20


class Piece(Struct, frozen=True):
    """A stretch of a text, plain; ``hit``: the search found it here. Whoever shows it escapes it."""

    text: str
    hit: bool


Snippet = tuple[Piece, ...]


class Hit(Struct, frozen=True, kw_only=True):
    """A document found. ``score`` only compares hits of one answer, the higher the better; 0 where they are sorted."""

    id: str
    score: float
    texts: dict[str, str]
    """What the document shows, by field, as it was indexed."""
    snippets: dict[str, Snippet]
    """The shown fields in which something was found: names whole, long texts around the first find."""


class Results(Struct, frozen=True, kw_only=True):
    """One page of what was found."""

    hits: list[Hit]
    total: int
    """Of all pages, exact; pages end after ``MOST_HITS`` all the same."""
    pages: int
    """The last page that can be asked for; 1 where nothing was found."""
    facets: dict[str, dict[str, int]]
    """By field: value → documents, the most frequent value first; values without documents are left out."""
    corrected: str | None
    """The text that was looked for instead, where the one that was typed has a slip; None where it has none."""
    milliseconds: float
    """Spent in the engine."""


class Suggestion(Struct, frozen=True):
    """A name that completes what was typed."""

    index: IndexName
    id: str
    text: str
    pieces: Snippet


class Candidate(Struct, frozen=True):
    """An id for matching; ``score`` only compares candidates of one answer."""

    id: str
    score: float


class Document(Struct, frozen=True, kw_only=True):
    """What an index holds of a row, prepared by ``search.documents``; its fields are those of ``search.settings``."""

    id: str
    texts: dict[str, str]
    keywords: dict[str, tuple[str, ...]]
    numbers: dict[str, int]
    """A number that is not known is left out."""


class Stats(Struct, frozen=True):
    """What an index is: ``settings`` the digest of those it was built with; ``bytes`` on disk, None if not known."""

    index: IndexName
    documents: int
    settings: str
    bytes: int | None


class Engine(Protocol):
    """Reads. All methods raise NeedsRebuild where the index cannot serve, and Unavailable where the engine cannot."""

    async def search(self, query: Query) -> Results:
        """The page that was asked for.

        Raises:
            UnknownField: a filter, facet or sort that the index does not have.
            QueryTooLong: more than MOST_CHARS.
            PageBeyondEnd: a page after the last.
        """

    async def search_many(self, queries: Sequence[Query]) -> list[Results]:
        """Several searches in one call, answered in their order: one box over all indexes. Raises what search does."""

    async def suggest(self, text: str, indexes: Sequence[IndexName], *, limit: int = 8) -> list[Suggestion]:
        """Names that begin or go on like the text, in Chinese, pinyin or first letters; each name once.

        The indexes take turns. A text that is empty or too long suggests nothing.
        """

    async def recall(
        self, index: IndexName, text: str, filters: tuple[Filter, ...] = (), *, depth: int = DEPTH
    ) -> list[Candidate]:
        """The best documents of those that share any word with a whole need, the best first.

        Of a text longer than MOST_NEED_CHARS the beginning counts. Raises UnknownField for a filter.
        """

    async def stats(self, index: IndexName) -> Stats:
        """What the index is."""

    async def digests(self, index: IndexName) -> dict[str, str]:
        """Every document's id and digest (``search.documents.digest``), to compare with the database."""

    async def aclose(self) -> None:
        """Let go of threads and connections."""


class Writer(Protocol):
    """Writes; one at a time over all processes. What raises may have been done or not: try again.

    Applying twice is applying once.
    """

    async def apply(self, index: IndexName, upserts: Sequence[Document], deletes: Sequence[str] = ()) -> None:
        """Put documents in place of those with their ids, take ids out; returns when the next search anywhere sees it.

        Raises:
            NeedsRebuild: there is no index of these settings to write to.
            Unavailable: the engine does not answer, or did not finish in time.
        """

    async def rebuild(self, index: IndexName, batches: AsyncIterable[Sequence[Document]]) -> int:
        """Build the index anew from the documents and put it in the old one's place without a gap; their number.

        What ``apply`` changes meanwhile, in this writer, is in the new index too. If the batches raise, the old
        index stays.
        """

    async def aclose(self) -> None:
        """Let another writer write."""


def check_text(text: str) -> None:
    """Refuse a search text that is too long.

    Raises:
        QueryTooLong: more than MOST_CHARS.
    """
    if len(text) > MOST_CHARS:
        raise QueryTooLong(len(text), MOST_CHARS)
