"""Webhooks to a real HTTP server: signed, repeated under one id, never led astray, switched off in the end."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import anyio
import msgspec
import pytest
from msgspec import structs

from infra.db import Database
from infra.settings import Settings
from market.accounts.model import Actor
from market.errors import InvalidInput, NotFound
from market.messages import delivering, delivery_queries, hooks, queries, service
from market.messages.model import Channel, Subject
from market.messages.service import HookForm
from market.messages.signing import show_secret
from tests.conftest import Clone, open_database
from tests.factories import World
from tests.jobs.test_mail import hurry, last
from workers import notify

pytestmark = [pytest.mark.anyio, pytest.mark.commits]

OK = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


class Receiver:
    """An HTTP server that keeps what it is sent and answers as told; ``answers`` first, then OK."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[bytes] = []
        self.drip = b""
        self.silent = False
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *rest = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in rest)}
            self.got.append((line, headers, await reader.readexactly(int(headers["content-length"]))))
            if self.silent:
                return
            writer.write(self.answers.pop(0) if self.answers else OK)
            while self.drip:
                writer.write(self.drip)
                await writer.drain()
                await asyncio.sleep(0.01)
            await writer.drain()
            writer.close()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass

    async def close(self) -> None:
        self.drip = b""
        for writer in self._writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    await made.close()
    server.close()
    await server.wait_closed()


@pytest.fixture
async def settings_of(clone: Clone) -> Settings:
    return structs.replace(await clone(), private_webhooks=True, public_url="https://ip.example.cn")


@pytest.fixture
async def database(settings_of: Settings) -> AsyncIterator[Database]:
    opened = open_database(settings_of, size=12)
    yield opened
    await opened.close()


class Hooked(msgspec.Struct, frozen=True):
    """An institution with a webhook, and its secret."""

    actor: Actor
    secret: bytes


@pytest.fixture
async def hooked(database: Database, receiver: Receiver) -> Hooked:
    async with database.transaction() as tx:
        actor = (await World.read(tx)).actors["institution"]
        form = HookForm(f"http://127.0.0.1:{receiver.port}/in?from=zhipei", tuple(Subject))
        secret = await service.set_webhook(tx, actor, form, private=True)
    assert secret is not None
    return Hooked(actor, secret)


async def tell(database: Database, actor: Actor, number: int = 1) -> None:
    """A message with its delivery, as the teller writes them."""
    new = {
        "account_id": actor.id,
        "source": "tests",
        "source_id": number,
        "kind": "assignment",
        "subject": "needs",
        "urgent": True,
        "need_id": None,
        "data": {"due": "2026-12-01T10:00:00Z"},
        "for_digest": False,
        "mail_at": None,
        "hook": True,
    }
    async with database.transaction() as tx:
        await tx.fetchval(queries.ADD, [new])


async def carry(database: Database, settings: Settings) -> None:
    async with database.transaction() as tx:
        leased = await delivery_queries.lease(tx, Channel.WEBHOOK, 10, 60)
    for one in leased:
        await delivering.carry(database, settings, one)


