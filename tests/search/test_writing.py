"""What every engine does with changes: they are seen at once, twice is once, and a rebuild leaves no gap."""

from collections.abc import AsyncIterator, Sequence

import anyio
import pytest
from msgspec.structs import replace

from search.documents import digest, tie
from search.engine import DEPTH, Document, IndexName, Query, Results
from search.errors import IndexMissing, NeedsRebuild
from search.settings import SCHEMAS, Language
from search.settings import digest as settings_digest
from tests.search.conftest import LANGUAGE, Known, Subject, batches
from tests.search.world import PATENT, PLAIN, TRADEMARK

pytestmark = pytest.mark.anyio
OFFERINGS = IndexName.OFFERINGS


async def look(subject: Subject, text: str = "", **wanted: object) -> Results:
    """A search among the offerings."""
    return await subject.engine.search(Query(index=OFFERINGS, text=text, **wanted))  # type: ignore[arg-type]


def ids(results: Results) -> list[int]:
    """Of the hits, in their order."""
    return [int(hit.id) for hit in results.hits]


async def test_changes_are_seen_by_the_next_search_of_every_reader(subject: Subject) -> None:
    await subject.hold(OFFERINGS, [PATENT.document()])
    other = subject.reader(LANGUAGE)
    await subject.writer.apply(OFFERINGS, [TRADEMARK.document(), replace(PATENT, title="专利受理").document()])
    for engine in (subject.engine, other):
        results = await engine.search(Query(index=OFFERINGS, sort="promised_limit"))
        assert [hit.texts["title"] for hit in results.hits] == ["商标注册受理", "专利受理"]
    await subject.writer.apply(OFFERINGS, [], [str(PATENT.id), "never-there"])
    for engine in (subject.engine, other):
        assert [hit.id for hit in (await engine.search(Query(index=OFFERINGS))).hits] == [str(TRADEMARK.id)]
    await other.aclose()


async def test_twice_is_once_and_the_last_word_counts(subject: Subject) -> None:
    await subject.hold(OFFERINGS, [PATENT.document()])
    for _ in range(2):
        await subject.writer.apply(OFFERINGS, [PATENT.document(), TRADEMARK.document()], [str(PATENT.id)])
    assert set(ids(await look(subject))) == {PATENT.id, TRADEMARK.id}


async def test_nothing_to_change_is_no_change(subject: Subject) -> None:
    await subject.hold(OFFERINGS, [PATENT.document()])
    await subject.writer.apply(OFFERINGS, [])
    assert ids(await look(subject)) == [PATENT.id]


async def test_tells_what_it_holds(subject: Subject) -> None:
    documents = [replace(PLAIN, id=number, title=f"第{number}号").document() for number in range(1_234)]
    strange = replace(documents[0], id="甲 /乙")
    await subject.hold(OFFERINGS, [*documents, strange])
    assert await subject.admin.digests(OFFERINGS) == {one.id: digest(one) for one in [*documents, strange]}
    stats = await subject.admin.stats(OFFERINGS)
    assert (stats.index, stats.documents) == (OFFERINGS, 1_235)
    assert stats.settings == settings_digest(SCHEMAS[OFFERINGS], LANGUAGE)
    await subject.writer.apply(OFFERINGS, [], [strange.id])
    assert strange.id not in await subject.admin.digests(OFFERINGS)


async def test_an_empty_index_finds_nothing(subject: Subject) -> None:
    await subject.hold(OFFERINGS, [])
    assert (await look(subject, "专利", facets=("right",))).facets == {"right": {}}
    assert (await look(subject)).total == 0
    assert await subject.admin.digests(OFFERINGS) == {}
    assert await subject.engine.recall(OFFERINGS, "专利") == []


async def test_equals_come_in_the_order_of_their_hash(subject: Subject) -> None:
    alike = [replace(PLAIN, id=number, title="一模一样") for number in range(100, 140)]
    await subject.hold(OFFERINGS, [one.document() for one in alike])
    expected = sorted(range(100, 140), key=lambda number: tie(str(number)))
    assert ids(await look(subject, "一模一样", size=40)) == expected
    assert ids(await look(subject, sort="promised_limit", size=40)) == expected


