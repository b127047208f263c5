"""What only the embedded engine must do: survive the end of its processes, and damage to its files."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from search.embedded import EmbeddedEngine, EmbeddedWriter
from search.engine import Document, IndexName, Query
from search.errors import IndexCorrupt, SettingsOutdated, WriterBusy
from search.settings import Language
from tests.search.conftest import LANGUAGE, Known, batches
from tests.search.world import PATENT, TRADEMARK

pytestmark = pytest.mark.anyio
OFFERINGS = IndexName.OFFERINGS
ROOT = Path(__file__).parents[2]

# Writes one document after another for ever, and tells which are committed; or only holds the index open.
WRITER = """
import asyncio, sys
from pathlib import Path
from msgspec.structs import replace
from search.embedded import EmbeddedWriter
from search.engine import IndexName
from tests.search.conftest import LANGUAGE
from tests.search.world import PATENT

async def main():
    writer = EmbeddedWriter(Path(sys.argv[1]), LANGUAGE)
    for number in range(1_000_000):
        await writer.apply(IndexName.OFFERINGS, [replace(PATENT, id=number, title=f"第{number}号").document()])
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[EmbeddedWriter]:
    """The writer of a folder with one offering."""
    made = EmbeddedWriter(tmp_path, LANGUAGE)
    await made.rebuild(OFFERINGS, batches([PATENT.document()]))
    yield made
    await made.aclose()


async def total(engine: EmbeddedEngine) -> int:
    """How many offerings there are."""
    return (await engine.search(Query(index=OFFERINGS))).total


def run_writer(folder: Path) -> subprocess.Popen[str]:
    """The writer in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WRITER, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


async def test_there_is_one_writer(tmp_path: Path, writer: EmbeddedWriter) -> None:
    with pytest.raises(WriterBusy):
        EmbeddedWriter(tmp_path, LANGUAGE)
    other = run_writer(tmp_path)
    _, errors = other.communicate(timeout=60)
    assert "WriterBusy" in errors
    await writer.aclose()
    second = EmbeddedWriter(tmp_path, LANGUAGE)
    await second.apply(OFFERINGS, [TRADEMARK.document()])
    await second.aclose()
    assert await total(EmbeddedEngine(tmp_path, LANGUAGE)) == 2


async def test_a_killed_writer_leaves_what_it_committed(tmp_path: Path, writer: EmbeddedWriter) -> None:
    await writer.rebuild(OFFERINGS, batches([]))
    await writer.aclose()
    engine, committed = EmbeddedEngine(tmp_path, LANGUAGE), -1
    for _ in range(3):
        process = run_writer(tmp_path)
        assert process.stdout is not None
        lines = process.stdout
        for _ in range(20):
            committed = max(committed, int(await anyio.to_thread.run_sync(lines.readline)))
            # another process sees it at once
            assert await total(engine) > committed
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        rest = process.communicate()[0].split()
        committed = max([committed, *map(int, rest)])
        assert await total(EmbeddedEngine(tmp_path, LANGUAGE)) in (committed + 1, committed + 2)
    reopened = EmbeddedWriter(tmp_path, LANGUAGE)
    await reopened.apply(OFFERINGS, [], ["0"])
    assert await total(engine) in (committed, committed + 1)
    await reopened.aclose()


async def test_a_rebuild_that_was_killed_is_cleared_away(tmp_path: Path, writer: EmbeddedWriter) -> None:
    left = tmp_path / "offerings.dead0000"
    left.mkdir()
    (left / "meta.json").write_text("{}")
    assert await total(EmbeddedEngine(tmp_path, LANGUAGE)) == 1
    await writer.rebuild(OFFERINGS, batches([TRADEMARK.document()]))
    names = {path.name.partition(".")[0].partition("-")[0] for path in tmp_path.iterdir()}
    assert names == {"offerings", "writer"}
    assert len(list(tmp_path.glob("offerings*"))) == 2


@pytest.mark.parametrize("damage", ["emptied", "garbled", "removed", "no meta", "no folder"])
async def test_damage_is_told_and_repaired_by_a_rebuild(tmp_path: Path, writer: EmbeddedWriter, damage: str) -> None:
    folder = (tmp_path / next(tmp_path.glob("offerings-*"))).resolve()
    store = next(folder.glob("*.store"))
    match damage:
        case "emptied":
            store.write_bytes(b"")
        case "garbled":
            store.write_bytes(os.urandom(store.stat().st_size))
        case "removed":
            store.unlink()
        case "no meta":
            (folder / "meta.json").write_bytes(b"{")
        case "no folder":
            folder.rename(tmp_path / "elsewhere")
    engine = EmbeddedEngine(tmp_path, LANGUAGE)
    with pytest.raises(IndexCorrupt):
        await engine.search(Query(index=OFFERINGS, text="专利"))
    await writer.rebuild(OFFERINGS, batches([PATENT.document(), TRADEMARK.document()]))
    assert await total(engine) == 2


async def test_new_synonyms_are_known_at_once(
    tmp_path: Path, writer: EmbeddedWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = EmbeddedEngine(tmp_path, LANGUAGE)
    assert (await engine.search(Query(index=OFFERINGS, text="甲甲"))).total == 0
    monkeypatch.setattr(Known, "groups", (("专利申请", "甲甲"),))
    assert (await engine.search(Query(index=OFFERINGS, text="甲甲"))).total == 1


async def test_a_writer_of_other_settings_writes_beside_the_index(tmp_path: Path, writer: EmbeddedWriter) -> None:
    await writer.aclose()
    renewed = Language(sounds={"甲": "jia"})
    other = EmbeddedWriter(tmp_path, renewed)
    with pytest.raises(SettingsOutdated):
        await other.apply(OFFERINGS, [TRADEMARK.document()])
    with pytest.raises(SettingsOutdated):
        await EmbeddedEngine(tmp_path, renewed).search(Query(index=OFFERINGS))
    assert await total(EmbeddedEngine(tmp_path, LANGUAGE)) == 1
    await other.rebuild(OFFERINGS, batches([TRADEMARK.document()]))
    assert await total(EmbeddedEngine(tmp_path, renewed)) == 1
    with pytest.raises(SettingsOutdated):
        await total(EmbeddedEngine(tmp_path, LANGUAGE))
    await other.aclose()


async def test_a_reader_keeps_what_it_has_open_while_the_index_is_replaced(
    tmp_path: Path, writer: EmbeddedWriter
) -> None:
    engine = EmbeddedEngine(tmp_path, LANGUAGE)
    assert await total(engine) == 1
    opened = engine._open[OFFERINGS]
    await writer.rebuild(OFFERINGS, batches([PATENT.document(), TRADEMARK.document()]))
    assert not opened.path.exists()
    assert opened.searcher.num_docs == 1
    assert await total(engine) == 2


async def test_a_cancelled_rebuild_leaves_nothing(tmp_path: Path, writer: EmbeddedWriter) -> None:
    async def endless() -> AsyncIterator[Sequence[Document]]:
        number = 10
        while True:
            yield [replace(PATENT, id=number).document()]
            number += 1
            await asyncio.sleep(0)

    with anyio.move_on_after(0.3):
        await writer.rebuild(OFFERINGS, endless())
    assert len(list(tmp_path.glob("offerings*"))) == 2
    assert await total(EmbeddedEngine(tmp_path, LANGUAGE)) == 1
    await writer.apply(OFFERINGS, [TRADEMARK.document()])
    assert await total(EmbeddedEngine(tmp_path, LANGUAGE)) == 2
