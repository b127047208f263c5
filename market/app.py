"""The application put together: the only place that knows all modules."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Litestar, MediaType, Request, Response, Router, get
from litestar.config.compression import CompressionConfig
from litestar.config.csrf import CSRFConfig
from litestar.datastructures import MutableScopeHeaders, State
from litestar.di import Provide
from litestar.enums import HttpMethod, ScopeType
from litestar.middleware import DefineMiddleware
from litestar.middleware.compression import CompressionMiddleware
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.plugins.htmx import HTMXPlugin
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.static_files import create_static_files_router
from litestar.template import TemplateConfig
from litestar.types import HTTPScope, LifeSpanScope, Message, Receive, Scope, Send
from redis.asyncio import Redis

from infra.cipher import cipher_of
from infra.db import Database
from infra.limits import Limiter
from infra.observe import ADDRESS, Metrics, bind_request
from infra.settings import Settings
from market import describing, health, i18n, presenting
from market.accounts import api as accounts_api
from market.accounts.oidc import Provider
from market.accounts.passwords import Hasher
from market.accounts.sessions import Sessions
from market.audit import api as audit_api
from market.auth import CSRF_COOKIE, Authenticate, cookie_name
from market.caching import Tagged
from market.calendars import api as calendars_api
from market.calendars.service import DeadlinesSource
from market.catalogue import api as catalogue_api
from market.conversations import api as conversations_api
from market.deadlines import api as deadlines_api
from market.discovery import api as discovery_api
from market.discovery.engines import open_engine
from market.discovery.service import Finder
from market.enterprises import api as enterprises_api
from market.exporting import api as exporting_api
from market.feeds import api as feeds_api
from market.guides import api as guides_api
from market.i18n import _
from market.institutions import api as institutions_api
from market.ledger import api as ledger_api
from market.lists import api as lists_api
from market.live.hub import Hub
from market.matches import api as matches_api
from market.matches.ranking import CatalogueSource
from market.messages import api as messages_api
from market.needs import api as needs_api
from market.notices import api as notices_api
from market.offerings import api as offerings_api
from market.pages import routers as page_routers
from market.permissions import closed, handlers
from market.plans import api as plans_api
from market.problems import on_error
from market.ratings import api as ratings_api
from market.regions import api as regions_api
from market.rules import api as rules_api
from market.standing import api as standing_api
from market.supervision import api as supervision_api
from market.web import (
    AppRequest,
    Services,
    end_abandoned,
    hash_address,
    provide_catalogue,
    provide_deadlines,
    provide_finder,
    provide_tx,
    services,
)
from matching.types import Lang
from search.breaker import Breaker

HERE = Path(__file__).parent
BODY_SECONDS = 30.0
"""How long a part of a request's body may take; whoever is slower holds a place that others need."""
CSP = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": CSP,
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# No includeSubDomains: the other hosts of a city's domain are not ours to speak for.
SECURE_HEADERS = {**HEADERS, "Strict-Transport-Security": "max-age=31536000"}
UNSEEN = ("/static", "/healthz", "/readyz", "/metrics")
"""Paths that need no account and no line in the log."""
STREAMS = "/live/"

log = structlog.get_logger()


