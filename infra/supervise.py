"""A small supervisor: starts programs in order, starts again what dies, stops all in reverse order.

Every program writes straight into its own log file, kept bounded: there is no pipe on which it could block, and its
last words survive the supervisor. The terminal gets only what the supervisor itself has to say.

Should the supervisor be killed, the kernel tells every program so by a signal (on Linux; elsewhere they live on).
"""

import asyncio
import ctypes
import functools
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds before a program that died is started again
HEALTHY_SECONDS = 10.0  # so long alive, and the pause begins anew at FIRST_PAUSE: what dies later dies of another cause
PROBE_SECONDS = 0.05
LOG_BYTES = 10_000_000  # of a log file, before it becomes <name>.log.1
LOG_CHECK_SECONDS = 10.0
PR_SET_PDEATHSIG = 1  # linux/prctl.h

Say = Callable[[str], None]


class StartError(Exception):
    """Something the platform stands on cannot start. The message says what, and what to do."""


async def nothing() -> None:
    """What most programs need before they start."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program to keep alive."""

    name: str
    argv: Sequence[str]
    ready: Callable[[], Awaitable[str | None]]
    """Why it is not ready yet, or None when it is. Answers within a few seconds; StartError: it never will be."""
    before: Callable[[], Awaitable[None]] = nothing
    """Clears the way, before every start."""
    env: Mapping[str, str] | None = None
    """None: the supervisor's own."""
    cwd: str | None = None
    become: Mapping[str, Any] = {}
    """subprocess's ``user``, ``group`` and ``extra_groups``, to run as someone else."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    """After so long a stop the program is killed."""
    orphan_signal: signal.Signals = signal.SIGKILL
    """What it gets when the supervisor itself is killed."""
    ready_seconds: float = 90.0


@asynccontextmanager
async def supervised(programs: Iterable[Program], *, logs: Path, say: Say) -> AsyncIterator[None]:
    """Inside the block all programs run, each started when the one before was ready; leaving it stops them.

    Raises:
        StartError: a program ended, or was not ready in time, at its first start. Later it is said, and tried again.
    """
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)  # noqa: ASYNC240  nothing else runs yet
    keepers: list[_Keeper] = []
    bounding = asyncio.create_task(_bound(logs))
    try:
        for program in programs:
            keepers.append(_Keeper(program, logs / f"{program.name}.log", say))
            await keepers[-1].start()
        yield
    finally:
        for keeper in reversed(keepers):
            await keeper.stop()
        await _cancelled(bounding)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` until it returns, or until SIGINT, SIGTERM or SIGHUP cancels it: then its blocks clean up."""
    asyncio.run(_until_signal(main))


async def _until_signal(main: Coroutine[Any, Any, None]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(main)

    def cancel_once() -> None:
        for number in signals:  # a second Ctrl-C must not cut the stopping short; stop_seconds bound it
            loop.add_signal_handler(number, lambda: None)
        task.cancel()

    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    signals = [number for number in wanted if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores SIGHUP
    for number in signals:
        loop.add_signal_handler(number, cancel_once)
    with suppress(asyncio.CancelledError):
        await task


class _Keeper:
    """Keeps one program alive."""

    def __init__(self, program: Program, log: Path, say: Say) -> None:
        self._program, self._log, self._say = program, log, say
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._process = await self._spawn()
        await self._until_ready(self._process)
        self._keeping = asyncio.create_task(self._keep(self._process))

    async def stop(self) -> None:
        if self._keeping:
            await _cancelled(self._keeping)
        process, program = self._process, self._program
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(program.stop_signal)
        try:
            async with asyncio.timeout(program.stop_seconds):
                await process.wait()
        except TimeoutError:
            self._say(f"{program.name} did not stop within {program.stop_seconds:.0f} s and was killed")
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def _keep(self, process: asyncio.subprocess.Process) -> None:
        now = asyncio.get_running_loop().time
        name, pause, since = self._program.name, FIRST_PAUSE, now()
        while True:
            code = await process.wait()
            if now() - since >= HEALTHY_SECONDS:
                pause = FIRST_PAUSE
            self._say(f"{name} ended ({_how(code)}), starting it again in {pause:.1f} s; its log: {self._log}")
            await asyncio.sleep(pause)
            pause, since = min(2 * pause, LONGEST_PAUSE), now()
            try:
                self._process = process = await self._spawn()
                await self._until_ready(process)
                self._say(f"{name} is back")
            except Exception as error:  # whatever a probe comes to, the keeper lives
                # Alive but late, as PostgreSQL in a long recovery, it is waited for: killed, it would start over.
                self._say(str(error))

    async def _spawn(self) -> asyncio.subprocess.Process:
        program = self._program
        await program.before()
        try:
            with self._log.open("ab") as log:
                return await asyncio.create_subprocess_exec(
                    *program.argv,
                    env=program.env,
                    cwd=program.cwd,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    process_group=0,  # Ctrl-C in the terminal reaches the supervisor alone
                    preexec_fn=_die_with_parent(program.orphan_signal),
                    **program.become,
                )
        except OSError as error:
            raise StartError(f"{program.name} cannot be started: {error}") from error

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        program, loop = self._program, asyncio.get_running_loop()
        began, reason = loop.time(), None
        while process.returncode is None and loop.time() - began < program.ready_seconds:
            reason = await program.ready()
            if reason is None and process.returncode is None:
                return
            await asyncio.sleep(PROBE_SECONDS)
        what = f"is not ready after {program.ready_seconds:.0f} s: {reason}"
        if process.returncode is not None:
            what = f"ended while starting ({_how(process.returncode)})"
        quoted = "".join(f"\n  {program.name} | {line}" for line in last_lines(self._log))
        raise StartError(f"{program.name} {what}; the end of {self._log}:{quoted}")


def last_lines(log: Path, count: int = 10) -> list[str]:
    """The end of a log file."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
        return file.read().decode(errors="replace").splitlines()[-count:]


def _die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """What the child does between fork and exec, after setuid, which would clear the request.

    The kernel means the thread that forked: the event loop's, which lives as long as the ``supervised`` block.
    """
    if sys.platform != "linux":
        return None
    parent, prctl = os.getpid(), _libc().prctl  # looked up before the fork: the child must not need a lock

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return ask


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


async def _bound(logs: Path) -> None:
    """Keep every log file, and one older part, below about LOG_BYTES."""
    while True:
        with suppress(OSError):  # a full disk; tried again
            for log in logs.glob("*.log"):  # noqa: ASYNC240  a few files
                if log.stat().st_size > LOG_BYTES:
                    # Copied, not renamed: the program goes on appending to the file it has open.
                    shutil.copyfile(log, log.with_suffix(".log.1"))
                    os.truncate(log, 0)
        await asyncio.sleep(LOG_CHECK_SECONDS)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
