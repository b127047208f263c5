"""Backups: what is restored is what was backed up, and what cannot be trusted changes nothing."""

import asyncio
import os
import resource
import stat
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner
from redis import Redis

from infra import programs
from infra.archive import PART_BYTES, ArchiveError, Manifest, read, writing
from infra.backup import BackupError, back_up, compare, examine, restore
from infra.encryption import Secret
from infra.migrate import migrate
from infra.programs import Server, client
from infra.settings import Settings, load
from market.backup_cli import forget_redis, put_back
from market.cli import main
from tests.conftest import Clone, open_database
from tests.factories import World, serve

pytestmark = pytest.mark.anyio
KEY = Secret.of_file(b"k" * 32)
WORDS = {"language/synonyms.txt": "专利 发明\n".encode(), "secret": b"s" * 40}


@pytest.fixture
async def source(clone: Clone) -> AsyncIterator[Settings]:
    """A database with some history, and background work under way."""
    settings = await clone()
    db = open_database(settings, owner=True)
    async with db.reading() as reading:
        world = await World.read(reading)
    for _ in range(3):
        await serve(db, settings, world)
    await db.close()
    return settings


@pytest.fixture
async def archive(source: Settings, tmp_path: Path) -> tuple[Path, Manifest]:
    """A backup of it."""
    return await backed_up(source, tmp_path / "a.backup")


async def backed_up(settings: Settings, path: Path, secret: Secret | None = None) -> tuple[Path, Manifest]:
    db = open_database(settings, owner=True)
    try:
        with writing(path, secret) as file:
            return path, await back_up(db, file, WORDS)
    finally:
        await db.close()


async def restored(settings: Settings, path: Path, secret: Secret | None = None) -> Manifest:
    db = open_database(settings, owner=True)
    try:
        return await restore(db, path, secret, {})
    finally:
        await db.close()


async def one_value(settings: Settings, query: str) -> object:
    db = open_database(settings, owner=True)
    try:
        async with db.reading() as tx:
            return await tx.fetchval(query)
    finally:
        await db.close()


@pytest.mark.parametrize("secret", [None, KEY], ids=["plain", "encrypted"])
async def test_a_restored_database_is_the_same(
    source: Settings, empty: Settings, tmp_path: Path, secret: Secret | None
) -> None:
    path, manifest = await backed_up(source, tmp_path / "a.backup", secret)
    rows = {table.name: table.rows for table in manifest.tables}
    assert rows["needs"] >= 3
    assert rows["events"] > 20
    assert rows["outbox"] > 0
    assert (b"needs" in path.read_bytes()) == (secret is None)
    db = open_database(empty, owner=True)
    files: dict[str, bytes] = {}
    assert await restore(db, path, secret, files) == manifest
    assert files == WORDS
    # Compared here as well, not only by the code under test: a row that triggers had added would show.
    both = []
    for settings in (source, empty):
        other = open_database(settings, owner=True)
        async with other.reading() as tx:
            both.append({name: await tx.fetch(f"SELECT t::text FROM {name} t ORDER BY 1") for name in rows})
        await other.close()
    assert both[0] == both[1]
    # And it works: nothing is pending, numbers go on, rows that are never changed are not.
    assert await migrate(db) == []
    async with db.transaction() as tx:
        world = await World.read(tx)
    last = await one_value(empty, "SELECT max(id) FROM needs")
    assert await serve(db, empty, world) == last + 1  # type: ignore[operator]
    with pytest.raises(Exception, match="never changed"):
        await one_value(empty, "UPDATE events SET note = 'x' RETURNING id")
    await db.close()


async def test_the_moment_is_one_while_others_write(source: Settings, empty: Settings, tmp_path: Path) -> None:
    db, stop = open_database(source, owner=True), asyncio.Event()

    async def write() -> int:
        count = 0
        while not stop.is_set():
            async with db.transaction() as tx:
                world = await World.read(tx)
            await serve(db, source, world)
            count += 1
        return count

    writing_on = asyncio.create_task(write())
    path, manifest = await backed_up(source, tmp_path / "a.backup")
    stop.set()
    assert await writing_on > 0
    await db.close()
    assert await restored(empty, path) == manifest


async def test_a_changed_row_is_noticed(archive: tuple[Path, Manifest], empty: Settings) -> None:
    path, manifest = archive
    await restored(empty, path)
    db = open_database(empty, owner=True)
    async with db.transaction() as tx:
        await tx.execute("UPDATE enterprises SET contact_phone = '1' WHERE id = (SELECT min(id) FROM enterprises)")
    async with db.reading() as tx:
        assert [line.split(":")[0] for line in compare(manifest, await examine(tx))] == [
            "table enterprises is extra",
            "table enterprises",
        ]
    await db.close()


async def test_only_an_empty_database_takes_it(archive: tuple[Path, Manifest], source: Settings) -> None:
    before = await one_value(source, "SELECT count(*) FROM needs")
    with pytest.raises(BackupError, match="not empty"):
        await restored(source, archive[0])
    assert await one_value(source, "SELECT count(*) FROM needs") == before


