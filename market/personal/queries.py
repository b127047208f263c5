"""All SQL of views and of erasing."""

from collections.abc import Sequence

from infra import fields
from infra.db import Transaction, many, one_or_none
from market.needs.model import ENDED
from market.personal.model import ERASED_NAME, Erasure, Filed, Owner, View

VIEWS = """
SELECT n.id AS need_id, max(a.at) AS at, count(*) AS times, a.role, c.name, coalesce(d.name, v.name) AS organisation,
       max(a.data ->> 'purpose') AS purpose
FROM needs n JOIN audit a ON a.object = 'need:' || n.id AND a.action = 'view'
LEFT JOIN accounts c ON c.id = a.actor_id LEFT JOIN nodes d ON d.id = c.node_id
LEFT JOIN institutions i ON i.id = c.institution_id
LEFT JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
WHERE n.enterprise_id = $1 AND ($2::bigint IS NULL OR n.id = $2::bigint)
GROUP BY n.id, a.actor_id, a.role, c.name, d.name, v.name, (a.at AT TIME ZONE 'Asia/Shanghai')::date
ORDER BY max(a.at) DESC, n.id LIMIT $3
"""
ERASURE = "SELECT asked_at, done_at FROM erasures WHERE account_id = $1"
ASK = "INSERT INTO erasures (account_id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING account_id"
CALL_OFF = "DELETE FROM erasures WHERE account_id = $1 AND done_at IS NULL RETURNING account_id"
WAITING = "SELECT account_id FROM erasures WHERE done_at IS NULL ORDER BY asked_at"
DONE = """
INSERT INTO erasures (account_id, done_at) VALUES ($1, now()) ON CONFLICT (account_id) DO UPDATE SET done_at = now()
"""
LOCK = "SELECT id FROM accounts WHERE id = $1 FOR UPDATE"
OWNER = """
SELECT a.id, a.login, a.name, a.role, a.enterprise_id, e.done_at IS NOT NULL AS erased,
       NOT EXISTS (SELECT FROM accounts b WHERE b.enterprise_id = a.enterprise_id AND b.id <> a.id
                   AND b.disabled_at IS NULL) AS alone
FROM accounts a LEFT JOIN erasures e ON e.account_id = a.id WHERE a.id = $1
"""
# Ended, and no rectification of it goes on either.
OPEN = """
(n.state <> ALL ($2::text[]) OR EXISTS (
    SELECT FROM matches m JOIN ratings r ON r.match_id = m.id JOIN rectifications x ON x.rating_id = r.id
    WHERE m.need_id = n.id AND x.state <> 'closed'))
"""
HAS_CONTACT = "(n.contact_phone_sealed IS NOT NULL OR n.contact_phone <> '')"
FILED = f"n.id, n.enterprise_id, n.submitted_by, n.body, {OPEN} AS open FROM needs n"
OF_ACCOUNT = f"""SELECT {FILED}
WHERE n.submitted_by = $1 OR n.enterprise_id = (SELECT enterprise_id FROM accounts WHERE id = $1)
ORDER BY n.id
"""
BY_IDS = f"SELECT {FILED} WHERE n.id = ANY($1::bigint[]) ORDER BY n.id"
WITH_CONTACT = f"SELECT {FILED} WHERE n.id > $1 AND {HAS_CONTACT} ORDER BY n.id LIMIT $3"
# The last thing that happened to it, a rating or a rectification too, lies so long ago.
OLD = f"""SELECT {FILED}
WHERE {HAS_CONTACT} AND NOT {OPEN} AND n.created_at < now() - make_interval(days => $1)
  AND NOT EXISTS (SELECT FROM events v WHERE v.need_id = n.id AND v.at >= now() - make_interval(days => $1))
ORDER BY n.id LIMIT $3 FOR UPDATE SKIP LOCKED
"""
ERASE_NEED = """
UPDATE needs SET body = $2, contact_name = '', contact_phone = '', contact_name_sealed = NULL,
    contact_phone_sealed = NULL
WHERE id = $1
"""
# A natural person is named in the enterprise's place.
ERASE_ENTERPRISE = """
UPDATE enterprises SET name = CASE WHEN kind = 'individual' THEN $2 ELSE name END, contact_name = '',
    contact_phone = '', contact_name_sealed = NULL, contact_phone_sealed = NULL
WHERE id = $1
"""
# Those without an account whose last need has none left.
FORGET_PARTIES = """
UPDATE enterprises e SET name = CASE WHEN kind = 'individual' THEN $2 ELSE name END, contact_name = '',
    contact_phone = '', contact_name_sealed = NULL, contact_phone_sealed = NULL
WHERE (e.contact_phone_sealed IS NOT NULL OR e.contact_phone <> '')
  AND e.created_at < now() - make_interval(days => $1)
  AND NOT EXISTS (SELECT FROM accounts a WHERE a.enterprise_id = e.id)
  AND NOT EXISTS (SELECT FROM needs n WHERE n.enterprise_id = e.id
                  AND (n.contact_phone_sealed IS NOT NULL OR n.contact_phone <> ''))
RETURNING e.id
"""
HAS_ACCOUNT = "SELECT EXISTS (SELECT FROM accounts WHERE enterprise_id = $1)"
# Sessions end with the epoch. Without a password hash nobody logs in, whoever lets the account in again.
ERASE_ACCOUNT = """
UPDATE accounts SET login = 'erased-' || id, name = $2, password_hash = '', session_epoch = session_epoch + 1,
    disabled_at = coalesce(disabled_at, now())
WHERE id = $1
"""
DROP_DELIVERIES = "DELETE FROM deliveries WHERE account_id = $1"
DROP_MESSAGES = "DELETE FROM messages WHERE account_id = $1"
DROP_SETTINGS = "DELETE FROM message_settings WHERE account_id = $1"
DROP_WEBHOOK = "DELETE FROM webhooks WHERE account_id = $1"
DROP_IDENTITIES = "DELETE FROM identities WHERE account_id = $1"
DROP_CODES = "DELETE FROM recovery_codes WHERE account_id = $1"
DROP_FACTOR = "DELETE FROM second_factors WHERE account_id = $1"
DROP_TOKENS = "DELETE FROM api_tokens WHERE account_id = $1"
DROP_FILTERS = "DELETE FROM saved_filters WHERE account_id = $1"
DROP_ANSWERS = "DELETE FROM idempotency_keys WHERE account_id = $1"
OF_ITS_OWN = (
    DROP_DELIVERIES,
    DROP_MESSAGES,
    DROP_SETTINGS,
    DROP_WEBHOOK,
    DROP_IDENTITIES,
    DROP_CODES,
    DROP_FACTOR,
    DROP_TOKENS,
    DROP_FILTERS,
    DROP_ANSWERS,
)
ENDED_STATES = [state.value for state in ENDED]


