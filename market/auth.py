"""Who is asking: bearer tokens for the API, a session cookie for pages; and guards by role."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.middleware.authentication import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import Guard
from redis.exceptions import RedisError

from market import errors
from market.accounts import queries
from market.accounts.model import Actor, Role
from market.accounts.service import hash_token
from market.i18n import _, known, speak

COOKIE = "zhipei_session"
NOBODY = AuthenticationResult(user=None, auth=None)

Connection = ASGIConnection[Any, Any, Any, Any]


class Authenticate(AbstractAuthenticationMiddleware):
    """Finds the actor. The API takes tokens only, so that no foreign page can act through a cookie there."""

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        """The actor as ``request.user``, or None; guards decide what nobody may do.

        From here on the request is in the actor's language.

        Raises:
            NotAuthenticated: a token was given that is none, or has expired.
        """
        if connection.url.path.startswith("/api/"):
            return await _by_token(connection)
        found = await _by_session(connection)
        if found.user is not None and known(connection.query_params.get("lang")) is None:
            speak(found.user.lang)
        return found


async def _by_token(connection: Connection) -> AuthenticationResult:
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


async def _by_session(connection: Connection) -> AuthenticationResult:
    token = connection.cookies.get(COOKIE)
    if not token:
        return NOBODY
    held = connection.app.state.services
    try:
        account_id = await held.sessions.find(token)
    except RedisError:
        # Public pages stay readable; whatever needs an account answers 401 instead of guessing.
        return NOBODY
    if account_id is None:
        return NOBODY
    async with held.db.reading() as tx:
        actor = await queries.actor_by_id(tx, account_id)
    return AuthenticationResult(user=actor, auth=token if actor else None)


async def steering(connection: Connection, _handler: BaseRouteHandler) -> None:
    """A guard that lets only those pass who say which model ranks."""
    actor: Actor | None = connection.user
    if actor is None:
        raise errors.NotAuthenticated
    if not actor.steers_models:
        raise errors.Forbidden


def allow(*roles: Role) -> Guard:
    """A guard that lets only these roles pass; without roles, anyone who has logged in.

    A coroutine, because Litestar would run a plain function in a thread for every request.
    """

    async def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        actor: Actor | None = connection.user
        if actor is None:
            raise errors.NotAuthenticated
        if roles and actor.role not in roles:
            raise errors.Forbidden

    return guard
