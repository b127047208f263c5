"""Back-pressure: when background work does not keep up, no more of it is taken in, before the database is hurt."""

import time

from infra import outbox
from infra.db import Transaction
from infra.observe import Metrics
from infra.settings import Settings
from market.errors import Overloaded

LOOK_SECONDS = 1.0
"""How old the answer may be by which a submission is taken in."""


class Pressure:
    """How far background work is behind, as each process sees it."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._limits = {True: settings.outbox_most_seconds, False: settings.outbox_late_seconds}
        self._metrics = metrics
        self._late, self._looked_at = 0.0, -LOOK_SECONDS

    async def admit(self, tx: Transaction, *, person: bool) -> None:
        """Whether one more need may be taken in; ``person``: somebody waits before a page, and does not come in bulk.

        Raises:
            Overloaded: not now.
        """
        limit = self._limits[person]
        if limit and await self._seconds(tx) > limit:
            self._metrics.refused.labels("outbox").inc()
            raise Overloaded

    async def _seconds(self, tx: Transaction) -> float:
        if (now := time.monotonic()) - self._looked_at >= LOOK_SECONDS:
            self._late, self._looked_at = await outbox.late(tx), now
        return self._late
