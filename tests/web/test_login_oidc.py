"""Log-in through an OpenID provider that really runs: what is accepted, and everything that is not."""

import time
from collections.abc import AsyncIterator
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from litestar import Litestar

from infra.db import Database
from infra.settings import Settings
from market.enterprises.uscc import generate
from tests.conftest import Clone, open_database
from tests.factories import PASSWORD
from tests.provider import CLIENT_ID, CLIENT_SECRET, Provider, free_port, running
from tests.web.browsers import Browser, site

pytestmark = pytest.mark.anyio

NEW = "lamp-otter-ninety-rain"


@pytest.fixture(scope="module")
async def settings(clone: Clone) -> Settings:
    return await clone()


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    port = free_port()
    one = Provider(f"http://127.0.0.1:{port}")
    async with running(one, port):
        yield one


@pytest.fixture
async def app(settings: Settings, provider: Provider) -> AsyncIterator[Litestar]:
    async with site(
        settings,
        public_url="http://test",
        oidc_issuer=provider.issuer,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=CLIENT_SECRET,
        oidc_name="市统一身份平台",
    ) as application:
        yield application


@pytest.fixture
async def browser(app: Litestar) -> AsyncIterator[Browser]:
    async with Browser(app) as one:
        yield one


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = open_database(settings)
    yield database
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM identities")
    await database.close()


async def there_and_back(browser: Browser, wanted: str = "") -> str:
    """From our page to the provider, which answers with the address to come back to."""
    gone = await browser.get("/login/oidc", params={"next": wanted})
    assert gone.status_code == 303, gone.text
    async with httpx.AsyncClient(trust_env=False) as outside:
        back = await outside.get(gone.headers["location"])
    assert back.status_code == 302, back.text
    return back.headers["location"]


async def sign_in(browser: Browser, wanted: str = "") -> httpx.Response:
    return await browser.get(await there_and_back(browser, wanted))


async def refused(answer: httpx.Response, status: int = 400) -> None:
    assert answer.status_code == status
    assert "用密码登录" in answer.text


async def test_what_is_asked_of_the_provider(browser: Browser, provider: Provider) -> None:
    address = urlsplit((await browser.get("/login/oidc")).headers["location"])
    asked = {name: value[0] for name, value in parse_qs(address.query).items()}
    assert asked["response_type"] == "code"
    assert asked["redirect_uri"] == "http://test/login/oidc/callback"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) == len(asked["nonce"]) == len(asked["code_challenge"]) == 43
    assert "市统一身份平台" in (await browser.get("/login")).text


async def test_an_unknown_identity_is_linked_after_a_log_in(
    browser: Browser, app: Litestar, database: Database
) -> None:
    first = await sign_in(browser, "/needs")
    assert first.headers["location"] == "/login/identity"
    assert "赵敏" in (await browser.get("/login/identity")).text
    assert not await browser.is_in()
    await browser.log_in("enterprise")
    assert "关联" in (await browser.get("/account/identity")).text
    wrong = await browser.send_form("/account/identity", password="not the password")
    assert wrong.status_code == 422, "an open browser alone is no reason to give a key away"
    assert "赵敏" in wrong.text
    linked = await browser.send_form("/account/identity", password=PASSWORD)
    assert linked.headers["location"] == "/account?done=linked"
    async with Browser(app) as another:
        again = await sign_in(another, "/needs")
        assert again.headers["location"] == "/needs"
        assert await another.is_in()
        assert "已关联" in (await another.get("/account")).text
        await another.send_form("/account/identity/remove")
    async with Browser(app) as third:
        assert (await sign_in(third)).headers["location"] == "/login/identity"


async def test_nobody_is_linked_by_a_login_or_name_that_fits(
    browser: Browser, provider: Provider, database: Database
) -> None:
    provider.person = {"sub": "u-9", "preferred_username": "admin", "email": "admin@test", "email_verified": True}
    assert (await sign_in(browser)).headers["location"] == "/login/identity"
    assert not await browser.is_in()


async def test_an_identity_registers_an_enterprise(browser: Browser, app: Litestar, database: Database) -> None:
    await sign_in(browser)
    page = (await browser.get("/register")).text
    assert 'value="赵敏"' in page
    assert 'value="zhaomin"' in page
    form = {
        "name": "深圳丙光电有限公司",
        "uscc": generate(Random(7), department="9", kind="1", region="440305"),
        "kind": "hnte",
        "region_code": "440305",
        "contact_name": "赵敏",
        "contact_phone": "0755-00000002",
        "login": "zhaomin",
        "password": NEW,
        "link": "1",
    }
    assert (await browser.send_form("/register", **form)).status_code == 303
    assert await browser.is_in()
    async with Browser(app) as another:
        await sign_in(another)
        assert await another.is_in()


