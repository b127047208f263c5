"""Answers that readers keep, and edits of what they have read: ETag, If-None-Match, If-Match (RFC 9110, 13)."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, TypeVar

import msgspec
from litestar import Response
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

from infra.db import Transaction
from market.catalogue.queries import Edition
from market.errors import ChangedSinceRead, Conflict, IfMatchMissing
from market.i18n import VARY, lang
from market.web import AppRequest, once

T = TypeVar("T")
SECONDS = 60
"""For so long a public copy is used without asking."""


def tag_of(body: bytes) -> str:
    """The strong tag of an answer: of its bytes, so of its language and of all that it tells."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


class Tagged(ASGIMiddleware):
    """Gives JSON that was read or put its ETag; a reader who has it is answered 304."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """ASGI."""
        held: HTTPResponseStartEvent | None = None

        async def tagged(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and _may_be_kept(scope, message):
                held = message
                return
            if held is not None and message["type"] == "http.response.body":
                start, held = held, None
                if not message["more_body"]:
                    message["body"] = _tag(scope, start, message["body"])
                await send(start)
            await send(message)

        await next_app(scope, receive, tagged)


def _may_be_kept(scope: Scope, start: HTTPResponseStartEvent) -> bool:
    headers = MutableScopeHeaders.from_message(start)
    plain = start["status"] == 200 and headers.get("content-type", "").startswith("application/json")
    return plain and "etag" not in headers and scope["method"] in ("GET", "PUT")  # type: ignore[typeddict-item]


def _tag(scope: Scope, start: HTTPResponseStartEvent, body: bytes) -> bytes:
    headers = MutableScopeHeaders.from_message(start)
    headers["ETag"] = tag = tag_of(body)
    headers.setdefault("Cache-Control", "private, no-cache")
    headers.setdefault("Vary", "Accept-Language, Authorization")
    asked = dict(scope["headers"]).get(b"if-none-match", b"").decode("latin-1")
    if scope["method"] == "GET" and asked and _knows(asked, tag):  # type: ignore[typeddict-item]
        start["status"] = 304
        del headers["Content-Length"], headers["Content-Type"]
        return b""
    return body


def _knows(header: str, tag: str) -> bool:
    tags = {one.strip().removeprefix("W/") for one in header.split(",")}
    return "*" in tags or tag in tags


async def edited(
    request: AppRequest,
    tx: Transaction,
    read: Callable[[], Awaitable[T]],
    act: Callable[[], Awaitable[object]],
    *,
    demanded: bool = False,
) -> Response[T]:
    """Answer a PUT with what ``read`` gives after ``act``, where If-Match names what it gave before, or is not sent.

    ``read`` is what the GET of this address answers. ``demanded``: the body replaces all of it and
    names no version, so the header has to.
    What else is to be refused comes first, so that nobody learns by a tag what is not theirs to read.

    Raises:
        ChangedSinceRead: it is something else by now.
        IfMatchMissing: it is demanded.
    """
    wanted = request.headers.get("if-match")

    async def acted() -> T:
        tags = {one.strip() for one in (wanted or "*").split(",")}
        stale = "*" not in tags and tag_of(msgspec.json.encode(await read())) not in tags
        try:
            await act()
        except Conflict:
            if stale:
                raise ChangedSinceRead from None
            raise
        if stale:
            raise ChangedSinceRead
        if demanded and wanted is None:
            raise IfMatchMissing
        return await read()

    return await once(request, tx, acted)


def remember(edition: Edition) -> dict[str, str]:
    """Headers of an answer made from what is published. The tag is exact, the date is for readers that know no tags."""
    return {
        "ETag": _edition_tag(edition),
        "Last-Modified": format_datetime(edition.moved_at.astimezone(UTC), usegmt=True),
        "Cache-Control": f"public, max-age={SECONDS}",
        "Vary": VARY,
    }


def kept_copy(request: AppRequest, edition: Edition) -> Response[Any] | None:
    """304, where the reader's copy is still right (RFC 9110, 13.2.2)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        fresh = _knows(tags, _edition_tag(edition))
    else:
        fresh = _not_since(request.headers.get("if-modified-since"), edition)
    return Response(b"", status_code=304, headers=remember(edition)) if fresh else None


def kept(
    request: AppRequest, body: bytes, media_type: str, seconds: int, headers: Mapping[str, str] | None = None
) -> Response[Any]:
    """What is made anew for each reader, and kept by him for so long; 304 where he has it already."""
    tag = tag_of(body)
    told = {"ETag": tag, "Cache-Control": f"public, max-age={seconds}", "Vary": VARY}
    if _knows(request.headers.get("if-none-match", ""), tag):
        return Response(b"", status_code=304, headers=told)
    return Response(body, media_type=media_type, headers=told | dict(headers or {}))


def _edition_tag(edition: Edition) -> str:
    """With the time, for a database made anew begins to count again; and each language has its own."""
    return f'"{edition.stamp}-{edition.moved_at.timestamp():.0f}-{lang()}"'


def _not_since(date: str | None, edition: Edition) -> bool:
    try:
        seen = parsedate_to_datetime(date) if date else None
    except ValueError:
        return False
    return seen is not None and seen.tzinfo is not None and edition.moved_at.replace(microsecond=0) <= seen
