"""Use cases of accounts: register, log in, API tokens."""

import asyncio
import hashlib
import secrets
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from infra.db import Transaction
from market.accounts import queries
from market.accounts.model import Actor, Role
from market.errors import InvalidInput, NotFound

TOKEN_PREFIX = "zp_"  # noqa: S105 - so that secret scanners know a leaked one
LOGIN_TAKEN = "这个登录名已有人使用，请换一个；如果是您本人，请直接登录。"
# Checked when the login does not exist, so that the answer takes as long as when it does.
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$SJWBY2TXx9VCKE24PMTZCw$CTVjSw8QJBTXjYkSH6p4XUBavJqEICfa8mWxObq5pqE"


async def create(
    tx: Transaction,
    *,
    login: str,
    password: str,
    name: str,
    role: Role,
    enterprise_id: int | None = None,
    institution_id: int | None = None,
    node_id: int | None = None,
) -> int:
    """The new account's id.

    Raises:
        InvalidInput: the login is taken.
    """
    account_id = await queries.insert(
        tx,
        login=login,
        password_hash=await asyncio.to_thread(PasswordHasher().hash, password),
        name=name,
        role=role,
        enterprise_id=enterprise_id,
        institution_id=institution_id,
        node_id=node_id,
    )
    if account_id is None:
        raise InvalidInput(fields={"login": LOGIN_TAKEN})
    return account_id


async def is_taken(tx: Transaction, login: str) -> bool:
    """Whether somebody has that login."""
    return await queries.credentials(tx, login) is not None


async def log_in(tx: Transaction, login: str, password: str) -> Actor:
    """The account whose login and password these are.

    Raises:
        InvalidInput: they fit no account; the message does not tell which of the two was wrong.
    """
    known = await queries.credentials(tx, login)
    hasher = PasswordHasher()
    try:  # in a thread: argon2 takes some 50 ms by design, and releases the GIL
        await asyncio.to_thread(hasher.verify, known.password_hash if known else NOBODY, password)
    except VerificationError:
        known = None
    actor = known and await queries.actor_by_id(tx, known.id)
    if not known or not actor:
        raise InvalidInput(fields={"password": "登录名或密码不对，请核对后再试。"})
    if hasher.check_needs_rehash(known.password_hash):
        await queries.rehash(tx, known.id, await asyncio.to_thread(hasher.hash, password))
    return actor


def hash_token(token: str) -> bytes:
    """What is stored of a token. It holds 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).digest()


async def create_token(tx: Transaction, login: str, name: str, days: int) -> str:
    """A new API token of the account; it cannot be read again.

    Raises:
        NotFound: there is no such account.
    """
    actor = await queries.actor_by_login(tx, login)
    if actor is None:
        raise NotFound(f"没有登录名为 {login} 的账号。")
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    await queries.insert_token(tx, actor.id, name, hash_token(token), datetime.now(UTC) + timedelta(days=days))
    return token


async def revoke_token(tx: Transaction, actor: Actor, token_id: int) -> None:
    """Make the actor's own token useless at once.

    Raises:
        NotFound: it is not the actor's, or was revoked before.
    """
    if not await queries.revoke_token(tx, token_id, actor.id):
        raise NotFound
