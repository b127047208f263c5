"""Plans of a whole queue: the optimum, what is left over, approval of all, some and none, what moved on meanwhile."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from infra.db import Database, Transaction, savepoint
from infra.settings import Settings
from market.calendars.service import DeadlinesSource
from market.matches import service as matches
from market.plans import planning, queries, service, solving
from market.plans.model import Content, PlanState
from matching.assign import NEAR
from tests.conftest import Api, Login
from tests.factories import AID, CONSULTING, PATENT, World
from tests.web.test_pages_staff import file_need, match_of, need_page, post, proposal, rank_need, state

pytestmark = pytest.mark.anyio

OFFICE, CENTER = "专利申请受理与材料预检", "专利申请辅导"


@pytest.fixture(autouse=True)
async def empty_queue(db: Database, world: World) -> AsyncIterator[None]:
    """Room for everybody, and other tests' needs out of the queue; afterwards the capacities as they were."""
    async with db.transaction() as tx:
        kept = await tx.fetch("SELECT id, capacity FROM offerings")
        await tx.execute("UPDATE offerings SET capacity = load + 10")
        for row in await tx.fetch("SELECT id FROM needs WHERE state IN ('proposed', 'unmatched', 'submitted')"):
            await matches.close(tx, world.actors["province"], row["id"], "测试清场")
    yield
    async with db.transaction() as tx:
        for row in kept:
            await tx.execute("UPDATE offerings SET capacity = $2 WHERE id = $1", row["id"], row["capacity"])


async def leave_room(db: Database, world: World, **rooms: int) -> None:
    """So many free slots for offerings, by title; none for all others."""
    async with db.transaction() as tx:
        await tx.execute("UPDATE offerings SET capacity = load WHERE state = 'published'")
        for title, room in rooms.items():
            await tx.execute("UPDATE offerings SET capacity = load + $2 WHERE id = $1", world.offerings[title], room)


async def make(db: Database, plan_id: int) -> Content:
    """What the worker does with a plan."""
    job = await planning.gather(db, plan_id)
    assert job is not None
    solved = solving.compute(job)
    async with db.transaction() as tx:
        assert await planning.store(tx, job, solved)
        assert not await planning.store(tx, job, solved)
    assert await planning.gather(db, plan_id) is None
    return solved.content


async def planned(db: Database, coordinator: httpx.AsyncClient) -> tuple[int, Content]:
    """A finished plan, asked for by API."""
    asked = await coordinator.post("/plans")
    assert asked.status_code == 201, asked.text
    assert asked.json()["state"] == "waiting"
    plan_id = asked.json()["id"]
    return plan_id, await make(db, plan_id)


async def approve(coordinator: httpx.AsyncClient, plan_id: int, *needs: int) -> dict[int, dict[str, Any]]:
    """Outcomes by need."""
    answer = await coordinator.post(f"/plans/{plan_id}/approve", json={"needs": needs})
    assert answer.status_code == 200, answer.text
    return {one["need_id"]: one for one in answer.json()["outcomes"]}


async def queued(db: Database, settings: Settings, world: World, count: int) -> list[int]:
    return [await file_need(db, settings, world, f"想申请专利，请辅导（{n}）", PATENT) for n in range(count)]


async def offering_of(db: Database, need_id: int) -> int:
    async with db.reading() as tx:
        return int(
            await tx.fetchval("SELECT offering_id FROM matches WHERE need_id = $1 AND state = 'approved'", need_id)
        )


