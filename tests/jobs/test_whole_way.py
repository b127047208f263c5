"""The main job through the API, with real PostgreSQL, Redis and worker: from a need in plain words to its result."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.conftest import Api
from tests.factories import World

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("worker")]


async def submit(enterprise: httpx.AsyncClient, body: str, key: str, **more: Any) -> dict[str, Any]:
    answer = await enterprise.post("/needs", json={"body": body, **more}, headers={"Idempotency-Key": key})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def until(client: httpx.AsyncClient, path: str, state: str) -> dict[str, Any]:
    for _ in range(200):
        found = (await client.get(path)).json()
        if found["state"] == state:
            return dict(found)
        await asyncio.sleep(0.05)
    raise AssertionError(f"{path} is {found['state']}, not {state}")


async def actions(client: httpx.AsyncClient, need_id: int) -> list[tuple[str, str]]:
    events = (await client.get(f"/needs/{need_id}/events")).json()
    return [(event["machine"], event["action"]) for event in events]


async def test_from_submission_to_confirmation(api: Api) -> None:
    enterprise, coordinator = api("enterprise"), api("coordinator")
    need = await submit(enterprise, "我们研发了一种新型电池隔膜，想申请发明专利，请问怎么办理？", "way-1")
    path = f"/needs/{need['id']}"
    assert need["state"] == "submitted"
    assert need["node_name"] == "深圳市骨干节点"

    await until(coordinator, path, "proposed")
    shortlist = (await coordinator.get(f"{path}/ranking")).json()
    assert shortlist["run"]["model_version"] == "scorecard-2"
    best = shortlist["candidates"][0]
    assert best["item_code"] == "SZ-2024-01"
    for candidate in shortlist["candidates"]:
        assert sum(part["points"] for part in candidate["parts"]) == pytest.approx(candidate["score"], abs=1e-9)
    assert {c["institution_name"] for c in shortlist["candidates"]} == {
        "深圳专利代办处（测试）",
        "南山知识产权保护中心（测试）",
    }
    assert shortlist["run"]["excluded_counts"]["outside_territory"] == 2

    matches = (await coordinator.get(f"{path}/events")).json()
    match_id = next(e["match_id"] for e in matches if e["action"] == "propose" and e["machine"] == "match")
    approved = await coordinator.post(f"{path}/approve", json={"match_id": match_id})
    assert approved.json()["state"] == "assigned", approved.text
    assert approved.json()["owner_name"] == "coordinator 的姓名"

    server = api("office" if best["institution_name"].startswith("深圳专利") else "institution")
    accepted = await server.post(f"/matches/{match_id}/accept")
    assert accepted.json()["state"] == "accepted", accepted.text
    delivered = await server.post(f"/matches/{match_id}/deliver", json={"result": "已出具受理通知书，附办理说明。"})
    assert delivered.json()["state"] == "delivered", delivered.text

    again = await enterprise.post(f"{path}/rework", json={"note": "说明里缺少缴费时间。"})
    assert again.json()["state"] == "serving"
    await server.post(f"/matches/{match_id}/deliver", json={"result": "已补充缴费时间。"})
    done = await enterprise.post(f"{path}/confirm")
    assert done.json()["state"] == "completed"

    match = (await enterprise.get(f"/matches/{match_id}")).json()
    assert match["result"] == "已补充缴费时间。"
    assert match["offering_version"] == 1
    # The enterprise never learns who else was considered, nor that a proposal was made.
    assert ("match", "propose") not in await actions(enterprise, need["id"])
    assert await actions(coordinator, need["id"]) == [
        ("need", "submit"),
        ("need", "propose"),
        ("match", "propose"),
        ("need", "approve"),
        ("match", "approve"),
        ("need", "accept"),
        ("match", "accept"),
        ("need", "deliver"),
        ("match", "deliver"),
        ("need", "rework"),
        ("match", "rework"),
        ("need", "deliver"),
        ("match", "deliver"),
        ("need", "confirm"),
        ("match", "confirm"),
    ]


async def test_override_decline_and_the_common_list(api: Api, world: World) -> None:
    enterprise, coordinator, center = api("enterprise"), api("coordinator"), api("institution")
    need = await submit(enterprise, "网上有人仿冒我们的专利产品在卖，怎么维权？", "way-2")
    path = f"/needs/{need['id']}"
    await until(coordinator, path, "proposed")
    aid = world.offerings["专利侵权维权援助"]
    ranked = (await coordinator.get(f"{path}/ranking")).json()["candidates"]
    first = ranked[0]["offering_id"]

    same = await coordinator.post(f"{path}/override", json={"offering_id": first, "reason": "换一家"})
    assert same.status_code == 422
    assert same.json()["errors"][0]["field"] == "offering_id"
    no_reason = await coordinator.post(f"{path}/override", json={"offering_id": aid, "reason": "  "})
    assert no_reason.status_code == 422

    if first != aid:
        answer = await coordinator.post(f"{path}/override", json={"offering_id": aid, "reason": "就近，且熟悉该产业"})
    else:
        events = (await coordinator.get(f"{path}/events")).json()
        answer = await coordinator.post(f"{path}/approve", json={"match_id": events[-1]["match_id"]})
    assert answer.json()["state"] == "assigned", answer.text
    match_id = (await center.get("/matches")).json()["items"][0]["id"]

    asked = await center.post(f"/matches/{match_id}/decline", json={"note": "本周人手不足"})
    assert asked.json()["state"] == "decline_requested", "an item of the common list is not declined"
    assert (await coordinator.get(path)).json()["state"] == "assigned"
    refused = await coordinator.post(
        f"/matches/{match_id}/answer-decline", json={"grant": False, "note": "请按清单受理"}
    )
    assert refused.json()["state"] == "approved"
    await center.post(f"/matches/{match_id}/decline", json={"note": "与当事人有利害关系"})
    granted = await coordinator.post(f"/matches/{match_id}/answer-decline", json={"grant": True, "note": "同意回避"})
    assert granted.json()["state"] == "declined"

    await until(coordinator, path, "proposed")
    ranking = (await coordinator.get(f"{path}/ranking")).json()
    assert "南山知识产权保护中心（测试）" not in {c["institution_name"] for c in ranking["candidates"]}
    assert (await center.get(path)).status_code == 404, "who declined does not see the need any more"


async def test_return_once_resubmit_escalate(api: Api) -> None:
    enterprise, coordinator, province = api("enterprise"), api("coordinator"), api("province")
    need = await submit(enterprise, "想办专利", "way-3")
    path = f"/needs/{need['id']}"
    await until(coordinator, path, "proposed")
    notice = {"missing": ["专利类型：发明、实用新型还是外观设计", "希望何时办完"], "note": "补齐后即可派单"}
    assert (await coordinator.post(f"{path}/return", json=notice)).json()["state"] == "returned"
    body = "想申请外观设计专利，产品是一款台灯，希望下月底前提交。"
    assert (await enterprise.post(f"{path}/resubmit", json={"body": body})).json()["body"] == body
    await until(coordinator, path, "proposed")
    second = await coordinator.post(f"{path}/return", json=notice)
    assert second.status_code == 409
    assert second.json()["type"] == "/problems/already-returned"

    moved = await coordinator.post(f"{path}/escalate", json={"note": "本市名额已满，请省里调配"})
    assert moved.json()["node_name"] == "广东省骨干节点"
    await until(province, path, "proposed")
    ranking = (await province.get(f"{path}/ranking")).json()
    assert "广东省知识产权保护中心（测试）" in {c["institution_name"] for c in ranking["candidates"]}
    late = await coordinator.post(f"{path}/close", json={"note": "不再办理"})
    assert late.status_code == 403, "the node below reads on, but does not act"
    assert (await coordinator.get(path)).status_code == 200
    nothing_above = await province.post(f"{path}/escalate", json={"note": "再上"})
    assert nothing_above.status_code == 409
    withdrawn = await enterprise.post(f"{path}/withdraw", json={"note": "已自行办理"})
    assert withdrawn.json()["state"] == "withdrawn"


async def test_outside_scope_waits_for_a_person(api: Api) -> None:
    need = await submit(api("enterprise"), "邻居家的狗咬伤了我父亲，医药费谁来赔？", "way-4")
    found = await until(api("coordinator"), f"/needs/{need['id']}", "unmatched")
    assert found["understanding"]["outside_scope"] is True
    closed = await api("coordinator").post(f"/needs/{need['id']}/close", json={"note": "请拨打 12348 咨询。"})
    assert closed.json()["state"] == "closed"


async def test_two_coordinators_approve_at_once(api: Api) -> None:
    need = await submit(api("enterprise"), "商标注册怎么申请？", "way-5")
    path = f"/needs/{need['id']}"
    await until(api("coordinator"), path, "proposed")
    events = (await api("coordinator").get(f"{path}/events")).json()
    body = {"match_id": events[-1]["match_id"]}
    first, second = await asyncio.gather(
        api("coordinator").post(f"{path}/approve", json=body), api("coordinator2").post(f"{path}/approve", json=body)
    )
    statuses = sorted((first.status_code, second.status_code))
    assert statuses == [200, 409]
    told = (first if first.status_code == 409 else second).json()
    assert "的姓名已在" in told["detail"], "the one who comes second learns who decided, and when"


async def test_clerk_files_for_a_person_without_account(api: Api) -> None:
    party = {"name": "赵师傅", "region_code": "440306", "contact_name": "赵师傅", "contact_phone": "0755-00000009"}
    clerk = api("clerk")
    need = await submit(clerk, "老店的招牌被人抢注成商标了，想问问怎么办", "way-6", party=party)
    assert need["channel"] == "counter"
    assert need["enterprise_name"] == "赵师傅"
    await until(clerk, f"/needs/{need['id']}", "proposed")
    assert (await api("enterprise").get(f"/needs/{need['id']}")).status_code == 404
