"""JSON routes of supervision."""

from litestar import Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.caching import edited
from market.calendars.service import Deadlines
from market.regions.model import NATION
from market.supervision import queries, service
from market.supervision.model import (
    Flag,
    Notice,
    RuleInForce,
    Said,
    Supervision,
    SupervisionAction,
    SupervisionRuleChange,
    SupervisionStep,
)
from market.web import AppRequest, Page, PageSize, PathId, actor_of, once, page_of, read_cursor

READERS = [allow(Role.INSTITUTION, Role.COORDINATOR, Role.ADMIN)]
STAFF = [allow(Role.COORDINATOR, Role.ADMIN)]


@get("/supervision/rules", summary="List supervision rules by region")
async def rules(tx: NamedDependency[Transaction], region_code: FromQuery[str] = NATION) -> list[RuleInForce]:
    """Every rule as it holds in the region, and which region above it comes from. Public: everybody is told."""
    return await service.in_force(tx, region_code)


@put("/supervision/rules/{region_code:str}", guards=STAFF, summary="Set a region's supervision rule")
async def change(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    region_code: FromPath[str],
    data: JSONBody[SupervisionRuleChange],
) -> Response[list[RuleInForce]]:
    """A region's own threshold; `own` false: as in the region above. Flags follow in the next night."""
    return await edited(
        request,
        tx,
        lambda: service.held(tx, region_code),
        lambda: service.change(tx, actor_of(request), region_code, [data]),
    )


@get("/ledger/{institution_id:int}/flags", guards=READERS, summary="Show by which rules an institution is behind")
async def flags(request: AppRequest, tx: NamedDependency[Transaction], institution_id: PathId) -> list[Flag]:
    """The flags that are up, with the figures that raised them."""
    return await service.flags_of(tx, actor_of(request), institution_id)


@get("/supervisions", guards=READERS, summary="List supervisions")
async def listing(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    is_open: FromQuery[bool | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageSize = 20,
) -> Page[Supervision]:
    """Your institution's, or those of your region, newest first."""
    before = read_cursor(cursor, int)
    rows = await queries.listed(tx, actor_of(request), is_open=is_open, before=before, limit=limit + 1)
    return page_of(rows, limit, lambda row: row.id)


@get("/supervisions/{supervision_id:int}", guards=READERS, summary="Show a supervision")
async def show(request: AppRequest, tx: NamedDependency[Transaction], supervision_id: PathId) -> Supervision:
    """Its state, why it was begun, and its clock."""
    return await service.find(tx, actor_of(request), supervision_id)


@get("/supervisions/{supervision_id:int}/steps", guards=READERS, summary="List a supervision's steps")
async def steps(request: AppRequest, tx: NamedDependency[Transaction], supervision_id: PathId) -> list[SupervisionStep]:
    """Who did what and when, and what its clock did, oldest first."""
    return await service.steps(tx, actor_of(request), supervision_id)


@post("/supervisions", guards=[allow(Role.COORDINATOR)], summary="Give notice of supervision")
async def notice(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    data: JSONBody[Notice],
) -> Response[Supervision]:
    """Tell an institution of your region in what it is behind, and ask for a plan. One at a time."""
    actor = actor_of(request)
    return await once(request, tx, lambda: service.give_notice(tx, actor, data, deadlines), status=201)


@post(
    "/supervisions/{supervision_id:int}/{action:str}",
    guards=[allow(Role.INSTITUTION, Role.COORDINATOR)],
    status_code=200,
    summary="Take a supervision's next step",
)
async def step(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    supervision_id: PathId,
    action: FromPath[SupervisionAction],
    data: JSONBody[Said],
) -> Response[Supervision]:
    """`plan` by the institution; `send_back`, `check`, `close` and `call_off` by a coordinator."""
    actor = actor_of(request)
    return await once(
        request, tx, lambda: service.step(tx, actor, supervision_id, action, data.note, deadlines), status=200
    )


def router() -> Router:
    """The routes, for create_app."""
    handlers = [rules, change, flags, listing, show, steps, notice, step]
    return Router("/", route_handlers=handlers, tags=["supervision"])
