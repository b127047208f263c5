"""All SQL of the audit trail."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from infra.db import Transaction, many, one
from market.audit.model import Entry, Filter, Link, Seal, Shown, Snapshot

PAGE = 2000
ADD = """
INSERT INTO audit (actor_id, role, action, object, request_id, address, data) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (request_id, object) WHERE action = 'view' DO NOTHING
"""
# Only one continues the chain at a time; another that tries comes again later.
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('zhipei audit chain'))"
LAST_SEAL = "SELECT position, hash, horizon, at FROM audit_seals ORDER BY position DESC LIMIT 1"
SNAPSHOT = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS future
"""
# The transaction of the entry after the first $3 of $1 ≤ transaction < $2; past the first one, if that has so many.
NEARER = """
SELECT greatest(transaction, 1 + (SELECT min(transaction) FROM audit WHERE transaction >= $1))
FROM audit WHERE transaction >= $1 AND transaction < $2 ORDER BY transaction OFFSET $3 LIMIT 1
"""
COLUMNS = "a.id, a.at, a.actor_id, a.role, a.action, a.object, a.request_id, a.address, a.data"
UNCHAINED = f"""
SELECT {COLUMNS} FROM audit a
WHERE a.transaction >= $1 AND a.transaction < $2 AND NOT EXISTS (SELECT FROM audit_chain c WHERE c.audit_id = a.id)
ORDER BY a.transaction, a.id
"""
# After a restoring transactions are counted anew: whatever is unchained and not of one that may still run.
FOREIGN = f"""
SELECT {COLUMNS} FROM audit a
WHERE (a.transaction < $1 OR a.transaction >= $2) AND NOT EXISTS (SELECT FROM audit_chain c WHERE c.audit_id = a.id)
ORDER BY a.transaction, a.id
"""
CHAIN = (
    "INSERT INTO audit_chain (position, audit_id, hash) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])"
)
SEAL = "INSERT INTO audit_seals (position, hash, horizon) VALUES ($1, $2, $3)"
LINKS = """
SELECT c.position, c.audit_id, c.hash,
       CASE WHEN a.id IS NOT NULL THEN to_jsonb(a) - 'transaction' END AS entry
FROM audit_chain c LEFT JOIN audit a ON a.id = c.audit_id
WHERE c.position > $1 ORDER BY c.position LIMIT $2
"""
SEALS = "SELECT position, hash, horizon, at FROM audit_seals ORDER BY position"
# Written long enough ago to be in the chain: the transaction ended before the last seal's horizon.
STRAY = """
SELECT a.id FROM audit a
WHERE a.transaction < $1 AND NOT EXISTS (SELECT FROM audit_chain c WHERE c.audit_id = a.id) ORDER BY a.id LIMIT 100
"""
WAITING = "SELECT count(*) FROM audit a WHERE NOT EXISTS (SELECT FROM audit_chain c WHERE c.audit_id = a.id)"
# Only what the next sealing would look at: it is an index scan however long the trail is.
LATE = """
SELECT coalesce(extract(epoch FROM now() - min(a.at)), 0)::float8 FROM audit a
WHERE a.transaction >= (SELECT horizon FROM audit_seals ORDER BY position DESC LIMIT 1)
  AND NOT EXISTS (SELECT FROM audit_chain c WHERE c.audit_id = a.id)
"""
FORGET = "SELECT forget_audit($1)"
ASKED_LATELY = """
SELECT EXISTS (SELECT FROM audit WHERE object = $2 AND action = 'view' AND actor_id = $1 AND data ? 'asked'
               AND at > now() - make_interval(mins => $3))
"""
HOLD_STILL = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
LISTING = f"""
SELECT {COLUMNS}, n.login FROM audit a LEFT JOIN accounts n ON n.id = a.actor_id
WHERE ($1::text IS NULL OR n.login = $1::text) AND ($2::text IS NULL OR a.action = $2::text)
  AND ($3::text IS NULL OR a.object = $3::text OR starts_with(a.object, $3::text || ':'))
  AND ($4::timestamptz IS NULL OR a.at >= $4::timestamptz) AND ($5::timestamptz IS NULL OR a.at < $5::timestamptz)
  AND ($6::bigint IS NULL OR a.id < $6::bigint)
ORDER BY a.id DESC LIMIT $7
"""


