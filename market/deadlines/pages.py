"""The coordinator's board of deadlines."""

from datetime import datetime

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Template

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.deadlines import service
from market.deadlines.model import VIEW_NAMES, View
from market.web import AppRequest, actor_of, page, page_of, read_cursor

ROWS = 30


@get("/deadlines", guards=[allow(Role.COORDINATOR)])
async def board(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    view: FromQuery[View] = View.TODAY,
    mine: FromQuery[bool] = False,
    cursor: FromQuery[str | None] = None,
) -> Template:
    """What is due, late, brought before the node, or paused, at the node and below it."""
    actor = actor_of(request)
    after = read_cursor(cursor, tuple[datetime, int])
    rows = await service.board(tx, actor, view, mine=mine, after=after, limit=ROWS + 1)
    return page(
        "deadlines/board.html",
        view=view,
        mine=mine,
        names=VIEW_NAMES,
        counts=await service.counts(tx, actor, mine=mine),
        rows=page_of(rows, ROWS, lambda row: (row.due_at, row.id)),
        first=cursor is None,
        calendar=deadlines.calendar,
    )


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[board], include_in_schema=False)
