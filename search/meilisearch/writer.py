"""Writing the indexes of a Meilisearch server with an admin key. Every change is a task, and is waited for."""

from collections.abc import AsyncIterable, Iterable, Sequence
from functools import partial
from typing import Any

import anyio
from meilisearch.errors import MeilisearchApiError
from meilisearch.models.task import TaskInfo

from search.engine import Document, IndexName
from search.errors import IndexMissing, SettingsOutdated, WriteFailed
from search.meilisearch import shape
from search.meilisearch.server import Server
from search.settings import SCHEMAS, Language
from search.sounds import Sounds

TIMEOUT = 30
"""Seconds for one request."""
WAIT = 60
"""Seconds that a change may wait for its turn and its end."""
REBUILD_WAIT = 3_600
_INTERVAL_MS = 20
_MANY = 1_000


class MeilisearchWriter:
    """Writes the indexes of a server (``search.engine.Writer``).

    The server lets anybody with the key write: that there is one writer is its caller's care.
    """

    def __init__(self, url: str, admin_key: str, language: Language, *, prefix: str = shape.PREFIX) -> None:
        """`admin_key`: one that may do everything with indexes of the `prefix`, and swap them."""
        self._server = Server(url, admin_key, timeout=TIMEOUT)
        self._language = language
        self._prefix = prefix
        self._sounds = Sounds(language.sounds)
        self._turn = {name: anyio.Lock() for name in IndexName}
        self._rebuild = {name: anyio.Lock() for name in IndexName}
        self._during: dict[IndexName, dict[str, Document | None]] = {}

    async def apply(self, index: IndexName, upserts: Sequence[Document], deletes: Sequence[str] = ()) -> None:
        """See ``Writer.apply``."""
        changes: dict[str, Document | None] = dict.fromkeys(deletes) | {one.id: one for one in upserts}
        async with self._turn[index]:
            if index in self._during:
                self._during[index].update(changes)
            await self._server.run(lambda: self._apply(index, changes))

    async def rebuild(self, index: IndexName, batches: AsyncIterable[Sequence[Document]]) -> int:
        """See ``Writer.rebuild``."""
        async with self._rebuild[index]:
            uid = self._uid(index)
            fresh = f"{uid}-next"
            self._during[index] = {}
            try:
                await self._server.run(lambda: self._create(index, fresh))
                async for batch in batches:
                    documents = dict[str, Document | None]((one.id, one) for one in batch)
                    await self._server.run(partial(self._change, index, fresh, documents, REBUILD_WAIT))
                async with self._turn[index]:
                    count = await self._server.run(lambda: self._finish(index, uid, fresh))
            finally:
                del self._during[index]
            await self._server.run(lambda: self._clear(index, uid))
            return count

    async def aclose(self) -> None:
        """See ``Writer.aclose``; the client keeps no connection."""

    def _apply(self, index: IndexName, changes: dict[str, Document | None]) -> None:
        uid = self._uid(index)
        # The server would make an index that is missing, with settings of its own.
        if not self._exists(uid):
            raise SettingsOutdated(uid) if self._others(index, uid) else IndexMissing(uid)
        self._change(index, uid, changes, WAIT)

    def _change(self, index: IndexName, uid: str, changes: dict[str, Document | None], wait: float) -> None:
        target = self._server.client.index(uid)
        gone = [id_ for id_, document in changes.items() if document is None]
        kept = [document for document in changes.values() if document is not None]
        stored = [shape.convert(document, SCHEMAS[index], self._sounds) for document in kept]
        tasks = [target.delete_documents(filter=shape.any_id(some)) for some in _chunks(gone)]
        tasks += [target.add_documents(some, primary_key=shape.ID) for some in _chunks(stored)]
        self._finished(tasks, wait)

    def _create(self, index: IndexName, fresh: str) -> None:
        """An empty index beside the one in service; what an interrupted rebuild left goes first."""
        client = self._server.client
        if self._exists(fresh):
            self._finished([client.delete_index(fresh)], WAIT)
        made = client.create_index(fresh, {"primaryKey": shape.ID})
        settings = shape.settings(SCHEMAS[index], self._language)
        self._finished([made, client.index(fresh).update_settings(settings)], WAIT)

    def _finish(self, index: IndexName, uid: str, fresh: str) -> int:
        """Put the fresh index in service; the old one then has its name."""
        self._change(index, fresh, self._during[index], REBUILD_WAIT)
        client = self._server.client
        count: int = client.index(fresh).get_stats().number_of_documents
        swap: dict[str, list[str] | bool] = {"indexes": [fresh, uid], "rename": not self._exists(uid)}
        self._finished([client.swap_indexes([swap])], WAIT)
        return count

    def _clear(self, index: IndexName, uid: str) -> None:
        """Remove the old index, and those of other settings."""
        client = self._server.client
        self._finished([client.delete_index(other) for other in self._others(index, uid)], WAIT)

    def _finished(self, tasks: Iterable[TaskInfo], seconds: float) -> None:
        """Wait for the tasks.

        Raises:
            WriteFailed: one failed. EngineUnavailable: one did not end in time.
        """
        client = self._server.client
        for info in tasks:
            task = client.wait_for_task(info.task_uid, int(seconds * 1000), _INTERVAL_MS)
            if task.status != "succeeded":
                raise WriteFailed(f"{task.type}: {task.status}, {(task.error or {}).get('message', '')}")

    def _exists(self, uid: str) -> bool:
        try:
            self._server.client.get_raw_index(uid)
        except MeilisearchApiError as error:
            if error.code == "index_not_found":
                return False
            raise
        return True

    def _others(self, index: IndexName, uid: str) -> list[str]:
        """Our indexes of the name, but for the one in service."""
        found: list[str] = []
        total = 1
        while len(found) < total:
            page: Any = self._server.client.get_raw_indexes({"limit": _MANY, "offset": len(found)})
            if not page["results"]:
                break
            found += [one["uid"] for one in page["results"]]
            total = page["total"]
        return [one for one in found if one.startswith(f"{self._prefix}{index}-") and one != uid]

    def _uid(self, index: IndexName) -> str:
        return shape.uid(index, self._language, self._prefix)


def _chunks(many: list[Any]) -> list[list[Any]]:
    return [many[start : start + _MANY] for start in range(0, len(many), _MANY)]
