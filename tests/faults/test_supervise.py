"""The supervisor, and the embedded servers under it, when processes die. Real processes, killed by pid."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis.asyncio

from infra import embedded, housing, supervise
from infra.settings import Settings
from infra.supervise import Program, StartError, supervised

pytestmark = pytest.mark.faults

HOST = """
import asyncio, sys
from pathlib import Path
from infra import embedded, supervise
from infra.settings import Settings

async def main():
    settings = Settings(data_dir=Path(sys.argv[1]))
    async with embedded.servers(settings, shared=True, say=lambda line: print(line, flush=True)):
        print("ready", flush=True)
        await asyncio.Event().wait()

supervise.run(main())
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="zhipei-test-"))
    folder.chmod(0o711)
    yield folder / "data"
    shutil.rmtree(folder)


@contextmanager
def host(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """The embedded servers under a supervisor in a process of its own, ready."""
    process = subprocess.Popen([sys.executable, "-c", HOST, str(data_dir)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def pid_of(data_dir: Path, name: str) -> int:
    if name == "postgres":
        return int((data_dir / "servers" / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
    return next(pid for pid in _left(data_dir) if Path(f"/proc/{pid}/comm").read_text().startswith("redis"))


def _left(data_dir: Path) -> list[int]:
    """The servers' processes that live."""
    mark = f"zhipei-{housing.key(data_dir / 'servers' / 'postgres')}"
    socket = str(housing.sockets(data_dir) / "redis.sock")
    uid = (data_dir / "servers" / "postgres").stat().st_uid
    return embedded._left("postgres", mark, uid) + embedded._left("redis-server", socket, uid)


async def eventually(check: Callable[[], Any], seconds: float) -> Any:
    """What ``check`` answers once it no longer fails; its last failure after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await check()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, redis.RedisError, AssertionError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.02)


async def query(settings: Settings, sql: str) -> Any:
    connection = await asyncpg.connect(settings.owner_url, timeout=2)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close(timeout=2)


async def command(settings: Settings, *words: str) -> Any:
    async with redis.asyncio.Redis.from_url(str(settings.redis_url)) as client:
        return await client.execute_command(*words)


def test_killed_postmaster_is_back_with_its_data_though_a_backend_is_busy(data_dir: Path) -> None:
    async def scenario(settings: Settings) -> None:
        await query(settings, "CREATE TABLE t (word text)")
        await query(settings, "INSERT INTO t VALUES ('kept')")
        # A loop that never waits does not notice that its postmaster died.
        busy = await asyncpg.connect(settings.owner_url)
        endless = asyncio.create_task(busy.execute("DO $$ BEGIN LOOP END LOOP; END $$"))
        await asyncio.sleep(0.2)
        os.kill(pid_of(data_dir, "postgres"), signal.SIGKILL)
        began = time.monotonic()
        await asyncio.sleep(0.05)
        assert await eventually(lambda: query(settings, "SELECT word FROM t"), 5) == "kept"
        print("back after", time.monotonic() - began)
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await endless
        busy.terminate()

    with host(data_dir):
        asyncio.run(scenario(embedded.with_urls(Settings(data_dir=data_dir))))
    assert _left(data_dir) == []


def test_killed_redis_is_back_with_what_was_acknowledged(data_dir: Path) -> None:
    async def scenario(settings: Settings) -> None:
        for number in range(3):
            await command(settings, "SET", "word", str(number))
            await asyncio.sleep(1.1)
            os.kill(pid_of(data_dir, "redis"), signal.SIGKILL)
            assert await eventually(lambda: command(settings, "GET", "word"), 5) == str(number).encode()

    with host(data_dir):
        asyncio.run(scenario(embedded.with_urls(Settings(data_dir=data_dir))))


def test_killed_supervisor_takes_the_servers_along_and_the_next_one_starts(data_dir: Path) -> None:
    async def gone() -> None:
        assert _left(data_dir) == []

    settings = embedded.with_urls(Settings(data_dir=data_dir))
    with host(data_dir) as first:
        asyncio.run(query(settings, "CREATE TABLE t AS SELECT 'kept' AS word"))
        assert len(_left(data_dir)) > 2
        first.kill()
        with host(data_dir):  # at once, while the old servers are still going
            assert asyncio.run(query(settings, "SELECT word FROM t")) == "kept"
            first.wait()
    asyncio.run(eventually(gone, 5))


def test_killed_supervisor_leaves_nothing(data_dir: Path) -> None:
    async def gone() -> None:
        assert _left(data_dir) == []

    with host(data_dir) as first:
        first.kill()
        asyncio.run(eventually(gone, 5))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_cleanly(data_dir: Path, number: signal.Signals) -> None:
    with host(data_dir) as process:
        process.send_signal(number)
        process.send_signal(number)  # an impatient second one cuts nothing short
        assert process.wait(10) == 0
    assert _left(data_dir) == []
    assert "database system is shut down" in supervise.last_lines(data_dir / "logs" / "postgres.log")[-1]


def test_a_second_supervisor_is_refused(data_dir: Path) -> None:
    with host(data_dir) as first:
        argv = [sys.executable, "-c", HOST, str(data_dir)]
        second = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert second.returncode != 0
        assert f"already running on {data_dir} (process {first.pid})" in second.stderr
        assert asyncio.run(query(embedded.with_urls(Settings(data_dir=data_dir)), "SELECT 1")) == 1


@pytest.mark.parametrize("lock", ["postgres/postmaster.pid", "run/.s.PGSQL.5432.lock"])
def test_a_lock_file_whose_number_is_another_programs_now(data_dir: Path, lock: str) -> None:
    with host(data_dir):
        content = (data_dir / "servers" / lock).read_text()
    uid = (data_dir / "servers" / "postgres").stat().st_uid
    with subprocess.Popen(["sleep", "60"], user=uid if os.geteuid() == 0 else None, cwd="/") as other:
        _, rest = content.split("\n", 1)
        stale = data_dir / "servers" / lock
        stale.write_text(f"{other.pid}\n{rest}")
        os.chown(stale, uid, -1)
        with host(data_dir):
            assert other.poll() is None  # a stranger's process is nothing of ours to end
        other.kill()


def shell_programs(folder: Path, *scripts: str, **options: Any) -> list[Program]:
    """Shell programs p0, p1, … that are ready as soon as the file of their name exists in the folder."""

    def ready(file: Path) -> Callable[[], Any]:
        async def probe() -> str | None:
            return None if file.exists() else "no file yet"

        return probe

    return [
        Program(name=f"p{i}", argv=["/bin/sh", "-c", script], ready=ready(folder / f"p{i}"), cwd=str(folder), **options)
        for i, script in enumerate(scripts)
    ]


def test_programs_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    script = (
        "trap 'echo stop {0} >> order; exit' TERM; sleep 0.2; echo start {0} >> order; touch {0}; "
        "while :; do sleep 0.01; done"
    )

    async def scenario() -> None:
        async with supervised(
            shell_programs(tmp_path, script.format("p0"), script.format("p1")), logs=tmp_path, say=print
        ):
            assert (tmp_path / "order").read_text().splitlines() == ["start p0", "start p1"]

    asyncio.run(scenario())
    assert (tmp_path / "order").read_text().splitlines() == ["start p0", "start p1", "stop p1", "stop p0"]


def test_what_keeps_dying_is_started_again_at_growing_intervals(tmp_path: Path) -> None:
    said: list[str] = []

    async def scenario() -> None:
        programs = shell_programs(tmp_path, "touch p0; sleep 0.2; exit 3")
        async with supervised(programs, logs=tmp_path, say=said.append):
            await asyncio.sleep(2.5)

    asyncio.run(scenario())
    ends = [line for line in said if "exit code 3" in line]
    assert [f"in {pause} s" in line for pause, line in zip((0.1, 0.2, 0.4, 0.8), ends, strict=False)] == [True] * 4


def test_a_first_start_that_fails_says_why_and_stops_the_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        programs = shell_programs(tmp_path, "echo $$ > p0; exec sleep 60", "echo port 8000 is taken >&2; exit 1")
        async with supervised(programs, logs=tmp_path, say=print):
            pass

    with pytest.raises(StartError, match=r"p1 ended while starting \(exit code 1\)(.|\n)*p1 \| port 8000 is taken"):
        asyncio.run(scenario())
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "p0").read_text()), 0)


def test_a_program_that_is_never_ready_or_missing(tmp_path: Path) -> None:
    async def start(program: Program) -> None:
        async with supervised([program], logs=tmp_path, say=print):
            pass

    [late] = shell_programs(tmp_path, "exec sleep 60", ready_seconds=0.3)
    with pytest.raises(StartError, match=r"not ready after 0 s: no file yet"):
        asyncio.run(start(late))
    missing = Program(name="missing", argv=["/nonexistent"], ready=late.ready)
    with pytest.raises(StartError, match="missing cannot be started"):
        asyncio.run(start(missing))


def test_a_program_deaf_to_its_stop_signal_is_killed_with_its_children(tmp_path: Path) -> None:
    said: list[str] = []

    async def scenario() -> None:
        script = "trap '' TERM; sleep 60 & echo $! > child; touch p0; wait; sleep 60"
        async with supervised(shell_programs(tmp_path, script, stop_seconds=0.3), logs=tmp_path, say=said.append):
            pass

    async def gone() -> None:
        state = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
        assert not state.exists() or state.read_text().split()[2] == "Z"

    began = time.monotonic()
    asyncio.run(scenario())
    assert time.monotonic() - began < 5
    assert said == ["p0 did not stop within 0 s and was killed"]
    asyncio.run(eventually(gone, 2))


def test_logs_stay_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "LOG_BYTES", 10_000)
    monkeypatch.setattr(supervise, "LOG_CHECK_SECONDS", 0.05)

    async def scenario() -> None:
        script = "touch p0; i=0; while :; do i=$((i+1)); echo a line of the log $i; sleep 0.0001; done"
        async with supervised(shell_programs(tmp_path, script), logs=tmp_path, say=print):
            await asyncio.sleep(3)

    asyncio.run(scenario())
    assert (tmp_path / "p0.log.1").stat().st_size < 100_000
    assert (tmp_path / "p0.log").stat().st_size < 100_000
    assert supervise.last_lines(tmp_path / "p0.log")[-1].startswith("a line of the log")


def test_what_lived_a_while_is_started_again_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "HEALTHY_SECONDS", 0.3)
    said: list[str] = []

    async def scenario() -> None:
        programs = shell_programs(tmp_path, "touch p0; sleep 0.5; exit 3")
        async with supervised(programs, logs=tmp_path, say=said.append):
            await asyncio.sleep(2.5)

    asyncio.run(scenario())
    ends = [line for line in said if "exit code 3" in line]
    assert len(ends) >= 3
    assert all("in 0.1 s" in line for line in ends)
