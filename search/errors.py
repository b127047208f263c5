"""What can go wrong in searching. The first line of each docstring is its message; nothing here knows HTTP."""

from typing import ClassVar


class SearchError(Exception):
    """The search failed."""

    wrong_query: ClassVar[bool] = False
    """Whether the question is to blame, not the engine."""


class UnknownField(SearchError):
    """The index has no such field for that use."""

    wrong_query = True

    def __init__(self, field: str, use: str) -> None:
        """`use`: filter, facet or sort."""
        super().__init__(f"{field!r} cannot be used as {use}")
        self.field = field
        self.use = use


class QueryTooLong(SearchError):
    """The search text is too long."""

    wrong_query = True

    def __init__(self, chars: int, most: int) -> None:
        super().__init__(f"{chars} characters, at most {most}")
        self.most = most


class PageBeyondEnd(SearchError):
    """There is no such page."""

    wrong_query = True

    def __init__(self, page: int, last: int) -> None:
        super().__init__(f"page {page}, the last is {last}")
        self.last = last


class NeedsRebuild(SearchError):
    """The index cannot serve until it is built anew."""


class IndexMissing(NeedsRebuild):
    """There is no such index yet."""


class IndexCorrupt(NeedsRebuild):
    """The index cannot be read."""


class SettingsOutdated(NeedsRebuild):
    """The index was built with other settings than these."""


class Unavailable(SearchError):
    """The engine cannot answer now."""


class EngineUnavailable(Unavailable):
    """The search server does not answer, or not in time."""


class WrongKey(Unavailable):
    """The search server does not accept the key."""


class WriterBusy(Unavailable):
    """Another process writes to the index."""


class WriteFailed(Unavailable):
    """The engine refused a change, or did not finish it in time."""
