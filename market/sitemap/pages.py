"""Routes for search engines of the web, and for whoever has found a weakness."""

from datetime import UTC, datetime

from litestar import MediaType, Response, Router, get
from litestar.di import NamedDependency

from infra.db import Transaction
from market.errors import NotFound
from market.sitemap import queries
from market.sitemap.model import LISTS, MOST, robots, security, sitemap
from market.web import AppRequest, services

KEPT = {"Cache-Control": "public, max-age=3600"}


@get("/sitemap.xml")
async def sitemap_xml(request: AppRequest, tx: NamedDependency[Transaction]) -> Response[bytes]:
    """The public pages."""
    published = await queries.published(tx, MOST - len(LISTS))
    body = sitemap(services(request).settings.address, published)
    return Response(body, media_type="application/xml", headers=KEPT)


@get("/robots.txt")
async def robots_txt(request: AppRequest) -> Response[str]:
    """What to leave alone."""
    return Response(robots(services(request).settings.address), media_type=MediaType.TEXT, headers=KEPT)


@get("/.well-known/security.txt")
async def security_txt(request: AppRequest) -> Response[str]:
    """Whom to tell of a weakness.

    Raises:
        NotFound: the settings name nobody.
    """
    settings = services(request).settings
    if settings.security_contact is None:
        raise NotFound
    body = security(settings.address, settings.security_contact, datetime.now(UTC))
    return Response(body, media_type=MediaType.TEXT, headers=KEPT)


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[sitemap_xml, robots_txt, security_txt], include_in_schema=False)
