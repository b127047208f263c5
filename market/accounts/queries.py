"""All SQL of accounts."""

from datetime import datetime

from infra.db import Transaction, many, one_or_none
from market.accounts.model import Actor, ApiToken, Colleague, Credentials
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
ACTOR_BY_ID = f"""SELECT {WHO}, (
    SELECT count(*) FROM (SELECT FROM messages m WHERE m.account_id = a.id AND m.read_at IS NULL LIMIT 100) u) AS unread
{WHENCE} WHERE a.id = $1 AND a.disabled_at IS NULL"""
ACTOR_BY_LOGIN = f"{ACTOR} WHERE a.login = lower($1) AND a.disabled_at IS NULL"
ACTOR_BY_TOKEN = f"""{ACTOR} JOIN api_tokens t ON t.account_id = a.id
WHERE t.token_hash = $1 AND t.revoked_at IS NULL AND t.expires_at > now() AND a.disabled_at IS NULL
"""
CREDENTIALS = "SELECT id, password_hash FROM accounts WHERE login = lower($1) AND disabled_at IS NULL"
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
REHASH = "UPDATE accounts SET password_hash = $2 WHERE id = $1"
ADD_KEY = "INSERT INTO api_tokens (account_id, name, token_hash, expires_at) VALUES ($1, $2, $3, $4) RETURNING id"
TOKENS = "SELECT id, name, created_at, expires_at, revoked_at FROM api_tokens WHERE account_id = $1 ORDER BY id DESC"
REVOKE = """
UPDATE api_tokens SET revoked_at = now() WHERE id = $1 AND account_id = $2 AND revoked_at IS NULL RETURNING id
"""


async def actor_by_id(tx: Transaction, account_id: int) -> Actor | None:
    """The account, unless it is disabled."""
    return one_or_none(Actor, await tx.fetchrow(ACTOR_BY_ID, account_id))


async def actor_by_login(tx: Transaction, login: str) -> Actor | None:
    """The account, unless it is disabled."""
    return one_or_none(Actor, await tx.fetchrow(ACTOR_BY_LOGIN, login))


async def actor_by_token(tx: Transaction, token_hash: bytes) -> Actor | None:
    """The account a live token belongs to."""
    return one_or_none(Actor, await tx.fetchrow(ACTOR_BY_TOKEN, token_hash))


async def credentials(tx: Transaction, login: str) -> Credentials | None:
    """What a log-in is checked against."""
    return one_or_none(Credentials, await tx.fetchrow(CREDENTIALS, login))


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


async def rehash(tx: Transaction, account_id: int, password_hash: str) -> None:
    """Store a password's hash."""
    await tx.execute(REHASH, account_id, password_hash)


async def insert_token(tx: Transaction, account_id: int, name: str, token_hash: bytes, expires_at: datetime) -> int:
    """The new token's id."""
    token_id: int = await tx.fetchval(ADD_KEY, account_id, name, token_hash, expires_at)
    return token_id


async def tokens(tx: Transaction, account_id: int) -> list[ApiToken]:
    """The account's tokens, newest first."""
    return many(ApiToken, await tx.fetch(TOKENS, account_id))


async def revoke_token(tx: Transaction, token_id: int, account_id: int) -> bool:
    """Whether there was a live token of that account to revoke."""
    return await tx.fetchval(REVOKE, token_id, account_id) is not None
