"""Ratings through the API: once, by whom, what is told to whom, bad input, and the whole way of a bad one."""

import asyncio
from typing import Any

import httpx
import pytest

from infra.db import Database
from infra.settings import Settings
from market.enterprises.model import Party
from tests.conftest import Api
from tests.factories import CONSULTING, World, serve

pytestmark = pytest.mark.anyio

PARTY = Party(name="赵师傅", uscc=None, contact_name="赵师傅", contact_phone="0755-00000009", region_code="440305")
GOOD = {"level": 5, "indicators": ["517"], "remark": "很耐心"}
BAD = {"level": 1, "indicators": ["110"], "remark": "拖了两个月"}


def problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.json()["type"] == f"/problems/{slug}"
    return dict(answer.json())


async def test_a_good_rating(api: Api, db: Database, settings: Settings, world: World) -> None:
    need_id = await serve(db, settings, world)
    path = f"/needs/{need_id}/rating"
    problem(await api("enterprise").get(path), 404, "not-found")
    given = await api("enterprise").post(path, json=GOOD)
    assert given.status_code == 201, given.text
    rating = given.json()
    assert (rating["level"], rating["rectification"], rating["state"]) == (5, None, "published")
    for name in ("enterprise", "institution", "coordinator", "admin"):
        assert (await api(name).get(path)).json()["id"] == rating["id"]
    for name in ("rival", "office", "clerk"):
        problem(await api(name).get(path), 404, "not-found")
    events = (await api("institution").get(f"/needs/{need_id}/events")).json()
    assert (events[-1]["action"], events[-1]["note"], events[-1]["data"]["level"]) == ("rate", "很耐心", 5)


async def test_once_per_service(api: Api, db: Database, settings: Settings, world: World) -> None:
    path = f"/needs/{await serve(db, settings, world)}/rating"
    calls = [
        api("enterprise").post(path, json=GOOD | {"remark": f"第 {n} 次"}, headers={"Idempotency-Key": f"{path}-{n}"})
        for n in range(4)
    ]
    answers = await asyncio.gather(*calls)
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    told = problem(next(answer for answer in answers if answer.status_code == 409), 409, "already-rated")
    assert "每次服务评价一次" in told["detail"]


