"""Use cases of accounts: add, log in, passwords, API tokens."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct

from infra.db import Database, Transaction
from market.accounts import passwords, queries
from market.accounts.model import Actor, Credentials, Login, PersonName, Role, Scope
from market.accounts.passwords import Hasher
from market.audit import service as audit
from market.audit.model import Action
from market.errors import Conflict, InvalidInput, NotFound
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
WRONG = N_("登录名或密码不对，请核对后再试。")
NOT_YOURS = N_("密码不对，请核对后再试。")


async def create(
    tx: Transaction,
    *,
    login: str,
    password_hash: str,
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
        password_hash=password_hash,
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


async def create_checked(db: Database, hasher: Hasher, new: NewAccount, *, shortest: int) -> int:
    """The new account's id.

    Raises:
        InvalidInput: by field: login, password, name, or the object that the role needs and nothing else.
    """
    fields = {
        field: words
        for field, kind, words in (
            ("login", Login, _("登录名用 3 到 64 个英文字母、数字或 . _ @ + -。")),
            ("name", PersonName, _("姓名 1 到 50 个字。")),
        )
        if not _fits(getattr(new, field), kind)
    }
    if wrong := passwords.problem(new.password, shortest, (new.login, new.name)):
        fields["password"] = wrong
    async with db.reading() as tx:
        fields |= await _objects_at_fault(tx, new)
    if fields:
        raise InvalidInput(_("账号没有建立。"), fields=fields)
    password_hash = await hasher.hash(new.password)
    async with db.transaction() as tx:
        return await create(
            tx,
            login=new.login,
            password_hash=password_hash,
            name=new.name,
            role=new.role,
            enterprise_id=new.enterprise_id,
            institution_id=new.institution_id,
            node_id=new.node_id,
        )


async def _objects_at_fault(tx: Transaction, new: NewAccount) -> dict[str, str]:
    fields = {}
    for field in ("enterprise_id", "institution_id", "node_id"):
        wanted, given = OBJECTS.get(new.role) == field, getattr(new, field)
        if wanted is (given is None):
            fields[field] = _("这个角色必须指明所属的对象。") if wanted else _("这个角色不属于任何这类对象，请去掉。")
        elif given is not None and not await queries.exists(tx, field, given):
            fields[field] = _("没有编号为 {id} 的对象。", id=given)
    return fields


def _fits(value: object, kind: object) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


# logging in ----------------------------------------------------------------------------------------------------------
# Hashing takes some 50 ms by design. These use cases therefore take the database, not the caller's transaction: they
# read, hash while they hold no connection, and then write, if what they read still holds.


async def log_in(db: Database, hasher: Hasher, login: str, password: str) -> Credentials:
    """The account whose login and password these are.

    Raises:
        InvalidInput: they fit no account; neither the message nor the time it takes tells which of the two was wrong.
        Busy: too many are logging in.
    """
    async with db.reading() as tx:
        known = await queries.credentials(tx, login)
    if not await hasher.fits(password, known.password_hash if known else None) or known is None:
        raise InvalidInput(fields={"password": _(WRONG)})
    if hasher.is_outdated(known.password_hash):
        password_hash = await hasher.hash(password)
        async with db.transaction() as tx:
            await queries.rehash(tx, known.id, known.password_hash, password_hash)
    return known


async def tell(tx: Transaction, action: Action, account_id: int | None, *, login: str, way: str) -> None:
    """Tell the audit trail of a log-in, and by which ``way`` it was tried, if any.

    What was typed as login is kept only as the account it belongs to.
    """
    if account_id is None and (known := await queries.credentials(tx, login)) is not None:
        account_id = known.id
    actor = None if account_id is None else await queries.actor_by_id(tx, account_id)
    await audit.record(tx, actor, action, f"account:{actor.id}" if actor else "", **({"way": way} if way else {}))


async def check_password(db: Database, hasher: Hasher, account_id: int, password: str) -> Credentials:
    """The account, if that is its password: asked again before something that would let a stranger keep it.

    Raises:
        NotFound: the account is disabled.
        InvalidInput: it is not.
    """
    async with db.reading() as tx:
        known = await queries.credentials_by_id(tx, account_id)
    if known is None:
        raise NotFound
    if not await hasher.fits(password, known.password_hash):
        raise InvalidInput(fields={"password": _(NOT_YOURS)})
    return known


async def change_password(db: Database, hasher: Hasher, known: Credentials, new: str, *, shortest: int) -> int:
    """A new password; all sessions end. The epoch of those that begin now.

    Raises:
        InvalidInput: it is not good enough.
        Conflict: another change, or the same link used twice, was faster.
    """
    if wrong := passwords.problem(new, shortest, known.known_words):
        raise InvalidInput(_("密码没有更改。"), fields={"new_password": wrong})
    password_hash = await hasher.hash(new)
    async with db.transaction() as tx:
        epoch = await queries.set_password(tx, known.id, known.session_epoch, password_hash)
    if epoch is None:
        raise Conflict(_("密码刚刚改过，或这个链接已经用过。请用新密码登录。"))
    return epoch


async def set_password(db: Database, hasher: Hasher, login: str, password: str, *, shortest: int) -> None:
    """A new password for the account; all its sessions end.

    Raises:
        NotFound: there is no such account.
        InvalidInput: the password is not good enough.
    """
    async with db.reading() as tx:
        known = await find(tx, login)
    await change_password(db, hasher, known, password, shortest=shortest)


async def find(tx: Transaction, login: str) -> Credentials:
    """The account.

    Raises:
        NotFound: there is none, or it is disabled.
    """
    known = await queries.credentials(tx, login)
    if known is None:
        raise NotFound(_("没有登录名为 {login} 的账号，或已停用。", login=login))
    return known


async def set_disabled(tx: Transaction, login: str, *, disabled: bool) -> None:
    """Disable the account: its sessions and tokens end at once; or let it in again.

    Raises:
        NotFound: there is no such account.
    """
    if await queries.set_disabled(tx, login, disabled=disabled) is None:
        raise NotFound(_("没有登录名为 {login} 的账号。", login=login))


# API tokens ----------------------------------------------------------------------------------------------------------


def hash_token(token: str) -> bytes:
    """What is stored of a token. It holds 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).digest()


async def create_token(tx: Transaction, login: str, name: str, days: int, scopes: Sequence[str] = ()) -> str:
    """A new API token of the account; it cannot be read again.

    Raises:
        NotFound: there is no such account.
        InvalidInput: a scope is none.
    """
    actor = await queries.actor_by_login(tx, login)
    if actor is None:
        raise NotFound(_("没有登录名为 {login} 的账号。", login=login))
    if not all(_fits(scope, Scope) for scope in scopes):
        raise InvalidInput(fields={"scopes": _("请写 read、write，或某一类的权限，例如 needs:read。")})
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    expires_at = datetime.now(UTC) + timedelta(days=days)
    await queries.insert_token(tx, actor.id, name, hash_token(token), expires_at, scopes)
    return token


async def revoke_token(tx: Transaction, actor: Actor, token_id: int) -> None:
    """Make the actor's own token useless at once.

    Raises:
        NotFound: it is not the actor's, or was revoked before.
    """
    if not await queries.revoke_token(tx, token_id, actor.id):
        raise NotFound
