"""Whether a process lives, whether it is ready, and its metrics."""

import asyncio
import math
from typing import Literal

from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis.exceptions import RedisError

from infra import outbox
from infra.db import Database, DatabaseUnavailable
from infra.migrate import MigrationError, pending
from infra.observe import Metrics
from market.deadlines import queries as deadlines
from market.learning import queries as learning
from market.learning.model import StoredHealth
from market.messages import delivery_queries as deliveries
from market.needs import queries as needs
from market.needs.model import NeedState
from market.web import Services


class Readiness(Struct, frozen=True):
    """Whether requests can be served; of each thing that takes: "ok", or why not.

    ``degraded``: they can, with what docs/operations.md says is missing while Redis is away.
    """

    status: Literal["ready", "degraded", "no"]
    database: str
    schema: str
    redis: str
    stopping: bool


async def readiness(held: Services) -> Readiness:
    """Ask PostgreSQL and Redis now."""
    (database, schema), redis = await asyncio.gather(_database(held.db), _redis(held))
    stopping = held.stopping.is_set()
    serves = database == schema == "ok" and not stopping
    return Readiness(
        status="no" if not serves else "ready" if redis == "ok" else "degraded",
        database=database,
        schema=schema,
        redis=redis,
        stopping=stopping,
    )


async def _database(database: Database) -> tuple[str, str]:
    try:
        async with database.reading() as tx:
            missing = await pending(tx)
    except MigrationError:  # of a newer release, which may come before us: an older one serves on it
        return "ok", "ok"
    except DatabaseUnavailable as error:
        return str(error), "unknown"
    return "ok", f"{missing[0].name} is missing: zhipei migrate" if missing else "ok"


async def _redis(held: Services) -> str:
    try:
        await held.redis.ping()
    except RedisError as error:
        return str(error) or type(error).__name__
    return "ok"


async def metrics(held: Services) -> tuple[bytes, str]:
    """Prometheus' text format, and its media type. What lies in PostgreSQL is read at this moment."""
    gauges = held.metrics
    async with held.db.reading() as tx:
        depth, late = await outbox.depth(tx), await outbox.late(tx)
        behind = await deadlines.behind(tx)
        backlog = await deliveries.backlog(tx)
        counts = await needs.counts(tx, "")
        measured = await learning.health(tx)
    gauges.outbox_waiting.set(depth.waiting)
    gauges.outbox_parked.set(depth.parked)
    gauges.outbox_oldest.set(depth.oldest_seconds)
    gauges.outbox_late.set(late)
    gauges.deadlines_behind.set(behind)
    gauges.deliveries_waiting.set(backlog.waiting)
    gauges.deliveries_parked.set(backlog.parked)
    gauges.deliveries_oldest.set(backlog.oldest_seconds)
    for state in NeedState:
        if state is not NeedState.NEW:
            gauges.needs.labels(state).set(counts.get(state, 0))
    _set_model(gauges, measured)
    return generate_latest(gauges.registry), CONTENT_TYPE_LATEST


def _set_model(gauges: Metrics, measured: StoredHealth | None) -> None:
    """What the night measured. The features of another release's model are gone from the answer."""
    gauges.model_drift.clear()
    found = measured.content if measured else None
    for one in found.drift if found else ():
        gauges.model_drift.labels(one.feature).set(one.psi)
    week = found.weeks[-1] if found and found.weeks else None
    month = found.months[-1] if found and found.months else None
    values = {
        "calibration_error": found.calibration_error if found else None,
        "overrides_ratio": found.overrides if found else None,
        "ndcg": week.ndcg if week else None,
        "newcomers_exposure_ratio": month.newcomers_exposure / month.newcomers if month and month.newcomers else None,
        "gini": month.gini if month else None,
        "measured_timestamp_seconds": measured.measured_at.timestamp() if measured else None,
    }
    for name, value in values.items():
        gauges.model[name].set(math.nan if value is None else value)
