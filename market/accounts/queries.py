"""All SQL of accounts."""

from collections.abc import Sequence
from datetime import datetime

from infra.db import Transaction, many, one_or_none
from market.accounts.model import Actor, ApiToken, Colleague, Credentials, Factor, Identity, LinkedIdentity
from matching.types import Lang

WHO = """
a.id, a.login, a.name, a.role, a.lang, a.enterprise_id, a.institution_id, a.node_id,
       n.name AS node_name, n.region_prefix AS node_prefix,
       n.id IS NOT NULL AND n.parent_id IS NULL AS node_is_top, e.region_code
"""
WHENCE = """
FROM accounts a LEFT JOIN nodes n ON n.id = a.node_id LEFT JOIN enterprises e ON e.id = a.enterprise_id
"""
ACTOR = f"SELECT {WHO} {WHENCE}"
# Of pages, whose head counts messages: with the account, so that no page asks twice.
ACTOR_BY_SESSION = f"""SELECT {WHO}, (
    SELECT count(*) FROM (SELECT FROM messages m WHERE m.account_id = a.id AND m.read_at IS NULL LIMIT 100) u) AS unread
{WHENCE} WHERE a.id = $1 AND a.session_epoch = $2 AND a.disabled_at IS NULL"""
ACTOR_BY_ID = f"{ACTOR} WHERE a.id = $1"
ACTOR_BY_LOGIN = f"{ACTOR} WHERE a.login = lower($1) AND a.disabled_at IS NULL"
# With what the token may do at most.
ACTOR_BY_TOKEN = f"""{ACTOR.replace("e.region_code", "e.region_code, t.scopes")}
JOIN api_tokens t ON t.account_id = a.id
WHERE t.token_hash = $1 AND t.revoked_at IS NULL AND t.expires_at > now() AND a.disabled_at IS NULL
"""
CREDENTIALS = """
SELECT a.id, a.login, a.name, a.role, a.password_hash, a.session_epoch, coalesce(e.name, v.name) AS organisation,
       f.confirmed_at IS NOT NULL AS has_factor
FROM accounts a LEFT JOIN enterprises e ON e.id = a.enterprise_id
LEFT JOIN institutions i ON i.id = a.institution_id
LEFT JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
LEFT JOIN second_factors f ON f.account_id = a.id
WHERE a.disabled_at IS NULL
"""
CREDENTIALS_BY_LOGIN = f"{CREDENTIALS} AND a.login = lower($1)"
CREDENTIALS_BY_ID = f"{CREDENTIALS} AND a.id = $1"
CREDENTIALS_BY_IDENTITY = f"""{CREDENTIALS}
AND a.id = (SELECT account_id FROM identities WHERE issuer = $1 AND subject = $2)
"""
IS_TAKEN = "SELECT EXISTS (SELECT FROM accounts WHERE login = lower($1))"
INSERT = """
INSERT INTO accounts (login, password_hash, name, role, enterprise_id, institution_id, node_id)
VALUES (lower($1), $2, $3, $4, $5, $6, $7) ON CONFLICT (login) DO NOTHING RETURNING id
"""
# Coordinators of the node with that prefix and of those above it, the nearest first.
COORDINATORS = """
SELECT a.id, a.name, n.name AS node_name FROM accounts a JOIN nodes n ON n.id = a.node_id
WHERE a.role = 'coordinator' AND a.disabled_at IS NULL AND starts_with($1, n.region_prefix)
ORDER BY length(n.region_prefix) DESC, a.name, a.id
"""
EXISTS = """
SELECT CASE $1::text
    WHEN 'enterprise_id' THEN EXISTS (SELECT FROM enterprises WHERE id = $2::bigint)
    WHEN 'institution_id' THEN EXISTS (SELECT FROM institutions WHERE id = $2::bigint)
    ELSE EXISTS (SELECT FROM nodes WHERE id = $2::bigint)
END
"""
SET_LANGUAGE = "UPDATE accounts SET lang = $2 WHERE id = $1"
REHASH = "UPDATE accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2"
# The epoch read before must still hold: of two changes, or two uses of a link, one takes place.
CHANGE = """
UPDATE accounts SET password_hash = $3, session_epoch = session_epoch + 1
WHERE id = $1 AND session_epoch = $2 AND disabled_at IS NULL RETURNING session_epoch
"""
END_SESSIONS = "UPDATE accounts SET session_epoch = session_epoch + 1 WHERE id = $1 RETURNING session_epoch"
SET_DISABLED = """
UPDATE accounts SET session_epoch = session_epoch + 1, disabled_at = CASE WHEN $2 THEN coalesce(disabled_at, now()) END
WHERE login = lower($1) RETURNING id
"""
FACTOR = """
SELECT f.secret, f.confirmed_at, f.created_at > now() - interval '15 minutes' AS is_new,
       (SELECT count(*) FROM recovery_codes c WHERE c.account_id = f.account_id AND c.used_at IS NULL) AS codes_left
FROM second_factors f WHERE f.account_id = $1
"""
BEGIN_FACTOR = """
INSERT INTO second_factors (account_id, secret) VALUES ($1, $2)
ON CONFLICT (account_id) DO UPDATE SET secret = excluded.secret, last_step = 0, created_at = now()
WHERE second_factors.confirmed_at IS NULL RETURNING account_id
"""
# Row locks let one of two requests with the same code through: the other finds the step taken.
TAKE_STEP = "UPDATE second_factors SET last_step = $2 WHERE account_id = $1 AND last_step < $2 RETURNING account_id"
CONFIRM_FACTOR = """
UPDATE second_factors SET confirmed_at = now() WHERE account_id = $1 AND confirmed_at IS NULL RETURNING account_id
"""
DROP_FACTOR = "DELETE FROM second_factors WHERE account_id = $1 RETURNING account_id"
SEALED_FACTORS = "SELECT account_id, secret FROM second_factors ORDER BY account_id FOR UPDATE"
RESEAL_FACTOR = "UPDATE second_factors SET secret = $2 WHERE account_id = $1"
DROP_CODES = "DELETE FROM recovery_codes WHERE account_id = $1"
ADD_CODES = "INSERT INTO recovery_codes (account_id, code_hash) SELECT $1, unnest($2::bytea[])"
TAKE_CODE = """
UPDATE recovery_codes SET used_at = now()
WHERE account_id = $1 AND code_hash = $2 AND used_at IS NULL RETURNING account_id
"""
LINK = """
INSERT INTO identities (issuer, subject, account_id, name) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING RETURNING account_id
"""
UNLINK = "DELETE FROM identities WHERE account_id = $1 AND issuer = $2 RETURNING account_id"
IDENTITIES = "SELECT issuer, name, linked_at FROM identities WHERE account_id = $1 ORDER BY linked_at"
ADD_KEY = (
    "INSERT INTO api_tokens (account_id, name, token_hash, expires_at, scopes) VALUES ($1, $2, $3, $4, $5) RETURNING id"
)
TOKENS = (
    "SELECT id, name, created_at, expires_at, revoked_at, scopes FROM api_tokens WHERE account_id = $1 ORDER BY id DESC"
)
REVOKE = """
UPDATE api_tokens SET revoked_at = now() WHERE id = $1 AND account_id = $2 AND revoked_at IS NULL RETURNING id
"""


