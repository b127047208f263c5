"""JSON routes of discovery: one text looked for everywhere, and names that complete what is typed. Public."""

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.discovery import service
from market.discovery.model import Everything, Wanted
from market.discovery.service import Finder
from market.web import SearchQuery
from search.engine import IndexName, Suggestion


@get("/search", opt={"limits": "search"}, summary="Search everything")
async def everything(
    tx: NamedDependency[Transaction],
    finder: NamedDependency[Finder],
    q: SearchQuery = "",
    as_typed: FromQuery[bool] = False,
) -> Everything:
    """The first offerings, institutions, items and notices that a text finds. More, and filters: at the lists."""
    found = await service.everything(tx, finder, q, as_typed=as_typed)
    await service.count_search(tx, q, found.total)
    return found


@get("/suggest", opt={"limits": "search"}, summary="Complete a text")
async def suggest(finder: NamedDependency[Finder], q: SearchQuery = "") -> list[Suggestion]:
    """Names of services, institutions and items that go on like the text: Chinese, pinyin or first letters."""
    return await finder.suggest(q, (IndexName.ITEMS, IndexName.OFFERINGS, IndexName.INSTITUTIONS))


@get("/searches/in-vain", guards=[allow(Role.COORDINATOR, Role.ADMIN)], summary="List what is looked for in vain")
async def in_vain(tx: NamedDependency[Transaction]) -> list[Wanted]:
    """What people looked for in the last 30 days and did not find, the most often first."""
    return await service.wanted_in_vain(tx)


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[everything, suggest, in_vain], tags=["search"])
