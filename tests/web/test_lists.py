"""Lists, guides, exports and feeds through HTTP: each page, each step, bad input, and who may not."""

import csv
import io
import json
import re
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from tests.conftest import Api, Login
from tests.factories import AID, CONSULTING, PATENT, TRADEMARK, World

pytestmark = pytest.mark.anyio

NASTY = "<script>alert(1)</script>"


async def post(browser: httpx.AsyncClient, path: str, **form: Any) -> httpx.Response:
    """A form as a browser without JavaScript sends it."""
    return await browser.post(path, data={"_csrf_token": browser.cookies["zhipei_csrf"], **form})


def item_form(**changes: Any) -> dict[str, Any]:
    form = {
        "name": "专利布局陪跑",
        "item_group": "专利相关",
        "item_list": "specific",
        "rights": ["patent", "trademark"],
        "stages": "creation",
        "aliases": "怎么布局\r\n\r\n专利怎么规划",
        "promised_limit": "7个工作日",
        "guide.audience": "企业",
        "guide.channels": "线上\r\n窗口",
        "guide.process": "报名\r\n陪跑",
        "guide.result": "建议书",
    }
    return form | changes


async def drafted(browser: httpx.AsyncClient, **changes: Any) -> str:
    """The path of a new draft."""
    answer = await post(browser, "/lists/new", **item_form(**changes))
    assert answer.status_code == 303, re.findall(r'class="error"[^<]*<', answer.text)
    return answer.headers["location"]


async def approved(login: Login, path: str, writer: httpx.AsyncClient, reviewer: str) -> None:
    assert (await post(writer, f"{path}/move", action="submit", edit="1")).status_code == 303
    done = await post(await login(reviewer), f"{path}/move", action="approve", edit="1")
    assert done.headers["location"] == "/lists?done=published"


# who may ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "desk", "writing"),
    [
        ("institution", 200, 200),
        ("admin", 200, 200),
        ("coordinator", 200, 403),
        ("clerk", 403, 403),
        ("enterprise", 403, 403),
    ],
)
async def test_pages_open_for_their_roles(login: Login, role: str, desk: int, writing: int) -> None:
    browser = await login(role)
    assert (await browser.get("/lists")).status_code == desk
    assert (await browser.get("/lists/new")).status_code == writing


async def test_lists_of_others_are_not_there(login: Login) -> None:
    path = await drafted(await login("institution"))
    for stranger in ("office", "coordinator"):
        browser = await login(stranger)
        assert (await browser.get(path)).status_code == 404
        assert (await post(browser, f"{path}/move", action="submit", edit="1")).status_code == 404
    office = await login("office")
    assert (await office.get(f"{path}/edit")).status_code == 404
    assert (await office.get(f"/lists/new?item={AID}")).status_code == 404
    assert (await office.get(f"/lists/withdraw?item={AID}")).status_code == 404
    assert (await post(office, "/lists/withdraw", item_code=AID, reason="x")).status_code == 404


# the whole way ------------------------------------------------------------------------------------------------------


async def test_an_item_from_draft_to_its_withdrawal(client: httpx.AsyncClient, login: Login) -> None:
    writer = await login("institution")
    path = await drafted(writer, name=f"陪跑{NASTY}", reason=NASTY)
    html = (await writer.get(path)).text
    assert NASTY not in html
    assert "提交审核" in html
    await approved(login, path, writer, "coordinator")
    assert "已生效" in (await writer.get(path)).text
    found = re.search(r"J\d+-\d+", (await writer.get("/lists")).text)
    assert found
    item = f"/items/{found[0]}"
    shown = (await client.get(item)).text
    assert "&lt;script&gt;" in shown
    assert "编制机构" in shown
    assert found[0] in (await client.get("/items?list=specific")).text
    assert found[0] in (await client.get("/institutions/2")).text

    again = await writer.get(f"/lists/new?item={found[0]}")
    assert "怎么布局\n专利怎么规划" in again.text
    second = await post(
        writer, "/lists/new", **item_form(item_code=found[0], **{"guide.process": "报名\r\n初谈\r\n陪跑"})
    )
    await approved(login, second.headers["location"], writer, "coordinator")
    told = (await client.get(f"{item}/compare")).text
    assert '<td data-of="第 2 版">报名\n<ins>初谈\n</ins>陪跑</td>' in told
    assert "改了什么" in (await client.get(item)).text
    assert "这是第 1 版，现行的是第 2 版" in (await client.get(f"{item}?version=1")).text

    assert "写明撤销日期" in (await writer.get(f"/lists/withdraw?item={found[0]}")).text
    wrong = await post(writer, "/lists/withdraw", item_code=found[0], reason="", effective_from="明天")
    assert wrong.status_code == 422
    assert "请填写这一项" in wrong.text
    gone = await post(writer, "/lists/withdraw", item_code=found[0], reason="做完了")
    done = await post(await login("coordinator"), f"{gone.headers['location']}/move", action="approve", edit="1")
    assert done.headers["location"] == "/lists?done=published"
    assert "撤销，不再接新的需求" in (await client.get(item)).text
    assert found[0] in (await client.get("/items?withdrawn=true")).text
    assert found[0] not in (await client.get("/items")).text
    assert "以下内容仅供查阅" in (await client.get(f"{item}/guide")).text


