"""Between HTTP and the use cases: what handlers are given, how pages are rendered, how errors are told."""

import asyncio
import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlsplit

import msgspec
import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import MethodNotAllowedException
from litestar.params import PathParameter, QueryParameter
from litestar.response import Redirect, Template
from litestar.status_codes import HTTP_303_SEE_OTHER
from litestar.types import HTTPScope
from msgspec import Meta, Struct
from redis.asyncio import Redis

from infra import idempotency
from infra.cipher import Cipher
from infra.db import Database, Transaction, start_over
from infra.limits import Limiter
from infra.observe import Metrics
from infra.settings import Settings
from market import errors
from market.accounts.model import Actor, Session
from market.accounts.oidc import Provider
from market.accounts.passwords import Hasher
from market.accounts.sessions import Sessions
from market.calendars.service import Deadlines, DeadlinesSource
from market.discovery.service import Finder
from market.i18n import _
from market.live.hub import Hub
from market.matches.ranking import Catalogue, CatalogueSource
from market.pressure import Pressure
from market.statistics.service import StatisticsSource
from matching.types import Lang

T = TypeVar("T")
KEY = re.compile(r"[!-~]{1,255}")
"""An Idempotency-Key."""
AppRequest = Request[Actor | None, Session | None, State]
MOST_ID, MOST_VERSION = 2**63 - 1, 2**31 - 1
"""What PostgreSQL's bigint and integer hold."""
Id = Annotated[int, Meta(ge=1, le=MOST_ID)]
Version = Annotated[int, Meta(ge=1, le=MOST_VERSION)]
# Litestar reads limits from its own markers only, and passes over msgspec's Meta beside them.
PathId = Annotated[int, PathParameter(ge=1, le=MOST_ID)]
PathText = Annotated[str, PathParameter(max_length=200)]
IdQuery = Annotated[int | None, QueryParameter(ge=1, le=MOST_ID)]
VersionQuery = Annotated[int | None, QueryParameter(ge=1, le=MOST_VERSION)]
SearchQuery = Annotated[str, QueryParameter(max_length=500)]
PageSize = Annotated[int, QueryParameter(ge=1, le=100)]
LangQuery = Annotated[Lang | None, QueryParameter(description="zh or en; else what Accept-Language prefers")]


log = structlog.get_logger()


class Services(Struct, frozen=True, eq=False):
    """What one process shares between its requests. Held by the application's state."""

    settings: Settings
    secret: str
    db: Database
    redis: Redis
    sessions: Sessions
    cipher: Cipher
    hasher: Hasher
    limiter: Limiter
    provider: Provider | None
    deadlines: DeadlinesSource
    catalogue: CatalogueSource
    statistics: StatisticsSource
    finder: Finder
    metrics: Metrics
    pressure: Pressure
    hub: Hub
    stopping: asyncio.Event
    """Set once the process has been told to stop."""


def services(request: AppRequest) -> Services:
    """The application's services."""
    held: Services = request.app.state.services
    return held


TRANSACTION = "zhipei_transaction"
"""Where a request keeps what ends its transaction; it ends once, whoever is first."""

# what handlers are given ---------------------------------------------------------------------------------------------


async def provide_tx(request: AppRequest) -> AsyncGenerator[Transaction, None]:
    """One request, one transaction: committed after the answer is rendered, before it is sent."""
    async with AsyncExitStack() as held:
        request.scope["state"][TRANSACTION] = held
        yield await held.enter_async_context(services(request).db.transaction())


async def end_abandoned(scope: HTTPScope) -> None:
    """Give back the connection of a request whose handler was never called.

    Litestar checks and fills what handlers are given side by side; where that fails, it may forget a transaction that
    is open already. tests/fuzz found connections held until the garbage is collected, and fails on any such.
    """
    held: AsyncExitStack | None = scope["state"].pop(TRANSACTION, None)
    if held is not None:
        error = RuntimeError("abandoned")
        await held.__aexit__(type(error), error, None)


async def provide_deadlines(request: AppRequest, tx: NamedDependency[Transaction]) -> Deadlines:
    """Time limits on the calendar in force."""
    return await services(request).deadlines.get(tx)


