"""A page of 20 offerings, for anybody: as JSON and as HTML, against the peer's JSON and against the select alone."""

import asyncio
import itertools

import httpx

from bench.load import drive, request
from bench.pgbench import fill, pgbench
from bench.report import Finding, Part, Race
from bench.stage import Effort, Stage
from market.offerings.queries import PAGE

LOADS = (32, 4)
LIMIT = 20
JSON, HTML, PEER, ALONE = "Zhipei, JSON", "Zhipei, HTML", "FastAPI + SQLAlchemy, JSON", "pgbench, same select"


async def measure(stage: Stage, effort: Effort) -> Part:
    """32 clients, and 4; each round all contenders in turn."""
    races = {clients: Race(f"{clients} clients") for clients in LOADS}
    select = fill(PAGE, dict.fromkeys(range(1, 9), "NULL") | {9: str(LIMIT + 1)})
    async with (
        stage.database("bench_pages") as settings,
        stage.web(settings) as web,
        stage.peer(settings) as peer,
    ):
        pages = {
            JSON: (web, f"/api/v1/offerings?limit={LIMIT}"),
            HTML: (web, "/offerings"),
            PEER: (peer, f"/api/v1/offerings?limit={LIMIT}"),
        }
        await _check_same(web, peer, pages[JSON][1])
        for clients in itertools.chain.from_iterable([LOADS] * effort.rounds):
            race = races[clients]
            for what, (port, path) in pages.items():
                readers = [itertools.repeat(request("GET", path))] * clients
                run = await asyncio.to_thread(
                    drive, port, readers, status=200, seconds=effort.seconds, warm=effort.warm
                )
                race.add(what, run)
            run = await pgbench(settings, stage.folder, select, clients=clients, seconds=effort.seconds)
            race.add(ALONE, run)
    many, few = races[LOADS[0]], races[LOADS[1]]
    findings = [
        Finding("page of 20: Zhipei's JSON to FastAPI + SQLAlchemy's, 32 clients", many.ratio(JSON, PEER), "×"),
        Finding("page of 20: Zhipei's HTML to FastAPI + SQLAlchemy's JSON, 32 clients", many.ratio(HTML, PEER), "×"),
        Finding("page of 20: Zhipei's JSON to pgbench's same select, 32 clients", many.ratio(JSON, ALONE), "×"),
        Finding("page of 20: Zhipei's JSON, p99, 4 clients", few.p99(JSON), "ms", 10),
        Finding("page of 20: Zhipei's HTML, p99, 4 clients", few.p99(HTML), "ms", 10),
    ]
    return Part("a page of 20 offerings", [one for race in races.values() for one in race.measures()], findings)


async def _check_same(web: int, peer: int, path: str) -> None:
    """The peer does the same work only as long as it gives the same answer."""
    async with httpx.AsyncClient(trust_env=False) as client:
        ours, theirs = [(await client.get(f"http://127.0.0.1:{port}{path}")).json()["items"] for port in (web, peer)]
    if ours != theirs or len(ours) != LIMIT:
        raise RuntimeError("the peer's page is not Zhipei's: bring bench/peer.py up to date")
