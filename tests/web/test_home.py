"""The home page: what is near and new, and what happens to the tags of what was understood."""

import re

import httpx
import pytest

from infra.db import Database
from market.notices import service as notices
from market.notices.model import NoticeForm, NoticeKind
from tests.conftest import Login
from tests.factories import AID, World
from tests.web.test_pages_staff import post

pytestmark = pytest.mark.anyio

TEXT = "产品被人仿冒，想申请维权援助，也想查一下专利"


async def test_what_is_near_and_what_is_new(
    login: Login, client: httpx.AsyncClient, db: Database, world: World
) -> None:
    async with db.transaction() as tx:
        words = NoticeForm(kind=NoticeKind.EVENT, title="专利检索<b>培训</b>", body="周三下午")
        await notices.publish(tx, world.actors["coordinator"], words)
    html = (await client.get("/")).text
    assert "公共服务机构</h2>" in html
    assert "专利检索&lt;b&gt;培训&lt;/b&gt;" in html
    assert "提交给所在地的骨干节点" in html
    html = (await (await login("enterprise")).get("/")).text
    assert "附近的服务机构" in html
    assert "/institutions?within=440300" in html
    near = html[html.index('id="near"') : html.index('id="news"')]
    assert "广东省知识产权保护中心（测试）" not in near, "in another city"
    assert re.search(r"提交给\S*深圳", html)


async def test_who_strikes_out_what_was_misunderstood_means_the_rest(login: Login, db: Database) -> None:
    browser = await login("enterprise")
    await browser.get("/")
    html = (await post(browser, "/understand", body=TEXT)).text
    codes = re.findall(r'name="item_codes" value="([^"]+)"', html)
    assert AID in codes
    assert len(codes) > 1
    html = (await post(browser, "/understand", body=TEXT, without=AID)).text
    assert re.search(rf'name="without" value="{AID}" checked', html), "struck out, and still there to be taken up again"
    assert await items(db, await post(browser, "/", body=TEXT, without=AID, key="a")) == [c for c in codes if c != AID]
    assert await items(db, await post(browser, "/", body=f"{TEXT}，谢谢", key="b")) == []


async def test_the_back_button_files_no_second_need(login: Login, db: Database) -> None:
    """The same text leads to the need that was filed; another one is asked about, kept, and filed if it is meant."""
    browser = await login("rival")
    await browser.get("/")
    first = await post(browser, "/", body=TEXT, item_codes=AID, key="went-back")
    for key in ("went-back", "of a page made anew"):
        again = await post(browser, "/", body=TEXT, key=key)
        assert again.headers["location"] == f"{first.headers['location']}?again=1"
    assert "没有重复提交" in (await browser.get(again.headers["location"])).text
    async with db.reading() as tx:
        before = await tx.fetchval("SELECT count(*) FROM needs")
    asked = await post(browser, "/", body=f"{TEXT}，月底前", key="went-back")
    assert asked.status_code == 409
    assert "刚才已经提交过" in asked.text
    assert f"{TEXT}，月底前" in asked.text
    async with db.reading() as tx:
        assert await tx.fetchval("SELECT count(*) FROM needs") == before
    [key] = re.findall(r'name="key" value="([^"]+)"', asked.text)
    meant = await post(browser, "/", body=f"{TEXT}，月底前", key=key)
    assert meant.status_code == 303
    assert meant.headers["location"] != first.headers["location"]
    empty = await post(browser, "/", body="", key="went-back")
    assert empty.status_code == 422, "what is wrong is told first"
    await post(browser, f"{first.headers['location']}/withdraw")
    once_more = await post(browser, "/", body=TEXT, key="later")
    assert once_more.headers["location"] != again.headers["location"], "what has ended may be asked for again"


async def test_what_is_struck_out_and_chosen_is_not_meant(login: Login, db: Database) -> None:
    browser = await login("enterprise")
    await browser.get("/")
    chosen = await post(browser, "/", body=f"{TEXT}，多谢", item_codes=AID, without=AID, key="c")
    assert await items(db, chosen) == []


async def items(db: Database, submitted: httpx.Response) -> list[str]:
    """What was chosen for the need that the answer leads to."""
    need_id = int(submitted.headers["location"].rsplit("/", 1)[1])
    async with db.reading() as tx:
        return list(await tx.fetchval("SELECT item_codes FROM needs WHERE id = $1", need_id))