async def test_a_newer_schema_is_refused(source: Settings, empty: Settings, tmp_path: Path) -> None:
    db = open_database(source, owner=True)
    async with db.transaction() as tx:
        await tx.execute("INSERT INTO migrations (name, sha256) VALUES ('9999_future.sql', '')")
    await db.close()
    path, _ = await backed_up(source, tmp_path / "a.backup")
    with pytest.raises(BackupError, match="use the newer release"):
        await restored(empty, path)
    assert await one_value(empty, "SELECT to_regclass('needs')") is None


@pytest.mark.parametrize("secret", [None, KEY], ids=["plain", "encrypted"])
async def test_a_damaged_file_changes_nothing(
    source: Settings, empty: Settings, tmp_path: Path, secret: Secret | None
) -> None:
    path, _ = await backed_up(source, tmp_path / "a.backup", secret)
    whole = path.read_bytes()
    middle, bad = len(whole) // 2, tmp_path / "bad"
    for content in (whole[:middle], whole[:-1500], whole[:middle] + b"!" + whole[middle + 1 :], b"", b"x" * 5000):
        bad.write_bytes(content)
        with pytest.raises(ArchiveError):
            read(bad, secret)
        with pytest.raises(ArchiveError):
            await restored(empty, bad, secret)
    assert await one_value(empty, "SELECT to_regclass('needs')") is None


