"""What is measured, started: embedded PostgreSQL and Redis, databases with the demo in them, servers as processes."""

import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import msgspec
from msgspec import Struct

from infra import embedded
from infra.cipher import keys_of
from infra.db import Database
from infra.migrate import migrate
from infra.privileges import grant
from infra.settings import Settings, load
from infra.supervise import Program, last_lines, supervised
from market.accounts import queries as accounts
from market.accounts.service import hash_token
from market.demo import service as demos
from market.importing.service import load_facts

TEMPLATE = "bench_template"
TOKEN_PREFIX = "zp_bench_"


class Effort(Struct, frozen=True):
    """How long to measure."""

    rounds: int = 3
    seconds: int = 2
    """Of a load run, after ``warm`` seconds that do not count."""
    warm: float = 0.5
    needs: int = 100
    """Needs submitted one by one in a round."""
    thorough: bool = True
    """Also what takes minutes: the largest queue, many simulated markets."""


class Stage(Struct, frozen=True, eq=False):
    """The servers of this run. Every part gets a database of its own, all alike."""

    servers: Settings
    folder: Path

    @asynccontextmanager
    async def database(self, name: str) -> AsyncIterator[Settings]:
        """A copy of the demo's database for one part."""
        await _execute(self.servers, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        yield on_database(self.servers, name)
        await _execute(self.servers, f"DROP DATABASE {name} WITH (FORCE)")

    @asynccontextmanager
    async def web(self, settings: Settings) -> AsyncIterator[int]:
        """Zhipei's web server as ``zhipei serve`` runs it; yields its port."""
        port = free_port()
        argv = [sys.executable, "-m", "market.cli", "serve"]
        async with self._program("web", argv, _environment(settings, port), port):
            yield port

    @asynccontextmanager
    async def peer(self, settings: Settings) -> AsyncIterator[int]:
        """The peer under the same uvicorn: one worker, uvloop, httptools, a log line a request; yields its port."""
        port = free_port()
        argv = [sys.executable, "-m", "uvicorn", "--factory", "bench.peer:create_app", "--port", str(port)]
        async with self._program("peer", argv, _environment(settings, port), port):
            yield port

    @asynccontextmanager
    async def worker(self, settings: Settings) -> AsyncIterator[None]:
        """The worker as ``zhipei worker`` runs it. It is at work some moments later."""
        async with self._program("worker", [sys.executable, "-m", "workers.main"], _environment(settings, 1), None):
            yield

    @asynccontextmanager
    async def _program(self, name: str, argv: list[str], env: dict[str, str], port: int | None) -> AsyncIterator[None]:
        program = Program(name=name, argv=argv, env=env, ready=_answers(port))
        logs = self.folder / "logs"
        async with supervised([program], logs=logs, say=print):
            try:
                yield
            except Exception:
                print(f"the end of the log of {name}:", *last_lines(logs / f"{name}.log"), sep="\n  ")
                raise


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    """The embedded servers, and a migrated database with the demo to copy. They sync every commit to disk."""
    async with embedded.servers(load({}, data_dir=folder), shared=False, say=print) as servers:
        await _execute(servers, f"CREATE DATABASE {TEMPLATE}")
        template = on_database(servers, TEMPLATE)
        database = open_database(template)
        await migrate(database)
        await grant(database, embedded.APPLICATION)
        async with database.transaction() as tx:
            await load_facts(tx)
        async with database.transaction() as tx:
            await demos.load_demo(tx, template, now=datetime.now(UTC))
        await database.close()
        await _execute(template, "VACUUM ANALYZE")
        yield Stage(servers, folder)


async def give_tokens(settings: Settings, logins: list[str]) -> None:
    """An API token for each account: ``token(0)`` for the first, and so on."""
    database = open_database(settings)
    expires = datetime.now(UTC) + timedelta(days=1)
    async with database.transaction() as tx:
        for number, login in enumerate(logins):
            actor = await accounts.actor_by_login(tx, login)
            assert actor is not None, login
            await accounts.insert_token(tx, actor.id, "bench", hash_token(token(number)), expires)
    await database.close()


def token(number: int) -> str:
    """The token of one client of a run; a formula, so that a pgbench script can say it too."""
    return f"{TOKEN_PREFIX}{number}"


def open_database(settings: Settings) -> Database:
    """A few connections for what surrounds the measuring."""
    return Database(
        settings.owner_url,
        size=2,
        wait=10,
        statement_timeout_ms=120_000,
        lock_timeout_ms=5000,
        name="bench",
        keys=keys_of(settings),
    )


def on_database(settings: Settings, name: str) -> Settings:
    """The same servers, another database."""
    url, owner = (_other(one, name) for one in (settings.database_url, settings.owner_url))
    return msgspec.structs.replace(settings, database_url=url, migrate_url=owner)


def _other(url: str | None, name: str) -> str:
    assert url is not None
    head, _, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}?{query}"


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment(settings: Settings, port: int) -> dict[str, str]:
    assert settings.database_url is not None
    assert settings.redis_url is not None
    given = {name: value for name, value in os.environ.items() if not name.startswith("ZHIPEI_")}
    return given | {
        "ZHIPEI_DATABASE_URL": settings.database_url,
        "ZHIPEI_REDIS_URL": settings.redis_url,
        "ZHIPEI_DATA_DIR": str(settings.data_dir),
        "ZHIPEI_PORT": str(port),
        "ZHIPEI_SEARCHES_PER_MINUTE": "0",
        "ZHIPEI_WRITES_PER_MINUTE": "0",
        "OMP_NUM_THREADS": "1",
    }


def _answers(port: int | None) -> Callable[[], Awaitable[str | None]]:
    async def ready() -> str | None:
        if port is None:
            return None
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.get(f"http://127.0.0.1:{port}/healthz", timeout=2)
        except httpx.HTTPError as error:
            return repr(error)
        return None if answer.status_code == 200 else answer.text

    return ready


async def _execute(settings: Settings, statement: str) -> None:
    connection = await asyncpg.connect(settings.owner_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