class Application(Litestar):
    """Gives each request an id, a line in the log, its place in the metrics, and the headers of every answer.

    Not as Litestar middleware, which runs only where a route matches: an address that leads nowhere counts too.
    """

    metrics: Metrics
    fixed_headers: Mapping[str, str]
    most_at_once: int
    at_once: int = 0

    async def __call__(self, scope: Scope | LifeSpanScope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        """ASGI."""
        if scope["type"] == ScopeType.HTTP:
            await self._observed(cast("HTTPScope", scope), receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _origin(self, scope: HTTPScope) -> dict[str, str]:
        """Where the request came from, for the audit trail and the log: never the address itself."""
        client = scope["client"]
        return {ADDRESS: hash_address(client[0], self.state.services.secret).hex()} if client else {}

    def _allowed(self, scope: HTTPScope) -> str:
        """All methods of an address: Litestar names those of the first router that has it."""
        methods = {str(method) for method, path, _handler in handlers(self) if path == scope["path_template"]}
        return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))

    async def _observed(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = bind_request(given, **self._origin(scope))
        scope["user"] = None  # until the middleware finds somebody; the page of an error asks
        head = scope["method"] == "HEAD"
        if head:  # answered as GET, without the body
            scope["method"] = HttpMethod.GET
        started, status, crowded = time.perf_counter(), 500, self.at_once >= self.most_at_once
        self.at_once += 1
        request = Request[None, None, State](scope)

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableScopeHeaders.from_message(message)
                headers["X-Request-Id"] = request_id
                headers.setdefault("Content-Language", i18n.TAGS[i18n.lang()])
                for name, value in self.fixed_headers.items():
                    headers[name] = value
                if scope["method"] == HttpMethod.OPTIONS and "allow" in headers:
                    headers["Allow"] = self._allowed(scope)
            elif head and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        try:
            with i18n.speaking(_language(request)):
                if crowded and not scope["path"].startswith(UNSEEN):
                    await _crowded(scope, observed)
                else:
                    await super().__call__(scope, _impatient(receive), observed)
        finally:
            self.at_once -= 1
            await end_abandoned(scope)
            seconds = time.perf_counter() - started
            route = scope.get("path_template") or "unknown"
            self.metrics.requests.labels(scope["method"], route, status).inc()
            if not scope["path"].startswith(STREAMS):  # open as long as somebody looks
                self.metrics.seconds.labels(route).observe(seconds)
            if not scope["path"].startswith(UNSEEN):
                took = round(seconds * 1000, 1)
                log.info("request", method=scope["method"], path=scope["path"], status=status, milliseconds=took)


def _impatient(receive: Receive) -> Receive:
    """``receive`` with a limit on how long each part of the body takes; there is none on waiting for the end."""
    complete = False

    async def received() -> Any:
        nonlocal complete
        if complete:
            return await receive()
        async with asyncio.timeout(BODY_SECONDS):
            message = await receive()
        complete = not message.get("more_body", False)
        return message

    return received


async def _crowded(scope: HTTPScope, send: Send) -> None:
    """503, without a page: whatever needs a template or a database would make it worse."""
    words = _("现在访问的人很多，请过几秒再试。已提交的内容不会丢失。")
    if scope["path"].startswith("/api/"):
        problem = {"type": "/problems/unavailable", "title": _("服务暂时繁忙"), "status": 503, "detail": words}
        kind, body = b"application/problem+json", msgspec.json.encode({**problem, "instance": scope["path"]})
    else:
        kind, body = b"text/plain; charset=utf-8", words.encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), (b"retry-after", b"3")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _language(request: Request[None, None, State]) -> Lang:
    """What the address asks for, else the browser's switch; for the API what Accept-Language prefers.

    An account's own language takes its place once it is known (``Authenticate``). Pages do not follow Accept-Language
    while parts of them are in Chinese only.
    """
    if asked := i18n.known(request.query_params.get("lang")):
        return asked
    if request.url.path.startswith("/api/"):
        return i18n.preferred(request.headers.get("accept-language", ""))
    return i18n.known(request.cookies.get(i18n.COOKIE)) or "zh"


@get("/healthz", include_in_schema=False, media_type=MediaType.TEXT)
async def healthz() -> str:
    """The process lives."""
    return "ok"


@get("/readyz", include_in_schema=False)
async def readyz(request: AppRequest) -> Response[health.Readiness]:
    """The process can serve: 503, with the reason, when it cannot."""
    state = await health.readiness(services(request))
    return Response(state, status_code=200 if state.ready else 503)


@get("/metrics", include_in_schema=False)
async def metrics(request: AppRequest) -> Response[bytes]:
    """For Prometheus."""
    body, media_type = await health.metrics(services(request))
    return Response(body, media_type=media_type)


