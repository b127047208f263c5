"""One connection listens for all pages that watch from this process, and wakes those that what happened concerns.

The NOTIFY says only that there are new events (infra/live.py); which, is read from their table: once for all who watch,
and only while somebody does. Ids of events are given before they are committed, so that a smaller one may appear after
a larger one: what is younger than SETTLED_SECONDS is read again each time, and told once.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import Any

import structlog
from msgspec import Struct

from infra import live
from infra.db import Connection, Database, DatabaseUnavailable, Transaction
from market.errors import TooManyStreams
from market.live import queries
from market.live.queries import Change

MOST_OF_ONE = 12
"""Streams of one session: more are forgotten tabs, or somebody who tries how many there can be."""
BEAT_SECONDS = 15.0
"""So often a silent stream shows that it lives, and looks whether its reader is still logged in."""
PAUSE_SECONDS = 1.0
"""A page is told at most so often."""
SETTLED_SECONDS = 60.0
"""Transactions are shorter than this: by then every event has been seen."""
RETRY_SECONDS = 1.0

log = structlog.get_logger()


class Said(StrEnum):
    """What a stream tells its page."""

    CHANGED = "changed"
    """It may look different now."""
    ALIVE = "alive"
    END = "end"
    """Its reader has logged out, or may not see it any more."""


class Topic(Struct, frozen=True):
    """What a page shows: one need, the needs of a node's area, or those an institution serves."""

    need_id: int | None = None
    prefix: str | None = None
    institution_id: int | None = None

    def covers(self, change: Change) -> bool:
        """Whether the page may look different now."""
        if self.need_id is not None:
            return change.need_id == self.need_id
        if self.prefix is not None:
            return change.region_code.startswith(self.prefix)
        return change.institution_id is not None and change.institution_id == self.institution_id


class Watcher:
    """One page that watches. However much happens, it is woken once."""

    def __init__(self, topic: Topic, session: str) -> None:
        self.topic = topic
        self.session = session
        self.woken = asyncio.Event()
        self.changed = False
        self.ended = False

    def wake(self, *, changed: bool = False, ended: bool = False) -> None:
        self.changed |= changed
        self.ended |= ended
        self.woken.set()


class Hub:
    """At most ``most`` streams; ``beat`` seconds between signs of life."""

    def __init__(self, database: Database, *, most: int, beat: float = BEAT_SECONDS) -> None:
        self._db = database
        self._most = most
        self._beat = beat
        self._watchers: set[Watcher] = set()
        self._news = asyncio.Event()
        self._idle = True
        self._following = asyncio.Event()
        self._settled = 0
        self._recent: deque[tuple[float, int]] = deque()
        self._told: set[int] = set()
        self._closed = False

    # for pages -------------------------------------------------------------------------------------------------------

    def check_room(self, session: str) -> None:
        """For the answer, before its stream begins: once it has begun, nothing can be refused.

        Raises:
            TooManyStreams: there is no place for another.
        """
        of_one = sum(watcher.session == session for watcher in self._watchers)
        if self._closed or len(self._watchers) >= self._most or of_one >= MOST_OF_ONE:
            raise TooManyStreams

    @contextmanager
    def watching(self, topic: Topic, session: str) -> Iterator[Watcher]:
        """A place for one stream.

        Raises:
            TooManyStreams: as ``check_room``.
        """
        self.check_room(session)
        watcher = Watcher(topic, session)
        self._watchers.add(watcher)
        if self._idle:
            self._news.set()
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    async def following(self) -> None:
        """Until what happens from now on will be told; what happened before, a page has to ask for by its stamp.

        While PostgreSQL is away, no longer than a beat: pages look by the clock too.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._beat):
                await self._following.wait()

    async def stream(self, watcher: Watcher, may: Callable[[], Awaitable[bool]]) -> AsyncIterator[Said]:
        """What to tell the page, until ``may`` says no or the process stops."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._beat):
                    await watcher.woken.wait()
            watcher.woken.clear()
            changed, watcher.changed = watcher.changed, False
            if self._closed:
                return
            if watcher.ended or not await may():
                yield Said.END
                return
            yield Said.CHANGED if changed else Said.ALIVE
            await asyncio.sleep(PAUSE_SECONDS if changed else 0)

    def end(self, session: str) -> None:
        """The session's reader has logged out."""
        for watcher in self._watchers:
            if watcher.session == session:
                watcher.wake(ended=True)

    def close(self) -> None:
        """End all streams and accept no more: the process stops."""
        self._closed = True
        for watcher in self._watchers:
            watcher.wake()

    @property
    def sizes(self) -> Counter[str]:
        """How many streams each session has."""
        return Counter(watcher.session for watcher in self._watchers)

    # the listening side ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled, through outages of PostgreSQL."""
        listening: Connection | None = None
        try:
            while True:
                try:
                    if listening is None or listening.is_closed():
                        listening = await self._db.listen(live.CHANNEL, self._hear)
                    self._news.clear()
                    await self._tell()
                    # By the clock too: not every event is announced, and an announcement can be lost.
                    # Not wait_for: on Python 3.11 it can lose the cancellation that ends this.
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._beat):
                            await self._news.wait()
                except (DatabaseUnavailable, OSError) as error:
                    log.warning("live waits", reason=str(error))
                    await asyncio.sleep(RETRY_SECONDS)
                except Exception:  # whatever it is: pages look by the clock too, but should not have to
                    log.exception("live failed")
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            if listening is not None:
                listening.terminate()

    def _hear(self, *_: Any) -> None:
        self._news.set()

    async def _tell(self) -> None:
        if not self._watchers:
            self._idle = True  # what happens now, whoever comes later sees on the page
            self._following.clear()
            return
        now = time.monotonic()
        async with self._db.reading() as tx:
            if self._idle:
                await self._begin(tx, now)
            changes = await queries.since(tx, self._settled)
        self._following.set()
        fresh = [change for change in changes if change.id not in self._told]
        for change in fresh:
            self._told.add(change.id)
            self._recent.append((now, change.id))
        while self._recent and self._recent[0][0] < now - SETTLED_SECONDS:
            self._settled = max(self._settled, self._recent.popleft()[1])
        self._told = {one for one in self._told if one > self._settled}
        for watcher in self._watchers:
            if any(watcher.topic.covers(change) for change in fresh):
                watcher.wake(changed=True)

    async def _begin(self, tx: Transaction, now: float) -> None:
        """Follow from here: of the latest ids those that are missing may yet appear, the others are old."""
        newest = await queries.newest(tx)
        self._settled = max(0, newest - queries.LATE)
        self._told = {change.id for change in await queries.since(tx, self._settled)}
        self._recent.append((now, newest))
        self._idle = False
