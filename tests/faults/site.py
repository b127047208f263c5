"""A ``zhipei up`` on a data folder and a port of its own, and its processes by what they do."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from infra import embedded, housing
from infra.settings import Settings, load

ZHIPEI = [sys.executable, "-m", "market.cli"]
PROGRAMS: Mapping[str, str] = {"web": "market.cli serve", "worker": "workers.main"}
"""Ours, and what their command lines have in them."""


class Site:
    """Started and stopped by the test; ``more`` are settings, as the environment names them."""

    def __init__(self, folder: Path, *, demo: bool = False, **more: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ZHIPEI_")}
        self.env = kept | {"ZHIPEI_DATA_DIR": str(folder), "ZHIPEI_PORT": str(self.port)} | more
        self.folder = folder
        self.output = folder.with_suffix(".out")
        self.process: subprocess.Popen[bytes] | None = None
        self._words = ["up", *(["--demo"] if demo else [])]

    @property
    def settings(self) -> Settings:
        """Those its processes have."""
        return embedded.with_urls(load({key: value for key, value in self.env.items() if key.startswith("ZHIPEI_")}))

    def start(self) -> str:
        """Start it and wait until it is ready; what it said."""
        with self.output.open("wb") as out:
            self.process = subprocess.Popen([*ZHIPEI, *self._words], env=self.env, stdout=out, stderr=out)
        for _ in range(1200):
            if "is ready" in self.output.read_text() and "stop: Ctrl-C" in self.output.read_text():
                return self.output.read_text()
            assert self.process.poll() is None, self.output.read_text()
            time.sleep(0.1)
        raise AssertionError(self.output.read_text())

    def stop(self) -> None:
        """As Ctrl-C does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            assert self.process.wait(30) == 0

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A command beside it."""
        return subprocess.run([*ZHIPEI, *words], env=self.env | more, capture_output=True, text=True, check=False)

    def get(self, path: str, **headers: str) -> httpx.Response:
        """What it answers."""
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", headers=headers, timeout=20)

    def pid(self, name: str) -> int | None:
        """The process that is ``web``, ``worker``, ``postgres`` or ``redis`` at this moment."""
        if name in PROGRAMS:
            return next((pid for pid, words in self._ours() if PROGRAMS[name] in words), None)
        cluster = self.folder / "servers" / "postgres"
        uid = cluster.stat().st_uid
        if name == "redis":
            found = embedded._left("redis-server", str(housing.sockets(self.folder) / "redis.sock"), uid)
            return found[0] if found else None
        try:
            postmaster = int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        return postmaster if postmaster in embedded._left("postgres", f"zhipei-{housing.key(cluster)}", uid) else None

    def tell(self) -> None:
        """Print what it and its programs said last, for whoever reads of a failure."""
        logs = sorted((self.folder / "logs").glob("*.log"))
        for path in (self.output, *logs):
            if path.exists():
                print(f"--- {path.name}", *path.read_text(errors="replace").splitlines()[-40:], sep="\n")

    def processes(self) -> list[str]:
        """Command lines of whatever runs with our data folder in its environment or arguments."""
        return [words for _, words in self._ours()]

    def _ours(self) -> list[tuple[int, str]]:
        mark = self.env["ZHIPEI_DATA_DIR"].encode()
        found = []
        for proc in Path("/proc").glob("[0-9]*"):
            try:
                words = (proc / "cmdline").read_bytes()
                ours = mark in words + (proc / "environ").read_bytes()
            except OSError:
                continue
            if ours and int(proc.name) != os.getpid():
                found.append((int(proc.name), words.decode(errors="replace").replace("\0", " ")[:80]))
        return found


@contextmanager
def site_of(*, demo: bool = False, **more: str) -> Iterator[Site]:
    """A site in a folder that goes with it. Not in pytest's own: as root, PostgreSQL's user could not enter it."""
    folder = Path(tempfile.mkdtemp(prefix="zhipei-site-"))
    folder.chmod(0o711)
    made = Site(folder, demo=demo, **more)
    try:
        yield made
    except BaseException:
        made.tell()
        raise
    finally:
        try:
            made.stop()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            made.output.unlink(missing_ok=True)
