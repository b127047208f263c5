"""The audit trail through pages and API: who reads it, and what gets into it."""

from datetime import UTC, datetime

import httpx
import pytest

from infra.db import Database
from infra.settings import Settings
from market.audit import service
from market.audit.model import Filter, Shown
from market.audit.table import line
from market.enterprises.model import Party
from market.needs import receipts
from tests.conftest import Api, Login
from tests.factories import PASSWORD, World, serve

pytestmark = pytest.mark.anyio


async def told(db: Database, about: str, action: str | None = None) -> list[Shown]:
    async with db.reading() as tx:
        return await service.listing(tx, Filter(object=about, action=action), None, 100)


async def test_a_view_of_somebody_elses_contact_is_told_once_a_request(
    api: Api, login: Login, db: Database, settings: Settings, world: World
) -> None:
    need = await serve(db, settings, world)
    about = f"need:{need}"
    for path in (f"/needs/{need}", f"/needs/{need}/events", "/needs"):
        assert (await api("enterprise").get(path)).status_code == 200
        assert (await api("coordinator").get("/needs")).status_code == 200
    assert await told(db, about) == [], "one's own, and lists without contact data"
    assert (await api("coordinator").get(f"/needs/{need}")).status_code == 200
    assert await told(db, about) == [], "its middle was taken out"
    answer = await api("coordinator").post(f"/needs/{need}/contact", headers={"X-Request-Id": "seen-by-api"})
    assert answer.status_code == 200
    (seen,) = await told(db, about)
    assert (seen.login, seen.role, seen.action, seen.request_id, seen.data) == (
        "coordinator",
        "coordinator",
        "view",
        "seen-by-api",
        {"purpose": "aftercare", "asked": "yes"},
    )
    assert seen.address
    browser = await login("institution")
    assert (await browser.get(f"/needs/{need}")).text.count("0755-00000001") == 0, "it has served, and asks"
    form = {"_csrf_token": browser.cookies["zhipei_csrf"]}
    assert (await browser.post(f"/needs/{need}/contact", data=form)).status_code == 303
    browser = await login("coordinator")
    assert "0755-00000001" in (await browser.get(f"/needs/{need}")).text, "asked for by another door, a moment ago"
    assert [one.login for one in await told(db, about)] == ["coordinator", "institution", "coordinator"]
    assert (await api("rival").get(f"/needs/{need}")).status_code == 404
    assert len(await told(db, about)) == 3, "what was not shown was not seen"


async def test_what_admins_change_is_told(api: Api, db: Database) -> None:
    rule = {"name": "accept", "working_days": 4}
    assert (await api("admin").put("/rules/440300", json=rule)).status_code == 200
    (change,) = await told(db, "rule:440300")
    assert (change.login, change.data) == ("admin", {"name": "accept", "days": 4})
    refused = await api("coordinator").put("/rules/450000", json=rule)
    assert refused.status_code == 403
    assert await told(db, "rule:450000") == []


async def test_steps_of_the_node_are_told(
    api: Api, login: Login, db: Database, settings: Settings, world: World
) -> None:
    node, rated = api("coordinator"), api("institution")
    notice = (await node.post("/notices", json={"kind": "news", "title": "公告", "body": "正文。"})).json()["id"]
    for _ in range(2):
        assert (await node.post(f"/notices/{notice}/withdraw")).status_code == 200
    asked = {"institution_id": world.actors["institution"].institution_id, "note": "请说明"}
    headers = {"Idempotency-Key": "supervised"}
    given = (await node.post("/supervisions", json=asked, headers=headers)).json()["id"]
    planned = await rated.post(f"/supervisions/{given}/plan", json={"note": "整改计划"}, headers=headers)
    assert planned.status_code == 200, planned.text
    rule = {"name": "acceptance", "threshold": 0.5, "least": 3}
    for _ in range(2):
        assert (await node.put("/supervision/rules/440305", json=rule)).status_code == 200
    need = await serve(db, settings, world)
    form = {"level": 5, "remark": "很好"}
    rating = (await api("enterprise").post(f"/needs/{need}/rating", json=form)).json()["id"]
    assert (await rated.post(f"/ratings/{rating}/report", json={"note": "刷分"})).status_code == 200
    assert (await node.post(f"/ratings/{rating}/rule", json={"keep": True, "note": "属实"})).status_code == 200
    for _ in range(2):
        days = {"text": "地区,日期,上班或放假,名称\n440305,2026-12-01,放假,区庆\n"}
        assert (await node.post("/calendar/preview", json=days)).status_code == 200
        assert (await node.post("/calendar/days", json=days)).status_code == 200
    expected = {
        f"notice:{notice}": [("coordinator", {"step": "publish"}), ("coordinator", {"step": "withdraw"})],
        f"supervision:{given}": [("coordinator", {"step": "notice"}), ("institution", {"step": "plan"})],
        f"rating:{rating}": [("coordinator", {"kept": "yes"})],
        "calendar:440305": [("coordinator", {"days": 1})],
        "supervision_rule:440305": [("coordinator", {"name": "acceptance"})],
    }
    for about, entries in expected.items():
        found = [(one.login, one.data) for one in reversed(await told(db, about))]
        assert found == entries, "as often as something changed"


