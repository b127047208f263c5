"""The second factor: enrolment, codes that count once, recovery codes, and what is closed without it."""

import asyncio
import re
from collections.abc import AsyncIterator
from time import time

import pyotp
import pytest
from litestar import Litestar

from infra.cipher import Cipher
from infra.db import Database
from infra.settings import Settings
from market.accounts import factors, service
from market.errors import InvalidInput
from tests.conftest import Clone, open_database
from tests.factories import PASSWORD
from tests.web.browsers import SECRET, Browser, site

pytestmark = pytest.mark.anyio


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


class Phone:
    """An app that knows the secret; each code it gives is of a later step, as codes count once."""

    def __init__(self, secret: str) -> None:
        self.totp = pyotp.TOTP(secret)
        self.step = int(time()) // 30 - 2

    def code(self) -> str:
        self.step = max(self.step + 1, int(time()) // 30 - 1)
        return self.totp.generate_otp(self.step)


async def enrol(browser: Browser, login: str) -> tuple[Phone, list[str]]:
    """Somebody logged in with a second factor: the phone and the recovery codes."""
    await browser.log_in(login)
    assert (await browser.send_form("/account/second-factor", password=PASSWORD)).status_code == 303
    page = (await browser.get("/account/second-factor")).text
    assert "<svg" in page
    assert "style=" not in page
    phone = Phone(re.search(r'<code class="wrap">([A-Z2-7]{32})</code>', page)[1])  # type: ignore[index]
    done = await browser.send_form("/account/second-factor/confirm", code=phone.code())
    assert done.status_code == 200
    return phone, re.findall(r"<code>([a-z2-7-]{29})</code>", done.text)


async def until_code(browser: Browser, login: str) -> None:
    answer = await browser.log_in(login)
    assert answer.headers["location"] == "/login/code"
    assert not await browser.is_in()


async def test_from_enrolment_to_the_last_recovery_code(app: Litestar, database: Database) -> None:
    async with Browser(app) as one, Browser(app) as two, Browser(app) as three:
        await two.log_in("enterprise")
        phone, codes = await enrol(one, "enterprise")
        assert len(set(codes)) == 10
        assert await one.is_in()
        assert not await two.is_in(), "a session without the factor has ended"

        await until_code(two, "enterprise")
        wrong = await two.send_form("/login/code", code="000000")
        assert wrong.status_code == 422
        assert "验证码不对" in wrong.text
        code = phone.code()
        assert (await two.send_form("/login/code", code=code)).status_code == 303
        assert await two.is_in()

        await until_code(three, "enterprise")
        assert (await three.send_form("/login/code", code=code)).status_code == 422, "a code counts once"
        assert (await three.send_form("/login/code", code=codes[3].upper())).status_code == 303
        assert await three.is_in()
        assert "还有 9 个恢复码" in (await three.get("/account")).text
    async with database.reading() as tx:
        way = await tx.fetchval("SELECT data ->> 'way' FROM audit WHERE action = 'log_in' ORDER BY id DESC LIMIT 1")
    assert way == "password, code"
    async with Browser(app) as four:
        await until_code(four, "enterprise")
        assert (await four.send_form("/login/code", code=codes[3])).status_code == 422, "used"


async def test_many_with_one_code_and_one_gets_in(app: Litestar, settings: Settings, database: Database) -> None:
    """The race, in PostgreSQL: 20 transactions at once with the same code, and with the same recovery code."""
    async with Browser(app) as browser:
        phone, codes = await enrol(browser, "rival")
    crowd = open_database(settings, size=20)
    cipher = Cipher([SECRET])

    async def attempt(code: str) -> bool:
        try:
            async with crowd.transaction() as tx:
                await factors.check(tx, cipher, account_id, code)
        except InvalidInput:
            return False
        return True

    async with database.reading() as tx:
        account_id = (await service.find(tx, "rival")).id
    for code in (phone.code(), codes[0]):
        won = await asyncio.gather(*(attempt(code) for _try in range(20)))
        assert won.count(True) == 1
    await crowd.close()


async def test_a_code_is_good_for_one_step_to_either_side(
    settings: Settings, database: Database, app: Litestar
) -> None:
    async with Browser(app) as browser:
        phone, _codes = await enrol(browser, "office")
    cipher, now = Cipher([SECRET]), int(time()) // 30
    async with database.reading() as tx:
        account_id = (await service.find(tx, "office")).id
        await tx.execute("UPDATE second_factors SET last_step = 0")
    for aside, fits in ((-3, False), (3, False), (-1, True), (0, True), (1, True), (0, False)):
        try:
            async with database.transaction() as tx:
                await factors.check(tx, cipher, account_id, phone.totp.generate_otp(now + aside))
                found = True
        except InvalidInput:
            found = False
        assert found is fits, aside


async def test_guessing_codes_is_slowed_down(app: Litestar) -> None:
    async with Browser(app) as browser:
        await enrol(browser, "provincial")
    async with Browser(app) as guesser:
        await until_code(guesser, "provincial")
        answers = [(await guesser.send_form("/login/code", code=f"{n:06}")).status_code for n in range(8)]
        assert answers[:4] == [422] * 4
        assert answers[-1] == 429


async def test_a_step_needs_its_password_and_runs_out(app: Litestar, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Browser(app) as browser:
        assert (await browser.get("/login/code")).headers["location"] == "/login"
        browser.cookies.set("zhipei_step", "made-up")
        assert (await browser.send_form("/login/code", code="123456")).headers["location"] == "/login"


async def test_a_secret_that_lies_about_is_no_longer_confirmed(app: Litestar, database: Database) -> None:
    async with Browser(app) as browser:
        await browser.log_in("province")
        await browser.send_form("/account/second-factor", password=PASSWORD)
        secret = re.search(r'"wrap">([A-Z2-7]{32})<', (await browser.get("/account/second-factor")).text)
        assert secret
        async with database.transaction() as tx:
            await tx.execute(
                "UPDATE second_factors SET created_at = now() - interval '16 minutes' WHERE confirmed_at IS NULL"
            )
        late = await browser.send_form("/account/second-factor/confirm", code=Phone(secret[1]).code())
        assert late.status_code == 409
        assert "重新开始" in late.text
        assert "<svg" not in (await browser.get("/account/second-factor")).text.split("<main")[1]
        assert (await browser.log_in("province")).headers["location"] != "/login/code"


async def test_a_changed_password_ends_a_log_in_half_way(app: Litestar, database: Database) -> None:
    async with Browser(app) as one, Browser(app) as two:
        phone, _codes = await enrol(one, "clerk")
        await until_code(two, "clerk")
        await one.send_form("/account/password", password=PASSWORD, new_password="lamp-otter-ninety-rain")
        answer = await two.send_form("/login/code", code=phone.code())
        assert answer.headers["location"] == "/login"
        assert not await two.is_in()


async def test_the_secret_is_sealed_at_rest_and_keys_are_rotated(app: Litestar, database: Database) -> None:
    async with Browser(app) as browser:
        phone, _codes = await enrol(browser, "admin2")
    async with database.transaction() as tx:
        stored = await tx.fetch("SELECT secret FROM second_factors")
        assert all(phone.totp.secret.encode() not in row["secret"] for row in stored)
        both = Cipher(["n" * 32, SECRET])
        assert await factors.reseal(tx, both) == len(stored)
        assert await factors.reseal(tx, both) == 0
        account_id = (await service.find(tx, "admin2")).id
        await factors.check(tx, Cipher(["n" * 32]), account_id, phone.code())
        await tx.execute("ROLLBACK")
        await tx.execute("BEGIN")


async def test_it_is_turned_off_with_the_password_only(app: Litestar) -> None:
    async with Browser(app) as one, Browser(app) as two:
        await enrol(one, "coordinator2")
        assert (await one.send_form("/account/second-factor/remove", password="not it at all")).status_code == 422
        new = await one.send_form("/account/second-factor/codes", password=PASSWORD)
        assert len(re.findall(r"<code>([a-z2-7-]{29})</code>", new.text)) == 10
        assert (await one.send_form("/account/second-factor/remove", password=PASSWORD)).status_code == 303
        assert await one.is_in()
        assert (await two.log_in("coordinator2")).headers["location"] == "/queue"


async def test_where_it_is_required_nothing_else_opens_without(settings: Settings, database: Database) -> None:
    async with site(settings, require_totp=True) as app, Browser(app) as one, Browser(app) as firm:
        assert (await one.log_in("coordinator")).status_code == 303
        async with database.transaction() as tx:
            token = await service.create_token(tx, "coordinator", "test", 1)
        bearer = {"Authorization": f"Bearer {token}"}
        for path in ("/queue", "/account", "/account/password", "/", "/offerings", "/needs"):
            assert (await one.get(path)).headers["location"] == "/account/second-factor", path
        assert (await one.send_form("/account/sessions/end")).headers["location"] == "/account/second-factor"
        refused = await one.get("/api/v1/me", headers=bearer)
        assert refused.status_code == 403
        assert refused.json()["type"] == "/problems/second-factor-missing"
        await enrol(one, "coordinator")
        assert (await one.get("/queue")).status_code == 200
        assert (await one.get("/api/v1/me", headers=bearer)).status_code == 200
        assert (await one.send_form("/account/second-factor/remove", password=PASSWORD)).status_code == 403
        await firm.log_in("province")
        assert (await firm.send_form("/logout")).status_code == 303
