"""Search: how good it is on the judged set, and how fast the embedded engine is on synthetic offerings.

Times are of single searches after each other: `ms`, from the words to the page with its marks, in the engine's thread;
`cpu_ms`, processor time of the whole process, which neighbours disturb less.
"""

import os
import resource
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import cycle
from pathlib import Path
from random import Random
from time import perf_counter, process_time

from msgspec import Struct

from bench.search_corpus import corpus, shipped_language
from bench.search_quality import Quality, quality
from bench.search_synthetic import EVERYWHERE, Synthetic
from search.documents import lineage
from search.embedded import EmbeddedEngine, EmbeddedWriter
from search.engine import Document, Engine, IndexName, OneOf, Query, Writer
from search.meilisearch import MeilisearchEngine, MeilisearchWriter

OFFERINGS = IndexName.OFFERINGS
FACETS = ("item_list", "right", "stage", "institution_kind", "audience", "channel", "fee", "limit", "province")
SIZES = {
    100_000: {"typical": 5.0},
    1_000_000: {"typical": 20.0, "a word in every document": 30.0, "a whole need": 25.0},
}
SEARCHES = 300
WARM = 30
BENCH_PREFIX = "zhipei-bench-"
NEED_WORDS = 36


class Speed(Struct, frozen=True):
    """Milliseconds; `goal` for `p99_ms`."""

    p50_ms: float
    p99_ms: float
    cpu_p50_ms: float
    cpu_p99_ms: float
    goal: float | None


class Size(Struct, frozen=True):
    """The embedded engine with so many offerings."""

    offerings: int
    documents_per_second: float
    """Of a rebuild, from documents to the swap."""
    megabytes: float
    resident_megabytes: int
    """Of the whole bench, at most so far."""
    speed: dict[str, Speed]


class Report(Struct, frozen=True):
    """What was measured; `quality` by engine."""

    quality: dict[str, Quality]
    sizes: list[Size]


async def run(*, full: bool = False) -> Report:
    """Quality of every engine there is, and speed at 100,000 offerings; in `full`, at a million too."""
    with tempfile.TemporaryDirectory(prefix="zhipei-bench-search-") as folder:
        found = {"embedded": await _embedded_quality(Path(folder) / "judged")}
        if url := os.environ.get("ZHIPEI_TEST_MEILI_URL"):
            found["meilisearch"] = await _meilisearch_quality(url, os.environ["ZHIPEI_TEST_MEILI_KEY"])
        sizes = [await _size(Path(folder) / str(count), count) for count in list(SIZES)[: 2 if full else 1]]
    return Report(found, sizes)


async def _embedded_quality(folder: Path) -> Quality:
    writer, engine = EmbeddedWriter(folder, shipped_language()), EmbeddedEngine(folder, shipped_language())
    return await _quality(engine, writer)


async def _meilisearch_quality(url: str, key: str) -> Quality:
    """Its indexes are named apart from those in service, and stay for the next time."""
    return await _quality(
        MeilisearchEngine(url, key, shipped_language(), prefix=BENCH_PREFIX),
        MeilisearchWriter(url, key, shipped_language(), prefix=BENCH_PREFIX),
    )


async def _quality(engine: Engine, writer: Writer) -> Quality:
    documents = corpus()
    for index, held in documents.items():
        await writer.rebuild(index, _batches([held]))
    await writer.aclose()
    return await quality(engine, documents)


async def _size(folder: Path, count: int) -> Size:
    synthetic = Synthetic()
    writer, engine = EmbeddedWriter(folder, shipped_language()), EmbeddedEngine(folder, shipped_language())
    made, samples = 0.0, []

    async def batches() -> AsyncIterator[Sequence[Document]]:
        nonlocal made
        began = perf_counter()
        for batch in synthetic.batches(count):
            samples.extend(batch[:: count // 1000])
            made += perf_counter() - began
            yield batch
            began = perf_counter()

    began = perf_counter()
    assert await writer.rebuild(OFFERINGS, batches()) == count
    seconds = perf_counter() - began - made
    await writer.aclose()
    stats = await engine.stats(OFFERINGS)
    assert stats.bytes is not None
    speed = {
        what: await _speed(search, SIZES[count].get(what))
        for what, search in _searches(engine, synthetic, samples).items()
    }
    return Size(
        offerings=count,
        documents_per_second=round(count / seconds),
        megabytes=round(stats.bytes / 1e6, 1),
        resident_megabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        speed=speed,
    )


def _searches(
    engine: Engine, synthetic: Synthetic, samples: Sequence[Document]
) -> dict[str, Callable[[], Awaitable[float]]]:
    """By what it is: a search that tells its milliseconds."""
    rng = Random(1)
    needs = cycle(["，".join(words) for words in synthetic.words(SEARCHES, NEED_WORDS)])
    regions = cycle([synthetic.region() for _ in range(SEARCHES)])

    async def search(**wanted: object) -> float:
        return (await engine.search(Query(index=OFFERINGS, **wanted))).milliseconds  # type: ignore[arg-type]

    async def typical() -> float:
        document = rng.choice(samples)
        place = OneOf("city", document.keywords["city"])
        right = OneOf("right", document.keywords["right"])
        few, many = _words(rng, document, 2), _words(rng, document, 4)
        text, filters = rng.choice([(many, (place,)), (few, (place, right)), (few, (right,))])
        return await search(text=text, filters=filters, facets=FACETS)

    async def common() -> float:
        stage = OneOf("stage", ("creation",))
        return await search(text=rng.choice(synthetic.vocabulary[:20]), filters=(stage,), facets=FACETS)

    async def need(filters: tuple[OneOf, ...] = ()) -> float:
        text = next(needs)
        began = perf_counter()
        await engine.recall(OFFERINGS, text, filters)
        return (perf_counter() - began) * 1e3

    async def suggest() -> float:
        text = rng.choice(samples).texts["title"][:3]
        began = perf_counter()
        await engine.suggest(text, [OFFERINGS])
        return (perf_counter() - began) * 1e3

    return {
        "typical": typical,
        "a common word": common,
        "a word in every document": lambda: search(text=EVERYWHERE),
        "filters without a text": lambda: search(filters=(OneOf("province", ("440000",)),), facets=FACETS),
        "by nearness": lambda: search(text=_words(rng, rng.choice(samples), 2), sort="nearness", near="440305"),
        "a whole need": need,
        "a whole need, for a region": lambda: need((OneOf("serves", lineage(next(regions))),)),
        "suggestions": suggest,
    }


def _words(rng: Random, document: Document, count: int) -> str:
    """Words of a document, so that there is something to be found."""
    return " ".join(rng.sample(document.texts["summary"].removeprefix(EVERYWHERE).strip("，").split("，"), count))


async def _speed(search: Callable[[], Awaitable[float]], goal: float | None) -> Speed:
    for _ in range(WARM):
        await search()
    times, cpu = [], []
    for _ in range(SEARCHES):
        began = process_time()
        times.append(await search())
        cpu.append((process_time() - began) * 1e3)
    times.sort()
    cpu.sort()
    half, most = SEARCHES // 2, SEARCHES * 99 // 100
    return Speed(*(round(one, 2) for one in (times[half], times[most], cpu[half], cpu[most])), goal)


async def _batches(batches: Sequence[Sequence[Document]]) -> AsyncIterator[Sequence[Document]]:
    for batch in batches:
        yield batch
