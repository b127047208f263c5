"""Pages of one's own account: password, second factor, devices, identities, API tokens."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import Meta, Struct

from infra.db import Transaction
from market.accounts import factors, queries, service
from market.accounts.model import Credentials
from market.auth import allow, enter
from market.enterprises import service as enterprises
from market.errors import DomainError, Forbidden
from market.forms import decode
from market.i18n import Words
from market.limiting import LogInLimits, address_of, forget_codes, limit_codes
from market.web import AppRequest, PathId, PathText, Rejected, actor_of, form_page, go, page, services

T = TypeVar("T")
Form = URLEncodedBody[dict[str, Any]]
DONE = Words(
    {
        "password": "密码已经更改，其他设备都已退出。",
        "sessions": "其他设备都已退出。",
        "session": "那台设备已退出。",
        "factor": "两步验证已经关闭，其他设备都已退出。",
        "linked": "关联好了，以后可以直接用它登录。",
        "unlinked": "关联已经取消。",
    }
)


class NewToken(Struct, frozen=True):
    """An API token to make."""

    name: Annotated[str, Meta(max_length=50)]
    days: Annotated[int, Meta(ge=1, le=365)]
    password: Annotated[str, Meta(max_length=200)]
    scopes: Literal["", "read"] = ""


class PasswordChange(Struct, frozen=True):
    """A new password, and the old one."""

    password: Annotated[str, Meta(max_length=200)]
    new_password: Annotated[str, Meta(max_length=200)]


class Asked(Struct, frozen=True):
    """The password, asked again."""

    password: Annotated[str, Meta(max_length=200)]


class Code(Struct, frozen=True):
    """A code of the app."""

    code: Annotated[str, Meta(max_length=40)]


@get("/account", guards=[allow()])
async def account(request: AppRequest, tx: NamedDependency[Transaction]) -> Template:
    """One's own account, its devices and its API tokens."""
    return await _account_page(request, tx)


@post("/account/tokens", guards=[allow()], status_code=200)
async def add_token(request: AppRequest, data: Form) -> Template:
    """Make an API token. It is shown here and never again, so there is no redirect that would lose it."""
    held = services(request)
    try:
        form = decode(NewToken, data)
        await asked_again(request, form.password)
    except DomainError as error:
        async with held.db.reading() as tx:
            raise Rejected(await _account_page(request, tx, values=data, error=error)) from None
    scopes = [form.scopes] if form.scopes else []
    async with held.db.transaction() as tx:
        token = await service.create_token(tx, actor_of(request).login, form.name, form.days, scopes)
        return await _account_page(request, tx, token=token)


@post("/account/tokens/{token_id:int}/revoke", guards=[allow()])
async def revoke_token(request: AppRequest, tx: NamedDependency[Transaction], token_id: PathId) -> Redirect:
    """Make a token useless at once."""
    await service.revoke_token(tx, actor_of(request), token_id)
    return go("/account#tokens")


# password ------------------------------------------------------------------------------------------------------------


@get("/account/password", guards=[allow()])
async def password_form(request: AppRequest) -> Template:
    """Change one's password."""
    return _password_page(request)


@post("/account/password", guards=[allow()])
async def change_password(request: AppRequest, data: Form) -> Redirect:
    """Change it; every other session ends, and this one begins anew."""
    held, actor = services(request), actor_of(request)
    try:
        form = decode(PasswordChange, data)
        known = await asked_again(request, form.password)
        shortest = held.settings.password_length
        epoch = await service.change_password(held.db, held.hasher, known, form.new_password, shortest=shortest)
    except DomainError as error:
        raise Rejected(_password_page(request, error)) from None
    factor = request.auth is not None and request.auth.factor
    return await enter(request, go("/account?done=password"), actor.id, epoch, factor=factor)


async def asked_again(request: AppRequest, password: str) -> Credentials:
    """The account, if that is its password; tries are counted as log-ins are."""
    held, actor = services(request), actor_of(request)
    limits = LogInLimits(held.limiter, held.settings, actor.login, address_of(request))
    await limits.begin()
    known = await service.check_password(held.db, held.hasher, actor.id, password)
    await limits.went_well()
    return known


# devices -------------------------------------------------------------------------------------------------------------


@post("/account/sessions/end", guards=[allow()])
async def end_other_sessions(request: AppRequest, tx: NamedDependency[Transaction]) -> Redirect:
    """Sign out everywhere but here."""
    actor = actor_of(request)
    epoch = await queries.end_sessions(tx, actor.id)
    factor = request.auth is not None and request.auth.factor
    return await enter(request, go("/account?done=sessions"), actor.id, epoch, factor=factor)


