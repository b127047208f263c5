"""All SQL of deliveries: what leaves the house, and digests."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from infra import fields
from infra.db import Transaction, many
from market.messages.model import (
    Backlog,
    Channel,
    Delivery,
    DeliveryState,
    DigestReader,
    Logged,
    Message,
    Purpose,
)

# The first that is due of each account, so that one receiver's backlog never keeps others waiting, and each receiver
# gets one at a time: what is under way is its account's first, and leased.
LEASE = """
WITH first AS (
    SELECT DISTINCT ON (account_id) id, next_at FROM deliveries
    WHERE channel = $1 AND state = 'waiting' AND next_at <= now() ORDER BY account_id, next_at, id
), free AS (
    SELECT d.id FROM deliveries d JOIN first USING (id)
    WHERE d.state = 'waiting' AND d.leased_until <= now() ORDER BY first.next_at, d.id LIMIT $2
    FOR UPDATE OF d SKIP LOCKED
), leased AS (
    UPDATE deliveries d SET attempt = attempt + 1, leased_until = now() + make_interval(secs => $3)
    FROM free WHERE d.id = free.id RETURNING d.*
)
SELECT l.id, l.account_id, l.channel, l.purpose, l.message_id, l.attempt, l.failures, l.created_at,
       a.lang, a.login, s.address, s.address_sealed, s.mail_key,
       s.confirmed_at IS NOT NULL AS confirmed, w.url, w.secret
FROM leased l JOIN accounts a ON a.id = l.account_id LEFT JOIN message_settings s ON s.account_id = l.account_id
LEFT JOIN webhooks w ON w.account_id = l.account_id AND w.disabled_at IS NULL
ORDER BY l.id
"""
OF_DELIVERY = """
SELECT id, kind, subject, urgent, need_id, data, at, read_at FROM messages
WHERE id = $1::bigint OR digest_id = $2 ORDER BY id
"""
# ``attempt`` fences off whoever lost the lease. $3: the new state, $4: when to try again, $5: whether it counts.
SETTLE = """
UPDATE deliveries SET state = $3::text, next_at = coalesce($4, next_at), failures = failures + $5::boolean::int,
    last_error = $6, leased_until = '-infinity', ended_at = CASE WHEN $3::text <> 'waiting' THEN now() END
WHERE id = $1 AND attempt = $2 AND state = 'waiting' RETURNING id
"""
MEND = """
UPDATE deliveries SET leased_until = now() WHERE state = 'waiting' AND leased_until > now() + interval '15 min'
RETURNING id
"""
DELIVER = "INSERT INTO deliveries (account_id, channel, purpose) VALUES ($1, $2, $3) RETURNING id"
ASKED_TODAY = """
SELECT count(*) FROM deliveries WHERE account_id = $1 AND purpose = $2 AND created_at > now() - interval '1 day'
"""
DROP = """
UPDATE deliveries SET state = 'dropped', ended_at = now(), leased_until = '-infinity'
WHERE account_id = $1 AND channel = $2 AND state = 'waiting'
"""
LOG = """
SELECT id, channel, purpose, state, failures, last_error, created_at, ended_at, next_at FROM deliveries
WHERE account_id = $1 ORDER BY id DESC LIMIT $2
"""
BACKLOG = """
SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting, count(*) FILTER (WHERE state = 'parked') AS parked,
       coalesce(extract(epoch FROM now() - min(created_at) FILTER (
           WHERE state = 'waiting' AND next_at <= now())), 0)::float8 AS oldest_seconds
FROM deliveries WHERE state IN ('waiting', 'parked')
"""
RETRY = """
UPDATE deliveries SET state = 'waiting', failures = 0, next_at = now(), ended_at = NULL
WHERE state = 'parked' RETURNING id
"""
# Who has something waiting for a digest, and where that account's working days are.
DIGEST_READERS = """
SELECT a.id, coalesce(e.region_code, d.region_code, v.region_code, '000000') AS region_code,
       s.quiet_from, s.quiet_to
