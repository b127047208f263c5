"""Around every request, wherever it leads: its id, its line in the log, its place in the metrics, headers."""

import time
from collections.abc import Mapping
from typing import cast

import structlog
from litestar import Litestar, Request
from litestar.datastructures import MutableScopeHeaders, State
from litestar.enums import HttpMethod, ScopeType
from litestar.types import HTTPScope, LifeSpanScope, Message, Receive, Scope, Send

from infra.observe import ADDRESS, Metrics, bind_request
from infra.settings import Settings
from market import answering, i18n
from market.auth import cookie_name
from market.permissions import handlers
from market.web import hash_address
from matching.types import Lang

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
    "Cross-Origin-Resource-Policy": "same-origin",
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
                self._dress(MutableScopeHeaders.from_message(message), scope, request_id)
            elif head and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        try:
            with i18n.speaking(_language(request, self.state.services.settings)):
                if crowded and not scope["path"].startswith(UNSEEN):
                    self.metrics.refused.labels("crowded").inc()
                    await answering.crowded(scope, observed)
                else:
                    await answering.answer(super().__call__, scope, answering.impatient(receive), observed)
        finally:
            self.at_once -= 1
            self._count(scope, status, time.perf_counter() - started)

    def _dress(self, headers: MutableScopeHeaders, scope: HTTPScope, request_id: str) -> None:
        headers["X-Request-Id"] = request_id
        headers.setdefault("Content-Language", i18n.TAGS[i18n.lang()])
        # Not no-store, which would take what was typed from whoever comes back with the back button.
        headers.setdefault("Cache-Control", "private, no-cache")
        if not scope["path"].startswith(UNSEEN):
            headers.setdefault("Vary", i18n.VARY)
        for name, value in self.fixed_headers.items():
            headers[name] = value
        if scope["method"] == HttpMethod.OPTIONS and "allow" in headers:
            headers["Allow"] = self._allowed(scope)

    def _count(self, scope: HTTPScope, status: int, seconds: float) -> None:
        route = scope.get("path_template") or "unknown"
        self.metrics.requests.labels(scope["method"], route, status).inc()
        if not scope["path"].startswith(STREAMS):  # open as long as somebody looks
            self.metrics.seconds.labels(route).observe(seconds)
        if not scope["path"].startswith(UNSEEN):
            took = round(seconds * 1000, 1)
            who = {"account": scope["user"].id} if scope["user"] else {}
            log.info("request", method=scope["method"], path=scope["path"], status=status, milliseconds=took, **who)


def _language(request: Request[None, None, State], settings: Settings) -> Lang:
    """What the address asks for, else what the browser's switch says, else what Accept-Language prefers.

    The API knows no switch. An account's own language takes its place once it is known (``Authenticate``).
    """
    chosen = i18n.known(request.query_params.get("lang"))
    if chosen is None and not request.url.path.startswith("/api/"):
        chosen = i18n.known(request.cookies.get(cookie_name(settings, i18n.COOKIE)))
    return chosen or i18n.preferred(request.headers.get("accept-language", ""))
