"""The public statistics as JSON."""

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency

from infra.db import Transaction
from market.caching import kept
from market.statistics.model import Statistics
from market.statistics.service import SECONDS
from market.web import AppRequest, services


@get("/statistics", summary="Read the public statistics")
async def read(request: AppRequest, tx: NamedDependency[Transaction]) -> Response[Statistics]:
    """Needs, shares on time, satisfaction, offerings and institutions: the numbers of the page /statistics."""
    found = await services(request).statistics.get(tx)
    return kept(request, msgspec.json.encode(found), "application/json", SECONDS)


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[read], tags=["statistics"])
