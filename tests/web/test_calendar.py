"""The calendar in force, and importing a notice of days off: all rows or none, seen before it is stored."""

import re
from datetime import date, timedelta

import httpx
import pytest

from infra.db import Database
from market.calendars import service as calendars
from market.calendars.model import ZONE
from market.deadlines import queries as limits
from market.needs import service as needs
from market.needs.model import Submission
from tests.conftest import Api, Login
from tests.factories import World

pytestmark = pytest.mark.anyio

HEADER = "地区,日期,上班或放假,名称\n"


def rows(*given: tuple[str, date, str]) -> str:
    return HEADER + "".join(f"{region},{day},{what},测试\n" for region, day, what in given)


async def send(browser: httpx.AsyncClient, text: str, *, file: bytes | None = None) -> httpx.Response:
    data = {"text": text, "_csrf_token": browser.cookies["zhipei_csrf"]}
    files = {"file": ("calendar.csv", file if file is not None else b"", "text/csv")}
    return await browser.post("/calendar/import", data=data, files=files)


async def confirm(browser: httpx.AsyncClient, shown: httpx.Response, text: str) -> httpx.Response:
    stamp = re.search(r'name="stamp" value="(\d+)"', shown.text)
    assert stamp is not None
    data = {"text": text, "stamp": stamp[1], "_csrf_token": browser.cookies["zhipei_csrf"]}
    return await browser.post("/calendar/confirm", data=data)


async def works(db: Database, region: str, day: date) -> bool:
    async with db.reading() as tx:
        return (await calendars.deadlines(tx)).calendar(region).is_working(day)


def a_working_day(after: date) -> date:
    """A Wednesday far from every holiday that was announced."""
    return after + timedelta(days=(2 - after.weekday()) % 7)


async def test_everybody_sees_the_year(client: httpx.AsyncClient) -> None:
    shown = await client.get("/calendar?region=000000&year=2026")
    assert shown.status_code == 200
    assert "国庆节" in shown.text
    assert 'class="cal-shifted"' in shown.text
    assert "导入放假安排" not in shown.text
    later = await client.get("/calendar?region=440305&year=2031")
    assert "还没有公布" in later.text
    assert (await client.get("/calendar?region=999999")).status_code == 404


@pytest.mark.parametrize(("login_name", "status"), [("enterprise", 403), ("clerk", 403), ("institution", 403)])
async def test_only_staff_import(login: Login, login_name: str, status: int) -> None:
    browser = await login(login_name)
    assert (await browser.get("/calendar/import")).status_code == status
    form = {
        "text": rows(("深圳市", date(2032, 5, 5), "放假")),
        "stamp": "1",
        "_csrf_token": browser.cookies["zhipei_csrf"],
    }
    assert (await browser.post("/calendar/confirm", data=form)).status_code == status


async def test_a_notice_is_looked_at_before_it_is_stored(login: Login, db: Database, world: World) -> None:
    """What moves is shown with old and new day; the preview stores nothing, the confirmation all."""
    async with db.transaction() as tx:
        due = await calendars.deadlines(tx)
        need = await needs.submit(
            tx, world.actors["enterprise"], Submission(body="想了解商标注册", region_code="440305"), due
        )
    day = need.due_at.astimezone(ZONE).date()
    text = rows(("440305", day, "放假"))
    browser = await login("coordinator")
    shown = await send(browser, "", file=text.encode("gb18030"))
    assert shown.status_code == 200
    assert "有 1 天会改变" in shown.text
    assert f'href="/needs/{need.id}"' in shown.text
    assert await works(db, "440305", day), "nothing is stored by looking"
    stored = await confirm(browser, shown, text)
    assert stored.status_code == 303
    assert not await works(db, "440305", day)
    assert await works(db, "440306", day), "a district's day is the district's"
    again = await confirm(browser, shown, text)
    assert again.headers["location"].endswith("done=0"), "pressed twice, stored once"
    async with db.reading() as tx:
        assert {one.due_at for one in await limits.of_need(tx, need.id)} >= {need.due_at}, "the job moves them"


async def test_everything_wrong_is_told_by_line_and_nothing_stored(login: Login, db: Database) -> None:
    day = a_working_day(date(2033, 3, 1))
    text = rows(("深圳市", day, "放假"), ("全国", day, "放假"), ("广州市", day, "上课")) + "深圳市,昨天,放假,\n"
    browser = await login("coordinator")
    shown = await send(browser, text)
    assert shown.status_code == 422
    for words in ("第 3 行「地区」", "不在您的辖区内", "第 4 行「上班或放假」", "第 5 行「日期」", "第 5 行「名称」"):
        assert words in shown.text
    assert "昨天,放假," in shown.text, "what was pasted is still there"
    elsewhere = await send(browser, rows(("深圳市", day, "放假"), ("全国", day, "放假"), ("广州市", day, "放假")))
    assert elsewhere.text.count("不在您的辖区内") == 2
    assert await works(db, "440300", day)
    assert (await send(browser, "")).status_code == 422
    assert (await send(browser, "", file=b"PK\x03\x04....")).status_code == 422
    assert (await send(browser, HEADER)).status_code == 422
    assert (await send(browser, "x" * 10_000)).status_code == 422


async def test_a_calendar_changed_meanwhile_is_shown_again(login: Login, db: Database) -> None:
    first, second = a_working_day(date(2034, 3, 1)), a_working_day(date(2034, 5, 1))
    mine, theirs = rows(("440300", first, "放假")), rows(("440000", second, "放假"))
    browser, other = await login("coordinator"), await login("admin")
    seen, seen_by_other = await send(browser, mine), await send(other, theirs)
    assert (await confirm(other, seen_by_other, theirs)).status_code == 303
    late = await confirm(browser, seen, mine)
    assert late.status_code == 409
    assert "刚刚被别人改过" in late.text
    assert await works(db, "440300", first)
    assert (await confirm(browser, late, mine)).status_code == 303
    assert not await works(db, "440300", first)


async def test_the_api_tries_and_stores(api: Api, db: Database) -> None:
    day = a_working_day(date(2035, 3, 1))
    text = rows(("440300", day, "放假"))
    tried = await api("coordinator").post("/calendar/preview", json={"text": text})
    assert tried.json()["changes"][0] | {"region_name": ""} == {
        "region_code": "440300",
        "region_name": "",
        "day": str(day),
        "worked": True,
        "works": False,
        "name": "测试",
    }
    assert await works(db, "440300", day)
    assert (await api("coordinator").post("/calendar/days", json={"text": text})).status_code == 200
    assert not await works(db, "440300", day)
    assert (await api("enterprise").post("/calendar/days", json={"text": text})).status_code == 403
    wrong = await api("admin").post("/calendar/days", json={"text": rows(("火星", day, "放假"))})
    assert wrong.status_code == 422
