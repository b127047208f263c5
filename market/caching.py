"""Public answers that a reader may keep until something published changes."""

from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime

from litestar import Response

from market.catalogue.queries import Edition
from market.i18n import lang
from market.web import AppRequest

SECONDS = 60
"""For so long a copy is used without asking."""


def remember(edition: Edition) -> dict[str, str]:
    """Headers of an answer made from what is published. The tag is exact, the date is for readers that know no tags."""
    return {
        "ETag": _tag(edition),
        "Last-Modified": format_datetime(edition.moved_at.astimezone(UTC), usegmt=True),
        "Cache-Control": f"public, max-age={SECONDS}",
        "Vary": "Accept-Language, Cookie",
    }


def kept_copy(request: AppRequest, edition: Edition) -> Response[bytes] | None:
    """304, where the reader's copy is still right (RFC 9110, 13.2.2)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        known = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
        fresh = "*" in known or _tag(edition) in known
    else:
        fresh = _not_since(request.headers.get("if-modified-since"), edition)
    return Response(b"", status_code=304, headers=remember(edition)) if fresh else None


def _tag(edition: Edition) -> str:
    """With the time, for a database made anew begins to count again; and each language has its own."""
    return f'"{edition.stamp}-{edition.moved_at.timestamp():.0f}-{lang()}"'


def _not_since(date: str | None, edition: Edition) -> bool:
    try:
        seen = parsedate_to_datetime(date) if date else None
    except ValueError:
        return False
    return seen is not None and seen.tzinfo is not None and edition.moved_at.replace(microsecond=0) <= seen
