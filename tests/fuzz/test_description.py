"""schemathesis against the API's own description, over HTTP, on the demo: as every role, examples and links."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvicorn

from infra.db import Database
from infra.http import BoundedHttp
from infra.settings import Settings
from market.accounts.service import create_token
from market.app import create_app
from tests.conftest import Clone, open_database
from tests.walk import EXAMPLES, demo_database

pytestmark = pytest.mark.anyio

DEEP = int(os.environ.get("ZHIPEI_TEST_FUZZ", "0"))
"""Examples for each call and role; 0: as few as `make test` has time for."""
ROLES = ("", "enterprise", "clerk", "institution", "coordinator", "admin") if DEEP else ("enterprise", "coordinator")
CONFIG = Path(__file__).with_name("schemathesis.toml")
THERE = EXAMPLES | {
    "match_id": "SELECT DISTINCT ON (state) id FROM matches ORDER BY state, id DESC",
    "need_id": "SELECT id FROM needs ORDER BY id DESC LIMIT 200",
}


class Server(uvicorn.Server):
    """The application in a thread, as `zhipei serve` runs it."""

    def __init__(self, settings: Settings) -> None:
        app = create_app(settings, csrf_secret="test" * 8)
        config = uvicorn.Config(app, port=0, http=BoundedHttp, access_log=False, log_config=None, server_header=False)
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"


@pytest.fixture(scope="module")
async def settings(clone: Clone) -> Settings:
    return await demo_database(clone)


@pytest.fixture(scope="module")
async def db(settings: Settings) -> AsyncIterator[Database]:
    database = open_database(settings)
    yield database
    await database.close()


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[Server]:
    running = Server(settings)
    thread = threading.Thread(target=running.run)
    thread.start()
    assert running.is_up.wait(60)
    yield running
    running.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.parametrize("role", ROLES)
async def test_every_answer_is_as_described(role: str, server: Server, db: Database, tmp_path: Path) -> None:
    async with db.transaction() as tx:
        there = {name: [row[0] for row in await tx.fetch(query)] for name, query in THERE.items()}
        token = await create_token(tx, role, "fuzz", 1) if role else None
    command: list[str | Path] = [Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIG, "run"]
    command += [f"{server.address}/api/openapi.json", "--no-color", "--max-examples", str(DEEP or 1)]
    if not DEEP:
        command += ["--phases", "examples,fuzzing,stateful"]
    if token:
        command += ["-H", f"Authorization: Bearer {token}"]
    environment = os.environ | {
        "PYTHONPATH": str(CONFIG.parents[2]),  # it runs elsewhere, and the tests are not installed
        "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
        "ZHIPEI_TEST_THERE": json.dumps(there),
    }
    run = await asyncio.to_thread(
        subprocess.run, command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2000:]
    told = re.search(r"(\d+) generated, (\d+) passed", run.stdout)
    assert told, run.stdout
    assert told[1] == told[2]
    assert int(told[1]) >= (5000 if DEEP else 120)
    print(f"{role or 'nobody'}: {told[0]}")
