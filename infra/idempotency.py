"""Answers kept under an Idempotency-Key, in the transaction that did what they say.

Optimistic: a call does its work and then claims the key. Whoever claims second waits for the first to commit, rolls its
own work back and repeats the first one's answer. So a key costs one statement, and has one effect.

An answer may hold somebody's telephone number, so it is kept sealed.
"""

from msgspec import Struct, structs

from infra.cipher import VERSION
from infra.db import Transaction, one_or_none

CLAIM = """
INSERT INTO idempotency_keys (account_id, key, fingerprint, status, body) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING key
"""
FIND = "SELECT fingerprint, status, body FROM idempotency_keys WHERE account_id = $1 AND key = $2"
FORGET = "DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(hours => $1) RETURNING key"


class Answer(Struct, frozen=True):
    """What a call was answered, and a hash of what it asked."""

    fingerprint: bytes
    status: int
    body: bytes


async def claim(tx: Transaction, account_id: int, key: str, answer: Answer) -> bool:
    """Keep the answer; False where the key has one already. Waits for a call with the same key to end."""
    body = tx.keys().seal(answer.body, _context(account_id, key))
    return await tx.fetchval(CLAIM, account_id, key, answer.fingerprint, answer.status, body) is not None


async def find(tx: Transaction, account_id: int, key: str) -> Answer | None:
    """The answer kept under the key."""
    kept = one_or_none(Answer, await tx.fetchrow(FIND, account_id, key))
    if kept is None or not kept.body.startswith(VERSION):  # of a release that did not seal: for a day
        return kept
    return structs.replace(kept, body=tx.keys().open(kept.body, _context(account_id, key)))


async def forget(tx: Transaction, hours: int) -> int:
    """Drop answers older than so many hours; how many."""
    return len(await tx.fetch(FORGET, hours))


def _context(account_id: int, key: str) -> str:
    return f"idempotency_keys.body:{account_id}:{key}"
