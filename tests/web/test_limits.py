"""Limits, each by its effect: log-ins, classes of route, sizes, requests at once. On real Redis, and without it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from litestar import Litestar
from msgspec import structs
from redis.asyncio import Redis

from infra.limits import Limiter, Rule, rate
from infra.settings import Settings
from market.limiting import network
from tests.conftest import Clone
from tests.factories import World
from tests.web.browsers import Browser, site

pytestmark = pytest.mark.anyio

NUMBERS = itertools.count()
AWAY = "redis://127.0.0.1:1/0"


@pytest.fixture(scope="module")
async def base(clone: Clone) -> Settings:
    return await clone()


@pytest.fixture
async def fresh(base: Settings) -> Settings:
    """Counts of its own: what is counted in Redis hangs on the database's address."""
    url = f"{base.database_url}{'&' if '?' in str(base.database_url) else '?'}application_name=t{next(NUMBERS)}"
    return structs.replace(base, database_url=url)


@pytest.fixture
async def redis(fresh: Settings) -> AsyncIterator[Redis]:
    client = Redis.from_url(str(fresh.redis_url))
    yield client
    await client.aclose()


class Clock:
    """A time that stands."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


# the counting --------------------------------------------------------------------------------------------------------

RULES: Mapping[str, Rule] = {"a": rate(3, 60), "b": Rule(2, 1.0, longest=8.0, memory=100.0), "c": rate(5, 10)}
steps = st.lists(
    st.tuples(
        st.lists(st.sampled_from(sorted(RULES)), min_size=1, max_size=3, unique=True),
        st.sampled_from([0.0, 0.5, 3.0, 30.0, 200.0]),
        st.sampled_from(["count", "count", "count", "forget", "give back"]),
    ),
    max_size=25,
)


@given(steps=steps)
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_process_counts_as_redis_does(servers: Settings, steps: list[tuple[list[str], float, str]]) -> None:
    async def both() -> None:
        there = Redis.from_url(str(servers.redis_url))
        nowhere = Redis.from_url(AWAY)
        clock = Clock()
        name = f"test:{id(steps)}:{clock.now}"
        one, other = Limiter(there, name, clock), Limiter(nowhere, name, clock)
        await one.forget(sorted(RULES))
        for keys, later, what in steps:
            clock.now += later
            if what == "count":
                rules = {key: RULES[key] for key in keys}
                assert await one.wait(rules) == pytest.approx(await other.wait(rules), abs=1e-3)
            for limiter in (one, other):
                if what == "forget":
                    await limiter.forget(keys)
                if what == "give back":
                    await limiter.give_back(keys[0])
        await there.aclose()
        await nowhere.aclose()

    asyncio.run(both())


async def test_of_many_at_once_only_so_many_pass(redis: Redis) -> None:
    limiter = Limiter(redis, "test:crowd", Clock())
    waits = await asyncio.gather(*(limiter.wait({"x": rate(7, 60)}) for _try in range(50)))
    assert waits.count(0) == 7
    await limiter.forget(["x"])


async def test_the_wait_doubles_up_to_its_limit_and_is_forgotten(redis: Redis) -> None:
    clock = Clock()
    limiter = Limiter(redis, "test:growing", clock)
    rule, waits = {"x": Rule(2, 1.0, longest=10.0, memory=60.0)}, []
    for _try in range(8):
        if wait := await limiter.wait(rule):
            waits.append(round(wait, 3))
            clock.now += wait
            assert await limiter.wait(rule) == 0
    assert waits == [1, 2, 4, 8, 10, 10]
    await limiter.forget(["x"])
    assert await limiter.wait(rule) == 0
    await limiter.forget(["x"])


def test_who_is_one_address() -> None:
    assert network("10.1.2.3") == "10.1.2.3"
    assert network("2001:db8:1:2:3::4") == network("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert network("::ffff:10.1.2.3") == "10.1.2.3"
    assert network("unix") == "unix"


# log-in --------------------------------------------------------------------------------------------------------------


async def guess(app: Litestar, login: str, address: str, times: int) -> list[int]:
    async with Browser(app, address=address) as browser:
        return [(await browser.log_in(login, "wrong password")).status_code for _try in range(times)]


async def test_wrong_passwords_make_wait_and_the_right_one_after_it_passes(fresh: Settings) -> None:
    async with site(fresh) as app, Browser(app) as browser:
        assert await guess(app, "rival", "127.0.0.1", 4) == [422, 422, 422, 429]
        told = await browser.log_in("rival")
        assert told.status_code == 429
        seconds = int(told.headers["retry-after"])
        assert seconds == 1
        assert "1 秒再试" in told.text
        await asyncio.sleep(seconds)
        assert (await browser.log_in("rival")).status_code == 303
        assert await guess(app, "rival", "127.0.0.1", 3) == [422, 422, 422], "counted anew"


async def test_at_the_same_moment_no_more_are_tried(fresh: Settings) -> None:
    async with site(fresh) as app:
        app.state.services.limiter._clock = Clock()  # a hash may take a second here
        answers = await asyncio.gather(*(guess(app, "rival", "127.0.0.1", 1) for _try in range(20)))
        assert sum(one == [422] for one in answers) == 3


async def test_a_login_is_written_in_many_ways_and_is_one(fresh: Settings) -> None:
    async with site(fresh) as app:
        app.state.services.limiter._clock = Clock()  # a hash may take a second here
        answers = [(await guess(app, login, "127.0.0.1", 1))[0] for login in ("rival", "RIVAL", " rival", "rIvAl ")]
        assert answers[-1] == 429


async def test_strangers_keep_nobody_out_where_he_logs_in(fresh: Settings) -> None:
    async with site(fresh) as app, Browser(app, address="10.9.9.9") as owner:
        app.state.services.limiter._clock = Clock()  # a hash may take a second here
        assert (await owner.log_in("rival")).status_code == 303
        crowd = [(await guess(app, "rival", f"10.0.0.{n}", 1))[0] for n in range(25)]
        assert 429 in crowd, "over all addresses there are too many"
        await owner.send_form("/logout")
        assert (await owner.log_in("rival")).status_code == 303


async def test_an_address_that_tries_many_accounts_waits(fresh: Settings) -> None:
    async with site(fresh, login_attempts=1) as app:
        app.state.services.limiter._clock = Clock()  # a hash may take a second here
        answers = [(await guess(app, f"somebody{n}", "10.0.0.1", 1))[0] for n in range(22)]
        assert answers[:20] == [422] * 20
        assert 429 in answers[20:]
        assert await guess(app, "rival", "10.0.0.2", 1) == [422]


async def test_without_redis_log_ins_are_counted_by_the_process(fresh: Settings) -> None:
    async with site(fresh, redis_url=AWAY) as app:
        app.state.services.limiter._clock = Clock()  # a hash may take a second here
        assert await guess(app, "rival", "127.0.0.1", 5) == [422, 422, 422, 429, 429]


# classes of route ----------------------------------------------------------------------------------------------------

CLASSES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("searches_per_minute", "GET", "/offerings", {}),
    ("searches_per_minute", "GET", "/search", {"params": {"q": "专利"}}),
    ("searches_per_minute", "GET", "/api/v1/search", {"params": {"q": "专利"}}),
    ("searches_per_minute", "GET", "/api/v1/suggest", {"params": {"q": "专利"}}),
    ("searches_per_minute", "GET", "/api/v1/offerings", {}),
    ("searches_per_minute", "GET", "/api/v1/institutions", {}),
    ("searches_per_minute", "GET", "/api/v1/items", {}),
    ("searches_per_minute", "GET", "/institutions", {}),
    ("searches_per_minute", "GET", "/items", {}),
    ("exports_per_minute", "GET", "/api/v1/exports/lists", {"params": {"format": "csv"}}),
    ("writes_per_minute", "POST", "/api/v1/needs", {"json": {}}),
    ("writes_per_minute", "POST", "/api/v1/needs/1/take", {"json": {}}),
    ("writes_per_minute", "PUT", "/api/v1/rules/440300", {"json": {}}),
    ("writes_per_minute", "POST", "/needs/1/withdraw", {"data": {}}),
    ("registrations_per_hour", "POST", "/register", {"data": {}}),
]


@pytest.mark.parametrize(("setting", "method", "path", "given"), CLASSES, ids=lambda one: str(one)[:30])
async def test_each_class_has_its_limit(
    fresh: Settings, setting: str, method: str, path: str, given: dict[str, Any]
) -> None:
    async with site(fresh, **{setting: 2}) as app, Browser(app) as browser:
        app.state.services.limiter._clock = Clock()
        if not path.startswith("/api/"):
            await browser.get("/login")
            if method == "POST":
                given = {"data": {"_csrf_token": browser.cookies["zhipei_csrf"]}}
        answers = [await browser.request(method, path, **given) for _try in range(11)]
        assert [one.status_code for one in answers[:10]].count(429) == 0, "five times as many from one address"
        told = answers[10]
        assert told.status_code == 429
        assert int(told.headers["retry-after"]) >= 1
        if path.startswith("/api/"):
            assert told.headers["content-type"] == "application/problem+json"
            assert told.json()["type"] == "/problems/too-many-requests"
        else:
            assert "再试" in told.text
        async with Browser(app, address="10.0.0.9") as elsewhere:
            assert (await elsewhere.get("/offerings")).status_code == 200


async def test_an_account_has_its_own_limit_wherever_it_is(fresh: Settings, world: World) -> None:
    async with site(fresh, searches_per_minute=2) as app:
        app.state.services.limiter._clock = Clock()
        token = {"Authorization": f"Bearer {world.token('rival')}"}
        other = {"Authorization": f"Bearer {world.token('enterprise')}"}
        answers = []
        for n in range(3):
            async with Browser(app, address=f"10.0.1.{n}") as browser:
                answers.append((await browser.get("/api/v1/offerings", headers=token)).status_code)
        assert answers == [200, 200, 429]
        async with Browser(app, address="10.0.1.0") as browser:
            assert (await browser.get("/api/v1/offerings", headers=other)).status_code == 200


async def test_every_route_that_changes_something_is_of_a_class(app: Litestar) -> None:
    """By the route table: none can be forgotten, for it is the method that counts."""
    exempt = [
        (route.path, handler.opt.get("limits"))
        for route in app.routes
        for handler in getattr(route, "route_handlers", [])
        if handler.http_methods & {"POST", "PUT", "PATCH", "DELETE"}
        and handler.opt.get("limits", "write") not in ("write", "search", "register")
    ]
    assert exempt == []


# sizes and numbers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/v1/needs", "/login"])
async def test_a_body_too_large_is_told_in_words(fresh: Settings, world: World, path: str) -> None:
    async with site(fresh, body_bytes=2000) as app, Browser(app) as browser:
        headers = {"Authorization": f"Bearer {world.token('enterprise')}", "Idempotency-Key": "k"}

        async def parts() -> AsyncIterator[bytes]:
            for _part in range(5):
                yield b"x" * 1000

        kind = "application/json" if path.startswith("/api") else "application/x-www-form-urlencoded"
        for content in (b"x" * 5000, parts()):
            answer = await browser.post(path, content=content, headers={**headers, "content-type": kind})
            assert answer.status_code == 413
            assert "太大" in answer.text


async def test_more_at_once_than_the_process_bears_are_told_to_come_again(fresh: Settings) -> None:
    async with site(fresh, requests_at_once=2, hash_threads=1) as app:
        browsers = [Browser(app, address=f"10.0.0.{n}") for n in range(2)]
        for browser in browsers:
            await browser.get("/login")
        busy = [asyncio.create_task(browser.log_in("rival", "wrong password")) for browser in browsers]
        await asyncio.sleep(0.02)
        async with Browser(app) as other:
            page, api = await other.get("/offerings"), await other.get("/api/v1/offerings")
            alive = await other.get("/healthz")
        assert (page.status_code, api.status_code, alive.status_code) == (503, 503, 200)
        assert page.headers["retry-after"] == api.headers["retry-after"] == "3"
        assert "几秒" in page.text
        assert api.json()["type"] == "/problems/unavailable"
        assert {one.status_code for one in await asyncio.gather(*busy)} == {422}
        async with Browser(app) as other:
            assert (await other.get("/offerings")).status_code == 200


async def test_a_body_that_never_comes_is_given_up(fresh: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("market.answering.BODY_SECONDS", 0.1)

    async def slow() -> AsyncIterator[bytes]:
        yield b"login="
        await asyncio.sleep(0.5)
        yield b"x"

    async with site(fresh) as app, Browser(app) as browser:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = await browser.post("/login", content=slow(), headers=headers)
        assert answer.status_code == 408


async def test_nothing_is_hindered_as_shipped(fresh: Settings) -> None:
    """A person at work: a page a second, a change every other second."""
    limits = {name: Settings.__struct_defaults__[Settings.__struct_fields__.index(name)] for name in (
        "searches_per_minute", "writes_per_minute", "exports_per_minute", "registrations_per_hour")}  # fmt: skip
    assert limits["searches_per_minute"] >= 60
    assert limits["writes_per_minute"] >= 30
    async with site(fresh, **limits) as app, Browser(app) as browser:
        answers: list[httpx.Response] = [await browser.get("/offerings") for _page in range(60)]
        assert {one.status_code for one in answers} == {200}
