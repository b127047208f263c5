"""Around the application: who is too many, who is too slow, and what is begun again."""

import asyncio
from typing import Any

import msgspec
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Send

from infra.db import ATTEMPTS, CONFLICTS, repeated
from market.i18n import _
from market.web import end_abandoned

BODY_SECONDS = 30.0
"""How long a part of a request's body may take; whoever is slower holds a place that others need."""
MAY_REPEAT = "zhipei.may_repeat"
"""In the scope: whether ``on_error`` leaves such an error to us."""


class Begun(Exception):
    """It failed when a part of the answer was out already."""


async def answer(app: ASGIApp, scope: HTTPScope, receive: Receive, send: Send) -> None:
    """Have ``app`` answer; from the start again where PostgreSQL ended its transaction so that another could go on.

    That transaction left nothing. What else a request counts (limits) may be counted twice: the client would have made
    the same call again. What ``app`` says of the last attempt stays in ``scope``.
    """
    before: dict[str, Any] = {**scope}
    body, left, begun = _Body(receive), ATTEMPTS, False

    async def sent(message: Message) -> None:
        nonlocal begun
        begun = True
        await send(message)

    async def attempt() -> None:
        nonlocal left
        left -= 1
        body.rewind()
        whole: Any = scope
        whole.clear()
        whole.update(before, state=dict(before.get("state") or {}))
        whole[MAY_REPEAT] = left > 0
        try:
            await app(scope, body, sent)
        except CONFLICTS as error:
            if begun:
                raise Begun from error
            raise
        finally:
            await end_abandoned(scope)

    await repeated(attempt)


class _Body:
    """What has come of the body, to be told again."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._come: list[Any] = []
        self._next = 0

    def rewind(self) -> None:
        self._next = 0

    async def __call__(self) -> Any:
        if self._next == len(self._come):
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._come.append(message)
        self._next += 1
        return self._come[self._next - 1]


def impatient(receive: Receive) -> Receive:
    """``receive`` with a limit on how long each part of the body takes; there is none on waiting for the end."""
    complete = False

    async def received() -> Any:
        nonlocal complete
        if complete:
            return await receive()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                message = await receive()
        except TimeoutError:
            raise HTTPException(status_code=408) from None
        complete = not message.get("more_body", False)
        return message

    return received


async def crowded(scope: HTTPScope, send: Send) -> None:
    """503, without a page: whatever needs a template or a database would make it worse."""
    words = _("现在访问的人很多，请过几秒再试。已提交的内容不会丢失。")
    if scope["path"].startswith("/api/"):
        problem = {"type": "/problems/unavailable", "title": _("服务暂时繁忙"), "status": 503, "detail": words}
        kind, body = b"application/problem+json", msgspec.json.encode({**problem, "instance": scope["path"]})
    else:
        kind, body = b"text/plain; charset=utf-8", words.encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), (b"retry-after", b"3")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
