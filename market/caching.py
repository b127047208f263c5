"""Public answers that a reader may keep until something published changes."""

import hashlib
from collections.abc import Mapping
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from litestar import Response

from market.catalogue.queries import Edition
from market.i18n import VARY, lang
from market.web import AppRequest

SECONDS = 60
"""For so long a copy is used without asking."""


def remember(edition: Edition) -> dict[str, str]:
    """Headers of an answer made from what is published. The tag is exact, the date is for readers that know no tags."""
    return {
        "ETag": _tag(edition),
        "Last-Modified": format_datetime(edition.moved_at.astimezone(UTC), usegmt=True),
        "Cache-Control": f"public, max-age={SECONDS}",
        "Vary": VARY,
    }


def kept_copy(request: AppRequest, edition: Edition) -> Response[bytes] | None:
    """304, where the reader's copy is still right (RFC 9110, 13.2.2)."""
    if "if-none-match" in request.headers:
        fresh = _has(request, _tag(edition))
    else:
        fresh = _not_since(request.headers.get("if-modified-since"), edition)
    return Response(b"", status_code=304, headers=remember(edition)) if fresh else None


def kept(
    request: AppRequest, body: bytes, media_type: str, seconds: int, headers: Mapping[str, str] | None = None
) -> Response[Any]:
    """What is made anew for each reader, and kept by him for so long; 304 where he has it already."""
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    told = {"ETag": tag, "Cache-Control": f"public, max-age={seconds}", "Vary": VARY}
    if _has(request, tag):
        return Response(b"", status_code=304, headers=told)
    return Response(body, media_type=media_type, headers=told | dict(headers or {}))


def _has(request: AppRequest, tag: str) -> bool:
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    return "*" in known or tag in known


def _tag(edition: Edition) -> str:
    """With the time, for a database made anew begins to count again; and each language has its own."""
    return f'"{edition.stamp}-{edition.moved_at.timestamp():.0f}-{lang()}"'


def _not_since(date: str | None, edition: Edition) -> bool:
    try:
        seen = parsedate_to_datetime(date) if date else None
    except ValueError:
        return False
    return seen is not None and seen.tzinfo is not None and edition.moved_at.replace(microsecond=0) <= seen
