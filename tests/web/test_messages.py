"""Pages and API of messages: for every role, nobody else's, what was typed kept, links in letters."""

import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from infra.db import Database
from infra.settings import Settings
from market.doctor import _deliveries
from market.messages import queries
from market.messages.signing import sign_link
from tests.conftest import Api, Login
from tests.factories import AID, PATENT, World, serve
from tests.web.test_pages_staff import NASTY, approve, file_need, post
from workers import notify

pytestmark = pytest.mark.anyio

TEXT = "产品被人仿冒，想申请维权援助"
ROLES = ("enterprise", "institution", "coordinator", "clerk", "admin")
CHOICES = {
    "needs": "urgent",
    "deadlines": "now",
    "ratings": "daily",
    "account": "none",
    "quiet_from": "21:30",
    "quiet_to": "07:00",
}


@pytest.fixture(autouse=True)
async def room(db: Database) -> None:
    """For everybody."""
    async with db.transaction() as tx:
        await tx.execute("UPDATE offerings SET capacity = load + 50")


async def tell(db: Database) -> None:
    while await notify.tell_batch(db, mails=True):
        pass


async def told_enterprise(
    db: Database, settings: Settings, world: World, login: Login, body: str = TEXT, item: str = AID
) -> int:
    """A need of the enterprise that was assigned, of which it has been told."""
    need_id = await file_need(db, settings, world, body, item)
    assert (await approve(await login("coordinator"), need_id)).status_code == 303
    await tell(db)
    return need_id


async def newest(db: Database, world: World, name: str) -> int:
    async with db.reading() as tx:
        (one, *_) = await queries.page(tx, world.actors[name], unread=True, after=None, limit=1)
    return one.id


# reading -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
async def test_pages_open_for_every_role(login: Login, role: str) -> None:
    browser = await login(role)
    assert "还没有消息" in (await browser.get("/messages")).text or "标为已读" in (await browser.get("/messages")).text
    page = (await browser.get("/account/messages")).text
    assert ('id="f-lists"' in page) == (role not in ("enterprise", "clerk"))
    assert ('id="f-supervision"' in page) == (role in ("institution", "coordinator"))
    assert "/account/messages" in (await browser.get("/account")).text


async def test_without_a_login_one_is_asked_to_log_in(client: httpx.AsyncClient, api: Api) -> None:
    for path in ("/messages", "/messages/1", "/account/messages"):
        answer = await client.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login?next=")
    assert 'href="/messages"' not in (await client.get("/")).text
    assert (await api("").get("/messages")).status_code == 401


