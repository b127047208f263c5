"""Forms that were posted after a log-in had ended: kept for a day, to be sent on once somebody has logged in."""

import hashlib
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from msgspec import Struct

from market.errors import NotAuthenticated
from market.web import Rejected, go

CSRF_COOKIE = "zhipei_csrf"
"""With a prefix where cookies are secure (``auth.cookie_name``)."""


class Posted(Struct, frozen=True, tag="form"):
    """A form as it came. ``browser`` tells which one sent it, so that nobody sends on another's words."""

    path: str
    fields: list[tuple[str, str]]
    browser: str


async def nobody(connection: ASGIConnection[Any, Any, Any, Any]) -> Rejected | NotAuthenticated:
    """What to raise where somebody has to log in first. What they posted waits for them then, secrets left out."""
    if connection.scope.get("method") != "POST" or connection.url.path.startswith("/api/"):
        return NotAuthenticated()
    given = (await Request[Any, Any, Any](connection.scope, connection.receive).form()).multi_items()
    typed = [(name, value) for name, value in given if isinstance(value, str) and name != "_csrf_token"]
    fields = [(name, value) for name, value in typed if "password" not in name and name != "code"]
    posted = Posted(connection.url.path, fields, browser_of(connection))
    key = await connection.app.state.services.sessions.keep_draft(msgspec.json.encode(posted).decode())
    return Rejected(go("/login?" + urlencode({"next": f"/resume?form={key}"})))


def read(kept: str | None, connection: ASGIConnection[Any, Any, Any, Any]) -> Posted | None:
    """The form that was kept, for the browser that sent it; None for any other."""
    try:
        posted = msgspec.json.decode(kept or "", type=Posted)
    except msgspec.DecodeError:
        return None
    return posted if posted.browser == browser_of(connection) else None


def browser_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Tells whether two requests came from one browser: by what protects its forms, which outlives a log-in."""
    held = next((value for name, value in connection.cookies.items() if name.endswith(CSRF_COOKIE)), "")
    return hashlib.sha256(held.encode()).hexdigest()
