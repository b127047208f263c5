"""What a running Zhipei tells of itself: metrics, and JSON logs with a request id that follows a need into its job."""

import logging
import sys
import uuid
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REQUEST_ID = "request_id"
ADDRESS = "address"


def configure_logs(level: str, *, as_json: bool) -> None:
    """Send structlog and the standard library's loggers to standard output, a line an event."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False) if as_json else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.getLogger("uvicorn.access").disabled = True  # the request middleware writes one line with more in it
    logging.getLogger("arq.worker").setLevel(logging.WARNING)  # the jobs write their own lines


def request_id() -> str | None:
    """The id of the request, or of the request that caused the job, now worked on."""
    value: str | None = structlog.contextvars.get_contextvars().get(REQUEST_ID)
    return value


def address() -> str | None:
    """A keyed hash of the address the request came from; None in jobs and at the terminal."""
    value: str | None = structlog.contextvars.get_contextvars().get(ADDRESS)
    return value


def bind_request(given: str | None, **values: Any) -> str:
    """Bind a request id (``given`` if it is a short plain word, otherwise a new one) to the log lines that follow."""
    chosen = (
        given
        if given and len(given) <= 64 and given.replace("-", "").isalnum() and given.isascii()
        else uuid.uuid4().hex
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**{REQUEST_ID: chosen}, **values)
    return chosen


MODEL = {
    "calibration_error": "Mean distance between promised and observed acceptance",
    "overrides_ratio": "Share of the last 30 days' decisions that put another in the first choice's place",
    "ndcg": "NDCG@10 of the last week's lists",
    "newcomers_exposure_ratio": "What newcomers were shown this month, over their share of the offerings; 1 is fair",
    "gini": "Gini coefficient of this month's matches over institutions",
    "measured_timestamp_seconds": "When the nightly job measured the model",
}
"""Gauges of the model that ranks, as the nightly job measured it; NaN where there is nothing to measure."""


class Metrics:
    """The process's metrics on a registry of its own, so that two applications in one process stay apart."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "zhipei_requests_total",
            "Requests answered",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "zhipei_request_seconds", "Time from request to answer", ["route"], registry=self.registry
        )
        self.outbox_waiting = Gauge("zhipei_outbox_waiting", "Outbox rows not yet done", registry=self.registry)
        self.outbox_parked = Gauge("zhipei_outbox_parked", "Outbox rows given up", registry=self.registry)
        self.outbox_oldest = Gauge(
            "zhipei_outbox_oldest_seconds", "Age of the oldest waiting outbox row", registry=self.registry
        )
        self.outbox_late = Gauge(
            "zhipei_outbox_late_seconds",
            "For how long the first row that nobody has tried has been due",
            registry=self.registry,
        )
        self.at_once = Gauge("zhipei_requests_at_once", "Requests being answered", registry=self.registry)
        self.refused = Counter(
            "zhipei_refused_total", "Refusals that keep the rest going", ["why"], registry=self.registry
        )
        self.deadlines_behind = Gauge(
            "zhipei_deadlines_behind_seconds",
            "For how long the first step that is due has waited",
            registry=self.registry,
        )
        self.deliveries_waiting = Gauge(
            "zhipei_deliveries_waiting", "Letters and webhooks not yet sent", registry=self.registry
        )
        self.deliveries_parked = Gauge(
            "zhipei_deliveries_parked", "Letters and webhooks given up", registry=self.registry
        )
        self.deliveries_oldest = Gauge(
            "zhipei_deliveries_oldest_seconds",
            "Age of the oldest letter or webhook that is due",
            registry=self.registry,
        )
        self.needs = Gauge("zhipei_needs", "Needs by state", ["state"], registry=self.registry)
        self.model_drift = Gauge(
            "zhipei_model_psi",
            "Population stability index of the last 30 days' candidates against those learned from",
            ["feature"],
            registry=self.registry,
        )
        self.model = {
            name: Gauge(f"zhipei_model_{name}", words, registry=self.registry) for name, words in MODEL.items()
        }
