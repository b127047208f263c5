"""The receipt of the counter: with its code, and without an account, people see their need and rate the service."""

import html
import re

import httpx
import pytest

from infra.db import Database
from infra.settings import Settings
from market.calendars import service as calendars
from market.enterprises.model import Party
from market.needs import receipts
from market.ratings import rectification
from market.ratings.model import Finding
from tests.conftest import Api, Login
from tests.factories import World, serve

pytestmark = pytest.mark.anyio

PARTY = Party(name="李明（个人）", contact_name="李明", contact_phone="0755-26000001", region_code="440305")
SECRET = "test" * 8


async def served_at_counter(db: Database, settings: Settings, world: World, *, confirmed: bool = True) -> int:
    return await serve(db, settings, world, party=PARTY, confirmed=confirmed)


async def rate(client: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    shown = await client.get(path)
    key = re.search(r'name="key" value="([^"]+)"', shown.text)
    form = {"key": key[1] if key else "", "_csrf_token": client.cookies["zhipei_csrf"], **fields}
    base, _, query = path.partition("?")
    return await client.post(f"{base}/rating?{query}", data=form)


async def test_from_the_printed_receipt_to_the_rating(
    client: httpx.AsyncClient, login: Login, api: Api, db: Database, settings: Settings, world: World
) -> None:
    need_id = await served_at_counter(db, settings, world)
    printed = html.unescape((await (await login("clerk")).get(f"/counter/{need_id}")).text)
    code = re.search(r"代码 <strong class=\"num\">([A-Z2-7-]+)</strong>", printed)
    assert code is not None
    assert "data:image/svg+xml" in printed
    await client.get("/receipt")
    form = {"number": str(need_id), "code": code[1].lower(), "_csrf_token": client.cookies["zhipei_csrf"]}
    found = await client.post("/receipt", data=form)
    assert found.status_code == 303
    path = found.headers["location"]
    shown = await client.get(path)
    assert "评价这次服务" in shown.text
    missing = await rate(client, path)
    assert missing.status_code == 422
    assert "请先选一个满意程度。" in missing.text
    rated = await rate(client, path, level="5", remark="窗口的人很耐心")
    assert (rated.status_code, rated.headers["location"]) == (303, path)
    assert "窗口的人很耐心" in (await client.get(path)).text
    told = (await api("coordinator").get(f"/needs/{need_id}/rating")).json()
    assert (told["level"], told["by_receipt"], told["on_behalf"]) == (5, True, False)
    again = await rate(client, path, level="1")
    assert again.status_code == 409
    by_clerk = await api("clerk").post(f"/needs/{need_id}/rating", json={"level": 1})
    assert by_clerk.status_code == 409, "once, by whichever way"
    story = await (await login("coordinator")).get(f"/ratings/{told['id']}")
    assert "评价人（凭窗口回执）" in story.text


async def test_pressing_twice_rates_once(
    client: httpx.AsyncClient, db: Database, settings: Settings, world: World
) -> None:
    need_id = await served_at_counter(db, settings, world)
    path = f"/receipt/{need_id}?code={receipts.code_of(SECRET, need_id)}"
    await client.get(path)
    form = {"key": "one", "level": "4", "_csrf_token": client.cookies["zhipei_csrf"]}
    address = path.replace("?", "/rating?")
    answers = [await client.post(address, data=form) for _ in range(2)]
    assert [one.status_code for one in answers] == [303, 303]


async def test_the_code_is_of_one_need_only(
    client: httpx.AsyncClient, db: Database, settings: Settings, world: World
) -> None:
    mine, other = [await served_at_counter(db, settings, world) for _ in range(2)]
    online = await serve(db, settings, world)
    code = receipts.code_of(SECRET, mine)
    await client.get("/receipt")
    for need_id, shown in ((other, code), (mine, code[:-1]), (mine, ""), (online, receipts.code_of(SECRET, online))):
        assert (await client.get(f"/receipt/{need_id}?code={shown}")).status_code == 404
        assert (await rate(client, f"/receipt/{need_id}?code={shown}", level="1")).status_code == 404
    form = {"number": "abc", "code": "", "_csrf_token": client.cookies["zhipei_csrf"]}
    wrong = await client.post("/receipt", data=form)
    assert wrong.status_code == 422
    assert 'value="abc"' in wrong.text
    form |= {"number": str(mine), "code": "x" * 10_000}
    assert (await client.post("/receipt", data=form)).status_code == 422
    form |= {"number": str(mine), "code": "ABCD-EFGH-JKMN"}
    assert "编号和代码对不上" in (await client.post("/receipt", data=form)).text


async def test_only_what_is_completed(
    client: httpx.AsyncClient, db: Database, settings: Settings, world: World
) -> None:
    need_id = await served_at_counter(db, settings, world, confirmed=False)
    path = f"/receipt/{need_id}?code={receipts.code_of(SECRET, need_id)}"
    assert "打电话给窗口" in (await client.get(path)).text
    assert (await rate(client, path, level="5")).status_code == 409


async def test_a_bad_rating_is_asked_about_by_the_receipt_too(
    client: httpx.AsyncClient, db: Database, settings: Settings, world: World
) -> None:
    need_id = await served_at_counter(db, settings, world)
    path = f"/receipt/{need_id}?code={receipts.code_of(SECRET, need_id)}"
    assert (await rate(client, path, level="2", remark="等了很久", anonymous="true")).status_code == 303
    async with db.transaction() as tx:
        clocks = await calendars.deadlines(tx)
        of_need = "SELECT r.id FROM ratings r JOIN matches m ON m.id = r.match_id WHERE m.need_id = $1"
        rating_id = await tx.fetchval(of_need, need_id)
        rated = world.actors["institution"]
        await rectification.verify(
            tx, world.actors["coordinator"], rating_id, Finding(founded=True, note="属实"), clocks
        )
        await rectification.rectify(tx, rated, rating_id, "加了窗口", clocks)
        await rectification.answer(tx, rated, rating_id, "已经增加窗口", clocks)
    assert "已经增加窗口" in (await client.get(path)).text
    form = {"satisfied": "true", "_csrf_token": client.cookies["zhipei_csrf"]}
    assert (await client.post(path.replace("?", "/revisit?"), data=form)).status_code == 303
    remark = {"remark": "现在快多了", "_csrf_token": client.cookies["zhipei_csrf"]}
    assert (await client.post(path.replace("?", "/remark?"), data=remark)).status_code == 303
    assert (await client.post(path.replace("?", "/remark?"), data=remark)).status_code == 409
    async with db.reading() as tx:
        steps = await tx.fetch(
            "SELECT action, actor_id FROM events WHERE need_id = $1 AND machine IN ('rating', 'rectification')"
            " AND action IN ('rate', 'open', 'satisfied', 'add_remark')",
            need_id,
        )
    assert {row["action"] for row in steps} == {"rate", "open", "satisfied", "add_remark"}
    assert all(row["actor_id"] is None for row in steps), "no account is named for what no account did"