async def test_recalls_as_deep_as_asked(subject: Subject) -> None:
    many = [replace(PLAIN, id=number, summary=f"第{number}号") for number in range(300)]
    await subject.hold(OFFERINGS, [one.document() for one in many])
    assert len({one.id for one in await subject.engine.recall(OFFERINGS, "窗口核对材料")}) == DEPTH
    assert len(await subject.engine.recall(OFFERINGS, "窗口核对材料", depth=250)) == 250


async def test_no_search_fails_while_the_index_is_rebuilt(subject: Subject) -> None:
    generations = [[replace(PATENT, id=number).document() for number in range(n, n + 100)] for n in range(0, 600, 100)]
    await subject.hold(OFFERINGS, generations[0])
    seen: set[int] = set()
    with anyio.move_on_after(60):
        async with anyio.create_task_group() as group:

            async def search() -> None:
                while True:
                    results = await look(subject, "专利申请")
                    # never an index half full
                    assert results.total == 100
                    seen.add(int(results.hits[0].id) // 100)

            for _ in range(3):
                group.start_soon(search)
            for generation in generations[1:]:
                await subject.hold(OFFERINGS, generation)
                assert int((await look(subject)).hits[0].id) // 100 == int(generation[0].id) // 100
            group.cancel_scope.cancel()
    assert len(seen) > 2


async def test_what_changes_during_a_rebuild_is_in_the_new_index(subject: Subject) -> None:
    await subject.hold(OFFERINGS, [PATENT.document()])

    async def slowly() -> AsyncIterator[Sequence[Document]]:
        yield [PATENT.document(), replace(PATENT, id=8).document()]
        await subject.writer.apply(OFFERINGS, [replace(PATENT, title="改过的专利").document()], ["8"])
        assert [hit.texts["title"] for hit in (await look(subject)).hits] == ["改过的专利"]
        yield [TRADEMARK.document()]

    assert await subject.writer.rebuild(OFFERINGS, slowly()) == 2
    results = await look(subject, sort="promised_limit")
    assert [hit.texts["title"] for hit in results.hits] == ["商标注册受理", "改过的专利"]


async def test_a_rebuild_that_fails_leaves_the_index(subject: Subject) -> None:
    await subject.hold(OFFERINGS, [PATENT.document()])

    async def breaking() -> AsyncIterator[Sequence[Document]]:
        yield [TRADEMARK.document()]
        raise RuntimeError("the database is gone")

    with pytest.raises(RuntimeError, match="the database is gone"):
        await subject.writer.rebuild(OFFERINGS, breaking())
    assert ids(await look(subject)) == [PATENT.id]
    assert await subject.writer.rebuild(OFFERINGS, batches([TRADEMARK.document()])) == 1
    assert ids(await look(subject)) == [TRADEMARK.id]


async def test_an_index_of_other_settings_is_not_searched(subject: Subject) -> None:
    await subject.hold(OFFERINGS, [PATENT.document()])
    other = subject.reader(Language(sounds={"甲": "jia"}))
    with pytest.raises(NeedsRebuild):
        await other.search(Query(index=OFFERINGS))
    await other.aclose()


async def test_new_synonyms_are_known_after_a_rebuild(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process begins anew, and no search fails in between."""
    await subject.hold(OFFERINGS, [PATENT.document(), TRADEMARK.document()])
    assert ids(await look(subject, "甲甲")) == []
    monkeypatch.setattr(Known, "groups", (*Known.groups, ("商标注册", "甲甲")))
    await look(subject, "甲甲")
    await subject.hold(OFFERINGS, [PATENT.document(), TRADEMARK.document()])
    assert ids(await look(subject, "甲甲")) == [TRADEMARK.id]


async def test_a_missing_index_is_told(subject: Subject) -> None:
    await subject.drop()
    for call in (
        lambda: look(subject, "专利"),
        lambda: subject.engine.suggest("专利", [OFFERINGS]),
        lambda: subject.engine.recall(OFFERINGS, "专利"),
        lambda: subject.admin.stats(OFFERINGS),
        lambda: subject.admin.digests(OFFERINGS),
        lambda: subject.writer.apply(OFFERINGS, [PATENT.document()]),
    ):
        with pytest.raises(IndexMissing):
            await call()
    await subject.hold(OFFERINGS, [PATENT.document()])
    assert ids(await look(subject)) == [PATENT.id]