def create_app(settings: Settings, *, csrf_secret: str) -> Litestar:
    """The web application. ``settings`` name the servers; ``csrf_secret`` has to be the same in every process."""
    assert settings.database_url is not None
    assert settings.redis_url is not None
    database = Database(
        settings.database_url,
        size=settings.db_connections,
        wait=settings.db_wait_seconds,
        statement_timeout_ms=settings.statement_timeout_ms,
        lock_timeout_ms=settings.lock_timeout_ms,
        name="web",
    )
    redis = Redis.from_url(settings.redis_url, socket_timeout=2, socket_connect_timeout=2)
    engine = open_engine(settings)
    cipher = cipher_of(settings, csrf_secret)
    finder = Finder(engine, Breaker())
    held = Services(
        settings=settings,
        secret=csrf_secret,
        db=database,
        redis=redis,
        sessions=Sessions(redis, settings, cipher),
        cipher=cipher,
        hasher=Hasher(settings.hash_threads),
        limiter=Limiter(redis, settings.namespace),
        provider=Provider(settings) if settings.oidc_issuer and settings.oidc_client_id else None,
        deadlines=DeadlinesSource(),
        catalogue=CatalogueSource(settings.own_words, finder),
        finder=finder,
        metrics=Metrics(),
        hub=Hub(database, most=settings.live_streams),
    )

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncGenerator[None, None]:
        listening = asyncio.create_task(held.hub.run())
        yield
        held.hub.close()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await engine.aclose()
        await database.close()
        await redis.aclose()

    openapi = _openapi()
    app = Application(
        route_handlers=[
            healthz,
            readyz,
            metrics,
            _api(),
            *page_routers(),
            create_static_files_router(
                "/static/dist",
                directories=[HERE / "static" / "dist"],
                cache_control=presenting.STATIC_CACHE,
                # Files only: a page holds a token, and what it reflects would let others measure that (BREACH).
                middleware=[DefineMiddleware(CompressionMiddleware, config=CompressionConfig(backend="gzip"))],
                include_in_schema=False,
                opt={"exclude_from_auth": True},
            ),
        ],
        dependencies={
            "tx": Provide(provide_tx),
            "deadlines": Provide(provide_deadlines),
            "catalogue": Provide(provide_catalogue),
            "finder": Provide(provide_finder, sync_to_thread=False),
        },
        middleware=[
            DefineMiddleware(Authenticate, exclude=["^/static", "^/healthz", "^/readyz", "^/metrics"]),
        ],
        csrf_config=CSRFConfig(
            secret=csrf_secret,
            cookie_name=cookie_name(settings, CSRF_COOKIE),
            cookie_secure=settings.secure_cookies,
            cookie_httponly=True,
            # An answer that others may keep carries no cookie; letters' links are signed, and posted by mail programs.
            exclude=["^/api/", r"^/feed\.", r"^/sitemap\.xml", r"^/robots\.txt", "^/static/", "^/mail/"],
        ),
        guards=[closed],
        exception_handlers={Exception: on_error},
        lifespan=[lifespan],
        logging_config=None,
        openapi_config=openapi,
        plugins=[HTMXPlugin()],
        request_max_body_size=settings.body_bytes,
        state=State({"services": held}),
        template_config=TemplateConfig(instance=JinjaTemplateEngine.from_environment(_templates(settings))),
    )
    openapi.app = app
    app.metrics = held.metrics
    app.fixed_headers = SECURE_HEADERS if settings.secure_cookies else HEADERS
    app.most_at_once = settings.requests_at_once
    return app


def _api() -> Router:
    return Router(
        "/api/v1",
        route_handlers=[
            accounts_api.router(),
            audit_api.router(),
            calendars_api.router(),
            catalogue_api.router(),
            conversations_api.router(),
            discovery_api.router(),
            enterprises_api.router(),
            exporting_api.router(),
            feeds_api.router(),
            guides_api.router(),
            deadlines_api.router(),
            institutions_api.router(),
            ledger_api.router(),
            lists_api.router(),
            matches_api.router(),
            messages_api.router(),
            needs_api.router(),
            notices_api.router(),
            offerings_api.router(),
            plans_api.router(),
            ratings_api.router(),
            regions_api.router(),
            rules_api.router(),
            standing_api.router(),
            supervision_api.router(),
        ],
        middleware=[Tagged()],
        security=[{"token": []}],
    )


def _openapi() -> describing.Config:
    return describing.Config(
        title="Zhipei 知配",  # not translated: the name
        version="1",
        description="Supply of and demand for public intellectual-property services. See docs/api.md.",
        components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
        path="/api",
        use_handler_docstrings=True,
        render_plugins=[JsonRenderPlugin()],
    )


def _templates(settings: Settings) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=settings.debug,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do", "jinja2.ext.i18n"],
    )
    presenting.install(environment)
    return environment
