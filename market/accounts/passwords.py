"""Passwords: which are good enough, and how they are hashed.

No rules of composition: they make people write P@ssw0rd1 (NIST SP 800-63B, 3.1.1.2). A password has to be long, and
more than a few well-known pieces in a row. These are in ``market/data/passwords.txt``; the README beside it tells where
they come from.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from market.errors import Busy
from market.i18n import _

T = TypeVar("T")

MOST_BYTES = 200
ENOUGH = 7
"""What a password has to weigh: each character 1, each well-known piece, year, run or row of keys PIECE."""
PIECE = 2
SHORTEST_PIECE, LONGEST_PIECE = 4, 20
SHORTEST_OWN = 3
REPEATED = re.compile(r"(.{1,10}?)\1+")
YEAR = re.compile(r"(19|20)\d\d")
# Checked when the login does not exist, so that the answer takes as long as when it does.
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$SJWBY2TXx9VCKE24PMTZCw$CTVjSw8QJBTXjYkSH6p4XUBavJqEICfa8mWxObq5pqE"
WAITING_PER_HASH = 16
"""How many wait for each that is being hashed; at 50 ms each, whoever came later would have given up."""


def problem(password: str, shortest: int, about: Iterable[str] = ()) -> str | None:
    """What is wrong with a new password, in words; None where it is good.

    ``about``: names that others know of the account: its login, the person, the organisation.
    """
    if len(password) < shortest:
        left = shortest - len(password)
        return _("密码至少 {n} 个字符，还差 {left} 个。可以用几个不相干的词连起来。", n=shortest, left=left)
    if len(password.encode()) > MOST_BYTES:
        return _("密码太长，最多 {n} 个字节（一个汉字算 3 个）。", n=MOST_BYTES)
    low = password.lower()
    if any(name.lower() in low for name in about if len(name) >= SHORTEST_OWN):
        return _("密码里不要含登录名、姓名、电话或单位名称，别人容易猜到。")
    if weight(low) < ENOUGH:
        return _("这个密码很常见，容易被猜到。请换成几个不相干的词，或在中间加些别的字。")
    return None


def weight(low: str) -> int:
    """How much a lower-case password weighs: the least over all ways to cut it into pieces and characters.

    What is repeated counts once, and one more for being repeated.
    """
    once = REPEATED.sub(r"\1", low)
    return min(_least(low), _least(once) + (once != low))


def _least(text: str) -> int:
    least = [0]
    for end in range(1, len(text) + 1):
        starts = range(max(0, end - LONGEST_PIECE), end - SHORTEST_PIECE + 1)
        pieces = [least[start] + PIECE for start in starts if _well_known(text[start:end])]
        least.append(min([least[end - 1] + 1, *pieces]))
    return least[-1]


def _well_known(piece: str) -> bool:
    steps = {ord(b) - ord(a) for a, b in pairwise(piece)}
    return steps in ({1}, {-1}) or piece in common() or YEAR.fullmatch(piece) is not None


@cache
def common() -> frozenset[str]:
    """Well-known passwords in lower case; one of a few kilobytes a word, so it is read once."""
    return frozenset((files("market") / "data" / "passwords.txt").read_text().split())


class Hasher:
    """Argon2 in threads, at most ``at_once`` of them: each takes 64 MiB and a core for some 50 ms, by design.

    Never call it with a transaction open: the wait would hold a connection.
    """

    def __init__(self, at_once: int) -> None:
        self._argon2 = PasswordHasher()
        self._slots = asyncio.Semaphore(at_once)
        self._most = at_once * (1 + WAITING_PER_HASH)
        self._here = 0

    async def hash(self, password: str) -> str:
        """What is stored of the password.

        Raises:
            Busy: too many wait already.
        """
        return await self._run(lambda: self._argon2.hash(password))

    async def fits(self, password: str, password_hash: str | None) -> bool:
        """Whether it is that password; without a hash it takes as long, and is not.

        Raises:
            Busy: too many wait already.
        """

        def verify() -> bool:
            try:
                return self._argon2.verify(password_hash or NOBODY, password)
            except VerificationError:
                return False

        return await self._run(verify) and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it was made with weaker parameters than today's."""
        return self._argon2.check_needs_rehash(password_hash)

    async def _run(self, act: Callable[[], T]) -> T:
        if self._here >= self._most:
            raise Busy
        self._here += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(act)
        finally:
            self._here -= 1
