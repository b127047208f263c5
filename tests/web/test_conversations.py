"""Letters on a need: who reads which, who writes, once, and only while the need is open."""

import re

import asyncpg
import httpx
import pytest

from infra.db import Database
from infra.settings import Settings
from tests.conftest import Api, Login
from tests.factories import PATENT, World
from tests.web.test_pages_staff import NASTY, file_need, post
from workers import notify

pytestmark = pytest.mark.anyio

TEXT = "我们研发了新型电池隔膜，想申请发明专利，请辅导"
TOLD = """
SELECT a.login FROM messages m JOIN accounts a ON a.id = m.account_id WHERE m.kind = 'letter' AND m.need_id = $1
"""


@pytest.fixture
async def need_id(db: Database, settings: Settings, world: World) -> int:
    """A proposed need; its candidates are the institutions of the logins ``institution`` and ``office``."""
    async with db.transaction() as tx:
        await tx.execute("UPDATE offerings SET capacity = load + 50")
    return await file_need(db, settings, world, TEXT, PATENT)


async def say(who: httpx.AsyncClient, need_id: int, text: str, status: int = 201) -> httpx.Response:
    answer = await who.post(f"/needs/{need_id}/letters", json={"text": text})
    assert answer.status_code == status, answer.text
    return answer


async def read(who: httpx.AsyncClient, need_id: int) -> list[str]:
    answer = await who.get(f"/needs/{need_id}/letters")
    assert answer.status_code == 200, answer.text
    return [one["text"] for one in answer.json()]


async def assign(api: Api, need_id: int) -> str:
    """Approve; the login whose institution serves."""
    coordinator = api("coordinator")
    match = (await coordinator.get(f"/needs/{need_id}/ranking")).json()["match"]
    answer = await coordinator.post(f"/needs/{need_id}/approve", json={"match_id": match["id"]})
    assert answer.status_code == 200, answer.text
    return "institution" if "南山" in match["institution_name"] else "office"


async def told(db: Database, need_id: int) -> set[str]:
    while await notify.tell_batch(db, mails=False):
        pass
    async with db.reading() as tx:
        return {row["login"] for row in await tx.fetch(TOLD, need_id)}


async def test_an_institution_reads_from_its_approval_on_and_nothing_said_to_another(
    api: Api, world: World, need_id: int
) -> None:
    party, coordinator = api("enterprise"), api("coordinator")
    await say(party, need_id, "提交前的话")
    for login in ("institution", "office"):
        assert (await api(login).get(f"/needs/{need_id}/letters")).status_code == 404, "a mere proposal"
        await say(api(login), need_id, "还没有派单", 404)
    first = await assign(api, need_id)
    second = "office" if first == "institution" else "institution"
    await say(party, need_id, "给第一家的话")
    await say(api(first), need_id, "第一家的回复")
    assert await read(api(first), need_id) == ["给第一家的话", "第一家的回复"]

    title = "专利申请受理与材料预检" if second == "office" else "专利申请辅导"
    changed = {"offering_id": world.offerings[title], "reason": "换一家"}
    assert (await coordinator.post(f"/needs/{need_id}/override", json=changed)).status_code == 200
    await say(coordinator, need_id, "给第二家的话")
    assert await read(api(second), need_id) == ["给第二家的话"]
    assert (await api(first).get(f"/needs/{need_id}/letters")).status_code == 404, "no longer its need"
    everything = ["提交前的话", "给第一家的话", "第一家的回复", "给第二家的话"]
    for reader in (party, coordinator, api("admin")):
        assert await read(reader, need_id) == everything


async def test_only_those_whom_the_need_concerns_write(api: Api, need_id: int) -> None:
    for stranger in ("rival", "clerk", "provincial"):
        await say(api(stranger), need_id, "x", 404)
    await say(api("admin"), need_id, "x", 403)
    await say(api(""), need_id, "x", 401)
    await say(api("coordinator"), need_id, "我来负责")
    need = (await api("enterprise").get(f"/needs/{need_id}")).json()
    assert need["owner_name"].startswith("coordinator "), "whoever answers first owns it"
    answer = await say(api("coordinator2"), need_id, "我也说一句", 409)
    assert answer.json()["type"] == "/problems/not-owner"
    assert await read(api("coordinator2"), need_id) == ["我来负责"], "colleagues read along"


async def test_ended_is_closed_but_stays_readable(api: Api, login: Login, need_id: int) -> None:
    party = api("enterprise")
    await say(party, need_id, "先问一句")
    assert (await party.post(f"/needs/{need_id}/withdraw", json={"note": "不办了"})).status_code == 200
    assert "已经结束" in (await say(party, need_id, "再说一句", 409)).json()["detail"]
    assert await read(party, need_id) == ["先问一句"]
    html = (await (await login("enterprise")).get(f"/needs/{need_id}")).text
    assert "先问一句" in html
    assert f'action="/needs/{need_id}/letters"' not in html


