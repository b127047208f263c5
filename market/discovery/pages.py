"""One box for everything, and what people look for in vain."""

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.response import Template

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.discovery import service
from market.discovery.model import TextOnly
from market.discovery.params import count, of_page
from market.discovery.service import DAYS, Finder
from market.web import AppRequest, page


@get("/search", opt={"limits": "search"})
async def everything(
    request: AppRequest, tx: NamedDependency[Transaction], finder: NamedDependency[Finder]
) -> Template:
    """The first offerings, institutions, guides and notices that a text finds."""
    wanted = of_page(request, TextOnly)
    q = wanted.q
    found = await service.everything(tx, finder, q, as_typed=wanted.as_typed)
    await count(request, tx, q, found.total)
    return page("discovery/everything.html", q=q, found=found, completions=await service.completions(finder, q))


@get("/searches", guards=[allow(Role.COORDINATOR, Role.ADMIN)])
async def in_vain(tx: NamedDependency[Transaction]) -> Template:
    """What people look for and nobody offers."""
    return page("discovery/in_vain.html", wanted=await service.wanted_in_vain(tx), days=DAYS)


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[everything, in_vain], include_in_schema=False)
