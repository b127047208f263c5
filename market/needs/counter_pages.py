"""The clerk's counter: a need filed for somebody who stands there, and the receipt they take away (article 6)."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import segno
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import Struct

from infra.db import Transaction
from market.accounts.model import Actor, PersonName, Phone, Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.enterprises import uscc
from market.enterprises.model import EnterpriseName, Party
from market.errors import InvalidInput
from market.forms import decode, visible
from market.i18n import N_
from market.needs import receipts, service
from market.needs.model import NeedBody, Submission
from market.regions import service as regions
from market.web import AppRequest, PathId, Rejected, actor_of, go_once, one_time_key, page, services

HINTS = {"contact_phone": N_("请填写手机号，或带区号的座机号，例如 0755-12345678。")}
Form = dict[str, Any]


class Intake(Struct, frozen=True, kw_only=True):
    """What is written down at the counter: who asks, and for what."""

    name: EnterpriseName
    uscc: str | None = None
    contact_name: PersonName
    contact_phone: Phone
    region_code: str
    body: NeedBody
    wanted_by: date | None = None


@get("/", guards=[allow(Role.CLERK)])
async def counter(request: AppRequest, tx: NamedDependency[Transaction]) -> Template:
    """The form."""
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

    async def act() -> str:
        need = await service.submit(tx, actor, _submission(data), deadlines)
        return f"/counter/{need.id}"

    try:
        return await go_once(tx, actor, data, act)
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


def _submission(data: Form) -> Submission:
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
    try:
        intake = decode(Intake, data, HINTS)
    except InvalidInput as error:
        wrong |= error.fields
    if wrong:
        raise InvalidInput(fields=wrong)
    return intake


async def _form(
    tx: Transaction, actor: Actor, values: Mapping[str, Any], *, errors: Mapping[str, str] | None = None
) -> Template:
    return page(
        "counter/form.html",
        status=422 if errors else 200,
        values=values,
        errors=errors or {},
        regions=_within(await regions.choices(tx), actor.node_prefix),
        key=one_time_key(),
    )


def _within(groups: regions.Choices, prefix: str | None) -> regions.Choices:
    """Those of the regions whose codes begin with ``prefix``."""
    assert prefix is not None, "accounts' CHECK gives a clerk a node"
    kept = {
        name: {code: one for code, one in group.items() if code.startswith(prefix)} for name, group in groups.items()
    }
    return {name: group for name, group in kept.items() if group}


def router() -> Router:
    """The routes, for create_app."""
    return Router("/counter", route_handlers=[counter, file, receipt], include_in_schema=False)
