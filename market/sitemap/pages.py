"""Routes for search engines of the web."""

from litestar import Response, Router, get
from litestar.di import NamedDependency

from infra.db import Transaction
from market.sitemap import queries
from market.sitemap.model import LISTS, MOST, robots, sitemap
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
    return Response(robots(services(request).settings.address), media_type="text/plain", headers=KEPT)


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[sitemap_xml, robots_txt], include_in_schema=False)
