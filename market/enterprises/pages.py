"""Pages of an enterprise's own people: its profile, colleagues, and a colleague's way in."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter, URLEncodedBody
from litestar.response import Redirect, Template

from infra.cipher import CannotOpenError
from infra.db import Transaction, start_over
from infra.sealing import open_token, seal_token
from market.accounts import passwords
from market.accounts import queries as accounts
from market.accounts.model import Role
from market.accounts.pages import HINTS
from market.auth import allow, enter
from market.enterprises import members, queries, service
from market.enterprises.model import Enterprise, Invitation, Invited, Joining, ProfileForm
from market.errors import Conflict, DomainError, EditedMeanwhile, InvalidInput, LinkUsedUp
from market.forms import decode, merged
from market.i18n import Words, _, lang
from market.regions import service as regions
from market.web import AppRequest, PathId, Rejected, actor_of, form_page, go, services

Form = URLEncodedBody[dict[str, Any]]
Token = Annotated[str, QueryParameter(name="token", max_length=2000)]
OWN = [allow(Role.ENTERPRISE)]
LOG_ROWS = 10
KIND = "invitation"
DONE = Words({"profile": "单位资料已经更新，以后提交的需求都用它。", "closed": "账号已经关闭，登录过的设备都已退出。"})


@get("/account/enterprise", guards=OWN)
async def show(request: AppRequest, tx: NamedDependency[Transaction]) -> Template:
    """The profile, who has an account, and what was done lately."""
    return await _page(request, tx)


@post("/account/enterprise", guards=OWN)
async def change(request: AppRequest, tx: NamedDependency[Transaction], data: Form) -> Redirect:
    """Write the profile, unless a colleague has written it since the form was opened."""
    actor, seen = actor_of(request), _seen(data)
    try:
        now = _values(await service.held(tx, members.enterprise_of(actor)))
        if seen and seen != now:
            data = merged(data, seen, now)
            raise EditedMeanwhile
        await members.change_profile(tx, actor, decode(ProfileForm, data, HINTS))
    except DomainError as error:
        await start_over(tx)
        raise Rejected(await _page(request, tx, typed=data, error=error)) from None
    return go("/account/enterprise?done=profile")


@post("/account/enterprise/invitations", guards=OWN, status_code=200)
async def invite(request: AppRequest, tx: NamedDependency[Transaction]) -> Template:
    """Make a link for a colleague. It is shown here and never again, so there is no redirect that would lose it."""
    held = services(request)
    invitation_id = await members.invite(tx, actor_of(request))
    token = seal_token(held.cipher, KIND, Invitation(invitation_id), members.INVITATION_SECONDS)
    return await _page(request, tx, link=f"{held.settings.address}/join?token={token}")


@post("/account/enterprise/accounts/{account_id:int}/close", guards=OWN)
async def close(request: AppRequest, tx: NamedDependency[Transaction], account_id: PathId) -> Redirect:
    """Close a colleague's account."""
    try:
        await members.close(tx, actor_of(request), account_id)
    except Conflict as error:
        await start_over(tx)
        raise Rejected(await _page(request, tx, error=error)) from None
    return go("/account/enterprise?done=closed")


@get("/join")
async def join_form(request: AppRequest, token: Token = "") -> Template:
    """Make an account, by a colleague's link."""
    return _join_page(request, token, (await _invited(request, token))[1])


@post("/join", opt={"limits": "register"})
async def join(request: AppRequest, data: Form) -> Redirect:
    """Make it and log in. No transaction is open while the password is hashed."""
    held, token = services(request), str(data.get("token") or "")
    invitation_id, invited = await _invited(request, token)
    try:
        form = decode(Joining, data, HINTS)
        known = (form.login, form.name, invited.enterprise_name)
        if wrong := passwords.problem(form.password, held.settings.password_length, known):
            raise InvalidInput(fields={"password": wrong})
        password_hash = await held.hasher.hash(form.password)
        async with held.db.transaction() as tx:
            account_id = await members.join(tx, invitation_id, form, password_hash)
            await accounts.set_language(tx, account_id, lang())
    except LinkUsedUp:
        raise
    except DomainError as error:
        raise Rejected(_join_page(request, token, invited, data, error)) from None
    return await enter(request, go("/"), account_id, 0, factor=False)


async def _invited(request: AppRequest, token: str) -> tuple[int, Invited]:
    """The invitation of a link that is still good.

    Raises:
        LinkUsedUp: it has run out, was used, or is none of ours.
    """
    held = services(request)
    try:
        asked = open_token(held.cipher, KIND, token, Invitation)
    except CannotOpenError:
        raise LinkUsedUp(_(members.USED_UP)) from None
    async with held.db.reading() as tx:
        return asked.id, await members.invited(tx, asked.id)


def _join_page(
    request: AppRequest,
    token: str,
    invited: Invited,
    typed: Mapping[str, Any] | None = None,
    error: DomainError | None = None,
) -> Template:
    shortest = services(request).settings.password_length
    return form_page(
        "enterprises/join.html", error, token=token, invited=invited, values=typed or {}, shortest=shortest
    )


async def _page(
    request: AppRequest,
    tx: Transaction,
    *,
    typed: Mapping[str, Any] | None = None,
    error: DomainError | None = None,
    link: str | None = None,
) -> Template:
    actor = actor_of(request)
    enterprise = await service.own(tx, members.enterprise_of(actor))
    values = _values(enterprise)
    own = enterprise.kind == service.INDIVIDUAL
    kinds = await queries.kinds(tx)
    done = DONE.get(request.query_params.get("done", ""))
    told = {"notice": ("ok", done)} if done and error is None else {}
    return form_page(
        "enterprises/show.html",
        error,
        enterprise=enterprise,
        values=typed or values,
        seen=msgspec.json.encode(values).decode(),
        kinds={code: name for code, name in kinds.items() if (code == service.INDIVIDUAL) is own},
        regions=await regions.choices(tx),
        industries=await queries.divisions(tx),
        members=await queries.members(tx, enterprise.id),
        log=await queries.events(tx, enterprise.id, LOG_ROWS),
        link=link,
        **told,
    )


def _values(enterprise: Enterprise) -> dict[str, str]:
    """What the form shows of the profile."""
    values = {name: getattr(enterprise, name) or "" for name in ProfileForm.__struct_fields__}
    return values | {"industry_code": values["industry_code"][:3]}


def _seen(form: Mapping[str, Any]) -> dict[str, str]:
    """What the form showed when it was opened; nothing where it does not say."""
    try:
        return msgspec.json.decode(str(form.get("seen", "")), type=dict[str, str])
    except msgspec.MsgspecError:
        return {}


def router() -> Router:
    """The routes, for market.pages."""
    handlers = [show, change, invite, close, join_form, join]
    return Router("/", route_handlers=handlers, include_in_schema=False)
