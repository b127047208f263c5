"""The code on the receipt that somebody takes away from the counter (article 6).

With it, and without an account, people see what becomes of the need, and rate the service themselves: nobody is made to
go online, and nobody has to come back to the counter either.
"""

import base64
import hashlib
import hmac

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.errors import NotFound
from market.i18n import _
from market.needs import queries

CODE_LENGTH = 12
"""Characters of base 32: 60 bits, which nobody guesses over a network."""
GROUP = 4


def code_of(secret: str, need_id: int) -> str:
    """The need's code, signed with the installation's secret: with another secret, no code printed before is valid."""
    signed = hmac.new(secret.encode(), f"receipt:{need_id}".encode(), hashlib.sha256).digest()
    return base64.b32encode(signed).decode()[:CODE_LENGTH]


def spelt(code: str) -> str:
    """In groups, to be read and typed."""
    return "-".join(code[start : start + GROUP] for start in range(0, CODE_LENGTH, GROUP))


def typed(text: str) -> str:
    """A code as somebody typed it: base 32 has no 0, 1 and 8, so what looks like them is meant."""
    kept = "".join(one for one in text.upper() if one.isalnum())
    return kept.translate(str.maketrans("018", "OIB"))


async def holder(tx: Transaction, secret: str, need_id: int, code: str) -> Actor:
    """Whoever holds the receipt: may for this need what the clerk may who filed it. For no other need.

    Raises:
        NotFound: the code is not that need's, or the need did not come in at a counter: all look the same.
    """
    right = hmac.compare_digest(code_of(secret, need_id).encode(), typed(code).encode())
    clerk_id = await queries.filed_at_counter(tx, need_id)
    if not right or clerk_id is None:
        raise NotFound(_("编号和代码对不上。请核对回执上的编号和代码，或到窗口、打电话询问。"))
    return Actor(id=clerk_id, login="", name="", role=Role.CLERK, by_receipt=True)
