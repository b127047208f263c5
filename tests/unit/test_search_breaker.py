"""The circuit breaker around the search engine."""

import anyio
import pytest

from search.breaker import Breaker, CircuitOpen
from search.errors import EngineUnavailable, IndexMissing, QueryTooLong

pytestmark = pytest.mark.anyio


class Clock:
    """Time that passes when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(failures=3, pause=5, clock=clock)


async def good() -> str:
    return "found"


async def bad() -> str:
    raise EngineUnavailable("gone")


async def missing() -> str:
    raise IndexMissing("offerings")


async def wrong() -> str:
    raise QueryTooLong(10_000, 500)


async def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(EngineUnavailable):
            await breaker.call(bad)


async def test_opens_after_failures_in_a_row(breaker: Breaker) -> None:
    await fail(breaker, 2)
    assert await breaker.call(good) == "found"
    await fail(breaker, 2)
    assert breaker.state == "closed"
    await fail(breaker, 1)
    assert breaker.state == "open"
    with pytest.raises(CircuitOpen):
        await breaker.call(good)


async def test_a_missing_index_is_a_failure_and_a_wrong_query_is_none(breaker: Breaker) -> None:
    for _ in range(5):
        with pytest.raises(QueryTooLong):
            await breaker.call(wrong)
    assert breaker.state == "closed"
    for _ in range(3):
        with pytest.raises(IndexMissing):
            await breaker.call(missing)
    assert breaker.state == "open"


async def test_a_probe_closes_it_or_opens_it_again(breaker: Breaker, clock: Clock) -> None:
    await fail(breaker, 3)
    clock.now = 5
    assert breaker.state == "half-open"
    await fail(breaker, 1)
    assert breaker.state == "open"
    clock.now = 10
    assert await breaker.call(good) == "found"
    assert breaker.state == "closed"


async def test_one_probe_at_a_time(breaker: Breaker, clock: Clock) -> None:
    await fail(breaker, 3)
    clock.now = 5
    release = anyio.Event()

    async def slow() -> str:
        await release.wait()
        return "found"

    async with anyio.create_task_group() as group:
        group.start_soon(breaker.call, slow)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(CircuitOpen):
            await breaker.call(good)
        release.set()
    assert breaker.state == "closed"


async def test_a_cancelled_probe_lets_the_next_one_try(breaker: Breaker, clock: Clock) -> None:
    await fail(breaker, 3)
    clock.now = 5
    with anyio.move_on_after(0.01):
        await breaker.call(anyio.sleep_forever)
    assert breaker.state == "half-open"
    assert await breaker.call(good) == "found"
