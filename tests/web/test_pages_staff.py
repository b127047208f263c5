"""Pages of coordinators, institutions and clerks: every page, every action, bad input, and who may not."""

import re
from html import escape
from typing import Any

import httpx
import pytest

from infra.db import Database
from infra.settings import Settings
from market.calendars.service import DeadlinesSource
from market.matches import ranking
from market.needs import service as needs
from market.needs.model import Submission
from tests.conftest import Login
from tests.factories import AID, CONSULTING, PATENT, World

pytestmark = pytest.mark.anyio

AID_TEXT = "产品被人仿冒，想在本市申请维权援助，希望月底前有结果"
NASTY = "<script>alert(1)</script>"


async def file_need(db: Database, settings: Settings, world: World, body: str, item: str = AID) -> int:
    """A need of the enterprise in Nanshan, ranked."""
    deadlines = DeadlinesSource()
    async with db.transaction() as tx:
        submission = Submission(body=body, item_codes=(item,))
        need = await needs.submit(tx, world.actors["enterprise"], submission, await deadlines.get(tx))
    await rank_need(db, need.id)
    return need.id


async def rank_need(db: Database, need_id: int) -> None:
    """What the worker does with a submitted need."""
    async with db.transaction() as tx:
        job = await ranking.read(tx, ranking.CatalogueSource(), need_id)
    assert job is not None
    outcome = ranking.compute(job, top=20, gap=0.0)
    async with db.transaction() as tx:
        assert await ranking.store(tx, job, outcome)


async def post(browser: httpx.AsyncClient, path: str, **form: Any) -> httpx.Response:
    """A form as a browser without JavaScript sends it."""
    return await browser.post(path, data={"_csrf_token": browser.cookies["zhipei_csrf"], **form})


async def need_page(browser: httpx.AsyncClient, need_id: int) -> str:
    answer = await browser.get(f"/needs/{need_id}")
    assert answer.status_code == 200
    return answer.text


async def approve(browser: httpx.AsyncClient, need_id: int) -> httpx.Response:
    return await post(browser, f"/needs/{need_id}/approve", match_id=proposal(await need_page(browser, need_id)))


def proposal(html: str) -> str:
    found = re.search(r'name="match_id" value="(\d+)"', html)
    assert found
    return found[1]


async def state(db: Database, need_id: int) -> str:
    async with db.reading() as tx:
        return str(await tx.fetchval("SELECT state FROM needs WHERE id = $1", need_id))


async def match_of(db: Database, need_id: int) -> int:
    async with db.reading() as tx:
        return int(await tx.fetchval("SELECT max(id) FROM matches WHERE need_id = $1", need_id))


# who may ------------------------------------------------------------------------------------------------------------

OF_ROLE = {
    "coordinator": ("/queue", "/queue?tab=ended"),
    "institution": ("/desk", "/desk/offerings", "/desk/offerings/new", f"/desk/offerings/new?item={AID}"),
    "clerk": ("/counter",),
}


@pytest.mark.parametrize("role", ["enterprise", "institution", "coordinator", "clerk", "admin"])
async def test_pages_open_for_their_role_only(login: Login, role: str) -> None:
    browser = await login(role)
    for owner, paths in OF_ROLE.items():
        for path in paths:
            answer = await browser.get(path)
            assert answer.status_code == (200 if owner == role else 403), path


async def test_without_a_login_one_is_asked_to_log_in(client: httpx.AsyncClient) -> None:
    for path in ("/queue?tab=serving", "/desk", "/desk/offerings", "/counter"):
        answer = await client.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login?next=")


async def test_actions_are_refused_to_other_roles(db: Database, settings: Settings, world: World, login: Login) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    browser = await login("enterprise")
    for path in (f"/needs/{need_id}/approve", f"/needs/{need_id}/close", "/matches/1/accept", "/counter"):
        assert (await post(browser, path, note="x")).status_code == 403
    assert await state(db, need_id) == "proposed"


