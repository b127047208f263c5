"""PostgreSQL: a small free-list of connections, one way to open a transaction, rows to Structs.

``asyncpg.Pool`` would be the largest single cost of a request: its acquire and its reset query on release halve the
throughput (docs/decisions/0003-connections.md). The free-list may leave the reset out because no code here leaves
session state behind (no SET, LISTEN or advisory session lock) and a connection that saw an error or a cancellation
outside of a clean rollback is thrown away.
"""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import asyncpg
import msgspec

from infra.cipher import Cipher

T = TypeVar("T")
Record = asyncpg.Record


class Connection(asyncpg.Connection):
    """One connection to PostgreSQL."""

    channels_to_notify: frozenset[str] = frozenset()
    """Added to by whoever wants a NOTIFY on a channel once the transaction has committed."""
    keys: Callable[[], Cipher]
    """What opens sealed fields (infra/fields.py); raises NoKeysError where the database was opened without."""


Transaction = Connection
"""A connection inside the caller's transaction: what services and queries take."""

NOTIFY = "SELECT pg_notify($1, '')"
HOLD = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
# What an outage looks like: no socket, a server that shuts down or starts, no more connections, no disk. An ending that
# the server tells between two statements upsets asyncpg's protocol, which calls that an internal error of the client.
LOST = (
    ConnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    TimeoutError,  # no answer, where PostgreSQL itself would have ended the statement: the line is dead
)
REFUSED = (OSError, asyncpg.InvalidCatalogNameError, asyncpg.InvalidAuthorizationSpecificationError)

CONFLICTS = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""PostgreSQL ended one transaction so that another could go on: from its start again, it goes through."""
ATTEMPTS = 4
FIRST_PAUSE = 0.02
AWAY_SECONDS = 0.2
"""So long after a connection was refused nobody tries another: a server that starts has to fork for each it refuses."""
ANSWER_SECONDS = 5.0
"""So much later than PostgreSQL ends a statement we take the connection for dead."""


class DatabaseUnavailable(Exception):
    """PostgreSQL cannot be reached, or no connection came free in time. Try again shortly."""


class NoKeysError(Exception):
    """The database was opened without the keys of its sealed fields."""


class NotCommittedError(Exception):
    """The transaction had failed inside, and PostgreSQL rolled it back instead of committing it."""


class Database:
    """At most ``size`` connections to ``url``; a caller waits at most ``wait`` seconds for one."""

    def __init__(
        self,
        url: str,
        *,
        size: int,
        wait: float,
        statement_timeout_ms: int,
        lock_timeout_ms: int,
        name: str,
        keys: Callable[[], Cipher] | None = None,
    ) -> None:
        self.url = url
        self._keys = keys or _no_keys
        self._wait = wait
        self._command_timeout = statement_timeout_ms / 1000 + ANSWER_SECONDS
        self._free: list[Connection] = []
        self._slots = asyncio.Semaphore(size)
        self._closed = False
        self._refused_at, self._refusal = -math.inf, ""
        self._unheard: set[str] = set()
        self._notifying: asyncio.Task[None] | None = None
        self._server_settings = {
            "application_name": f"zhipei-{name}",
            "statement_timeout": str(statement_timeout_ms),
            "lock_timeout": str(lock_timeout_ms),
            "idle_in_transaction_session_timeout": "30000",
            "timezone": "UTC",
            "jit": "off",  # compiling costs more than it saves on queries this short
        }

    async def connect(self) -> Connection:
        """A connection outside of the free-list, for LISTEN; the caller closes it."""
        try:
            connection = await asyncpg.connect(
                self.url,
                connection_class=Connection,
                timeout=self._wait,
                server_settings=self._server_settings,
                command_timeout=self._command_timeout,
            )
        except (*LOST, *REFUSED) as error:
            raise DatabaseUnavailable(f"cannot connect to PostgreSQL: {error!r}") from error
        try:
            async with asyncio.timeout(self._wait):
                await connection.set_type_codec(
                    "jsonb", schema="pg_catalog", encoder=_encode_json, decoder=msgspec.json.decode
                )
        except LOST as error:
            connection.terminate()
            raise DatabaseUnavailable(f"lost the connection to PostgreSQL: {error}") from error
        except BaseException:
            connection.terminate()
            raise
        connection.keys = self._keys
        return connection

    async def listen(self, channel: str, hear: Callable[..., None]) -> Connection:
        """A connection of its own that calls ``hear`` for every NOTIFY; the caller closes it."""
        connection = await self.connect()
        try:
            await connection.add_listener(channel, hear)
        except BaseException:  # whoever listens may be ended just now
            connection.terminate()
            raise
        return connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Everything inside is committed together, or not at all.

        Raises:
            DatabaseUnavailable: no connection could be had, or it broke before the commit was confirmed.
        """
        connection = await self._acquire()
        try:
            await connection.execute("BEGIN")
            yield connection
            _check_committed(await connection.execute("COMMIT"))
            self._notify(connection)
        except LOST as error:
            connection.terminate()
            raise DatabaseUnavailable(f"lost the connection to PostgreSQL: {error}") from error
        except Exception:
            await self._roll_back(connection)
            raise
        except BaseException:
            connection.terminate()  # cancelled or closed: the protocol may be in the middle of a message
            raise
        finally:
            self._release(connection)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """A connection for single statements, each its own transaction: nothing is left to roll back."""
        connection = await self._acquire()
        try:
            yield connection
        except LOST as error:
            connection.terminate()
            raise DatabaseUnavailable(f"lost the connection to PostgreSQL: {error}") from error
        except Exception:
            raise
        except BaseException:
            connection.terminate()
            raise
        finally:
            self._release(connection)

    def _notify(self, connection: Connection) -> None:
        """Tell listeners of a committed transaction, soon, and once for all that commit meanwhile.

        Not within the transaction: PostgreSQL lets transactions that notify commit only one after another, each with
        an fsync of its own, which costs two thirds of the submissions a second (docs/decisions/0001-outbox.md).
        """
        channels, connection.channels_to_notify = connection.channels_to_notify, frozenset()
        if channels:
            self._unheard |= channels
            if self._notifying is None or self._notifying.done():
                self._notifying = asyncio.create_task(self._notify_all())

    async def _notify_all(self) -> None:
        while self._unheard and not self._closed:
            channels, self._unheard = self._unheard, set()
            with suppress(DatabaseUnavailable):  # whoever listens also looks by the clock
                async with self.reading() as connection:
                    for channel in channels:
                        await connection.execute(NOTIFY, channel)

    async def close(self) -> None:
        """Close what is free; what is in use closes on release."""
        self._closed = True
        if self._notifying is not None:
            await asyncio.wait([self._notifying])
        while self._free:
            await self._free.pop().close(timeout=2)

    async def _acquire(self) -> Connection:
        try:
            # Not wait_for: on Python 3.11 it loses a cancellation that comes together with the free slot, and whoever
            # was to end goes on for good.
            async with asyncio.timeout(self._wait):
                await self._slots.acquire()
        except TimeoutError:
            raise DatabaseUnavailable(f"no database connection came free in {self._wait:g} s") from None
        while self._free:
            connection = self._free.pop()
            if not connection.is_closed():
                return connection
        try:
            return await self._connect_unless_away()
        except BaseException:
            self._slots.release()
            raise

    async def _connect_unless_away(self) -> Connection:
        if time.monotonic() - self._refused_at < AWAY_SECONDS:
            raise DatabaseUnavailable(self._refusal)
        try:
            return await self.connect()
        except DatabaseUnavailable as error:
            self._refused_at, self._refusal = time.monotonic(), str(error)
            raise

    def _release(self, connection: Connection) -> None:
        if self._closed:
            connection.terminate()
        elif not connection.is_closed():
            self._free.append(connection)
        self._slots.release()

    async def _roll_back(self, connection: Connection) -> None:
        connection.channels_to_notify = frozenset()
        try:
            await connection.execute("ROLLBACK")
        except BaseException as error:
            connection.terminate()  # nobody may get it in the middle of a transaction
            if not isinstance(error, (*LOST, asyncpg.PostgresError)):
                raise


