"""Sessions and passwords: who gets in, for how long, and what ends it. On real Redis and PostgreSQL."""

import asyncio
import re
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from click.testing import CliRunner
from litestar import Litestar
from msgspec import structs
from redis.asyncio import Redis

from infra.db import Database
from infra.settings import Settings
from market.accounts import service
from market.accounts.passwords import Hasher
from market.accounts.sessions import Sessions
from market.cli import main
from market.errors import Busy
from tests.conftest import Clone, open_database
from tests.factories import PASSWORD
from tests.web.browsers import SECRET, Browser, site

pytestmark = pytest.mark.anyio

NEW = "lamp-otter-ninety-rain"
AWAY = "redis://127.0.0.1:1/0"


@pytest.fixture(scope="module")
async def settings(clone: Clone) -> Settings:
    return await clone()


@pytest.fixture(scope="module")
async def app(settings: Settings) -> AsyncIterator[Litestar]:
    async with site(settings) as application:
        yield application


@pytest.fixture(scope="module")
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = open_database(settings)
    yield database
    await database.close()


@pytest.fixture
async def browsers(app: Litestar) -> AsyncIterator[list[Browser]]:
    async with Browser(app) as one, Browser(app, headers={"user-agent": "Mozilla/5.0 (iPhone) Safari"}) as two:
        yield [one, two]


async def set_password(database: Database, login: str, password: str) -> None:
    await service.set_password(database, Hasher(1), login, password, shortest=10)


# sessions ------------------------------------------------------------------------------------------------------------


async def test_the_session_changes_at_log_in_and_the_old_one_ends(browsers: list[Browser]) -> None:
    one, other = browsers
    await one.log_in("rival")
    before = one.session
    await one.log_in("enterprise")
    assert one.session not in ("", before)
    other.cookies.set("zhipei_session", before)
    assert not await other.is_in()


async def test_redis_knows_only_hashes(browsers: list[Browser], settings: Settings) -> None:
    await browsers[0].log_in("rival")
    redis = Redis.from_url(str(settings.redis_url))
    keys = [key async for key in redis.scan_iter(f"{settings.namespace}:*")]
    values = [await redis.get(key) for key in keys if await redis.type(key) == b"string"]
    await redis.aclose()
    assert len(values) > 0
    assert all(browsers[0].session.encode() not in one for one in (*keys, *values))


async def test_a_session_ends_when_idle(settings: Settings, browsers: list[Browser]) -> None:
    await browsers[0].log_in("rival")
    redis = Redis.from_url(str(settings.redis_url))
    (key, *_) = [key async for key in redis.scan_iter(f"{settings.namespace}:session:*")]
    assert 0 < await redis.ttl(key) <= settings.session_hours * 3600
    for key in [key async for key in redis.scan_iter(f"{settings.namespace}:session:*")]:
        await redis.pexpire(key, 30)
    await redis.aclose()
    await asyncio.sleep(0.1)
    assert not await browsers[0].is_in()


