"""Personal data through pages and API: masked, shown when asked for, told of to its owner, and erased."""

import re

import httpx
import pytest

from infra.db import Database
from infra.settings import Settings
from market.accounts import queries as accounts
from market.audit import service as audit
from market.audit.model import Filter
from market.calendars.service import DeadlinesSource
from market.enterprises.model import Party
from market.matches import queries as match_queries
from market.matches import ranking
from market.matches import service as matches
from market.needs import receipts
from market.needs import service as needs
from market.needs.model import Submission
from tests.conftest import Api, Login, open_database
from tests.factories import AID, PASSWORD, World, serve

pytestmark = pytest.mark.anyio

NAME, PHONE = "孙小圣", "13800005678"
MASKED = ("孙**", "138****5678")
PARTY = Party(name="李明（个人）", contact_name=NAME, contact_phone=PHONE, region_code="440305")


async def propose(db: Database, world: World, party: Party | None = None) -> int:
    """A need whose match waits for approval."""
    async with db.transaction() as tx:
        form = Submission(
            body="产品被人仿冒，想申请维权援助", item_codes=(AID,), contact_name=NAME, contact_phone=PHONE, party=party
        )
        filer = world.actors["clerk" if party else "enterprise"]
        need = await needs.submit(tx, filer, form, await DeadlinesSource().get(tx))
        job = await ranking.read(tx, ranking.CatalogueSource(), need.id)
        assert job is not None
    async with db.transaction() as tx:
        assert await ranking.store(tx, job, ranking.compute(job, top=20, gap=0.0))
    return need.id


async def assign(db: Database, world: World, need_id: int) -> int:
    """Its match approved for the institution named ``institution``."""
    async with db.transaction() as tx:
        due = await DeadlinesSource().get(tx)
        match = await match_queries.latest(tx, need_id)
        assert match is not None
        if match.institution_id == world.actors["institution"].institution_id:
            await matches.approve(tx, world.actors["coordinator"], need_id, match.id, due)
        else:
            offering = world.offerings["专利侵权维权援助"]
            await matches.override(tx, world.actors["coordinator"], need_id, offering, "就近", due)
        match = await match_queries.latest(tx, need_id)
        assert match is not None
        return match.id


def contact(answer: httpx.Response) -> tuple[str, str, bool]:
    told = answer.json()
    return told["contact_name"], told["contact_phone"], told["contact_whole"]


async def test_each_role_sees_what_is_its_to_see_at_each_stage(
    api: Api, login: Login, db: Database, world: World
) -> None:
    need = await propose(db, world)
    path, whole, stars = f"/needs/{need}", (NAME, PHONE, True), (*MASKED, False)
    assert contact(await api("enterprise").get(path)) == whole
    for who in ("coordinator", "admin", "province"):
        assert contact(await api(who).get(path)) == stars, who
        assert PHONE not in (await (await login(who)).get(path)).text, who
    for who in ("institution", "office"):
        for one in (path, f"{path}/contact"):
            answer = await api(who).request("POST" if one.endswith("contact") else "GET", one)
            assert answer.status_code == 404, "before the approval there is not even a need"
    match_id = await assign(db, world, need)
    assert contact(await api("institution").get(path)) == whole
    assert (await api("office").get(path)).status_code == 404, "only the one that serves"
    assert contact(await api("coordinator").get(path)) == stars
    async with db.transaction() as tx:
        due = await DeadlinesSource().get(tx)
        await matches.accept(tx, world.actors["institution"], match_id, due)
        await matches.deliver(tx, world.actors["institution"], match_id, "已出具意见书", due)
    assert contact(await api("institution").get(path)) == whole
    async with db.transaction() as tx:
        await matches.confirm(tx, world.actors["enterprise"], need)
    assert contact(await api("institution").get(path)) == stars, "it has served"
    assert contact(await api("institution").post(f"{path}/contact")) == whole
    for who in ("enterprise", "clerk", "rival"):
        assert (await api(who).post(f"{path}/contact")).status_code == 403, who


async def test_an_institution_whose_match_ended_sees_nothing(api: Api, db: Database, world: World) -> None:
    need = await propose(db, world)
    await assign(db, world, need)
    async with db.transaction() as tx:
        await matches.withdraw(tx, world.actors["enterprise"], need, "")
    for method, path in (("GET", f"/needs/{need}"), ("POST", f"/needs/{need}/contact")):
        assert (await api("institution").request(method, path)).status_code == 404


