"""The institution's desk and offerings, the counter, forms that outlive their log-in: what a busy person does wrong."""

import re

import httpx
import pytest

from infra.db import Database
from infra.settings import Settings
from market.needs import queries as needs
from tests.conftest import Login
from tests.factories import AID, World
from tests.web.test_pages_staff import AID_TEXT, NASTY, approve, file_need, intake, match_of, offering_form, post

pytestmark = pytest.mark.anyio


def key_of(html: str) -> str:
    found = re.search(r'name="key" value="([^"]+)"', html)
    assert found
    return found[1]


def numbers(html: str) -> list[int]:
    """Needs of a page, in its order."""
    return [int(one) for one in re.findall(r'id="m-(\d+)"', html)]


# the desk -----------------------------------------------------------------------------------------------------------


async def assigned(db: Database, settings: Settings, world: World, login: Login, body: str = AID_TEXT) -> int:
    """A need that waits for the institution; the match."""
    need_id = await file_need(db, settings, world, body)
    await approve(await login("coordinator"), need_id)
    return await match_of(db, need_id)


async def test_what_is_due_first_comes_first(db: Database, settings: Settings, world: World, login: Login) -> None:
    later, sooner = [await assigned(db, settings, world, login) for _ in range(2)]
    async with db.transaction() as tx:
        await tx.execute("UPDATE matches SET due_at = now() - interval '3 days' WHERE id = $1", sooner)
    html = (await (await login("institution")).get("/desk")).text
    order = numbers(html)
    assert order.index(sooner) < order.index(later)
    assert "件已超期" in html
    assert 'class="task late" id="m-' in html


async def test_a_second_click_on_the_desk_is_the_same_wish(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    match_id = await assigned(db, settings, world, login)
    browser = await login("institution")
    key = key_of((await browser.get("/desk")).text)
    first, second = [await post(browser, f"/matches/{match_id}/accept", key=key) for _ in range(2)]
    assert first.status_code == second.status_code == 303
    assert first.headers["location"] == second.headers["location"]
    html = (await browser.get(first.headers["location"])).text
    assert "已受理。请在" in html.split(f'id="m-{match_id}"')[1].split("</li>")[0]  # told in its row, which stays
    gone = [await post(browser, f"/matches/{match_id}/deliver", key=key, result="已出具意见书") for _ in range(2)]
    assert {one.status_code for one in gone} == {303}


async def test_an_empty_desk_teaches(db: Database, login: Login) -> None:
    browser = await login("office")
    async with db.reading() as tx:
        waiting = """SELECT count(*) FROM matches m JOIN accounts a USING (institution_id)
            WHERE a.login = 'office' AND m.state IN ('approved', 'decline_requested', 'accepted')"""
        assert await tx.fetchval(waiting) == 0
    assert "到期没有答复，骨干节点会收回另派" in (await browser.get("/desk")).text


# offerings ----------------------------------------------------------------------------------------------------------


async def published(browser: httpx.AsyncClient, **changes: str) -> int:
    answer = await post(browser, "/desk/offerings/new", **offering_form(**changes), state="published")
    assert answer.status_code == 303, answer.text
    return int(answer.headers["location"].rsplit("=", 1)[1])


async def test_a_double_click_publishes_one_service(db: Database, login: Login) -> None:
    browser = await login("institution")
    key = key_of((await browser.get(f"/desk/offerings/new?item={AID}")).text)
    form = offering_form(title="只发布一次的服务", key=key, state="published")
    first, second = [await post(browser, "/desk/offerings/new", **form) for _ in range(2)]
    assert first.headers["location"] == second.headers["location"]
    async with db.reading() as tx:
        count = "SELECT count(*) FROM offering_versions WHERE title = $1"
        assert await tx.fetchval(count, "只发布一次的服务") == 1


async def test_a_preview_shows_what_changes_and_saves_nothing(login: Login) -> None:
    browser = await login("institution")
    await browser.get("/desk/offerings/new")
    offering = await published(browser, title="预览前的名字")
    form = offering_form(title="预览后的名字", version="1", **{"guide.conditions": "有营业执照"})
    shown = await post(browser, f"/desk/offerings/{offering}/edit", **form, preview="1")
    assert shown.status_code == 200
    preview = shown.text.split('class="preview"')[1].split("</section>")[0]
    assert "预览后的名字" in preview
    assert "与现在的第 1 版相比" in shown.text
    assert "<del>" in shown.text
    assert "<ins>" in shown.text
    assert "预览前的名字" in (await browser.get(f"/offerings/{offering}")).text
    unfit = await post(browser, f"/desk/offerings/{offering}/edit", **form | {"region_codes": "999999"}, preview="1")
    assert unfit.status_code == 422  # a preview shows nothing that could not be published
    saved = await post(browser, f"/desk/offerings/{offering}/edit", **form)
    assert saved.status_code == 303
    assert "预览后的名字" in (await browser.get(f"/offerings/{offering}")).text


async def test_a_draft_is_saved_and_published_in_one_step(login: Login) -> None:
    browser = await login("institution")
    await browser.get("/desk/offerings/new")
    draft = await post(browser, "/desk/offerings/new", **offering_form(title="先存草稿"), state="draft")
    offering = draft.headers["location"].rsplit("=", 1)[1]
    assert "保存并发布" in (await browser.get(f"/desk/offerings/{offering}/edit")).text
    form = offering_form(title="再发布", version="1", state="published")
    assert (await post(browser, f"/desk/offerings/{offering}/edit", **form)).status_code == 303
    assert "再发布" in (await browser.get("/desk/offerings")).text


@pytest.mark.parametrize("text", ["长" * 10_000, NASTY * 600])
async def test_ten_thousand_characters_are_told_and_kept(login: Login, text: str) -> None:
    browser = await login("institution")
    await browser.get("/desk/offerings/new")
    wrong = offering_form(title=text, summary=text, fee=text, promised_days="x", capacity="-1", state="published")
    answer = await post(browser, "/desk/offerings/new", **wrong)
    assert answer.status_code == 422
    assert "有 5 处需要修改" in answer.text
    assert answer.text.count("长" * 10_000) == (3 if "长" in text else 0)
    assert NASTY not in answer.text


# the counter --------------------------------------------------------------------------------------------------------


async def test_the_counter_begins_at_home_and_lists_today(login: Login) -> None:
    browser = await login("clerk")
    assert 'value="440300" selected' in (await browser.get("/counter")).text
    filed = await post(browser, "/counter", **intake(key="today", body="今天来问商标续展的"))
    need = filed.headers["location"]
    html = (await browser.get("/counter")).text.split('id="today"')[1]
    assert "今天来问商标续展的" in html
    assert f'href="{need}"' in html


async def test_a_person_is_their_own_contact(db: Database, login: Login) -> None:
    browser = await login("clerk")
    await browser.get("/counter")
    form = intake(key="alone", name="王小明", contact_name="")
    filed = await post(browser, "/counter", **form)
    async with db.reading() as tx:
        assert (await needs.contact(tx, int(filed.headers["location"].rsplit("/", 1)[1]))).name == "王小明"


async def test_items_struck_out_at_the_counter_are_not_filed(db: Database, login: Login) -> None:
    browser = await login("clerk")
    await browser.get("/counter")
    form = intake(key="struck", body=AID_TEXT, without=AID)
    filed = await post(browser, "/counter", **form)
    async with db.reading() as tx:
        codes = "SELECT item_codes FROM needs WHERE id = $1"
        found = await tx.fetchval(codes, int(filed.headers["location"].rsplit("/", 1)[1]))
    assert found
    assert AID not in found
