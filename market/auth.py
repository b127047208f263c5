"""Who is asking: bearer tokens for the API, a session cookie for pages; guards by role; how sessions begin and end."""

import time
from contextlib import suppress
from typing import Any, TypeVar

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler
from litestar.middleware.authentication import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.response import Template
from litestar.types import Guard, Receive, Scope, Send
from litestar.utils.scope.state import ScopeState

from infra.db import DatabaseUnavailable
from infra.settings import Settings
from market import errors
from market.accounts import queries
from market.accounts.model import STAFF, Actor, Role, Session
from market.accounts.service import hash_token
from market.expired import nobody
from market.i18n import _, known, speak
from market.limiting import throttle

COOKIE = "zhipei_session"
CSRF_COOKIE = "zhipei_csrf"
NOBODY = AuthenticationResult(user=None, auth=None)
ENROLMENT = "/account/second-factor"
OPEN_WITHOUT_FACTOR = (ENROLMENT, "/logout")
"""What whoever still needs a second factor may reach."""

Connection = ASGIConnection[Any, Any, Any, Any]
R = TypeVar("R", bound=Response[Any])


class Authenticate(AbstractAuthenticationMiddleware):
    """Finds the actor. The API takes tokens only, so that no foreign page can act through a cookie there."""

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        """The actor as ``request.user``, or None; the session as ``request.auth``. Guards decide what nobody may do.

        From here on the request is in the actor's language.

        Raises:
            NotAuthenticated: a token was given that is none, or has expired.
            SecondFactorMissing: the account has to set one up first.
            TooManyRequests: of this class of route, by this account or from this address.
        """
        held = connection.app.state.services
        by_token = connection.url.path.startswith("/api/")
        found = await (by_token_of if by_token else by_session_of)(connection)
        if not by_token:
            _speak_to(connection, found.user)
        await throttle(connection, held.limiter, held.settings, found.user)
        if held.settings.require_totp and found.user is not None:
            await _need_factor(connection, found)
        return found


async def by_token_of(connection: Connection) -> AuthenticationResult:
    """Whom the bearer token acts for.

    Raises:
        NotAuthenticated: it is none, or has expired.
    """
    header = connection.headers.get("authorization")
    if header is None:
        return NOBODY
    scheme, _space, token = header.partition(" ")
    if scheme.lower() == "bearer" and token:
        async with connection.app.state.services.db.reading() as tx:
            actor = await queries.actor_by_token(tx, hash_token(token))
        if actor is not None:
            return AuthenticationResult(user=actor, auth=None)
    raise errors.NotAuthenticated(_("访问令牌不对、已过期或已停用，请换一个新的。"))


async def by_session_of(connection: Connection) -> AuthenticationResult:
    """Who has logged in with this browser."""
    held = connection.app.state.services
    token = connection.cookies.get(cookie_name(held.settings, COOKIE))
    session: Session | None = await held.sessions.find(token) if token else None
    if session is None:
        return NOBODY
    async with held.db.reading() as tx:
        actor = await queries.actor_by_session(tx, session.account_id, session.epoch)
    return AuthenticationResult(user=actor, auth=session) if actor else NOBODY


def _speak_to(connection: Connection, actor: Actor | None) -> None:
    if actor is not None and known(connection.query_params.get("lang")) is None:
        speak(actor.lang)


async def _need_factor(connection: Connection, found: AuthenticationResult) -> None:
    actor: Actor = found.user
    passed = found.auth is not None and found.auth.factor
    if actor.role not in STAFF or passed or connection.url.path.startswith(OPEN_WITHOUT_FACTOR):
        return
    if found.auth is None:  # a token; it was made by somebody who had logged in
        async with connection.app.state.services.db.reading() as tx:
            factor = await queries.factor(tx, actor.id)
        if factor is not None and factor.confirmed_at is not None:
            return
    raise errors.SecondFactorMissing


async def steering(connection: Connection, _handler: BaseRouteHandler) -> None:
    """A guard that lets only those pass who say which model ranks."""
    actor: Actor | None = connection.user
    if actor is None:
        raise await nobody(connection)
    if not actor.steers_models:
        raise errors.Forbidden


class Allow:
    """A guard that lets only these roles pass; without roles, anyone who has logged in."""

    def __init__(self, roles: frozenset[Role]) -> None:
        self.roles = roles

    async def __call__(self, connection: Connection, _handler: BaseRouteHandler) -> None:
        """A coroutine, because Litestar would run a plain function in a thread for every request."""
        actor: Actor | None = connection.user
        if actor is None:
            raise await nobody(connection)
        if self.roles and actor.role not in self.roles:
            raise errors.Forbidden


def allow(*roles: Role) -> Guard:
    """A guard that lets only these roles pass; without roles, anyone who has logged in."""
    return Allow(frozenset(roles))


class Unmatched(Template):
    """The page of an address that leads nowhere. No middleware ran for it: who reads it is found when it is sent."""

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **given: Any) -> Any:
        """An ASGI application."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            with suppress(DatabaseUnavailable):
                found = await by_session_of(request)
                scope["user"], scope["auth"] = found.user, found.auth
                _speak_to(request, found.user)
            # Its form to log out needs the token that the middleware would have found.
            name = cookie_name(request.app.state.services.settings, CSRF_COOKIE)
            ScopeState.from_scope(scope).csrf_token = request.cookies.get(name, "")
            response = super(Unmatched, self).to_asgi_response(app, request, **given)
            await response(scope, receive, send)

        return answer


# cookies and sessions ------------------------------------------------------------------------------------------------


def cookie_name(settings: Settings, name: str) -> str:
    """With the prefix that lets no other host, and no page without TLS, set it; plain http cannot have that."""
    return f"__Host-{name}" if settings.secure_cookies else name


def cookie(settings: Settings, name: str, value: str, seconds: int | None = None) -> Cookie:
    """A cookie that scripts cannot read and other sites' forms do not send. 0 seconds: it goes."""
    return Cookie(
        key=cookie_name(settings, name),
        value=value,
        max_age=seconds,
        path="/",
        httponly=True,
        samesite="lax",
        secure=settings.secure_cookies,
    )


async def enter(connection: Connection, answer: R, account_id: int, epoch: int, *, factor: bool) -> R:
    """Begin a session with the answer, and end the one before, so that nobody knows its key from before."""
    held = connection.app.state.services
    if (before := connection.scope.get("auth")) is not None:
        await held.sessions.end(before)
    session = Session(
        account_id=account_id,
        epoch=epoch,
        started=time.time(),
        factor=factor,
        agent=connection.headers.get("user-agent", "")[:200],
        address=connection.client.host if connection.client else "",
    )
    answer.set_cookie(cookie(held.settings, COOKIE, await held.sessions.start(session)))
    return answer


async def leave(connection: Connection) -> None:
    """End the session of this browser, if there is one: by itself, or with all others of the account if need be."""
    session: Session | None = connection.scope.get("auth")
    held = connection.app.state.services
    if session is not None and not await held.sessions.end(session):
        async with held.db.transaction() as tx:
            await queries.end_sessions(tx, session.account_id)
