"""Pages of log-in, registration and one's own account."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from litestar import Router, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import QueryParameter, URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import Meta, Struct

from infra.db import Transaction
from market.accounts import queries, service
from market.accounts.model import COOKIES, Preferences, Role
from market.auth import COOKIE, allow
from market.enterprises import queries as enterprise_queries
from market.enterprises import service as enterprises
from market.enterprises import uscc
from market.enterprises.model import Registration
from market.errors import DomainError, InvalidInput, TooManyAttempts
from market.forms import decode
from market.i18n import N_, lang
from market.regions import service as regions
from market.web import AppRequest, PathId, Rejected, actor_of, go, page, services

Form = URLEncodedBody[dict[str, Any]]
Next = Annotated[str, QueryParameter(name="next")]
HOMES = {Role.INSTITUTION: "/desk", Role.COORDINATOR: "/queue", Role.CLERK: "/counter", Role.ADMIN: "/needs"}
HINTS = {
    "login": N_("请用英文字母、数字和 . _ @ + -，以字母或数字开头。"),
    "contact_phone": N_("请填写电话号码，只用数字、空格和 + - ( )。"),
}
YEAR = 365 * 24 * 3600
# A path of ours; browsers drop tabs and newlines, and read a backslash as a slash.
OWN_PATH = re.compile(r"/(?![/\\])[^\\\s\x00-\x1f]*")


class LogIn(Struct, frozen=True):
    """What one logs in with."""

    login: Annotated[str, Meta(max_length=200)]
    password: Annotated[str, Meta(max_length=200)]


class NewToken(Struct, frozen=True):
    """An API token to make."""

    name: Annotated[str, Meta(max_length=50)]
    days: Annotated[int, Meta(ge=1, le=365)]


@get("/login")
async def login_form(request: AppRequest, wanted: Next = "") -> Template | Redirect:
    """The log-in page; whoever is logged in goes on."""
    if request.user is not None:
        return go(_onward(wanted, request.user.role))
    return _login_page(wanted)


@post("/login")
async def log_in(request: AppRequest, tx: NamedDependency[Transaction], data: Form, wanted: Next = "") -> Redirect:
    """Start a session."""
    sessions = services(request).sessions
    address = request.client.host if request.client else ""
    try:
        form = decode(LogIn, data)
        if not await sessions.may_try(form.login, address):
            raise TooManyAttempts
        actor = await service.log_in(tx, form.login, form.password)
    except DomainError as error:
        raise Rejected(_login_page(wanted, data, error)) from None
    await sessions.forget_attempts(form.login, address)
    return await _enter(request, actor.id, _onward(wanted, actor.role))


@post("/logout")
async def log_out(request: AppRequest) -> Redirect:
    """End the session."""
    if request.auth is not None:
        await services(request).sessions.end(request.auth)
        services(request).hub.end(request.auth)
    answer = go("/")
    answer.delete_cookie(COOKIE)
    return answer


@get("/register")
async def register_form(tx: NamedDependency[Transaction], wanted: Next = "") -> Template:
    """The registration of an enterprise."""
    return await _register_page(tx, wanted)


@post("/register")
async def register(request: AppRequest, tx: NamedDependency[Transaction], data: Form, wanted: Next = "") -> Redirect:
    """Register an enterprise and log in."""
    try:
        account_id = await enterprises.register(tx, decode(Registration, data, HINTS))
        await queries.set_language(tx, account_id, lang())
    except InvalidInput as error:
        # The code's own rules come after its shape; whoever corrects the form should see both at once.
        typed = str(data.get("uscc") or "")
        error.fields |= uscc.problem(typed) if typed else {}
        raise Rejected(await _register_page(tx, wanted, data, error)) from None
    return await _enter(request, account_id, _onward(wanted, Role.ENTERPRISE))


@post("/preferences")
async def prefer(request: AppRequest, tx: NamedDependency[Transaction], data: Form) -> Redirect:
    """Another language, theme or size of type from now on, and back to the page it was wanted for.

    The browser keeps it; an account's language goes with it everywhere.
    """
    form = decode(Preferences, data)
    if request.user is not None and form.lang is not None:
        await queries.set_language(tx, request.user.id, form.lang)
    answer = go(form.back if OWN_PATH.fullmatch(form.back) else "/")
    for name, cookie in COOKIES.items():
        if (chosen := getattr(form, name)) is not None:
            secure = services(request).settings.secure_cookies
            answer.set_cookie(
                Cookie(key=cookie, value=chosen, max_age=YEAR, httponly=True, samesite="lax", secure=secure)
            )
    return answer


@get("/account", guards=[allow()])
async def account(request: AppRequest, tx: NamedDependency[Transaction]) -> Template:
    """One's own account and its API tokens."""
    return await _account_page(request, tx)


