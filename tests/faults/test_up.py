"""``zhipei up --demo``, what ``make demo`` runs: from nothing to a site, and again on the same data; other commands."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.faults

ZHIPEI = [sys.executable, "-m", "market.cli"]


class Site:
    """A ``zhipei up --demo`` on a data folder and a port of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ZHIPEI_")}
        self.env = kept | {"ZHIPEI_DATA_DIR": str(folder), "ZHIPEI_PORT": str(self.port)}
        self.output = folder.with_suffix(".out")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        with self.output.open("wb") as out:
            self.process = subprocess.Popen([*ZHIPEI, "up", "--demo"], env=self.env, stdout=out, stderr=out)
        for _ in range(1200):
            if "is ready" in self.output.read_text() and "stop: Ctrl-C" in self.output.read_text():
                return self.output.read_text()
            assert self.process.poll() is None, self.output.read_text()
            time.sleep(0.1)
        raise AssertionError(self.output.read_text())

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            assert self.process.wait(30) == 0

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*ZHIPEI, *words], env=self.env | more, capture_output=True, text=True, check=False)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", headers=headers, timeout=20)

    def processes(self) -> list[str]:
        """Command lines of whatever runs with our data folder in its environment or arguments."""
        mark = self.env["ZHIPEI_DATA_DIR"]
        found = []
        for proc in Path("/proc").glob("[0-9]*"):
            try:
                words = (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
            except OSError:
                continue
            if mark.encode() in words and int(proc.name) != os.getpid():
                found.append((proc / "cmdline").read_text().replace("\0", " ")[:80])
        return found


@pytest.fixture
def site() -> Iterator[Site]:
    folder = Path(tempfile.mkdtemp(prefix="zhipei-up-"))
    folder.chmod(0o711)
    made = Site(folder)
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)
    made.output.unlink(missing_ok=True)


def test_from_nothing_to_a_site_and_again(site: Site) -> None:
    said = site.start()
    for login in ("enterprise", "institution", "coordinator", "clerk", "admin"):
        assert login in said
    assert "demo data loaded" in said
    assert "写" in site.get("/").text
    assert site.get("/readyz").json() == {"database": "ok", "redis": "ok"}
    offerings = site.get("/api/v1/offerings?limit=100").json()["items"]
    assert len(offerings) == 100

    token = site.run("token", "create", "enterprise").stdout.strip()
    assert token.startswith("zp_")
    me = site.get("/api/v1/me", Authorization=f"Bearer {token}")
    assert me.json()["login"] == "enterprise"
    assert "没有登录名" in site.run("token", "create", "nobody-here").stderr
    wrong = site.run("account", "create", "x", "--name", "甲", "--role", "coordinator", "--password", "short")
    assert wrong.returncode == 1
    assert "Traceback" not in wrong.stderr
    assert "密码至少 10 个字符" in wrong.stderr
    right = ["account", "create", "new-one", "--name", "甲", "--role", "coordinator", "--node", "1"]
    assert site.run(*right, "--password", "long-enough-password").returncode == 0
    assert site.run("account", "password", "new-one", "--password", "another-long-one").returncode == 0
    assert "rows will be tried again" in site.run("outbox", "retry").stdout
    examined = site.run("doctor")
    assert examined.returncode == 0, examined.stdout
    assert "BAD" not in examined.stdout

    busy = site.run("up", ZHIPEI_DATA_DIR=str(site.output.with_suffix(".other")))
    assert busy.returncode == 1
    assert f"ZHIPEI_PORT={site.port + 1}" in busy.stderr
    second = site.run("up", ZHIPEI_PORT=str(site.port + 1))
    assert "already running" in second.stderr

    needs = site.get("/api/v1/needs", Authorization=f"Bearer {token}").json()["items"]
    site.stop()
    assert site.processes() == []
    assert "BAD  PostgreSQL" in site.run("doctor").stdout
    assert "demo data loaded" not in site.start()
    assert site.get("/api/v1/needs", Authorization=f"Bearer {token}").json()["items"] == needs
