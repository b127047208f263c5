"""What others do arrives on open pages: who hears of what, until when, and how many may listen."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
import uvicorn
from litestar import Litestar

from infra.db import Database
from infra.settings import Settings
from market.calendars.service import DeadlinesSource
from market.errors import TooManyStreams
from market.live.hub import MOST_OF_ONE, Hub, Said, Topic
from market.needs import service as needs
from market.needs.model import Submission
from tests.conftest import Login, open_database
from tests.factories import AID, World
from tests.web.test_pages_staff import AID_TEXT, approve, file_need, match_of, post

pytestmark = pytest.mark.anyio


class Stream:
    """The events of a stream as they come in."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def next(self, seconds: float = 10) -> str:
        """The name of the next event; "" where the stream has ended."""
        with anyio.fail_after(seconds):
            async for line in self._lines:
                if line.startswith("event: "):
                    return line.removeprefix("event: ")
        return ""


@pytest.fixture(scope="module")
async def address(app: Litestar) -> AsyncIterator[str]:
    """The application behind a server: without one, httpx hears an answer only once it has ended."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve())
    with anyio.fail_after(20):
        while not server.started:
            await asyncio.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving


def stream_of(html: str) -> str:
    """Where the page listens."""
    found = re.search(r'data-live="([^"]+)"', html)
    assert found
    return found[1]


@asynccontextmanager
async def listening(address: str, browser: httpx.AsyncClient, path: str) -> AsyncIterator[Stream]:
    """The stream as that browser hears it."""
    cookies = {cookie.name: cookie.value or "" for cookie in browser.cookies.jar}
    async with (
        httpx.AsyncClient(base_url=address, cookies=cookies, timeout=30) as client,
        client.stream("GET", path) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = Stream(answer.aiter_lines())
        assert await stream.next() == "open"
        yield stream


async def test_a_change_reaches_those_whom_it_concerns(
    db: Database, settings: Settings, world: World, login: Login, address: str
) -> None:
    need_id, other = [await file_need(db, settings, world, AID_TEXT) for _ in range(2)]
    coordinator, party, desk = await login("coordinator"), await login("enterprise"), await login("institution")
    stranger = await login("office")
    async with (
        listening(address, party, f"/live/needs/{need_id}") as own,
        listening(address, party, f"/live/needs/{other}") as quiet,
        listening(address, await login("coordinator2"), "/live/queue") as queue,
        listening(address, desk, "/live/desk") as served,
        listening(address, stranger, "/live/desk") as not_served,
    ):
        await approve(coordinator, need_id)
        assert await own.next() == "changed"
        assert await queue.next() == "changed"
        assert await served.next() == "changed"
        await post(desk, f"/matches/{await match_of(db, need_id)}/accept")
        assert await own.next() == "changed"
        for silent in (quiet, not_served):
            with pytest.raises(TimeoutError):
                await silent.next(1.5)


async def test_what_happened_between_the_page_and_its_stream_is_told(
    db: Database, settings: Settings, world: World, login: Login, address: str
) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    async with db.reading() as tx:
        last = await tx.fetchval("SELECT max(id) FROM events WHERE need_id = $1", need_id)
    party = await login("enterprise")
    async with listening(address, party, f"/live/needs/{need_id}?after={last - 1}") as stream:
        assert await stream.next() == "changed"
    async with listening(address, party, f"/live/needs/{need_id}?after={last}") as stream:
        with pytest.raises(TimeoutError):
            await stream.next(1.5)


@pytest.mark.parametrize(("who", "path"), [("coordinator2", "queue"), ("institution", "desk")])
async def test_what_a_list_did_not_know_yet_is_told(
    db: Database, settings: Settings, world: World, login: Login, address: str, who: str, path: str
) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    reader, coordinator = await login(who), await login("coordinator")
    old = stream_of((await reader.get(f"/{path}")).text)
    await approve(coordinator, need_id)
    new = stream_of((await reader.get(f"/{path}")).text)
    async with listening(address, reader, old) as stream:
        assert await stream.next() == "changed"
    async with listening(address, reader, new) as stream:
        with pytest.raises(TimeoutError):
            await stream.next(1.5)
    assert (await reader.get(f"/live/{path}?after=1%20or%201")).status_code in (400, 404, 422)


async def test_an_event_that_was_committed_late_is_told(
    db: Database, settings: Settings, world: World, login: Login, address: str
) -> None:
    """Its id lies before the newest that the page knew."""
    reader, deadlines = await login("coordinator2"), DeadlinesSource()
    async with db.transaction() as late:
        submission = Submission(body=AID_TEXT, item_codes=(AID,))
        await needs.submit(late, world.actors["rival"], submission, await deadlines.get(late))
        await file_need(db, settings, world, AID_TEXT)
        path = stream_of((await reader.get("/queue")).text)
    async with listening(address, reader, path) as stream:
        assert await stream.next() == "changed"


async def test_who_may_not_see_the_page_may_not_listen(
    db: Database, settings: Settings, world: World, login: Login, client: httpx.AsyncClient
) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    for name, path, status in (
        ("rival", f"/live/needs/{need_id}", 404),
        ("institution", f"/live/needs/{need_id}", 404),
        ("enterprise", "/live/queue", 403),
        ("coordinator", "/live/desk", 403),
    ):
        assert (await (await login(name)).get(path)).status_code == status, (name, path)
    assert (await client.get("/live/queue")).status_code == 303


async def test_logging_out_ends_the_stream(
    db: Database, settings: Settings, world: World, login: Login, address: str
) -> None:
    coordinator = await login("coordinator")
    async with listening(address, coordinator, "/live/queue") as stream:
        await coordinator.get("/queue")
        await post(coordinator, "/logout")
        assert await stream.next() == "end"
        assert await stream.next() == ""


async def test_a_page_that_is_no_longer_ones_own_to_see_is_told_no_more(
    db: Database, settings: Settings, world: World, login: Login, address: str
) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    coordinator, desk = await login("coordinator"), await login("institution")
    await approve(coordinator, need_id)
    async with listening(address, desk, f"/live/needs/{need_id}") as stream:
        match_id = await match_of(db, need_id)
        await post(desk, f"/matches/{match_id}/decline", note="本周没有人手")
        await post(coordinator, f"/matches/{match_id}/answer-decline", grant="true", note="同意")
        while (said := await stream.next()) == "changed":  # of the approval, which may be told only now
            pass
        assert said == "end"


async def test_streams_are_limited_and_leave_no_trace(settings: Settings) -> None:
    database = open_database(settings)
    hub = Hub(database, most=MOST_OF_ONE + 2)
    held = [hub.watching(Topic(need_id=1), "one") for _ in range(MOST_OF_ONE)]
    for place in held:
        place.__enter__()
    with pytest.raises(TooManyStreams):
        hub.check_room("one")
    others = [hub.watching(Topic(need_id=1), "two"), hub.watching(Topic(need_id=1), "three")]
    for place in others:
        place.__enter__()
    with pytest.raises(TooManyStreams):
        hub.check_room("four")
    for place in (*held, *others):
        place.__exit__(None, None, None)
    assert not hub.sizes
    hub.close()
    with pytest.raises(TooManyStreams):
        hub.check_room("one")
    await database.close()


async def test_a_stream_shows_that_it_lives_and_survives_a_lost_connection(
    db: Database, settings: Settings, world: World
) -> None:
    database = open_database(settings)
    hub = Hub(database, most=5, beat=0.5)
    running = asyncio.create_task(hub.run())

    async def may() -> bool:
        return True

    need_id = await file_need(db, settings, world, AID_TEXT)
    with hub.watching(Topic(need_id=need_id), "one") as watcher:
        said = hub.stream(watcher, may)
        assert await anext(said) is Said.ALIVE
        async with db.transaction() as tx:
            await tx.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
            )
        await asyncio.sleep(1.5)
        async with db.transaction() as tx:
            await tx.execute(
                "INSERT INTO events (need_id, machine, from_state, action, to_state)"
                " VALUES ($1, 'need', 'proposed', 'offer', 'proposed')",
                need_id,
            )
        with anyio.fail_after(10):
            while await anext(said) is not Said.CHANGED:
                pass
        hub.close()
        with anyio.fail_after(10):
            assert [one async for one in said if one is Said.END] == [], "it ends, and its page will ask again"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await database.close()
