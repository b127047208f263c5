"""Tokens that hold what they are about: nothing is stored, nobody else can make or read them, and they run out."""

import base64
import binascii
import time
from typing import TypeVar

import msgspec
from msgspec import Struct

from infra.cipher import CannotOpenError, Cipher

S = TypeVar("S", bound=Struct)


def seal_token(cipher: Cipher, kind: str, content: Struct, seconds: float) -> str:
    """A token of that kind, good for so long; letters, digits, - and _."""
    plain = msgspec.json.encode((time.time() + seconds, content))
    return base64.urlsafe_b64encode(cipher.seal(plain, f"token:{kind}")).decode().rstrip("=")


def open_token(cipher: Cipher, kind: str, token: str, content: type[S]) -> S:
    """What it holds.

    Raises:
        CannotOpenError: it is none of ours, of another kind, or has run out.
    """
    try:
        sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        until, found = msgspec.json.decode(cipher.open(sealed, f"token:{kind}"), type=tuple[float, content])  # type: ignore[valid-type]
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise CannotOpenError("no token of ours") from None
    if time.time() > until:
        raise CannotOpenError("the token has run out")
    return found
