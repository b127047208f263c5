"""What the API makes of bad input: a clear 4xx as problem details, and nothing changed."""

import json
from typing import Any

import httpx
import pytest

from infra.db import Database
from tests.conftest import Api
from tests.factories import AID, World

pytestmark = pytest.mark.anyio

KEY = {"Idempotency-Key": "bad-input"}
NASTY = (
    "<script>alert(1)</script>",
    "'; DROP TABLE needs; --",
    "😀🧧 想申请专利",
    "a\u202eb",
    "${7*7}{{7*7}}",
    "专利\n\t商标",
)


def problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["type"] == f"/problems/{slug}"
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


async def count(db: Database) -> int:
    async with db.reading() as tx:
        return int(await tx.fetchval("SELECT count(*) FROM needs"))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"body": ""}, "body"),
        ({"body": "   \n\t "}, "body"),
        ({"body": "专" * 5001}, "body"),
        ({"body": 7}, "body"),
        ({"body": None}, "body"),
        ({"body": "含有\u0000空字符"}, "body"),
        ({"body": "含有\u0007响铃"}, "body"),
        ({"body": "想申请专利", "region_code": "999999"}, "region_code"),
        ({"body": "想申请专利", "region_code": "110000"}, "region_code"),
        ({"body": "想申请专利", "item_codes": ["NO-SUCH-ITEM"]}, "item_codes"),
        ({"body": "想申请专利", "item_codes": ["a"] * 6}, "item_codes"),
        ({"body": "想申请专利", "wanted_by": "下周三"}, "wanted_by"),
        ({"body": "想申请专利", "contact_phone": "call me"}, "contact_phone"),
        ({"body": "想申请专利", "owner_id": 1}, ""),
        ({"body": "想申请专利", "party": {}}, "party"),
        ([], ""),
        ("text", ""),
        (None, ""),
    ],
)
async def test_a_need_that_does_not_fit(api: Api, db: Database, body: Any, field: str) -> None:
    before = await count(db)
    answer = await api("enterprise").post("/needs", json=body, headers=KEY)
    told = problem(answer, 422 if field or isinstance(body, dict) else answer.status_code, "invalid-input")
    assert answer.status_code in (400, 422)
    if field:
        assert any(field in error["field"] for error in told["errors"]), told
    assert await count(db) == before


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"body": "\\ud800"}', b"[" * 100_000])
async def test_a_body_that_is_not_json(api: Api, content: bytes) -> None:
    headers = KEY | {"Content-Type": "application/json"}
    answer = await api("enterprise").post("/needs", content=content, headers=headers)
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")


async def test_an_oversized_body(api: Api) -> None:
    answer = await api("enterprise").post("/needs", json={"body": "专" * 400_000}, headers=KEY)
    problem(answer, 413, "too-large")


@pytest.mark.parametrize("text", NASTY)
async def test_nasty_text_is_kept_as_it_is(api: Api, text: str) -> None:
    headers = {"Idempotency-Key": f"nasty-{NASTY.index(text)}"}
    answer = await api("enterprise").post("/needs", json={"body": text}, headers=headers)
    assert answer.status_code == 201
    again = await api("enterprise").get(f"/needs/{answer.json()['id']}")
    assert again.json()["body"] == text


@pytest.mark.parametrize("path", ["/needs/0", "/needs/-1", "/needs/99999999999999999999", "/needs/abc", "/needs/1'--"])
async def test_ids_that_lead_nowhere(api: Api, path: str) -> None:
    problem(await api("coordinator").get(path), 404, "not-found")


@pytest.mark.parametrize(
    "path",
    [
        "/needs?limit=0",
        "/needs?limit=101",
        "/needs?limit=many",
        "/needs?state=lost",
        "/needs?cursor=%25%25",
        "/needs?cursor=eyJhIjoxfQ",
        "/offerings?right=human",
        "/items/SZ-2024-01?version=99999999999",
        f"/offerings?q={'专' * 501}",
    ],
)
async def test_queries_that_do_not_fit(api: Api, path: str) -> None:
    told = problem(await api("enterprise").get(path), 422, "invalid-input")
    assert told["errors"]


async def test_searching_for_anything_is_safe(api: Api) -> None:
    for text in (*NASTY, "%", "_", "\\", "\x00", "100%_"):
        answer = await api("").get("/offerings", params={"q": text})
        assert answer.status_code == 200, answer.text
    assert (await api("").get("/offerings", params={"q": "%"})).json()["items"] == []


async def test_who_may_not(api: Api) -> None:
    problem(await api("").get("/needs"), 401, "not-authenticated")
    problem(await api("").post("/needs", json={"body": "想申请专利"}, headers=KEY), 401, "not-authenticated")
    for name in ("coordinator", "institution", "admin"):
        problem(await api(name).post("/needs", json={"body": "想申请专利"}, headers=KEY), 403, "forbidden")
    wrong = httpx.Headers({"Authorization": "Bearer zp_wrong"})
    problem(await api("").get("/offerings", headers=wrong), 401, "not-authenticated")
    problem(await api("").get("/offerings", headers={"Authorization": "Basic eDp5"}), 401, "not-authenticated")


