"""The coordinator's queue: rows by filters, filters kept by name, several approvals at once, taking one back."""

from datetime import datetime
from typing import Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.catalogue import queries as catalogue
from market.errors import Conflict, InvalidInput
from market.forms import decode
from market.i18n import _
from market.live import queries as live
from market.matches import queries as matches
from market.matches import work
from market.matches.pages import decide
from market.needs.model import NeedState
from market.plans import queries as plans
from market.queue import gaps, holding, queries, service
from market.queue.gaps import Measure
from market.queue.model import OWNER_NAMES, TAB_NAMES, TABS, Correction, Filter, FilterForm, QueueRow, Several, Tab
from market.regions import queries as regions
from market.regions.model import COUNTY_LEVEL
from market.web import (
    AppRequest,
    IdQuery,
    Page,
    PathId,
    Rejected,
    actor_of,
    go,
    one_time_key,
    page,
    page_of,
    read_cursor,
)

ROWS = 50
Form = dict[str, Any]
NODE = [allow(Role.COORDINATOR)]


@get("/queue", guards=NODE)
async def show(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    cursor: FromQuery[str | None] = None,
    done: IdQuery = None,
) -> Template | Redirect:
    """The needs of the coordinator's node and those below it, by deadline; a number that is looked for leads to it."""
    by = _filter(request)
    if by.q.isdecimal() and len(by.q) < 19:
        return go(f"/needs/{by.q}")
    notice = ("bad", _("请先勾选要批准的需求。")) if "ticked" in request.query_params else None
    return await _queue(request, tx, deadlines, by, cursor=cursor, done=done, notice=notice)


async def _queue(
    request: AppRequest,
    tx: Transaction,
    deadlines: Deadlines,
    by: Filter,
    *,
    cursor: str | None = None,
    done: int | None = None,
    notice: tuple[str, str] | None = None,
    status: int = 200,
) -> Template:
    actor = actor_of(request)
    stamp = await live.stamp(tx)  # before what it is a stamp of
    counts = await queries.counts(tx, actor, by)
    node = await regions.region(tx, await _region_of(tx, actor))
    assert node is not None, "every node has its region"
    return page(
        "queue/list.html",
        status=status,
        by=by,
        tabs={one: (TAB_NAMES[one], sum(counts.get(s, 0) for s in within)) for one, within in TABS.items()},
        rows=await _rows(tx, actor, by, cursor),
        stamp=stamp,
        first=cursor is None,
        filters=await queries.filters(tx, actor.id),
        regions={one.code: one.name for one in await regions.below(tx, node.code, node.level + 1)},
        items={one.code: one.name for one in await catalogue.items(tx)},
        owners=OWNER_NAMES,
        declines=await matches.decline_requests(tx, actor.node_prefix or ""),
        calendar=deadlines.calendar,
        decided=done and await work.last_decision(tx, actor, done),
        held=await queries.held_of_actor(tx, actor.id),
        may_plan=counts.get(NeedState.PROPOSED, 0) > 0,
        last_plan=actor.node_id and await plans.latest_id(tx, actor.node_id),
        key=one_time_key(),
        notice=notice,
    )


async def _region_of(tx: Transaction, actor: Actor) -> str:
    return next(node.region_code for node in await regions.nodes(tx) if node.id == actor.node_id)


async def _rows(tx: Transaction, actor: Actor, by: Filter, cursor: str | None) -> Page[QueueRow]:
    states = TABS[by.tab]
    if by.tab is Tab.ENDED:
        ended = await queries.ended(tx, actor, by, states, before=read_cursor(cursor, int), limit=ROWS + 1)
        return page_of(ended, ROWS, lambda row: row.id)
    after = read_cursor(cursor, tuple[datetime, int])
    rows = await queries.rows(tx, actor, by, states, after=after, limit=ROWS + 1)
    return page_of(rows, ROWS, lambda row: (row.due_at, row.id))


def _filter(request: AppRequest) -> Filter:
    """What the address asks for."""
    return decode(Filter, {name: request.query_params.get(name) for name in Filter.__struct_fields__})


