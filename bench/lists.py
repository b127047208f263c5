"""The lists that people look at all day, as HTML: each for who reads it, one reader and four.

``offerings``, ``institutions`` and ``items`` for visitors, from the search index; ``needs``, ``queue`` and ``desk`` for
those who log in. Lists have 20 rows; the queue has up to 50, the desk all that is to be done.
"""

import asyncio
import itertools

import httpx

from bench.load import drive, request
from bench.report import Finding, Part, Race
from bench.stage import Effort, Stage
from market.demo.service import PASSWORD

LOADS = (1, 4)
LIMIT_MS = 30.0
LISTS = {
    "offerings": ("/offerings", ""),
    "institutions": ("/institutions", ""),
    "items": ("/items?q=专利", ""),  # without a question it lists all items there are
    "needs, enterprise's": ("/needs", "enterprise"),
    "needs, admin's": ("/needs", "admin"),
    "queue": ("/queue", "coordinator"),
    "desk": ("/desk", "institution"),
}
RECOVERING = "搜索正在恢复"
PATIENCE_SECONDS = 60


async def measure(stage: Stage, effort: Effort) -> Part:
    """Each list in turn, round by round; the goal is for the median of one reader at a time."""
    races = {clients: Race(f"{clients} client{'s' if clients > 1 else ''}") for clients in LOADS}
    async with (
        stage.database("bench_lists") as settings,
        stage.web(settings) as web,
        stage.worker(settings),
    ):
        await _indexed(web)
        asked = {name: await _request(web, path, login) for name, (path, login) in LISTS.items()}
        for clients in itertools.chain.from_iterable([LOADS] * effort.rounds):
            for name, one in asked.items():
                readers = [itertools.repeat(one)] * clients
                run = await asyncio.to_thread(drive, web, readers, status=200, seconds=effort.seconds, warm=effort.warm)
                races[clients].add(name, run)
    findings = [Finding(f"list as HTML, p50, one reader: {name}", races[1].p50(name), "ms", LIMIT_MS) for name in LISTS]
    findings += [Finding(f"list as HTML, p50, 4 readers: {name}", races[4].p50(name), "ms") for name in LISTS]
    return Part("lists as HTML", [one for race in races.values() for one in race.measures()], findings)


async def _request(web: int, path: str, login: str) -> bytes:
    """What a browser asks, with the session of whoever has logged in."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{web}", trust_env=False, timeout=30) as client:
        await client.get("/login")
        if login:
            form = {"login": login, "password": PASSWORD, "_csrf_token": client.cookies["zhipei_csrf"]}
            if (await client.post("/login", data=form)).status_code != 303:
                raise RuntimeError(f"{login} cannot log in")
        answer = await client.get(path)
        answer.raise_for_status()
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        return request("GET", answer.request.url.raw_path.decode(), Cookie=cookies)


async def _indexed(web: int) -> None:
    """The worker builds the indexes when it begins."""
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(PATIENCE_SECONDS):
        while RECOVERING in (await client.get(f"http://127.0.0.1:{web}/offerings")).text:
            await asyncio.sleep(0.5)
