"""A model on trial beside the champion: which needs it ranks, and which of the two earned more."""

from hashlib import blake2b

import numpy as np
from msgspec import Struct

from matching.evaluate import Snips, snips
from matching.types import FloatArray

SHARE = 0.1
"""Of all needs, those that a challenger ranks."""


def drawn(need_id: int, version: str, *, share: float = SHARE) -> bool:
    """Whether the challenger of that version ranks this need; the same answer every time, whatever the need is about.

    Another version draws other needs, so that nobody is always the one things are tried on.
    """
    digest = blake2b(f"{version}:{need_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64


class Duel(Struct, frozen=True):
    """What champion and challenger would each have earned a need, had they ranked all of them.

    `change` is the challenger's value less the champion's, `error` its standard error: smaller than that of either,
    because most needs tell the same of both.
    """

    champion: Snips
    challenger: Snips
    change: float
    error: float

    @property
    def low(self) -> float:
        """Where the change lies with 95 % confidence: from here …"""
        return self.change - 1.96 * self.error

    @property
    def high(self) -> float:
        """… to here."""
        return self.change + 1.96 * self.error


def duel(reward: FloatArray, champion: FloatArray, challenger: FloatArray, share: FloatArray) -> Duel:
    """From lists that either of them made; all inputs [n].

    `reward`: of the candidate that was shown first. `champion`, `challenger`: the probability with which each of them
    shows that one first. `share`: that with which the challenger was asked. What was logged is their mixture, so that a
    tenth of needs says something of all, also where the two never agree.

    Raises ValueError unless every mixture is above 0.
    """
    logged = (1 - share) * champion + share * challenger
    old, new = (snips(reward, logged, target) for target in (champion, challenger))
    if not (old.effective and new.effective):
        return Duel(old, new, change=0.0, error=float("inf"))
    weights = [np.divide(target, logged) for target in (champion, challenger)]
    influence = weights[1] * (reward - new.value) / weights[1].sum() - weights[0] * (reward - old.value) / (
        weights[0].sum()
    )
    return Duel(old, new, change=new.value - old.value, error=float(np.sqrt((influence**2).sum())))
