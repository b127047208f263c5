"""Many coordinators' decisions on few free slots: exactly as many win as there are slots, the others are told."""

import asyncio

import pytest

from infra.db import Database
from market.needs.model import NeedState
from market.supply import queries as supply
from tests.conftest import Api
from tests.factories import World
from tests.jobs.test_whole_way import submit, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("worker")]

SLOTS, NEEDS = 3, 12


async def test_exactly_as_many_win_as_there_are_slots(api: Api, db: Database, world: World) -> None:
    offering_id = world.offerings["知识产权法律政策咨询"]
    enterprise, coordinator = api("rival"), api("coordinator")
    needs = [await submit(enterprise, "知识产权政策咨询，想了解一下", f"slot-{n}") for n in range(NEEDS)]
    for need in needs:
        await until(coordinator, f"/needs/{need['id']}", NeedState.PROPOSED)
    async with db.transaction() as tx:
        before = (await supply.records(tx))[offering_id]
        await tx.execute("UPDATE offerings SET capacity = load + $2 WHERE id = $1", offering_id, SLOTS)

    async def decide(number: int, need_id: int) -> int:
        who = api("coordinator" if number % 2 else "coordinator2")
        ranked = (await who.get(f"/needs/{need_id}/ranking")).json()["candidates"]
        if ranked[0]["offering_id"] == offering_id:
            events = (await who.get(f"/needs/{need_id}/events")).json()
            answer = await who.post(f"/needs/{need_id}/approve", json={"match_id": events[-1]["match_id"]})
        else:
            chosen = {"offering_id": offering_id, "reason": "专门的咨询窗口"}
            answer = await who.post(f"/needs/{need_id}/override", json=chosen)
        if answer.status_code != 200:
            assert answer.json()["type"] == "/problems/capacity-full", answer.text
        return answer.status_code

    statuses = await asyncio.gather(*(decide(n, need["id"]) for n, need in enumerate(needs)))
    assert statuses.count(200) == SLOTS
    assert statuses.count(409) == NEEDS - SLOTS
    async with db.transaction() as tx:
        after = (await supply.records(tx))[offering_id]
        assert (after.load, after.capacity) == (before.load + SLOTS, before.load + SLOTS)
        await tx.execute("UPDATE offerings SET capacity = 50 WHERE id = $1", offering_id)
    for need, status in zip(needs, statuses, strict=True):
        expected = "assigned" if status == 200 else "proposed"
        assert (await coordinator.get(f"/needs/{need['id']}")).json()["state"] == expected
