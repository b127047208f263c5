"""A connection to PostgreSQL that is cut in the middle of a request: 503, and the same call goes through after it."""

import asyncio

import pytest

from infra.db import Database
from infra.settings import Settings
from tests.conftest import Api, open_database
from tests.factories import AID

pytestmark = [pytest.mark.anyio, pytest.mark.commits]

CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'zhipei-web' AND datname = current_database() AND wait_event_type = 'Lock'
"""


async def test_a_call_whose_connection_is_cut_may_be_made_again(db: Database, settings: Settings, api: Api) -> None:
    enterprise, headers = api("enterprise"), {"Idempotency-Key": "cut"}
    body = {"body": "产品被人仿冒，想申请维权援助", "item_codes": [AID]}
    owner, cut = open_database(settings, owner=True), False
    async with owner.transaction() as tx:
        await tx.execute("LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE")
        asked = asyncio.create_task(enterprise.post("/needs/", json=body, headers=headers))
        while not cut and not asked.done():
            await asyncio.sleep(0.01)
            cut = bool(await tx.fetch(CUT))
        answer = await asked
    await owner.close()
    assert cut
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"]
    async with db.reading() as reading:
        assert await reading.fetchval("SELECT count(*) FROM needs") == 0
    assert (await enterprise.post("/needs/", json=body, headers=headers)).status_code == 201
    async with db.reading() as reading:
        assert await reading.fetchval("SELECT count(*) FROM needs") == 1
