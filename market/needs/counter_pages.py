"""The clerk's counter: a need filed for somebody who stands there, and the receipt they take away (article 6)."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

import segno
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import Meta, Struct

from infra.db import Transaction
from market.accounts.model import Actor, PersonName, Phone, Role
from market.auth import allow
from market.calendars.model import ZONE
from market.calendars.service import Deadlines
from market.enterprises import uscc
from market.enterprises.model import EnterpriseName, Party
from market.errors import FiledAlready, InvalidInput
from market.forms import decode, visible
from market.i18n import N_
from market.matches.ranking import Catalogue, meant
from market.needs import queries, receipts, service
from market.needs.model import NeedBody, NeedRow, Submission
from market.regions import queries as region_queries
from market.regions import service as regions
from market.web import AppRequest, PathId, Rejected, actor_of, go_once, one_time_key, page, services

HINTS = {"contact_phone": N_("请填写手机号，或带区号的座机号，例如 0755-12345678。")}
MOST_ITEMS = 5
MOST_STRUCK = 20
MOST_TODAY = 50
UNWRITTEN = frozenset({"key", "_csrf_token", "item_codes", "without"})
"""Fields of the form that the clerk does not write: what is ticked below the text comes and goes by itself."""
Form = dict[str, Any]


class Intake(Struct, frozen=True, kw_only=True):
    """What is written down at the counter: who asks, and for what."""

    name: EnterpriseName
    uscc: str | None = None
    contact_name: PersonName
    """Of a person without a code: that person, unless another is named."""
    contact_phone: Phone
    region_code: str
    body: NeedBody
    item_codes: Annotated[tuple[str, ...], Meta(max_length=MOST_ITEMS)] = ()
    without: Annotated[tuple[str, ...], Meta(max_length=MOST_STRUCK)] = ()
    """Items that were understood and struck out."""
    wanted_by: date | None = None


@get("/", guards=[allow(Role.CLERK)])
async def counter(request: AppRequest, tx: NamedDependency[Transaction]) -> Template:
    """The form, and what the clerk has registered today."""
    return await _form(tx, actor_of(request), {})


@post("/", guards=[allow(Role.CLERK)])
async def file(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    data: URLEncodedBody[Form],
) -> Redirect:
    """File the need once, however often the button is pressed, and show its receipt."""
    actor = actor_of(request)
    # Not injected: Litestar would fetch it beside the deadlines, and a connection does one thing at a time.
    catalogue = await services(request).catalogue.get(tx)

    async def act() -> str:
        await services(request).pressure.admit(tx, person=True)
        need = await service.submit(tx, actor, _submission(data, catalogue), deadlines)
        return f"/counter/{need.id}"

    try:
        written = {name: value for name, value in data.items() if name not in UNWRITTEN}
        return await go_once(tx, actor, data, act, wish=written)
    except FiledAlready as error:
        raise Rejected(await _form(tx, actor, data, notice=("wait", error.detail), status=error.status)) from None
    except InvalidInput as error:
        wrong = {name.removeprefix("party."): words for name, words in error.fields.items()}
        raise Rejected(await _form(tx, actor, data, errors=wrong)) from None


@get("/{need_id:int}", guards=[allow(Role.CLERK)])
async def receipt(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
) -> Template:
    """What the person at the counter takes away: who answers by when, or all that is still missing."""
    actor = actor_of(request)
    need = await service.show(tx, actor, need_id)
    code = receipts.code_of(services(request).secret, need_id)
    address = f"{str(request.base_url).rstrip('/')}/receipt"
    return page(
        "counter/receipt.html",
        need=need,
        code=receipts.spelt(code),
        address=address,
        picture=segno.make(f"{address}/{need_id}?code={code}", error="m").svg_data_uri(scale=3, border=2),
        calendar=deadlines.calendar,
        clocks=await service.clocks(tx, actor, need),
        events=await service.history(tx, actor, need),
    )


def _submission(data: Form, catalogue: Catalogue) -> Submission:
    intake = _intake(data)
    party = Party(
        name=intake.name,
        uscc=intake.uscc,
        contact_name=intake.contact_name,
        contact_phone=intake.contact_phone,
        region_code=intake.region_code,
    )
    return Submission(
        body=intake.body,
        item_codes=meant(catalogue, intake.body, intake.item_codes, intake.without)[:MOST_ITEMS],
        wanted_by=intake.wanted_by,
        region_code=intake.region_code,
        contact_name=intake.contact_name,
        contact_phone=intake.contact_phone,
        party=party,
    )


def _intake(data: Form) -> Intake:
    """What was written down; a wrong code is told together with all else that is wrong."""
    code = visible(str(data.get("uscc", "")))
    wrong = uscc.problem(code) if code else {}
    alone = not code and not visible(str(data.get("contact_name", "")))
    try:
        intake = decode(Intake, {**data, "contact_name": data.get("name")} if alone else data, HINTS)
    except InvalidInput as error:
        wrong |= error.fields
        if alone and "name" in wrong:  # said once, where it was left out
            wrong.pop("contact_name", None)
    if wrong:
        raise InvalidInput(fields=wrong)
    return intake


async def _form(
    tx: Transaction,
    actor: Actor,
    values: Mapping[str, Any],
    *,
    errors: Mapping[str, str] | None = None,
    notice: tuple[str, str] | None = None,
    status: int = 200,
) -> Template:
    assert actor.node_prefix is not None, "accounts' CHECK gives a clerk a node"
    home = f"{actor.node_prefix:0<6}"
    here = await region_queries.region(tx, home)
    return page(
        "counter/form.html",
        status=422 if errors else status,
        notice=notice,
        values={"region_code": home, **values},
        errors=errors or {},
        regions=({home: here.name} if here else {}) | _within(await regions.choices(tx), actor.node_prefix),
        today=await _today(tx, actor),
        key=one_time_key(),
    )


async def _today(tx: Transaction, actor: Actor) -> list[NeedRow]:
    """What the clerk has registered today, the last first."""
    rows = await queries.visible_rows(tx, actor, state=None, before=None, limit=MOST_TODAY)
    day = datetime.now(ZONE).date()
    return [row for row in rows if row.created_at.astimezone(ZONE).date() == day]


def _within(groups: regions.Choices, prefix: str) -> regions.Choices:
    """Those of the regions whose codes begin with ``prefix``, but for the one that is all of it."""
    inside = {
        name: {code: one for code, one in group.items() if code.startswith(prefix) and code != prefix}
        for name, group in groups.items()
    }
    return {name: group for name, group in inside.items() if group}


def router() -> Router:
    """The routes, for create_app."""
    return Router("/counter", route_handlers=[counter, file, receipt], include_in_schema=False)