async def test_a_form_that_does_not_fit_comes_back_whole(login: Login) -> None:
    browser = await login("admin")
    answer = await post(
        browser,
        "/lists/new",
        **item_form(
            item_list="common", item_code="小写", name="一", promised_limit="很快", effective_until="2020-01-01"
        ),
    )
    assert answer.status_code == 422
    for words in ("至少要 2 个字", "请写成「7个工作日」", 'value="很快"', 'value="小写"', "专利怎么规划"):
        assert words in answer.text
    answer = await post(browser, "/lists/new", **item_form(item_list="common", item_code="小写"))
    assert "大写字母、数字和连字符" in answer.text
    incomplete = await drafted(browser, item_list="common", item_code="GD-1", **{"guide.process": ""})
    refused = await post(browser, f"{incomplete}/move", action="submit", edit="1")
    assert refused.status_code == 422
    assert "办理流程：提交审核前请填写这一项" in refused.text
    for body in ({}, {"action": "approve"}, {"action": "publish", "edit": "1"}, {"action": "x", "edit": "x"}):
        assert (await post(browser, f"{incomplete}/move", **body)).status_code in (403, 409, 422), body


async def test_the_second_to_save_sees_what_the_first_changed_and_loses_nothing(login: Login) -> None:
    first, second = await login("admin"), await login("admin2")
    path = await drafted(first, item_list="common", item_code="GD-2")
    page = (await second.get(f"{path}/edit")).text
    assert 'name="edit" value="1"' in page
    saved = await post(
        first, f"{path}/edit", **item_form(item_list="common", edit="1", fee="免费", aliases="换过的说法")
    )
    assert saved.status_code == 303
    mine = item_form(item_list="common", edit="1", name="我改的名字")
    wrong = await post(second, f"{path}/edit", **mine | {"promised_limit": "很快"})
    assert 'name="edit" value="1"' in wrong.text, (
        "a form that comes back for a slip has still not seen the others' work"
    )
    late = await post(second, f"{path}/edit", **mine)
    assert late.status_code == 409
    for words in ("别人保存的改动", "<ins>免费</ins>", 'value="我改的名字"', 'name="edit" value="2"', "换过的说法"):
        assert words in late.text
    assert "怎么布局\n专利怎么规划</textarea>" not in late.text, "left alone here, so it is the other's now"
    again = await post(second, f"{path}/edit", **mine | {"edit": "2"})
    assert again.status_code == 303
    stale = await post(first, f"{path}/move", action="submit", edit="2")
    assert stale.status_code == 409
    assert "我改的名字" in stale.text


async def test_nobody_reviews_what_he_wrote(login: Login) -> None:
    writer = await login("admin")
    path = await drafted(writer, item_list="authority", item_code="GD-3")
    await post(writer, f"{path}/move", action="submit", edit="1")
    assert "不能自己审核" in (await writer.get(path)).text
    refused = await post(writer, f"{path}/move", action="approve", edit="1")
    assert refused.status_code == 403
    reviewer = await login("admin2")
    assert "等您审核" in (await reviewer.get("/lists")).text
    back = await post(reviewer, f"{path}/move", action="send_back", edit="1")
    assert "请写明退回的理由" in back.text
    back = await post(reviewer, f"{path}/move", action="send_back", edit="1", note="名称不规范")
    assert back.headers["location"] == "/lists?done=draft"
    assert "名称不规范" in (await writer.get(path)).text


# taking up, guides ---------------------------------------------------------------------------------------------------


