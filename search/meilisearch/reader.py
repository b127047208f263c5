"""Searching a Meilisearch server with a key that can do nothing else."""

from collections.abc import Sequence

from search.engine import DEPTH, Candidate, Filter, IndexName, Query, Results, Stats, Suggestion
from search.meilisearch import shape
from search.meilisearch.asking import Asking
from search.meilisearch.server import Server
from search.parse import CurrentSynonyms
from search.settings import SCHEMAS, Language, check, check_filters
from search.sounds import Sounds
from search.suggesting import take_turns

TIMEOUT = 5
"""Seconds that a search may take: after that, the plain listing answers."""
_PAGE = 1_000


class MeilisearchEngine:
    """Reads the indexes of a server (``search.engine.Engine``)."""

    def __init__(self, url: str, key: str, language: Language, *, prefix: str = shape.PREFIX) -> None:
        """`key`: that of ``search_key``, or for ``stats`` and ``digests`` an admin key; `prefix`: of the indexes."""
        self._server = Server(url, key, timeout=TIMEOUT)
        self._language = language
        self._prefix = prefix
        self._sounds = Sounds(language.sounds)
        self._synonyms = CurrentSynonyms(language.synonyms)

    async def search(self, query: Query) -> Results:
        """See ``Engine.search``."""
        return (await self.search_many([query]))[0]

    async def search_many(self, queries: Sequence[Query]) -> list[Results]:
        """See ``Engine.search_many``."""
        for query in queries:
            check(query, SCHEMAS[query.index])
        return await self._server.run(lambda: [self._asking(query.index).search(query) for query in queries])

    async def suggest(self, text: str, indexes: Sequence[IndexName], *, limit: int = 8) -> list[Suggestion]:
        """See ``Engine.suggest``."""
        return await self._server.run(
            lambda: take_turns([self._asking(index).suggest(text, limit) for index in indexes], limit)
        )

    async def recall(
        self, index: IndexName, text: str, filters: tuple[Filter, ...] = (), *, depth: int = DEPTH
    ) -> list[Candidate]:
        """See ``Engine.recall``."""
        check_filters(filters, SCHEMAS[index])
        return await self._server.run(lambda: self._asking(index).recall(text, filters, depth))

    async def stats(self, index: IndexName) -> Stats:
        """See ``Engine.stats``."""
        uid = self._uid(index)
        found = await self._server.run(lambda: self._server.client.index(uid).get_stats())
        return Stats(index, found.number_of_documents, uid.rpartition("-")[2], None)

    async def digests(self, index: IndexName) -> dict[str, str]:
        """See ``Engine.digests``."""
        return await self._server.run(lambda: self._digests(self._uid(index)))

    async def aclose(self) -> None:
        """See ``Engine.aclose``; the client keeps no connection."""

    def _digests(self, uid: str) -> dict[str, str]:
        fields = [shape.KEY, shape.DIGEST]
        found: dict[str, str] = {}
        total = 1
        while len(found) < total:
            wanted = {"fields": fields, "limit": _PAGE, "offset": len(found)}
            page = self._server.client.index(uid).get_documents(wanted)
            if not page.results:
                break
            found |= {getattr(one, shape.KEY): getattr(one, shape.DIGEST) for one in page.results}
            total = page.total
        return found

    def _uid(self, index: IndexName) -> str:
        return shape.uid(index, self._language, self._prefix)

    def _asking(self, index: IndexName) -> Asking:
        return Asking(self._server, index, self._uid(index), self._sounds, self._synonyms.get())