async def test_another_institution_finds_nothing(db: Database, settings: Settings, world: World, login: Login) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    assert (await approve(await login("coordinator"), need_id)).status_code == 303
    stranger = await login("office")
    match_id = await match_of(db, need_id)
    assert (await post(stranger, f"/matches/{match_id}/accept")).status_code == 404
    assert (await stranger.get(f"/desk/offerings/{world.offerings['专利侵权维权援助']}/edit")).status_code == 404


# the coordinator ----------------------------------------------------------------------------------------------------


async def test_a_need_is_shown_with_reasons_and_escaped(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    need_id = await file_need(db, settings, world, f"{NASTY} {AID_TEXT}")
    browser = await login("coordinator")
    assert "&lt;script&gt;" in (await browser.get("/queue")).text
    html = await need_page(browser, need_id)
    assert NASTY not in html
    assert "正是需求已确认的服务事项" in html
    assert "机构不在本节点辖区内" in html
    assert "全省海外与本地维权援助" in html  # excluded, and by name
    picked = (await browser.get(f"/needs/{need_id}?pick={world.offerings['知识产权法律政策咨询']}&done=x")).text
    assert "推荐的" in picked
    assert "批准" not in re.sub(r"\s", "", (await (await login("admin")).get(f"/needs/{need_id}")).text)


async def test_approval_goes_on_and_the_second_coordinator_is_told(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    need_id, waiting = [await file_need(db, settings, world, AID_TEXT) for _ in range(2)]
    first, second = await login("coordinator"), await login("coordinator2")
    seen = proposal(await need_page(second, need_id))
    answer = await approve(first, need_id)
    assert answer.status_code == 303
    assert answer.headers["location"].endswith(f"?done={need_id}")
    assert "已派给「南山知识产权保护中心（测试）」" in (await first.get(answer.headers["location"])).text
    late = await post(second, f"/needs/{need_id}/approve", match_id=seen)
    assert late.status_code == 409
    assert "coordinator 的姓名已在" in late.text
    assert await state(db, need_id) == "assigned"
    assert await state(db, waiting) == "proposed"


async def test_a_replaced_proposal_is_not_approved(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    browser = await login("coordinator")
    seen = proposal(await need_page(browser, need_id))
    answer = await post(browser, f"/needs/{need_id}/rank-again")
    assert answer.headers["location"] == f"/needs/{need_id}"
    assert 'hx-trigger="every 1s"' in await need_page(browser, need_id)
    await rank_need(db, need_id)
    stale = await post(browser, f"/needs/{need_id}/approve", match_id=seen)
    assert stale.status_code == 409
    assert "推荐刚刚更新过" in stale.text
    assert "等待审核" in stale.text  # the state as it is, not as the refused approval would have had it
    assert await state(db, need_id) == "proposed"


async def test_override_needs_a_candidate_and_a_reason(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    browser = await login("coordinator")
    await need_page(browser, need_id)
    empty = await post(browser, f"/needs/{need_id}/override", reason="")
    assert empty.status_code == 422
    assert "请先在上面的候选中选一项" in empty.text
    assert empty.text.count("请填写这一项。") == 1
    typed = await post(browser, f"/needs/{need_id}/override", reason=NASTY, offering_id="999999")
    assert typed.status_code == 422
    assert "&lt;script&gt;alert(1)&lt;/script&gt;</textarea>" in typed.text
    other = world.offerings["知识产权法律政策咨询"]
    done = await post(browser, f"/needs/{need_id}/override", reason="咨询就够了", offering_id=str(other))
    assert done.status_code == 303
    assert "改派到「南山知识产权保护中心（测试）」" in await need_page(browser, need_id)


async def test_a_full_offering_is_told_on_the_page(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    need_id = await file_need(db, settings, world, "想申请专利，请辅导", PATENT)
    other = world.offerings["专利申请辅导"]
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE offerings SET capacity = 0 WHERE institution_id = $1", world.actors["office"].institution_id
        )
        await tx.execute("UPDATE offerings SET capacity = 0 WHERE id = $1", other)
    browser = await login("coordinator")
    full = await approve(browser, need_id)
    assert full.status_code == 409
    assert "名额刚刚用完" in full.text
    assert "名额已满" in full.text
    async with db.transaction() as tx:
        await tx.execute("UPDATE offerings SET capacity = 5 WHERE capacity = 0")


async def test_a_need_is_returned_once(db: Database, settings: Settings, world: World, login: Login) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    browser = await login("coordinator")
    await need_page(browser, need_id)
    empty = await post(browser, f"/needs/{need_id}/return", missing=" \n ", note="请尽快")
    assert empty.status_code == 422
    assert "请尽快</textarea>" in empty.text
    done = await post(browser, f"/needs/{need_id}/return", missing="权属证明\r\n\r\n侵权网页链接\r\n", note="")
    assert done.status_code == 303
    html = await need_page(browser, need_id)
    assert "<li>权属证明</li><li>侵权网页链接</li>" in html
    again = await post(browser, f"/needs/{need_id}/return", missing="还有", note="")
    assert again.status_code == 409
    assert "一次性告知只能用一次" in again.text


async def test_escalation_and_closing(db: Database, settings: Settings, world: World, login: Login) -> None:
    one, two = [await file_need(db, settings, world, AID_TEXT) for _ in range(2)]
    browser = await login("coordinator")
    await need_page(browser, one)
    assert (await post(browser, f"/needs/{one}/escalate", note="")).status_code == 422
    answer = await post(browser, f"/needs/{one}/escalate", note="涉及全省")
    assert "已提请「广东省骨干节点」处理" in (await browser.get(answer.headers["location"])).text
    html = await need_page(browser, one)
    assert f"/needs/{one}/return" not in html  # it is another node's now
    assert (await post(browser, f"/needs/{one}/close", note="x")).status_code == 403
    assert (await post(browser, f"/needs/{two}/close", note="请到园区办理")).status_code == 303
    assert await state(db, two) == "closed"
    assert str(two) in (await browser.get("/queue?tab=ended")).text


@pytest.mark.parametrize("path", ["/queue?tab=nonsense", "/queue?cursor=nonsense", "/queue?done=0"])
async def test_an_address_that_cannot_be(login: Login, path: str) -> None:
    assert 400 <= (await (await login("coordinator")).get(path)).status_code < 500


async def test_unknown_needs_and_matches(login: Login) -> None:
    browser = await login("coordinator")
    assert (await browser.get("/needs/999999")).status_code == 404
    for path in ("/needs/999999/approve", "/needs/0/approve", "/needs/99999999999999999999/close"):
        assert (await post(browser, path, match_id="1", note="x")).status_code == 404
    assert (await post(browser, "/matches/999999/answer-decline", grant="true", note="x")).status_code == 404


# the institution ----------------------------------------------------------------------------------------------------


async def test_take_and_deliver(db: Database, settings: Settings, world: World, login: Login) -> None:
    need_id = await file_need(db, settings, world, f"{NASTY} {AID_TEXT}")
    await approve(await login("coordinator"), need_id)
    match_id = await match_of(db, need_id)
    browser = await login("institution")
    html = (await browser.get("/desk")).text
    assert f"/matches/{match_id}/accept" in html
    assert NASTY not in html
    taken = await post(browser, f"/matches/{match_id}/accept")
    assert taken.headers["location"] == f"/desk?done={match_id}#m-{match_id}"
    assert "已受理。请在" in (await browser.get(taken.headers["location"])).text
    again = await post(browser, f"/matches/{match_id}/accept")
    assert again.status_code == 409
    empty = await post(browser, f"/matches/{match_id}/deliver", result="  ")
    assert empty.status_code == 422
    assert f'id="deliver-{match_id}-result-error"' in empty.text
    assert (await post(browser, f"/matches/{match_id}/deliver", result="已出具意见书")).status_code == 303
    assert await state(db, need_id) == "delivered"
    assert "结果已送达" in (await browser.get("/desk")).text


async def test_a_common_item_is_declined_by_the_coordinator(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    coordinator, browser = await login("coordinator"), await login("institution")
    await approve(coordinator, need_id)
    match_id = await match_of(db, need_id)
    await browser.get("/desk")
    kept = await post(browser, f"/matches/{match_id}/decline", note="办" * 2001)
    assert kept.status_code == 422
    assert "办" * 2001 in kept.text
    asked = await post(browser, f"/matches/{match_id}/decline", note="专家都在外地")
    assert "谢绝申请已提交骨干节点" in (await browser.get(asked.headers["location"])).text
    assert "专家都在外地" in (await coordinator.get("/queue")).text
    assert "不同意，请机构办理" in await need_page(coordinator, need_id)
    empty = await post(coordinator, f"/matches/{match_id}/answer-decline", grant="true", note="")
    assert empty.status_code == 422
    granted = await post(coordinator, f"/matches/{match_id}/answer-decline", grant="true", note="另行安排")
    assert granted.headers["location"] == f"/needs/{need_id}"
    assert await state(db, need_id) == "submitted"


async def test_other_items_are_declined_at_once(db: Database, settings: Settings, world: World, login: Login) -> None:
    need_id = await file_need(db, settings, world, "想申请专利，请辅导", PATENT)
    await approve(await login("coordinator"), need_id)
    browser = await login("institution")
    await browser.get("/desk")
    declined = await post(browser, f"/matches/{await match_of(db, need_id)}/decline", note="人手不够")
    assert "已谢绝，骨干节点会另行安排" in (await browser.get(declined.headers["location"])).text
    assert await state(db, need_id) == "submitted"


# own offerings ------------------------------------------------------------------------------------------------------


def offering_form(**changes: Any) -> dict[str, Any]:
    form = {
        "item_code": CONSULTING,
        "title": "试填的咨询服务",
        "summary": "试填",
        "region_codes": ["440305", "440304"],
        "channels": "线上",
        "fee": "免费",
        "promised_days": "2",
        "capacity": "3",
        "guide.conditions": "第一条\r\n\r\n第二条",
        "guide.time_limit": "2 个工作日",
    }
    return form | changes


async def test_an_offering_from_draft_to_second_version(db: Database, login: Login) -> None:
    browser = await login("institution")
    assert "知识产权法律、政策事务咨询" in (await browser.get(f"/desk/offerings/new?item={CONSULTING}")).text
    shown = await post(browser, "/desk/offerings/new", **offering_form(preview="1"))
    assert shown.status_code == 200
    assert "预览，尚未保存" in shown.text
    assert "<li>第一条</li><li>第二条</li>" in shown.text
    made = await post(browser, "/desk/offerings/new", **offering_form(state="draft"))
    assert made.status_code == 303
    offering_id = int(made.headers["location"].rsplit("=", 1)[1])
    assert "已存为草稿" in (await browser.get(made.headers["location"])).text
    path = f"/desk/offerings/{offering_id}"
    assert "试填的咨询服务" in (await browser.get(f"{path}/edit")).text
    revised = await post(browser, f"{path}/edit", **offering_form(version="1", fee=NASTY, promised_days=""))
    assert revised.status_code == 303
    stale = await post(browser, f"{path}/edit", **offering_form(version="1", summary="没有保存的话"))
    assert stale.status_code == 409
    assert "没有保存的话" in stale.text
    assert "别人保存的改动" in stale.text
    assert '<td data-of="您打开时"><del>免费</del></td>' in stale.text
    assert f'name="fee" type="text" value="{escape(NASTY)}"' in stale.text, "left alone here, so it is the other's now"
    assert 'name="version" value="2"' in stale.text, "who has seen it may save on top of it"
    html = (await browser.get(f"{path}/versions")).text
    assert '<td data-of="第 1 版"><del>免费</del></td><td data-of="第 2 版"><ins>&lt;script&gt;' in html
    assert '<del>2 个工作日</del></td><td data-of="第 2 版"><ins>未载明</ins>' in html
    assert (await post(browser, f"{path}/capacity", capacity="0")).status_code == 303
    wrong = await post(browser, f"{path}/capacity", capacity="-1")
    assert 'value="-1" required aria-invalid="true"' in wrong.text  # beside its field, as it was typed
    assert wrong.status_code == 422
    assert "不能小于 0" in wrong.text
    for wanted in ("published", "paused"):
        assert (await post(browser, f"{path}/state", state=wanted)).status_code == 303
    assert (await post(browser, f"{path}/state", state="draft")).status_code == 409
    async with db.reading() as tx:
        row = await tx.fetchrow("SELECT state, version, capacity FROM offerings WHERE id = $1", offering_id)
    assert row is not None
    assert tuple(row) == ("paused", 2, 0)


async def test_a_wrong_offering_keeps_what_was_typed(login: Login) -> None:
    browser = await login("institution")
    await browser.get("/desk/offerings/new")
    form = offering_form(title="短", summary=NASTY, capacity="许多", state="published")
    del form["region_codes"]
    answer = await post(browser, "/desk/offerings/new", **form)
    assert answer.status_code == 422
    assert "有 3 处需要修改" in answer.text
    assert "&lt;script&gt;" in answer.text
    assert NASTY not in answer.text
    assert "许多" in answer.text
    assert (await browser.get("/desk/offerings/new?item=NO-SUCH")).status_code == 404
    elsewhere = await post(browser, "/desk/offerings/new", **offering_form(region_codes="999999", state="published"))
    assert elsewhere.status_code == 422
    assert "没有这些地区：999999" in elsewhere.text


# the counter --------------------------------------------------------------------------------------------------------


def intake(**changes: str) -> dict[str, str]:
    form = {
        "key": "k1",
        "body": f"{NASTY} 想给自己画的表情包做著作权登记",
        "name": "李小花",
        "contact_name": "李小花",
        "contact_phone": "13800000000",
        "region_code": "440305",
    }
    return form | changes


async def test_a_double_click_files_one_need(db: Database, login: Login) -> None:
    browser = await login("clerk")
    assert "南山区" in (await browser.get("/counter")).text
    first = await post(browser, "/counter", **intake(key="double-click"))
    second = await post(browser, "/counter", **intake(key="double-click"))
    assert first.status_code == second.status_code == 303
    assert first.headers["location"] == second.headers["location"]
    html = (await browser.get(first.headers["location"])).text
    assert "需求受理回执" in html
    assert NASTY not in html
    changed = await post(browser, "/counter", **intake(key="double-click", body="另一位来访人想办商标续展"))
    assert changed.status_code == 409
    assert "另一位来访人想办商标续展</textarea>" in changed.text
    third = await post(browser, "/counter", **intake(key="next-visitor"))
    assert third.headers["location"] != first.headers["location"]
    assert (await browser.get("/counter/999999")).status_code == 404


async def test_a_wrong_intake_tells_everything_at_once(login: Login) -> None:
    browser = await login("clerk")
    await browser.get("/counter")
    wrong = intake(name="深", contact_name="", contact_phone="打我电话吧", region_code="", uscc="91440300MA5EXAMPLX")
    answer = await post(browser, "/counter", **wrong)
    assert answer.status_code == 422
    assert "有 5 处需要修改" in answer.text
    assert "91440300MA5EXAMPLX" in answer.text
    assert "著作权登记</textarea>" in answer.text
    past = await post(browser, "/counter", **intake(key="past", wanted_by="2020-01-01"))
    assert past.status_code == 422
    assert "这一天已经过去了" in past.text
    nowhere = await post(browser, "/counter", **intake(key="nowhere", region_code="999999"))
    assert nowhere.status_code == 422