async def test_a_session_ends_at_its_absolute_limit_however_much_is_done(
    settings: Settings, browsers: list[Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    await browsers[0].log_in("rival")
    started = time.time()
    monkeypatch.setattr(time, "time", lambda: started + (settings.session_most_hours - 1) * 3600)
    assert await browsers[0].is_in()
    monkeypatch.setattr(time, "time", lambda: started + settings.session_most_hours * 3600 + 1)
    assert not await browsers[0].is_in()


async def test_devices_are_listed_and_one_is_signed_out(browsers: list[Browser]) -> None:
    one, two = browsers
    for browser in browsers:
        await browser.log_in("office")
    page = (await one.get("/account")).text
    assert "Safari · iPhone" in page
    assert "这台设备" in page
    (path,) = re.findall(r'action="(/account/sessions/\w{16}/end)"', page)
    assert (await one.send_form(path)).status_code == 303
    assert not await two.is_in()
    assert await one.is_in()


async def test_nobody_signs_out_a_stranger(browsers: list[Browser]) -> None:
    one, two = browsers
    await one.log_in("office")
    await two.log_in("provincial")
    page = (await one.get("/account")).text
    assert "/account/sessions/end" in page
    redis_id = service.hash_token(two.session).hex()[:16]
    await one.send_form(f"/account/sessions/{redis_id}/end")
    assert await two.is_in()


async def test_all_others_are_signed_out_at_once(browsers: list[Browser]) -> None:
    one, two = browsers
    for browser in browsers:
        await browser.log_in("office")
    before = one.session
    assert (await one.send_form("/account/sessions/end")).status_code == 303
    assert one.session != before
    assert await one.is_in()
    assert not await two.is_in()


async def test_an_account_has_only_so_many_sessions(settings: Settings, app: Litestar) -> None:
    held = app.state.services
    sessions: Sessions = held.sessions
    async with Browser(app) as browser:
        await browser.log_in("clerk")
        first = browser.session
        found = await sessions.find(first)
        assert found is not None
        others = [
            await sessions.start(structs.replace(found, token="", started=found.started + n)) for n in range(1, 31)
        ]
        assert await sessions.find(first) is None
        assert len(await sessions.of(found.account_id, found.epoch)) == 30
        assert await sessions.find(others[0]) is not None


async def test_a_disabled_account_is_out_at_once_and_its_tokens_too(
    app: Litestar, database: Database, browsers: list[Browser]
) -> None:
    await browsers[0].log_in("coordinator2")
    async with database.transaction() as tx:
        token = await service.create_token(tx, "coordinator2", "test", 1)
        await service.set_disabled(tx, "coordinator2", disabled=True)
    assert not await browsers[0].is_in()
    headers = {"Authorization": f"Bearer {token}"}
    assert (await browsers[0].get("/api/v1/me", headers=headers)).status_code == 401
    assert (await browsers[0].log_in("coordinator2")).status_code == 422
    async with database.transaction() as tx:
        await service.set_disabled(tx, "coordinator2", disabled=False)
    assert not await browsers[0].is_in()
    assert (await browsers[0].log_in("coordinator2")).status_code == 303


# cookies -------------------------------------------------------------------------------------------------------------


async def test_cookies_over_tls_have_the_host_prefix(settings: Settings) -> None:
    async with site(settings, secure_cookies=True) as app, Browser(app, scheme="https") as browser:
        answer = await browser.log_in("rival")
        (cookie,) = [line for line in answer.headers.get_list("set-cookie") if "session" in line]
        assert cookie.startswith("__Host-zhipei_session=")
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "secure", "path=/", "samesite=lax"} <= parts
        assert not any(part.startswith("domain") for part in parts)
        (csrf,) = (await Browser(app, scheme="https").get("/login")).headers.get_list("set-cookie")
        assert csrf.startswith("__Host-zhipei_csrf=")
        assert {"httponly", "secure", "path=/"} <= {part.strip().lower() for part in csrf.split(";")[1:]}
        chosen = await browser.send_form("/preferences", theme="dark", lang="en")
        assert {line.partition("=")[0] for line in chosen.headers.get_list("set-cookie")} == {
            "__Host-zhipei_theme",
            "__Host-zhipei_lang",
        }
        assert 'data-theme="dark"' in (await browser.get("/account")).text
        assert await browser.is_in()
        gone = await browser.send_form("/logout")
        (cookie,) = [line for line in gone.headers.get_list("set-cookie") if "session" in line]
        assert "Max-Age=0" in cookie
        assert "Secure" in cookie
        assert not await browser.is_in()


async def test_a_form_without_its_token_changes_nothing(browsers: list[Browser]) -> None:
    await browsers[0].log_in("rival")
    for form in ({}, {"_csrf_token": "x" * 128}, {"_csrf_token": browsers[0].cookies["zhipei_csrf"][:-1] + "0"}):
        answer = await browsers[0].post("/account/sessions/end", data=form)
        if form.get("_csrf_token") != browsers[0].cookies["zhipei_csrf"]:
            assert answer.status_code == 403


# passwords -----------------------------------------------------------------------------------------------------------


async def test_a_changed_password_ends_all_other_sessions(app: Litestar, database: Database) -> None:
    async with Browser(app) as one, Browser(app) as two:
        await one.log_in("institution")
        await two.log_in("institution")
        before = one.session
        wrong = await one.send_form("/account/password", password="not it at all", new_password=NEW)
        assert wrong.status_code == 422
        assert "密码不对" in wrong.text
        done = await one.send_form("/account/password", password=PASSWORD, new_password=NEW)
        assert done.headers["location"] == "/account?done=password"
        assert one.session != before
        assert await one.is_in()
        assert not await two.is_in()
        assert (await two.log_in("institution")).status_code == 422
        assert (await two.log_in("institution", NEW)).status_code == 303
    await set_password(database, "institution", PASSWORD)


async def test_every_blank_of_a_password_counts(app: Litestar, database: Database) -> None:
    """The terminal takes a password as it is typed, and so do pages: else one of the two could not be used."""
    spaced = "  three quiet otters "
    await set_password(database, "institution", spaced)
    async with Browser(app) as browser:
        assert (await browser.log_in("institution", spaced.strip())).status_code == 422
        assert (await browser.log_in("institution", spaced)).status_code == 303
    await set_password(database, "institution", PASSWORD)


@pytest.mark.parametrize("new", ["short", "woaini1314", "5201314520", "password2026", "institution-99", "qwertyuiop1"])
async def test_a_password_that_is_guessed_is_refused(browsers: list[Browser], new: str) -> None:
    await browsers[0].log_in("institution")
    answer = await browsers[0].send_form("/account/password", password=PASSWORD, new_password=new)
    assert answer.status_code == 422
    assert (await Browser.log_in(browsers[1], "institution")).status_code == 303


async def test_a_password_changed_at_the_terminal_ends_sessions(browsers: list[Browser], database: Database) -> None:
    await browsers[0].log_in("province")
    await set_password(database, "province", PASSWORD)
    assert not await browsers[0].is_in()


async def test_a_log_in_overtaken_by_a_new_password_lets_nobody_in(app: Litestar, database: Database) -> None:
    """The password is checked outside of any transaction: what was read before must not count after the change."""
    known = await service.log_in(database, Hasher(1), "province", PASSWORD)
    await set_password(database, "province", PASSWORD)
    held = app.state.services
    async with Browser(app) as browser:
        await browser.log_in("rival")
        found = await held.sessions.find(browser.session)
        token = await held.sessions.start(
            structs.replace(found, token="", account_id=known.id, epoch=known.session_epoch)
        )
        browser.cookies.set("zhipei_session", token)
        assert not await browser.is_in()


async def test_hashing_holds_no_connection(settings: Settings) -> None:
    """One connection, and many who log in at the same time: the page of somebody else does not wait for them."""
    async with site(settings, db_connections=1, db_wait_seconds=0.2, login_attempts=100) as app:
        guessers = [Browser(app, address=f"10.0.0.{n}") for n in range(12)]
        for one in guessers:
            await one.get("/login")
        tries = [asyncio.create_task(one.log_in("rival", "wrong password")) for one in guessers]
        await asyncio.sleep(0.05)
        async with Browser(app) as reader:
            answers = [(await reader.get("/register")).status_code for _try in range(5)]
        assert answers == [200] * 5
        assert {one.status_code for one in await asyncio.gather(*tries)} == {422}


async def test_more_than_can_be_hashed_are_told_to_come_again() -> None:
    hasher = Hasher(1)
    running = [asyncio.create_task(hasher.fits("x", None)) for _try in range(17)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await hasher.fits("x", None)
    assert await asyncio.gather(*running) == [False] * 17
    assert not await hasher.fits("x", None)


async def test_neither_words_nor_time_tell_whether_a_login_exists(settings: Settings, database: Database) -> None:
    hasher = Hasher(1)
    async with site(settings, login_attempts=100) as app, Browser(app) as browser:
        await browser.log_in("rival")  # its hash now has the parameters of real ones
        await browser.send_form("/logout")
        texts, seconds = {}, {}
        for login in ("rival", "nobody-of-that-name"):
            taken = []
            for _try in range(5):
                started = time.perf_counter()
                with pytest.raises(service.InvalidInput) as told:
                    await service.log_in(database, hasher, login, "wrong password")
                taken.append(time.perf_counter() - started)
            texts[login], seconds[login] = told.value.fields, sorted(taken)[2]
    assert texts["rival"] == texts["nobody-of-that-name"]
    assert 0.4 < seconds["rival"] / seconds["nobody-of-that-name"] < 2.5


# reset ---------------------------------------------------------------------------------------------------------------


def zhipei(settings: Settings, *words: str, fails: bool = False) -> str:
    """What a command prints."""
    env = {
        "ZHIPEI_DATABASE_URL": str(settings.database_url),
        "ZHIPEI_REDIS_URL": str(settings.redis_url),
        "ZHIPEI_SECRET": SECRET,
        "ZHIPEI_PUBLIC_URL": "http://test",
    }
    result = CliRunner().invoke(main, words, env=env)
    assert (result.exit_code != 0) is fails, result.output
    return result.output.strip()


def reset_link(settings: Settings, login: str) -> str:
    return zhipei(settings, "account", "reset", login)


async def test_a_reset_link_works_once_and_ends_sessions(
    settings: Settings, browsers: list[Browser], database: Database
) -> None:
    one, two = browsers
    await two.log_in("admin2")
    link = await asyncio.to_thread(reset_link, settings, "admin2")
    assert link.startswith("http://test/reset?token=")
    assert (await one.get(link)).status_code == 200
    token = link.partition("token=")[2]
    weak = await one.send_form("/reset", token=token, new_password="1234567890")
    assert weak.status_code == 422
    answers = await asyncio.gather(*(one.send_form("/reset", token=token, new_password=f"{NEW}-{n}") for n in range(4)))
    assert sorted(answer.status_code for answer in answers)[0] == 303
    assert [answer.status_code for answer in answers].count(303) == 1
    assert not await two.is_in()
    assert (await one.get(link)).status_code == 404
    await set_password(database, "admin2", PASSWORD)


@pytest.mark.parametrize("token", ["", "x", "A" * 200, "sealed.abc"])
async def test_a_link_of_nobody_is_told_in_words(client: httpx.AsyncClient, token: str) -> None:
    answer = await client.get("/reset", params={"token": token})
    assert answer.status_code == 404
    assert "再要一个" in answer.text


async def test_a_link_runs_out(settings: Settings, browsers: list[Browser], monkeypatch: pytest.MonkeyPatch) -> None:
    link = await asyncio.to_thread(reset_link, settings, "admin")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3601)
    assert (await browsers[0].get(link)).status_code == 404


async def test_the_page_for_a_forgotten_password_asks_and_tells_nothing(client: httpx.AsyncClient) -> None:
    page = (await client.get("/forgot")).text
    assert "<input" not in page.split("<main", 1)[1].split("</main>")[0]


def test_the_commands_say_what_they_did_and_what_they_cannot(settings: Settings) -> None:
    new = ("account", "create", "lixia", "--name", "李夏", "--role", "admin", "--password")
    weak = zhipei(settings, *new, "woaini1314", fails=True)
    assert "很常见" in weak
    assert "lixia (admin)" in zhipei(settings, *new, NEW)
    assert "已有人使用" in zhipei(settings, *new, NEW, fails=True)
    assert "new password" in zhipei(settings, "account", "password", "lixia", "--password", f"{NEW}-2")
    assert "disabled" in zhipei(settings, "account", "disable", "lixia")
    assert "没有登录名为 lixia" in zhipei(settings, "account", "reset", "lixia", fails=True)
    assert "let in again" in zhipei(settings, "account", "disable", "lixia", "--undo")
    assert "没有设置两步验证" in zhipei(settings, "account", "forget-factor", "lixia", fails=True)


# Redis away ----------------------------------------------------------------------------------------------------------


async def test_people_log_in_and_out_while_redis_is_away(settings: Settings, database: Database) -> None:
    async with site(settings, redis_url=AWAY) as app, Browser(app) as one, Browser(app) as two:
        assert (await one.log_in("enterprise")).status_code == 303
        assert one.session.startswith("sealed.")
        assert await one.is_in()
        kept = one.session
        assert (await one.send_form("/logout")).status_code == 303
        assert not await one.is_in()
        two.cookies.set("zhipei_session", kept)
        assert not await two.is_in()
        for _wrong in range(3):
            await two.log_in("enterprise", "wrong password")
        assert (await two.log_in("enterprise", "wrong password")).status_code == 429


async def test_a_sealed_session_runs_out_and_cannot_be_made_up(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(settings, redis_url=AWAY) as app, Browser(app) as browser:
        await browser.log_in("enterprise")
        real = browser.session
        for made_up in (real[:-2] + "AA", "sealed.", "sealed.AAAA", real.removeprefix("sealed.")):
            browser.cookies.set("zhipei_session", made_up)
            assert not await browser.is_in()
        browser.cookies.set("zhipei_session", real)
        assert await browser.is_in()
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 15 * 60 + 1)
        assert not await browser.is_in()


async def test_a_lost_redis_asks_to_log_in_again(settings: Settings, browsers: list[Browser]) -> None:
    await browsers[0].log_in("enterprise")
    redis = Redis.from_url(str(settings.redis_url))
    for key in [key async for key in redis.scan_iter(f"{settings.namespace}:*")]:
        await redis.delete(key)
    await redis.aclose()
    answer = await browsers[0].get("/account")
    assert answer.headers["location"].startswith("/login?next=")
    assert (await browsers[0].log_in("enterprise")).status_code == 303