def _no_keys() -> Cipher:
    raise NoKeysError


def _check_committed(tag: str) -> None:
    if tag != "COMMIT":
        raise NotCommittedError


async def start_over(tx: Transaction) -> None:
    """Undo all that the transaction did, and go on in a new one on the same connection.

    For telling somebody why a step was refused: a part of it may be written, or an error have ended the transaction.
    A second connection for that, while this one is held, would let a few refusals use up all there are.
    """
    tx.channels_to_notify = frozenset()
    await tx.execute("ROLLBACK")
    await tx.execute("BEGIN")


async def hold(tx: Transaction, name: str) -> None:
    """Be the only one to work on what has that name, until the transaction ends: for what no single row stands for."""
    await tx.execute(HOLD, name)


@asynccontextmanager
async def savepoint(tx: Transaction) -> AsyncIterator[None]:
    """A part of a transaction that is undone by itself where it raises; what went before stays. Not to be nested."""
    await tx.execute("SAVEPOINT part")
    try:
        yield
    except Exception:
        await tx.execute("ROLLBACK TO SAVEPOINT part")
        raise
    await tx.execute("RELEASE SAVEPOINT part")


async def repeated(act: Callable[[], Awaitable[T]]) -> T:
    """What ``act`` returns; after a short pause of random length from its start again, where CONFLICTS end it.

    ``act`` begins its own transaction, and has no effect outside of it.
    """
    for attempt in range(ATTEMPTS - 1):
        try:
            return await act()
        except CONFLICTS:
            await asyncio.sleep(random.uniform(0, FIRST_PAUSE * 2**attempt))  # noqa: S311  only not both at once
    return await act()


def one(kind: type[T], row: Record) -> T:
    """``row`` as a ``kind``."""
    return msgspec.convert(dict(row), kind)


def one_or_none(kind: type[T], row: Record | None) -> T | None:
    """``row`` as a ``kind``; None stays None."""
    return None if row is None else one(kind, row)


def many(kind: type[T], rows: Sequence[Record]) -> list[T]:
    """Each of ``rows`` as a ``kind``."""
    return [one(kind, row) for row in rows]


def _encode_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
