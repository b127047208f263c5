"""The log of changes as JSON, to be followed. Public."""

from typing import Annotated

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from infra.db import Transaction
from market.feeds import queries
from market.feeds.model import ChangePage
from market.web import MOST_ID, PageSize

Since = Annotated[int, QueryParameter(ge=0, le=MOST_ID)]


@get("/changes", summary="Follow what changes")
async def changes(tx: NamedDependency[Transaction], since: Since = 0, limit: PageSize = 20) -> ChangePage:
    """Items and offerings published, revised or withdrawn after the change ``since``, in that order."""
    rows = await queries.since(tx, since, limit + 1)
    kept = rows[:limit]
    return ChangePage(items=kept, next=kept[-1].id if kept else since, more=len(rows) > limit)


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[changes], tags=["changes"])