async def test_a_message_is_counted_opened_and_read(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    need_id = await told_enterprise(db, settings, world, login, f"{NASTY} {TEXT}")
    browser = await login("enterprise")
    page = (await browser.get("/messages")).text
    counted = re.search(r'unread-count">(\d+)', page)
    assert counted
    assert f"需求 {need_id} 号已派给服务机构" in page
    assert NASTY not in page
    assert "&lt;script&gt;" in page, "how the need begins"
    message_id = await newest(db, world, "enterprise")
    answer = await browser.get(f"/messages/{message_id}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/needs/{need_id}")
    again = await browser.get(f"/messages/{message_id}")
    assert again.headers["location"] == f"/needs/{need_id}", "opening twice is opening once"
    less = re.search(r'unread-count">(\d+)', (await browser.get("/offerings")).text)
    assert int(less[1] if less else 0) == int(counted[1]) - 1


async def test_all_that_was_seen_is_marked_and_nothing_later(
    db: Database, settings: Settings, world: World, login: Login, api: Api
) -> None:
    await told_enterprise(db, settings, world, login)
    browser = await login("enterprise")
    up_to = await newest(db, world, "enterprise")
    await told_enterprise(db, settings, world, login)
    assert (await post(browser, "/messages/read", up_to=up_to)).status_code == 303
    unread = (await api("enterprise").get("/messages", params={"unread": True})).json()["items"]
    assert unread
    assert all(one["id"] > up_to for one in unread)
    for wrong in ("", "x", "-1", "9" * 30):
        assert (await post(browser, "/messages/read", up_to=wrong)).status_code == 422


async def test_anothers_message_is_not_there(
    db: Database, settings: Settings, world: World, login: Login, api: Api
) -> None:
    await told_enterprise(db, settings, world, login)
    message_id = await newest(db, world, "enterprise")
    for role in ("rival", "institution", "coordinator", "admin"):
        assert (await (await login(role)).get(f"/messages/{message_id}")).status_code == 404
        assert (await api(role).post(f"/messages/{message_id}/read")).status_code == 404
        mine = (await api(role).get("/messages", params={"limit": 100})).json()["items"]
        assert message_id not in [one["id"] for one in mine]
    assert (await api("enterprise").post("/messages/9223372036854775807/read")).status_code == 404
    async with db.reading() as tx:
        assert await tx.fetchval("SELECT read_at FROM messages WHERE id = $1", message_id) is None


async def test_what_is_no_more_ones_own_has_no_link_and_no_text(
    db: Database, settings: Settings, world: World, login: Login, api: Api
) -> None:
    need_id = await told_enterprise(db, settings, world, login, "秘密配方 想申请专利", PATENT)
    async with db.reading() as tx:
        institution = await tx.fetchval(
            "SELECT login FROM accounts WHERE institution_id = "
            "(SELECT institution_id FROM matches WHERE id = (SELECT max(id) FROM matches WHERE need_id = $1))",
            need_id,
        )
    page = (await (await login(institution)).get("/messages")).text
    assert "秘密配方" in page
    center = institution == "institution"
    other = "专利申请受理与材料预检" if center else "专利申请辅导"
    override = {"offering_id": world.offerings[other], "reason": "更合适"}
    answer = await api("coordinator").post(f"/needs/{need_id}/override", json=override)
    assert answer.status_code == 200, answer.text
    await tell(db)
    page = (await (await login(institution)).get("/messages")).text
    assert f"需求 {need_id} 号不再由贵机构办理" in page
    assert "秘密配方" not in page
    told = (await api(institution).get("/messages", params={"limit": 100})).json()["items"]
    assert {one["link"] for one in told if one["need_id"] == need_id} == {None}
    message_id = await newest(db, world, institution)
    answer = await (await login(institution)).get(f"/messages/{message_id}")
    assert answer.headers["location"] == f"/messages#m-{message_id}"


async def test_the_api_lists_marks_and_turns_pages(
    db: Database, settings: Settings, world: World, login: Login, api: Api
) -> None:
    for _ in range(3):
        await told_enterprise(db, settings, world, login)
    mine, seen, cursor = api("enterprise"), [], None
    while True:
        params: dict[str, Any] = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        found = (await mine.get("/messages", params=params)).json()
        seen += found["items"]
        cursor = found["next"]
        if cursor is None:
            break
    assert len({one["id"] for one in seen}) == len(seen) >= 3
    order = [(one["read_at"] is None, one["id"]) for one in seen]
    assert order == sorted(order, reverse=True), "unread first, newest first"
    english = (await mine.get("/messages", params={"lang": "en", "limit": 1})).json()["items"][0]
    assert english["title"].startswith("Need ")
    first = seen[0]
    assert first["subject"] == "needs"
    assert first["link"] == f"/needs/{first['need_id']}"
    for _ in range(2):
        read = await mine.post(f"/messages/{first['id']}/read")
        assert read.status_code == 200
        assert read.json()["read_at"]
    marked = await mine.post("/messages/read", json={"up_to": seen[0]["id"]}, headers={"Idempotency-Key": "m1"})
    assert marked.json()["read"] >= 2
    replayed = await mine.post("/messages/read", json={"up_to": seen[0]["id"]}, headers={"Idempotency-Key": "m1"})
    assert replayed.json() == marked.json()
    for wrong in ({"cursor": "xx"}, {"limit": 0}, {"limit": 101}, {"unread": "maybe"}):
        assert (await mine.get("/messages", params=wrong)).status_code in (400, 422), wrong
    for body in ({}, {"up_to": 0}, {"up_to": "x"}, {"up_to": 1, "more": 2}, []):
        assert (await mine.post("/messages/read", json=body)).status_code in (400, 422), body


async def test_the_rated_do_not_hear_of_an_anonymous_rating_until_the_ruling(
    db: Database, settings: Settings, world: World, api: Api
) -> None:
    need_id = await serve(db, settings, world)
    await tell(db)
    body = {"level": 1, "indicators": ["109"], "remark": "匿名的话", "anonymous": True}
    answer = await api("enterprise").post(f"/needs/{need_id}/rating", json=body)
    assert answer.status_code == 201, answer.text
    await tell(db)
    told = (await api("institution").get("/messages", params={"limit": 100})).json()["items"]
    assert not [one for one in told if one["subject"] == "ratings"]
    rating_id = answer.json()["id"]
    ruled = await api("coordinator").post(f"/ratings/{rating_id}/verify", json={"founded": True, "note": "属实"})
    assert ruled.status_code == 200, ruled.text
    await tell(db)
    (heard,) = [
        one
        for one in (await api("institution").get("/messages", params={"limit": 100})).json()["items"]
        if one["subject"] == "ratings"
    ]
    assert heard["need_id"] is None
    assert heard["link"] == f"/ratings/{rating_id}"
    assert str(need_id) not in heard["title"] + heard["body"]


# choosing ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "no address",
        "a@b",
        "a@@b.cn",
        "a@b..cn",
        "a b@c.cn",
        "wang@例子.cn",
        "王@example.cn",
        "a@b.cn\r\nBcc: c@d.cn",
        "a@b.cn,c@d.cn",
        "<a@b.cn>",
        '"a"@b.cn',
        "a" * 10_000,
        "a" * 65 + "@b.cn",
        "a@" + "b" * 64 + ".cn",
        f"a@{'b.' * 130}cn",
    ],
)
async def test_an_address_that_cannot_be_is_explained_and_kept(login: Login, address: str) -> None:
    browser = await login("rival")
    answer = await post(browser, "/account/messages/address", address=address)
    assert answer.status_code == 422
    assert 'id="e-address"' in answer.text
    assert "有 1 处需要修改" in answer.text
    if len(address) < 30 and "\r" not in address and "<" not in address and '"' not in address:
        assert f'value="{address}"' in answer.text, "what was typed is kept"


