"""Engines under test. What one must do, all must: test_conformance.py runs on each of them.

The search server is given by ZHIPEI_TEST_MEILI_URL, with its master key in ZHIPEI_TEST_MEILI_KEY. Each module makes
indexes of its own there, zhipei-test-…, and removes them. Without a server its runs are skipped, in CI too: no package
brings one.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import meilisearch
import pytest
from msgspec import Struct

from market.data import language
from search.embedded import EmbeddedEngine, EmbeddedWriter
from search.engine import Document, Engine, IndexName, Writer
from search.meilisearch import MeilisearchEngine, MeilisearchWriter, search_key, shape
from search.settings import Groups, Language


class Known:
    """Synonyms that change while engines run."""

    groups: Groups = (("商标", "牌子", "trademark"), ("版权", "著作权"))


LANGUAGE = Language(sounds=language.load_search_sounds(), synonyms=lambda: Known.groups)


class Subject(Struct, frozen=True):
    """An engine under test. ``admin``: one that may ask for stats and digests; ``reader``: makes another engine."""

    engine: Engine
    admin: Engine
    writer: Writer
    reader: Callable[[Language], Engine]
    drop: Callable[[], Awaitable[None]]

    async def hold(self, index: IndexName, documents: Sequence[Document]) -> None:
        """Let the index hold these documents and no others."""
        assert await self.writer.rebuild(index, batches(documents)) == len(documents)


def given_server() -> tuple[str, str]:
    """Address and master key of the search server; without one the test is skipped."""
    if "ZHIPEI_TEST_MEILI_URL" not in os.environ:
        pytest.skip("no search server: set ZHIPEI_TEST_MEILI_URL and ZHIPEI_TEST_MEILI_KEY")
    return os.environ["ZHIPEI_TEST_MEILI_URL"], os.environ["ZHIPEI_TEST_MEILI_KEY"]


async def batches(documents: Sequence[Document], size: int = 50) -> AsyncIterator[Sequence[Document]]:
    """The documents as a rebuild takes them."""
    for start in range(0, len(documents), size):
        yield documents[start : start + size]


@pytest.fixture(scope="module", params=["embedded", "meilisearch"])
async def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Subject]:
    """Each engine, without indexes."""
    async with AsyncExitStack() as stack:
        if request.param == "embedded":
            made = await _embedded(tmp_path_factory)
        else:
            url, key = given_server()
            made = await _meilisearch(url, key, await stack.enter_async_context(own_prefix(url, key)))
        yield made
        await made.writer.aclose()
        await made.engine.aclose()


async def _embedded(folders: pytest.TempPathFactory) -> Subject:
    folder = folders.mktemp("search")
    writer = EmbeddedWriter(folder, LANGUAGE)

    async def drop() -> None:
        for link in folder.iterdir():
            if link.is_symlink():
                link.unlink()

    def reader(other: Language) -> Engine:
        return EmbeddedEngine(folder, other)

    engine = reader(LANGUAGE)
    return Subject(engine, engine, writer, reader, drop)


def remove_indexes(url: str, key: str, prefix: str) -> None:
    """Every index of the server whose name begins so."""
    client = meilisearch.Client(url, key)
    for one in client.get_raw_indexes({"limit": 1000})["results"]:
        if one["uid"].startswith(prefix):
            client.wait_for_task(client.delete_index(one["uid"]).task_uid, 60_000)


@asynccontextmanager
async def own_prefix(url: str, key: str) -> AsyncIterator[str]:
    """Names of indexes that no other module and no other run has: whatever else lies on the server stays."""
    prefix = f"{shape.PREFIX}test-{uuid4().hex[:8]}-"
    try:
        yield prefix
    finally:
        remove_indexes(url, key, prefix)


async def _meilisearch(url: str, key: str, prefix: str) -> Subject:
    serving = await search_key(url, key)

    async def drop() -> None:
        remove_indexes(url, key, prefix)

    def reader(other: Language) -> Engine:
        return MeilisearchEngine(url, serving, other, prefix=prefix)

    admin = MeilisearchEngine(url, key, LANGUAGE, prefix=prefix)
    return Subject(reader(LANGUAGE), admin, MeilisearchWriter(url, key, LANGUAGE, prefix=prefix), reader, drop)
