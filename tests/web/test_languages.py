"""The switch of languages: per account, per browser, per call."""

from random import Random

import httpx
import pytest

from infra.db import Database
from market.enterprises.uscc import generate
from tests.conftest import Api, Login

pytestmark = pytest.mark.anyio


async def switch(browser: httpx.AsyncClient, language: str, back: str = "/offerings?stage=creation") -> httpx.Response:
    form = {"lang": language, "back": back, "_csrf_token": browser.cookies["zhipei_csrf"]}
    return await browser.post("/preferences", data=form)


async def test_a_visitor_switches_and_comes_back_to_the_same_page(client: httpx.AsyncClient) -> None:
    html = (await client.get("/?text=%3Cb%3E")).text
    assert '<html lang="zh-CN"' in html
    assert 'name="back" value="/?text=%3Cb%3E"' in html
    answer = await switch(client, "en", "/?text=%3Cb%3E")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?text=%3Cb%3E")
    page = await client.get("/")
    assert '<html lang="en"' in page.text
    assert page.headers["content-language"] == "en"
    assert "What do you need help with?" in page.text
    await switch(client, "zh")
    assert "遇到什么知识产权问题？" in (await client.get("/")).text


@pytest.mark.parametrize("back", ["//elsewhere.example/", "https://elsewhere.example/", "/\\elsewhere", "javascript:1"])
async def test_the_switch_leads_nowhere_else(client: httpx.AsyncClient, back: str) -> None:
    await client.get("/")
    assert (await switch(client, "en", back)).headers["location"] == "/"


async def test_an_unknown_language_is_refused(client: httpx.AsyncClient) -> None:
    await client.get("/")
    assert (await switch(client, "fr")).status_code == 422


async def test_the_account_keeps_its_language_everywhere(login: Login, db: Database) -> None:
    browser = await login("rival")
    await browser.get("/account")
    assert (await switch(browser, "en")).status_code == 303
    elsewhere = await login("rival")
    assert "<h1>My account</h1>" in (await elsewhere.get("/account")).text
    await switch(elsewhere, "zh")
    assert "<h1>我的账号</h1>" in (await browser.get("/account")).text


async def test_what_a_page_is_asked_for_counts_once(client: httpx.AsyncClient) -> None:
    assert '<html lang="en"' in (await client.get("/?lang=en")).text
    assert '<html lang="zh-CN"' in (await client.get("/")).text


async def test_errors_are_told_in_the_readers_language(client: httpx.AsyncClient, api: Api) -> None:
    page = await client.get("/nowhere?lang=en")
    assert page.status_code == 404
    assert "<h1>Not found</h1>" in page.text
    english = {"Accept-Language": "en"}
    told = (await api("enterprise").get("/needs/999999999", headers=english)).json()
    assert told["title"] == "Not found"
    wrong = await api("enterprise").post("/needs", json={"body": ""}, headers=english | {"Idempotency-Key": "x"})
    assert wrong.headers["content-language"] == "en"
    assert [one["message"] for one in wrong.json()["errors"]] == ["Please fill this in."]
    assert (await api("enterprise").get("/needs/999999999")).json()["title"] == "没有找到"


async def test_kept_copies_are_of_one_language(client: httpx.AsyncClient) -> None:
    chinese, english = await client.get("/feed.atom"), await client.get("/feed.atom?lang=en")
    assert chinese.headers["etag"] != english.headers["etag"]
    assert "Accept-Language" in chinese.headers["vary"]
    tag = {"If-None-Match": chinese.headers["etag"]}
    assert (await client.get("/feed.atom", headers=tag)).status_code == 304
    assert (await client.get("/feed.atom?lang=en", headers=tag)).status_code == 200


async def test_registration_keeps_the_language_it_was_read_in(client: httpx.AsyncClient, db: Database) -> None:
    await client.get("/register")
    await switch(client, "en")
    form = {
        "name": "深圳语言测试有限公司",
        "uscc": "",
        "kind": "hnte",
        "region_code": "440305",
        "contact_name": "Ann",
        "contact_phone": "0755-1",
        "login": "ann.english",
        "password": "long enough 123",
        "_csrf_token": client.cookies["zhipei_csrf"],
    }
    answer = await client.post("/register", data=form)
    assert answer.status_code == 422
    assert "Please fill this in." in answer.text
    form |= {"uscc": generate(Random(2014), department="9", kind="1", region="440305"), "contact_phone": "0755-12345"}
    answer = await client.post("/register", data=form)
    assert answer.status_code == 303, answer.text
    async with db.reading() as tx:
        assert await tx.fetchval("SELECT lang FROM accounts WHERE login = 'ann.english'") == "en"


async def test_a_switch_of_looks_stays_in_the_browser(client: httpx.AsyncClient) -> None:
    html = (await client.get("/")).text
    assert 'data-theme="auto" data-size="normal"' in html
    form = {"size": "large", "back": "/items", "_csrf_token": client.cookies["zhipei_csrf"]}
    assert (await client.post("/preferences", data=form)).headers["location"] == "/items"
    await client.post("/preferences", data={**form, "theme": "dark"})
    assert 'data-theme="dark" data-size="large"' in (await client.get("/items")).text
    assert (await client.post("/preferences", data={**form, "theme": "pink"})).status_code == 422
    client.cookies.set("zhipei_theme", '"><script>')
    assert 'data-theme="auto"' in (await client.get("/nowhere")).text


@pytest.mark.parametrize(
    ("likes", "speaks"),
    [
        ("en-GB,en;q=0.9", "en"),
        ("zh-CN,en;q=0.8", "zh-CN"),
        ("fr", "zh-CN"),
        ("fr,en;q=0.1", "en"),
        ("%%;q=x", "zh-CN"),
    ],
)
async def test_a_visitor_is_spoken_to_as_the_browser_likes(client: httpx.AsyncClient, likes: str, speaks: str) -> None:
    page = await client.get("/offerings", headers={"Accept-Language": likes})
    assert f'<html lang="{speaks}"' in page.text
    assert page.headers["content-language"] == speaks
    assert page.headers["vary"] == "Accept-Language, Cookie"


async def test_what_was_chosen_counts_more_than_what_the_browser_likes(client: httpx.AsyncClient, login: Login) -> None:
    english = {"Accept-Language": "en"}
    assert "<h1>Not found</h1>" in (await client.get("/nowhere", headers=english)).text
    await client.get("/")
    await switch(client, "zh")
    assert '<html lang="zh-CN"' in (await client.get("/", headers=english)).text
    assert '<html lang="en"' in (await client.get("/?lang=en", headers=english)).text
    assert '<html lang="zh-CN"' in (await (await login("institution")).get("/desk", headers=english)).text
