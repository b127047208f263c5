"""One server, called in threads, and its errors as ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio
import meilisearch
import msgspec
import pydantic
from anyio import CapacityLimiter
from meilisearch.errors import MeilisearchApiError, MeilisearchError
from msgspec import Struct
from requests import RequestException

from search.errors import EngineUnavailable, IndexMissing, SettingsOutdated, WrongKey

T = TypeVar("T")
THREADS = 8
"""Requests at once from a process."""
_WRONG_KEY = frozenset({"invalid_api_key", "missing_authorization_header", "missing_master_key"})
# Fields are checked before a query is sent, so the server knows them unless somebody changed its settings by hand.
_OTHER_SETTINGS = frozenset(
    {
        "invalid_search_filter",
        "invalid_search_sort",
        "invalid_search_facets",
        "invalid_search_attributes_to_search_on",
        "invalid_document_filter",
    }
)


class Found(Struct, rename="camel"):
    """The answer to one query of a multi-search; what was not asked for is empty."""

    hits: list[dict[str, Any]]
    total_hits: int = 0
    facet_distribution: dict[str, dict[str, int]] = {}


class _Answer(Struct):
    results: list[Found]


class Server:
    """A Meilisearch server with a key for it."""

    def __init__(self, url: str, key: str, *, timeout: int) -> None:
        """`timeout`: seconds for one request."""
        self._url = url.rstrip("/")
        self._key = key
        self._timeout = timeout
        self._limiter = CapacityLimiter(THREADS)

    @property
    def client(self) -> meilisearch.Client:
        """A client for one thread: it keeps the headers of the request it is making, so threads must not share one."""
        return meilisearch.Client(self._url, self._key, timeout=self._timeout)

    async def run(self, call: Callable[[], T]) -> T:
        """The call in a thread; its requests' errors as ours.

        Raises:
            IndexMissing, SettingsOutdated, WrongKey, EngineUnavailable.
        """
        return await anyio.to_thread.run_sync(lambda: self._tell(call), limiter=self._limiter)

    def search(self, queries: list[dict[str, Any]]) -> list[Found]:
        """Answers of one multi-search, in the order of the queries."""
        answer = msgspec.convert(self.client.multi_search(queries), _Answer)
        if len(answer.results) != len(queries):
            raise EngineUnavailable(f"{len(queries)} queries, {len(answer.results)} answers")
        return answer.results

    def _tell(self, call: Callable[[], T]) -> T:
        with telling():
            return call()


@contextmanager
def telling() -> Iterator[None]:
    """Errors of the client as ours."""
    try:
        yield
    except MeilisearchApiError as error:
        raise _as_ours(error) from error
    except (MeilisearchError, RequestException, pydantic.ValidationError, msgspec.ValidationError) as error:
        # The last two: what answers at that address is no Meilisearch.
        raise EngineUnavailable(repr(error)) from error


def _as_ours(error: MeilisearchApiError) -> Exception:
    if error.code == "index_not_found":
        return IndexMissing(error.message)
    if error.code in _WRONG_KEY or error.status_code in (401, 403):
        return WrongKey(error.message)
    if error.code in _OTHER_SETTINGS:
        return SettingsOutdated(error.message)
    return EngineUnavailable(f"{error.code or error.status_code}: {error.message}")
