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
MOST_FROM_ADDRESS = 60
"""Log-ins that failed from one address: an office has many people, a guesser more."""


class Sessions:
    """Sessions that end after ``hours`` without a request."""

    def __init__(self, redis: Redis, namespace: str, hours: int) -> None:
        self._redis = redis
        self._namespace = namespace
        self._seconds = hours * 3600

    async def start(self, account_id: int) -> str:
        """A new session; the value of its cookie."""
        token = secrets.token_urlsafe(32)
        await self._redis.set(self._session(token), account_id, ex=self._seconds)
        return token

    async def find(self, token: str) -> int | None:
        """The session's account, and the session prolonged; None where it ended."""
        value = await self._redis.getex(self._session(token), ex=self._seconds)
        return None if value is None else int(value)

    async def lives(self, token: str) -> bool:
        """Whether the session goes on; this does not prolong it."""
        return bool(await self._redis.exists(self._session(token)))

    async def end(self, token: str) -> None:
        """End the session at once."""
        await self._redis.delete(self._session(token))

    async def may_try(self, login: str, address: str) -> bool:
        """Count an attempt to log in; False where there have been too many for one person, or from one address.

        A login is counted per address, so that a stranger cannot lock its owner out from elsewhere.
        """
        limits = {self._attempts(login, address): MOST_ATTEMPTS, self._attempts("", address): MOST_FROM_ADDRESS}
        async with self._redis.pipeline(transaction=True) as pipeline:
            for key in limits:
                pipeline.set(key, 0, ex=ATTEMPT_SECONDS, nx=True)
                pipeline.incr(key)
            counts = (await pipeline.execute())[1::2]
        return all(int(count) <= most for count, most in zip(counts, limits.values(), strict=True))

    async def forget_attempts(self, login: str, address: str) -> None:
        """Start counting anew, after a log-in that went well; for its address that one attempt does not count."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.delete(self._attempts(login, address))
            pipeline.decr(self._attempts("", address))
            await pipeline.execute()

    async def keep_draft(self, text: str) -> str:
        """Keep what somebody typed before logging in; the key to get it back."""
        key = secrets.token_urlsafe(16)
        await self._redis.set(f"{self._namespace}:draft:{key}", text.encode(), ex=DRAFT_SECONDS)
        return key

    async def draft(self, key: str) -> str | None:
        """What was typed; None after a day."""
        value = await self._redis.get(f"{self._namespace}:draft:{key}")
        return None if value is None else value.decode()

    def _attempts(self, login: str, address: str) -> str:
        return f"{self._namespace}:attempts:{_hash(f'{login.lower()} {address}')}"

    def _session(self, token: str) -> str:
        return f"{self._namespace}:session:{_hash(token)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
