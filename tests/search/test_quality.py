"""How well each engine finds, on the judged set. Floors stand a little under the figures (docs/decisions/0011)."""

from collections import Counter
from pathlib import Path

import pytest

from bench.search_corpus import corpus, shipped_language
from bench.search_quality import Quality, judged, quality
from market.data import load_synonyms
from search.embedded import EmbeddedEngine, EmbeddedWriter
from search.engine import Engine, Writer
from search.meilisearch import MeilisearchEngine, MeilisearchWriter
from tests.search.conftest import batches, given_server, own_prefix

pytestmark = pytest.mark.anyio
FLOOR = 0.92


async def measured(engine: Engine, writer: Writer) -> Quality:
    """The engine's quality on the shipped corpus."""
    documents = corpus()
    for index, held in documents.items():
        await writer.rebuild(index, batches(held))
    await writer.aclose()
    return await quality(engine, documents)


async def test_finds_what_was_meant(tmp_path: Path) -> None:
    found = await measured(EmbeddedEngine(tmp_path, shipped_language()), EmbeddedWriter(tmp_path, shipped_language()))
    assert found.ndcg >= FLOOR
    assert found.no_result <= 0.01
    # no kind of query is left behind
    assert all(ndcg >= 0.78 for ndcg in found.by_kind.values()), found.by_kind


async def test_the_search_server_finds_as_well() -> None:
    url, key = given_server()
    async with own_prefix(url, key) as prefix:
        found = await measured(
            MeilisearchEngine(url, key, shipped_language(), prefix=prefix),
            MeilisearchWriter(url, key, shipped_language(), prefix=prefix),
        )
    assert found.ndcg >= FLOOR - 0.03, found
    assert found.no_result <= 0.02


def test_the_judged_set_asks_in_many_ways_and_not_in_words_the_documents_were_given() -> None:
    every = judged()
    assert len({(one.text, one.index) for one in every}) == len(every) >= 150
    kinds = Counter(one.kind for one in every)
    assert min(kinds.values()) >= 8
    aliases = {alias for words in load_synonyms().values() for alias in words}
    assert not aliases & {one.text for one in every if one.kind == "paraphrase"}
