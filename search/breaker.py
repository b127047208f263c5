"""A circuit breaker: an engine that failed several times is left alone for a while, and nobody waits for it."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from search.errors import NeedsRebuild, Unavailable

T = TypeVar("T")


class CircuitOpen(Unavailable):
    """The search engine failed before and is left alone for some seconds."""


class Breaker:
    """Opens after ``failures`` in a row; ``seconds`` later one caller tries, and closes or opens it again."""

    def __init__(self, *, failures: int = 3, seconds: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = failures
        self._seconds = seconds
        self._clock = clock
        self._failures = 0
        self._closed_again = 0.0

    async def call(self, act: Callable[[], Awaitable[T]]) -> T:
        """What ``act`` gives. Questions that no engine could answer do not count against it.

        Raises:
            CircuitOpen: it was not asked.
        """
        now = self._clock()
        if self._failures >= self._most:
            if now < self._closed_again:
                raise CircuitOpen
            self._closed_again = now + self._seconds  # this caller tries; the others are still sent away
        try:
            answer = await act()
        except (Unavailable, NeedsRebuild):
            self._failures += 1
            self._closed_again = self._clock() + self._seconds
            raise
        self._failures = 0
        return answer

    @property
    def open(self) -> bool:
        """Whether callers are sent away."""
        return self._failures >= self._most and self._clock() < self._closed_again