@pytest.mark.parametrize("text", ["", "   ", "字" * 2001, "看不见\x07的字", 7, None])
async def test_bad_texts_are_refused_and_nothing_is_written(api: Api, need_id: int, text: object) -> None:
    answer = await api("enterprise").post(f"/needs/{need_id}/letters", json={"text": text})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "text"
    assert await read(api("enterprise"), need_id) == []


async def test_the_same_key_writes_once(api: Api, need_id: int) -> None:
    headers = {"Idempotency-Key": f"letter-{need_id}"}
    answers = [
        await api("enterprise").post(f"/needs/{need_id}/letters", json={"text": "一次"}, headers=headers)
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert answers[0].headers["location"] == f"/api/v1/needs/{need_id}/letters"
    assert await read(api("enterprise"), need_id) == ["一次"]


async def test_on_the_page_it_stands_in_the_story_and_a_double_click_writes_once(
    login: Login, api: Api, need_id: int
) -> None:
    browser = await login("enterprise")
    html = (await browser.get(f"/needs/{need_id}")).text
    key = re.search(r'id="letters".*?name="key" value="([^"]+)"', html, re.DOTALL)
    assert key
    for _ in range(2):
        answer = await post(browser, f"/needs/{need_id}/letters", key=key[1], text=f"请问要带什么？{NASTY}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/needs/{need_id}#letters")
    assert len(await read(api("enterprise"), need_id)) == 1
    story = (await browser.get(f"/needs/{need_id}")).text
    timeline = story[story.index('<ol class="timeline">') : story.index("</ol>")]
    assert timeline.index("提交需求") < timeline.index("请问要带什么？")
    assert NASTY not in story
    staff = await login("coordinator")
    page = (await staff.get(f"/needs/{need_id}")).text
    assert "请问要带什么？" in page
    assert "发出后由您首问负责" in page
    assert "最近一条：enterprise 的姓名" in page[page.index('id="letters"') :]


@pytest.mark.parametrize("role", ["enterprise", "coordinator"])
async def test_a_refused_letter_comes_back_as_typed(login: Login, need_id: int, role: str) -> None:
    browser = await login(role)
    long = "很长的话" * 600
    answer = await post(browser, f"/needs/{need_id}/letters", key="k", text=long)
    assert answer.status_code == 422
    assert long in answer.text
    assert "最多 2000 个字" in answer.text
    empty = await post(browser, f"/needs/{need_id}/letters", key="k", text="")
    assert empty.status_code == 422
    assert (await post(await login("rival"), f"/needs/{need_id}/letters", text="x")).status_code == 404


async def test_the_others_are_told_never_the_writer(db: Database, api: Api, need_id: int) -> None:
    await say(api("enterprise"), need_id, "没人负责的时候")
    assert await told(db, need_id) == {"coordinator", "coordinator2"}, "the whole node, while nobody owns it"
    serving = await assign(api, need_id)
    await say(api(serving), need_id, "机构的话")
    assert await told(db, need_id) == {"coordinator", "coordinator2", "enterprise"}
    async with db.reading() as tx:
        count = await tx.fetchval("SELECT count(*) FROM messages WHERE kind = 'letter' AND need_id = $1", need_id)
    assert count == 4, "the second letter: the owner and the enterprise, no colleague"
    await say(api("coordinator"), need_id, "节点的话")
    assert serving in await told(db, need_id)
    shown = (await api(serving).get("/messages", headers={"Accept-Language": "en"})).json()["items"]
    assert any("somebody wrote to you" in one["title"] for one in shown)


async def test_what_was_said_stays_said(db: Database, api: Api, need_id: int) -> None:
    await say(api("enterprise"), need_id, "说过的话")
    for statement in ("UPDATE need_letters SET text = 'x'", "DELETE FROM need_letters"):
        with pytest.raises(asyncpg.PostgresError, match="need_letters"):
            async with db.transaction() as tx:
                await tx.execute(f"{statement} WHERE need_id = {need_id}")
    assert await read(api("enterprise"), need_id) == ["说过的话"]


async def test_english_readers_read_english(login: Login, need_id: int) -> None:
    html = (await (await login("enterprise")).get(f"/needs/{need_id}?lang=en")).text
    part = html[html.index('id="letters"') :]
    assert not re.search(r"[\u4e00-\u9fff]", re.sub(r"[^。]*骨干节点[^。]*", "", part[: part.index("</section>")]))
