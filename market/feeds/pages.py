"""The log of changes as a page and as feeds."""

from collections.abc import Callable

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.response import Template

from infra.db import Transaction
from market.caching import kept_copy, remember
from market.catalogue import queries as catalogue
from market.feeds import queries
from market.feeds.documents import atom, json_feed
from market.web import AppRequest, IdQuery, page, services

ROWS = 20
ENTRIES = 50


@get("/changes")
async def listing(tx: NamedDependency[Transaction], before: IdQuery = None) -> Template:
    """What changed, the latest first."""
    rows = await queries.before(tx, before, ROWS + 1)
    more = f"/changes?before={rows[ROWS - 1].id}" if len(rows) > ROWS else None
    return page("feeds/changes.html", changes=rows[:ROWS], more=more)


@get("/feed.atom")
async def atom_feed(request: AppRequest, tx: NamedDependency[Transaction], before: IdQuery = None) -> Response[bytes]:
    """The same for feed readers."""
    return await _feed(request, tx, before, "/feed.atom", "application/atom+xml; charset=utf-8", atom)


@get("/feed.json")
async def feed_json(request: AppRequest, tx: NamedDependency[Transaction], before: IdQuery = None) -> Response[bytes]:
    """The same as JSON Feed."""
    return await _feed(request, tx, before, "/feed.json", "application/feed+json", json_feed)


async def _feed(
    request: AppRequest,
    tx: Transaction,
    before: int | None,
    path: str,
    media_type: str,
    document: Callable[..., bytes],
) -> Response[bytes]:
    edition = await catalogue.edition(tx)
    if copy := kept_copy(request, edition):
        return copy
    rows = await queries.before(tx, before, ENTRIES + 1)
    body = document(
        rows[:ENTRIES],
        address=services(request).settings.address,
        path=path if before is None else f"{path}?before={before}",
        older=f"{path}?before={rows[ENTRIES - 1].id}" if len(rows) > ENTRIES else None,
    )
    return Response(body, media_type=media_type, headers=remember(edition))


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[listing, atom_feed, feed_json], include_in_schema=False)
