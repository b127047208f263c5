"""The page on which coordinators and admins set the time limits of a region."""

from collections.abc import Mapping
from typing import Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import Struct

from infra.db import Transaction, start_over
from market.accounts.model import Actor, Role
from market.auth import allow
from market.errors import InvalidInput
from market.forms import decode, visible
from market.i18n import _
from market.regions import queries as regions
from market.regions.model import NATION, lineage
from market.rules import service
from market.rules.model import RuleChange, RuleName, WorkingDays
from market.web import AppRequest, Rejected, actor_of, go, page

Form = dict[str, Any]
STAFF = [allow(Role.COORDINATOR, Role.ADMIN)]


class Days(Struct, frozen=True):
    """One limit as typed; None: left empty."""

    working_days: WorkingDays | None = None


@get("/rules", guards=STAFF)
async def show(
    request: AppRequest, tx: NamedDependency[Transaction], region: FromQuery[str] = "", done: FromQuery[str] = ""
) -> Template:
    """The limits of a region, first that of the coordinator's node."""
    actor = actor_of(request)
    notice = ("ok", _("已保存。从现在起的新期限按它计算，已经确定的期限不变。")) if done else None
    return await _page(tx, actor, region or await home(tx, actor), notice=notice)


@post("/rules", guards=STAFF)
async def change(request: AppRequest, tx: NamedDependency[Transaction], data: URLEncodedBody[Form]) -> Redirect:
    """Set the limits of one region, all at once."""
    actor, region = actor_of(request), visible(str(data.get("region", "")))
    try:
        await service.change(tx, actor, region, _changes(data))
    except InvalidInput as error:
        await start_over(tx)
        again = await _page(tx, actor, region, values=data, errors=error.fields, status=error.status)
        raise Rejected(again) from None
    return go(f"/rules?region={region}&done=1")


def _changes(data: Form) -> list[RuleChange]:
    """What was typed, with everything that is wrong told at once."""
    found, wrong = [], {}
    for name in RuleName:
        try:
            found.append(RuleChange(name, decode(Days, {"working_days": data.get(name)}).working_days))
        except InvalidInput as error:
            wrong[str(name)] = error.fields["working_days"]
    if wrong:
        raise InvalidInput(fields=wrong)
    return found


async def home(tx: Transaction, actor: Actor) -> str:
    """The region of the coordinator's node; the nation for whoever has none."""
    nodes = await regions.nodes(tx)
    return next((node.region_code for node in nodes if node.id == actor.node_id), NATION)


async def _page(
    tx: Transaction,
    actor: Actor,
    region_code: str,
    *,
    values: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
    notice: tuple[str, str] | None = None,
    status: int = 200,
) -> Template:
    rules = await service.in_force(tx, region_code)
    own = {rule.name: rule.working_days for rule in rules if rule.region_code == region_code}
    near = {region.code: region.name for region in await regions.around(tx, region_code, lineage(region_code))}
    return page(
        "rules/show.html",
        status=status,
        region_code=region_code,
        rules=rules,
        options={code: name for code, name in near.items() if code.startswith(actor.node_prefix or "")},
        may_change=region_code.startswith(actor.node_prefix or ""),
        values=values or own,
        errors=errors or {},
        notice=notice,
    )


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[show, change], include_in_schema=False)
