"""The institution's page of its standing."""

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.response import Template

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.i18n import lang
from market.standing import service
from market.web import AppRequest, actor_of, page


@get("/desk/standing", guards=[allow(Role.INSTITUTION)])
async def show(request: AppRequest, tx: NamedDependency[Transaction]) -> Template:
    """Where its offerings rank, why, and what would raise them."""
    found = await service.of_institution(tx, actor_of(request), lang())
    return page("desk/standing.html", found=found)


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[show], include_in_schema=False)