async def add(
    tx: Transaction,
    *,
    actor_id: int | None,
    role: str,
    action: str,
    about: str,
    request_id: str | None,
    address: str | None,
    data: dict[str, Any],
) -> None:
    """Write an entry; a view that this request has told of already is passed over."""
    await tx.execute(ADD, actor_id, role, action, about, request_id, address, data)


async def asked_lately(tx: Transaction, actor_id: int, about: str, minutes: int) -> bool:
    """Whether the account asked to be shown the object so few minutes ago."""
    return bool(await tx.fetchval(ASKED_LATELY, actor_id, about, minutes))


async def try_lock(tx: Transaction) -> bool:
    """Whether the chain is ours to continue, until the transaction ends."""
    return bool(await tx.fetchval(TRY_LOCK))


async def last_seal(tx: Transaction) -> Seal:
    """Where the chain stands."""
    return one(Seal, (await tx.fetch(LAST_SEAL))[0])


async def snapshot(tx: Transaction) -> Snapshot:
    """Which transactions have ended by now."""
    return one(Snapshot, (await tx.fetch(SNAPSHOT))[0])


async def nearer(tx: Transaction, start: int, horizon: int, most: int) -> int | None:
    """A transaction that about ``most`` entries come before; None where there are no more."""
    found: int | None = await tx.fetchval(NEARER, start, horizon, most)
    return found


async def unchained(tx: Transaction, start: int, horizon: int) -> list[Entry]:
    """Entries of the transactions from ``start`` to before ``horizon``, in the order of the chain."""
    return many(Entry, await tx.fetch(UNCHAINED, start, horizon))


async def foreign(tx: Transaction, now: Snapshot) -> list[Entry]:
    """Entries that came with a restored database."""
    return many(Entry, await tx.fetch(FOREIGN, now.horizon, now.future))


async def chain(tx: Transaction, positions: Sequence[int], ids: Sequence[int], hashes: Sequence[bytes]) -> None:
    """Continue the chain."""
    await tx.execute(CHAIN, positions, ids, hashes)


async def seal(tx: Transaction, position: int, hashed: bytes, horizon: int) -> None:
    """Note where the chain stands."""
    await tx.execute(SEAL, position, hashed, horizon)


async def links(tx: Transaction) -> AsyncIterator[Link]:
    """The chain from its beginning, or from where it was cut."""
    after = 0
    while found := many(Link, await tx.fetch(LINKS, after, PAGE)):
        for link in found:
            yield link
        after = found[-1].position


async def seals(tx: Transaction) -> list[Seal]:
    """All seals, by position."""
    return many(Seal, await tx.fetch(SEALS))


async def stray(tx: Transaction, horizon: int) -> list[int]:
    """Entries that should be in the chain and are not."""
    return [row["id"] for row in await tx.fetch(STRAY, horizon)]


async def waiting(tx: Transaction) -> int:
    """How many entries are not in the chain."""
    count: int = await tx.fetchval(WAITING)
    return count


async def late_seconds(tx: Transaction) -> float:
    """The age of the oldest entry that waits to be chained."""
    seconds: float = await tx.fetchval(LATE)
    return seconds


async def forget(tx: Transaction, days: int) -> int:
    """Delete what was sealed more than so many days ago; how many entries."""
    count: int = await tx.fetchval(FORGET, days)
    return count


async def hold_still(tx: Transaction) -> None:
    """Let the transaction, at its start, see one moment."""
    await tx.execute(HOLD_STILL)


async def listing(
    tx: Transaction, wanted: Filter, since: datetime | None, until: datetime | None, before: int | None, limit: int
) -> list[Shown]:
    """Entries that fit, newest first."""
    rows = await tx.fetch(LISTING, wanted.login, wanted.action, wanted.object, since, until, before, limit)
    return many(Shown, rows)
