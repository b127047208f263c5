"""The calendar in force, and the page that imports a notice of days off."""

from datetime import datetime
from typing import Annotated, Any

from litestar import Router, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromQuery, MultipartBody, QueryParameter, URLEncodedBody
from litestar.response import Redirect, Response, Template
from msgspec import Struct

from infra.db import Transaction, start_over
from market.accounts.model import Actor, Role
from market.auth import allow
from market.calendars import queries
from market.calendars.model import ZONE, months, spans
from market.calendars.service import Deadlines
from market.deadlines.announcement import Announced, announce
from market.errors import NotFound
from market.i18n import N_, _, _n
from market.importing import columns, files
from market.importing.model import ImportFailed, Kind
from market.regions import queries as regions
from market.regions.model import NATION, lineage
from market.web import AppRequest, Rejected, actor_of, go, page

Form = dict[str, Any]
STAFF = [allow(Role.COORDINATOR, Role.ADMIN)]
FIRST, LAST = 2000, 2100
PASTED = N_("粘贴的内容")
MOVED = N_("放假安排刚刚被别人改过。下面是按新的安排重新计算的结果，请再看一遍。")


@get("/calendar")
async def show(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    region: FromQuery[str] = "",
    year: Annotated[int | None, QueryParameter(ge=FIRST, le=LAST)] = None,
    done: FromQuery[int | None] = None,
) -> Template:
    """A year as it holds in a region: days off, shifted days, business hours, and how far it was announced."""
    code = region or await _home(tx, request.user)
    if await regions.region(tx, code) is None:
        raise NotFound(_("没有这个地区，请从列表中选择。"))
    shown = year or datetime.now(ZONE).year
    found = deadlines.calendar(code)
    named = await queries.named(tx, code, shown)
    around = await regions.around(tx, code, lineage(code))
    return page(
        "calendars/show.html",
        region_code=code,
        names={one.code: one.name for one in around},
        year=shown,
        years=[one for one in (shown - 1, shown + 1) if FIRST <= one <= LAST],
        months=months(found, {one.day: one for one in named}, shown),
        spans=spans(named),
        hours=found.hours,
        horizon=found.horizon,
        source=(await queries.years(tx)).get(shown),
        today=datetime.now(ZONE).date(),
        may_import=request.user is not None and request.user.role in (Role.COORDINATOR, Role.ADMIN),
        notice=None
        if done is None
        else ("ok", _n("已导入，{n} 天的安排有变化。没有到期的期限几分钟内按它重新计算。", done)),
    )


@get("/calendar/import", guards=STAFF)
async def form(request: AppRequest) -> Template:
    """A file, or rows that are pasted."""
    return _form(actor_of(request), Tried())


@get("/calendar/template.csv", guards=STAFF)
async def template(request: AppRequest) -> Response[bytes]:
    """A file to fill in."""
    del request
    headers = {"Content-Disposition": "attachment; filename=calendar.csv"}
    return Response(columns.template(Kind.CALENDAR).encode(), media_type="text/csv", headers=headers)


@post("/calendar/import", status_code=200, guards=STAFF)
async def preview(request: AppRequest, tx: NamedDependency[Transaction], data: MultipartBody[Form]) -> Template:
    """What the file would change; nothing is stored."""
    raw, name = await _given(data)
    return _form(actor_of(request), await _try(tx, actor_of(request), raw, name))


@post("/calendar/confirm", guards=STAFF)
async def confirm(request: AppRequest, tx: NamedDependency[Transaction], data: URLEncodedBody[Form]) -> Redirect:
    """Store what was looked at, if the calendars are still those it was compared with; else show it anew.

    Posted once more it finds its days stored, and changes nothing.
    """
    actor, raw = actor_of(request), str(data.get("text", "")).encode()
    tried = await _try(tx, actor, raw, _(PASTED))
    if tried.found is None:
        raise Rejected(_form(actor, tried))
    if tried.found.changes and str(await queries.lock(tx)) != data.get("stamp"):
        raise Rejected(_form(actor, tried, notice=("wait", _(MOVED)), status=409))
    stored = await announce(tx, actor, raw, _(PASTED))
    region = stored.changes[0].region_code if stored.changes else ""
    return go(f"/calendar?region={region}&done={len(stored.changes)}")


class Tried(Struct, frozen=True, kw_only=True):
    """What a notice would do, or what is wrong with it, by line; with its text as it came."""

    text: str = ""
    found: Announced | None = None
    problems: list[str] = []


async def _try(tx: Transaction, actor: Actor, raw: bytes, name: str) -> Tried:
    """Store it, and undo the transaction."""
    text = ""
    try:
        if not raw.strip():
            return Tried(problems=[_("请选择一个文件，或把表格粘贴到下面的框里。")])
        text = files.decode(raw, name)
        return Tried(text=text, found=await announce(tx, actor, raw, name))
    except ImportFailed as error:
        return Tried(text=text, problems=error.lines)
    finally:
        await start_over(tx)


def _form(actor: Actor, tried: Tried, *, notice: tuple[str, str] | None = None, status: int | None = None) -> Template:
    return page(
        "calendars/import.html",
        status=status or (422 if tried.problems else 200),
        tried=tried,
        everywhere=actor.role is Role.ADMIN,
        notice=notice,
    )


async def _given(data: Form) -> tuple[bytes, str]:
    """The file, or else what was pasted, and what to call it."""
    file = data.get("file")
    if isinstance(file, UploadFile):
        raw = await file.read()
        await file.close()
        if raw:
            return raw, file.filename
    return str(data.get("text", "")).encode(), _(PASTED)


async def _home(tx: Transaction, actor: Actor | None) -> str:
    """Where somebody's calendar is: of the node, the enterprise, or of the largest node there is."""
    nodes = await regions.nodes(tx)
    of_node = {node.id: node.region_code for node in nodes}
    if actor is not None and (actor.node_id in of_node or actor.region_code):
        return of_node.get(actor.node_id or 0) or actor.region_code or NATION
    return nodes[0].region_code if nodes else NATION


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[show, form, template, preview, confirm], include_in_schema=False)
