"""Use cases of accounts: register, log in, API tokens."""

import asyncio
import hashlib
import secrets
from datetime import UTC, datetime, timedelta

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from msgspec import Struct, structs

from infra.db import Transaction
from market.accounts import queries
from market.accounts.model import Actor, Login, Password, PersonName, Role
from market.errors import InvalidInput, NotFound
from market.i18n import N_, _

TOKEN_PREFIX = "zp_"  # noqa: S105 - so that secret scanners know a leaked one
OBJECTS = {
    Role.ENTERPRISE: "enterprise_id",
    Role.INSTITUTION: "institution_id",
    Role.COORDINATOR: "node_id",
    Role.CLERK: "node_id",
}
"""What an account of the role belongs to."""
LOGIN_TAKEN = N_("这个登录名已有人使用，请换一个；如果是您本人，请直接登录。")
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
        raise InvalidInput(fields={"login": _(LOGIN_TAKEN)})
    return account_id


class NewAccount(Struct, frozen=True, kw_only=True):
    """An account that an admin adds, as typed."""

    login: str
    password: str
    name: str
    role: Role
    enterprise_id: int | None = None
    institution_id: int | None = None
    node_id: int | None = None


async def create_checked(tx: Transaction, new: NewAccount) -> int:
    """The new account's id.

    Raises:
        InvalidInput: by field: login, password, name, or the object that the role needs and nothing else.
    """
    fields = {
        field: words
        for field, kind, words in (
            ("login", Login, _("登录名用 3 到 64 个英文字母、数字或 . _ @ + -。")),
            ("password", Password, _("密码至少 10 个字符。")),
            ("name", PersonName, _("姓名 1 到 50 个字。")),
        )
        if not _fits(getattr(new, field), kind)
    }
    for field in ("enterprise_id", "institution_id", "node_id"):
        wanted, given = OBJECTS.get(new.role) == field, getattr(new, field)
        if wanted is (given is None):
            fields[field] = _("这个角色必须指明所属的对象。") if wanted else _("这个角色不属于任何这类对象，请去掉。")
        elif given is not None and not await queries.exists(tx, field, given):
            fields[field] = _("没有编号为 {id} 的对象。", id=given)
    if fields:
        raise InvalidInput(_("账号没有建立。"), fields=fields)
    return await create(tx, **structs.asdict(new))


async def set_password(tx: Transaction, login: str, password: str) -> None:
    """A new password for the account.

    Raises:
        NotFound: there is no such account.
        InvalidInput: the password is too short.
    """
    if not _fits(password, Password):
        raise InvalidInput(_("密码没有更改。"), fields={"password": _("密码至少 10 个字符。")})
    known = await queries.credentials(tx, login)
    if known is None:
        raise NotFound(_("没有登录名为 {login} 的账号。", login=login))
    await queries.rehash(tx, known.id, await asyncio.to_thread(PasswordHasher().hash, password))


def _fits(value: object, kind: object) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


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
        raise InvalidInput(fields={"password": _("登录名或密码不对，请核对后再试。")})
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
        raise NotFound(_("没有登录名为 {login} 的账号。", login=login))
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