async def test_what_is_not_yours_is_not_there(api: Api, world: World) -> None:
    headers = {"Idempotency-Key": "mine"}
    need = (await api("enterprise").post("/needs", json={"body": "想申请专利"}, headers=headers)).json()
    path = f"/needs/{need['id']}"
    for name in ("rival", "institution", "clerk"):
        problem(await api(name).get(path), 404, "not-found")
        problem(await api(name).get(f"{path}/events"), 404, "not-found")
    problem(await api("rival").post(f"{path}/withdraw", json={"note": "x"}), 404, "not-found")
    problem(await api("rival").post(f"{path}/resubmit", json={"body": "改成我的"}), 404, "not-found")
    problem(await api("enterprise").post(f"{path}/approve", json={"match_id": 1}), 403, "forbidden")
    problem(await api("enterprise").get(f"{path}/ranking"), 403, "forbidden")
    offering = world.offerings["专利侵权维权援助"]
    change = {"state": "paused"}
    problem(await api("office").post(f"/offerings/{offering}/state", json=change), 404, "not-found")
    listed = (await api("rival").get("/needs?limit=100")).json()["items"]
    assert need["id"] not in [row["id"] for row in listed]


async def test_moves_that_are_not_due(api: Api) -> None:
    headers = {"Idempotency-Key": "early"}
    need = (await api("enterprise").post("/needs", json={"body": "想申请专利"}, headers=headers)).json()
    path = f"/needs/{need['id']}"
    told = problem(await api("enterprise").post(f"{path}/confirm"), 409, "invalid-transition")
    assert "正在匹配" in told["detail"]
    problem(await api("coordinator").post(f"{path}/approve", json={"match_id": 1}), 409, "invalid-transition")
    problem(await api("institution").post("/matches/999999/accept"), 404, "not-found")


async def test_an_idempotency_key(api: Api, db: Database) -> None:
    enterprise, body = api("enterprise"), {"body": "同一条需求"}
    problem(await enterprise.post("/needs", json=body), 400, "idempotency-missing")
    first = await enterprise.post("/needs", json=body, headers={"Idempotency-Key": "same"})
    after_first = await count(db)
    again = await enterprise.post("/needs", json=body, headers={"Idempotency-Key": "same"})
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    other = await enterprise.post("/needs", json={"body": "另一条"}, headers={"Idempotency-Key": "same"})
    problem(other, 422, "idempotency-mismatch")
    assert await count(db) == after_first
    rival = await api("rival").post("/needs", json=body, headers={"Idempotency-Key": "same"})
    assert rival.json()["id"] != first.json()["id"], "a key belongs to an account"
    # A repeated move finds the world changed by the first; its answer counts.
    path, headers = f"/needs/{first.json()['id']}/withdraw", {"Idempotency-Key": "withdraw"}
    gone = await enterprise.post(path, json={"note": "不需要了"}, headers=headers)
    assert gone.json()["state"] == "withdrawn"
    repeated = await enterprise.post(path, json={"note": "不需要了"}, headers=headers)
    assert (repeated.status_code, repeated.content) == (200, gone.content)
    problem(await enterprise.post(path, json={"note": "不需要了"}), 409, "invalid-transition")


async def test_the_description_and_its_answers(api: Api, client: httpx.AsyncClient) -> None:
    described = (await client.get("/api/openapi.json")).json()
    assert described["openapi"].startswith("3.1")
    assert "/api/v1/needs" in described["paths"]
    assert not [path for path in described["paths"] if not path.startswith("/api/v1/")]
    items = (await api("").get("/items", params={"limit": 100})).json()["items"]
    assert len(items) == 33
    assert [item["promised_limit"] for item in items if item["number"] == 1] == [None], "unknown stays unknown"
    one = (await api("").get(f"/items/{AID}")).json()
    assert set(one["guide"]) == {
        "conditions",
        "audience",
        "channels",
        "materials",
        "process",
        "time_limit",
        "result",
        "supervision",
    }


async def test_pages_of_a_list_meet_without_gap(api: Api) -> None:
    seen: list[int] = []
    number, pages = 1, 1
    while number <= pages:
        part = (await api("").get("/offerings", params={"limit": "2", "page": number})).json()
        seen += [offering["id"] for offering in part["items"]]
        number, pages = number + 1, part["pages"]
    assert len(seen) == len(set(seen)) >= 7
    whole = (await api("").get("/offerings", params={"limit": "100"})).json()["items"]
    assert seen == [offering["id"] for offering in whole]


async def test_health_and_metrics(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).text == "ok"
    assert (await client.get("/readyz")).json()["status"] == "ready"
    text = (await client.get("/metrics")).text
    assert 'zhipei_needs{state="submitted"}' in text
    assert "zhipei_outbox_waiting" in text
    given = await client.get("/healthz", headers={"X-Request-Id": "my-own-id"})
    assert given.headers["x-request-id"] == "my-own-id"
    forged = await client.get("/healthz", headers={"X-Request-Id": 'x" injected=1'})
    assert forged.headers["x-request-id"] != 'x" injected=1'


async def test_a_request_id_reaches_the_event_and_the_outbox(api: Api, db: Database) -> None:
    headers = {"Idempotency-Key": "traced", "X-Request-Id": "trace-42"}
    need = (await api("enterprise").post("/needs", json={"body": "想申请专利"}, headers=headers)).json()
    async with db.reading() as tx:
        traced = await tx.fetchval("SELECT request_id FROM events WHERE need_id = $1 ORDER BY id LIMIT 1", need["id"])
    assert traced == "trace-42"
    assert json.dumps(need)
