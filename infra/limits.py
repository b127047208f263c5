"""How often something may be done: counted in Redis for all processes, or in this one while Redis is away.

The counting is one Lua script, so that two requests at the same moment cannot both be the last allowed one.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

MOST_LOCAL = 10_000
"""Keys that a process counts by itself; the oldest is forgotten."""
# What was counted at a moment to come, before the clock was put back, is forgotten, or somebody would wait for it; the
# clocks of several machines differ by less than the minute.
# KEYS: what is counted. ARGV: now, then four numbers a key: free, step, longest, memory (see ``Rule``). A value is
# "count last". Answers how long to wait; only if that is 0 have all keys been counted.
COUNT = """
local now, wait, writes = tonumber(ARGV[1]), 0, {}
for i, key in ipairs(KEYS) do
    local free, step = tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1])
    local longest, memory = tonumber(ARGV[4 * i]), tonumber(ARGV[4 * i + 1])
    local count, last = 0, 0
    local value = redis.call('GET', key)
    if value then
        local a, b = string.match(value, '(%S+) (%S+)')
        if (memory == 0 or now - tonumber(b) <= memory) and tonumber(b) <= now + 60 then
            count, last = tonumber(a), tonumber(b)
        end
    end
    if longest > 0 then
        if count >= free then
            wait = math.max(wait, last + math.min(longest, step * 2 ^ math.min(count - free, 60)) - now)
        end
        count, last = count + 1, now
    else
        count = math.max(0, count - math.max(0, now - last) / step)
        wait = math.max(wait, (count + 1 - free) * step)
        count, last = count + 1, now
    end
    writes[i] = { string.format('%.6f %.6f', count, last), math.ceil(memory) }
end
if wait > 0 then
    return tostring(wait)
end
for i, key in ipairs(KEYS) do
    redis.call('SET', key, writes[i][1], 'EX', writes[i][2])
end
return '0'
"""
GIVE_BACK = """
local value = redis.call('GET', KEYS[1])
if value then
    local a, b = string.match(value, '(%S+) (%S+)')
    redis.call('SET', KEYS[1], string.format('%.6f %s', math.max(0, tonumber(a) - 1), b), 'KEEPTTL')
end
return 0
"""


class Rule(Struct, frozen=True):
    """``free`` times at once. Then once in ``step`` seconds; or, with ``longest``, after a wait that begins with
    ``step`` and doubles each time up to ``longest``, until there was nothing for ``memory`` seconds.
    """

    free: int
    step: float
    longest: float = 0.0
    memory: float = 0.0


def rate(most: int, seconds: float) -> Rule:
    """``most`` times in any ``seconds`` on average."""
    return Rule(most, seconds / most, memory=seconds + 1)


class Limiter:
    """Counts under keys; an instance a process."""

    def __init__(self, redis: Redis, namespace: str, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._prefix = f"{namespace}:limit:"
        self._clock = clock
        self._local: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._count = redis.register_script(COUNT)
        self._give_back = redis.register_script(GIVE_BACK)

    async def wait(self, rules: Mapping[str, Rule]) -> float:
        """0: it is counted, and may be done. Otherwise the seconds until it may, and nothing is counted."""
        now = self._clock()
        given = [str(x) for rule in rules.values() for x in (rule.free, rule.step, rule.longest, rule.memory)]
        try:
            return float(await self._count(keys=[self._prefix + key for key in rules], args=[f"{now:.6f}", *given]))
        except RedisError:
            return self._wait_here(rules, now)

    async def give_back(self, key: str) -> None:
        """Count one less."""
        count, last = self._local.get(key, (0.0, 0.0))
        self._local[key] = max(0.0, count - 1), last
        await self._quietly(lambda: self._give_back(keys=[self._prefix + key]))

    async def forget(self, keys: Sequence[str]) -> None:
        """Start counting anew."""
        for key in keys:
            self._local.pop(key, None)
        await self._quietly(lambda: self._redis.delete(*(self._prefix + key for key in keys)))

    async def mark(self, key: str, seconds: int) -> None:
        """Remember something for so long, where Redis is there."""
        await self._quietly(lambda: self._redis.set(self._prefix + key, 1, ex=seconds))

    async def is_marked(self, key: str) -> bool:
        """Whether it is remembered."""
        try:
            return bool(await self._redis.exists(self._prefix + key))
        except RedisError:
            return False

    async def _quietly(self, act: Callable[[], Awaitable[object]]) -> None:
        with suppress(RedisError):
            await act()

    def _wait_here(self, rules: Mapping[str, Rule], now: float) -> float:
        """What the script does, with this process's counts."""
        wait, writes = 0.0, {}
        for key, rule in rules.items():
            count, last = self._local.get(key, (0.0, 0.0))
            if (rule.memory and now - last > rule.memory) or last > now + 60:
                count = last = 0.0
            if rule.longest:
                if count >= rule.free:
                    pause = min(rule.longest, rule.step * 2 ** min(count - rule.free, 60))
                    wait = max(wait, last + pause - now)
            else:
                count = max(0.0, count - max(0.0, now - last) / rule.step)
                wait = max(wait, (count + 1 - rule.free) * rule.step)
            writes[key] = (count + 1, now)
        if wait > 0:
            return wait
        for key, value in writes.items():
            self._local[key] = value
            self._local.move_to_end(key)
        while len(self._local) > MOST_LOCAL:
            self._local.popitem(last=False)
        return 0.0