async def actor_by_id(tx: Transaction, account_id: int) -> Actor | None:
    """The account, disabled or not: for what is written down of it."""
    return one_or_none(Actor, await tx.fetchrow(ACTOR_BY_ID, account_id))


async def actor_by_login(tx: Transaction, login: str) -> Actor | None:
    """The account, unless it is disabled."""
    return one_or_none(Actor, await tx.fetchrow(ACTOR_BY_LOGIN, login))


async def actor_by_token(tx: Transaction, token_hash: bytes) -> Actor | None:
    """The account a live token belongs to."""
    return one_or_none(Actor, await tx.fetchrow(ACTOR_BY_TOKEN, token_hash))


async def actor_by_session(tx: Transaction, account_id: int, epoch: int) -> Actor | None:
    """The account, unless it is disabled or its sessions of that epoch have ended."""
    return one_or_none(Actor, await tx.fetchrow(ACTOR_BY_SESSION, account_id, epoch))


async def credentials(tx: Transaction, login: str) -> Credentials | None:
    """What a log-in is checked against."""
    return one_or_none(Credentials, await tx.fetchrow(CREDENTIALS_BY_LOGIN, login))


async def credentials_by_id(tx: Transaction, account_id: int) -> Credentials | None:
    """What somebody logged in is checked against."""
    return one_or_none(Credentials, await tx.fetchrow(CREDENTIALS_BY_ID, account_id))


async def credentials_by_identity(tx: Transaction, issuer: str, subject: str) -> Credentials | None:
    """The account that somebody enters with an identity."""
    return one_or_none(Credentials, await tx.fetchrow(CREDENTIALS_BY_IDENTITY, issuer, subject))


async def is_taken(tx: Transaction, login: str) -> bool:
    """Whether an account has that login, disabled or not."""
    return bool(await tx.fetchval(IS_TAKEN, login))


async def insert(
    tx: Transaction,
    *,
    login: str,
    password_hash: str,
    name: str,
    role: str,
    enterprise_id: int | None,
    institution_id: int | None,
    node_id: int | None,
) -> int | None:
    """The new account's id, or None where the login is taken."""
    account_id: int | None = await tx.fetchval(
        INSERT, login, password_hash, name, role, enterprise_id, institution_id, node_id
    )
    return account_id


