"""Pages of supervision: the list, one with its next step, a notice, the rules."""

from collections.abc import Mapping
from typing import Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from infra.db import Transaction, start_over
from market.accounts.model import Actor, Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.errors import Conflict, InvalidInput
from market.forms import decode, visible
from market.i18n import _
from market.ledger import service as ledger
from market.regions import queries as regions
from market.regions.model import lineage
from market.rules.pages import home
from market.supervision import queries, service
from market.supervision.model import (
    ACTION_NAMES,
    ACTORS,
    RULE_NAMES,
    RULE_WORDS,
    SHARES,
    TRANSITIONS,
    Notice,
    Said,
    Supervision,
    SupervisionAction,
    SupervisionRule,
    SupervisionRuleChange,
)
from market.web import (
    AppRequest,
    IdQuery,
    PathId,
    Rejected,
    actor_of,
    go,
    go_once,
    one_time_key,
    page,
    page_of,
    read_cursor,
)

Form = dict[str, Any]
ROWS = 30
READERS = [allow(Role.INSTITUTION, Role.COORDINATOR, Role.ADMIN)]
STAFF = [allow(Role.COORDINATOR, Role.ADMIN)]
NODE = [allow(Role.COORDINATOR)]
BOTH_SIDES = [allow(Role.INSTITUTION, Role.COORDINATOR)]
A = SupervisionAction
PRIMARY = (A.PLAN, A.CHECK, A.CLOSE)
"""The step that each state waits for; the others are behind a fold."""


@get("/supervision", guards=READERS)
async def listing(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    closed: FromQuery[bool] = False,
    cursor: FromQuery[str | None] = None,
) -> Template:
    """An institution's supervisions, or those of the node's region."""
    before = read_cursor(cursor, int)
    rows = await queries.listed(tx, actor_of(request), is_open=not closed, before=before, limit=ROWS + 1)
    found = page_of(rows, ROWS, lambda row: row.id)
    return page("supervision/list.html", found=found, closed=closed, calendar=deadlines.calendar)


@get("/supervision/new", guards=NODE)
async def new(request: AppRequest, tx: NamedDependency[Transaction], institution_id: IdQuery = None) -> Template:
    """A notice to an institution that is behind, the rules written down already."""
    return await _notice(tx, actor_of(request), institution_id or 0, None)


@post("/supervision", guards=NODE)
async def give(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    data: URLEncodedBody[Form],
) -> Redirect:
    """Give notice."""
    actor = actor_of(request)

    async def acted() -> str:
        made = await service.give_notice(tx, actor, decode(Notice, data), deadlines)
        return f"/supervision/{made.id}"

    try:
        return await go_once(tx, actor, data, acted)
    except (InvalidInput, Conflict) as error:
        await start_over(tx)
        told = error.fields or {"note": error.detail}
        number = visible(str(data.get("institution_id", "")))
        institution_id = int(number) if number.isdecimal() and len(number) < 19 else 0
        raise Rejected(await _notice(tx, actor, institution_id, data, told, error.status)) from None


@get("/supervision/{supervision_id:int}", guards=READERS)
async def show(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    supervision_id: PathId,
) -> Template:
    """What has happened, and what is next."""
    actor = actor_of(request)
    return await _page(tx, actor, await service.find(tx, actor, supervision_id), deadlines)


@post("/supervision/{supervision_id:int}/{action:str}", guards=BOTH_SIDES)
async def step(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    supervision_id: PathId,
    action: FromPath[SupervisionAction],
    data: URLEncodedBody[Form],
) -> Redirect:
    """Take a step."""
    actor = actor_of(request)

    async def acted() -> str:
        said = decode(Said, data)
        await service.step(tx, actor, supervision_id, action, said.note, deadlines)
        return f"/supervision/{supervision_id}"

    try:
        return await go_once(tx, actor, data, acted)
    except (InvalidInput, Conflict) as error:
        await start_over(tx)
        found = await service.find(tx, actor, supervision_id)
        told = {"form": action, "values": data, "errors": error.fields}
        notice = None if error.fields else ("bad", error.detail)
        raise Rejected(await _page(tx, actor, found, deadlines, told, notice, error.status)) from None