async def test_a_coordinator_shows_it_with_one_button_and_without_scripts(
    login: Login, db: Database, settings: Settings, world: World
) -> None:
    need = await propose(db, world)
    browser, other = await login("coordinator"), await login("coordinator2")
    before = await browser.get(f"/needs/{need}")
    assert MASKED[1] in before.text
    assert f'action="/needs/{need}/contact"' in before.text
    assert "显示联系方式" in before.text
    form = {"_csrf_token": browser.cookies["zhipei_csrf"]}
    assert (await browser.post(f"/needs/{need}/contact")).status_code == 403, "no link of another site shows it"
    for _ in range(2):  # pressed twice
        answer = await browser.post(f"/needs/{need}/contact", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/needs/{need}#contact")
    after = (await browser.get(f"/needs/{need}")).text
    assert PHONE in after
    assert "显示联系方式" not in after
    # What goes wrong on the page meanwhile does not take it away.
    wrong = await browser.post(f"/needs/{need}/close", data={**form, "note": ""})
    assert wrong.status_code == 422
    assert PHONE in wrong.text
    assert PHONE not in (await other.get(f"/needs/{need}")).text, "shown to whoever asked"
    owner = open_database(settings, owner=True)
    async with owner.transaction() as tx:  # half an hour goes by
        await tx.execute("SET LOCAL session_replication_role = replica")
        await tx.execute("UPDATE audit SET at = at - interval '31 minutes' WHERE object = $1", f"need:{need}")
    await owner.close()
    assert PHONE not in (await browser.get(f"/needs/{need}")).text


async def test_lists_events_and_exports_have_no_contact(api: Api, login: Login, db: Database, world: World) -> None:
    need = await propose(db, world)
    await assign(db, world, need)
    for who in ("coordinator", "admin", "institution", "enterprise"):
        client = api(who)
        for path in ("/needs", f"/needs/{need}/events", "/matches", "/messages"):
            told = (await client.get(path)).text
            assert PHONE not in told, (who, path)
            assert NAME not in told, (who, path)
    browser = await login("coordinator")
    for path in ("/queue", "/needs", "/queue/gaps", "/ledger"):
        assert PHONE not in (await browser.get(path)).text, path
    party = world.actors["enterprise"].name
    assert party not in (await api("coordinator").get(f"/needs/{need}/events")).text, "who pressed the button"
    assert party in (await api("enterprise").get(f"/needs/{need}/events")).text


async def test_a_natural_persons_name_is_a_contact_too(api: Api, login: Login, db: Database, world: World) -> None:
    need = await propose(db, world, PARTY)
    for who in ("coordinator", "admin"):
        assert (await api(who).get(f"/needs/{need}")).json()["enterprise_name"] == "李**", who
    browser = await login("coordinator")
    for path in (f"/needs/{need}", "/needs", "/queue", "/plans/new"):
        page = (await browser.get(path)).text
        assert "李**" in page, path
        assert "李明" not in page, path
    shown = (await api("coordinator").post(f"/needs/{need}/contact")).json()
    assert shown["enterprise_name"] == "李明（个人）"
    assert "李明（个人）" in (await api("clerk").get("/needs")).text, "who filed it finds it again"
    match_id = await assign(db, world, need)
    desk = (await api("institution").get("/matches")).text
    assert "李明（个人）" in desk
    assert str(match_id) in desk


async def test_every_view_is_told_to_the_owner_and_none_of_ones_own(
    api: Api, login: Login, db: Database, world: World
) -> None:
    need = await propose(db, world)
    about = f"need:{need}"
    await api("enterprise").get(f"/needs/{need}")
    await api("coordinator").get(f"/needs/{need}")
    mine = await login("enterprise")
    assert "还没有别人看过" in (await mine.get(f"/needs/{need}")).text
    assert (await api("enterprise").get(f"/needs/{need}/views")).json() == []
    await api("coordinator").post(f"/needs/{need}/contact")
    await assign(db, world, need)
    await api("institution").get(f"/needs/{need}")
    async with db.reading() as tx:
        rows = await audit.listing(tx, Filter(object=about, action="view"), None, 10)
    assert [(one.login, one.data) for one in rows] == [
        ("institution", {"purpose": "serve"}),
        ("coordinator", {"purpose": "decide", "asked": "yes"}),
    ]
    exported = (await api("admin").get("/audit/export", params={"object": about})).text
    assert exported.count(",view,") == 2
    assert PHONE not in exported
    told = (await api("enterprise").get(f"/needs/{need}/views")).json()
    assert [(one["role"], one["purpose"], one["times"]) for one in told] == [
        ("institution", "serve", 1),
        ("coordinator", "decide", 1),
    ]
    for path in (f"/needs/{need}", "/account/personal"):
        page = (await mine.get(path)).text
        assert "南山知识产权保护中心（测试）" in page, path
        assert "受理和安排需求" in page, path
    for who in ("rival", "stranger"):
        if who in world.actors:
            assert (await api(who).get(f"/needs/{need}/views")).status_code == 404


async def test_an_event_keeps_no_way_to_reach_anybody(api: Api, db: Database, world: World) -> None:
    """What a returned need said before goes into its history, for good."""
    async with db.transaction() as tx:
        form = Submission(body=f"请打 {PHONE} 找{NAME}，或写 sun@example.com", contact_name=NAME, contact_phone=PHONE)
        need = await needs.submit(tx, world.actors["enterprise"], form, await DeadlinesSource().get(tx))
        job = await ranking.read(tx, ranking.CatalogueSource(), need.id)
        assert job is not None
    async with db.transaction() as tx:
        await ranking.store(tx, job, ranking.compute(job, top=20, gap=0.0))
    note = {"missing": ["请说明产品"]}
    assert (await api("coordinator").post(f"/needs/{need.id}/return", json=note)).status_code == 200
    again = await api("enterprise").post(f"/needs/{need.id}/resubmit", json={"body": f"产品是软件，请打 {PHONE}"})
    assert contact(again) == (NAME, PHONE, True), "whom to ask stays as it was"
    async with db.reading() as tx:
        kept = await tx.fetchval(
            "SELECT data ->> 'before' FROM events WHERE need_id = $1 AND action = 'resubmit'", need.id
        )
    assert kept == "请打 *** 找***，或写 ***"


async def test_an_answer_kept_for_its_key_is_sealed_and_repeated(api: Api, db: Database) -> None:
    form = {"body": "想申请发明专利", "contact_name": NAME, "contact_phone": "13800007777"}
    headers = {"Idempotency-Key": "sealed-answer"}
    first, second = [await api("enterprise").post("/needs", json=form, headers=headers) for _ in range(2)]
    assert first.json() == second.json()
    assert first.json()["contact_phone"] == "13800007777"
    async with db.reading() as tx:
        kept = await tx.fetchval("SELECT body FROM idempotency_keys WHERE key = 'sealed-answer'")
    assert b"13800007777" not in kept


async def test_mail_addresses_lie_sealed(login: Login, db: Database) -> None:
    browser = await login("rival")
    form = {"_csrf_token": browser.cookies["zhipei_csrf"], "address": "yi.rival@example.com"}
    assert (await browser.post("/account/messages/address", data=form)).status_code == 303
    async with db.reading() as tx:
        row = await tx.fetchrow(
            "SELECT s.* FROM message_settings s JOIN accounts a ON a.id = s.account_id WHERE a.login = 'rival'"
        )
    assert row["address"] == ""
    assert b"example.com" not in row["address_sealed"]
    assert "yi.rival@example.com" in (await browser.get("/account/personal")).text
    form["address"] = ""
    assert (await browser.post("/account/messages/address", data=form)).status_code == 303
    assert "example.com" not in (await browser.get("/account/messages")).text


# erasure -------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def leaver(db: Database, world: World) -> str:
    """A new colleague at the first enterprise; the login."""
    async with db.transaction() as tx:
        count = await tx.fetchval("SELECT count(*) FROM accounts")
        login = f"leaver{count}"
        account = await accounts.insert(
            tx,
            login=login,
            password_hash=await tx.fetchval("SELECT password_hash FROM accounts WHERE login = 'enterprise'"),
            name=f"离开者{count}",
            role="enterprise",
            enterprise_id=world.actors["enterprise"].enterprise_id,
            institution_id=None,
            node_id=None,
        )
        world.actors[login] = await accounts.actor_by_id(tx, account or 0)  # type: ignore[assignment]
    return login


async def test_a_person_is_erased_at_once_where_nothing_is_open(
    login: Login, api: Api, db: Database, settings: Settings, world: World, leaver: str
) -> None:
    need = await serve(db, settings, world, enterprise=leaver)
    other = await serve(db, settings, world)
    async with db.transaction() as tx:
        await tx.execute("UPDATE needs SET body = $2 WHERE id = $1", need, f"产品被仿冒，请打 {PHONE}")
        events = await tx.fetchval("SELECT count(*) FROM events WHERE need_id = $1", need)
    browser = await login(leaver)
    page = (await browser.get("/account/personal")).text
    assert "不能恢复" in page
    form = {"_csrf_token": browser.cookies["zhipei_csrf"], "password": "not my password"}
    refused = await browser.post("/account/personal/erasure", data=form)
    assert refused.status_code == 422
    form["password"] = PASSWORD
    gone = await browser.post("/account/personal/erasure", data=form)
    assert (gone.status_code, gone.headers["location"]) == (303, "/login?done=erased")
    again = await browser.post("/account/personal/erasure", data=form)
    assert again.status_code in (303, 401, 403), "a second click finds nobody"
    assert "已经删除" in (await browser.get("/login?done=erased")).text
    async with db.reading() as tx:
        row = await tx.fetchrow(
            "SELECT login, name, password_hash, disabled_at FROM accounts WHERE id = $1", world.actors[leaver].id
        )
        assert (row["login"], row["name"], row["password_hash"]) == (f"erased-{world.actors[leaver].id}", "***", "")
        assert row["disabled_at"] is not None
        left = await tx.fetchrow("SELECT * FROM needs WHERE id = $1", need)
        assert (left["contact_name_sealed"], left["contact_phone_sealed"], left["contact_phone"]) == (None, None, "")
        assert left["body"] == "产品被仿冒，请打 ***"
        assert await tx.fetchval("SELECT count(*) FROM events WHERE need_id = $1", need) == events, "the story stays"
        told = await audit.listing(tx, Filter(object=f"account:{world.actors[leaver].id}"), None, 10)
    assert {"ask_erasure", "erase"} <= {one.action for one in told}
    assert contact(await api("enterprise").get(f"/needs/{other}"))[2]
    assert contact(await api("enterprise").get(f"/needs/{need}")) == ("", "", True)
    assert "已删除" in (await (await login("coordinator")).get(f"/needs/{need}")).text
    profile = (await api("enterprise").get("/enterprise")).json()
    assert profile["contact_phone"] == "0755-00000001", "a colleague's contact is not theirs"


async def test_an_open_need_is_waited_for(login: Login, db: Database, world: World, leaver: str) -> None:
    async with db.transaction() as tx:
        form = Submission(body="想申请发明专利")
        need = await needs.submit(tx, world.actors[leaver], form, await DeadlinesSource().get(tx))
    browser = await login(leaver)
    assert f"需求 {need.id} 还在办理" in (await browser.get("/account/personal")).text
    form = {"_csrf_token": browser.cookies["zhipei_csrf"], "password": PASSWORD}
    for _ in range(2):
        asked = await browser.post("/account/personal/erasure", data=form)
        assert asked.headers["location"] == "/account/personal?done=asked#erasure"
    page = (await browser.get("/account/personal")).text
    assert "您在" in page
    assert re.search(rf"需求 {need.id} 还在办理，办结或撤回后自动删除", page)
    async with db.reading() as tx:
        assert await tx.fetchval("SELECT count(*) FROM erasures WHERE account_id = $1", world.actors[leaver].id) == 1
    back = await browser.post("/account/personal/erasure/call-off", data=form)
    assert back.headers["location"] == "/account/personal?done=called-off#erasure"
    assert (
        "永久删除" in (await browser.get("/account/personal")).text
        or "申请删除" in (await browser.get("/account/personal")).text
    )
    async with db.reading() as tx:
        assert not await tx.fetchval("SELECT count(*) FROM erasures WHERE account_id = $1", world.actors[leaver].id)


async def test_staff_are_told_whom_to_ask(login: Login) -> None:
    for who in ("coordinator", "clerk", "admin", "institution"):
        browser = await login(who)
        page = (await browser.get("/account/personal")).text
        assert "履职记录" in page, who
        form = {"_csrf_token": browser.cookies["zhipei_csrf"], "password": PASSWORD}
        assert (await browser.post("/account/personal/erasure", data=form)).status_code == 403, who


async def test_a_receipt_shows_no_contact(client: httpx.AsyncClient, login: Login, db: Database, world: World) -> None:
    need = await propose(db, world, PARTY)
    page = await client.get(f"/receipt/{need}?code={receipts.code_of('test' * 8, need)}")
    assert page.status_code == 200
    assert PHONE not in page.text
    assert PHONE in (await (await login("clerk")).get(f"/counter/{need}")).text, "who wrote it down prints it"