async def provide_catalogue(
    request: AppRequest, tx: NamedDependency[Transaction], deadlines: NamedDependency[Deadlines]
) -> Catalogue:
    """The catalogue, ready to understand a sentence.

    It asks for ``deadlines`` only to come after them: Litestar would fill both at once, on one connection.
    """
    del deadlines
    return await services(request).catalogue.get(tx)


def provide_finder(request: AppRequest) -> Finder:
    """The search engine, behind its breaker."""
    return services(request).finder


def actor_of(request: AppRequest) -> Actor:
    """Who the request acts for.

    Raises:
        NotAuthenticated: nobody has logged in.
    """
    if request.user is None:
        raise errors.NotAuthenticated
    return request.user


def address_hash(request: AppRequest) -> bytes | None:
    """Tells whether two requests came from one address, and nothing else: keyed, so that nobody can try addresses."""
    return hash_address(request.client.host, services(request).secret) if request.client else None


def hash_address(host: str, secret: str) -> bytes:
    """As ``address_hash``."""
    return hashlib.blake2b(host.encode(), key=secret.encode()[:64], digest_size=16).digest()


# lists ---------------------------------------------------------------------------------------------------------------


class Page(Struct, Generic[T], frozen=True):
    """A part of a list. ``next`` is the cursor of the part that follows; None at the end."""

    items: list[T]
    next: str | None


def page_of(rows: list[T], limit: int, cursor: Callable[[T], Any]) -> Page[T]:
    """A page out of up to ``limit + 1`` rows; the one too many tells that there are more."""
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    return Page(rows[:limit], base64.urlsafe_b64encode(msgspec.json.encode(cursor(last))).decode().rstrip("="))


def read_cursor(text: str | None, kind: type[T]) -> T | None:
    """What ``page_of`` put into a cursor.

    Raises:
        InvalidInput: it is none of ours.
    """
    if text is None:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=kind)
    except (msgspec.DecodeError, binascii.Error, ValueError):
        raise errors.InvalidInput(fields={"cursor": _("翻页标记不对，请从第一页重新开始。")}) from None


# idempotency ---------------------------------------------------------------------------------------------------------


class Replayed(Exception):
    """The key has an answer already: roll back and repeat it."""

    def __init__(self, answer: idempotency.Answer, at: str | None) -> None:
        self.answer = answer
        self.at = at


