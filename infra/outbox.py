"""The outbox: PostgreSQL's queue of record between a change and its background work.

A row is written by the transaction that makes the change. The relay leases it and hands it to arq; the job deletes it
in the transaction that has the effect. So delivery is at least once, the effect exactly once, and a row that remains
is proof that its effect did not happen. ``attempt`` grows with each lease and fences off a job whose lease has passed
to another.
"""

from typing import Any

from msgspec import Struct

from infra.db import Transaction, many
from infra.observe import request_id

CHANNEL = "outbox"
INDEX = "index"
"""Topic of the changes that one indexer takes in batches, past relay and lease (market/discovery/indexing.py)."""
TELL = "tell"
"""Topic of the events that people are told of, taken in batches as well (workers/notify.py)."""
# What is leased until some moment is not sent before it.
ADD = """
INSERT INTO outbox (topic, payload, request_id, leased_until)
VALUES ($1, $2, $3, CASE WHEN $4::float8 > 0 THEN now() + make_interval(secs => $4::float8) ELSE '-infinity' END)
"""
LEASE = """
UPDATE outbox SET attempt = attempt + 1, leased_by = $4, leased_until = now() + make_interval(secs => $2)
WHERE id IN (
    SELECT id FROM outbox WHERE parked_at IS NULL AND leased_until <= now() AND attempt < $3
      AND topic <> 'index' AND topic <> 'tell'
    ORDER BY leased_until, id
    LIMIT greatest(0, $1 - (
        SELECT count(*) FROM outbox WHERE parked_at IS NULL AND leased_until > now() AND leased_by = $4))
    FOR UPDATE SKIP LOCKED
)
RETURNING id, topic, payload, attempt, request_id
"""
PARK = """
UPDATE outbox SET parked_at = now()
WHERE parked_at IS NULL AND attempt >= $1 AND leased_until <= now() AND topic <> 'index' AND topic <> 'tell'
RETURNING id, topic, payload, attempt, request_id
"""
HELD = """
SELECT id, attempt FROM outbox WHERE leased_by = $1 AND leased_until > now() AND parked_at IS NULL
"""
# Not counted as an attempt: nobody has begun it.
GIVE_BACK = """
UPDATE outbox SET attempt = attempt - 1, leased_by = NULL, leased_until = '-infinity'
WHERE id = ANY($1::bigint[]) AND leased_by = $2
"""
# Longer than any lease or pause we give.
LONGEST_SECONDS = 900
MEND = """
UPDATE outbox SET leased_until = now() WHERE leased_until > now() + make_interval(secs => $1) AND parked_at IS NULL
RETURNING id
"""
DONE = "DELETE FROM outbox WHERE id = $1 AND attempt = $2 RETURNING id"
# The next attempt waits 1, 2, 4 … seconds, at most five minutes.
FAIL = """
UPDATE outbox
SET last_error = left($3, 2000), leased_by = NULL,
    leased_until = now() + make_interval(secs => least(300, 2 ^ (attempt - 1)))
WHERE id = $1 AND attempt = $2
"""
PEEK = """
SELECT id, payload FROM outbox
WHERE topic = 'index' AND parked_at IS NULL AND leased_until <= now() ORDER BY id LIMIT $1
"""
# Taken and deleted in the transaction that has the effect: what another holds is passed over. $2: one row, or any.
TAKE = """
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox
    WHERE topic = 'tell' AND parked_at IS NULL AND leased_until <= now() AND ($2::bigint IS NULL OR id = $2::bigint)
    ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
)
RETURNING id, payload
"""
WAITING = """
SELECT id FROM outbox WHERE topic = 'tell' AND parked_at IS NULL AND leased_until <= now() ORDER BY id LIMIT $1
"""
DROP = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"
REFUSE = """
UPDATE outbox SET attempt = attempt + 1, last_error = left($2, 2000),
    leased_until = now() + make_interval(secs => least(300, 2 ^ attempt)),
    parked_at = CASE WHEN attempt + 1 >= $3 THEN now() END
WHERE id = $1
"""
UNPARK = """
UPDATE outbox SET parked_at = NULL, attempt = 0, leased_until = '-infinity' WHERE parked_at IS NOT NULL RETURNING id
"""
DEPTH = """
SELECT count(*) FILTER (WHERE parked_at IS NULL) AS waiting,
       count(*) FILTER (WHERE parked_at IS NOT NULL) AS parked,
       coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE parked_at IS NULL)), 0)::float8
           AS oldest_seconds
FROM outbox
"""
# Of what nobody has tried yet: a row that fails, or waits for its moment, says nothing of those behind it.
LATE = """
SELECT coalesce(extract(epoch FROM now() - greatest(created_at, leased_until)), 0)::float8 FROM outbox
WHERE parked_at IS NULL AND attempt = 0 AND leased_until <= now() AND topic <> 'index' AND topic <> 'tell'
ORDER BY leased_until, id LIMIT 1
"""


