"""Pages of log-in, registration, and a new password by a link."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter, URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import Meta, Struct

from infra.cipher import CannotOpenError
from infra.db import Transaction
from infra.sealing import open_token, seal_token
from market.accounts import factors, passwords, queries, service
from market.accounts.model import COOKIES, Credentials, Preferences, Reset, Role
from market.accounts.oidc import Person
from market.audit.model import Action
from market.auth import COOKIE, cookie, cookie_name, enter, leave
from market.enterprises import queries as enterprise_queries
from market.enterprises import service as enterprises
from market.enterprises import uscc
from market.enterprises.model import Registration
from market.errors import AlreadyLinked, DomainError, InvalidInput, LinkUsedUp
from market.forms import decode
from market.i18n import N_, Words, lang
from market.limiting import LogInLimits, address_of, forget_codes, limit_codes, limit_resets
from market.regions import service as regions
from market.web import AppRequest, Rejected, form_page, go, page, services

Form = URLEncodedBody[dict[str, Any]]
Next = Annotated[str, QueryParameter(name="next")]
Token = Annotated[str, QueryParameter(name="token", max_length=2000)]
HOMES = {Role.INSTITUTION: "/desk", Role.COORDINATOR: "/queue", Role.CLERK: "/counter", Role.ADMIN: "/needs"}
HINTS = {
    "login": N_("请用英文字母、数字和 . _ @ + -，以字母或数字开头。"),
    "contact_phone": N_("请填写电话号码，只用数字、空格和 + - ( )。"),
}
YEAR = 365 * 24 * 3600
# A path of ours; browsers drop tabs and newlines, and read a backslash as a slash.
OWN_PATH = re.compile(r"/(?![/\\])[^\\\s\x00-\x1f]*")
STEP_COOKIE, STEP_SECONDS = "zhipei_step", 300
"""Between password and second factor."""
PERSON_COOKIE, PERSON_SECONDS = "zhipei_person", 900
"""Between the OpenID provider and the account to link."""

DONE = Words(
    {
        "reset": "新密码已经设好，请用它登录。",
        "erased": "您的个人信息已经删除，账号已经关闭。",
    }
)


class LogIn(Struct, frozen=True):
    """What one logs in with."""

    login: Annotated[str, Meta(max_length=200)]
    password: Annotated[str, Meta(max_length=200)]


class Code(Struct, frozen=True):
    """A code of the second factor."""

    code: Annotated[str, Meta(max_length=40)]


class NewPassword(Struct, frozen=True):
    """A new password, by a link."""

    new_password: Annotated[str, Meta(max_length=200)]


class Step(Struct, frozen=True):
    """Somebody whose password was right, and whose second factor is still to come."""

    account_id: int
    epoch: int
    wanted: str
    way: str


@get("/login")
async def login_form(request: AppRequest, wanted: Next = "") -> Template | Redirect:
    """The log-in page; whoever is logged in goes on."""
    if request.user is not None:
        return go(_onward(wanted, request.user.role))
    return _login_page(request, wanted)


@post("/login", opt={"limits": "write"})
async def log_in(request: AppRequest, data: Form, wanted: Next = "") -> Redirect:
    """Start a session, or ask for the second factor. No transaction is open while the password is hashed."""
    held = services(request)
    try:
        form = decode(LogIn, data)
        limits = LogInLimits(held.limiter, held.settings, form.login, address_of(request))
        await limits.begin()
        known = await service.log_in(held.db, held.hasher, form.login, form.password)
    except DomainError as error:
        if isinstance(error, InvalidInput):  # what a limit kept from being tried told nobody anything
            await _tell(request, Action.LOG_IN_FAILED, login=str(data.get("login", "")), way="password")
        raise Rejected(_login_page(request, wanted, data, error)) from None
    await limits.went_well()
    return await admit(request, known, wanted, "password")


async def admit(request: AppRequest, known: Credentials, wanted: str, way: str) -> Redirect:
    """Go on as the account that has shown who it is once: to its second factor, if it has one, or into a session.

    ``way``: how it has, for the audit trail.
    """
    if not known.has_factor:
        onward = go(_onward(wanted, known.role))
        await _tell(request, Action.LOG_IN, known.id, way=way)
        return await enter(request, onward, known.id, known.session_epoch, factor=False)
    held = services(request)
    token = seal_token(held.cipher, "step", Step(known.id, known.session_epoch, wanted, way), STEP_SECONDS)
    answer = go("/login/code")
    answer.set_cookie(cookie(held.settings, STEP_COOKIE, token, STEP_SECONDS))
    return answer


async def _tell(
    request: AppRequest, action: Action, account_id: int | None = None, *, login: str = "", way: str = ""
) -> None:
    """Into the audit trail, whatever becomes of the request."""
    async with services(request).db.transaction() as tx:
        await service.tell(tx, action, account_id, login=login, way=way)


@get("/login/code")
async def code_form(request: AppRequest) -> Template:
    """Ask for the second factor."""
    _step_of(request)
    return form_page("accounts/code.html")


@post("/login/code")
async def log_in_with_code(request: AppRequest, data: Form) -> Redirect:
    """Start a session after the second factor."""
    held, step = services(request), _step_of(request)
    try:
        form = decode(Code, data)
        await limit_codes(held.limiter, step.account_id)
        async with held.db.transaction() as tx:  # the code is used up before anybody is let in
            known = await queries.credentials_by_id(tx, step.account_id)
            if known is None or known.session_epoch != step.epoch:
                raise Rejected(go("/login"))
            await factors.check(tx, held.cipher, step.account_id, form.code)
    except DomainError as error:
        if isinstance(error, InvalidInput):
            await _tell(request, Action.LOG_IN_FAILED, step.account_id, way=f"{step.way}, code")
        raise Rejected(form_page("accounts/code.html", error)) from None
    await _tell(request, Action.LOG_IN, known.id, way=f"{step.way}, code")
    await forget_codes(held.limiter, known.id)
    answer = go(_onward(step.wanted, known.role))
    answer.set_cookie(cookie(held.settings, STEP_COOKIE, "", 0))
    return await enter(request, answer, known.id, known.session_epoch, factor=True)


@post("/logout")
async def log_out(request: AppRequest) -> Redirect:
    """End the session."""
    if request.user is not None:
        await _tell(request, Action.LOG_OUT, request.user.id)
    if request.auth is not None:
        services(request).hub.end(request.auth.token)
    await leave(request)
    answer = go("/")
    answer.headers["Clear-Site-Data"] = '"cache"'  # what the back button would still show; browsers heed it over TLS
    answer.set_cookie(cookie(services(request).settings, COOKIE, "", 0))
    return answer


@get("/register")
async def register_form(request: AppRequest, wanted: Next = "") -> Template:
    """The registration of an enterprise, filled in with what the OpenID provider said."""
    person = person_of(request)
    typed = (
        {"contact_name": person.identity.name, "login": person.login, "contact_phone": person.phone} if person else {}
    )
    return await _register_page(request, wanted, typed)


@post("/register", opt={"limits": "register"})
async def register(request: AppRequest, data: Form, wanted: Next = "") -> Redirect:
    """Register an enterprise and log in."""
    held = services(request)
    person = person_of(request) if data.get("link") else None
    try:
        form = _registration(data, held.settings.password_length)
        password_hash = await held.hasher.hash(form.password)
        async with held.db.transaction() as tx:
            account_id = await enterprises.register(tx, form, password_hash)
            await queries.set_language(tx, account_id, lang())
            if person is not None and not await queries.link(tx, account_id, person.identity):
                raise AlreadyLinked
    except DomainError as error:
        raise Rejected(await _register_page(request, wanted, data, error)) from None
    answer = go(_onward(wanted, Role.ENTERPRISE))
    answer.set_cookie(cookie(held.settings, PERSON_COOKIE, "", 0))
    return await enter(request, answer, account_id, 0, factor=False)


@post("/preferences")
async def prefer(request: AppRequest, tx: NamedDependency[Transaction], data: Form) -> Redirect:
    """Another language, theme or size of type from now on, and back to the page it was wanted for.

    The browser keeps it; an account's language goes with it everywhere.
    """
    form = decode(Preferences, data)
    if request.user is not None and form.lang is not None:
        await queries.set_language(tx, request.user.id, form.lang)
    answer = go(form.back if OWN_PATH.fullmatch(form.back) else "/")
    for name, key in COOKIES.items():
        if (chosen := getattr(form, name)) is not None:
            answer.set_cookie(cookie(services(request).settings, key, chosen, YEAR))
    return answer


def _registration(data: Mapping[str, Any], shortest: int) -> Registration:
    """The form; whoever corrects it should see everything at once: shape, the code's own rules, the password's.

    Raises:
        InvalidInput: by field.
    """
    fields: dict[str, str] = {}
    form = None
    try:
        form = decode(Registration, data, HINTS)
    except InvalidInput as error:
        fields = dict(error.fields)
    typed = {name: str(data.get(name) or "") for name in ("uscc", "password", "login", "contact_name", "name")}
    if typed["uscc"]:
        fields |= uscc.problem(typed["uscc"])
    about = (typed["login"], typed["contact_name"], typed["name"], str(data.get("contact_phone") or ""))
    if typed["password"] and (wrong := passwords.problem(typed["password"], shortest, about)):
        fields["password"] = wrong
    if fields or form is None:
        raise InvalidInput(fields=fields)
    return form


@get("/forgot")
async def forgot() -> Template:
    """What to do about a forgotten password. Nothing is asked, so nothing is told of any account."""
    return page("accounts/forgot.html")


@get("/reset")
async def reset_form(request: AppRequest, token: Token = "") -> Template:
    """Choose a new password, by a link that an admin made."""
    await _reset_of(request, token)
    return _reset_page(request, token)


@post("/reset")
async def reset(request: AppRequest, data: Form) -> Redirect:
    """Set the new password; the link and all sessions end."""
    held, token = services(request), str(data.get("token") or "")
    await limit_resets(held.limiter, address_of(request))
    known = await _reset_of(request, token)
    try:
        form = decode(NewPassword, data)
        shortest = held.settings.password_length
        await service.change_password(held.db, held.hasher, known, form.new_password, shortest=shortest)
    except InvalidInput as error:
        raise Rejected(_reset_page(request, token, error)) from None
    return go("/login?done=reset")


async def _reset_of(request: AppRequest, token: str) -> Credentials:
    """The account of a link that is still good.

    Raises:
        LinkUsedUp: the link has run out, was used, or is none of ours.
    """
    held = services(request)
    try:
        asked = open_token(held.cipher, "reset", token, Reset)
    except CannotOpenError:
        raise LinkUsedUp from None
    async with held.db.reading() as tx:
        known = await queries.credentials_by_id(tx, asked.account_id)
    if known is None or known.session_epoch != asked.epoch:
        raise LinkUsedUp
    return known


def person_of(request: AppRequest) -> Person | None:
    """Who came back from the OpenID provider with this browser, and belongs to no account yet."""
    held = services(request)
    token = request.cookies.get(cookie_name(held.settings, PERSON_COOKIE), "")
    try:
        return open_token(held.cipher, "person", token, Person)
    except CannotOpenError:
        return None


def _step_of(request: AppRequest) -> Step:
    held = services(request)
    try:
        return open_token(held.cipher, "step", request.cookies.get(cookie_name(held.settings, STEP_COOKIE), ""), Step)
    except CannotOpenError:
        raise Rejected(go("/login")) from None


def _login_page(
    request: AppRequest, wanted: str, typed: Mapping[str, Any] | None = None, error: DomainError | None = None
) -> Template:
    provider = services(request).provider
    done = DONE.get(request.query_params.get("done", ""))
    told = {"notice": ("ok", done)} if done else {}
    return form_page(
        "accounts/login.html",
        error,
        wanted=wanted,
        values=typed or {},
        provider=provider.name if provider else None,
        **({} if error else told),
    )


def _reset_page(request: AppRequest, token: str, error: InvalidInput | None = None) -> Template:
    shortest = services(request).settings.password_length
    return form_page("accounts/reset.html", error, token=token, shortest=shortest)


async def _register_page(
    request: AppRequest, wanted: str, typed: Mapping[str, Any] | None = None, error: DomainError | None = None
) -> Template:
    held = services(request)
    async with held.db.reading() as tx:
        kinds, places = await enterprise_queries.kinds(tx), await regions.choices(tx)
    return form_page(
        "accounts/register.html",
        error,
        wanted=wanted,
        values=typed or {},
        kinds={code: name for code, name in kinds.items() if code != enterprises.INDIVIDUAL},
        regions=places,
        person=person_of(request),
        shortest=held.settings.password_length,
        provider=held.settings.oidc_name,
    )


def _onward(wanted: str, role: Role) -> str:
    """Where to go after logging in: the page asked for, if it is one of ours, or where the role works."""
    return wanted if wanted != "/" and OWN_PATH.fullmatch(wanted) else HOMES.get(role, "/")


def router() -> Router:
    """The routes, for market.pages."""
    handlers = [
        login_form,
        log_in,
        code_form,
        log_in_with_code,
        log_out,
        register_form,
        register,
        prefer,
        forgot,
        reset_form,
        reset,
    ]
    return Router("/", route_handlers=handlers, include_in_schema=False)