async def test_the_optimum_where_first_choices_exceed_the_capacity(
    db: Database, settings: Settings, world: World, api: Api
) -> None:
    needs = await queued(db, settings, world, 4)
    await leave_room(db, world, **{OFFICE: 2, CENTER: 1})
    coordinator = api("coordinator")
    plan_id, content = await planned(db, coordinator)
    first = {pair.first.offering_id for pair in content.pairs}
    assert len(first) == 1, "all four want the same"
    room = {world.offerings[OFFICE]: 2, world.offerings[CENTER]: 1}
    assert content.first_choices.matched == room[first.pop()]
    assert content.planned.matched == 3
    assert content.planned.utility > content.first_choices.utility
    assert content.planned.utility == pytest.approx(sum(pair.planned.utility for pair in content.pairs))
    for offering_id, most in room.items():
        assert sum(pair.planned.offering_id == offering_id for pair in content.pairs) == most
    for one in content.institutions:
        assert one.total.after <= max(one.total.capacity, one.total.before)
        assert one.total.after - one.total.before == sum(load.after - load.before for load in one.offerings)
    changed = [pair for pair in content.pairs if pair.changed]
    assert changed
    assert all(pair.reason == "首选的名额留给了更合适的需求" for pair in changed)
    assert {pair.price for pair in content.pairs} == {"名额不够：还有需求等着这项服务"}
    (left,) = content.left_over
    assert left.reason == "full"
    assert OFFICE in left.words
    assert {pair.need_id for pair in content.pairs} | {left.need_id} == set(needs)

    for pair in content.pairs:
        assert all(option.utility >= NEAR * pair.first.utility for option in (pair.planned, *pair.alternates))
    outcomes = await approve(coordinator, plan_id, *(pair.need_id for pair in content.pairs))
    assert all(outcome["approved"] for outcome in outcomes.values())
    for pair in content.pairs:
        assert await offering_of(db, pair.need_id) == pair.planned.offering_id
    assert await state(db, left.need_id) == "proposed"
    events = (await coordinator.get(f"/needs/{changed[0].need_id}/events")).json()
    assert events[-1]["note"] == f"整体派单方案 #{plan_id}"
    async with db.reading() as tx:
        assert await tx.fetchval("SELECT count(*) FROM offerings WHERE load > capacity") == 0


async def test_some_are_approved_and_none_twice(db: Database, settings: Settings, world: World, api: Api) -> None:
    one, two, three = await queued(db, settings, world, 3)
    coordinator = api("coordinator")
    plan_id, _ = await planned(db, coordinator)
    none = await coordinator.post(f"/plans/{plan_id}/approve", json={"needs": []})
    assert none.status_code == 422
    foreign = await coordinator.post(f"/plans/{plan_id}/approve", json={"needs": [one, 999_999]})
    assert foreign.status_code == 422
    assert await state(db, one) == "proposed"
    answers = await asyncio.gather(*(approve(coordinator, plan_id, one, two) for _ in range(3)))
    assert all(outcome["approved"] for answer in answers for outcome in answer.values())
    assert [await state(db, need) for need in (one, two, three)] == ["assigned", "assigned", "proposed"]
    async with db.reading() as tx:
        approvals = "SELECT count(*) FROM events WHERE need_id = $1 AND machine = 'need' AND to_state = 'assigned'"
        assert [await tx.fetchval(approvals, need) for need in (one, two, three)] == [1, 1, 0]
    assert (await approve(coordinator, plan_id, three))[three]["approved"]


async def test_what_moved_on_is_told_and_undoes_nothing(
    db: Database, settings: Settings, world: World, api: Api
) -> None:
    taken, again, filled, fine = await queued(db, settings, world, 4)
    coordinator, second = api("coordinator"), api("coordinator2")
    plan_id, content = await planned(db, coordinator)
    own = {pair.need_id: pair for pair in content.pairs}
    match_id = own[taken].match_id
    assert (await second.post(f"/needs/{taken}/approve", json={"match_id": match_id})).status_code == 200
    await second.post(f"/needs/{again}/rank-again")
    await rank_need(db, again)
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE offerings SET capacity = load + 1 WHERE id = ANY($1::bigint[])",
            [own[filled].planned.offering_id, own[fine].planned.offering_id],
        )
    outcomes = await approve(coordinator, plan_id, taken, again, filled, fine)
    assert "已派单，等待机构受理" in outcomes[taken]["words"]
    assert "重新匹配过" in outcomes[again]["words"]
    if own[filled].planned.offering_id == own[fine].planned.offering_id:
        assert sorted(outcomes[need]["approved"] for need in (filled, fine)) == [False, True]
        refused = filled if outcomes[fine]["approved"] else fine
        assert "名额刚刚用完" in outcomes[refused]["words"]
        assert await state(db, refused) == "proposed", "nothing of the refused pair is left"
        async with db.transaction() as tx:
            await tx.execute("UPDATE offerings SET capacity = load + 1 WHERE id = $1", own[fine].planned.offering_id)
        assert (await approve(coordinator, plan_id, refused))[refused]["approved"], (
            "what was refused may be tried again"
        )
    assert await state(db, again) == "proposed"
    assert await match_of(db, taken) == match_id


