"""Searching the embedded indexes: any number of processes, each following what the writer does."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TypeVar

import anyio
import tantivy
from anyio import CapacityLimiter
from msgspec import Struct

from search.embedded.asking import Answering
from search.embedded.folder import Folder
from search.engine import DEPTH, Candidate, Filter, IndexName, Query, Results, Stats, Suggestion
from search.errors import IndexCorrupt, SearchError
from search.parse import CurrentSynonyms
from search.settings import SCHEMAS, Language, check, check_filters, digest
from search.sounds import Sounds
from search.suggesting import take_turns

T = TypeVar("T")
THREADS = 4
"""Searches at once in a process. tantivy lets go of the interpreter's lock: two threads search twice as fast as one."""

_LOOKS = 5
"""How often an index that vanishes while it is opened is looked for again."""


class _Open(Struct):
    """An index as it was last seen."""

    path: Path
    index: tantivy.Index
    seen: tuple[int, int]
    searcher: tantivy.Searcher


class EmbeddedEngine:
    """Reads the indexes in a folder (``search.engine.Engine``)."""

    def __init__(self, folder: Path, language: Language, *, threads: int = THREADS) -> None:
        """The folder need not exist yet."""
        self._folder = Folder(folder, {name: digest(schema, language) for name, schema in SCHEMAS.items()})
        self._sounds = Sounds(language.sounds)
        self._synonyms = CurrentSynonyms(language.synonyms)
        self._limiter = CapacityLimiter(threads)
        self._open: dict[IndexName, _Open] = {}
        self._lock = Lock()

    async def search(self, query: Query) -> Results:
        """See ``Engine.search``."""
        return (await self.search_many([query]))[0]

    async def search_many(self, queries: Sequence[Query]) -> list[Results]:
        """See ``Engine.search_many``."""
        for query in queries:
            check(query, SCHEMAS[query.index])
        return await self._run(lambda: [self._search(query) for query in queries])

    async def suggest(self, text: str, indexes: Sequence[IndexName], *, limit: int = 8) -> list[Suggestion]:
        """See ``Engine.suggest``."""
        return await self._run(lambda: take_turns([self._suggest(index, text, limit) for index in indexes], limit))

    async def recall(
        self, index: IndexName, text: str, filters: tuple[Filter, ...] = (), *, depth: int = DEPTH
    ) -> list[Candidate]:
        """See ``Engine.recall``."""
        check_filters(filters, SCHEMAS[index])
        return await self._run(lambda: self._answering(index, lambda one: one.recall(text, filters, depth)))

    async def stats(self, index: IndexName) -> Stats:
        """See ``Engine.stats``."""
        return await self._run(lambda: self._stats(index))

    async def digests(self, index: IndexName) -> dict[str, str]:
        """See ``Engine.digests``."""
        return await self._run(lambda: self._answering(index, lambda one: one.digests()))

    async def aclose(self) -> None:
        """See ``Engine.aclose``."""
        self._open.clear()

    async def _run(self, call: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(call, limiter=self._limiter)

    def _search(self, query: Query) -> Results:
        return self._answering(query.index, lambda one: one.search(query))

    def _suggest(self, index: IndexName, text: str, limit: int) -> list[Suggestion]:
        return self._answering(index, lambda one: one.suggest(index, text, limit))

    def _stats(self, index: IndexName) -> Stats:
        opened = self._current(index)
        return Stats(index, opened.searcher.num_docs, self._folder.digest(index), _size(opened.path))

    def _answering(self, index: IndexName, call: Callable[[Answering], T]) -> T:
        opened = self._current(index)
        with telling(IndexCorrupt, index):
            synonyms = self._synonyms.get()
            return call(Answering(SCHEMAS[index], opened.index.schema, opened.searcher, self._sounds, synonyms))

    def _current(self, index: IndexName) -> _Open:
        """The index in service, in its last commit: two system calls where nothing has changed."""
        with self._lock:
            for _ in range(_LOOKS):
                path = self._folder.current(index)
                try:
                    return self._look(index, path)
                except IndexCorrupt:
                    # Between reading the link and opening what it names, a rebuild may have taken its place.
                    if self._folder.current(index) == path:
                        raise
            raise IndexCorrupt(index)

    def _look(self, index: IndexName, path: Path) -> _Open:
        opened = self._open.get(index)
        with telling(IndexCorrupt, index):
            changed = (path / "meta.json").stat()
            seen = (changed.st_ino, changed.st_mtime_ns)
            if opened is None or opened.path != path:
                made = tantivy.Index.open(str(path))
                made.config_reader("manual")
                opened = self._open[index] = _Open(path, made, seen, made.searcher())
            elif opened.seen != seen:
                opened.index.reload()
                opened.seen, opened.searcher = seen, opened.index.searcher()
        return opened


@contextmanager
def telling(kind: type[SearchError], index: IndexName) -> Iterator[None]:
    """What tantivy cannot do, as what it means: it says so by ValueError or OSError, or by a panic.

    Raises:
        kind: it said so.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        raise kind(f"{index}: {error}") from error
    except BaseException as error:
        # A panic of Rust is no Exception, and its class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise kind(f"{index}: {error}") from error


def _size(folder: Path) -> int:
    """Bytes; files come and go while they are counted."""
    total = 0
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total