async def test_an_address_is_asked_to_confirm_once_a_change(db: Database, world: World, login: Login) -> None:
    browser, account = await login("province"), world.actors["province"].id
    asked = "SELECT count(*) FROM deliveries WHERE account_id = $1 AND purpose = 'confirm' AND state = 'waiting'"
    assert (await post(browser, "/account/messages/address", address=" li@example.cn ")).status_code == 303
    page = (await browser.get("/account/messages")).text
    assert "请到 li@example.cn 查收确认邮件" in page
    assert "试寄一封" not in page, "not before it is confirmed"
    assert (await post(browser, "/account/messages/test/mail")).status_code == 404
    async with db.transaction() as tx:
        assert await tx.fetchval(asked, account) == 1
        assert await queries.confirm(tx, account, (await queries.settings(tx, account)).mail_key or b"")
    assert (await post(browser, "/account/messages/address", address="li@example.cn")).status_code == 303
    async with db.reading() as tx:
        assert (await queries.settings(tx, account)).confirmed_at is not None, "the same again changes nothing"
    assert (await post(browser, "/account/messages/address", address="")).status_code == 303
    async with db.reading() as tx:
        assert (await queries.settings(tx, account)).address is None
        assert await tx.fetchval(asked, account) == 0


async def test_choices_are_kept_and_wrong_ones_explained(db: Database, world: World, login: Login) -> None:
    browser = await login("enterprise")
    assert (await post(browser, "/account/messages/choices", **CHOICES)).status_code == 303
    page = (await browser.get("/account/messages")).text
    assert 'value="21:30"' in page
    assert re.search(r'id="f-deadlines".*?value="now" selected', page, re.DOTALL)
    for field, wrong in (
        ("needs", "sometimes"),
        ("needs", ""),
        ("quiet_from", "25:00"),
        ("quiet_from", "8"),
        ("quiet_to", "08:00:00"),
        ("quiet_to", "x" * 10_000),
    ):
        answer = await post(browser, "/account/messages/choices", **{**CHOICES, field: wrong})
        assert answer.status_code == 422, (field, wrong)
        assert f'id="e-{field}"' in answer.text
    async with db.reading() as tx:
        kept = await queries.settings(tx, world.actors["enterprise"].id)
    assert f"{kept.quiet_from:%H:%M}" == "21:30"


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost/x",
        "https://169.254.169.254/",
        "https://[::1]/",
        "https://2130706433/",
        "http://example.cn/",
        "https://u:p@93.184.215.14/",
        "https://93.184.215.14/" + "a" * 10_000,
        "javascript:alert(1)",
        "",
    ],
)
async def test_a_webhook_into_the_house_is_refused_beside_its_field(login: Login, url: str) -> None:
    browser = await login("institution")
    answer = await post(browser, "/account/messages/webhook", url=url, subjects=["needs"])
    assert answer.status_code == 422
    assert 'id="e-url"' in answer.text
    assert "whsec_" not in answer.text


