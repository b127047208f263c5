"""How errors are told: as problem details (RFC 9457), or as the page that says the same."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import asyncpg
import msgspec
import structlog
from litestar import Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.response import Redirect, Template
from litestar.status_codes import HTTP_303_SEE_OTHER
from litestar.utils.scope.state import ScopeState
from msgspec import Struct
from redis.exceptions import RedisError

from infra.db import CONFLICTS, DatabaseUnavailable
from infra.observe import request_id
from market import errors
from market.answering import MAY_REPEAT
from market.auth import ENROLMENT, Unmatched
from market.forms import explain, faults
from market.i18n import N_, _
from market.needs.model import BODY_LIMIT
from market.web import AppRequest, Rejected, Replayed, came_from, go, headers_of, made
from search.engine import MOST_CHARS

log = structlog.get_logger()


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
    408: ("too-slow", N_("传得太慢"), N_("内容没有传完，请检查网络后再试。")),
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
    error = _cause(error)
    if isinstance(error, CONFLICTS) and request.scope.get(MAY_REPEAT):
        raise error
    if isinstance(error, Rejected):
        return error.page
    if isinstance(error, Replayed):
        kept = error.answer
        return made(kept.body, kept.status, error.at, {"Idempotency-Replayed": "true"})
    problem = _problem(request, error)
    if problem.status >= 500 and not isinstance(error, errors.DomainError):  # what we refuse has not failed
        log.error("request failed", status=problem.status, exc_info=error)
    headers = headers_of(error, problem.status)
    if request.url.path.startswith("/api/"):
        if problem.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        body = msgspec.json.encode(problem)
        return Response(body, status_code=problem.status, media_type="application/problem+json", headers=headers)
    if problem.status == 401 and request.method == "GET":
        return go_to_login(request)
    if isinstance(error, errors.SecondFactorMissing):
        return go(ENROLMENT)
    shown = {"problem": problem, "back": came_from(request), **_ways_on(request, problem)}
    kind = Template if request.scope.get("path_template") else Unmatched
    return kind("error.html", context=shown, status_code=problem.status, headers=headers)


def _cause(error: Exception) -> Exception:
    """What went wrong, out of the groups that Litestar makes of what ends a request's transaction."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _ways_on(request: AppRequest, problem: Problem) -> dict[str, str]:
    """Out of a page whose address has something in it that cannot be: ``again``, the page without that; ``need``, the
    form for a need with the search text, where that is too long for a search. Empty for any other page."""
    wrong = {one.field for one in problem.errors}
    given = list(request.query_params.multi_items())
    kept = [(name, value) for name, value in given if name not in wrong]
    if request.method != "GET" or len(kept) == len(given):
        return {"again": "", "need": ""}
    text = request.query_params.get("q", "") if "q" in wrong else ""
    need = f"/?{urlencode({'text': text})}" if MOST_CHARS < len(text) <= BODY_LIMIT else ""
    return {"again": f"{request.url.path}?{urlencode(kept)}", "need": need}


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
            status, slug, title, detail, fields = _invalid(request, error)
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
    # Lock timeouts end one of two, and so do conflicts, again and again; asked later, it goes through.
    busy = (DatabaseUnavailable, RedisError, *CONFLICTS, asyncpg.LockNotAvailableError)
    return 503 if isinstance(error, (*busy, asyncpg.QueryCanceledError)) else 500


def _invalid(request: AppRequest, error: ValidationException) -> tuple[int, str, str, str, Mapping[str, str]]:
    """Litestar's validation errors; one in a path is an address that leads nowhere."""
    found: list[dict[str, Any]] = error.extra if isinstance(error.extra, list) else []
    if any(one.get("source") == "path" for one in found):
        slug, title, detail = HTTP_WORDS[404]
        return 404, slug, title, _(detail), {}
    kind = errors.InvalidInput
    told = _body_at_fault(request) if any(one.get("source") == "body" for one in found) else {}
    # All that is wrong with the body, in place of the first of it that Litestar came upon.
    others = [one for one in found if not (told and one.get("source") == "body")]
    fields = {ALIASES.get(key := str(one.get("key", "")), key): explain(str(one.get("message", ""))) for one in others}
    fields |= told
    status = kind.status if fields else 400
    return (status, kind.slug, kind.title, explain(error.detail) if not fields else _(kind.__doc__ or ""), fields)


def _body_at_fault(request: AppRequest) -> dict[str, str]:
    """All that is wrong with the JSON body, which has been read already."""
    wanted = request.route_handler.parsed_data_field
    body = ScopeState.from_scope(request.scope).body
    if wanted is None or not isinstance(body, bytes):
        return {}
    try:
        return faults(wanted.annotation, msgspec.json.decode(body))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {}