async def test_a_need_without_anybody_who_takes_it(db: Database, settings: Settings, world: World, api: Api) -> None:
    need_id = await file_need(db, settings, world, "产品被人仿冒，想申请维权援助", AID)
    await leave_room(db, world)
    plan_id, content = await planned(db, api("coordinator"))
    assert [(left.need_id, left.reason) for left in content.left_over] == [(need_id, "full")]
    assert content.pairs == ()
    assert content.first_choices.matched == content.planned.matched == 0
    refused = await api("coordinator").post(f"/plans/{plan_id}/approve", json={"needs": [need_id]})
    assert refused.status_code == 422


async def test_of_needs_alike_the_first_due_goes_first(
    db: Database, settings: Settings, world: World, api: Api
) -> None:
    first, *_, last = [await file_need(db, settings, world, "知识产权政策咨询", CONSULTING) for _ in range(3)]
    async with db.transaction() as tx:
        await tx.execute("UPDATE needs SET due_at = due_at - interval '1 hour' WHERE id = $1", last)
    await leave_room(db, world, 知识产权法律政策咨询=2)
    _, content = await planned(db, api("coordinator"))
    assert {pair.need_id for pair in content.pairs} == {first, last}


async def test_plans_belong_to_their_node(db: Database, settings: Settings, world: World, api: Api) -> None:
    need_id = await file_need(db, settings, world, "知识产权政策咨询", CONSULTING)
    early = (await api("coordinator").post("/plans")).json()["id"]
    assert (await api("coordinator").post(f"/plans/{early}/approve", json={"needs": [need_id]})).status_code == 409
    await make(db, early)
    assert (await api("coordinator2").get(f"/plans/{early}")).status_code == 200
    above = api("province")
    assert (await above.get(f"/plans/{early}")).status_code == 404
    assert (await above.post(f"/plans/{early}/approve", json={"needs": [need_id]})).status_code == 404
    for role in ("enterprise", "institution", "clerk", "admin"):
        assert (await api(role).post("/plans")).status_code == 403
        assert (await api(role).get(f"/plans/{early}")).status_code == 403
    assert (await api("").get(f"/plans/{early}")).status_code == 401
    assert await state(db, need_id) == "proposed"
    _, content = await planned(db, above)
    assert [pair.need_id for pair in content.pairs] == [need_id], "a node's queue holds those of the nodes below"


async def test_nothing_waits(api: Api, login: Login) -> None:
    answer = await api("coordinator").post("/plans")
    assert answer.status_code == 409
    assert "没有等待审核的需求" in answer.json()["detail"]
    browser = await login("coordinator")
    assert "整体派单方案</button>" not in (await browser.get("/queue")).text
    assert (await post(browser, "/plans", key="k")).headers["location"] == "/queue"


async def test_a_queue_that_empties_before_the_worker_comes(
    db: Database, settings: Settings, world: World, api: Api, login: Login
) -> None:
    need_id = await file_need(db, settings, world, "知识产权政策咨询", CONSULTING)
    plan_id = (await api("coordinator").post("/plans")).json()["id"]
    await api("coordinator").post(f"/needs/{need_id}/close", json={"note": "已线下办结"})
    content = await make(db, plan_id)
    assert (content.pairs, content.left_over, content.institutions) == ((), (), ())
    assert "没有需要安排的需求" in (await (await login("coordinator")).get(f"/plans/{plan_id}")).text


async def test_a_plan_that_cannot_be_made(
    db: Database, settings: Settings, world: World, api: Api, login: Login
) -> None:
    await file_need(db, settings, world, "知识产权政策咨询", CONSULTING)
    plan_id = (await api("coordinator").post("/plans")).json()["id"]
    await planning.gather(db, plan_id)
    async with db.transaction() as tx:
        await service.give_up(tx, plan_id)
    async with db.reading() as tx:
        plan = await queries.find(tx, plan_id)
    assert plan is not None
    assert plan.state is PlanState.FAILED
    assert "这份方案没有做成" in (await (await login("coordinator")).get(f"/plans/{plan_id}")).text


