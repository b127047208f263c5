"""Nonsense in every text of every unsafe call, and in every parameter: never a 5xx, never a change."""

import json
import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from litestar import Litestar

from infra.db import Database
from tests.conftest import Api

pytestmark = pytest.mark.anyio

NONSENSE: tuple[Any, ...] = (
    "",
    " ",
    "\u200b",
    "\x00",
    "a\x07b",
    "专" * 10_000,
    "😀" * 20,
    "<script>alert(1)</script>",
    "'; DROP TABLE needs; --",
    "\udfff",
    None,
    0,
    -1,
    2**63,
    1.5,
    True,
    [],
    ["\x00"],
    {},
)
ROLES = ("enterprise", "clerk", "institution", "coordinator")


def fields_of(schema: dict[str, Any], components: dict[str, Any]) -> list[str]:
    """The names of a body's fields, from the description."""
    name = schema.get("$ref", "").rsplit("/", 1)[-1]
    return list(components.get(name, schema).get("properties", {}))


def bodies(app: Litestar) -> list[tuple[str, str, list[str]]]:
    """Method, path and body fields of every unsafe call."""
    described = app.openapi_schema.to_schema()
    components = described["components"]["schemas"]
    found = []
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            if method != "get":
                content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
                found.append((method, path, fields_of(content.get("schema", {}), components)))
    assert len(found) > 15
    return found


async def test_nonsense_in_every_body(app: Litestar, api: Api, db: Database) -> None:
    clients = {role: api(role) for role in ROLES}
    serious: list[str] = []
    for method, path, fields in bodies(app):
        target = path.removeprefix("/api/v1").replace("{need_id}", "1").replace("{match_id}", "1")
        target = target.replace("{offering_id}", "1").replace("{rating_id}", "1").replace("{region_code}", "440305")
        for field in fields or [""]:
            for number, value in enumerate(NONSENSE):
                body = {"body": "想申请专利", "note": "说明", "title": "标题"} | ({field: value} if field else {})
                for role, client in clients.items():
                    headers = {"Idempotency-Key": f"{path}-{field}-{number}-{role}", "Content-Type": "application/json"}
                    content = json_bytes({k: v for k, v in body.items() if k in fields})
                    answer = await client.request(method.upper(), target, content=content, headers=headers)
                    if answer.status_code >= 500:
                        serious.append(f"{role} {method} {path} {field}={value!r:.30}: {answer.status_code}")
    assert serious == []


def json_bytes(body: dict[str, Any]) -> bytes:
    """JSON with lone surrogates as escapes, as a careless client would send them."""
    return json.dumps(body).encode()


async def test_nonsense_in_every_parameter(app: Litestar, api: Api) -> None:
    described = app.openapi_schema.to_schema()
    serious: list[str] = []
    for path, operations in described["paths"].items():
        operation = operations.get("get")
        if operation is None:
            continue
        for parameter in operation.get("parameters", []):
            for value in ("\x00", "-1", "9" * 30, "专" * 600, "%", "{}", "'", "eyJhIjoxfQ", "MTA"):
                name = parameter["name"]
                in_path = parameter["in"] == "path"
                target = "/api/v1" + path.removeprefix("/api/v1")
                for placeholder in re.findall(r"{(\w+)}", path):
                    filled = quote(value, safe="") if in_path and placeholder == name else "1"
                    target = target.replace("{" + placeholder + "}", filled)
                query = "" if in_path else f"?{name}={quote(value)}"
                answer = await api("coordinator").get(f"http://test{target}{query}")
                if answer.status_code >= 500:
                    serious.append(f"{path} {name}={value!r:.30}: {answer.status_code}")
    assert serious == []


async def test_an_expired_or_revoked_token(api: Api, db: Database) -> None:
    assert (await api("admin").get("/me")).status_code == 200
    change = "UPDATE api_tokens SET {} WHERE account_id = (SELECT id FROM accounts WHERE login = 'admin')"
    for ended, again in (
        ("expires_at = now() - interval '1 s'", "expires_at = now() + interval '1 day'"),
        ("revoked_at = now()", "revoked_at = NULL"),
    ):
        async with db.transaction() as tx:
            await tx.execute(change.format(ended))
        assert (await api("admin").get("/me")).status_code == 401
        async with db.transaction() as tx:
            await tx.execute(change.format(again))


async def test_head_and_unknown_paths(client: httpx.AsyncClient) -> None:
    for path in ("/", "/healthz", "/api/v1/items"):
        answer = await client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
    nowhere = await client.get("/api/v1/nowhere")
    assert nowhere.status_code == 404
    assert nowhere.headers["content-type"].startswith("application/problem+json")
    assert (await client.get("/nowhere")).headers["content-type"].startswith("text/html")
