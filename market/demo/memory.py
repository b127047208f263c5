"""What institutions have done by a moment of the demo's story, as the product would remember it."""

from collections import Counter
from datetime import datetime, timedelta

from market.matches.ranking import PROPOSED_DAYS
from matching.past import NO_PAST, Past
from matching.types import PastService

READ_EVERY = timedelta(days=10)
"""The product reads it every hour, which would take the story a minute."""


class Memory:
    """Grows while the story goes on."""

    def __init__(self, began: datetime) -> None:
        self._services: list[PastService] = []
        self._proposals: list[tuple[datetime, int]] = []
        self._past, self._read_next = NO_PAST, began + READ_EVERY

    def keep_service(self, text: str, institution_id: int, industry: str | None) -> None:
        """A need was completed."""
        self._services.append(PastService(text, institution_id, industry))

    def keep_proposal(self, at: datetime, offering_id: int) -> None:
        """An offering was proposed."""
        self._proposals.append((at, offering_id))

    def past(self, at: datetime) -> Past:
        """What is known at a moment, which never goes back."""
        if at >= self._read_next:
            since = at - timedelta(days=PROPOSED_DAYS)
            recent = Counter(offering_id for proposed_at, offering_id in self._proposals if proposed_at > since)
            self._past, self._read_next = Past.build(self._services, recent), at + READ_EVERY
        return self._past
