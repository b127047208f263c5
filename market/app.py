"""The application put together: the only place that knows all modules."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Litestar, MediaType, Response, Router, get
from litestar.config.compression import CompressionConfig
from litestar.config.csrf import CSRFConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.middleware import DefineMiddleware
from litestar.middleware.compression import CompressionMiddleware
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.plugins.htmx import HTMXPlugin
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.static_files import create_static_files_router
from litestar.template import TemplateConfig
from redis.asyncio import Redis

from infra.cipher import keys_of
from infra.db import Database
from infra.limits import Limiter
from infra.observe import Metrics
from infra.settings import Settings
from market import describing, health, presenting
from market.accounts import api as accounts_api
from market.accounts.oidc import Provider
from market.accounts.passwords import Hasher
from market.accounts.sessions import Sessions
from market.application import HEADERS, SECURE_HEADERS, Application
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
from market.permissions import closed
from market.plans import api as plans_api
from market.pressure import Pressure
from market.problems import on_error
from market.ratings import api as ratings_api
from market.regions import api as regions_api
from market.rules import api as rules_api
from market.standing import api as standing_api
from market.statistics import api as statistics_api
from market.statistics.service import StatisticsSource
from market.supervision import api as supervision_api
from market.web import (
    AppRequest,
    Services,
    provide_catalogue,
    provide_deadlines,
    provide_finder,
    provide_tx,
    services,
)
from search.breaker import Breaker

HERE = Path(__file__).parent


@get("/healthz", include_in_schema=False, media_type=MediaType.TEXT)
async def healthz() -> str:
    """The process lives."""
    return "ok"


@get("/readyz", include_in_schema=False)
async def readyz(request: AppRequest) -> Response[health.Readiness]:
    """The process can serve: 503, with the reason, when it cannot."""
    state = await health.readiness(services(request))
    return Response(state, status_code=503 if state.status == "no" else 200)


@get("/metrics", include_in_schema=False)
async def metrics(request: AppRequest) -> Response[bytes]:
    """For Prometheus."""
    body, media_type = await health.metrics(services(request))
    return Response(body, media_type=media_type)


def create_app(settings: Settings, *, csrf_secret: str) -> Litestar:
    """The web application. ``settings`` name the servers; ``csrf_secret`` has to be the same in every process."""
    held = _services(settings, csrf_secret)
    openapi = _openapi()
    app = Application(
        route_handlers=[healthz, readyz, metrics, _api(), *page_routers(), _static()],
        dependencies={
            "tx": Provide(provide_tx),
            "deadlines": Provide(provide_deadlines),
            "catalogue": Provide(provide_catalogue),
            "finder": Provide(provide_finder, sync_to_thread=False),
        },
        middleware=[DefineMiddleware(Authenticate, exclude=["^/static", "^/healthz", "^/readyz", "^/metrics"])],
        csrf_config=_csrf(settings, csrf_secret),
        guards=[closed],
        exception_handlers={Exception: on_error},
        lifespan=[partial(_lifespan, held)],
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
    held.metrics.at_once.set_function(lambda: app.at_once)
    return app


def _services(settings: Settings, secret: str) -> Services:
    assert settings.database_url is not None
    assert settings.redis_url is not None
    keys = keys_of(settings, secret)
    database = Database(
        settings.database_url,
        size=settings.db_connections,
        wait=settings.db_wait_seconds,
        statement_timeout_ms=settings.statement_timeout_ms,
        lock_timeout_ms=settings.lock_timeout_ms,
        name="web",
        keys=keys,
    )
    redis = Redis.from_url(settings.redis_url, socket_timeout=2, socket_connect_timeout=2)
    finder, cipher, counted = Finder(open_engine(settings), Breaker()), keys(), Metrics()
    return Services(
        settings=settings,
        secret=secret,
        db=database,
        redis=redis,
        sessions=Sessions(redis, settings, cipher),
        cipher=cipher,
        hasher=Hasher(settings.hash_threads),
        limiter=Limiter(redis, settings.namespace),
        provider=Provider(settings) if settings.oidc_issuer and settings.oidc_client_id else None,
        deadlines=DeadlinesSource(),
        catalogue=CatalogueSource(settings.own_words, finder),
        statistics=StatisticsSource(),
        finder=finder,
        metrics=counted,
        pressure=Pressure(settings, counted),
        hub=Hub(database, most=settings.live_streams),
        stopping=asyncio.Event(),
    )


@asynccontextmanager
async def _lifespan(held: Services, _app: Litestar) -> AsyncGenerator[None, None]:
    listening = asyncio.create_task(held.hub.run())
    yield
    held.hub.close()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await held.finder.aclose()
    await held.db.close()
    await held.redis.aclose()


def _static() -> Router:
    return create_static_files_router(
        "/static/dist",
        directories=[HERE / "static" / "dist"],
        cache_control=presenting.STATIC_CACHE,
        # Files only: a page holds a token, and what it reflects would let others measure that (BREACH).
        middleware=[DefineMiddleware(CompressionMiddleware, config=CompressionConfig(backend="gzip"))],
        include_in_schema=False,
        opt={"exclude_from_auth": True},
    )


def _csrf(settings: Settings, secret: str) -> CSRFConfig:
    return CSRFConfig(
        secret=secret,
        cookie_name=cookie_name(settings, CSRF_COOKIE),
        cookie_secure=settings.secure_cookies,
        cookie_httponly=True,
        # An answer that others may keep carries no cookie; letters' links are signed, and posted by mail programs.
        exclude=[
            *("^/api/", r"^/feed\.", r"^/(sitemap\.xml|robots\.txt|\.well-known/)"),
            *("^/statistics/", "^/static/", "^/mail/"),
        ],
    )


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
            statistics_api.router(),
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
