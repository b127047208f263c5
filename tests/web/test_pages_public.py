"""The pages of the public, of accounts and of enterprises."""

import re
from random import Random
from urllib.parse import urlsplit

import httpx
import pytest

from market.enterprises.uscc import generate
from tests.conftest import Login
from tests.factories import PASSWORD, TRADEMARK, World

pytestmark = pytest.mark.anyio
TEXT = "我们的商标被同行抢注了，想知道怎么维权，希望月底前有答复"
SCRIPT = "想申请专利<script>alert(1)</script>"


async def post(browser: httpx.AsyncClient, path: str, form: dict[str, object]) -> httpx.Response:
    """Post a form as the browser would, with its token."""
    if "zhipei_csrf" not in browser.cookies:
        await browser.get("/login")
    return await browser.post(path, data={**form, "_csrf_token": browser.cookies["zhipei_csrf"]})


async def submit(browser: httpx.AsyncClient, text: str) -> str:
    """The path of a need submitted from the home page."""
    answer = await post(browser, "/", {"body": text, "key": text})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/?item={TRADEMARK}",
        "/?draft=gone",
        "/offerings",
        "/offerings?q=专利&right=patent&stage=creation&list=authority&region=440305",
        "/offerings?q=没有这样的服务",
        "/offerings/1",
        "/offerings/1?version=1",
        "/institutions",
        "/institutions?q=测试&kind=protection_center&region=440305",
        "/institutions/1",
        "/items",
        f"/items/{TRADEMARK}",
        f"/items/{TRADEMARK}/guide",
        f"/items/{TRADEMARK}/compare",
        "/items?list=common",
        "/items?list=specific",
        "/items?withdrawn=true",
        "/offerings/1/guide",
        "/offerings/1/compare",
        "/changes",
        "/changes?before=1",
        "/login",
        "/register",
        "/api/docs",
    ],
)
async def test_everyone_reads(client: httpx.AsyncClient, world: World, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert "<h1" in answer.text
    assert not re.search(r"<style|style=|<script(?![^>]* src=)| on\w+=\"", answer.text), "inline style or script"


@pytest.mark.parametrize("path", ["/offerings/999999", "/institutions/99999999999999999999", "/items/none", "/nowhere"])
async def test_what_is_not_there_is_said_so(client: httpx.AsyncClient, world: World, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert "没有找到" in answer.text


@pytest.mark.parametrize("path", ["/offerings?page=x", "/offerings?right=x", "/offerings?q=" + "长" * 501])
async def test_wrong_parameters_are_refused_in_words(client: httpx.AsyncClient, world: World, path: str) -> None:
    answer = await client.get(path)
    assert 400 <= answer.status_code < 500
    assert "<h1>" in answer.text


@pytest.mark.parametrize("path", ["/needs", "/needs/1", "/account"])
async def test_what_needs_an_account_asks_for_it_and_comes_back(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=")


@pytest.mark.parametrize("name", ["enterprise", "institution", "clerk", "coordinator", "admin"])
@pytest.mark.parametrize("path", ["/", "/needs", "/account", "/offerings", "/offerings/1"])
async def test_every_role_reads(login: Login, world: World, name: str, path: str) -> None:
    browser = await login(name)
    assert (await browser.get(path)).status_code == 200


# log-in and registration ---------------------------------------------------------------------------------------------


async def test_a_wrong_password_keeps_the_login(client: httpx.AsyncClient, world: World) -> None:
    answer = await post(client, "/login", {"login": "enterprise", "password": "wrong"})
    assert answer.status_code == 422
    assert 'value="enterprise"' in answer.text
    assert "登录名或密码不对" in answer.text
    assert "wrong" not in re.sub(r'class="[^"]*"', "", answer.text)


async def test_too_many_attempts_are_stopped(client: httpx.AsyncClient, world: World) -> None:
    for _ in range(10):
        await post(client, "/login", {"login": "nobody", "password": "guess"})
    answer = await post(client, "/login", {"login": "NOBODY", "password": "guess"})
    assert answer.status_code == 429
    assert "秒再试" in answer.text
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("wanted", ["//evil.test", "/\\evil.test", "/\t/evil.test", "https://evil.test", "evil.test"])
async def test_log_in_leads_nowhere_else(client: httpx.AsyncClient, world: World, wanted: str) -> None:
    await client.get("/login")
    form = {"login": "rival", "password": PASSWORD, "_csrf_token": client.cookies["zhipei_csrf"]}
    answer = await client.post("/login", params={"next": wanted}, data=form)
    assert answer.headers["location"] == "/"


async def test_log_out_ends_the_session(login: Login, world: World) -> None:
    browser = await login("rival")
    session = browser.cookies["zhipei_session"]
    assert (await post(browser, "/logout", {})).status_code == 303
    browser.cookies.set("zhipei_session", session)
    assert (await browser.get("/account")).status_code == 303


async def test_a_form_without_its_token_is_refused(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.post("/login", data={"login": "enterprise", "password": PASSWORD})
    assert answer.status_code == 403


async def test_registration_tells_everything_at_once_and_keeps_what_was_typed(client: httpx.AsyncClient) -> None:
    form = {"name": "甲", "uscc": "123", "contact_name": "<b>王</b>", "login": "坏名字", "password": "short-pw"}
    answer = await post(client, "/register", form)
    assert answer.status_code == 422
    for field in ("name", "uscc", "kind", "region_code", "contact_phone", "login", "password"):
        assert f'id="e-{field}"' in answer.text, field
    assert "&lt;b&gt;王&lt;/b&gt;" in answer.text
    assert "short-pw" not in answer.text


async def test_a_text_survives_registration(client: httpx.AsyncClient, world: World) -> None:
    answer = await post(client, "/", {"body": TEXT, "item_codes": TRADEMARK})
    login_page = answer.headers["location"]
    assert answer.status_code == 303
    assert login_page.startswith("/login?next=")
    form = {
        "name": "深圳丙科技有限公司",
        "uscc": generate(Random(7), department="9", kind="1", region="440305"),
        "kind": "hnte",
        "region_code": "440305",
        "contact_name": "李雷",
        "contact_phone": "0755-12345678",
        "login": "newcomer",
        "password": PASSWORD,
    }
    answer = await post(client, f"/register?{urlsplit(login_page).query}", form)
    assert answer.status_code == 303, answer.text
    home = await client.get(answer.headers["location"])
    assert TEXT in home.text
    assert f'value="{TRADEMARK}" checked' in home.text
    assert (await post(client, "/", {"body": TEXT, "item_codes": TRADEMARK})).headers["location"].startswith("/needs/")


# tokens --------------------------------------------------------------------------------------------------------------


async def test_a_token_is_shown_once_works_and_can_be_revoked(login: Login, world: World) -> None:
    browser = await login("rival")
    assert (await post(browser, "/account/tokens", {"name": "", "days": "0"})).status_code == 422
    form = {"name": "ERP", "days": "30"}
    refused = await post(browser, "/account/tokens", {**form, "password": "not the password"})
    assert refused.status_code == 422
    assert "zp_" not in refused.text
    shown = await post(browser, "/account/tokens", {**form, "password": PASSWORD})
    token = re.search(r"zp_[\w-]{20,}", shown.text)
    assert token
    account = await browser.get("/account")
    assert token[0] not in account.text
    bearer = {"Authorization": f"Bearer {token[0]}"}
    assert (await browser.get("/api/v1/me", headers=bearer)).status_code == 200
    revoke = re.search(r'/account/tokens/\d+/revoke(?=".*?停用 ERP)', account.text, re.DOTALL)
    assert revoke
    assert (await post(browser, revoke[0], {})).status_code == 303
    assert (await browser.get("/api/v1/me", headers=bearer)).status_code == 401


# needs ---------------------------------------------------------------------------------------------------------------


async def test_one_click_and_a_second_one_lead_to_the_same_need(login: Login, world: World) -> None:
    browser = await login("enterprise")
    form = {"body": TEXT, "key": "rendered-once"}
    first, second = await post(browser, "/", form), await post(browser, "/", form)
    assert first.headers["location"].split("?")[0] == second.headers["location"].split("?")[0]
    changed = await post(browser, "/", {**form, "body": TEXT + "。", "key": "rendered-anew"})
    assert changed.headers["location"] != first.headers["location"]


async def test_a_need_is_shown_to_its_own_only(login: Login, world: World) -> None:
    browser = await login("enterprise")
    path = await submit(browser, SCRIPT)
    own = await browser.get(path)
    assert "&lt;script&gt;" in own.text
    assert "<script>alert" not in own.text
    assert "正在匹配" in own.text
    for other in ("rival", "institution", "clerk"):
        assert (await (await login(other)).get(path)).status_code == 404


async def test_only_enterprises_submit(login: Login, world: World) -> None:
    for name in ("institution", "clerk", "coordinator", "admin"):
        answer = await post(await login(name), "/", {"body": TEXT})
        assert answer.status_code == 403
        assert TEXT in answer.text


@pytest.mark.parametrize("text", ["", "  \n ", "长" * 5001])
async def test_a_text_that_does_not_fit_is_kept(login: Login, world: World, text: str) -> None:
    answer = await post(await login("enterprise"), "/", {"body": text})
    assert answer.status_code == 422
    assert 'id="e-body"' in answer.text
    assert text.strip() in answer.text


async def test_a_need_can_be_withdrawn_once(login: Login, world: World) -> None:
    browser = await login("enterprise")
    path = await submit(browser, TEXT + "！")
    assert (await post(browser, f"{path}/withdraw", {"note": "不需要了"})).status_code == 303
    again = await post(browser, f"{path}/withdraw", {"note": "再来一次"})
    assert again.status_code == 409
    assert "已撤回" in again.text


@pytest.mark.parametrize("step", ["confirm", "rework", "resubmit"])
async def test_a_step_out_of_turn_is_refused_in_words(login: Login, world: World, step: str) -> None:
    browser = await login("enterprise")
    path = await submit(browser, f"{TEXT}，{step}")
    form = {"note": "还差一点", "body": TEXT, "contact_name": "王敏", "contact_phone": "0755-1234567"}
    answer = await post(browser, f"{path}/{step}", form)
    assert answer.status_code == 409
    assert "正在匹配" in answer.text


async def test_understanding_follows_the_typing(client: httpx.AsyncClient, world: World) -> None:
    shown = await post(client, "/understand", {"body": TEXT, "item_codes": [TRADEMARK, "unknown"]})
    assert shown.status_code == 200
    assert f'value="{TRADEMARK}" checked' in shown.text
    assert "<html" not in shown.text
    outside = await post(client, "/understand", {"body": "今天晚饭吃什么好呢"})
    assert "不是知识产权" in outside.text
    assert 'class="steps"' in (await post(client, "/understand", {})).text, "how it works, as on the empty page"
