"""Keys of a real search server: a wrong one is told, and the one that serves can do nothing but search."""

from collections.abc import AsyncIterator

import pytest

from search.engine import IndexName, Query
from search.errors import WrongKey
from search.meilisearch import MeilisearchEngine, MeilisearchWriter, search_key
from tests.search.conftest import LANGUAGE, batches, given_server, own_prefix
from tests.search.world import PATENT, TRADEMARK

pytestmark = pytest.mark.anyio
OFFERINGS = IndexName.OFFERINGS


@pytest.fixture
async def prefix() -> AsyncIterator[str]:
    """Of an index with one offering."""
    url, key = given_server()
    async with own_prefix(url, key) as own:
        await MeilisearchWriter(url, key, LANGUAGE, prefix=own).rebuild(OFFERINGS, batches([PATENT.document()]))
        yield own


async def test_a_wrong_key_is_told(prefix: str) -> None:
    url, _ = given_server()
    engine = MeilisearchEngine(url, "wrong", LANGUAGE, prefix=prefix)
    with pytest.raises(WrongKey):
        await engine.search(Query(index=OFFERINGS))
    with pytest.raises(WrongKey):
        await MeilisearchWriter(url, "wrong", LANGUAGE, prefix=prefix).apply(OFFERINGS, [TRADEMARK.document()])
    with pytest.raises(WrongKey):
        await search_key(url, "wrong")


async def test_the_key_that_serves_can_only_search(prefix: str) -> None:
    url, key = given_server()
    serving = await search_key(url, key)
    assert serving not in (key, "")
    engine = MeilisearchEngine(url, serving, LANGUAGE, prefix=prefix)
    assert (await engine.search(Query(index=OFFERINGS, text="专利"))).total == 1
    for call in (engine.stats(OFFERINGS), engine.digests(OFFERINGS), search_key(url, serving)):
        with pytest.raises(WrongKey):
            await call
    with pytest.raises(WrongKey):
        await MeilisearchWriter(url, serving, LANGUAGE, prefix=prefix).apply(OFFERINGS, [TRADEMARK.document()])
