"""The indexer: takes changes from the outbox to the search engine, and builds indexes anew.

One at a time over all workers, for the engine has one writer; the others stand by. An index may be behind, never ahead:
a row of the outbox goes once the engine has what it asked for. If this process dies in between, the change is made
again, which changes nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from infra import outbox
from infra.db import Connection, Database, DatabaseUnavailable
from market.discovery import documents, queries
from market.discovery.model import Difference, Rebuild
from search.documents import digest
from search.engine import Document, Engine, IndexName, Writer
from search.errors import NeedsRebuild, Unavailable

BATCH = 500
"""Changes taken to the engine at once: a burst costs few commits, and a kill repeats little."""
PAGE = 1_000
"""Documents read at once for a rebuild."""
POLL_SECONDS = 0.5
"""In case a NOTIFY was missed."""
STANDBY_SECONDS = 2.0
ERROR_SECONDS = 0.5
ATTEMPTS = 5
"""After so many a change that fails by itself is parked for a person to look at."""

log = structlog.get_logger()


class Indexer:
    """Runs until it is cancelled."""

    def __init__(self, database: Database, engine: Engine, open_writer: Callable[[], Writer]) -> None:
        self._db = database
        self._engine = engine
        self._open_writer = open_writer
        self._wake = asyncio.Event()
        self._rebuilding: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Through outages of PostgreSQL and of the engine."""
        while True:
            try:
                await self._take_turn()
                await asyncio.sleep(STANDBY_SECONDS)
            except (DatabaseUnavailable, Unavailable, OSError) as error:
                log.warning("indexer waits", reason=str(error))
                await asyncio.sleep(ERROR_SECONDS)
            except Exception:  # whatever it is: without the indexer nothing new is found any more
                log.exception("indexer failed")
                await asyncio.sleep(ERROR_SECONDS)

    async def _take_turn(self) -> None:
        """Index for as long as the lock is ours; nothing where another worker has it."""
        connection = await self._db.connect()
        try:
            if not await queries.lock_indexing(connection):
                return
            writer = self._open_writer()
            try:
                await connection.add_listener(outbox.CHANNEL, lambda *_: self._wake.set())
                await self._index(connection, writer)
            finally:
                await self._stop_rebuilding()
                await writer.aclose()
        finally:
            connection.terminate()

    async def _index(self, connection: Connection, writer: Writer) -> None:
        await repair(self._db, self._engine, writer)
        async with self._db.transaction() as tx:
            await queries.rebuilds_interrupted(tx)
        while True:
            self._wake.clear()
            await connection.execute("SELECT 1")  # raises where the connection, and the lock with it, is gone
            taken = await self._take_changes(writer)
            await self._rebuild_as_asked(writer)
            if not taken:
                # Not wait_for: on Python 3.11 it loses a cancellation that comes together with the wake-up.
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()

    async def _take_changes(self, writer: Writer) -> int:
        """Take one batch of changes to the engine; how many there were.

        Single statements, so no transactions: on a busy machine every further message to the database and back delays
        what is published.
        """
        async with self._db.reading() as tx:
            changes = await outbox.changes(tx, BATCH)
        by_index: dict[IndexName, list[outbox.Change]] = defaultdict(list)
        for change in changes:
            by_index[IndexName(change.payload["index"])].append(change)
        for index, some in by_index.items():
            try:
                await self._apply(writer, index, some)
            except NeedsRebuild as error:
                log.warning("index needs a rebuild", index=index, reason=str(error))
                await rebuild(self._db, writer, index)
                await self._apply(writer, index, some)
            except (Unavailable, DatabaseUnavailable, OSError):
                raise
            except Exception:
                log.exception("changes failed together, trying them one by one", index=index)
                await self._apply_singly(writer, index, some)
        return len(changes)

    async def _apply(self, writer: Writer, index: IndexName, changes: Sequence[outbox.Change]) -> None:
        ids = list(dict.fromkeys(change.payload["id"] for change in changes))
        async with self._db.reading() as tx:
            found = await documents.of_ids(tx, index, ids)
        there = {document.id for document in found}
        await writer.apply(index, found, [one for one in ids if one not in there])
        async with self._db.reading() as tx:
            await outbox.drop(tx, [change.id for change in changes])

    async def _apply_singly(self, writer: Writer, index: IndexName, changes: Sequence[outbox.Change]) -> None:
        for change in changes:
            try:
                await self._apply(writer, index, [change])
            except (Unavailable, DatabaseUnavailable, OSError):
                raise
            except Exception as error:
                log.exception("change put off", index=index, id=change.payload["id"])
                async with self._db.transaction() as tx:
                    await outbox.refuse(tx, change.id, type(error).__name__, attempts=ATTEMPTS)

    async def _rebuild_as_asked(self, writer: Writer) -> None:
        """Begin the next rebuild that somebody asked for, beside the changes, which go on."""
        if self._rebuilding is None or self._rebuilding.done():
            async with self._db.reading() as tx:
                asked = await queries.next_rebuild(tx)
            self._rebuilding = None if asked is None else asyncio.create_task(self._rebuild(writer, asked))

    async def _rebuild(self, writer: Writer, asked: Rebuild) -> None:
        await rebuild_asked(self._db, writer, asked)
        self._wake.set()  # for the one that waits after it

    async def _stop_rebuilding(self) -> None:
        if self._rebuilding is not None:
            self._rebuilding.cancel()
            await asyncio.gather(self._rebuilding, return_exceptions=True)


