"""The second factor: time-based codes (TOTP, RFC 6238) from an app, and recovery codes for the day it is lost."""

import base64
import hashlib
import secrets
import time
from io import BytesIO

import pyotp
import segno
from msgspec import Struct

from infra.cipher import Cipher
from infra.db import Transaction
from market.accounts import queries
from market.errors import Conflict, InvalidInput, NotFound
from market.i18n import N_, _

ISSUER = "知配 Zhipei"  # not translated: a name
STEP_SECONDS = 30
STEPS_ASIDE = (0, -1, 1)
"""Clocks differ, and typing takes time."""
RECOVERY_CODES = 10
RECOVERY_BYTES = 15
"""120 random bits: a plain hash is enough (ASVS 6.5.2 asks for 112), and six groups of four are still typed."""
WRONG_CODE = N_("验证码不对，或已经用过。请等应用里换了新的 6 位数字再填。")


class Enrolment(Struct, frozen=True):
    """What an app has to be told."""

    secret: str
    """Base32, for typing."""
    qr: str
    """An SVG image that holds the same."""


async def begin(tx: Transaction, cipher: Cipher, account_id: int) -> None:
    """A new secret for the account, not yet asked for.

    Raises:
        Conflict: it has a second factor.
    """
    secret = pyotp.random_base32()
    if not await queries.begin_factor(tx, account_id, cipher.seal(secret.encode(), _context(account_id))):
        raise Conflict(_("两步验证已经设置好了。"))


async def enrolment(tx: Transaction, cipher: Cipher, account_id: int, login: str) -> Enrolment | None:
    """The secret that waits to be confirmed; None where none does."""
    factor = await queries.factor(tx, account_id)
    if factor is None or factor.confirmed_at is not None or not factor.is_new:
        return None
    secret = cipher.open(factor.secret, _context(account_id)).decode()
    image = BytesIO()
    address = pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)
    # Black on white in both themes, drawn by attributes: our pages allow no style in the markup.
    segno.make(address, error="m").save(
        image, kind="svg", scale=4, border=4, light="#fff", dark="#000", xmldecl=False, svgns=True, title=_("二维码")
    )
    return Enrolment(secret, image.getvalue().decode())


async def confirm(tx: Transaction, cipher: Cipher, account_id: int, code: str) -> tuple[int, list[str]]:
    """Turn the second factor on: all sessions end. The epoch of those that begin now, and the recovery codes.

    Raises:
        InvalidInput: the code is wrong.
        Conflict: it was on already, or its secret was made too long ago.
    """
    factor = await queries.factor(tx, account_id)
    if factor is None or not factor.is_new:
        raise Conflict(_("二维码已经过期，请重新开始。"))
    await _take(tx, cipher, account_id, code)
    if not await queries.confirm_factor(tx, account_id):
        raise Conflict(_("两步验证已经设置好了。"))
    return await queries.end_sessions(tx, account_id), await _new_codes(tx, account_id)


async def check(tx: Transaction, cipher: Cipher, account_id: int, code: str) -> None:
    """Use up a code of the app, or a recovery code.

    Raises:
        InvalidInput: it is wrong, or was used.
    """
    plain = _plain(code)
    if len(plain) > 6 and await queries.take_code(tx, account_id, _hash(plain)):
        return
    await _take(tx, cipher, account_id, code)


async def renew_codes(tx: Transaction, account_id: int) -> list[str]:
    """New recovery codes; the old ones are useless.

    Raises:
        NotFound: the account has no second factor.
    """
    factor = await queries.factor(tx, account_id)
    if factor is None or factor.confirmed_at is None:
        raise NotFound
    return await _new_codes(tx, account_id)


async def remove(tx: Transaction, account_id: int) -> int:
    """Turn the second factor off: all sessions end. The epoch of those that begin now.

    Raises:
        NotFound: the account has none.
    """
    if not await queries.drop_factor(tx, account_id):
        raise NotFound(_("这个账号没有设置两步验证。"))
    return await queries.end_sessions(tx, account_id)


async def reseal(tx: Transaction, cipher: Cipher) -> int:
    """Seal all secrets with the newest key; how many were not."""
    old = [(one, sealed) for one, sealed in await queries.sealed_factors(tx) if not cipher.is_current(sealed)]
    for account_id, sealed in old:
        context = _context(account_id)
        await queries.reseal_factor(tx, account_id, cipher.seal(cipher.open(sealed, context), context))
    return len(old)


async def _take(tx: Transaction, cipher: Cipher, account_id: int, code: str) -> None:
    factor = await queries.factor(tx, account_id)
    step = _step(cipher.open(factor.secret, _context(account_id)).decode(), _plain(code)) if factor else None
    if step is None or not await queries.take_step(tx, account_id, step):
        raise InvalidInput(fields={"code": _(WRONG_CODE)})


def _step(secret: str, code: str) -> int | None:
    """The 30-second step whose code it is, of those that are accepted now."""
    totp, now = pyotp.TOTP(secret), int(time.time()) // STEP_SECONDS
    # all are compared, so that the time tells nothing
    fits = [step for step in (now + aside for aside in STEPS_ASIDE) if _same(totp.generate_otp(step), code)]
    return fits[0] if fits else None


def _same(ours: str, given: str) -> bool:
    return secrets.compare_digest(ours.encode(), given.encode())


async def _new_codes(tx: Transaction, account_id: int) -> list[str]:
    plain = [base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower() for _code in range(RECOVERY_CODES)]
    await queries.replace_codes(tx, account_id, [_hash(one) for one in plain])
    return ["-".join(one[at : at + 4] for at in range(0, len(one), 4)) for one in plain]


def _plain(code: str) -> str:
    return "".join(char for char in code.lower() if char.isalnum())


def _hash(plain: str) -> bytes:
    return hashlib.sha256(plain.encode()).digest()


def _context(account_id: int) -> str:
    return f"totp:{account_id}"