@get("/supervision/rules", guards=STAFF)
async def rules(
    request: AppRequest, tx: NamedDependency[Transaction], region: FromQuery[str] = "", done: FromQuery[str] = ""
) -> Template:
    """The rules of a region, first that of the coordinator's node."""
    actor = actor_of(request)
    notice = ("ok", _("已保存，今晚按新的规则重新判断。")) if done else None
    return await _rules(tx, actor, region or await home(tx, actor), notice=notice)


@post("/supervision/rules", guards=STAFF)
async def set_rules(request: AppRequest, tx: NamedDependency[Transaction], data: URLEncodedBody[Form]) -> Redirect:
    """Set the rules of one region, all at once."""
    actor, region = actor_of(request), visible(str(data.get("region", "")))
    try:
        await service.change(tx, actor, region, _changes(data))
    except InvalidInput as error:
        await start_over(tx)
        raise Rejected(await _rules(tx, actor, region, values=data, errors=error.fields, status=422)) from None
    return go(f"/supervision/rules?region={region}&done=1")


def _changes(data: Form) -> list[SupervisionRuleChange]:
    """What was typed: shares in percent. An empty threshold means that the rule does not hold."""
    found, wrong = [], {}
    for name in SupervisionRule:
        given = {
            "name": name,
            "own": str(bool(data.get(f"{name}-own"))).lower(),
            "threshold": str(data.get(f"{name}-threshold", "")).strip().removesuffix("%"),
            "least": data.get(f"{name}-least") or "1",
        }
        try:
            change = decode(SupervisionRuleChange, given)
        except InvalidInput as error:
            wrong[str(name)] = "；".join(error.fields.values())
            continue
        if name in SHARES and change.threshold is not None:
            if change.threshold > 100:
                wrong[str(name)] = _("请填写 0 到 100 的百分数。")
            change = SupervisionRuleChange(
                name=name, own=change.own, threshold=round(change.threshold / 100, 4), least=change.least
            )
        found.append(change)
    if wrong:
        raise InvalidInput(fields=wrong)
    return found


async def _rules(
    tx: Transaction,
    actor: Actor,
    region_code: str,
    *,
    values: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
    notice: tuple[str, str] | None = None,
    status: int = 200,
) -> Template:
    found = await service.in_force(tx, region_code)
    near = {region.code: region.name for region in await regions.around(tx, region_code, lineage(region_code))}
    return page(
        "supervision/rules.html",
        status=status,
        region_code=region_code,
        rules=found,
        options={code: name for code, name in near.items() if code.startswith(actor.node_prefix or "")},
        may_change=region_code.startswith(actor.node_prefix or ""),
        values=values,
        errors=errors or {},
        notice=notice,
        names=RULE_NAMES,
        words=RULE_WORDS,
        shares=SHARES,
    )


async def _notice(
    tx: Transaction,
    actor: Actor,
    institution_id: int,
    values: Mapping[str, Any] | None,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Template:
    subject = await ledger.find(tx, actor, institution_id)
    flags = await queries.flags(tx, institution_id)
    told = [_("{rule}：{figures}。", rule=flag.name, figures=flag.words) for flag in flags]
    ask = "\n".join([*told, _("请分析原因，写明整改措施、责任人和完成时间。")])
    return page(
        "supervision/new.html",
        status=status,
        subject=subject,
        flags=flags,
        values=values or {"note": ask},
        errors=errors or {},
        key=one_time_key(),
    )


async def _page(
    tx: Transaction,
    actor: Actor,
    found: Supervision,
    deadlines: Deadlines,
    draft: Mapping[str, Any] | None = None,
    notice: tuple[str, str] | None = None,
    status: int = 200,
) -> Template:
    may = [action for action in A if (found.state, action) in TRANSITIONS and actor.role in ACTORS[action]]
    return page(
        "supervision/show.html",
        status=status,
        notice=notice,
        found=found,
        steps=await queries.steps(tx, found.id),
        primary=next((action for action in PRIMARY if action in may), None),
        others=[action for action in may if action not in PRIMARY],
        names=ACTION_NAMES,
        draft=draft or {"form": "", "values": {}, "errors": {}},
        key=one_time_key(),
        calendar=deadlines.calendar,
    )


def router() -> Router:
    """The routes, for market.pages."""
    handlers = [listing, new, give, show, step, rules, set_rules]
    return Router("/", route_handlers=handlers, include_in_schema=False)