@post("/account/sessions/{session_id:str}/end", guards=[allow()])
async def end_session(request: AppRequest, session_id: PathText) -> Redirect:
    """Sign one device out."""
    await services(request).sessions.end_one(actor_of(request).id, session_id)
    return go("/account?done=session#devices")


# second factor -------------------------------------------------------------------------------------------------------


@get("/account/second-factor", guards=[allow()])
async def factor_form(request: AppRequest, tx: NamedDependency[Transaction]) -> Template:
    """Set the second factor up, or see how many recovery codes are left."""
    return await _factor_page(request, tx)


@post("/account/second-factor", guards=[allow()])
async def begin_factor(request: AppRequest, data: Form) -> Redirect:
    """Make the secret that the app has to know."""
    cipher = services(request).cipher
    await _as_owner(request, data, lambda tx, account_id: factors.begin(tx, cipher, account_id))
    return go("/account/second-factor")


@post("/account/second-factor/confirm", guards=[allow()], status_code=200)
async def confirm_factor(request: AppRequest, tx: NamedDependency[Transaction], data: Form) -> Template:
    """Turn it on. The recovery codes are shown here and never again; other sessions end, this one begins anew."""
    held, actor = services(request), actor_of(request)
    try:
        form = decode(Code, data)
        await limit_codes(held.limiter, actor.id)
        epoch, codes = await factors.confirm(tx, held.cipher, actor.id, form.code)
        await forget_codes(held.limiter, actor.id)
    except DomainError as error:
        raise Rejected(await _factor_page(request, tx, error)) from None
    return await enter(request, page("accounts/codes.html", codes=codes), actor.id, epoch, factor=True)


@post("/account/second-factor/codes", guards=[allow()], status_code=200)
async def renew_codes(request: AppRequest, data: Form) -> Template:
    """New recovery codes in the place of the old ones."""
    return page("accounts/codes.html", codes=await _as_owner(request, data, factors.renew_codes))


@post("/account/second-factor/remove", guards=[allow()])
async def remove_factor(request: AppRequest, data: Form) -> Redirect:
    """Turn it off, where it is not required."""
    actor = actor_of(request)
    if services(request).settings.require_totp and actor.needs_factor:
        raise Forbidden
    epoch = await _as_owner(request, data, factors.remove)
    return await enter(request, go("/account?done=factor"), actor.id, epoch, factor=False)


async def _as_owner(request: AppRequest, data: Form, act: Callable[[Transaction, int], Awaitable[T]]) -> T:
    """What ``act`` does for the account, once its password was asked again.

    Raises:
        Rejected: it was not the password, or cannot be done.
    """
    held = services(request)
    try:
        known = await asked_again(request, decode(Asked, data).password)
        async with held.db.transaction() as tx:
            return await act(tx, known.id)
    except DomainError as error:
        async with held.db.reading() as tx:
            raise Rejected(await _factor_page(request, tx, error)) from None


# what they show ------------------------------------------------------------------------------------------------------


def _password_page(request: AppRequest, error: DomainError | None = None) -> Template:
    return form_page("accounts/password.html", error, shortest=services(request).settings.password_length)


async def _factor_page(request: AppRequest, tx: Transaction, error: DomainError | None = None) -> Template:
    held, actor = services(request), actor_of(request)
    factor = await queries.factor(tx, actor.id)
    return form_page(
        "accounts/factor.html",
        error,
        factor=factor if factor and factor.confirmed_at else None,
        enrolment=await factors.enrolment(tx, held.cipher, actor.id, actor.login),
        required=held.settings.require_totp and actor.needs_factor,
    )


async def _account_page(
    request: AppRequest,
    tx: Transaction,
    *,
    values: Mapping[str, Any] | None = None,
    error: DomainError | None = None,
    token: str | None = None,
) -> Template:
    actor, held = actor_of(request), services(request)
    factor = await queries.factor(tx, actor.id)
    session = request.auth
    done = DONE.get(request.query_params.get("done", ""))
    return form_page(
        "accounts/show.html",
        error,
        **({"notice": ("ok", done)} if done and not error else {}),
        actor=actor,
        profile=await enterprises.profile(tx, actor.enterprise_id) if actor.enterprise_id else None,
        factor=factor if factor and factor.confirmed_at else None,
        session=session,
        sessions=await held.sessions.of(actor.id, session.epoch) if session else [],
        identities=await queries.identities(tx, actor.id),
        provider=held.provider,
        tokens=await queries.tokens(tx, actor.id),
        token=token,
        values=values or {},
    )


def router() -> Router:
    """The routes, for market.pages."""
    handlers = [
        account,
        add_token,
        revoke_token,
        password_form,
        change_password,
        end_other_sessions,
        end_session,
        factor_form,
        begin_factor,
        confirm_factor,
        renew_codes,
        remove_factor,
    ]
    return Router("/", route_handlers=handlers, include_in_schema=False)
