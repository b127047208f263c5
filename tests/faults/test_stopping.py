"""SIGTERM: what is in flight ends, what would go on for ever is ended, and then the process."""

import asyncio
import os
import signal
import socket
import sys

import httpx
import pytest

from infra.db import Database
from infra.settings import Settings
from market.calendars import service as calendars
from market.needs import service
from market.needs.model import Submission
from tests.conftest import Clone, open_database
from tests.factories import PASSWORD, World

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

NEED = {"body": "知识产权政策咨询", "item_codes": ["SZ-2024-30"]}
BLOCKED = "SELECT FROM pg_locks WHERE NOT granted AND relation = $1::text::regclass"


async def start(settings: Settings, *words: str, **more: str) -> asyncio.subprocess.Process:
    env = {name: value for name, value in os.environ.items() if not name.startswith("ZHIPEI_")} | {
        "ZHIPEI_DATA_DIR": str(settings.data_dir),
        "ZHIPEI_DATA_KEY": str(settings.data_key),
        "ZHIPEI_DATABASE_URL": str(settings.database_url),
        "ZHIPEI_REDIS_URL": str(settings.redis_url),
        "ZHIPEI_LOG_LEVEL": "ERROR",
    }
    return await asyncio.create_subprocess_exec(sys.executable, "-m", *words, env=env | more)


async def until_blocked(owner: Database, table: str) -> None:
    async with asyncio.timeout(60):
        while True:
            async with owner.reading() as tx:
                if await tx.fetch(BLOCKED, table):
                    return
            await asyncio.sleep(0.02)


async def until_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


async def log_in(client: httpx.AsyncClient, login: str) -> None:
    await client.get("/login")
    form = {"login": login, "password": PASSWORD, "_csrf_token": client.cookies["zhipei_csrf"]}
    assert (await client.post("/login", data=form)).status_code == 303


async def test_a_web_server_ends_streams_and_finishes_requests(clone: Clone) -> None:
    settings = await clone()
    owner = open_database(settings, owner=True)
    async with owner.reading() as tx:
        world = await World.read(tx)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    more = {"ZHIPEI_PORT": str(port), "ZHIPEI_DRAIN_SECONDS": "1.5", "ZHIPEI_LOCK_TIMEOUT_MS": "9000"}
    process = await start(settings, "market.cli", "serve", **more)
    headers = {"Authorization": f"Bearer {world.token('enterprise')}", "Idempotency-Key": "in-flight"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        await until_ready(client)
        await log_in(client, "coordinator")
        async with client.stream("GET", "/live/queue") as stream:
            assert stream.status_code == 200
            async with owner.transaction() as tx:
                await tx.execute("LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE")
                asked = asyncio.create_task(client.post("/api/v1/needs", json=NEED, headers=headers))
                await until_blocked(owner, "idempotency_keys")
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(10):  # it still serves, but asks for no more
                    while (told := await client.get("/readyz")).status_code == 200:
                        await asyncio.sleep(0.05)
                assert told.json()["stopping"] is True
                assert (await client.get("/api/v1/items")).status_code == 200
                async with asyncio.timeout(20):  # then the stream ends, and nobody new is let in
                    async for _ in stream.aiter_raw():
                        pass
                async with httpx.AsyncClient(base_url=client.base_url) as other:
                    with pytest.raises(httpx.ConnectError):
                        await other.get("/healthz")
                assert not asked.done()
            answer = await asked
        assert answer.status_code == 201, answer.text
    # uvicorn ends by the signal it was sent, once everything is done.
    assert await asyncio.wait_for(process.wait(), 20) == -signal.SIGTERM
    await owner.close()


async def test_a_worker_finishes_its_jobs(clone: Clone) -> None:
    settings = await clone()
    owner = open_database(settings, owner=True)
    async with owner.transaction() as tx:
        world = await World.read(tx)
        await service.submit(
            tx, world.actors["enterprise"], Submission(body="知识产权政策咨询"), await calendars.deadlines(tx)
        )
    async with owner.transaction() as tx:
        await tx.execute("LOCK TABLE ranking_runs IN ACCESS EXCLUSIVE MODE")
        process = await start(settings, "workers.main", ZHIPEI_LOCK_TIMEOUT_MS="20000")
        await until_blocked(owner, "ranking_runs")
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        assert process.returncode is None
    assert await asyncio.wait_for(process.wait(), 30) == 0
    async with owner.reading() as tx:
        assert await tx.fetchval("SELECT state FROM needs") == "proposed"
        assert await tx.fetchval("SELECT count(*) FROM outbox WHERE topic = 'match_need'") == 0
    await owner.close()
