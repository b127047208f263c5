"""Between HTTP and the use cases: what handlers are given, how pages are rendered, how errors are told."""

import base64
import binascii
import hashlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlsplit

import asyncpg
import msgspec
import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException, ValidationException
from litestar.params import PathParameter, QueryParameter
from litestar.response import Redirect, Template
from litestar.status_codes import HTTP_303_SEE_OTHER
from msgspec import Meta, Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from infra import idempotency
from infra.db import Database, DatabaseUnavailable, Transaction, start_over
from infra.observe import Metrics, request_id
from infra.settings import Settings
from market import errors
from market.accounts.model import Actor
from market.accounts.sessions import Sessions
from market.calendars.service import Deadlines, DeadlinesSource
from market.discovery.service import Finder
from market.forms import explain
from market.i18n import N_, _
from market.live.hub import Hub
from market.matches.ranking import Catalogue, CatalogueSource
from matching.types import Lang

T = TypeVar("T")
AppRequest = Request[Actor | None, str | None, State]
MOST_ID, MOST_VERSION = 2**63 - 1, 2**31 - 1
"""What PostgreSQL's bigint and integer hold."""
Id = Annotated[int, Meta(ge=1, le=MOST_ID)]
Version = Annotated[int, Meta(ge=1, le=MOST_VERSION)]
# Litestar reads limits from its own markers only, and passes over msgspec's Meta beside them.
PathId = Annotated[int, PathParameter(ge=1, le=MOST_ID)]
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
    deadlines: DeadlinesSource
    catalogue: CatalogueSource
    finder: Finder
    metrics: Metrics
    hub: Hub


def services(request: AppRequest) -> Services:
    """The application's services."""
    held: Services = request.app.state.services
    return held


# what handlers are given ---------------------------------------------------------------------------------------------


async def provide_tx(request: AppRequest) -> AsyncGenerator[Transaction, None]:
    """One request, one transaction: committed after the answer is rendered, before it is sent."""
    async with services(request).db.transaction() as tx:
        yield tx


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
    if request.client is None:
        return None
    return hashlib.blake2b(
        request.client.host.encode(), key=services(request).secret.encode()[:64], digest_size=16
    ).digest()


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

    def __init__(self, answer: idempotency.Answer) -> None:
        self.answer = answer


async def once(
    request: AppRequest, tx: Transaction, act: Callable[[], Awaitable[Any]], *, status: int = 200
) -> Response[bytes]:
    """Answer with what ``act`` returns; under an Idempotency-Key only the first call acts.

    Raises:
        Replayed: the key was used for the same call before.
        IdempotencyMismatch: the key was used for another call.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return json_bytes(msgspec.json.encode(await act()), status)
    if not 1 <= len(key) <= 255 or not key.isprintable():
        raise errors.InvalidInput(fields={"Idempotency-Key": _("请用 1 到 255 个可见字符。")})
    actor = actor_of(request)
    asked = b"\n".join((request.method.encode(), request.url.path.encode(), await request.body()))
    fingerprint = hashlib.sha256(asked).digest()
    try:
        body = msgspec.json.encode(await act())
    except errors.DomainError:
        # A repeated call finds the world changed by the first: its answer counts, not the refusal it would get now.
        await start_over(tx)
        await _replay(tx, actor, key, fingerprint)
        raise
    if not await idempotency.claim(tx, actor.id, key, idempotency.Answer(fingerprint, status, body)):
        await _replay(tx, actor, key, fingerprint)
    return json_bytes(body, status)


async def _replay(tx: Transaction, actor: Actor, key: str, fingerprint: bytes) -> None:
    kept = await idempotency.find(tx, actor.id, key)
    if kept is None:
        return
    if kept.fingerprint != fingerprint:
        raise errors.IdempotencyMismatch
    raise Replayed(kept)


def json_bytes(body: bytes, status: int, headers: dict[str, str] | None = None) -> Response[bytes]:
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


def go(path: str) -> Redirect:
    """Show another page after a form was posted."""
    return Redirect(path, status_code=HTTP_303_SEE_OTHER)


def one_time_key() -> str:
    """For the hidden field ``key`` of a form that ``go_once`` answers."""
    return secrets.token_urlsafe(16)


async def go_once(
    tx: Transaction, actor: Actor, form: Mapping[str, Any], act: Callable[[], Awaitable[str]]
) -> Redirect:
    """Do what a form asks and go where ``act`` says; the same form posted again goes there too, and does nothing.

    Only the same form: with another text, after the back button, it is another wish.

    Raises:
        Rejected: it was posted before.
        DomainError: what ``act`` refuses, but for a form that was posted before: there its first answer counts.
    """
    fields = {name: value for name, value in form.items() if name != "_csrf_token"}
    fingerprint = hashlib.sha256(msgspec.json.encode(fields, order="deterministic")).digest()
    key = f"form:{fingerprint.hex()}"
    try:
        path = await act()
    except errors.DomainError:
        # What was posted again finds the world changed by the first time, as in ``once``.
        await start_over(tx)
        if (kept := await idempotency.find(tx, actor.id, key)) is not None:
            raise Rejected(go(kept.body.decode())) from None
        raise
    if not await idempotency.claim(tx, actor.id, key, idempotency.Answer(fingerprint, 303, path.encode())):
        kept = await idempotency.find(tx, actor.id, key)
        raise Rejected(go(kept.body.decode() if kept else path))
    return go(path)


# errors --------------------------------------------------------------------------------------------------------------


class FieldError(Struct, frozen=True):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(Struct, frozen=True, omit_defaults=True):
    """RFC 9457 problem details, with the fields at fault."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str | None = None
    errors: tuple[FieldError, ...] = ()


