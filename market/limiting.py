"""Who may ask how often: rules by class of route, by account and by address; the growing wait of wrong log-ins.

A handler names its class (``opt={"limits": "search"}``); whatever changes something is of class ``write``. So a limit
follows its handler wherever its path goes. Settings say how much; 0 is no limit.
"""

import hashlib
import ipaddress
from collections.abc import Mapping

from litestar.connection import ASGIConnection

from infra.limits import Limiter, Rule, rate
from infra.settings import Settings
from market.accounts.model import Actor
from market.errors import TooManyAttempts, TooManyRequests

SAFE = ("GET", "HEAD", "OPTIONS")
PEOPLE_AT_AN_ADDRESS = 5
"""An office goes out through one address: it may do so many times what one account may."""
LOGIN_STEP, LOGIN_LONGEST, LOGIN_MEMORY = 1.0, 300.0, 900.0
STRANGERS_LONGEST = 30.0
"""An account's wait, counted over all addresses, stays short: strangers must not keep its owner out for long."""
BY_ALL, BY_ADDRESS = 7, 20
"""How many times more wrong passwords an account bears from all addresses, and an address for all accounts."""
KNOWN_SECONDS = 30 * 24 * 3600
"""Where somebody has logged in within this time, strangers' attempts on the account do not make them wait."""
CODES = rate(5, 300)
RESETS = rate(5, 24 * 3600)


def network(address: str) -> str:
    """What one subscriber has: an IPv4 address, or the first 64 bits of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))


def address_of(connection: ASGIConnection) -> str:  # type: ignore[type-arg]
    """Where the request comes from, for counting."""
    return network(connection.client.host) if connection.client else ""


def rule_of(settings: Settings, kind: str) -> Rule | None:
    """How often one account may ask for routes of that class; None: as often as it likes."""
    rules: Mapping[str, tuple[int, float]] = {
        "search": (settings.searches_per_minute, 60),
        "write": (settings.writes_per_minute, 60),
        "export": (settings.exports_per_minute, 60),
        "register": (settings.registrations_per_hour, 3600),
    }
    most, seconds = rules[kind]
    return rate(most, seconds) if most else None


async def throttle(connection: ASGIConnection, limiter: Limiter, settings: Settings, actor: Actor | None) -> None:  # type: ignore[type-arg]
    """Count the request.

    Raises:
        TooManyRequests: there were too many of its class, by the account or from the address.
    """
    safe = connection.scope["method"] in SAFE  # type: ignore[typeddict-item]
    kind = connection.route_handler.opt.get("limits", None if safe else "write")
    rule = kind and rule_of(settings, kind)
    if not rule:
        return
    rules = {f"{kind}:from:{address_of(connection)}": rate(rule.free * PEOPLE_AT_AN_ADDRESS, rule.memory - 1)}
    if actor is not None:
        rules[f"{kind}:by:{actor.id}"] = rule
    if wait := await limiter.wait(rules):
        raise TooManyRequests(wait)


class LogInLimits:
    """The wait before the next password may be tried: it grows with each wrong one."""

    def __init__(self, limiter: Limiter, settings: Settings, login: str, address: str) -> None:
        who = _hash(login.strip().lower())
        free = settings.login_attempts
        self._limiter = limiter
        self._pair, self._all, self._from = f"login:{who}:{_hash(address)}", f"login:{who}", f"from:{_hash(address)}"
        self._known = f"known:{who}:{_hash(address)}"
        self._rules = {
            self._pair: Rule(free, LOGIN_STEP, LOGIN_LONGEST, LOGIN_MEMORY),
            self._all: Rule(free * BY_ALL, LOGIN_STEP, STRANGERS_LONGEST, LOGIN_MEMORY),
            self._from: Rule(free * BY_ADDRESS, LOGIN_STEP, LOGIN_LONGEST, LOGIN_MEMORY),
        }

    async def begin(self) -> None:
        """Count an attempt before it is made, so that many at the same moment are not free.

        Raises:
            TooManyAttempts: it is too early.
        """
        rules = self._rules
        if await self._limiter.is_marked(self._known):
            rules = {key: rule for key, rule in rules.items() if key != self._all}
        if wait := await self._limiter.wait(rules):
            raise TooManyAttempts(wait)

    async def went_well(self) -> None:
        """Forget the wrong ones of this person here; the address is given back this one."""
        await self._limiter.forget([self._pair, self._all])
        await self._limiter.give_back(self._from)
        await self._limiter.mark(self._known, KNOWN_SECONDS)


async def limit_codes(limiter: Limiter, account_id: int) -> None:
    """Count a code of the second factor.

    Raises:
        TooManyAttempts: too many within five minutes.
    """
    if wait := await limiter.wait({f"code:{account_id}": CODES}):
        raise TooManyAttempts(wait)


async def forget_codes(limiter: Limiter, account_id: int) -> None:
    """Start counting anew, after a right code."""
    await limiter.forget([f"code:{account_id}"])


async def limit_resets(limiter: Limiter, key: str) -> None:
    """Count a new password by a link.

    Raises:
        TooManyAttempts: too many within a day.
    """
    if wait := await limiter.wait({f"reset:{_hash(key)}": RESETS}):
        raise TooManyAttempts(wait)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
