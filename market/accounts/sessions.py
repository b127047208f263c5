"""Log-in sessions and unsent drafts in Redis.

The cookie holds 256 random bits; Redis knows only their hash, so that a copy of Redis logs nobody in. A session holds
the account's epoch: whoever reads the account compares it, so PostgreSQL ends sessions, whatever Redis has.

While Redis is away, a session is sealed into its cookie for EMERGENCY_SECONDS instead of being stored: people go on
working; ``session_epoch`` ends these too. They are in no list.
"""

import hashlib
import secrets
import time
from collections.abc import Sequence

import msgspec
from msgspec import structs
from redis.asyncio import Redis
from redis.exceptions import RedisError

from infra.cipher import CannotOpenError, Cipher
from infra.sealing import open_token, seal_token
from infra.settings import Settings
from market.accounts.model import Session

DRAFT_SECONDS = 24 * 3600
EMERGENCY_SECONDS = 15 * 60
MOST_SESSIONS = 30
"""Of one account; the oldest ends when another begins."""
SEALED = "sealed."


class Sessions:
    """Sessions that end some hours after their start, or after the last request."""

    def __init__(self, redis: Redis, settings: Settings, cipher: Cipher) -> None:
        self._redis = redis
        self._namespace = settings.namespace
        self._idle = settings.session_hours * 3600
        self._absolute = settings.session_most_hours * 3600
        self._cipher = cipher

    async def start(self, session: Session) -> str:
        """Begin the session; the value of its cookie."""
        token = secrets.token_urlsafe(32)
        name = _hash(token)
        index = self._of_account(session.account_id)
        try:
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.set(self._session(name), msgspec.json.encode(session), ex=self._idle)
                pipeline.zadd(index, {name: session.started})
                pipeline.zremrangebyscore(index, 0, session.started - self._absolute)
                pipeline.expire(index, self._absolute)
                pipeline.zrange(index, 0, -MOST_SESSIONS - 1)
                old = (await pipeline.execute())[-1]
            if old:
                await self._drop(session.account_id, [one.decode() for one in old])
        except RedisError:
            return SEALED + seal_token(self._cipher, "session", session, EMERGENCY_SECONDS)
        return token

    async def find(self, token: str) -> Session | None:
        """The session, prolonged; None where it ended, or nobody can tell."""
        if token.startswith(SEALED):
            try:
                session = open_token(self._cipher, "session", token.removeprefix(SEALED), Session)
            except CannotOpenError:
                return None
            return structs.replace(session, token=token)
        try:
            value = await self._redis.getex(self._session(_hash(token)), ex=self._idle)
        except RedisError:
            # Public pages stay readable; whatever needs an account answers 401 instead of guessing.
            return None
        if value is None:
            return None
        found = _decoded(value)
        if found is None or time.time() - found.started > self._absolute:
            return None
        return structs.replace(found, token=token, id=_hash(token)[:16])

    async def lives(self, session: Session) -> bool:
        """Whether the session goes on; this does not prolong it. A sealed one is left to its account's epoch."""
        if time.time() - session.started > self._absolute:
            return False
        if session.token.startswith(SEALED):
            return abs(time.time() - session.started) < EMERGENCY_SECONDS  # a clock may have been put back
        try:
            return bool(await self._redis.exists(self._session(_hash(session.token))))
        except RedisError:
            return False

    async def end(self, session: Session) -> bool:
        """End the session at once. False: it is sealed, or Redis is away, and only the account's epoch can end it."""
        if session.token.startswith(SEALED):
            return False
        try:
            await self._drop(session.account_id, [_hash(session.token)])
        except RedisError:
            return False
        return True

    async def of(self, account_id: int, epoch: int) -> list[Session]:
        """The account's live sessions, the last used first; none while Redis is away."""
        try:
            names = [one.decode() for one in await self._redis.zrange(self._of_account(account_id), 0, -1)]
            async with self._redis.pipeline(transaction=False) as pipeline:
                for name in names:
                    pipeline.get(self._session(name))
                    pipeline.ttl(self._session(name))
                answers = await pipeline.execute() if names else []
        except RedisError:
            return []
        found = [
            structs.replace(session, id=name[:16], idle_seconds=self._idle - ttl)
            for name, value, ttl in zip(names, answers[::2], answers[1::2], strict=True)
            if value is not None and (session := _decoded(value)) is not None and session.epoch == epoch
        ]
        live = [one for one in found if time.time() - one.started <= self._absolute]
        return sorted(live, key=lambda one: one.idle_seconds)

    async def end_one(self, account_id: int, session_id: str) -> bool:
        """End that session of the account; False where it has ended before."""
        names = [one.decode() for one in await self._redis.zrange(self._of_account(account_id), 0, -1)]
        ended = [name for name in names if name[:16] == session_id]
        await self._drop(account_id, ended)
        return bool(ended)

    async def keep_draft(self, text: str) -> str:
        """Keep what somebody typed before logging in; the key to get it back."""
        key = secrets.token_urlsafe(16)
        await self._redis.set(f"{self._namespace}:draft:{key}", text.encode(), ex=DRAFT_SECONDS)
        return key

    async def draft(self, key: str) -> str | None:
        """What was typed; None after a day."""
        value = await self._redis.get(f"{self._namespace}:draft:{key}")
        return None if value is None else value.decode()

    async def _drop(self, account_id: int, names: Sequence[str]) -> None:
        if names:
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.delete(*(self._session(name) for name in names))
                pipeline.zrem(self._of_account(account_id), *names)
                await pipeline.execute()

    def _session(self, name: str) -> str:
        return f"{self._namespace}:session:{name}"

    def _of_account(self, account_id: int) -> str:
        return f"{self._namespace}:sessions:{account_id}"


def _decoded(value: bytes) -> Session | None:
    """None for what another release stored: its people log in again."""
    try:
        return msgspec.json.decode(value, type=Session)
    except msgspec.MsgspecError:
        return None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
