"""Whether a process lives, whether it is ready, and its metrics."""

from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis.exceptions import RedisError

from infra import outbox
from infra.db import DatabaseUnavailable
from market.deadlines import queries as deadlines
from market.needs import queries as needs
from market.needs.model import NeedState
from market.web import Services


class Readiness(Struct, frozen=True):
    """What each server the process needs answered: "ok", or why not."""

    database: str
    redis: str

    @property
    def ready(self) -> bool:
        """Whether requests can be served."""
        return self.database == self.redis == "ok"


async def readiness(held: Services) -> Readiness:
    """Ask PostgreSQL and Redis now."""
    database = redis = "ok"
    try:
        async with held.db.reading() as tx:
            await outbox.depth(tx)
    except DatabaseUnavailable as error:
        database = str(error)
    try:
        await held.redis.ping()
    except RedisError as error:
        redis = str(error)
    return Readiness(database, redis)


async def metrics(held: Services) -> tuple[bytes, str]:
    """Prometheus' text format, and its media type. What lies in PostgreSQL is read at this moment."""
    gauges = held.metrics
    async with held.db.reading() as tx:
        depth = await outbox.depth(tx)
        behind = await deadlines.behind(tx)
        counts = await needs.counts(tx, "")
    gauges.outbox_waiting.set(depth.waiting)
    gauges.outbox_parked.set(depth.parked)
    gauges.outbox_oldest.set(depth.oldest_seconds)
    gauges.deadlines_behind.set(behind)
    for state in NeedState:
        if state is not NeedState.NEW:
            gauges.needs.labels(state).set(counts.get(state, 0))
    return generate_latest(gauges.registry), CONTENT_TYPE_LATEST