async def test_an_institution_takes_up_the_common_list(client: httpx.AsyncClient, login: Login, world: World) -> None:
    browser = await login("provincial")
    assert "全部认领" in (await browser.get("/lists")).text
    one = await post(browser, "/lists/take-up", item_code=CONSULTING)
    assert one.status_code == 303
    html = (await browser.get("/lists")).text
    assert "还没有服务，去发布" in html
    assert (await post(browser, "/lists/take-up", item_code=TRADEMARK)).status_code == 422
    await post(browser, "/lists/take-up")
    assert "全部认领" in (await browser.get("/lists")).text, "all only where all was said"
    await post(browser, "/lists/take-up", all="true")
    html = (await browser.get("/lists")).text
    assert "全部认领" not in html
    institution = world.actors["provincial"].institution_id
    assert "认领的共性清单" in (await client.get(f"/institutions/{institution}")).text
    assert (await post(await login("admin"), "/lists/take-up")).status_code == 403


async def test_a_node_publishes_where_to_complain(client: httpx.AsyncClient, login: Login) -> None:
    browser = await login("coordinator")
    await browser.get("/lists")
    wrong = await post(browser, "/lists/channel", supervision="长" * 600)
    assert wrong.status_code == 422
    assert "长" * 600 in wrong.text
    assert (await post(browser, "/lists/channel", supervision="电话 12345")).status_code == 303
    sheet = (await client.get(f"/items/{PATENT}/guide")).text
    assert "深圳市骨干节点：电话 12345" in sheet
    assert "监督评价渠道，以上是深圳市骨干节点公布的联系方式" in sheet
    told = (await client.get(f"/api/v1/items/{PATENT}/guide")).json()
    assert told["complaints"]["source"] == "node"
    assert told["guide"]["supervision"] == ""
    assert set(told["guide"]) == {
        "conditions", "audience", "channels", "materials", "process", "time_limit", "result", "supervision",
    }  # fmt: skip


async def test_an_offerings_guide_is_its_institutions(client: httpx.AsyncClient, world: World) -> None:
    offering_id = world.offerings["专利侵权维权援助"]
    told = (await client.get(f"/api/v1/offerings/{offering_id}/guide")).json()
    assert told["institution_name"] == "南山知识产权保护中心（测试）"
    assert told["promised_limit"] == {"value": 3, "unit": "working_day"}
    assert told["complaints"]["source"] == "institution"
    assert "南山知识产权保护中心（测试）" in (await client.get(f"/offerings/{offering_id}/guide")).text


# out ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["lists", "offerings", "institutions"])
async def test_exports_are_complete_and_kept_until_something_changes(
    client: httpx.AsyncClient, login: Login, world: World, what: str
) -> None:
    path = f"/api/v1/exports/{what}"
    answer = await client.get(path)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="zhipei-{what}.csv"'
    assert "set-cookie" not in answer.headers
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    for form in ("json", "hsds"):
        told = await client.get(path, params={"format": form})
        assert told.headers["content-type"] == "application/json"
        assert len(json.loads(told.content)) == len(rows) - 1
    tag, day = answer.headers["etag"], answer.headers["last-modified"]
    for headers in ({"If-None-Match": f'W/"x", {tag}'}, {"If-Modified-Since": day}, {"If-None-Match": "*"}):
        kept = await client.get(path, headers=headers)
        assert (kept.status_code, kept.content, kept.headers["etag"]) == (304, b"", tag)
    for headers in ({"If-None-Match": '"x"', "If-Modified-Since": day}, {"If-Modified-Since": "yesterday"}):
        assert (await client.get(path, headers=headers)).status_code == 200
    owner = await login("office")
    for state in ("paused", "published"):
        await post(owner, f"/desk/offerings/{world.offerings['商标注册申请受理']}/state", state=state)
    assert (await client.get(path, headers={"If-None-Match": tag})).status_code == 200


