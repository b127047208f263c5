"""From submission to the stored shortlist: the way of a need through outbox, relay, arq and ranking.

The clock starts before the request is sent and stops when the transaction that stores the ranking has committed. A
trigger of the bench's own tells that moment by NOTIFY, so that nothing is polled while it is measured.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import httpx

from bench.load import Run, summary
from bench.report import Finding, Part, Race
from bench.stage import Effort, Stage, give_tokens, token
from infra.settings import Settings
from market.accounts.model import Role
from market.demo.cast import login_of

TELL = """
CREATE FUNCTION bench_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('bench', NEW.id || ' ' || NEW.state);
    RETURN NULL;
END $$;
CREATE TRIGGER bench_tell AFTER UPDATE OF state ON needs FOR EACH ROW EXECUTE FUNCTION bench_tell();
"""
TEXTS = "SELECT body FROM needs WHERE length(body) > 20 ORDER BY md5(id::text) LIMIT $1"
TRIED = 50
"""Texts tried, which also warms everything up."""
PER_SECOND = 5
TIMEOUT_SECONDS = 20.0
PROPOSED = "proposed"
ALONE, PACED = "one at a time", f"{PER_SECOND} per second"


async def measure(stage: Stage, effort: Effort) -> Part:
    """Needs of the demo again, through the web server to the worker, on the demo's catalogue."""
    alone, paced = Race(ALONE), Race(PACED)
    async with stage.database("bench_shortlist") as settings:
        await give_tokens(settings, [login_of(Role.ENTERPRISE, 0)])
        async with stage.web(settings) as port, stage.worker(settings), _clock(settings) as clock:
            client = httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {token(0)}"}, trust_env=False
            )
            async with client:
                tried = await _texts(settings)
                found = [text for text in tried if (await _submitted(client, clock, text))[1] == PROPOSED]
                texts = itertools.cycle(found)
                for _ in range(effort.rounds):
                    alone.add("Zhipei", await _one_by_one(client, clock, texts, effort.needs))
                paced.add("Zhipei", await _steadily(client, clock, texts, effort.needs))
    measures = alone.measures() + paced.measures()
    findings = [
        Finding("submission to stored shortlist, p50, one at a time", measures[0].p50, "ms", 150),
        Finding("submission to stored shortlist, p99, one at a time", measures[0].p99, "ms"),
        Finding(f"submission to stored shortlist, p50, {PACED}", measures[1].p50, "ms", 150),
    ]
    return Part("submission to stored shortlist", measures, findings)


class Clock:
    """When the needs of this database left the state they were submitted in."""

    def __init__(self) -> None:
        self._moved: dict[int, asyncio.Future[tuple[float, str]]] = {}

    def told(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        """asyncpg's listener."""
        need_id, state = str(payload).split(" ")
        self._future(int(need_id)).set_result((time.perf_counter(), state))

    async def moved(self, need_id: int) -> tuple[float, str]:
        """When the need left the state it was submitted in, and for which.

        Raises:
            TimeoutError: nothing happened to it.
        """
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await self._future(need_id)

    def _future(self, need_id: int) -> "asyncio.Future[tuple[float, str]]":
        return self._moved.setdefault(need_id, asyncio.get_running_loop().create_future())


@asynccontextmanager
async def _clock(settings: Settings) -> AsyncIterator[Clock]:
    connection, clock = await asyncpg.connect(settings.owner_url), Clock()
    await connection.execute(TELL)
    await connection.add_listener("bench", clock.told)
    try:
        yield clock
    finally:
        connection.terminate()


async def _texts(settings: Settings) -> list[str]:
    connection = await asyncpg.connect(settings.owner_url)
    texts = [row["body"] for row in await connection.fetch(TEXTS, TRIED)]
    await connection.close()
    return texts


async def _one_by_one(client: httpx.AsyncClient, clock: Clock, texts: Iterator[str], count: int) -> Run:
    began = time.perf_counter()
    latencies = [await _proposed(client, clock, next(texts)) for _ in range(count)]
    return summary(latencies, time.perf_counter() - began)


async def _steadily(client: httpx.AsyncClient, clock: Clock, texts: Iterator[str], count: int) -> Run:
    began = time.perf_counter()
    tasks = []
    for number in range(count):
        await asyncio.sleep(began + number / PER_SECOND - time.perf_counter())
        tasks.append(asyncio.create_task(_proposed(client, clock, next(texts))))
    return summary(await asyncio.gather(*tasks), time.perf_counter() - began)


async def _proposed(client: httpx.AsyncClient, clock: Clock, text: str) -> float:
    """Seconds until a match is proposed.

    Raises:
        RuntimeError: none is, which is less work than what is measured.
    """
    seconds, state = await _submitted(client, clock, text)
    if state != PROPOSED:
        raise RuntimeError(f"{state}: {text}")
    return seconds


async def _submitted(client: httpx.AsyncClient, clock: Clock, text: str) -> tuple[float, str]:
    """Seconds from before the request until the shortlist was stored, and the need's new state."""
    began = time.perf_counter()
    answer = await client.post("/api/v1/needs", json={"body": text}, headers={"Idempotency-Key": f"bench-{began}"})
    answer.raise_for_status()
    moment, state = await clock.moved(answer.json()["id"])
    return moment - began, state
