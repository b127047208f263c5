"""Rules of the window: one owner, one notice, the same at the counter; the board of deadlines."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from infra.db import Database
from infra.settings import Settings
from market.deadlines import service as limits
from tests.conftest import Api, Login
from tests.factories import PATENT, World
from tests.web.test_pages_staff import NASTY, file_need, intake, match_of, need_page, post, rank_need, state

pytestmark = pytest.mark.anyio

TEXT = "想申请专利，请辅导"


@pytest.fixture
async def need_id(db: Database, settings: Settings, world: World) -> int:
    """A proposed need that nobody owns."""
    return await file_need(db, settings, world, TEXT, PATENT)


@pytest.fixture(autouse=True)
async def room(db: Database) -> None:
    """For everybody."""
    async with db.transaction() as tx:
        await tx.execute("UPDATE offerings SET capacity = load + 50")


async def owner(api: Api, need_id: int) -> str | None:
    found = (await api("coordinator").get(f"/needs/{need_id}")).json()
    return found["owner_name"] and str(found["owner_name"]).split(" ")[0]


def problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.json()["type"] == f"/problems/{slug}"
    return dict(answer.json())


async def proposal(api: Api, need_id: int) -> int:
    return int((await api("coordinator").get(f"/needs/{need_id}/ranking")).json()["match"]["id"])


# 首问负责 ------------------------------------------------------------------------------------------------------------


async def test_who_takes_it_first_owns_it(api: Api, need_id: int) -> None:
    first, second = api("coordinator"), api("coordinator2")
    answers = await asyncio.gather(*(who.post(f"/needs/{need_id}/take") for who in (first, second)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    kept, other = (first, second) if answers[0].status_code == 200 else (second, first)
    match_id = await proposal(api, need_id)
    for path, body in (
        ("approve", {"match_id": match_id}),
        ("return", {"missing": ["名称"]}),
        ("close", {"note": "x"}),
        ("escalate", {"note": "x"}),
    ):
        problem(await other.post(f"/needs/{need_id}/{path}", json=body), 409, "not-owner")
    assert (await kept.post(f"/needs/{need_id}/approve", json={"match_id": match_id})).status_code == 200
    clocks = (await api("enterprise").get(f"/needs/{need_id}/deadlines")).json()
    assert [one["kind"] for one in clocks] == ["accept"], "the first contact is made"


async def test_handed_on_with_a_note_and_an_acceptance(api: Api, world: World, need_id: int) -> None:
    first, second, path = api("coordinator"), api("coordinator2"), f"/needs/{need_id}"
    to = {name: world.actors[name].id for name in ("coordinator", "coordinator2", "province", "clerk")}
    problem(
        await first.post(f"{path}/offer", json={"to_account": to["coordinator2"], "note": "请接手"}), 409, "conflict"
    )
    await first.post(f"{path}/take")
    for wrong in (to["coordinator"], to["clerk"], 10**9):
        told = await first.post(f"{path}/offer", json={"to_account": wrong, "note": "请接手"})
        assert problem(told, 422, "invalid-input")["errors"][0]["field"] == "to_account"
    no_note = await first.post(f"{path}/offer", json={"to_account": to["coordinator2"], "note": " "})
    assert problem(no_note, 422, "invalid-input")["errors"][0]["field"] == "note"
    problem(await second.post(f"{path}/offer", json={"to_account": to["coordinator"], "note": "x"}), 409, "not-owner")

    made = await first.post(f"{path}/offer", json={"to_account": to["coordinator2"], "note": "企业急，已电话联系过"})
    assert made.status_code == 200
    assert await owner(api, need_id) == "coordinator", "until it is accepted"
    problem(await second.post(f"{path}/take-over", json={"note": "x"}), 409, "conflict")
    problem(await second.post(f"{path}/offer/reply", json={"accept": False}), 422, "invalid-input")
    assert (await second.post(f"{path}/offer/reply", json={"accept": False, "note": "在休假"})).status_code == 200
    problem(await second.post(f"{path}/offer/reply", json={"accept": True}), 409, "conflict")

    await first.post(f"{path}/offer", json={"to_account": to["coordinator2"], "note": "再请接手"})
    assert (await second.post(f"{path}/offer/reply", json={"accept": True})).status_code == 200
    assert await owner(api, need_id) == "coordinator2"
    problem(await first.post(f"{path}/rank-again"), 409, "not-owner")
    steps = [e["action"] for e in (await first.get(f"{path}/events")).json() if e["machine"] == "need"]
    assert steps[-5:] == ["take", "offer", "turn_down", "offer", "take_on"]
    party = (await api("enterprise").get(f"{path}/events")).json()
    assert {"take", "take_on"} <= {e["action"] for e in party}
    assert not {"offer", "turn_down"} & {e["action"] for e in party}, "what staff say among themselves"
    assert not any(e["note"] for e in party if e["action"] == "take_on")


async def test_two_offers_at_once(api: Api, world: World, need_id: int) -> None:
    first, path = api("coordinator"), f"/needs/{need_id}"
    await first.post(f"{path}/take")
    offers = [{"to_account": world.actors[name].id, "note": "请接手"} for name in ("coordinator2", "province")]
    answers = await asyncio.gather(*(first.post(f"{path}/offer", json=offer) for offer in offers))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert "请先撤回" in refused.json()["detail"]
    off, on = await asyncio.gather(
        first.post(f"{path}/offer/call-off"),
        api("coordinator2" if answers[0].status_code == 200 else "province").post(
            f"{path}/offer/reply", json={"accept": True}
        ),
    )
    assert sorted((off.status_code, on.status_code)) == [200, 409], "called off or accepted, never both"


async def test_what_an_owner_let_slip_is_taken_over(db: Database, api: Api, need_id: int) -> None:
    first, second, path = api("coordinator"), api("coordinator2"), f"/needs/{need_id}"
    await first.post(f"{path}/take")
    problem(await second.post(f"{path}/take-over", json={"note": "逾期"}), 409, "conflict")
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE deadlines SET due_at = now() - interval '9 days', remind_at = NULL,"
            " node_at = now() - interval '8 days', above_at = now() + interval '9 days'"
            " WHERE need_id = $1 AND ended_at IS NULL",
            need_id,
        )
        while (await limits.move(tx, 1000)).moved:
            pass
    assert (await second.post(f"{path}/take-over", json={"note": "逾期，由我接着办"})).status_code == 200
    assert await owner(api, need_id) == "coordinator2"
    board = (await second.get("/deadlines?view=escalated&mine=true&limit=100")).json()["items"]
    assert need_id in [row["need_id"] for row in board]


async def test_a_need_of_somebody_who_left_is_taken_over(db: Database, api: Api, world: World, need_id: int) -> None:
    await api("coordinator2").post(f"/needs/{need_id}/take")
    leaving = world.actors["coordinator2"].id
    async with db.transaction() as tx:
        await tx.execute("UPDATE accounts SET disabled_at = now() WHERE id = $1", leaving)
    try:
        taken = await api("coordinator").post(f"/needs/{need_id}/take-over", json={"note": "同事已离岗"})
        assert taken.status_code == 200
    finally:
        async with db.transaction() as tx:
            await tx.execute("UPDATE accounts SET disabled_at = NULL WHERE id = $1", leaving)


# 一次性告知 ----------------------------------------------------------------------------------------------------------


async def test_a_second_notice_only_for_what_the_answer_opened(db: Database, api: Api, need_id: int) -> None:
    node, party, path = api("coordinator"), api("enterprise"), f"/needs/{need_id}"
    nothing = await node.post(f"{path}/return", json={"missing": [], "materials": []})
    assert problem(nothing, 422, "invalid-input")["errors"][0]["field"] == "missing"
    first = {"missing": ["请写明产品"], "materials": ["营业执照复印件"], "note": "补齐即可"}
    assert (await node.post(f"{path}/return", json=first)).status_code == 200
    again = {"missing": ["请写明用途"], "opened": "产品换成了软件"}
    problem(await node.post(f"{path}/return", json=again), 409, "already-returned")

    await party.post(f"{path}/resubmit", json={"body": "想申请专利，产品是一套软件"})
    await rank_need(db, need_id)
    problem(await node.post(f"{path}/return", json={"missing": ["请写明用途"]}), 409, "already-returned")
    repeated = {"missing": ["请写明产品"], "materials": ["营业执照复印件"], "opened": "产品换成了软件"}
    told = problem(await node.post(f"{path}/return", json=repeated), 422, "invalid-input")
    assert "请写明产品" in told["errors"][0]["message"]
    assert "营业执照复印件" in told["errors"][0]["message"]
    assert (await node.post(f"{path}/return", json=again)).status_code == 200
    step = (await party.get(f"{path}/events")).json()[-2]
    assert (step["action"], step["data"]["opened"], step["data"]["missing"]) == (
        "return_again",
        "产品换成了软件",
        ["请写明用途"],
    )
    problem(await node.post(f"{path}/return", json={"missing": ["x"], "opened": "y"}), 409, "already-returned")


async def test_two_notices_at_once(api: Api, need_id: int) -> None:
    node = api("coordinator")
    calls = [node.post(f"/needs/{need_id}/return", json={"missing": [f"第 {n} 点"]}) for n in range(2)]
    assert sorted(answer.status_code for answer in await asyncio.gather(*calls)) == [200, 409]


async def test_the_notice_on_the_pages(db: Database, login: Login, need_id: int) -> None:
    node, party, here = await login("coordinator"), await login("enterprise"), f"/needs/{need_id}"
    async with db.transaction() as tx:
        await tx.execute("UPDATE needs SET body = $2 WHERE id = $1", need_id, f"{NASTY} {TEXT}")
    html = await need_page(node, need_id)
    materials = re.findall(r'name="materials" value="([^"]+)"', html)
    assert materials, "the guide's materials, to be ticked"
    empty = await post(node, f"{here}/return", missing="", note="请补充")
    assert empty.status_code == 422
    assert "请至少写一点，或勾选一份材料" in empty.text
    assert "请补充</textarea>" in empty.text
    done = await post(node, f"{here}/return", missing="", materials=materials[:2], note="请补充")
    assert done.status_code == 303
    html = await need_page(party, need_id)
    assert html.count(f"材料：{materials[0]}") == 2, "beside the form, and in the story"
    assert "暂停计算，恢复后还有 <strong>3 个工作日</strong>" in html
    await post(
        party, f"{here}/resubmit", body="想申请专利，产品是软件", contact_name="王敏", contact_phone="0755-1234567"
    )
    await rank_need(db, need_id)
    html = await need_page(node, need_id)
    assert "就新情况再次退回" in html
    typed = await post(node, f"{here}/return", missing=NASTY, opened="")
    assert typed.status_code == 409
    assert "&lt;script&gt;alert(1)&lt;/script&gt;</textarea>" in typed.text
    second = await post(node, f"{here}/return", missing="请写明著作权人", opened="产品换成了软件")
    assert second.status_code == 303
    assert "您的补充带出了新情况：产品换成了软件" in await need_page(party, need_id)
    assert "就新情况再次退回补正" in await need_page(node, need_id)


async def test_the_counter_keeps_the_same_rules(db: Database, login: Login) -> None:
    clerk, node = await login("clerk"), await login("coordinator")
    await clerk.get("/counter")
    filed = await post(clerk, "/counter", **intake(key="window", body="想给自己的茶饮注册商标"))
    need_id = int(filed.headers["location"].rsplit("/", 1)[1])
    html = (await clerk.get(f"/counter/{need_id}")).text
    assert "联系李小花" in html
    assert "办理安排最迟在" in html
    await rank_need(db, need_id)
    assert "由我负责" in await need_page(node, need_id)
    await post(node, f"/needs/{need_id}/return", missing="请写明茶饮的名称", note="")
    html = (await clerk.get(f"/counter/{need_id}")).text
    assert "一次性告知" in html
    assert "请写明茶饮的名称" in html
    assert "coordinator 的姓名" in html, "who is responsible"
    assert "打印一次性告知" in await need_page(clerk, need_id)
    back = await post(
        clerk,
        f"/needs/{need_id}/resubmit",
        body="想给自己的茶饮「山月」注册商标",
        contact_name="李小花",
        contact_phone="13800000000",
    )
    assert back.status_code == 303
    again = await post(node, f"/needs/{need_id}/return", missing="再补一点")
    assert again.status_code == 409


# pages ---------------------------------------------------------------------------------------------------------------


async def test_handing_on_by_pages(login: Login, world: World, need_id: int) -> None:
    first, second, here = await login("coordinator"), await login("coordinator2"), f"/needs/{need_id}"
    assert "由我负责" in await need_page(first, need_id)
    assert (await post(first, f"{here}/take")).headers["location"] == here
    html = await need_page(second, need_id)
    assert "这条需求由<strong>coordinator 的姓名</strong>首问负责" in html
    assert f"{here}/approve" not in html
    assert f"{here}/offer" not in html
    nobody = await post(first, f"{here}/offer", note=NASTY)
    assert nobody.status_code == 422
    assert "&lt;script&gt;alert(1)&lt;/script&gt;</textarea>" in nobody.text
    done = await post(first, f"{here}/offer", note="请接手", to_account=str(world.actors["coordinator2"].id))
    assert done.status_code == 303
    assert "已请<strong>coordinator2 的姓名</strong>接手" in await need_page(first, need_id)
    html = await need_page(second, need_id)
    assert "coordinator 的姓名请您接手" in html
    assert "请接手</p>" in html
    no_reason = await post(second, f"{here}/offer/reply", accept="false", note="")
    assert no_reason.status_code == 422
    assert "请写明不接手的原因" in no_reason.text
    assert (await post(second, f"{here}/offer/reply", accept="true", note="")).status_code == 303
    assert f"{here}/approve" in await need_page(second, need_id)
    late = await post(first, f"{here}/offer/call-off")
    assert late.status_code == 409
    assert "请先请对方交接给您" in late.text


async def test_the_board(db: Database, api: Api, login: Login, need_id: int) -> None:
    browser = await login("coordinator")
    for view in ("today", "overdue", "escalated", "paused", "coming"):
        for mine in ("", "&mine=true"):
            answer = await browser.get(f"/deadlines?view={view}{mine}")
            assert answer.status_code == 200
    assert (await browser.get("/deadlines?view=nothing")).status_code == 422
    assert (await (await login("institution")).get("/deadlines")).status_code == 403
    problem(await api("enterprise").get("/deadlines"), 403, "forbidden")
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE deadlines SET due_at = now() - interval '9 days', remind_at = NULL,"
            " node_at = now() - interval '8 days', above_at = now() - interval '7 days'"
            " WHERE need_id = $1 AND kind = 'match'",
            need_id,
        )
        while (await limits.move(tx, 1000)).moved:
            pass
    html = (await browser.get("/deadlines?view=overdue")).text
    assert f'href="/needs/{need_id}"' in html
    assert "已超期" in html
    seen: list[int] = []
    cursor = ""
    while True:
        found = (await api("coordinator").get(f"/deadlines?view=coming&limit=3{cursor}")).json()
        seen += [row["id"] for row in found["items"]]
        if found["next"] is None:
            break
        cursor = f"&cursor={found['next']}"
    assert len(seen) == len(set(seen))
    html = (await browser.get("/deadlines?view=coming")).text
    count = re.search(r'aria-current="page">以后到期<span class="count">(\d+)<', html)
    assert count
    assert int(count[1]) == len(seen)
    story = await need_page(browser, need_id)
    assert "答复超期，已报上级节点" in story
    party = await need_page(await login("enterprise"), need_id)
    assert "已超期" in party
    assert "已提醒" not in party


# races ---------------------------------------------------------------------------------------------------------------


async def serving(api: Api, need_id: int) -> tuple[httpx.AsyncClient, int]:
    """The institution that was given the need, and the match."""
    node = api("coordinator")
    match_id = await proposal(api, need_id)
    assert (await node.post(f"/needs/{need_id}/approve", json={"match_id": match_id})).status_code == 200
    for name in ("institution", "office"):
        if (await api(name).get(f"/matches/{match_id}")).status_code == 200:
            return api(name), match_id
    raise AssertionError("nobody was given it")


async def test_declining_after_acceptance(api: Api, need_id: int) -> None:
    server, match_id = await serving(api, need_id)
    assert (await server.post(f"/matches/{match_id}/accept")).status_code == 200
    problem(await server.post(f"/matches/{match_id}/decline", json={"note": "不办了"}), 409, "invalid-transition")


async def test_accepting_and_declining_at_once(api: Api, need_id: int) -> None:
    server, match_id = await serving(api, need_id)
    answers = await asyncio.gather(
        server.post(f"/matches/{match_id}/accept"), server.post(f"/matches/{match_id}/decline", json={"note": "忙"})
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409], "the first word counts"


async def test_delivering_after_a_rematch(api: Api, need_id: int, db: Database) -> None:
    server, match_id = await serving(api, need_id)
    await server.post(f"/matches/{match_id}/accept")
    ranked = (await api("coordinator").get(f"/needs/{need_id}/ranking")).json()["candidates"]
    served = (await server.get(f"/matches/{match_id}")).json()["offering_id"]
    other = next(one["offering_id"] for one in ranked if one["offering_id"] != served)
    moved = await api("coordinator").post(f"/needs/{need_id}/override", json={"offering_id": other, "reason": "就近"})
    assert moved.status_code == 200, moved.text
    for path, body in (("deliver", {"result": "已办好"}), ("accept", None), ("decline", {"note": "x"})):
        told = problem(await server.post(f"/matches/{match_id}/{path}", json=body), 409, "invalid-transition")
        assert "已改派" in told["detail"]
    assert await state(db, need_id) == "assigned"
    assert await match_of(db, need_id) != match_id


async def test_an_answer_while_the_job_runs(db: Database, api: Api, need_id: int) -> None:
    """Accepted while the job takes the step that makes it late: both happen, in one order or the other."""
    server, match_id = await serving(api, need_id)
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE deadlines SET due_at = now() - interval '1 minute', remind_at = NULL WHERE need_id = $1"
            " AND kind = 'accept'",
            need_id,
        )

    async def job() -> None:
        async with db.transaction() as tx:
            await limits.move(tx, 1000)

    accepted, _ = await asyncio.gather(server.post(f"/matches/{match_id}/accept"), job())
    assert accepted.status_code == 200
    clocks = (await server.get(f"/needs/{need_id}/deadlines")).json()
    assert [(one["kind"], one["state"]) for one in clocks] == [("deliver", "running")]
    async with db.reading() as tx:
        ended = await tx.fetchval("SELECT state FROM deadlines WHERE need_id = $1 AND kind = 'accept'", need_id)
    assert ended == "done"