@post("/account/tokens", guards=[allow()], status_code=200)
async def add_token(request: AppRequest, tx: NamedDependency[Transaction], data: Form) -> Template:
    """Make an API token. It is shown here and never again, so there is no redirect that would lose it."""
    try:
        form = decode(NewToken, data)
    except InvalidInput as error:
        raise Rejected(await _account_page(request, tx, values=data, errors=error.fields, status=422)) from None
    token = await service.create_token(tx, actor_of(request).login, form.name, form.days)
    return await _account_page(request, tx, token=token)


@post("/account/tokens/{token_id:int}/revoke", guards=[allow()])
async def revoke_token(request: AppRequest, tx: NamedDependency[Transaction], token_id: PathId) -> Redirect:
    """Make a token useless at once."""
    await service.revoke_token(tx, actor_of(request), token_id)
    return go("/account#tokens")


def _login_page(wanted: str, typed: Mapping[str, Any] | None = None, error: DomainError | None = None) -> Template:
    return page(
        "accounts/login.html",
        status=error.status if error else 200,
        wanted=wanted,
        values=typed or {},
        errors=error.fields if error else {},
        notice=("bad", error.detail) if error and not error.fields else None,
    )


async def _register_page(
    tx: Transaction, wanted: str, typed: Mapping[str, Any] | None = None, error: InvalidInput | None = None
) -> Template:
    kinds = await enterprise_queries.kinds(tx)
    return page(
        "accounts/register.html",
        status=error.status if error else 200,
        wanted=wanted,
        values=typed or {},
        errors=error.fields if error else {},
        kinds={code: name for code, name in kinds.items() if code != enterprises.INDIVIDUAL},
        regions=await regions.choices(tx),
    )


async def _account_page(
    request: AppRequest,
    tx: Transaction,
    *,
    values: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
    token: str | None = None,
    status: int = 200,
) -> Template:
    actor = actor_of(request)
    return page(
        "accounts/show.html",
        status=status,
        actor=actor,
        profile=await enterprises.profile(tx, actor.enterprise_id) if actor.enterprise_id else None,
        tokens=await queries.tokens(tx, actor.id),
        token=token,
        values=values or {},
        errors=errors or {},
    )


def _onward(wanted: str, role: Role) -> str:
    """Where to go after logging in: the page asked for, if it is one of ours, or where the role works."""
    return wanted if wanted != "/" and OWN_PATH.fullmatch(wanted) else HOMES.get(role, "/")


async def _enter(request: AppRequest, account_id: int, path: str) -> Redirect:
    """Go on in a new session, so that nobody knows its key from before."""
    held = services(request)
    if request.auth is not None:
        await held.sessions.end(request.auth)
    cookie = Cookie(
        key=COOKIE,
        value=await held.sessions.start(account_id),
        httponly=True,
        samesite="lax",
        secure=held.settings.secure_cookies,
    )
    answer = go(path)
    answer.set_cookie(cookie)
    return answer


def router() -> Router:
    """The routes, for market.pages."""
    handlers = [login_form, log_in, log_out, register_form, register, prefer, account, add_token, revoke_token]
    return Router("/", route_handlers=handlers, include_in_schema=False)
