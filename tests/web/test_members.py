"""Several people of one enterprise: a link that opens once, accounts that end, the profile that needs start from."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import asyncpg
import httpx
import pytest
from litestar import Litestar

from infra.db import Database
from tests.conftest import Api, Login
from tests.factories import World
from tests.web.test_pages_staff import NASTY, post

pytestmark = pytest.mark.anyio

NEW = "lamp-otter-ninety-rain"
WHATEVER = {"If-Match": "*"}
PROFILE = {
    "name": "深圳甲科技有限公司",
    "kind": "hnte",
    "region_code": "440305",
    "contact_name": "李工",
    "contact_phone": "0755-00000009",
}


@pytest.fixture(scope="module", autouse=True)
async def early(world: World) -> World:
    """Read before an account is closed."""
    return world


def browser(app: Litestar) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def token_of(who: httpx.AsyncClient) -> str:
    answer = await post(who, "/account/enterprise/invitations")
    assert answer.status_code == 200
    found = re.search(r"/join\?token=([\w-]+)", answer.text)
    assert found
    return found[1]


async def join(who: httpx.AsyncClient, token: str, login: str, **form: str) -> httpx.Response:
    await who.get("/login")
    return await post(who, "/join", **{"token": token, "login": login, "name": "赵同事", "password": NEW, **form})


async def account(db: Database, login: str) -> int:
    async with db.reading() as tx:
        return int(await tx.fetchval("SELECT id FROM accounts WHERE login = $1", login))


async def test_a_colleague_joins_by_a_link_that_opens_once(app: Litestar, login: Login, db: Database) -> None:
    first = await login("enterprise")
    token = await token_of(first)
    assert token not in (await first.get("/account/enterprise")).text, "shown once"
    async with browser(app) as new, browser(app) as late:
        page = await new.get(f"/join?token={token}")
        assert page.status_code == 200
        assert "深圳甲科技有限公司" in page.text
        weak = await join(new, token, "colleague", password="colleague")
        assert weak.status_code == 422, "a bad password leaves the link good"
        taken = await join(new, token, "rival")
        assert "已有人使用" in taken.text
        assert (await join(new, token, "colleague")).status_code == 303
        mine = await new.get("/account/enterprise")
        assert "赵同事" in mine.text, "logged in, and of the enterprise"
        assert (await join(late, token, "second")).status_code == 404
        assert (await late.get(f"/join?token={token}")).status_code == 404
    async with db.reading() as tx:
        actions = [r[0] for r in await tx.fetch("SELECT action FROM enterprise_events ORDER BY id")]
    assert actions[-2:] == ["invite", "join"]


async def test_of_two_who_use_a_link_at_once_one_has_it(app: Litestar, login: Login, db: Database) -> None:
    token = await token_of(await login("enterprise"))
    async with browser(app) as one, browser(app) as two:
        answers = await asyncio.gather(join(one, token, "twin-one"), join(two, token, "twin-two"))
    assert sorted(answer.status_code for answer in answers) == [303, 404]
    async with db.reading() as tx:
        assert await tx.fetchval("SELECT count(*) FROM accounts WHERE login LIKE 'twin-%'") == 1


@pytest.mark.parametrize("token", ["", "x", "AAAA" * 20, "zp_" * 9])
async def test_a_link_of_somebody_elses_making_opens_nothing(client: httpx.AsyncClient, token: str) -> None:
    assert (await client.get(f"/join?token={token}")).status_code == 404


async def test_a_link_ends_after_seven_days_and_with_the_inviters_account(
    app: Litestar, login: Login, db: Database
) -> None:
    first = await login("enterprise")
    old = await token_of(first)
    async with db.transaction() as tx:
        await tx.execute("UPDATE invitations SET created_at = $1", datetime.now(UTC) - timedelta(days=7, seconds=1))
    token = await token_of(first)
    async with browser(app) as guest, browser(app) as friend:
        assert (await guest.get(f"/join?token={old}")).status_code == 404
        assert (await join(guest, token, "short-stay")).status_code == 303
        theirs = await token_of(guest)
        closed = await post(first, f"/account/enterprise/accounts/{await account(db, 'short-stay')}/close")
        assert closed.status_code == 303
        assert (await guest.get("/account/enterprise")).status_code == 303, "logged out at once"
        assert (await join(friend, theirs, "friend-of")).status_code == 404
        await guest.get("/login")
        assert (await post(guest, "/login", login="short-stay", password=NEW)).status_code == 422


async def test_nobody_closes_himself_the_first_or_a_stranger(
    app: Litestar, login: Login, db: Database, world: World
) -> None:
    first = await login("enterprise")
    async with browser(app) as second:
        assert (await join(second, await token_of(first), "second-one")).status_code == 303
        own = await account(db, "second-one")
        for target, status in (
            (own, 409),
            (world.actors["enterprise"].id, 409),
            (world.actors["rival"].id, 404),
            (9**9, 404),
        ):
            answer = await post(second, f"/account/enterprise/accounts/{target}/close")
            assert answer.status_code == status, target
    itself = world.actors["enterprise"].id
    assert (await post(first, f"/account/enterprise/accounts/{itself}/close")).status_code == 409
    for name in ("enterprise", "rival"):
        assert (await (await login(name)).get("/account")).status_code == 200, "still open"


@pytest.mark.parametrize("role", ["institution", "coordinator", "clerk", "admin"])
async def test_only_enterprises_have_it(login: Login, api: Api, role: str) -> None:
    other = await login(role)
    assert (await other.get("/account/enterprise")).status_code == 403
    assert (await post(other, "/account/enterprise/invitations")).status_code == 403
    assert (await api(role).put("/enterprise", json=PROFILE)).status_code == 403


async def test_the_profile_is_where_needs_start(login: Login, api: Api, db: Database) -> None:
    first = await login("enterprise")
    before = (await api("enterprise").post("/needs", json={"body": "先前的需求，想申请专利"}, headers=key("p1"))).json()
    form = {**PROFILE, "industry_code": "C39", "region_code": "440306", "contact_name": f"李工{NASTY}"}
    answer = await post(first, "/account/enterprise", **form)
    assert answer.status_code == 303
    shown = (await first.get(answer.headers["location"])).text
    assert NASTY not in shown
    assert "已经更新" in shown
    after = (await api("enterprise").post("/needs", json={"body": "后来的需求，想申请专利"}, headers=key("p2"))).json()
    assert (after["contact_name"], after["region_code"]) == (form["contact_name"], "440306")
    kept = (await api("enterprise").get(f"/needs/{before['id']}")).json()
    assert kept["contact_name"] == before["contact_name"], "what was filed stays as it was"
    assert (await api("enterprise").get("/enterprise")).json()["industry_code"] == "C39"
    async with db.reading() as tx:
        data = await tx.fetchval("SELECT data FROM enterprise_events WHERE action = 'change' ORDER BY id DESC LIMIT 1")
    assert set(data["fields"]) >= {"industry_code", "region_code", "contact_name"}
    assert (await api("enterprise").put("/enterprise", json=PROFILE, headers=WHATEVER)).status_code == 200


async def test_a_colleague_was_faster(login: Login) -> None:
    """Nothing of either is lost: what the second typed is there, and what the first changed."""
    first, second = await login("enterprise"), await login("enterprise")
    shown = (await second.get("/account/enterprise")).text
    seen = unescape(re.findall(r'name="seen" value="([^"]*)"', shown)[0])
    was = json.loads(seen)
    assert (await post(first, "/account/enterprise", **was | {"contact_phone": "0755-7654321"})).status_code == 303
    late = await post(second, "/account/enterprise", **was | {"contact_name": "后来的人", "seen": seen})
    assert late.status_code == 409
    assert "后来的人" in late.text
    assert "0755-7654321" in late.text
    again = unescape(re.findall(r'name="seen" value="([^"]*)"', late.text)[0])
    now = json.loads(again)
    saved = await post(second, "/account/enterprise", **now | {"contact_name": "后来的人", "seen": again})
    assert saved.status_code == 303


async def test_everything_wrong_at_once_is_told_beside_each_field(login: Login, api: Api) -> None:
    first = await login("enterprise")
    wrong = {
        "name": "",
        "kind": "x",
        "region_code": "1",
        "industry_code": "ZZ9",
        "contact_name": "",
        "contact_phone": "?",
    }
    shapes = await post(first, "/account/enterprise", **wrong)
    assert shapes.status_code == 422
    assert all(f'id="e-{name}"' in shapes.text for name in ("name", "contact_name", "contact_phone"))
    facts = await api("enterprise").put("/enterprise", json={**PROFILE, **{"kind": "individual", "region_code": "1"}})
    assert {one["field"] for one in facts.json()["errors"]} == {"kind", "region_code"}


async def test_the_log_stays_as_written(api: Api, db: Database) -> None:
    await api("enterprise").put("/enterprise", json={**PROFILE, "contact_name": "孙工"}, headers=WHATEVER)
    for statement in ("UPDATE enterprise_events SET action = 'join'", "DELETE FROM enterprise_events"):
        with pytest.raises(asyncpg.PostgresError, match="enterprise_events"):
            async with db.transaction() as tx:
                await tx.execute(statement)


def key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": name}


async def test_needs_of_one_are_needs_of_all(app: Litestar, login: Login, api: Api) -> None:
    need = (await api("enterprise").post("/needs", json={"body": "大家的需求，想申请专利"}, headers=key("p3"))).json()
    first = await login("enterprise")
    async with browser(app) as second:
        assert (await join(second, await token_of(first), "fellow")).status_code == 303
        for one in (first, second):
            assert (await one.get(f"/needs/{need['id']}")).status_code == 200