async def test_a_webhook_shows_its_secret_once(db: Database, world: World, login: Login) -> None:
    browser = await login("office")
    form = {"url": "https://93.184.215.14/in", "subjects": ["needs", "ratings"]}
    answer = await post(browser, "/account/messages/webhook", **form)
    assert answer.status_code == 200
    assert re.search(r"whsec_[A-Za-z0-9+/=]{40,}", answer.text)
    assert "whsec_" not in (await browser.get("/account/messages")).text
    again = await post(browser, "/account/messages/webhook", **{**form, "subjects": ["needs"]})
    assert "whsec_" not in again.text, "the same address keeps its secret"
    none = await post(browser, "/account/messages/webhook", url=form["url"])
    assert none.status_code == 422
    assert 'id="e-subjects"' in none.text
    for n in range(6):
        tried = await post(browser, "/account/messages/test/webhook")
        assert tried.status_code == (303 if n < 5 else 429), "five a day"
    assert "试寄" in (await browser.get("/account/messages")).text
    assert (await post(browser, "/account/messages/test/pigeon")).status_code == 404
    assert (await post(browser, "/account/messages/webhook/remove")).status_code == 303
    assert (await post(browser, "/account/messages/webhook/remove")).status_code == 303
    async with db.reading() as tx:
        assert await queries.webhook(tx, world.actors["office"].id) is None
        waiting = "SELECT count(*) FROM deliveries WHERE account_id = $1 AND state = 'waiting'"
        assert await tx.fetchval(waiting, world.actors["office"].id) == 0


# links in letters ----------------------------------------------------------------------------------------------------


async def test_links_in_letters_work_without_a_login_and_without_a_cookie(
    db: Database, world: World, client: httpx.AsyncClient
) -> None:
    account, key, at = world.actors["clerk"].id, b"q" * 32, int(datetime.now(UTC).timestamp())
    async with db.transaction() as tx:
        await queries.set_address(tx, account, "clerk@example.cn", key)

    async def confirmed() -> bool:
        async with db.reading() as tx:
            return (await queries.settings(tx, account)).confirmed_at is not None

    good = {"account": account, "at": at, "signature": sign_link(key, "confirm", account, at)}
    page = await client.get("/mail/confirm", params=good)
    assert page.status_code == 200
    assert not await confirmed(), "a mail server that follows links confirms nothing"
    action = re.search(r'action="(/mail/confirm\?[^"]+)"', page.text)
    assert action
    for wrong in ({"account": account + 1}, {"signature": "x"}, {"at": at - 1}, {"signature": ""}):
        assert (await client.post("/mail/confirm", params={**good, **wrong})).status_code == 404
    for wrong in ({"account": "x"}, {"at": -1}, {"signature": "s" * 10_000}):
        assert (await client.post("/mail/confirm", params={**good, **wrong})).status_code == 422
    assert not await confirmed()
    client.cookies.clear()
    for _ in range(2):
        assert (await client.post(action[1].replace("&amp;", "&"))).status_code in (200, 201)
    assert await confirmed()

    stop = {"account": account, "signature": sign_link(key, "stop", account)}
    assert (await client.get("/mail/stop", params=stop)).status_code == 200
    assert await confirmed(), "nor does it stop anything"
    assert (await client.post("/mail/stop", params={**stop, "signature": good["signature"]})).status_code == 404
    client.cookies.clear()
    for _ in range(2):  # RFC 8058: what a mail program's own button posts
        answer = await client.post("/mail/stop", params=stop, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
    assert not await confirmed()
    assert "已停止" in answer.text


async def test_metrics_and_doctor_tell_of_deliveries(db: Database, client: httpx.AsyncClient, world: World) -> None:
    async with db.transaction() as tx:
        account = world.actors["admin"].id
        await tx.execute(
            "INSERT INTO deliveries (account_id, channel, purpose, state, ended_at) "
            "VALUES ($1, 'mail', 'test', 'parked', now())",
            account,
        )
    async with db.reading() as tx:
        finding = await _deliveries(tx)
    assert not finding.fine
    assert "zhipei mail retry" in finding.remedy
    text = (await client.get("/metrics")).text
    assert re.search(r"zhipei_deliveries_parked [1-9]", text)
    assert "zhipei_deliveries_oldest_seconds" in text
