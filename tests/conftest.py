"""Real servers for all tests: those of ZHIPEI_DATABASE_URL and ZHIPEI_REDIS_URL, or embedded ones for the session."""

import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import anyio
import asyncpg
import httpx
import pytest
from litestar import Litestar

from infra import embedded
from infra.cipher import keys_of
from infra.db import Database, Transaction
from infra.migrate import migrate
from infra.privileges import application_role, grant
from infra.settings import Settings, load
from market.app import create_app
from market.importing.service import load_facts
from tests.factories import PASSWORD, World, make_world

TEMPLATE = f"zhipei_template_{uuid.uuid4().hex[:8]}"
UNLIMITED = {"registrations_per_hour": 0, "searches_per_minute": 0, "writes_per_minute": 0, "exports_per_minute": 0}
"""Tests are faster than people; tests/web/test_limits.py has limits."""
DATA_KEY = "test" * 8
"""The same in every process of a test, whatever folder it has; the one that applications sign forms with here."""
OURS = "ZHIPEI_DATABASE_URL" not in os.environ
"""The server is the session's, and goes with its folder. Dropping a hundred databases one by one took minutes before,
for each waits for a checkpoint: a session seemed not to end."""
Clone = Callable[[], Awaitable[Settings]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def servers() -> Iterator[Settings]:
    """PostgreSQL and Redis. Not in pytest's own folder: as root, PostgreSQL's user could not enter it."""
    folder = Path(tempfile.mkdtemp(prefix="zhipei-tests-"))
    folder.chmod(0o711)
    names = {name: value for name, value in os.environ.items() if name in ("ZHIPEI_DATABASE_URL", "ZHIPEI_REDIS_URL")}
    try:
        with embedded.running(load(names, data_dir=folder), say=lambda _: None) as settings:
            yield settings
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
async def template(servers: Settings) -> AsyncIterator[Settings]:
    """A migrated database with the shipped facts and a small world, to be cloned."""
    await _execute(servers, f"CREATE DATABASE {TEMPLATE}")
    settings = _on(servers, TEMPLATE)
    database = open_database(settings, owner=True)
    await migrate(database)
    if role := application_role(settings):
        await grant(database, role)
    async with database.transaction() as tx:
        await load_facts(tx)
        await make_world(tx)
    await database.close()
    yield settings
    if not OURS:
        await _execute(servers, f"DROP DATABASE {TEMPLATE} WITH (FORCE)")


@pytest.fixture(scope="session")
async def clone(servers: Settings, template: Settings) -> AsyncIterator[Clone]:
    """Makes databases like the template, for tests that commit."""
    made: list[str] = []

    async def make() -> Settings:
        name = f"{TEMPLATE}_{len(made)}"
        await _execute(servers, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        made.append(name)
        return _on(servers, name)

    yield make
    for name in () if OURS else made:
        await _execute(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def empty(servers: Settings) -> AsyncIterator[Settings]:
    """A database without any table."""
    name = f"{TEMPLATE}_empty_{uuid.uuid4().hex[:8]}"
    await _execute(servers, f"CREATE DATABASE {name}")
    yield _on(servers, name)
    await _execute(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
async def settings(clone: Clone) -> Settings:
    """Of the module's own database, which its tests through the application share.

    Not the session's: what one module commits, capacity used up and all, is none of the next one's business.
    """
    return await clone()


@pytest.fixture(scope="module")
async def db(settings: Settings) -> AsyncIterator[Database]:
    """The module's database."""
    database = open_database(settings)
    yield database
    await database.close()


@pytest.fixture
async def tx(settings: Settings) -> AsyncIterator[Transaction]:
    """A transaction that is rolled back after the test: the tables' owner's, who can arrange the impossible."""
    owner = open_database(settings, owner=True)
    connection = await owner.connect()
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


@pytest.fixture(scope="module")
async def world(db: Database) -> World:
    """The ids of the small world that every database starts with."""
    async with db.reading() as reading:
        return await World.read(reading)


@pytest.fixture(scope="module")
async def app(settings: Settings) -> AsyncIterator[Litestar]:
    """The application on the module's database."""
    application = create_app(settings, csrf_secret="test" * 8)
    async with application.lifespan():
        yield application


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A browser nobody has logged in with."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as browser:
        yield browser


Login = Callable[[str], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def login(app: Litestar) -> AsyncIterator[Login]:
    """Browsers with somebody logged in: ``await login("coordinator")``."""
    browsers: list[httpx.AsyncClient] = []

    async def log_in(name: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
        browser = httpx.AsyncClient(transport=transport, base_url="http://test")
        browsers.append(browser)
        await browser.get("/login")
        form = {"login": name, "password": PASSWORD, "_csrf_token": browser.cookies["zhipei_csrf"]}
        answer = await browser.post("/login", data=form)
        assert answer.status_code == 303, answer.text
        return browser

    yield log_in
    for browser in browsers:
        await browser.aclose()


Api = Callable[[str], httpx.AsyncClient]


@pytest.fixture
async def api(app: Litestar, world: World) -> AsyncIterator[Api]:
    """API clients with a token: ``api("institution")``; ``api("")`` has none."""
    clients: list[httpx.AsyncClient] = []

    def make(name: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {world.token(name)}"} if name else {}
        made = httpx.AsyncClient(transport=transport, base_url="http://test/api/v1", headers=headers)
        clients.append(made)
        return made

    yield make
    for one in clients:
        await one.aclose()


def open_database(settings: Settings, *, size: int = 5, owner: bool = False) -> Database:
    """Connections for a test: the application's, or the tables' owner's."""
    assert settings.database_url is not None
    url = settings.owner_url if owner else settings.database_url
    return Database(
        url,
        size=size,
        wait=10,
        statement_timeout_ms=60_000,
        lock_timeout_ms=5000,
        name="test",
        keys=keys_of(settings),
    )


def _on(settings: Settings, database: str) -> Settings:
    """The same server, another database; and a Redis database of its own would end at 16, so keys are shared."""
    # The search indexes lie there, and belong to one database.
    folder = settings.data_dir / database
    folder.mkdir(exist_ok=True)
    url, owner = (_other(one, database) for one in (settings.database_url, settings.owner_url))
    # Decisions are sent at once: what can be taken back is tested in tests/web/test_queue.py.
    return load(
        {},
        data_dir=folder,
        database_url=url,
        migrate_url=owner,
        redis_url=settings.redis_url,
        undo_seconds=0.0,
        data_key=DATA_KEY,
        **UNLIMITED,
    )


def _other(url: str | None, database: str) -> str:
    assert url is not None
    head, _, query = url.partition("?")
    return head.rsplit("/", 1)[0] + f"/{database}" + (f"?{query}" if query else "")


async def _execute(settings: Settings, statement: str) -> None:
    connection = await asyncpg.connect(settings.owner_url)
    try:
        with anyio.fail_after(60):
            await connection.execute(statement)
    finally:
        await connection.close()
