"""Writing the embedded indexes: one process at a time, in commits that survive its end."""

import os
import shutil
from collections.abc import AsyncIterable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import tantivy
from anyio import CapacityLimiter

from search.embedded.fields import KEY, build, convert
from search.embedded.folder import Folder
from search.embedded.reader import telling
from search.engine import Document, IndexName
from search.errors import IndexCorrupt, WriteFailed
from search.settings import SCHEMAS, Language, digest
from search.sounds import Sounds

T = TypeVar("T")
_HEAP = 50_000_000
"""Bytes that changes are collected in before they are written out."""
_REBUILD_HEAP = 300_000_000


class EmbeddedWriter:
    """Writes the indexes in a folder (``search.engine.Writer``)."""

    def __init__(self, folder: Path, language: Language) -> None:
        """Become the writer.

        Raises:
            WriterBusy: another process is.
        """
        self._folder = Folder(folder, {name: digest(schema, language) for name, schema in SCHEMAS.items()})
        self._lock: int | None = self._folder.lock()
        self._sounds = Sounds(language.sounds)
        self._writers: dict[IndexName, tuple[Path, tantivy.IndexWriter]] = {}
        self._turn = {name: anyio.Lock() for name in IndexName}
        self._rebuild = {name: anyio.Lock() for name in IndexName}
        self._during: dict[IndexName, dict[str, Document | None]] = {}
        self._limiter = CapacityLimiter(2)

    async def apply(self, index: IndexName, upserts: Sequence[Document], deletes: Sequence[str] = ()) -> None:
        """See ``Writer.apply``. Takes about 10 ms, however few they are: bring many at once."""
        changes: dict[str, Document | None] = dict.fromkeys(deletes) | {one.id: one for one in upserts}
        async with self._turn[index]:
            if index in self._during:
                self._during[index].update(changes)
            await self._run(lambda: self._apply(index, changes))

    async def rebuild(self, index: IndexName, batches: AsyncIterable[Sequence[Document]]) -> int:
        """See ``Writer.rebuild``. A batch holds no document of an earlier one."""
        async with self._rebuild[index]:
            path = self._folder.fresh(index)
            self._during[index] = {}
            try:
                made = tantivy.Index(build(SCHEMAS[index]), str(path), reuse=False)
                writer = made.writer(_REBUILD_HEAP, 1)
                async for batch in batches:
                    await self._run(partial(self._add, writer, index, batch))
                async with self._turn[index]:
                    await self._run(lambda: self._finish(index, path, writer))
            except BaseException:
                shutil.rmtree(path, ignore_errors=True)
                raise
            finally:
                del self._during[index]
            made.reload()
            return made.searcher().num_docs

    async def aclose(self) -> None:
        """See ``Writer.aclose``; twice does no harm."""
        self._writers.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _run(self, call: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(call, limiter=self._limiter)

    def _apply(self, index: IndexName, changes: dict[str, Document | None]) -> None:
        path = self._folder.current(index)
        known = self._writers.get(index)
        if known is None or known[0] != path:
            with telling(IndexCorrupt, index):
                known = self._writers[index] = (path, tantivy.Index.open(str(path)).writer(_HEAP, 1))
        try:
            with telling(WriteFailed, index):
                self._change(known[1], index, changes)
                known[1].commit()
        except WriteFailed:
            # Half a batch must not become visible with the next commit.
            del self._writers[index]
            raise

    def _change(self, writer: tantivy.IndexWriter, index: IndexName, changes: dict[str, Document | None]) -> None:
        for id_ in changes:
            writer.delete_documents_by_term(KEY, id_)
        self._add(writer, index, [document for document in changes.values() if document is not None])

    def _add(self, writer: tantivy.IndexWriter, index: IndexName, documents: Sequence[Document]) -> None:
        with telling(WriteFailed, index):
            for document in documents:
                writer.add_document(convert(document, SCHEMAS[index], self._sounds))

    def _finish(self, index: IndexName, path: Path, writer: tantivy.IndexWriter) -> None:
        with telling(WriteFailed, index):
            if changes := self._during[index]:
                writer.commit()
                self._change(writer, index, changes)
            writer.commit()
            writer.wait_merging_threads()
        self._writers.pop(index, None)
        self._folder.serve(index, path)
