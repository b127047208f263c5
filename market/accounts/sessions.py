"""Log-in sessions and unsent drafts in Redis.

The cookie holds 256 random bits; Redis knows only their hash, so that a copy of Redis logs nobody in.
"""

import hashlib
import secrets

from redis.asyncio import Redis

DRAFT_SECONDS = 24 * 3600
ATTEMPT_SECONDS = 5 * 60
MOST_ATTEMPTS = 10
"""Log-ins tried with one login from one address within ATTEMPT_SECONDS."""


class Sessions:
    """Sessions that end after ``hours`` without a request."""

    def __init__(self, redis: Redis, hours: int) -> None:
        self._redis = redis
        self._seconds = hours * 3600

    async def start(self, account_id: int) -> str:
        """A new session; the value of its cookie."""
        token = secrets.token_urlsafe(32)
        await self._redis.set(_session(token), account_id, ex=self._seconds)
        return token

    async def find(self, token: str) -> int | None:
        """The session's account, and the session prolonged; None where it ended."""
        value = await self._redis.getex(_session(token), ex=self._seconds)
        return None if value is None else int(value)

    async def end(self, token: str) -> None:
        """End the session at once."""
        await self._redis.delete(_session(token))

    async def may_try(self, login: str, address: str) -> bool:
        """Count an attempt to log in; False where there have been too many. Others keep the account usable."""
        key = _attempts(login, address)
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.set(key, 0, ex=ATTEMPT_SECONDS, nx=True)
            pipeline.incr(key)
            _, count = await pipeline.execute()
        return int(count) <= MOST_ATTEMPTS

    async def forget_attempts(self, login: str, address: str) -> None:
        """Start counting anew, after a log-in that went well."""
        await self._redis.delete(_attempts(login, address))

    async def keep_draft(self, text: str) -> str:
        """Keep what somebody typed before logging in; the key to get it back."""
        key = secrets.token_urlsafe(16)
        await self._redis.set(f"draft:{key}", text.encode(), ex=DRAFT_SECONDS)
        return key

    async def draft(self, key: str) -> str | None:
        """What was typed; None after a day."""
        value = await self._redis.get(f"draft:{key}")
        return None if value is None else value.decode()


def _attempts(login: str, address: str) -> str:
    return f"attempts:{hashlib.sha256(f'{login.lower()} {address}'.encode()).hexdigest()}"


def _session(token: str) -> str:
    return f"session:{hashlib.sha256(token.encode()).hexdigest()}"