async def test_the_same_key_gives_the_same_answer(api: Api, db: Database, settings: Settings, world: World) -> None:
    path = f"/needs/{await serve(db, settings, world)}/rating"
    key = {"Idempotency-Key": path}
    answers = await asyncio.gather(*(api("enterprise").post(path, json=BAD, headers=key) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    other = await api("enterprise").post(path, json=GOOD, headers=key)
    problem(other, 422, "idempotency-mismatch")


async def test_only_what_was_completed_and_only_ones_own(
    api: Api, db: Database, settings: Settings, world: World
) -> None:
    need_id = await serve(db, settings, world, confirmed=False)
    path = f"/needs/{need_id}/rating"
    early = problem(await api("enterprise").post(path, json=GOOD), 409, "invalid-transition")
    assert "请先确认结果" in early["detail"]
    problem(await api("rival").post(path, json=GOOD), 404, "not-found")
    problem(await api("clerk").post(path, json=GOOD), 404, "not-found")
    for name in ("institution", "coordinator", "admin"):
        problem(await api(name).post(path, json=GOOD), 403, "forbidden")
    problem(await api("").post(path, json=GOOD), 401, "not-authenticated")
    problem(await api("enterprise").post("/needs/999999/rating", json=GOOD), 404, "not-found")
    await api("enterprise").post(f"/needs/{need_id}/confirm")
    assert (await api("enterprise").post(path, json=GOOD)).status_code == 201

    key = {"Idempotency-Key": "to-withdraw"}
    gone = (await api("enterprise").post("/needs", json={"body": "想申请专利"}, headers=key)).json()
    waiting = await api("enterprise").post(f"/needs/{gone['id']}/rating", json=GOOD)
    assert "服务办结后才能评价" in problem(waiting, 409, "invalid-transition")["detail"]
    await api("enterprise").post(f"/needs/{gone['id']}/withdraw", json={"note": "不需要了"})
    withdrawn = await api("enterprise").post(f"/needs/{gone['id']}/rating", json=GOOD)
    assert "没有办结的服务可以评价" in problem(withdrawn, 409, "invalid-transition")["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"level": 0}, "level"),
        ({"level": 6}, "level"),
        ({"level": "five"}, "level"),
        ({"level": None}, "level"),
        ({"level": 4.5}, "level"),
        ({"level": True}, "level"),
        ({"indicators": ["110"]}, "indicators"),
        ({"indicators": ["没有这个"]}, "indicators"),
        ({"indicators": ["510"]}, "indicators"),
        ({"indicators": ["517", "517"]}, "indicators"),
        ({"indicators": ["517"] * 9}, "indicators"),
        ({"indicators": "517"}, "indicators"),
        ({"remark": "好" * 50_000}, "remark"),
        ({"remark": "响铃\x07"}, "remark"),
        ({"remark": None}, "remark"),
        ({"anonymous": "yes"}, "anonymous"),
        ({"stars": 5}, "stars"),
    ],
)
async def test_bad_input_is_told_by_field(
    api: Api, db: Database, settings: Settings, world: World, change: dict[str, Any], field: str
) -> None:
    path = f"/needs/{await to_rate(db, settings, world)}/rating"
    told = problem(await api("enterprise").post(path, json=GOOD | change), 422, "invalid-input")
    assert [error["field"] for error in told["errors"]] == [field]
    problem(await api("enterprise").get(path), 404, "not-found")


async def test_no_level_is_no_rating(api: Api, db: Database, settings: Settings, world: World) -> None:
    path = f"/needs/{await to_rate(db, settings, world)}/rating"
    told = problem(await api("enterprise").post(path, json={"remark": "好"}), 422, "invalid-input")
    assert [error["field"] for error in told["errors"]] == ["level"]


UNRATED: list[int] = []


async def to_rate(db: Database, settings: Settings, world: World) -> int:
    """One need for all bad ratings: none of them rates it."""
    if not UNRATED:
        UNRATED.append(await serve(db, settings, world))
    return UNRATED[0]


async def test_a_clerk_rates_for_whoever_stood_at_the_counter(
    api: Api, db: Database, settings: Settings, world: World
) -> None:
    need_id = await serve(db, settings, world, party=PARTY)
    path = f"/needs/{need_id}/rating"
    problem(await api("enterprise").post(path, json=GOOD), 404, "not-found")
    online = await api("clerk").post(path, json={"level": 2, "indicators": ["211"]})
    assert problem(online, 422, "invalid-input")["errors"][0]["field"] == "indicators", "only true of online services"
    given = await api("clerk").post(path, json={"level": 2, "indicators": ["213"]})
    assert given.status_code == 201, given.text
    assert (given.json()["on_behalf"], given.json()["channel"]) == (True, "counter")
    async with db.reading() as tx:
        assert await tx.fetchval("SELECT source FROM ratings WHERE id = $1", given.json()["id"]) is None


async def test_one_later_remark(api: Api, db: Database, settings: Settings, world: World) -> None:
    path = f"/needs/{await serve(db, settings, world)}/rating"
    problem(await api("enterprise").post(f"{path}/remark", json={"remark": "早了"}), 404, "not-found")
    await api("enterprise").post(path, json=GOOD)
    for name in ("rival", "clerk"):
        problem(await api(name).post(f"{path}/remark", json={"remark": "不是我的"}), 404, "not-found")
    empty = await api("enterprise").post(f"{path}/remark", json={"remark": " \u200b"})
    assert problem(empty, 422, "invalid-input")["errors"][0]["field"] == "remark"
    added, again = await asyncio.gather(
        *(api("enterprise").post(f"{path}/remark", json={"remark": f"半年后 {n}"}) for n in range(2))
    )
    assert sorted((added.status_code, again.status_code)) == [200, 409]


async def test_replies_and_reports(api: Api, db: Database, settings: Settings, world: World) -> None:
    path = f"/needs/{await serve(db, settings, world)}/rating"
    rating = (await api("enterprise").post(path, json=GOOD)).json()
    at, rated, node = f"/ratings/{rating['id']}", api("institution"), api("coordinator")
    for name in ("office", "provincial"):
        problem(await api(name).post(f"{at}/reply", json={"note": "不是我的"}), 404, "not-found")
    problem(await node.post(f"{at}/rule", json={"keep": True, "note": "没有人申诉"}), 409, "invalid-transition")
    assert (await rated.post(f"{at}/reply", json={"note": "谢谢"})).json()["reply"] == "谢谢"
    problem(await rated.post(f"{at}/reply", json={"note": "再说一句"}), 409, "conflict")
    reported, twice = await asyncio.gather(*(rated.post(f"{at}/report", json={"note": "刷分"}) for _ in range(2)))
    assert sorted((reported.status_code, twice.status_code)) == [200, 409]
    todo = (await node.get("/ratings?filter=node&limit=100")).json()["items"]
    assert rating["id"] in [one["id"] for one in todo]
    assert (await node.post(f"{at}/rule", json={"keep": True, "note": "真实评价"})).json()["state"] == "kept"
    problem(await rated.post(f"{at}/report", json={"note": "再申诉"}), 409, "invalid-transition")
    notes = {e["action"]: e["note"] for e in (await api("enterprise").get(f"{at}/events")).json()}
    assert (notes["report"], notes["keep"]) == ("", "真实评价"), "why the rated reported it, it told the node"
    seen = {e["action"]: e["note"] for e in (await rated.get(f"{at}/events")).json()}
    assert seen["report"] == "刷分"


async def test_the_whole_way_of_a_bad_rating(api: Api, db: Database, settings: Settings, world: World) -> None:
    path = f"/needs/{await serve(db, settings, world)}/rating"
    rating = (await api("enterprise").post(path, json=BAD)).json()
    assert rating["rectification"] == "verifying"
    assert rating["due_at"]
    at = f"/ratings/{rating['id']}"
    party, rated, node = api("enterprise"), api("institution"), api("coordinator")
    problem(await rated.post(f"{at}/rectify", json={"note": "早了"}), 409, "invalid-transition")
    told = problem(await rated.post(f"{at}/reply", json={"note": "抱歉"}), 409, "conflict")
    assert "在整改中答复" in told["detail"]
    steps: tuple[tuple[httpx.AsyncClient, str, dict[str, Any], str], ...] = (
        (node, "verify", {"founded": True, "note": "确实超期"}, "rectifying"),
        (rated, "rectify", {"note": "增加了一名承办人"}, "answering"),
        (rated, "answer", {"note": "让您久等，已增加人手"}, "revisiting"),
        (party, "revisit", {"satisfied": False, "note": "没有看到变化"}, "rectifying"),
        (rated, "rectify", {"note": "补发了进度"}, "answering"),
        (rated, "answer", {"note": "今后每周告知进度"}, "revisiting"),
        (node, "revisit", {"satisfied": True, "note": "电话回访，企业认可"}, "closing"),
        (node, "close", {"note": "整改到位"}, "closed"),
    )
    for client, action, body, reached in steps:
        answer = await client.post(f"{at}/{action}", json=body)
        assert answer.json()["rectification"] == reached, answer.text
    problem(await node.post(f"{at}/close", json={"note": "再办结"}), 409, "invalid-transition")
    done = (await party.get(at)).json()
    assert (done["answer"], done["satisfied"], done["due_at"]) == ("今后每周告知进度", True, None)
    institution = world.actors["institution"].institution_id
    public = (await api("").get(f"/institutions/{institution}/ratings?limit=100")).json()["items"]
    (shown,) = [one for one in public if one["id"] == rating["id"]]
    assert (shown["reply"], shown["rectification"]) == ("今后每周告知进度", "closed")
    assert {"need_id", "enterprise_name", "created_at"}.isdisjoint(shown)


async def test_anonymous_to_the_institution_everywhere(
    api: Api, db: Database, settings: Settings, world: World
) -> None:
    need_id = await serve(db, settings, world)
    rating = (await api("enterprise").post(f"/needs/{need_id}/rating", json=BAD | {"anonymous": True})).json()
    at, rated = f"/ratings/{rating['id']}", api("institution")
    await api("coordinator").post(f"{at}/verify", json={"founded": True, "note": "属实"})
    await rated.post(f"{at}/rectify", json={"note": "改了"})
    await rated.post(f"{at}/answer", json={"note": "抱歉"})
    await api("enterprise").post(f"{at}/revisit", json={"satisfied": False, "note": "还不行"})
    problem(await rated.get(f"/needs/{need_id}/rating"), 404, "not-found")
    for path in (at, f"{at}/events", "/ratings?limit=100", "/ratings?filter=institution&limit=100"):
        answer = await rated.get(path)
        assert answer.status_code == 200
        found = answer.json()
        rows = found["items"] if "items" in found else found if isinstance(found, list) else [found]
        for row in rows:
            if row.get("id") == rating["id"] and "level" in row:
                assert (row["need_id"], row["match_id"], row["enterprise_name"], row["created_at"]) == (None,) * 4
    steps = (await rated.get(f"{at}/events")).json()
    assert {step["actor_name"] for step in steps if step["actor_role"] == "enterprise"} == {"评价人"}
    assert {"rate", "open"}.isdisjoint(step["action"] for step in steps)
    told = (await rated.get(f"/needs/{need_id}/events")).json()
    assert {event["machine"] for event in told} == {"need", "match", "deadline"}
    assert {event["data"]["limit"] for event in told if event["machine"] == "deadline"} == {"deliver"}
    whole = {event["machine"] for event in (await api("coordinator").get(f"/needs/{need_id}/events")).json()}
    assert whole == {"need", "match", "rating", "rectification", "deadline"}


async def test_the_events_of_an_anonymous_rating_name_no_need(
    api: Api, db: Database, settings: Settings, world: World
) -> None:
    need_id = await serve(db, settings, world)
    rating = (await api("enterprise").post(f"/needs/{need_id}/rating", json=BAD | {"anonymous": True})).json()
    await api("coordinator").post(f"/ratings/{rating['id']}/verify", json={"founded": True, "note": "属实"})
    text = (await api("institution").get(f"/ratings/{rating['id']}/events")).text
    assert "属实" in text
    assert "need_id" not in text
    assert "match_id" not in text


async def test_figures_are_public(api: Api, db: Database, settings: Settings, world: World) -> None:
    need_id = await serve(db, settings, world, item=CONSULTING)
    institution = world.actors["institution"].institution_id
    before = (await api("").get(f"/items/{CONSULTING}/satisfaction")).json()["overall"]
    await api("enterprise").post(f"/needs/{need_id}/rating", json={"level": 4})
    after = (await api("").get(f"/items/{CONSULTING}/satisfaction")).json()
    assert after["overall"]["counts"][3] == before["counts"][3] + 1
    assert after["rows"][0]["institution_id"] == institution
    own = (await api("").get(f"/institutions/{institution}/satisfaction")).json()
    assert own["overall"]["count"] == sum(row["figures"]["count"] for row in own["rows"])
    assert own["overall"]["smoothed"] != own["overall"]["mean"]
    offering = (await api("").get(f"/offerings/{world.offerings['知识产权法律政策咨询']}")).json()
    assert sum(offering["rated"]) == after["overall"]["count"]
    for path in ("/institutions/999999/satisfaction", "/institutions/999999/ratings", "/items/none/satisfaction"):
        problem(await api("").get(path), 404, "not-found")
    scale = (await api("").get("/ratings/scale")).json()
    assert [level["level"] for level in scale] == [5, 4, 3, 2, 1]


async def test_lists_meet_without_gap(api: Api, db: Database, settings: Settings, world: World) -> None:
    for number in range(3):
        need_id = await serve(db, settings, world)
        await api("enterprise").post(f"/needs/{need_id}/rating", json=BAD | {"remark": f"第 {number} 条"})
    for wanted in ("node", "overdue", "bad", "all", "institution", "revisit", "reports"):
        whole = (await api("coordinator").get(f"/ratings?filter={wanted}&limit=100")).json()["items"]
        seen: list[int] = []
        cursor: str | None = ""
        while cursor is not None:
            query = {"filter": wanted, "limit": "2"} | ({"cursor": cursor} if cursor else {})
            part = (await api("coordinator").get("/ratings", params=query)).json()
            seen += [one["id"] for one in part["items"]]
            cursor = part["next"]
        assert seen == [one["id"] for one in whole], wanted
    problem(await api("coordinator").get("/ratings?cursor=bm9uZQ"), 422, "invalid-input")
    problem(await api("enterprise").get("/ratings"), 403, "forbidden")
    assert (await api("office").get("/ratings?limit=100")).json()["items"] == []


async def test_hints_are_for_the_node(api: Api, db: Database, settings: Settings, world: World) -> None:
    for _ in range(4):
        need_id = await serve(db, settings, world)
        await api("enterprise").post(f"/needs/{need_id}/rating", json=GOOD)
    found = (await api("coordinator").get("/ratings/suspicions")).json()
    mine = world.actors["institution"].institution_id
    assert {"repeated", "hasty"} <= {hint["rule"] for hint in found if hint["institution_id"] == mine}
    for name in ("institution", "enterprise", "clerk"):
        problem(await api(name).get("/ratings/suspicions"), 403, "forbidden")
    async with db.reading() as tx:
        assert await tx.fetchval("SELECT count(*) FROM ratings WHERE state = 'withheld'") == 0, "hints do nothing"


async def test_rules_of_a_region(api: Api) -> None:
    name = "rectification_close"
    rules = (await api("").get("/rules?region_code=440305")).json()
    assert {rule["region_code"] for rule in rules} == {"000000"}
    changed = await api("coordinator").put("/rules/440305", json={"name": name, "working_days": 3})
    assert [r["working_days"] for r in changed.json() if r["name"] == name] == [3], changed.text
    problem(await api("coordinator").put("/rules/440000", json={"name": name, "working_days": 3}), 403, "forbidden")
    problem(await api("institution").put("/rules/440305", json={"name": name, "working_days": 3}), 403, "forbidden")
    problem(await api("admin").put("/rules/123456", json={"name": name, "working_days": 3}), 404, "not-found")
    problem(await api("").get("/rules?region_code=x"), 404, "not-found")
    for wrong in (-1, 251, "three", 1.5):
        told = await api("admin").put("/rules/440305", json={"name": name, "working_days": wrong})
        assert problem(told, 422, "invalid-input")["errors"][0]["field"] == "working_days"
    problem(await api("admin").put("/rules/440305", json={"name": "lunch", "working_days": 1}), 422, "invalid-input")
    back = await api("coordinator").put("/rules/440305", json={"name": name, "working_days": None})
    assert {rule["region_code"] for rule in back.json()} == {"000000"}
