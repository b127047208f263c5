"""What lies around a request: headers of answers, who is forwarded, heads without an end, unknown addresses."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import structlog

from infra import http
from infra.settings import Settings
from tests.conftest import Api, Clone, Login
from tests.factories import PATENT, World
from tests.provider import free_port, running
from tests.web.browsers import Browser, site

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", ["/", "/login", "/nowhere", "/api/v1/items", "/api/v1/nowhere", "/healthz"])
async def test_every_answer_has_them(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] in ("private, no-cache", "public, max-age=60")
    assert "camera=()" in headers["permissions-policy"]
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert "strict-transport-security" not in headers, "over plain http it means nothing"


async def test_over_tls_browsers_are_told_to_stay_there(settings: Settings) -> None:
    async with site(settings, secure_cookies=True) as app, Browser(app, scheme="https") as browser:
        for path in ("/login", "/nowhere", "/api/v1/items"):
            assert (await browser.get(path)).headers["strict-transport-security"] == "max-age=31536000"


async def test_whoever_leaves_leaves_nothing_in_the_browser(login: Login) -> None:
    browser = await login("rival")
    for path in ("/account", "/needs"):
        assert (await browser.get(path)).headers["cache-control"] == "private, no-cache"
    gone = await browser.post("/logout", data={"_csrf_token": browser.cookies["zhipei_csrf"]})
    assert gone.headers["clear-site-data"] == '"cache"'


async def test_a_refusal_in_the_log_names_the_account(login: Login, world: World) -> None:
    browser = await login("rival")
    with structlog.testing.capture_logs() as lines:
        assert (await browser.get("/queue")).status_code == 403
    (line,) = [one for one in lines if one["event"] == "request"]
    assert (line["status"], line["path"], line["account"]) == (403, "/queue", world.actors["rival"].id)


# addresses that lead nowhere -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/nowhere", "/needs/1/nowhere"])
async def test_whoever_is_logged_in_stays_so_on_the_page_of_an_error(login: Login, path: str) -> None:
    browser = await login("rival")
    page = await browser.get(path)
    assert page.status_code == 404
    assert "rival 的姓名" in page.text
    assert 'href="/login"' not in page.text
    token = page.text.split('name="_csrf_token" value="')[1].split('"')[0]
    assert (await browser.post("/logout", data={"_csrf_token": token})).status_code == 303
    assert 'href="/login"' in (await browser.get(path)).text


async def test_another_method_names_those_that_are(login: Login, client: httpx.AsyncClient) -> None:
    api = await client.delete("/api/v1/items")
    assert api.status_code == 405
    assert {"GET", "HEAD"} <= {one.strip() for one in api.headers["allow"].split(",")}
    assert (await client.request("TRACE", "/login")).status_code == 405
    browser = await login("rival")
    page = await browser.put("/login")
    assert page.status_code == 405
    assert {"GET", "HEAD", "POST"} <= {one.strip() for one in page.headers["allow"].split(",")}
    assert "rival 的姓名" in page.text


async def test_what_was_made_is_found_where_the_answer_says(api: Api) -> None:
    maker = api("enterprise")
    need = {"body": "我们想给新的锂电池隔膜申请发明专利，请帮忙看看怎么做。"}
    for _again in range(2):
        made = await maker.post("/needs", json=need, headers={"Idempotency-Key": "located"})
        assert made.status_code == 201
        assert made.headers["location"] == f"/api/v1/needs/{made.json()['id']}"
    assert made.headers["idempotency-replayed"] == "true"
    assert (await maker.get(f"http://test{made.headers['location']}")).status_code == 200
    office = api("office")
    form = {
        "item_code": PATENT,
        "title": "专利预检",
        "summary": "为辖区企业做预检。",
        "region_codes": ["440300"],
        "capacity": 3,
    }
    made = await office.post("/offerings", json={**form, "channels": ["线上"], "fee": "免费"})
    assert made.status_code == 201, made.text
    assert (await office.get(f"http://test{made.headers['location']}")).json()["id"] == made.json()["id"]


async def test_a_json_body_is_told_everything_that_is_wrong(api: Api) -> None:
    answer = await api("office").post(
        "/offerings", json={"title": 5, "capacity": -1, "region_codes": ["440300", 7], "odd": 1}
    )
    assert answer.status_code == 422
    found = {one["field"]: one["message"] for one in answer.json()["errors"]}
    assert {"item_code", "title", "capacity", "region_codes[1]"} <= set(found)
    assert all(found.values())
    party = {"name": "x", "region_code": "440300", "contact_phone": "?", "more": 1}
    answer = await api("clerk").post("/needs", json={"body": 1, "party": party}, headers={"Idempotency-Key": "faults"})
    found = {one["field"] for one in answer.json()["errors"]}
    assert {"body", "party.name", "party.contact_name", "party.contact_phone", "party.more"} <= found


# the server ----------------------------------------------------------------------------------------------------------


class Echo:
    """Says who asks, as the application would be told."""

    async def __call__(self, scope: dict[str, object], _receive: object, send: object) -> None:
        client = scope["client"]
        body = f"{client[0]} {scope['scheme']}".encode()  # type: ignore[index]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": body})  # type: ignore[operator]


async def asked(headers: list[tuple[str, str]], *, trusted: str) -> str:
    port = free_port()
    async with (
        running(Echo(), port, http=http.BoundedHttp, forwarded_allow_ips=trusted),
        httpx.AsyncClient(trust_env=False) as one,
    ):
        return (await one.get(f"http://127.0.0.1:{port}/", headers=headers)).text


@pytest.mark.parametrize(
    ("trusted", "forwarded", "seen"),
    [
        ("10.0.0.1", "6.6.6.6", "127.0.0.1 http"),
        ("127.0.0.1", "6.6.6.6", "6.6.6.6 https"),
        ("127.0.0.1", "6.6.6.6, 9.9.9.9", "9.9.9.9 https"),
        ("127.0.0.1,9.9.9.9", "6.6.6.6, 8.8.8.8, 9.9.9.9", "8.8.8.8 https"),
    ],
)
async def test_only_a_trusted_hop_says_who_asks(trusted: str, forwarded: str, seen: str) -> None:
    """What the client wrote itself stands left of what the trusted proxy saw, and is never believed."""
    given = [("X-Forwarded-For", forwarded), ("X-Forwarded-Proto", "https")]
    assert await asked(given, trusted=trusted) == seen


async def test_a_made_up_address_does_not_escape_the_limits(clone: Clone) -> None:
    """Through the real server: whoever writes another X-Forwarded-For each time is one address all the same."""
    settings, port = await clone(), free_port()
    async with site(settings, searches_per_minute=1) as app:
        app.state.services.limiter._clock = lambda: 1_000_000.0
        answers = []
        async with (
            running(app, port, http=http.BoundedHttp, forwarded_allow_ips="10.0.0.1"),
            httpx.AsyncClient(trust_env=False) as one,
        ):
            for n in range(6):
                made_up = {"X-Forwarded-For": f"6.6.6.{n}"}
                answers.append((await one.get(f"http://127.0.0.1:{port}/api/v1/items", headers=made_up)).status_code)
    assert answers == [200] * 5 + [429]


@pytest.fixture
async def server() -> AsyncIterator[int]:
    port = free_port()
    async with running(Echo(), port, http=http.BoundedHttp):
        yield port


async def raw(port: int, *parts: bytes, until: float = 5) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        return await asyncio.wait_for(reader.read(), until)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


HEAD = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        (HEAD + b"X: " + b"a" * 40_000 + b"\r\n\r\n",),
        (HEAD, *[b"X%d: " % n + b"a" * 1000 + b"\r\n" for n in range(40)]),
        (HEAD + b"X: ", *[b"a" * 10_000] * 5),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",),
    ],
    ids=["one piece", "many lines", "a line without an end", "the address"],
)
async def test_a_head_too_large_is_refused(server: int, parts: tuple[bytes, ...]) -> None:
    answer = await raw(server, *parts)
    # Who goes on sending to a closed connection may see its end before the answer.
    assert answer.startswith(b"HTTP/1.1 431 ") or (len(parts) > 1 and answer == b"")
    assert (await raw(server, HEAD + b"\r\n")).startswith(b"HTTP/1.1 200")


async def test_usual_heads_pass_and_connections_are_used_again(server: int) -> None:
    request = (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\nCookie: " + b"a" * 20_000 + b"\r\n\r\n" + b"b" * 40_000
    )
    assert (await raw(server, request, request, HEAD + b"\r\n")).count(b"HTTP/1.1 200") == 3


async def test_a_head_that_never_ends_is_given_up(server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "HEAD_SECONDS", 0.2)
    assert await raw(server) == b""
    assert await raw(server, HEAD) == b""
    assert (await raw(server, HEAD + b"\r\n")).startswith(b"HTTP/1.1 200")