async def test_who_prints_a_receipt_is_told(
    login: Login, client: httpx.AsyncClient, db: Database, settings: Settings, world: World
) -> None:
    party = Party(name="李明（个人）", contact_name="李明", contact_phone="0755-26000001", region_code="440305")
    need = await serve(db, settings, world, party=party)
    assert (await (await login("clerk")).get(f"/counter/{need}")).status_code == 200
    assert (await client.get(f"/receipt/{need}?code={receipts.code_of('test' * 8, need)}")).status_code == 200
    assert (await client.get(f"/receipt/{need}?code=wrong")).status_code == 404
    seen = [(one.login, one.role, one.action) for one in await told(db, f"need:{need}")]
    assert seen == [("clerk", "clerk", "view")], "what a receipt opens shows no contact"


async def test_tokens_made_on_the_page_are_told_of(login: Login, db: Database, world: World) -> None:
    browser = await login("clerk")
    form = {"name": "脚本", "days": "7", "password": PASSWORD, "_csrf_token": browser.cookies["zhipei_csrf"]}
    assert (await browser.post("/account/tokens", data=form)).status_code == 200
    clerk = world.actors["clerk"].id
    one = (await told(db, f"account:{clerk}", "add_token"))[0]
    assert (one.login, one.role) == ("clerk", "clerk")


async def test_log_ins_and_those_that_fail_are_told_of(login: Login, db: Database, world: World) -> None:
    clerk = f"account:{world.actors['clerk'].id}"
    before = len(await told(db, clerk))
    browser = await login("clerk")
    form = {"_csrf_token": browser.cookies["zhipei_csrf"]}
    assert (await browser.post("/logout", data=form)).status_code == 303
    wrong = {"login": "clerk", "password": "not the right one", "_csrf_token": browser.cookies["zhipei_csrf"]}
    assert (await browser.post("/login", data=wrong)).status_code == 422
    assert (await browser.post("/login", data=wrong | {"login": "nobody.here"})).status_code == 422
    new = (await told(db, clerk))[: -before or None]
    assert [(one.action, one.login, one.data) for one in new] == [
        ("log_in_failed", "clerk", {"way": "password"}),
        ("log_out", "clerk", {}),
        ("log_in", "clerk", {"way": "password"}),
    ]
    assert all(one.address for one in new)
    async with db.reading() as tx:
        last = (await service.listing(tx, Filter(action="log_in_failed"), None, 1))[0]
    assert (last.login, last.role, last.object, last.data) == (None, "nobody", "", {"way": "password"}), (
        "what was typed is nobody's business"
    )


async def test_only_admins_read_it(api: Api, login: Login) -> None:
    for who, status in (("admin", 200), ("coordinator", 403), ("institution", 403), ("enterprise", 403), ("", 401)):
        assert (await api(who).get("/audit")).status_code == status, who
        assert (await api(who).get("/audit/export")).status_code == status, who
    browser = await login("coordinator")
    assert (await browser.get("/audit")).status_code == 403
    assert (await browser.get("/audit.csv")).status_code == 403


async def test_the_page_narrows_and_downloads(api: Api, login: Login, db: Database) -> None:
    await api("admin").put("/rules/440300", json={"name": "accept", "working_days": 3})
    browser = await login("admin")
    page = await browser.get("/audit", params={"action": "set_rule", "login": "admin", "object": "rule"})
    assert page.status_code == 200
    assert "修改办理期限" in page.text
    assert "rule:440300" in page.text
    none = await browser.get("/audit", params={"object": "rule:1", "since": "2020-01-01", "until": "2020-01-02"})
    assert "没有符合条件的记录" in none.text
    assert (await browser.get("/audit", params={"since": "yesterday"})).status_code == 422
    file = await browser.get("/audit.csv", params={"action": "set_rule"})
    assert file.headers["content-type"].startswith("text/csv")
    head, *lines = file.text.splitlines()
    assert head.startswith("\ufeffid,at,login,role,action,object")
    assert lines
    assert all(",set_rule," in one for one in lines)
    (export, *_) = await told(db, "audit", "export")
    assert export.login == "admin"
    first = (await api("admin").get("/audit", params={"limit": 1})).json()
    second = (await api("admin").get("/audit", params={"limit": 1, "cursor": first["next"]})).json()
    assert second["items"][0]["id"] < first["items"][0]["id"]


def test_a_cell_is_never_a_formula() -> None:
    entry = Shown(
        id=1,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        actor_id=None,
        role="nobody",
        action="log_in",
        object="=1+1",
        request_id="-x",
        address=None,
        data={},
        login="@evil",
    )
    assert line(entry) == b"1,2026-01-01T00:00:00+00:00,'@evil,nobody,log_in,'=1+1,'-x,,{}\r\n"