FROM accounts a JOIN message_settings s ON s.account_id = a.id AND s.confirmed_at IS NOT NULL
LEFT JOIN enterprises e ON e.id = a.enterprise_id LEFT JOIN nodes d ON d.id = a.node_id
LEFT JOIN institutions i ON i.id = a.institution_id
LEFT JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
WHERE a.disabled_at IS NULL AND EXISTS (SELECT FROM messages m WHERE m.account_id = a.id AND m.for_digest AND m.at < $1)
ORDER BY a.id
"""
MAKE_DIGESTS = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset($1) AS g (account_id bigint, day date, next_at timestamptz)
), made AS (
    INSERT INTO deliveries (account_id, channel, purpose, day, next_at)
    SELECT account_id, 'mail', 'digest', day, next_at FROM given
    ON CONFLICT (account_id, day) WHERE day IS NOT NULL DO NOTHING RETURNING id, account_id
), put AS (
    UPDATE messages m SET digest_id = made.id, for_digest = false FROM made
    WHERE m.account_id = made.account_id AND m.for_digest AND m.at < $2
)
SELECT count(*) FROM made
"""


async def lease(tx: Transaction, channel: Channel, limit: int, seconds: float) -> list[Delivery]:
    """Deliveries that are due and that nobody works on, now the caller's for ``seconds``: one an account."""
    rows = await tx.fetch(LEASE, channel, limit, seconds)
    return [
        msgspec.convert(fields.opened(tx, fields.MAIL, row, key="account_id", lenient=True), Delivery) for row in rows
    ]


async def of_delivery(tx: Transaction, delivery: Delivery) -> list[Message]:
    """The message that a delivery carries, or those of its digest."""
    return many(Message, await tx.fetch(OF_DELIVERY, delivery.message_id, delivery.id))


async def settle(
    tx: Transaction,
    delivery: Delivery,
    state: DeliveryState,
    *,
    next_at: datetime | None = None,
    failed: bool = False,
    error: str | None = None,
) -> bool:
    """Write what became of a delivery; False where the lease has passed to another."""
    done = await tx.fetchval(SETTLE, delivery.id, delivery.attempt, state, next_at, failed, error)
    return done is not None


async def deliver(tx: Transaction, account_id: int, channel: Channel, purpose: Purpose) -> int:
    """A delivery of its own, due now; its id."""
    delivery_id: int = await tx.fetchval(DELIVER, account_id, channel, purpose)
    return delivery_id


async def asked_today(tx: Transaction, account_id: int, purpose: Purpose) -> int:
    """How many such deliveries the account has asked for within a day."""
    count: int = await tx.fetchval(ASKED_TODAY, account_id, purpose)
    return count


async def drop(tx: Transaction, account_id: int, channel: Channel) -> None:
    """Nobody wants what waits on that channel any more."""
    await tx.execute(DROP, account_id, channel)


async def log(tx: Transaction, account_id: int, limit: int) -> list[Logged]:
    """The account's last deliveries."""
    return many(Logged, await tx.fetch(LOG, account_id, limit))


async def backlog(tx: Transaction) -> Backlog:
    """How deliveries stand, of all accounts."""
    return many(Backlog, await tx.fetch(BACKLOG))[0]


async def retry(tx: Transaction) -> int:
    """Try parked deliveries again; how many there were."""
    return len(await tx.fetch(RETRY))


async def digest_readers(tx: Transaction, before: datetime) -> list[DigestReader]:
    """Who has messages from before that moment waiting for a digest."""
    return many(DigestReader, await tx.fetch(DIGEST_READERS, before))


async def make_digests(tx: Transaction, digests: Sequence[dict[str, Any]], before: datetime) -> int:
    """Gather what waits into a delivery a reader; how many had none for that day."""
    count: int = await tx.fetchval(MAKE_DIGESTS, digests, before)
    return count


async def mend(tx: Transaction) -> int:
    """End leases of before the clock was put back, as ``outbox.mend`` does; how many."""
    return len(await tx.fetch(MEND))
