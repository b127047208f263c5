"""A circuit breaker: while the engine keeps failing it is left alone, and who searches is told so at once."""

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

from search.errors import SearchError, Unavailable

T = TypeVar("T")
FAILURES = 3
PAUSE = 5.0


class CircuitOpen(Unavailable):
    """The engine has failed repeatedly and is left alone for a while."""


class Breaker:
    """Closed: calls pass. Open, after failures in a row: none does. Half open, after a pause: one does, as a probe.

    A wrong query is no failure. For the event loop's one thread.
    """

    def __init__(
        self, *, failures: int = FAILURES, pause: float = PAUSE, clock: Callable[[], float] = monotonic
    ) -> None:
        """`failures` in a row that open it; `pause`, seconds before a probe."""
        self._most = failures
        self._pause = pause
        self._clock = clock
        self._failed = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> str:
        """closed, open or half-open."""
        if self._opened_at is None:
            return "closed"
        return "open" if self._clock() - self._opened_at < self._pause else "half-open"

    async def call(self, make: Callable[[], Awaitable[T]]) -> T:
        """Make the call, if it may be made.

        Raises:
            CircuitOpen: it may not. SearchError: what the call raised.
        """
        state = self.state
        if state == "open" or self._probing:
            raise CircuitOpen(f"{self._failed} failures in a row")
        self._probing = state == "half-open"
        try:
            answer = await make()
        except SearchError as error:
            self._count(failed=not error.wrong_query)
            raise
        else:
            self._count(failed=False)
            return answer
        finally:
            self._probing = False

    def _count(self, *, failed: bool) -> None:
        self._failed = self._failed + 1 if failed else 0
        if not failed:
            self._opened_at = None
        elif self._failed >= self._most:
            self._opened_at = self._clock()
