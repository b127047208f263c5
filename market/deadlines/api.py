"""JSON routes of deadlines."""

from datetime import datetime

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.deadlines import service
from market.deadlines.model import BoardRow, Deadline, View
from market.needs import service as needs
from market.web import AppRequest, Page, PageSize, PathId, actor_of, page_of, read_cursor


@get("/deadlines", guards=[allow(Role.COORDINATOR)], summary="List deadlines")
async def board(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    view: FromQuery[View] = View.TODAY,
    mine: FromQuery[bool] = False,
    cursor: FromQuery[str | None] = None,
    limit: PageSize = 20,
) -> Page[BoardRow]:
    """What is due today, overdue, escalated, paused or coming at your node and below, the first due first."""
    after = read_cursor(cursor, tuple[datetime, int])
    rows = await service.board(tx, actor_of(request), view, mine=mine, after=after, limit=limit + 1)
    return page_of(rows, limit, lambda row: (row.due_at, row.id))


@get("/needs/{need_id:int}/deadlines", guards=[allow()], summary="Show a need's deadlines")
async def of_need(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> list[Deadline]:
    """The clocks that run or are paused, as you may see them, the first due first."""
    actor = actor_of(request)
    return await needs.clocks(tx, actor, await needs.find(tx, actor, need_id))


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[board, of_need], tags=["deadlines"])
