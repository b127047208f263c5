"""A form posted after the log-in had ended: nothing typed is lost, and nobody sends on another's words."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from infra.db import Database
from infra.settings import Settings
from tests.conftest import Login
from tests.factories import PASSWORD, World
from tests.web.test_pages_staff import AID_TEXT, file_need, post, state

pytestmark = pytest.mark.anyio

WHY = "先不办了：<b>等新产品定型</b>后再提交"


async def log_in(browser: httpx.AsyncClient, login: str, wanted: str) -> httpx.Response:
    form = {"login": login, "password": PASSWORD, "_csrf_token": browser.cookies["zhipei_csrf"]}
    return await browser.post("/login", params={"next": wanted}, data=form)


async def expired(browser: httpx.AsyncClient, need_id: int) -> str:
    """Where a withdrawal leads whose log-in has ended meanwhile."""
    await browser.get(f"/needs/{need_id}")
    del browser.cookies["zhipei_session"]
    answer = await post(browser, f"/needs/{need_id}/withdraw", note=WHY, password="geheim")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?")
    wanted = parse_qs(urlsplit(answer.headers["location"]).query)["next"][0]
    assert "您填写的内容已经保留" in (await browser.get(answer.headers["location"])).text
    return wanted


async def test_what_was_typed_is_sent_on_after_logging_in(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    browser = await login("enterprise")
    wanted = await expired(browser, need_id)
    assert await state(db, need_id) == "proposed"
    assert (await log_in(browser, "enterprise", wanted)).headers["location"] == wanted
    html = (await browser.get(wanted)).text
    assert "<b>" not in html[html.index("<main") :]
    assert "geheim" not in html
    action = re.search(r'action="(/needs/[^"]+)"', html)
    assert action
    names = re.findall(
        r'<input type="hidden" name="([^"]+)" value="([^"]*)"', html[action.start() : html.index("</main>")]
    )
    fields = {name: unescape(value) for name, value in names}
    assert fields["note"] == WHY
    answer = await browser.post(action[1], data=fields)
    assert answer.headers["location"] == f"/needs/{need_id}"
    assert await state(db, need_id) == "withdrawn"


async def test_another_browser_finds_nothing(db: Database, settings: Settings, world: World, login: Login) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    wanted = await expired(await login("enterprise"), need_id)
    other = await login("rival")
    assert (await other.get(wanted)).status_code == 404
    assert (await other.get("/resume?form=none")).status_code == 404
    assert (await other.get("/resume")).status_code == 404


async def test_the_api_answers_as_ever(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/v1/needs", json={"body": "x"})).status_code == 401
