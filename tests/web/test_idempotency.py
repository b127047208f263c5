"""Idempotency-Key on every call that changes something, out of the description; and what two calls at once do."""

import asyncio
import hashlib
import json
from typing import Any

import httpx
import pytest
from litestar import Litestar
from msgspec import Struct

from infra import idempotency
from infra.db import Database
from market.accounts.model import Role
from market.permissions import API, Row, rows
from tests.conftest import Api
from tests.factories import PATENT, World
from tests.web.test_api_input import problem
from tests.web.test_permissions import example, filled, the_app

pytestmark = pytest.mark.anyio

UNSAFE = [row for row in rows(the_app()) if row.path.startswith(API) and row.method != "GET"]
KEPT = {"id": 7, "as": "it was answered"}
OFFERING = {"item_code": PATENT, "title": "专利申请辅导", "summary": "面向企业。", "region_codes": ["440305"]}
PROFILE = {
    "name": "深圳甲科技有限公司", "kind": "hnte", "region_code": "440305", "contact_name": "王敏",
    "contact_phone": "0755-00000001",
}  # fmt: skip


class Asked(Struct):
    """A call of the description that its role may make."""

    who: str
    method: str
    path: str
    body: bytes

    def fingerprint(self) -> bytes:
        """As the application counts two calls for the same."""
        return hashlib.sha256(b"\n".join((self.method.encode(), self.path.encode(), self.body))).digest()

    async def send(self, api: Api, key: str, **headers: str) -> httpx.Response:
        given = {"Idempotency-Key": key, "Content-Type": "application/json", **headers}
        client = api(self.who)
        return await client.request(self.method, f"http://test{self.path}", content=self.body, headers=given)


def asked(app: Litestar, row: Row) -> Asked:
    """A call that the description allows; whether it has anything to do is another question."""
    described = app.openapi_schema.to_schema()
    operation = described["paths"][row.path][row.method.lower()]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    known = {"region_codes": ["440300"], "item_code": PATENT, "contact_phone": PROFILE["contact_phone"]}
    parts = described["components"]["schemas"]
    body = b"" if content is None else json.dumps(example(content["schema"], known, parts)).encode()
    who = next(role.value for role in Role if role.value in row.reach)
    values = {"match_id": 1, "revision_id": 1, "rating_id": 1, "plan_id": 1, "message_id": 1, "supervision_id": 1}
    return Asked(who, row.method, filled(row, values | {"region_code": "440305"}), body)


@pytest.mark.parametrize("row", UNSAFE, ids=lambda row: f"{row.method} {row.path}")
async def test_what_was_answered_is_answered_again(
    app: Litestar, api: Api, db: Database, world: World, row: Row
) -> None:
    """Whatever the call would find now: an answer that is kept under its key is the answer."""
    call, key = asked(app, row), f"{row.method}{row.path}"
    answer = idempotency.Answer(call.fingerprint(), 200, json.dumps(KEPT).encode())
    async with db.transaction() as tx:
        assert await idempotency.claim(tx, world.actors[call.who].id, key, answer)
    again = await call.send(api, key)
    assert (again.status_code, again.json()) == (200, KEPT), again.text
    assert again.headers["idempotency-replayed"] == "true"
    other = Asked(call.who, call.method, call.path, call.body + b" " if call.body else b"{}")
    problem(await other.send(api, key), 422, "idempotency-mismatch")
    problem(await call.send(api, "a b"), 422, "invalid-input")


@pytest.mark.parametrize(
    ("who", "method", "path", "body", "table"),
    [
        ("enterprise", "POST", "needs", {"body": "想申请专利"}, "needs"),
        ("enterprise", "PUT", "enterprise", PROFILE | {"contact_name": "孙工"}, "enterprise_events"),
        ("coordinator", "POST", "notices", {"kind": "news", "title": "一则公告", "body": "正文"}, "notices"),
        ("admin", "PUT", "rules/440305", {"name": "accept", "working_days": 4}, "audit"),
        ("institution", "POST", "offerings", OFFERING, "offerings"),
    ],
)
async def test_several_at_once_have_one_effect(
    api: Api, db: Database, who: str, method: str, path: str, body: Any, table: str
) -> None:
    call = Asked(who, method, API + path, b"" if body is None else json.dumps(body).encode())
    async with db.reading() as tx:
        before = await tx.fetchval(f"SELECT count(*) FROM {table}")
    several = (call.send(api, f"at-once-{path}", **{"If-Match": "*"}) for _ in range(4))
    answers = await asyncio.gather(*several)
    assert {answer.status_code for answer in answers} in ({200}, {201}), answers[0].text
    assert len({answer.content for answer in answers}) == 1
    assert sorted("idempotency-replayed" in answer.headers for answer in answers) == [False, True, True, True]
    assert len({answer.headers.get("location") for answer in answers}) == 1
    async with db.reading() as tx:
        assert await tx.fetchval(f"SELECT count(*) FROM {table}") == before + 1
