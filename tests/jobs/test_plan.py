"""A plan made by the real worker, asked for, looked at and approved by API."""

import pytest

from tests.conftest import Api
from tests.jobs.test_whole_way import submit, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("worker")]


async def test_from_the_request_to_the_approval(api: Api) -> None:
    enterprise, coordinator = api("rival"), api("coordinator")
    need = await submit(enterprise, "知识产权政策咨询，想了解一下", "plan-1")
    await until(coordinator, f"/needs/{need['id']}", "proposed")
    headers = {"Idempotency-Key": "plan-1"}
    asked, again = [(await coordinator.post("/plans", headers=headers)).json() for _ in range(2)]
    assert asked == again
    path = f"/plans/{asked['id']}"
    plan = await until(coordinator, path, "done")
    content = plan["content"]
    assert plan["needs_left"] == 0
    assert plan["needs_done"] == len(content["pairs"]) + len(content["left_over"])
    (pair,) = [pair for pair in content["pairs"] if pair["need_id"] == need["id"]]
    answer = await coordinator.post(f"{path}/approve", json={"needs": [need["id"]]})
    assert answer.json()["outcomes"][0]["approved"], answer.text
    assert (await coordinator.get(f"/needs/{need['id']}")).json()["state"] == "assigned"
    events = (await coordinator.get(f"/needs/{need['id']}/events")).json()
    match = (await coordinator.get(f"/matches/{events[-1]['match_id']}")).json()
    assert match["offering_id"] == pair["planned"]["offering_id"]


async def test_the_worker_heeds_what_was_ruled(api: Api) -> None:
    enterprise, coordinator = api("enterprise"), api("coordinator")
    need = await submit(enterprise, "想申请专利，不知道怎么准备材料", "plan-2")
    await until(coordinator, f"/needs/{need['id']}", "proposed")
    shown = (await coordinator.get(f"/needs/{need['id']}/ranking")).json()
    last = shown["candidates"][-1]["offering_id"]
    rule = {"need_id": need["id"], "offering_id": last, "kind": "pin"}
    assert (await coordinator.post("/plans/rules", json=rule)).status_code == 201
    asked = (await coordinator.post("/plans")).json()
    content = (await until(coordinator, f"/plans/{asked['id']}", "done"))["content"]
    (pair,) = [pair for pair in content["pairs"] if pair["need_id"] == need["id"]]
    assert pair["pinned"]
    assert pair["planned"]["offering_id"] == last
