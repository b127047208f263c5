"""Which stretch of the hits a page is."""

from search.engine import MOST_HITS, MOST_PER_PAGE, Query
from search.errors import PageBeyondEnd


def offset_of(query: Query) -> int:
    """Hits before the page.

    Raises:
        PageBeyondEnd: no answer is so long, or the page is none.
    """
    assert 1 <= query.size <= MOST_PER_PAGE, "the form of the request bounds it"
    if not 1 <= query.page <= MOST_HITS // query.size:
        raise PageBeyondEnd(query.page, MOST_HITS // query.size)
    return (query.page - 1) * query.size


def page_count(query: Query, total: int) -> int:
    """The last page of so many hits, at least 1.

    Raises:
        PageBeyondEnd: the query asks for a later one.
    """
    pages = max(1, min(-(-total // query.size), MOST_HITS // query.size))
    if query.page > pages:
        raise PageBeyondEnd(query.page, pages)
    return pages