def verify(secret: bytes, headers: dict[str, str], body: bytes) -> None:
    """As a receiver does, with nothing of ours but the secret that was shown."""
    key = base64.b64decode(show_secret(secret).removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


async def test_a_message_is_posted_and_signed(
    database: Database, settings_of: Settings, receiver: Receiver, hooked: Hooked
) -> None:
    await tell(database, hooked.actor)
    await carry(database, settings_of)
    assert await last(database) == ("sent", 0, None)
    ((line, headers, body),) = receiver.got
    assert line == "POST /in?from=zhipei HTTP/1.1"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert headers["content-type"] == "application/json"
    verify(hooked.secret, headers, body)
    told = msgspec.json.decode(body)
    assert told["type"] == "needs.assignment"
    assert told["data"]["due_at"] == "2026-12-01T10:00:00Z"
    assert told["data"]["link"].startswith("https://ip.example.cn/messages/")
    assert set(told["data"]["text"]) == {"zh", "en"}


async def test_what_is_not_taken_comes_again_under_the_same_id(
    database: Database, settings_of: Settings, receiver: Receiver, hooked: Hooked
) -> None:
    receiver.answers = [
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n",
    ]
    await tell(database, hooked.actor)
    for state in (("waiting", 1, "HTTP 500"), ("waiting", 2, "HTTP 429"), ("sent", 2, None)):
        await carry(database, settings_of)
        assert await last(database) == state
        await carry(database, settings_of)  # not before its time
        await hurry(database)
    ids = {headers["webhook-id"] for _, headers, _ in receiver.got}
    assert (len(receiver.got), len(ids)) == (3, 1)
    for _, headers, body in receiver.got:
        verify(hooked.secret, headers, body)
    assert len({body for _, _, body in receiver.got}) == 1


@pytest.mark.parametrize("to", ["http://127.0.0.1:1/", "http://169.254.169.254/latest/meta-data/", "/elsewhere"])
async def test_redirects_are_not_followed(
    database: Database, settings_of: Settings, receiver: Receiver, hooked: Hooked, to: str
) -> None:
    receiver.answers = [f"HTTP/1.1 307 Go\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()]
    await tell(database, hooked.actor)
    await carry(database, settings_of)
    assert await last(database) == ("waiting", 1, "HTTP 307")
    assert len(receiver.got) == 1


async def test_who_does_not_answer_is_left(
    database: Database, settings_of: Settings, receiver: Receiver, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "SECONDS", 0.3)
    receiver.silent = True
    await tell(database, hooked.actor)
    with anyio.fail_after(5):
        await carry(database, settings_of)
    state, failures, error = await last(database)
    assert (state, failures) == ("waiting", 1)
    assert error in ("timeout", "ReadTimeout")


async def test_an_endless_answer_is_not_read(
    database: Database, settings_of: Settings, receiver: Receiver, hooked: Hooked
) -> None:
    receiver.answers = [b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"]
    receiver.drip = b"x" * 65536
    await tell(database, hooked.actor)
    with anyio.fail_after(5):
        await carry(database, settings_of)
    assert (await last(database))[0] == "sent", "the status is all that counts"


@pytest.mark.parametrize("answer", [b"not http at all\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000, b""])
async def test_nonsense_is_no_answer(
    database: Database, settings_of: Settings, receiver: Receiver, hooked: Hooked, answer: bytes
) -> None:
    receiver.answers = [answer]
    await tell(database, hooked.actor)
    with anyio.fail_after(15):
        await carry(database, settings_of)
    state, failures, error = await last(database)
    assert (state, failures) == ("waiting", 1)
    assert error in ("RemoteProtocolError", "ReadError", "LocalProtocolError")


async def test_who_is_never_there_is_switched_off_and_told(
    database: Database, settings_of: Settings, receiver: Receiver, hooked: Hooked
) -> None:
    receiver.answers = [b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n"] * 5
    for number in range(3):
        await tell(database, hooked.actor, number)
    await carry(database, settings_of)
    async with database.transaction() as tx:
        hook = await queries.webhook(tx, hooked.actor.id)
        assert hook is not None
        assert hook.failing_since is not None
        assert hook.disabled_at is None
        await tx.execute("UPDATE webhooks SET failing_since = now() - interval '3 days 1 minute'")
    await carry(database, settings_of)
    async with database.transaction() as tx:
        hook = await queries.webhook(tx, hooked.actor.id)
        assert hook is not None
        assert hook.disabled_at is not None
        (first, *_) = await queries.page(tx, hooked.actor, unread=True, after=None, limit=9)
        assert first.kind == "webhook_disabled"
        assert service.link_of(first, hooked.actor.role) == "/account/messages"
        assert await tx.fetchval("SELECT count(*) FROM deliveries WHERE state = 'waiting'") == 0
        with pytest.raises(NotFound):
            await service.test(tx, hooked.actor, Channel.WEBHOOK)
        form = HookForm(hook.url, (Subject.NEEDS,))
        assert await service.set_webhook(tx, hooked.actor, form, private=True) is None, (
            "the same address keeps its secret"
        )
        hook = await queries.webhook(tx, hooked.actor.id)
        assert hook is not None
        assert (hook.disabled_at, hook.failing_since, hook.subjects) == (None, None, (Subject.NEEDS,))
    receiver.answers = []
    await tell(database, hooked.actor, 99)
    await carry(database, settings_of)
    verify(hooked.secret, *receiver.got[-1][1:])


async def test_gone_is_gone(database: Database, settings_of: Settings, receiver: Receiver, hooked: Hooked) -> None:
    receiver.answers = [b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"]
    await tell(database, hooked.actor)
    await carry(database, settings_of)
    async with database.reading() as tx:
        hook = await queries.webhook(tx, hooked.actor.id)
    assert hook is not None
    assert hook.disabled_at is not None


async def test_a_success_ends_a_row_of_failures(
    database: Database, settings_of: Settings, receiver: Receiver, hooked: Hooked
) -> None:
    receiver.answers = [b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"]
    await tell(database, hooked.actor)
    await carry(database, settings_of)
    await hurry(database)
    await carry(database, settings_of)
    async with database.reading() as tx:
        hook = await queries.webhook(tx, hooked.actor.id)
    assert hook is not None
    assert hook.failing_since is None


async def test_what_became_private_is_not_posted_to(
    database: Database, settings_of: Settings, receiver: Receiver, hooked: Hooked
) -> None:
    """The address is looked at again each time: names change, and so do settings."""
    await tell(database, hooked.actor)
    await carry(database, structs.replace(settings_of, private_webhooks=False))
    assert await last(database) == ("waiting", 1, "refused: not a public https address")
    assert receiver.got == []


async def test_the_address_that_was_looked_at_is_the_one_posted_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers otherwise the second time (DNS rebinding) gets nothing: it is asked once."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    monkeypatch.setattr(hooks, "_resolve", resolve)
    answer = await hooks.post(f"http://hooks.example.cn:{receiver.port}/x", b"{}", {}, private=True)
    assert answer == hooks.Answer(None)
    assert asked == ["hooks.example.cn"]
    assert receiver.got[0][1]["host"] == f"hooks.example.cn:{receiver.port}"


async def test_a_new_address_has_a_new_secret(database: Database, receiver: Receiver, hooked: Hooked) -> None:
    async with database.transaction() as tx:
        await queries.drop_webhook(tx, hooked.actor.id)
        form = HookForm(f"http://127.0.0.1:{receiver.port}/other", (Subject.NEEDS,))
        again = await service.set_webhook(tx, hooked.actor, form, private=True)
        assert again not in (None, hooked.secret)
        with pytest.raises(InvalidInput) as refused:
            await service.set_webhook(tx, hooked.actor, form, private=False)
        assert set(refused.value.fields) == {"url"}


async def test_a_slow_receiver_holds_up_no_other(
    database: Database, settings_of: Settings, receiver: Receiver, hooked: Hooked
) -> None:
    slow = Receiver()
    slow.silent = True
    server = await asyncio.start_server(slow.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with database.transaction() as tx:
        office = (await World.read(tx)).actors["office"]
        await service.set_webhook(tx, office, HookForm(f"http://127.0.0.1:{port}/", (Subject.NEEDS,)), private=True)
    for number in range(30):
        await tell(database, office, number)
    for number in range(5):
        await tell(database, hooked.actor, 100 + number)
    postman = asyncio.create_task(notify.Postman(settings_of, database, Channel.WEBHOOK).run())
    with anyio.fail_after(9):  # less than the slow one takes for the first of thirty
        while len(receiver.got) < 5:
            await asyncio.sleep(0.02)
    assert len(slow.got) == 1, "one at a time"
    postman.cancel()
    await asyncio.gather(postman, return_exceptions=True)
    await slow.close()
    server.close()
    await server.wait_closed()


def test_secrets_are_long_enough() -> None:
    shown: Any = show_secret(b"s" * 32)
    assert shown.startswith("whsec_")
    assert 24 <= len(base64.b64decode(shown.removeprefix("whsec_"))) <= 64, "as Standard Webhooks asks"