async def views(tx: Transaction, enterprise_id: int, need_id: int | None, limit: int) -> list[View]:
    """Who saw the contacts of the enterprise's needs, or of one of them, the last first."""
    return many(View, await tx.fetch(VIEWS, enterprise_id, need_id, limit))


async def erasure(tx: Transaction, account_id: int) -> Erasure | None:
    """Whether and when the account asked to be erased."""
    return one_or_none(Erasure, await tx.fetchrow(ERASURE, account_id))


async def ask(tx: Transaction, account_id: int) -> bool:
    """Note that the account asks to be erased; False where it did before."""
    return await tx.fetchval(ASK, account_id) is not None


async def call_off(tx: Transaction, account_id: int) -> bool:
    """Take it back; False where there is nothing to take back any more."""
    return await tx.fetchval(CALL_OFF, account_id) is not None


async def waiting(tx: Transaction) -> list[int]:
    """Accounts that asked and are not erased, the first first."""
    return [row["account_id"] for row in await tx.fetch(WAITING)]


async def owner(tx: Transaction, account_id: int) -> Owner | None:
    """The account, locked."""
    await tx.execute(LOCK, account_id)
    return one_or_none(Owner, await tx.fetchrow(OWNER, account_id))


async def of_account(tx: Transaction, account_id: int) -> list[Filed]:
    """Needs that the account has filed, or its enterprise."""
    return many(Filed, await tx.fetch(OF_ACCOUNT, account_id, ENDED_STATES))


async def by_ids(tx: Transaction, ids: Sequence[int]) -> list[Filed]:
    """These needs."""
    return many(Filed, await tx.fetch(BY_IDS, ids, ENDED_STATES))


async def with_contact(tx: Transaction, after: int, limit: int) -> list[Filed]:
    """Needs with ids above ``after`` that have a contact."""
    return many(Filed, await tx.fetch(WITH_CONTACT, after, ENDED_STATES, limit))


async def old(tx: Transaction, days: int, limit: int) -> list[Filed]:
    """Needs with a contact that ended and to which nothing has happened for so many days, locked."""
    return many(Filed, await tx.fetch(OLD, days, ENDED_STATES, limit))


async def erase_need(tx: Transaction, need_id: int, body: str) -> None:
    """Take the contact away, and leave that text."""
    await tx.execute(ERASE_NEED, need_id, body)


async def erase_enterprise(tx: Transaction, enterprise_id: int) -> None:
    """Take the contact away; of a natural person also the name."""
    await tx.execute(ERASE_ENTERPRISE, enterprise_id, ERASED_NAME)


async def forget_parties(tx: Transaction, days: int) -> int:
    """The same of all who have no account, and no need with a contact any more; how many."""
    return len(await tx.fetch(FORGET_PARTIES, days, ERASED_NAME))


async def has_account(tx: Transaction, enterprise_id: int) -> bool:
    """Whether anybody can log in, or could, for the enterprise."""
    return bool(await tx.fetchval(HAS_ACCOUNT, enterprise_id))


async def erase_account(tx: Transaction, account_id: int) -> None:
    """Close the account for good: without login, name, and all that was the account's own."""
    for statement in OF_ITS_OWN:
        await tx.execute(statement, account_id)
    await tx.execute(ERASE_ACCOUNT, account_id, ERASED_NAME)
    await tx.execute(DONE, account_id)


# sealing -------------------------------------------------------------------------------------------------------------


async def foreign_keys(tx: Transaction) -> list[str]:
    """Ids of keys that have sealed something here and that are not ours. Reads every row."""
    return sorted(set(await fields.used(tx)) - set(tx.keys().ids))