async def test_exports_that_are_none(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/exports/needs")).status_code == 404
    assert (await client.get("/api/v1/exports/lists?format=xlsx")).status_code == 422


async def test_changes_are_followed_page_by_page(client: httpx.AsyncClient) -> None:
    seen: list[int] = []
    cursor, more = 0, True
    while more:
        told = (await client.get(f"/api/v1/changes?since={cursor}&limit=7")).json()
        seen += [change["id"] for change in told["items"]]
        cursor, more = told["next"], told["more"]
    assert seen == sorted(set(seen))
    assert len(seen) >= 33 + 7
    assert (await client.get(f"/api/v1/changes?since={cursor}")).json() == {"items": [], "next": cursor, "more": False}
    assert (await client.get("/api/v1/changes?since=-1")).status_code == 422


async def test_feeds_are_paged_and_carry_no_cookie(client: httpx.AsyncClient) -> None:
    space = {"a": "http://www.w3.org/2005/Atom"}
    answer = await client.get("/feed.atom")
    assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"
    assert "set-cookie" not in answer.headers
    assert (await client.get("/feed.atom", headers={"If-None-Match": answer.headers["etag"]})).status_code == 304
    ids: list[str | None] = []
    path: str | None = "/feed.atom"
    while path:
        feed = ET.fromstring((await client.get(path)).content)
        ids += [entry.findtext("a:id", namespaces=space) for entry in feed.findall("a:entry", space)]
        following = feed.find("a:link[@rel='next']", space)
        path = following.get("href", "") if following is not None else None
    told = (await client.get("/api/v1/changes?limit=100")).json()
    assert len(ids) == len(set(ids)) >= len(told["items"])
    assert (await client.get("/feed.json")).json()["version"].endswith("/1.1")
    html = (await client.get("/changes")).text
    assert 'type="application/atom+xml"' in html


# the API ------------------------------------------------------------------------------------------------------------


async def test_a_revision_by_api(api: Api, world: World) -> None:
    writer, reviewer, public = api("institution"), api("coordinator"), api("")
    body = {
        "name": "接口编的事项",
        "item_group": "专利相关",
        "item_list": "specific",
        "rights": ["patent"],
        "stages": ["creation"],
        "guide": {"audience": ["企业"], "channels": ["线上"], "process": ["报名"], "result": ["报告"]},
    }
    key = {"Idempotency-Key": "draft-1"}
    made = await writer.post("/item-revisions", json=body, headers=key)
    assert made.status_code == 201
    assert (await writer.post("/item-revisions", json=body, headers=key)).json() == made.json()
    path, code = f"/item-revisions/{made.json()['id']}", made.json()["item_code"]
    saved = await writer.put(path, json=body | {"edit": 1, "fee": "免费"})
    assert saved.json()["edit"] == 2
    stale = await writer.put(path, json=body | {"edit": 1})
    assert (stale.status_code, stale.json()["type"]) == (409, "/problems/edited-meanwhile")
    assert (await reviewer.get(path)).status_code == 404
    assert (await writer.post(f"{path}/move", json={"action": "submit", "edit": 2})).json() == {"state": "in_review"}
    assert (await writer.post(f"{path}/move", json={"action": "approve", "edit": 2})).status_code == 403
    waiting = (await reviewer.get("/item-revisions?state=in_review")).json()["items"]
    assert {one["state"] for one in waiting} == {"in_review"}
    assert made.json()["id"] in {one["id"] for one in waiting}
    done = await reviewer.post(f"{path}/move", json={"action": "approve", "edit": 2})
    assert done.json() == {"state": "published"}
    assert [step["action"] for step in (await reviewer.get(f"{path}/events")).json()][-1] == "publish"
    assert (await public.get(f"/items/{code}")).json()["institution_id"] == world.actors["institution"].institution_id
    assert [one["version"] for one in (await public.get(f"/items/{code}/versions")).json()] == [1]
    institution = f"/institutions/{world.actors['institution'].institution_id}/lists"
    assert code in (await public.get(institution)).json()["specific"]
    asked = await writer.post(f"/items/{code}/withdrawal", json={"reason": "试完了"})
    assert (asked.status_code, asked.json()["state"], asked.json()["withdraws"]) == (201, "in_review", True)
    assert (await api("admin").post(f"/items/{code}/withdrawal", json={"reason": "x"})).status_code == 404


async def test_taking_up_by_api(api: Api) -> None:
    office = api("office")
    wrong = await office.post("/take-ups", json={"item_codes": [PATENT]})
    assert wrong.json()["errors"][0]["field"] == "item_codes"
    taken = (await office.post("/take-ups", json={"item_codes": [AID]})).json()
    assert {one["item_code"] for one in taken if one["taken_up_at"]} == {AID}
    everything = (await office.post("/take-ups", json={})).json()
    assert all(one["taken_up_at"] for one in everything)
    assert (await office.get("/take-ups")).json() == everything
    assert (await api("coordinator").get("/take-ups")).status_code == 403
