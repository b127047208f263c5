"""ETag, If-None-Match and If-Match: every GET of JSON has a strong tag, every PUT heeds one (docs/api.md, Editing)."""

from typing import Any

import httpx
import pytest

from tests.conftest import Api
from tests.factories import PATENT, World
from tests.web.test_api_input import problem
from tests.web.test_idempotency import OFFERING, PROFILE
from tests.web.test_permissions import the_app

pytestmark = pytest.mark.anyio

NOTICE = {"kind": "news", "title": "一则公告", "body": "正文"}
DRAFT = {"name": "一项服务", "item_group": "专利", "item_list": "specific"}
EDITS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "/enterprise": ("enterprise", "", PROFILE),
    "/offerings/{offering_id}": ("institution", "/offerings", OFFERING),
    "/notices/{notice_id}": ("coordinator", "/notices", NOTICE),
    "/item-revisions/{revision_id}": ("institution", "/item-revisions", DRAFT),
    "/rules/{region_code}": ("coordinator", "/rules?region_code=440305", {"name": "accept"}),
    "/supervision/rules/{region_code}": (
        "coordinator",
        "/supervision/rules?region_code=440305",
        {"name": "acceptance", "own": True, "least": 3},
    ),
}
"""Of every PUT of the description: who, where to make or read what is edited, and what is put."""
CHANGED = {"working_days": 3, "threshold": 0.5, "title": "另一个标题", "contact_name": "孙工", "name": "另一项服务"}
VERSIONS = {
    "/offerings/{offering_id}": "version",
    "/notices/{notice_id}": "version",
    "/item-revisions/{revision_id}": "edit",
}


async def place(api: Api, path: str) -> tuple[httpx.AsyncClient, str, str]:
    """Whoever edits, where it is read, where it is put."""
    who, start, body = EDITS[path]
    client = api(who)
    if not start or "?" in start:
        return client, start or path, path.replace("{region_code}", "440305")
    made = await client.post(start, json=body)
    assert made.status_code == 201, made.text
    at = made.headers["location"].removeprefix("/api/v1")
    return client, at, at


def body_of(path: str, read: httpx.Response, number: int) -> dict[str, Any]:
    """What was read, edited."""
    _who, _start, body = EDITS[path]
    version = VERSIONS.get(path)
    edited = {
        name: value + number if isinstance(value, (int, float)) else f"{value}{number}"
        for name, value in CHANGED.items()
        if (name in body and path not in ("/rules/{region_code}", "/supervision/rules/{region_code}", "/enterprise"))
        or (name, path) in {("working_days", "/rules/{region_code}"), ("contact_name", "/enterprise")}
        or (name == "threshold" and path.startswith("/supervision"))
    }
    if "threshold" in edited:
        edited["threshold"] = 0.5 + number / 100
    return body | edited | ({version: read.json()[version]} if version else {})


async def test_every_put_is_here() -> None:
    paths = the_app().openapi_schema.to_schema()["paths"]
    assert {f"/api/v1{path}" for path in EDITS} == {path for path, calls in paths.items() if "put" in calls}
    for path in EDITS:
        operation = paths[f"/api/v1{path}"]["put"]
        assert {"200", "412", "428"} <= set(operation["responses"])
        assert "If-Match" in [one["name"] for one in operation["parameters"]]
        assert "ETag" in operation["responses"]["200"]["headers"]


@pytest.mark.parametrize("path", EDITS)
async def test_a_stale_tag_is_told_and_changes_nothing(api: Api, path: str) -> None:
    client, at, to = await place(api, path)
    read = await client.get(at)
    tag = read.headers["etag"]
    assert tag.startswith('"')
    first = await client.put(to, json=body_of(path, read, 1), headers={"If-Match": tag})
    assert first.status_code == 200, first.text
    now = await client.get(at)
    assert now.headers["etag"] != tag
    assert first.headers["etag"] == now.headers["etag"], "a PUT answers as the GET does: edit on from there"
    stale = problem(
        await client.put(to, json=body_of(path, now, 2), headers={"If-Match": tag}), 412, "changed-since-read"
    )
    assert "If-Match" in stale["detail"], "it says what to do"
    assert (await client.get(at)).content == now.content
    weak = await client.put(to, json=body_of(path, now, 2), headers={"If-Match": f"W/{now.headers['etag']}"})
    problem(weak, 412, "changed-since-read")
    several = {"If-Match": f'"other", {now.headers["etag"]}'}
    assert (await client.put(to, json=body_of(path, now, 2), headers=several)).status_code == 200
    last = await client.get(at)
    assert (await client.put(to, json=body_of(path, last, 3), headers={"If-Match": "*"})).status_code == 200


@pytest.mark.parametrize("path", EDITS)
async def test_without_a_tag(api: Api, path: str) -> None:
    """Demanded where the body replaces everything and names no version; the others accept it."""
    client, at, to = await place(api, path)
    answer = await client.put(to, json=body_of(path, await client.get(at), 7))
    if path == "/enterprise":
        assert "If-Match" in problem(answer, 428, "if-match-missing")["detail"]
    else:
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("who", "path"),
    [("enterprise", "/needs"), ("", "/items"), ("", "/rules"), ("coordinator", "/me"), ("", f"/items/{PATENT}/guide")],
)
async def test_who_has_it_is_told_that_it_is_the_same(api: Api, world: World, who: str, path: str) -> None:
    client = api(who)
    read = await client.get(path)
    tag = read.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        same = await client.get(path, headers={"If-None-Match": known})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
        assert "content-type" not in same.headers
    other = await client.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, read.content)
    head = await client.head(path)
    assert (head.status_code, head.headers["etag"], head.content) == (200, tag, b"")