async def test_the_page_from_the_click_to_the_outcome(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    nasty = await file_need(db, settings, world, "<script>alert(1)</script> 想申请专利，请辅导", PATENT)
    other, third = await queued(db, settings, world, 2)
    browser = await login("coordinator")
    queue = (await browser.get("/queue")).text
    found = re.search(r'name="key" value="([^"]+)"', queue)
    assert found
    first, second = [await post(browser, "/plans", key=found[1]) for _ in range(2)]
    assert first.status_code == second.status_code == 303
    here = first.headers["location"]
    assert second.headers["location"] == here, "a second click makes no second plan"
    waiting = (await browser.get(here)).text
    assert 'hx-trigger="every 1s"' in waiting
    assert "批准所选" not in waiting
    plan_id = int(here.rsplit("/", 1)[1])
    await planning.gather(db, plan_id)
    assert "已完成 3 条需求，还有 0 条" in (await browser.get(here)).text
    await make(db, plan_id)
    html = (await browser.get(here)).text
    assert "<script>alert" not in html
    assert "hx-trigger" not in html
    assert html.count('name="needs"') == html.count(" checked>") == 3
    for before, after in (("匹配度合计", "派单前在办"), ("派单前在办", "谁派给谁"), ("谁派给谁", "批准所选</button>")):
        assert html.index(before) < html.index(after)
    assert "style=" not in html
    nothing = await post(browser, f"{here}/approve")
    assert nothing.status_code == 422
    assert "请先勾选要批准的需求" in nothing.text
    wrong = await post(browser, f"{here}/approve", needs=["x", "1"])
    assert wrong.status_code == 422
    late = await login("coordinator2")
    await post(late, f"/needs/{other}/approve", match_id=proposal(await need_page(late, other)))
    done = await post(browser, f"{here}/approve", needs=[str(nasty), str(other)])
    assert done.headers["location"] == here
    html = (await browser.get(here)).text
    assert "已派单 1 条" in html
    assert "有 1 条没有派出" in html
    assert html.count('name="needs"') == 2
    assert html.count(" checked>") == 1, "what was refused is not ticked again by itself"
    assert f'<a href="{here}">看上一份方案</a>' in (await browser.get("/queue")).text
    assert [await state(db, need) for need in (nasty, other, third)] == ["assigned", "assigned", "proposed"]
    assert (await (await login("province")).get(here)).status_code == 404
    assert (await browser.get("/plans/999999")).status_code == 404


async def twice(tx: Transaction, number: int) -> None:
    async with savepoint(tx):
        await tx.execute("INSERT INTO kept VALUES ($1)", number)
        await tx.execute("INSERT INTO kept VALUES ($1)", number)


async def test_a_savepoint_undoes_its_own_part_only(db: Database) -> None:
    connection = await db.connect()
    try:
        await connection.execute("BEGIN")
        await connection.execute("CREATE TEMPORARY TABLE kept (n integer PRIMARY KEY) ON COMMIT DROP")
        await connection.execute("INSERT INTO kept VALUES (1)")
        with pytest.raises(asyncpg.UniqueViolationError):
            await twice(connection, 2)
        async with savepoint(connection):
            await connection.execute("INSERT INTO kept VALUES (3)")
        assert [row["n"] for row in await connection.fetch("SELECT n FROM kept ORDER BY n")] == [1, 3]
    finally:
        await connection.close()


async def test_deadlines_are_those_of_an_approval(db: Database, settings: Settings, world: World, api: Api) -> None:
    (need_id,) = await queued(db, settings, world, 1)
    plan_id, _ = await planned(db, api("coordinator"))
    async with db.transaction() as tx:
        deadlines = await DeadlinesSource(settings).get(tx)
        await service.approve(tx, world.actors["coordinator"], plan_id, (need_id,), deadlines)
    match = (await api("coordinator").get(f"/matches/{await match_of(db, need_id)}")).json()
    assert match["state"] == "approved"
    assert match["due_at"]
