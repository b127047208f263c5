"""Who may do what: role × route × whose object, as the application enforces it. docs/permissions.md prints the table.

The guards at the routes say which roles pass (market/auth.py); a route without one is closed unless PUBLIC names it.
Whose objects a role reaches is REACH here, and in the conditions of the use cases' SQL. A token may do no more than
its scopes say. tests/web/test_permissions.py tries every route with every role, with objects of one's own and of
others, and expects exactly this table.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.enums import HttpMethod
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.routes import HTTPRoute
from msgspec import Struct

from market import errors
from market.accounts.model import Actor, Role
from market.auth import Allow, steering
from market.i18n import _

API = "/api/v1/"
READS = ("GET", "HEAD")


class Reach(StrEnum):
    """Whose objects."""

    OWN = "own"
    REGION = "region"
    NODE = "node"
    ALL = "all"


VISITOR = "visitor"
WHO: Sequence[str] = (VISITOR, *(role.value for role in Role))

PUBLIC = frozenset(
    """
    GET /
    POST /
    POST /understand
    POST /preferences
    GET /_design
    GET /calendar
    GET /receipt
    POST /receipt
    GET /receipt/{need_id}
    POST /receipt/{need_id}/rating
    POST /receipt/{need_id}/remark
    POST /receipt/{need_id}/revisit
    GET /search
    GET /changes
    GET /feed.atom
    GET /feed.json
    GET /.well-known/security.txt
    GET /robots.txt
    GET /sitemap.xml
    GET /statistics
    GET /statistics/{file}
    GET /institutions
    GET /institutions/{institution_id}
    GET /institutions/{institution_id}/ratings
    GET /items
    GET /items/{code}
    GET /items/{code}/compare
    GET /items/{code}/guide
    GET /notices
    GET /notices/{notice_id}
    GET /offerings
    GET /offerings/{offering_id}
    GET /offerings/{offering_id}/compare
    GET /offerings/{offering_id}/guide
    GET /login
    POST /login
    GET /login/code
    POST /login/code
    GET /login/identity
    GET /login/oidc
    GET /login/oidc/callback
    POST /logout
    GET /register
    POST /register
    GET /forgot
    GET /join
    POST /join
    GET /reset
    POST /reset
    GET /healthz
    GET /readyz
    GET /metrics
    GET /static/dist/{file_path}
    GET /api
    GET /api/{path}
    GET /api/docs
    GET /api/openapi.json
    GET /api/v1/calendar
    GET /api/v1/changes
    GET /api/v1/exports/{what}
    GET /api/v1/institutions
    GET /api/v1/institutions/{institution_id}
    GET /api/v1/institutions/{institution_id}/lists
    GET /api/v1/institutions/{institution_id}/ratings
    GET /api/v1/institutions/{institution_id}/satisfaction
    GET /api/v1/items
    GET /api/v1/items/{code}
    GET /api/v1/items/{code}/guide
    GET /api/v1/items/{code}/satisfaction
    GET /api/v1/items/{code}/versions
    GET /api/v1/nodes
    GET /api/v1/notices
    GET /api/v1/notices/{notice_id}
    GET /api/v1/offerings
    GET /api/v1/offerings/{offering_id}
    GET /api/v1/offerings/{offering_id}/guide
    GET /api/v1/ratings/scale
    GET /api/v1/regions
    GET /api/v1/rules
    GET /api/v1/search
    GET /api/v1/statistics
    GET /api/v1/suggest
    GET /api/v1/supervision/rules
    POST /mail/confirm
    GET /mail/confirm
    POST /mail/stop
    GET /mail/stop
    POST /join
    GET /join
    GET /api/v1/understanding
    """.strip().split("\n    ")
)
"""Open to everybody, logged in or not; of objects, what is published. A receipt's need is opened by the code on it."""

PUBLIC_BUT = {"POST /": frozenset({VISITOR, Role.ENTERPRISE.value})}
"""Public routes that some are refused: staff do not file needs on the home page."""

