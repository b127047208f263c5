"""The audit trail as admins read it."""

from urllib.parse import urlencode

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Stream, Template

from infra.db import Transaction
from market.accounts.model import ROLE_NAMES, Role
from market.audit import queries, service
from market.audit.model import ACTION_NAMES, ROLES, Filter
from market.audit.params import ADMIN, as_csv
from market.forms import decode
from market.web import AppRequest, page, page_of, read_cursor

ROWS = 50


@get("/audit", guards=ADMIN)
async def listing(
    request: AppRequest, tx: NamedDependency[Transaction], cursor: FromQuery[str | None] = None
) -> Template:
    """Who did what, newest first, with a form to narrow it."""
    typed = {name: value.strip() for name, value in request.query_params.items() if value.strip()}
    wanted = decode(Filter, {name: value for name, value in typed.items() if name in Filter.__struct_fields__})
    rows = await service.listing(tx, wanted, read_cursor(cursor, int), ROWS + 1)
    return page(
        "audit/list.html",
        found=page_of(rows, ROWS, lambda row: row.id),
        seal=await queries.last_seal(tx),
        values=typed,
        asked=urlencode({name: value for name, value in typed.items() if name != "cursor"}),
        actions=dict(ACTION_NAMES),
        roles={**ROLES, **{str(role): ROLE_NAMES[role] for role in Role}},
    )


@get("/audit.csv", guards=ADMIN)
async def download(request: AppRequest, tx: NamedDependency[Transaction]) -> Stream:
    """What the page shows, and all before it, as CSV."""
    wanted = decode(Filter, {name: value for name, value in request.query_params.items() if value})
    return await as_csv(request, tx, wanted)


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[listing, download], include_in_schema=False)