class Row(Struct, frozen=True):
    """One leased row."""

    id: int
    topic: str
    payload: dict[str, Any]
    attempt: int
    request_id: str | None


class Telling(Struct, frozen=True):
    """A row that asks to tell people of an event: ``payload`` names its table (``source``) and its ``id``."""

    id: int
    payload: dict[str, Any]


class Depth(Struct, frozen=True):
    """How much work waits, how much was given up, and the age in seconds of the oldest that waits."""

    waiting: int
    parked: int
    oldest_seconds: float


class Change(Struct, frozen=True):
    """A row of the indexer's: ``payload`` names the index and the id of what changed."""

    id: int
    payload: dict[str, str]


class LeaseLost(Exception):
    """The row was leased to another attempt; this attempt must leave no effect."""


async def add(tx: Transaction, topic: str, *, after: float = 0.0, **payload: Any) -> None:
    """Ask for background work on ``topic`` once ``tx`` commits, and no sooner than ``after`` seconds from now."""
    await tx.execute(ADD, topic, payload, request_id(), after)
    wake_relay(tx)


def wake_relay(tx: Transaction) -> None:
    """Have the relay told once ``tx`` commits; for statements that write outbox rows themselves."""
    tx.channels_to_notify |= {CHANNEL}


async def lease(tx: Transaction, *, holder: str, limit: int, seconds: float, attempts: int) -> list[Row]:
    """Rows nobody works on, now ``holder``'s for ``seconds``; none that was tried ``attempts`` times.

    No more than make ``limit`` with those the holder has leased already and not seen done.
    """
    return many(Row, await tx.fetch(LEASE, limit, seconds, attempts, holder))


async def park(tx: Transaction, *, attempts: int) -> list[Row]:
    """Rows whose last attempt has run out, now left for a person to look at."""
    return many(Row, await tx.fetch(PARK, attempts))


async def held(tx: Transaction, holder: str) -> list[tuple[int, int]]:
    """Id and attempt of the rows ``holder`` has leased."""
    return [(row["id"], row["attempt"]) for row in await tx.fetch(HELD, holder)]


async def give_back(tx: Transaction, row_ids: list[int], holder: str) -> None:
    """End leases whose rows have reached nobody, as if they had not been.

    Should one have done so after all, there are two jobs with one lease: only one of them finds its row to delete.
    """
    await tx.execute(GIVE_BACK, row_ids, holder)


async def mend(tx: Transaction, lease_seconds: float) -> int:
    """End leases and pauses of before the clock was put back, which would last for as long as that; how many."""
    return len(await tx.fetch(MEND, max(LONGEST_SECONDS, 2 * lease_seconds)))


async def done(tx: Transaction, row_id: int, attempt: int) -> None:
    """Delete the row in the transaction of its effect.

    Raises:
        LeaseLost: the lease is not ours any more; the transaction must not commit.
    """
    if await tx.fetchval(DONE, row_id, attempt) is None:
        raise LeaseLost(f"outbox row {row_id}, attempt {attempt}")


async def fail(tx: Transaction, row_id: int, attempt: int, error: str) -> None:
    """Note why an attempt failed and when the next may come; nothing if the lease is not ours any more."""
    await tx.execute(FAIL, row_id, attempt, error)


async def changes(tx: Transaction, limit: int) -> list[Change]:
    """The oldest rows for the indexer, of which there is one at a time: nothing is leased."""
    return many(Change, await tx.fetch(PEEK, limit))


async def drop(tx: Transaction, row_ids: list[int]) -> None:
    """Changes that the engine has taken."""
    await tx.execute(DROP, row_ids)


async def take(tx: Transaction, limit: int, row_id: int | None = None) -> list[Telling]:
    """The oldest events to be told of, in order; gone from the outbox once ``tx`` commits."""
    return sorted(many(Telling, await tx.fetch(TAKE, limit, row_id)), key=lambda row: row.id)


async def waiting(tx: Transaction, limit: int) -> list[int]:
    """Ids of the oldest rows that ``take`` would give."""
    return [row["id"] for row in await tx.fetch(WAITING, limit)]


async def refuse(tx: Transaction, row_id: int, error: str, *, attempts: int) -> None:
    """Put off a change or telling that failed by itself, and park it after so many attempts: the others go on."""
    await tx.execute(REFUSE, row_id, error, attempts)


async def unpark(tx: Transaction) -> int:
    """Give parked rows a new round of attempts; how many there were."""
    return len(await tx.fetch(UNPARK))


async def depth(tx: Transaction) -> Depth:
    """How the outbox stands."""
    return many(Depth, await tx.fetch(DEPTH))[0]


async def late(tx: Transaction) -> float:
    """For how many seconds the first row that a worker could take up has been waiting for one."""
    return float(await tx.fetchval(LATE) or 0)