async def once(
    request: AppRequest, tx: Transaction, act: Callable[[], Awaitable[T]], *, status: int = 200, at: str | None = None
) -> Response[T]:
    """Answer with what ``act`` returns; under an Idempotency-Key only the first call acts.

    The answer is encoded already; its type is what the API's description says it holds.

    ``at``: where to find what was made (Location), with the answer's fields in braces.

    Raises:
        Replayed: the key was used for the same call before.
        IdempotencyMismatch: the key was used for another call.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return made(msgspec.json.encode(await act()), status, at)
    if not KEY.fullmatch(key):
        raise errors.InvalidInput(fields={"Idempotency-Key": _("请用 1 到 255 个可见字符。")})
    actor = actor_of(request)
    asked = b"\n".join((request.method.encode(), request.url.path.encode(), await request.body()))
    fingerprint = hashlib.sha256(asked).digest()
    try:
        body = msgspec.json.encode(await act())
    except errors.DomainError:
        # A repeated call finds the world changed by the first: its answer counts, not the refusal it would get now.
        await start_over(tx)
        await _replay(tx, actor, key, fingerprint, at)
        raise
    if not await idempotency.claim(tx, actor.id, key, idempotency.Answer(fingerprint, status, body)):
        await _replay(tx, actor, key, fingerprint, at)
    return made(body, status, at)


def made(body: bytes, status: int, at: str | None, headers: Mapping[str, str] | None = None) -> Response[Any]:
    """An answer that says where to find what it tells of."""
    fields = msgspec.json.decode(body) if at and "{" in at else {}
    location = {"Location": at.format_map(fields)} if at else {}
    return json_bytes(body, status, {**location, **(headers or {})})


async def _replay(tx: Transaction, actor: Actor, key: str, fingerprint: bytes, at: str | None) -> None:
    kept = await idempotency.find(tx, actor.id, key)
    if kept is None:
        return
    if kept.fingerprint != fingerprint:
        raise errors.IdempotencyMismatch
    raise Replayed(kept, at)


def json_bytes(body: bytes, status: int, headers: dict[str, str] | None = None) -> Response[Any]:
    """An answer that is encoded already."""
    return Response(body, status_code=status, media_type="application/json", headers=headers)


# pages ---------------------------------------------------------------------------------------------------------------


class Rejected(Exception):
    """A page as an exception: it is shown, and the transaction is rolled back."""

    def __init__(self, page: Template | Redirect) -> None:
        self.page = page


def page(template: str, *, status: int = 200, **context: Any) -> Template:
    """A page, or a fragment of one."""
    return Template(template, context=context, status_code=status)


def form_page(template: str, error: errors.DomainError | None = None, **context: Any) -> Template:
    """The page of a form; where it was refused, with what is wrong by field or on top, and when to come again."""
    notice = ("bad", error.detail) if error and not error.fields else None
    shown = {"errors": error.fields if error else {}, "notice": notice} | context
    answer = page(template, status=error.status if error else 200, **shown)
    if error is not None:
        answer.headers.update(headers_of(error, error.status))
    return answer


def headers_of(error: Exception, status: int) -> dict[str, str]:
    """What goes with the error: when to come again, which methods there are."""
    if isinstance(error, errors.TooManyRequests):
        return {"Retry-After": str(error.seconds)}
    if isinstance(error, MethodNotAllowedException):
        methods = set((error.headers or {}).get("allow", "").split(", "))
        return {"Allow": ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))}
    if isinstance(error, errors.Overloaded):
        return {"Retry-After": "60"}
    return {"Retry-After": "3"} if status == 503 else {}


def go(path: str) -> Redirect:
    """Show another page after a form was posted."""
    return Redirect(path, status_code=HTTP_303_SEE_OTHER)


def one_time_key() -> str:
    """For the hidden field ``key`` of a form that ``go_once`` answers."""
    return secrets.token_urlsafe(16)


async def go_once(
    tx: Transaction,
    actor: Actor,
    form: Mapping[str, Any],
    act: Callable[[], Awaitable[str]],
    *,
    wish: Mapping[str, Any] | None = None,
) -> Redirect:
    """Do what a form asks and go where ``act`` says; the same form posted again goes there too, and does nothing.

    Only the same form: with another text, after the back button, it is another wish. Where that could be a mistake,
    ``wish`` is what it asks for, and asking for something else with the same key is refused, so that the page can ask
    what was meant. A form without a ``key`` says nothing of which one it is, and is done each time.

    Raises:
        Rejected: it was posted before.
        FiledAlready: it was posted before, with another wish.
        DomainError: what ``act`` refuses, but for a form that was posted before: there its first answer counts.
    """
    if not form.get("key"):
        return go(await act())
    fields = {name: value for name, value in form.items() if name != "_csrf_token"}
    fingerprint = _hash(fields if wish is None else wish)
    key = f"form:{(fingerprint if wish is None else _hash(form['key'])).hex()}"
    try:
        path = await act()
    except errors.DomainError:
        # What was posted again finds the world changed by the first time, as in ``once``.
        await start_over(tx)
        kept = await idempotency.find(tx, actor.id, key)
        if kept is not None and kept.fingerprint == fingerprint:
            raise Rejected(go(kept.body.decode())) from None
        raise
    if not await idempotency.claim(tx, actor.id, key, idempotency.Answer(fingerprint, 303, path.encode())):
        kept = await idempotency.find(tx, actor.id, key)
        if kept and kept.fingerprint != fingerprint:
            await start_over(tx)  # what was just done is not done
            raise errors.FiledAlready
        raise Rejected(go(kept.body.decode() if kept else path))
    return go(path)


def _hash(value: Any) -> bytes:
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).digest()


def came_from(request: Request[Any, Any, Any]) -> str:
    """The page of ours that the request was made from, as a path; the home page where that is unknown."""
    address = urlsplit(request.headers.get("referer", ""))
    return address.path if address.netloc == request.headers.get("host") and address.path else "/"