async def coordinators(tx: Transaction, prefix: str) -> list[Colleague]:
    """Who may work on what lies with the node of that prefix, those of the node itself first."""
    return many(Colleague, await tx.fetch(COORDINATORS, prefix))


async def exists(tx: Transaction, field: str, object_id: int) -> bool:
    """Whether what an account's ``enterprise_id``, ``institution_id`` or ``node_id`` would name is there."""
    return bool(await tx.fetchval(EXISTS, field, object_id))


async def set_language(tx: Transaction, account_id: int, language: Lang) -> None:
    """From now on the account reads everything in that language."""
    await tx.execute(SET_LANGUAGE, account_id, language)


async def rehash(tx: Transaction, account_id: int, old_hash: str, new_hash: str) -> None:
    """Store another hash of the same password, unless it has changed meanwhile."""
    await tx.execute(REHASH, account_id, old_hash, new_hash)


async def set_password(tx: Transaction, account_id: int, epoch: int, password_hash: str) -> int | None:
    """The new epoch; None where the account's has changed since it was read."""
    new: int | None = await tx.fetchval(CHANGE, account_id, epoch, password_hash)
    return new


async def end_sessions(tx: Transaction, account_id: int) -> int:
    """The new epoch."""
    epoch: int = await tx.fetchval(END_SESSIONS, account_id)
    return epoch


async def set_disabled(tx: Transaction, login: str, *, disabled: bool) -> int | None:
    """The account's id; None where there is none."""
    account_id: int | None = await tx.fetchval(SET_DISABLED, login, disabled)
    return account_id


async def factor(tx: Transaction, account_id: int) -> Factor | None:
    """The account's second factor, confirmed or not."""
    return one_or_none(Factor, await tx.fetchrow(FACTOR, account_id))


async def begin_factor(tx: Transaction, account_id: int, secret: bytes) -> bool:
    """Whether the secret is stored; not where a confirmed one is there."""
    return await tx.fetchval(BEGIN_FACTOR, account_id, secret) is not None


async def take_step(tx: Transaction, account_id: int, step: int) -> bool:
    """Whether that step was still to be had."""
    return await tx.fetchval(TAKE_STEP, account_id, step) is not None


async def confirm_factor(tx: Transaction, account_id: int) -> bool:
    """Whether there was one to confirm."""
    return await tx.fetchval(CONFIRM_FACTOR, account_id) is not None


async def drop_factor(tx: Transaction, account_id: int) -> bool:
    """Whether there was one, with its recovery codes."""
    return await tx.fetchval(DROP_FACTOR, account_id) is not None


async def sealed_factors(tx: Transaction) -> list[tuple[int, bytes]]:
    """Account and sealed secret of all second factors, locked."""
    return [(row["account_id"], row["secret"]) for row in await tx.fetch(SEALED_FACTORS)]


async def reseal_factor(tx: Transaction, account_id: int, secret: bytes) -> None:
    """Store the same secret sealed anew."""
    await tx.execute(RESEAL_FACTOR, account_id, secret)


async def replace_codes(tx: Transaction, account_id: int, hashes: list[bytes]) -> None:
    """These recovery codes, and no others."""
    await tx.execute(DROP_CODES, account_id)
    await tx.execute(ADD_CODES, account_id, hashes)


async def take_code(tx: Transaction, account_id: int, code_hash: bytes) -> bool:
    """Whether that recovery code was still to be had."""
    return await tx.fetchval(TAKE_CODE, account_id, code_hash) is not None


async def link(tx: Transaction, account_id: int, identity: Identity) -> bool:
    """Whether the identity is the account's now; not where either has another."""
    row = await tx.fetchval(LINK, identity.issuer, identity.subject, account_id, identity.name)
    return row is not None


async def unlink(tx: Transaction, account_id: int, issuer: str) -> bool:
    """Whether there was an identity of that provider."""
    return await tx.fetchval(UNLINK, account_id, issuer) is not None


async def identities(tx: Transaction, account_id: int) -> list[LinkedIdentity]:
    """The identities one can enter the account with."""
    return many(LinkedIdentity, await tx.fetch(IDENTITIES, account_id))


async def insert_token(
    tx: Transaction, account_id: int, name: str, token_hash: bytes, expires_at: datetime, scopes: Sequence[str] = ()
) -> int:
    """The new token's id. Without scopes it may do all that the account may."""
    token_id: int = await tx.fetchval(ADD_KEY, account_id, name, token_hash, expires_at, scopes)
    return token_id


async def tokens(tx: Transaction, account_id: int) -> list[ApiToken]:
    """The account's tokens, newest first."""
    return many(ApiToken, await tx.fetch(TOKENS, account_id))


async def revoke_token(tx: Transaction, token_id: int, account_id: int) -> bool:
    """Whether there was a live token of that account to revoke."""
    return await tx.fetchval(REVOKE, token_id, account_id) is not None
