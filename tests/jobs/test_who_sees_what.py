"""What the parties of a need learn, and what stays with the node; and refusals under pressure."""

import asyncio

import pytest

from infra.db import Database
from tests.conftest import Api
from tests.factories import World
from tests.jobs.test_whole_way import submit, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("worker")]

SECRETS = ("只给节点看的改派理由", "人手不足不想接", "请克服困难")


async def test_a_mere_proposal_is_the_nodes_business(api: Api) -> None:
    need = await submit(api("enterprise"), "想申请发明专利，请指导", "who-1")
    path = f"/needs/{need['id']}"
    await until(api("coordinator"), path, "proposed")
    shortlist = (await api("coordinator").get(f"{path}/ranking")).json()
    match_id = shortlist["match"]["id"]
    assert shortlist["match"]["state"] == "proposed"
    assert (await api("coordinator").get(f"/matches/{match_id}")).status_code == 200
    for login in ("enterprise", "office", "institution", "rival", "clerk"):
        assert (await api(login).get(f"/matches/{match_id}")).status_code == 404, login
    await api("enterprise").post(f"{path}/withdraw", json={"note": "不需要了"})
    for login in ("office", "institution"):
        for state in ("", "proposed", "superseded", "cancelled"):
            query = {"state": state} if state else {}
            listed = (await api(login).get("/matches", params=query)).json()["items"]
            assert match_id not in [row["id"] for row in listed], (login, state)
    assert (await api("enterprise").get(f"/matches/{match_id}")).status_code == 404


async def test_reasons_are_read_by_those_they_were_written_to(api: Api, world: World) -> None:
    need = await submit(api("enterprise"), "专利被侵权了，想申请维权援助", "who-2")
    path, coordinator, center = f"/needs/{need['id']}", api("coordinator"), api("institution")
    await until(coordinator, path, "proposed")
    shortlist = (await coordinator.get(f"{path}/ranking")).json()
    aid = world.offerings["专利侵权维权援助"]
    if shortlist["match"]["offering_id"] == aid:
        other = next(c["offering_id"] for c in shortlist["candidates"] if c["offering_id"] != aid)
        await coordinator.post(f"{path}/override", json={"offering_id": other, "reason": SECRETS[0]})
    done = await coordinator.post(f"{path}/override", json={"offering_id": aid, "reason": SECRETS[0]})
    assert done.status_code == 200, done.text
    match_id = (await coordinator.get(f"{path}/ranking")).json()["match"]["id"]
    await center.post(f"/matches/{match_id}/decline", json={"note": SECRETS[1]})
    await coordinator.post(f"/matches/{match_id}/answer-decline", json={"grant": False, "note": SECRETS[2]})

    def told(text: str) -> list[bool]:
        return [secret in text for secret in SECRETS]

    assert told((await coordinator.get(f"{path}/events")).text) == [True, True, True]
    assert told((await api("enterprise").get(f"{path}/events")).text) == [False, False, False]
    assert told((await center.get(f"{path}/events")).text) == [False, True, True]


async def test_a_need_being_served_is_no_dead_end(api: Api) -> None:
    need = await submit(api("enterprise"), "商标续展怎么办理", "who-3")
    path, coordinator = f"/needs/{need['id']}", api("coordinator")
    await until(coordinator, path, "proposed")
    match = (await coordinator.get(f"{path}/ranking")).json()["match"]
    await coordinator.post(f"{path}/approve", json={"match_id": match["id"]})
    server = api("office" if "代办处" in match["institution_name"] else "institution")
    assert (await server.post(f"/matches/{match['id']}/accept")).status_code == 200
    closed = await coordinator.post(f"{path}/close", json={"note": "机构长期未办结，请重新提交。"})
    assert closed.json()["state"] == "closed", closed.text


async def test_a_clerk_learns_nothing_of_an_enterprise_from_its_code(api: Api, db: Database) -> None:
    async with db.reading() as tx:
        code = await tx.fetchval("SELECT uscc FROM enterprises WHERE name = '深圳甲科技有限公司'")
    party = {
        "name": "深圳甲科技有限公司",
        "uscc": code,
        "region_code": "440306",
        "contact_name": "李代办",
        "contact_phone": "0755-00000077",
    }
    need = await submit(api("clerk"), "代企业咨询专利申请", "who-4", party=party)
    assert (need["contact_name"], need["contact_phone"]) == ("李代办", "0755-00000077")
    assert need["region_code"] == "440306"
    elsewhere = {"body": "广州的需求", "party": party | {"region_code": "440106"}}
    refused = await api("clerk").post("/needs", json=elsewhere, headers={"Idempotency-Key": "who-5"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "party.region_code"


async def test_refusals_do_not_use_up_the_connections(api: Api) -> None:
    """Each needs a look at its key after its refusal: on the connection it has."""
    needs = [await submit(api("rival"), f"撤回测试第 {n} 件，专利申请", f"refuse-{n}") for n in range(15)]
    calls = [
        api("rival").post(f"/needs/{need['id']}/confirm", headers={"Idempotency-Key": f"refused-{need['id']}-{again}"})
        for need in needs
        for again in (1, 2)
    ]
    answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {409}


async def test_escalating_and_approving_at_once(api: Api) -> None:
    need = await submit(api("enterprise"), "商标注册申请怎么办", "who-6")
    path = f"/needs/{need['id']}"
    await until(api("coordinator"), path, "proposed")
    match_id = (await api("coordinator").get(f"{path}/ranking")).json()["match"]["id"]
    escalated, approved = await asyncio.gather(
        api("coordinator").post(f"{path}/escalate", json={"note": "请省里调配"}),
        api("coordinator2").post(f"{path}/approve", json={"match_id": match_id}),
    )
    assert sorted((escalated.status_code, approved.status_code)) in ([200, 403], [200, 409])


async def test_a_returned_need_has_to_be_completed(api: Api) -> None:
    body = "想办专利，具体怎么弄"
    need = await submit(api("enterprise"), body, "who-7")
    path = f"/needs/{need['id']}"
    await until(api("coordinator"), path, "proposed")
    await api("coordinator").post(f"{path}/return", json={"missing": ["请写明产品"], "note": ""})
    same = await api("enterprise").post(f"{path}/resubmit", json={"body": body})
    assert same.status_code == 422
    past = await api("enterprise").post(f"{path}/resubmit", json={"body": body + "，台灯", "wanted_by": "2020-01-01"})
    assert past.json()["errors"][0]["field"] == "wanted_by"
    assert (await api("enterprise").post(f"{path}/resubmit", json={"body": body + "，台灯"})).status_code == 200