async def rebuild_asked(database: Database, writer: Writer, asked: Rebuild) -> None:
    """A rebuild that somebody watches: its row tells how far it is, and how it ended."""

    async def progress(done: int, total: int) -> None:
        async with database.transaction() as tx:
            await queries.rebuild_progress(tx, asked.id, done, total)

    problem = ""
    try:
        await rebuild(database, writer, asked.index_name, progress)
    except Exception as error:
        log.exception("rebuild failed", index=asked.index_name)
        problem = str(error) or type(error).__name__
    async with database.transaction() as tx:
        await queries.end_rebuild(tx, asked.id, problem)


async def difference(database: Database, engine: Engine, index: IndexName) -> Difference:
    """Where the index and the database disagree.

    Raises:
        SearchError: the index cannot be read.
    """
    held = await engine.digests(index)
    published: dict[str, str] = {}
    after = ""
    while True:
        async with database.transaction() as tx:
            page, after = await documents.page(tx, index, after, PAGE)
        if not page:
            break
        published |= {document.id: digest(document) for document in page}
    return Difference(
        index,
        missing=sorted(published.keys() - held.keys()),
        surplus=sorted(held.keys() - published.keys()),
        stale=sorted(one for one in published.keys() & held.keys() if published[one] != held[one]),
    )


async def repair(database: Database, engine: Engine, writer: Writer) -> None:
    """Build what is missing, unreadable, or made with other settings than these."""
    for index in IndexName:
        try:
            await engine.stats(index)
        except NeedsRebuild as error:
            log.info("index is built", index=index, reason=str(error))
            await rebuild(database, writer, index)


async def rebuild(
    database: Database, writer: Writer, index: IndexName, progress: Callable[[int, int], Any] | None = None
) -> int:
    """Build one index anew from the database, in place of the old one without a gap; the number of documents.

    ``progress`` is awaited after every page with what is done and what there is in all.
    """
    async with database.transaction() as tx:
        total = await queries.count(tx, index)

    async def read(after: str) -> tuple[list[Document], str]:
        async with database.reading() as tx:
            return await documents.page(tx, index, after, PAGE)

    async def pages() -> AsyncIterator[list[Document]]:
        done, coming = 0, asyncio.create_task(read(""))
        try:
            while True:
                page, after = await coming
                if not page:
                    return
                # The next page is read while this one is written: the database works beside this process.
                coming = asyncio.create_task(read(after))
                yield page
                done += len(page)
                if progress is not None:
                    await progress(done, max(done, total))
        finally:
            coming.cancel()

    return await writer.rebuild(index, pages())