@get("/gaps", guards=NODE)
async def show_gaps(
    request: AppRequest, tx: NamedDependency[Transaction], show: FromQuery[Measure] = Measure.NOBODY
) -> Template:
    """Where supply is missing, by region and stage."""
    actor = actor_of(request)
    code = await _region_of(tx, actor)
    node = await regions.region(tx, code)
    assert node is not None, "every node has its region"
    level = min(node.level + 1, COUNTY_LEVEL)
    below = {one.code: one.name for one in await regions.below(tx, code, level) if one.code != code} or {
        code: node.name
    }
    cells = await queries.gaps(tx, actor.node_prefix or "", 2 * level, gaps.DAYS)
    if not below or any(cell.region_code == code and cell.needs for cell in cells):
        below[code] = _("{region}（未指明下级地区）", region=node.name)
    return page(
        "queue/gaps.html",
        plot=gaps.plot(cells, below, show),
        show=show,
        measures=gaps.MEASURE_NAMES,
        days=gaps.DAYS,
        needs=sum(cell.needs for cell in cells),
    )


# filters kept by name ------------------------------------------------------------------------------------------------


@post("/queue/filters", guards=NODE)
async def save_filter(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    data: URLEncodedBody[Form],
) -> Redirect:
    """Keep what the queue shows under a name."""
    by = decode(Filter, data)
    try:
        form = decode(FilterForm, data)
        await service.save_filter(tx, actor_of(request), form.name, by)
    except InvalidInput as error:
        words = next(iter(error.fields.values()), error.detail)
        again = await _queue(request, tx, deadlines, by, notice=("bad", words), status=error.status)
        raise Rejected(again) from None
    return go(by.on(by.tab))


@post("/queue/filters/{filter_id:int}/drop", guards=NODE)
async def drop_filter(
    request: AppRequest, tx: NamedDependency[Transaction], filter_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """Forget a filter; the queue shows what it showed."""
    await queries.drop_filter(tx, actor_of(request).id, filter_id)
    by = decode(Filter, data)
    return go(by.on(by.tab))


# several at once -----------------------------------------------------------------------------------------------------


@get("/queue/several", guards=NODE)
async def several(
    request: AppRequest, tx: NamedDependency[Transaction], deadlines: NamedDependency[Deadlines]
) -> Template | Redirect:
    """What approving the ticked needs would do; nothing is done yet."""
    wanted = {int(one) for one in request.query_params.getall("needs", []) if one.isdecimal() and len(one) < 19}
    try:
        found = await service.preview(tx, actor_of(request), sorted(wanted)[:100])
    except InvalidInput:
        return go("/queue?ticked=none")
    return page("queue/several.html", found=found, outcomes=None, rows={}, calendar=deadlines.calendar)


@post("/queue/several", guards=NODE)
async def approve_several(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    data: URLEncodedBody[Form],
) -> Template | Redirect:
    """Approve what was previewed, each on its own; the page tells what became of each."""
    ticked = decode(Several, data).ticked
    actor = actor_of(request)
    outcomes = await service.approve(tx, actor, ticked, deadlines)
    rows = {row.id: row for row in await queries.of_ids(tx, actor, Filter(), [one.need_id for one in ticked])}
    return page("queue/several.html", found=None, outcomes=outcomes, rows=rows, calendar=deadlines.calendar)


# one need ------------------------------------------------------------------------------------------------------------


@post("/needs/{need_id:int}/undo", guards=NODE)
async def undo(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
) -> Redirect:
    """Take one's own decision back before it is sent; the need is then as it was."""
    del deadlines
    try:
        await holding.take_back(tx, actor_of(request), need_id)
    except Conflict:
        return go(f"/needs/{need_id}?late=1")
    return go(f"/needs/{need_id}")


@post("/needs/{need_id:int}/correct", guards=NODE)
async def correct(
    request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """Say what the need is about, and have it ranked again."""
    actor = actor_of(request)

    async def act() -> None:
        await service.correct(tx, actor, need_id, decode(Correction, data))

    return await decide(request, tx, need_id, act, form="correct", typed=data, then=f"/needs/{need_id}")


def router() -> Router:
    """The routes, for market.pages."""
    handlers = [show, show_gaps, save_filter, drop_filter, several, approve_several, undo, correct]
    return Router("/", route_handlers=handlers, include_in_schema=False)