async def test_an_identity_has_one_account(browser: Browser, app: Litestar, database: Database) -> None:
    async with Browser(app) as other:
        await sign_in(other)
        await sign_in(browser)
        await other.log_in("rival")
        await browser.log_in("enterprise")
        assert (await other.send_form("/account/identity", password=PASSWORD)).status_code == 303
        assert (await browser.send_form("/account/identity", password=PASSWORD)).status_code == 409


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another-client"},
        {"aud": [CLIENT_ID, "another"], "azp": "another"},
        {"exp": int(time.time()) - 3600},
        {"iss": "http://127.0.0.1:1"},
        {"sub": None},
    ],
    ids=str,
)
async def test_a_wrong_identity_token_lets_nobody_in(
    browser: Browser, provider: Provider, database: Database, lie: dict[str, Any]
) -> None:
    provider.says = lie
    await refused(await sign_in(browser))
    assert not await browser.is_in()
    assert (await browser.get("/login/identity")).headers["location"] == "/login"


async def test_a_token_signed_by_somebody_else_lets_nobody_in(browser: Browser, provider: Provider) -> None:
    provider.renew_keys("k1", publish=False)
    await refused(await sign_in(browser))


async def test_the_providers_new_keys_are_read(browser: Browser, provider: Provider) -> None:
    await sign_in(browser)
    provider.renew_keys("k2")
    assert (await sign_in(browser)).headers["location"] == "/login/identity"


async def test_what_came_back_once_does_not_count_again(browser: Browser, provider: Provider) -> None:
    back = await there_and_back(browser)
    kept = browser.cookies["zhipei_oidc"]
    assert (await browser.get(back)).status_code == 303
    browser.cookies.set("zhipei_oidc", kept)
    await refused(await browser.get(back))


async def test_another_browsers_answer_does_not_count(browser: Browser, app: Litestar) -> None:
    back = await there_and_back(browser)
    async with Browser(app) as other:
        await refused(await other.get(back))
        await other.get("/login/oidc")
        await refused(await other.get(back))


async def test_a_code_without_its_verifier_is_worth_nothing(
    browser: Browser, app: Litestar, provider: Provider
) -> None:
    """The provider checks PKCE: a stolen code, brought back with another attempt's state, is refused."""
    stolen = parse_qs(urlsplit(await there_and_back(browser)).query)["code"][0]
    async with Browser(app) as thief:
        own = parse_qs(urlsplit((await thief.get("/login/oidc")).headers["location"]).query)["state"][0]
        await refused(await thief.get("/login/oidc/callback", params={"code": stolen, "state": own}))


@pytest.mark.parametrize("query", [{}, {"state": "x", "code": "y"}, {"error": "access_denied"}, {"state": "中文"}])
async def test_whatever_else_comes_is_told_in_words(browser: Browser, query: dict[str, str]) -> None:
    await browser.get("/login/oidc")
    await refused(await browser.get("/login/oidc/callback", params=query))


async def test_an_issuer_of_another_name_is_refused(browser: Browser, provider: Provider) -> None:
    provider.lies = {"issuer": "http://127.0.0.1:1"}
    assert (await browser.get("/login/oidc")).status_code == 503


async def test_the_answer_names_the_provider_that_was_asked(browser: Browser, provider: Provider) -> None:
    back = await there_and_back(browser)
    await refused(await browser.get(f"{back}&iss=http://127.0.0.1:1"))


async def test_a_provider_that_is_away_is_told_and_passwords_go_on(settings: Settings) -> None:
    changes = {"oidc_issuer": f"http://127.0.0.1:{free_port()}", "oidc_client_id": CLIENT_ID}
    async with site(settings, **changes) as app, Browser(app) as browser:
        answer = await browser.get("/login/oidc")
        assert answer.status_code == 503
        assert "连不上" in answer.text
        assert (await browser.log_in("rival")).status_code == 303


async def test_without_a_provider_there_is_no_such_page(settings: Settings) -> None:
    async with site(settings) as app, Browser(app) as browser:
        assert (await browser.get("/login/oidc")).status_code == 404
        assert "/login/oidc" not in (await browser.get("/login")).text