HTTP_WORDS: Mapping[int, tuple[str, str, str]] = {
    400: ("bad-request", N_("请求有误"), N_("请求的格式不对，请核对后再试。")),
    401: ("not-authenticated", N_("请先登录"), N_("请先登录，再继续刚才的操作。")),
    403: ("forbidden", N_("没有权限"), N_("页面停留太久，或您的账号没有做这一步的权限。请返回、刷新页面后再试。")),
    404: ("not-found", N_("没有找到"), N_("没有找到您要的内容，可能链接不完整，或者您没有查看它的权限。")),
    405: ("method-not-allowed", N_("不能这样访问"), N_("这个地址不接受这种访问方式。")),
    413: ("too-large", N_("内容太大"), N_("提交的内容太大，请精简后再试。")),
    415: ("unsupported-media-type", N_("格式不支持"), N_("请以 JSON 格式提交。")),
    429: ("too-many-requests", N_("操作太频繁"), N_("操作太频繁，请稍等一会儿再试。")),
    500: (
        "internal-error",
        N_("暂时出了问题"),
        N_("我们这边出了问题，已经记录。您可以稍后再试；已提交的内容不会丢失。"),
    ),
    503: ("unavailable", N_("服务暂时繁忙"), N_("服务暂时繁忙，请稍后再试。已提交的内容不会丢失。")),
}


ALIASES = {"in_state": "state", "data": "body"}
"""Names of handlers' parameters that callers know by another: Litestar reserves ``state`` and ``data``."""


def on_error(request: AppRequest, error: Exception) -> Response[Any]:
    """Any error as problem details, or as the page that says the same."""
    if isinstance(error, Rejected):
        return error.page
    if isinstance(error, Replayed):
        kept = error.answer
        return json_bytes(kept.body, kept.status, {"Idempotency-Replayed": "true"})
    problem = _problem(request, error)
    if problem.status >= 500:
        log.error("request failed", status=problem.status, exc_info=error)
    headers = {"Retry-After": "3"} if problem.status == 503 else {}
    if request.url.path.startswith("/api/"):
        if problem.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        body = msgspec.json.encode(problem)
        return Response(body, status_code=problem.status, media_type="application/problem+json", headers=headers)
    if problem.status == 401 and request.method == "GET":
        return go_to_login(request)
    shown = {"problem": problem, "back": came_from(request)}
    return Template("error.html", context=shown, status_code=problem.status, headers=headers)


def came_from(request: Request[Any, Any, Any]) -> str:
    """The page of ours that the request was made from, as a path; the home page where that is unknown."""
    address = urlsplit(request.headers.get("referer", ""))
    return address.path if address.netloc == request.headers.get("host") and address.path else "/"


def go_to_login(request: AppRequest) -> Redirect:
    """Log in, then come back to this page."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return Redirect("/login", query_params={"next": wanted}, status_code=HTTP_303_SEE_OTHER)


def _problem(request: AppRequest, error: Exception) -> Problem:
    fields: Mapping[str, str] = {}
    if isinstance(error, errors.DomainError):
        slug, title, status, detail, fields = error.slug, error.title, error.status, error.detail, error.fields
    else:
        status = _status(error)
        slug, title, detail = HTTP_WORDS.get(status) or HTTP_WORDS[400]
        detail = _(detail)
        if isinstance(error, ValidationException):
            status, slug, title, detail, fields = _invalid(error)
    return Problem(
        type=f"/problems/{slug}",
        title=_(title),
        status=status,
        detail=detail,
        instance=request.url.path,
        request_id=request_id(),
        errors=tuple(FieldError(name, words) for name, words in fields.items()),
    )


def _status(error: Exception) -> int:
    if isinstance(error, HTTPException):
        return error.status_code
    # JSON nested deeper than any of ours, or not UTF-8; numbers and characters that PostgreSQL cannot hold
    if isinstance(error, (RecursionError, UnicodeDecodeError, asyncpg.DataError)):
        return 400
    # Deadlocks and lock timeouts end one of two; asked again, it goes through.
    busy = (DatabaseUnavailable, RedisError, asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError)
    return 503 if isinstance(error, (*busy, asyncpg.QueryCanceledError)) else 500


def _invalid(error: ValidationException) -> tuple[int, str, str, str, Mapping[str, str]]:
    """Litestar's validation errors; one in a path is an address that leads nowhere."""
    found: list[dict[str, Any]] = error.extra if isinstance(error.extra, list) else []
    if any(one.get("source") == "path" for one in found):
        slug, title, detail = HTTP_WORDS[404]
        return 404, slug, title, _(detail), {}
    kind = errors.InvalidInput
    fields = {ALIASES.get(key := str(one.get("key", "")), key): explain(str(one.get("message", ""))) for one in found}
    status = kind.status if fields else 400
    return (status, kind.slug, kind.title, explain(error.detail) if not fields else _(kind.__doc__ or ""), fields)