_NEEDS = {
    Role.ENTERPRISE: Reach.OWN,
    Role.INSTITUTION: Reach.OWN,  # from the approval of its match on
    Role.COORDINATOR: Reach.REGION,
    Role.CLERK: Reach.OWN,
    Role.ADMIN: Reach.ALL,
}
_LISTS = {Role.INSTITUTION: Reach.OWN, Role.COORDINATOR: Reach.REGION, Role.ADMIN: Reach.ALL}
_OWN_LISTS = {**_LISTS, Role.ADMIN: Reach.OWN}  # the province's are the admins' own
REACH: Mapping[str, Mapping[Role, Reach]] = {
    "need_id": _NEEDS,
    "match_id": _NEEDS,
    "rating_id": _NEEDS,
    "revision_id": _LISTS,
    "code": _OWN_LISTS,
    "offering_id": {Role.INSTITUTION: Reach.OWN},
    "notice_id": {Role.COORDINATOR: Reach.NODE},
    "plan_id": {Role.COORDINATOR: Reach.NODE},
    "region_code": {Role.COORDINATOR: Reach.REGION, Role.ADMIN: Reach.ALL},
    "version": {Role.COORDINATOR: Reach.ALL, Role.ADMIN: Reach.ALL},
    "institution_id": {Role.INSTITUTION: Reach.OWN, Role.COORDINATOR: Reach.REGION, Role.ADMIN: Reach.ALL},
    "supervision_id": {Role.INSTITUTION: Reach.OWN, Role.COORDINATOR: Reach.REGION, Role.ADMIN: Reach.ALL},
    "account_id": {Role.ENTERPRISE: Reach.OWN},
    "message_id": dict.fromkeys(Role, Reach.OWN),
    "filter_id": {Role.COORDINATOR: Reach.OWN},
    "token_id": dict.fromkeys(Role, Reach.OWN),
    "session_id": dict.fromkeys(Role, Reach.OWN),
}
"""Of the object that a route's first parameter names, by the parameter's name: whose a role reaches."""
PLAIN = frozenset({"form", "channel"})
"""Parameters that name no object: the format of a file, letters or a webhook."""
WRITES: Mapping[str, Mapping[Role, Reach]] = {"revision_id": _OWN_LISTS}
"""The same, where a role reads more than it changes."""


class UndeclaredError(Exception):
    """A route that nobody has said who may use."""


class Row(Struct, frozen=True):
    """One route. ``reach``: by VISITOR or role; who is not in it is refused, None: the route names no object."""

    method: str
    path: str
    reach: Mapping[str, Reach | None]
    top_only: bool = False
    """Of coordinators, only those of a node with none above."""

    @property
    def parameters(self) -> list[str]:
        """The names of the objects in the path."""
        return re.findall(r"\{(\w+)\}", self.path)


def rows(app: Litestar) -> list[Row]:
    """Every route of the application, by path.

    Raises:
        UndeclaredError: a route has no guard and is not PUBLIC, or names an object that REACH does not know; or PUBLIC
            names a route that is not there.
    """
    found = [_row(method, path, handler) for method, path, handler in handlers(app)]
    if gone := PUBLIC - {f"{row.method} {row.path}" for row in found}:
        raise UndeclaredError(f"PUBLIC names what is not there: {', '.join(sorted(gone))}")
    return sorted(found, key=lambda row: (row.path, row.method))


def handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Method, path and handler of every route."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                for method in handler.http_methods:
                    if method not in ("OPTIONS", "HEAD"):
                        yield str(method), route.path_format, handler


def _row(method: str, path: str, handler: HTTPRouteHandler) -> Row:
    if f"{method} {path}" in PUBLIC:
        return Row(method, path, dict.fromkeys(PUBLIC_BUT.get(f"{method} {path}", WHO)))
    roles, top_only = set(Role), False
    guards = [guard for guard in handler.resolve_guards() if guard is not closed]
    for guard in guards:
        if isinstance(guard, Allow):
            roles &= guard.roles or set(Role)
        elif guard is steering:
            roles, top_only = roles & {Role.ADMIN, Role.COORDINATOR}, True
        else:
            raise UndeclaredError(f"{method} {path}: what {guard} lets pass is not known here")
    if not guards:
        raise UndeclaredError(f"{method} {path} has no guard and is not in PUBLIC")
    first = next((name for name in re.findall(r"\{(\w+)\}", path) if name not in PLAIN), None)
    if first is not None and first not in REACH:
        raise UndeclaredError(f"{method} {path}: whose {first} a role reaches is not in REACH")
    changes = method not in READS or path.endswith("/edit")
    whose = {**REACH, **WRITES} if changes else REACH
    reach = {role.value: whose[first].get(role) if first else None for role in Role if role in roles}
    return Row(method, path, reach, top_only)


# enforced ------------------------------------------------------------------------------------------------------------


async def closed(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The application's own guard, before all others: what nobody has opened is closed, and a token has its scopes."""
    # A HEAD that is answered as GET comes as a member of the enum, whose name is no text of ours.
    method = HttpMethod(connection.scope["method"]).value  # type: ignore[typeddict-item]
    path = connection.scope["path_template"]
    others = [guard for guard in handler.resolve_guards() if guard is not closed]
    if not others and f"{method} {path}" not in PUBLIC and method != "OPTIONS":
        raise errors.Forbidden
    actor: Actor | None = connection.scope.get("user")
    if actor is not None and actor.scopes and not _in_scope(actor.scopes, method, path):
        raise errors.Forbidden(_("这个令牌的权限不包括这一步，请用权限更大的令牌。"))


def _in_scope(scopes: Sequence[str], method: str, path: str) -> bool:
    area = path.removeprefix(API).split("/", 1)[0]
    for scope in scopes:
        of, _colon, mode = scope.rpartition(":")
        if of in ("", area) and (mode == "write" or method in READS):
            return True
    return False


def areas(app: Litestar) -> list[str]:
    """The areas that a token's scope can name: the first words of the API's paths."""
    return sorted({row.path.removeprefix(API).split("/", 1)[0] for row in rows(app) if row.path.startswith(API)})