async def test_parts_out_of_order_and_strange_members_are_refused(tmp_path: Path) -> None:
    with writing(tmp_path / "a", None) as file:
        for _ in range(3):
            file.dump(os.urandom(PART_BYTES))
        file.add_file("language/x", b"x")
        sha = file.end_dump()
        file.finish(
            msgspec.convert(
                {
                    "release": "1", "created_at": "2026-01-01T00:00:00Z", "server": "18", "migrations": [],
                    "tables": [], "sequences": {}, "dump_bytes": file.dump_bytes, "dump_sha256": sha,
                    "files": file.files,
                },
                Manifest,
            )
        )  # fmt: skip
    read(tmp_path / "a", None)
    with tarfile.open(tmp_path / "a") as tar:
        members = [(m, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]
    for change in ([0, 2, 1, 3, 4, 5, 6], [0, 1, 2, 4, 5, 6], [0, 1, 2, 3, 5, 6], [0, 1, 2, 3, 4, 5, 6, 4], [6, 5]):
        with tarfile.open(tmp_path / "b", "w") as tar:
            for number in change:
                info, content = members[number]
                tar.addfile(info, __import__("io").BytesIO(content))
        with pytest.raises(ArchiveError):
            read(tmp_path / "b", None)


async def test_a_failed_backup_leaves_no_file(source: Settings, tmp_path: Path) -> None:
    path = tmp_path / "a.backup"
    path.write_text("yesterday's")
    with pytest.raises(ArchiveError, match="exists"):
        await backed_up(source, path)
    assert path.read_text() == "yesterday's"
    with pytest.raises(RuntimeError), writing(tmp_path / "b.backup", KEY) as file:  # noqa: PT012
        file.dump(b"x" * PART_BYTES)
        raise RuntimeError
    with pytest.raises(ArchiveError, match="cannot be written"), writing(tmp_path / "nowhere" / "c", None):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["a.backup"]


async def test_a_full_disk_leaves_no_file(source: Settings, tmp_path: Path) -> None:
    """The limit of a file's size stands for the disk's: writing fails in the middle."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "market.cli", "backup", "--to", str(tmp_path / "a.backup")],
        env=environment(source),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


async def test_restoring_that_breaks_off_changes_nothing(archive: tuple[Path, Manifest], empty: Settings) -> None:
    db = open_database(empty, owner=True)
    async with db.reading() as tx:
        server = Server(await tx.fetchval("SELECT current_setting('server_version')"), 18)
    with pytest.raises(RuntimeError), programs.loading(empty.owner_url, server) as load:  # noqa: PT012
        read(archive[0], None, dump=load)
        raise RuntimeError
    with (
        pytest.raises(BackupError, match="nothing was changed"),
        programs.loading(empty.owner_url, server) as load,
    ):
        load(b"PGDMP nonsense")
    # psql refuses, in the middle of the rows: a table that is there already
    async with db.transaction() as tx:
        await tx.execute("CREATE TABLE needs (id bigint)")
    with (
        pytest.raises(BackupError, match='"needs" already exists'),
        programs.loading(empty.owner_url, server) as load,
    ):
        read(archive[0], None, dump=load)
    assert await one_value(empty, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == 1
    await db.close()


async def test_missing_or_old_programs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackupError, match=r"no pg_dump that knows it.*pg_dump \(PostgreSQL\) 18.*postgresql-client-99"):
        client("pg_dump", Server("99.1", 99))
    monkeypatch.setattr(programs, "_clients", lambda _name: [])
    with pytest.raises(BackupError, match="none found"):
        client("pg_dump", Server("18.1", 18))


async def test_a_password_is_no_argument() -> None:
    argv, env = programs._connected(["psql"], "postgresql://u%40x:p%2Fq@[::1]:5433/d?sslmode=require")
    assert argv == ["psql", "--dbname=postgresql://u%40x@[::1]:5433/d?sslmode=require"]
    assert env["PGPASSWORD"] == "p/q"


def environment(settings: Settings) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ZHIPEI_")}
    return kept | {
        "ZHIPEI_DATABASE_URL": str(settings.database_url),
        "ZHIPEI_MIGRATE_URL": settings.owner_url,
        "ZHIPEI_REDIS_URL": str(settings.redis_url),
        "ZHIPEI_DATA_DIR": str(settings.data_dir),
    }


def cli(settings: Settings, *words: str, given: str = "") -> str:
    for name in [name for name in os.environ if name.startswith("ZHIPEI_")]:
        del os.environ[name]
    result = CliRunner().invoke(main, words, env=environment(settings), input=given)
    assert result.exit_code == 0, result.output
    return result.output


async def test_the_whole_way_by_command(source: Settings, empty: Settings, tmp_path: Path) -> None:
    path = tmp_path / "a.backup"
    own = source.data_dir / "language"
    own.mkdir()
    (own / "same_words.txt").write_text("专利=发明\n")
    (source.data_dir / "secret").write_text("s" * 40)
    with Redis.from_url(str(empty.redis_url)) as client:
        client.set(f"{empty.namespace}:session:x", "7")
        client.set(f"arq:job:{empty.namespace}:1:1", "x")
        client.set(f"{source.namespace}:session:x", "7")
    run = asyncio.to_thread
    await run(cli, source, "backup", "--to", str(path), "--passphrase", given="pass word\npass word\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert "whole" in await run(cli, source, "backup", "verify", str(path), "--passphrase", given="pass word\n")
    told = await run(cli, empty, "restore", str(path), "--passphrase", given="pass word\n")
    assert "every table compared" in told
    assert (empty.data_dir / "language" / "same_words.txt").read_text() == "专利=发明\n"
    assert (empty.data_dir / "secret").read_text() == "s" * 40
    assert await one_value(empty, "SELECT count(*) FROM rebuilds WHERE state = 'waiting'") == 4
    with Redis.from_url(str(empty.redis_url)) as client:
        assert client.get(f"{empty.namespace}:session:x") is None, "another account may have the number 7 now"
        assert client.get(f"arq:job:{empty.namespace}:1:1") is None
        assert client.get(f"{source.namespace}:session:x") == b"7"
    forget_redis(source)


def test_files_that_are_there_stay(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    (tmp_path / "secret").write_text("mine")
    said = put_back(settings, {"secret": b"theirs", "language/../../evil": b"x", "other": b"x"})
    assert (tmp_path / "secret").read_text() == "mine"
    assert said == [
        f"left alone: {tmp_path / 'secret'} is there already",
        f"put back: {tmp_path / 'language' / 'evil'}",
    ]


async def test_keys_go_into_an_encrypted_backup_only_and_come_back(source: Settings, tmp_path: Path) -> None:
    for name in ("secret", "data_keys"):
        (source.data_dir / name).write_text(f"{name} " * 8)
    (tmp_path / "key").write_bytes(b"k" * 32)
    env = {
        "ZHIPEI_DATABASE_URL": str(source.database_url),
        "ZHIPEI_MIGRATE_URL": str(source.owner_url),
        "ZHIPEI_REDIS_URL": str(source.redis_url),
        "ZHIPEI_DATA_DIR": str(source.data_dir),
    }
    found: dict[str, dict[str, bytes]] = {}
    for name, options in (("plain", []), ("sealed", ["--key-file", str(tmp_path / "key")])):
        path = tmp_path / name
        result = await asyncio.to_thread(CliRunner().invoke, main, ["backup", "--to", str(path), *options], env=env)
        assert result.exit_code == 0, result.output
        assert ("data_keys" in result.output) is (name == "plain"), "said where it is not in it"
        found[name] = {}
        read(path, KEY if options else None, file=found[name].__setitem__)
    assert set(found["plain"]) & {"secret", "data_keys"} == set()
    said = put_back(load({}, data_dir=tmp_path / "new"), found["sealed"])
    assert len(said) == 2
    assert (tmp_path / "new" / "data_keys").read_text() == "data_keys " * 8
    assert stat.S_IMODE((tmp_path / "new" / "data_keys").stat().st_mode) == 0o600
    assert put_back(load({}, data_dir=tmp_path / "other", data_key="k" * 32, secret="s" * 32), found["sealed"]) == []


def test_verifying_says_what_is_missing(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["backup", "verify", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "No such file" in result.output
    result = CliRunner().invoke(main, ["backup"])
    assert result.exit_code == click.UsageError.exit_code
