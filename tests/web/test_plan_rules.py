"""Around a plan: pins and bars by page and API, no solution, progress, cancelling, and the prices it leaves."""

import asyncio
import re

import pytest
from msgspec import structs

from infra import outbox
from infra.db import Database
from infra.settings import Settings
from market.learning import queries as learning_queries
from market.learning import service as learning
from market.matches import queries as match_queries
from market.matches import ranking
from market.matches.model import OfferingPrice
from market.plans import planning, service, solving
from market.plans.model import PlanState
from matching.flow import Step
from matching.scorer import default_scorecard
from tests.conftest import Api, Login
from tests.factories import CONSULTING, PATENT, World
from tests.web.test_pages_staff import NASTY, file_need, match_of, need_page, post, state
from tests.web.test_plans import CENTER, OFFICE, approve, empty_queue, leave_room, offering_of, planned, queued
from workers.context import Context
from workers.plan import make_plan

pytestmark = pytest.mark.anyio
__all__ = ["empty_queue"]  # a fixture that every test here uses


def rule(need_id: int, offering_id: int, kind: str, reason: str = "") -> dict[str, object]:
    return {"need_id": need_id, "offering_id": offering_id, "kind": kind, "reason": reason}


# pins and bars -------------------------------------------------------------------------------------------------------


async def test_a_pinned_need_gets_what_it_was_pinned_to_and_a_barred_pair_never_comes(
    db: Database, settings: Settings, world: World, api: Api
) -> None:
    one, two, three = await queued(db, settings, world, 3)
    coordinator, office, center = api("coordinator"), world.offerings[OFFICE], world.offerings[CENTER]
    _, before = await planned(db, coordinator)
    first = {pair.first.offering_id for pair in before.pairs}.pop()
    other = center if first == office else office
    for asked in (rule(one, other, "pin"), rule(two, first, "bar", "与企业有合同纠纷")):
        answer = await coordinator.post("/plans/rules", json=asked)
        assert answer.status_code == 201, answer.text
    assert [found["kind"] for found in answer.json()] == ["pin", "bar"]
    plan_id, content = await planned(db, coordinator)
    pairs = {pair.need_id: pair for pair in content.pairs}
    assert pairs[one].pinned
    assert pairs[one].planned.offering_id == other
    assert pairs[two].planned.offering_id != first
    assert pairs[two].reason == "首选已被coordinator 的姓名排除：与企业有合同纠纷"
    outcomes = await approve(coordinator, plan_id, one, two, three)
    assert all(outcome["approved"] for outcome in outcomes.values())
    assert await offering_of(db, one) == other
    assert (await coordinator.get("/plans/rules")).json() == [], "rules are for needs that wait"


async def test_a_rule_takes_the_place_of_what_stands_against_it(
    db: Database, settings: Settings, world: World, api: Api
) -> None:
    (need_id,) = await queued(db, settings, world, 1)
    coordinator, office, center = api("coordinator"), world.offerings[OFFICE], world.offerings[CENTER]
    for asked in (rule(need_id, office, "pin"), rule(need_id, center, "pin"), rule(need_id, center, "bar", "太远")):
        found = (await coordinator.post("/plans/rules", json=asked)).json()
        assert [(one["offering_id"], one["kind"]) for one in found] == [(asked["offering_id"], asked["kind"])]
    left = await coordinator.delete(f"/plans/rules/{need_id}/{center}")
    assert (left.status_code, left.json()) == (200, [])
    assert (await coordinator.delete(f"/plans/rules/{need_id}/{center}")).status_code == 404


async def test_rules_that_cannot_be(db: Database, settings: Settings, world: World, api: Api) -> None:
    need_id, done = await queued(db, settings, world, 2)
    coordinator, office = api("coordinator"), world.offerings[OFFICE]
    refused = await coordinator.post("/plans/rules", json=rule(need_id, office, "bar"))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "reason"
    stranger = world.offerings["全省专利申请绿色通道"]
    assert (await coordinator.post("/plans/rules", json=rule(need_id, stranger, "pin"))).status_code == 422
    assert (await coordinator.post("/plans/rules", json=rule(999_999, office, "pin"))).status_code == 404
    assert (await coordinator.post("/plans/rules", json=rule(need_id, office, "maybe"))).status_code == 422
    await coordinator.post(f"/needs/{done}/approve", json={"match_id": await match_of(db, done)})
    assert (await coordinator.post("/plans/rules", json=rule(done, office, "pin"))).status_code == 409
    for role in ("enterprise", "institution", "clerk", "admin"):
        assert (await api(role).post("/plans/rules", json=rule(need_id, office, "pin"))).status_code == 403
        assert (await api(role).get("/plans/rules")).status_code == 403
        assert (await api(role).delete(f"/plans/rules/{need_id}/{office}")).status_code == 403
    assert (await coordinator.get("/plans/rules")).json() == []


async def test_two_pins_on_one_free_slot_are_told_and_mended(
    db: Database, settings: Settings, world: World, api: Api, login: Login
) -> None:
    one, two = await queued(db, settings, world, 2)
    await leave_room(db, world, **{OFFICE: 1, CENTER: 5})
    coordinator, office = api("coordinator"), world.offerings[OFFICE]
    for need_id in (one, two):
        await coordinator.post("/plans/rules", json=rule(need_id, office, "pin"))
    plan_id, content = await planned(db, coordinator)
    (words,) = content.unsolvable
    assert f"需求 {one}、{two} 固定给了" in words
    assert "它只剩 1 个名额" in words
    shown = (await coordinator.get(f"/plans/{plan_id}")).json()
    assert shown["state"] == "done"
    assert shown["content"]["pairs"] == []
    browser = await login("coordinator")
    html = (await browser.get(f"/plans/{plan_id}")).text
    assert "没有能同时满足这些要求的方案" in html
    assert words in html
    assert "做方案时固定和排除的 2 项" in html
    assert "批准所选" not in html
    await coordinator.delete(f"/plans/rules/{two}/{office}")
    _, content = await planned(db, coordinator)
    assert content.unsolvable == ()
    assert {pair.need_id: pair.planned.offering_id for pair in content.pairs} == {
        one: office,
        two: world.offerings[CENTER],
    }


async def test_the_page_where_pairs_are_ruled(
    db: Database, settings: Settings, world: World, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("market.plans.pages.NEED_ROWS", 2)
    nasty = await file_need(db, settings, world, f"{NASTY} 想申请专利，请辅导", PATENT)
    _, last = await queued(db, settings, world, 2)
    browser = await login("coordinator")
    assert 'href="/plans/new"' in (await browser.get("/queue")).text
    html = (await browser.get("/plans/new")).text
    assert "有 3 条需求等待审核" in html
    assert NASTY not in html
    assert f'id="need-{last}"' not in html
    following = re.search(r'href="(/plans/new\?cursor=[^"]+)"', html)
    assert following
    second = (await browser.get(following[1])).text
    assert f'id="need-{last}"' in second
    cursor = re.search(r'name="cursor" value="([^"]+)"', second)
    assert cursor
    office = str(world.offerings[OFFICE])
    asked = {"need_id": str(last), "offering_id": office, "cursor": cursor[1]}
    wrong = await post(browser, "/plans/rules", **asked, kind="bar", reason="  ")
    assert wrong.status_code == 422
    assert "请写明为什么排除" in wrong.text
    assert f'<option value="{office}" selected>' in wrong.text
    assert f'id="need-{last}"' in wrong.text, "on the same page of the list"
    done = await post(browser, "/plans/rules", **asked, kind="bar", reason=NASTY)
    assert done.headers["location"] == f"{following[1]}#need-{last}"
    html = (await browser.get("/plans/new")).text
    assert "已固定或排除的 1 项" in html
    assert NASTY not in html
    none = await post(browser, "/plans/rules", need_id=str(nasty), kind="pin", offering_id="")
    assert none.status_code == 422
    dropped = await post(browser, f"/plans/rules/{last}/{office}/drop")
    assert dropped.headers["location"] == "/plans/new#rules"
    assert "已固定或排除的" not in (await browser.get("/plans/new")).text
    assert (await post(browser, f"/plans/rules/{last}/{office}/drop")).status_code == 404
    for role in ("institution", "enterprise", "clerk", "admin"):
        assert (await (await login(role)).get("/plans/new")).status_code == 403


async def test_nothing_to_rule(login: Login) -> None:
    html = (await (await login("coordinator")).get("/plans/new")).text
    assert "没有等待审核的需求" in html
    assert "开始做方案" not in html


# progress and cancelling ---------------------------------------------------------------------------------------------


async def test_a_waiting_plan_is_cancelled_and_never_made(
    db: Database, settings: Settings, world: World, api: Api, login: Login
) -> None:
    await queued(db, settings, world, 1)
    browser = await login("coordinator")
    await browser.get("/plans/new")
    here = (await post(browser, "/plans", key="cancel-1")).headers["location"]
    assert f'action="{here}/cancel"' in (await browser.get(here)).text
    assert (await post(browser, f"{here}/cancel")).headers["location"] == here
    html = (await browser.get(here)).text
    assert "这份方案已取消" in html
    assert "hx-trigger" not in html
    plan_id = int(here.rsplit("/", 1)[1])
    async with db.reading() as tx:
        asked = await tx.fetchrow("SELECT id, attempt FROM outbox WHERE payload @> $1", {"plan_id": plan_id})
    row = outbox.Row(asked["id"], service.MAKE_PLAN, {"plan_id": plan_id}, asked["attempt"], None)
    await make_plan(Context(settings, db, ranking.CatalogueSource()), row, plan_id)
    async with db.reading() as tx:
        assert await tx.fetchval("SELECT count(*) FROM outbox WHERE id = $1", row.id) == 0
    again = await api("coordinator").post(f"/plans/{plan_id}/cancel")
    assert (again.status_code, again.json()["state"]) == (200, "cancelled")
    assert (await api("province").post(f"/plans/{plan_id}/cancel")).status_code == 404


async def test_a_plan_in_the_middle_tells_how_far_it_is_and_stops_when_cancelled(
    db: Database, settings: Settings, world: World, api: Api, login: Login
) -> None:
    await queued(db, settings, world, 2)
    coordinator = api("coordinator")
    plan_id = (await coordinator.post("/plans")).json()["id"]
    job = await planning.gather(db, plan_id)
    assert job is not None
    teller = planning.Teller(db, plan_id, asyncio.get_running_loop())
    await asyncio.to_thread(teller, Step("proving", 1, 1, 1))
    await asyncio.to_thread(teller, Step("proving", 1, 2, 0))  # too soon after the other to be written
    shown = (await coordinator.get(f"/plans/{plan_id}")).json()
    assert (shown["phase"], shown["needs_done"], shown["needs_left"]) == ("proving", 1, 1)
    html = (await (await login("coordinator")).get(f"/plans/{plan_id}")).text
    assert "核对有没有更好的安排</strong>：已完成 1 条需求，还有 1 条" in html
    assert '<progress class="progress" value="1" max="2"' in html
    assert (await coordinator.post(f"/plans/{plan_id}/cancel")).json()["state"] == "cancelled"
    with pytest.raises(planning.Cancelled):
        await asyncio.to_thread(solving.compute, job, planning.Teller(db, plan_id, asyncio.get_running_loop()))
    async with db.transaction() as tx:
        assert not await planning.store(tx, job, solving.compute(job))
        await service.give_up(tx, plan_id)
    assert (await coordinator.get(f"/plans/{plan_id}")).json()["state"] == PlanState.CANCELLED


async def test_what_is_done_is_not_cancelled(
    db: Database, settings: Settings, world: World, api: Api, login: Login
) -> None:
    await queued(db, settings, world, 1)
    plan_id, _ = await planned(db, api("coordinator"))
    refused = await api("coordinator").post(f"/plans/{plan_id}/cancel")
    assert refused.status_code == 409
    assert "在您批准之前不会派出任何需求" in refused.json()["detail"]
    browser = await login("coordinator")
    await browser.get("/queue")
    assert (await post(browser, f"/plans/{plan_id}/cancel")).headers["location"] == f"/plans/{plan_id}"
    assert "谁派给谁" in (await browser.get(f"/plans/{plan_id}")).text


# prices --------------------------------------------------------------------------------------------------------------


async def rank(db: Database, need_id: int, hours: float) -> None:
    """What the worker does with a submitted need, heeding prices."""
    async with db.transaction() as tx:
        job = await ranking.read(tx, ranking.CatalogueSource(), need_id)
    assert job is not None
    outcome = ranking.compute(job, top=20, gap=0.0)
    async with db.transaction() as tx:
        assert await ranking.store(tx, job, outcome, prices_hours=hours)


async def test_a_single_need_is_proposed_to_another_where_the_first_is_in_demand(
    db: Database, settings: Settings, world: World, api: Api, login: Login
) -> None:
    """Four needs want the same; the plan leaves a price, and a fifth that comes alone is led elsewhere."""
    waiting = await queued(db, settings, world, 4)
    await leave_room(db, world, **{OFFICE: 3, CENTER: 3})
    coordinator, browser = api("coordinator"), await login("coordinator")
    plan_id, content = await planned(db, coordinator)
    first = {pair.first.offering_id for pair in content.pairs}.pop()
    async with db.transaction() as tx:
        node_id = world.actors["coordinator"].node_id
        assert node_id is not None
        prices = await match_queries.prices(tx, node_id, 24)
        assert prices is not None
        assert prices.plan_id == plan_id
        assert prices.scored_by == default_scorecard().version
        # This small world's prices are small; what is tested here is what follows from one that is not.
        dear = structs.replace(prices, offerings=(OfferingPrice(first, 0.2),))
        await match_queries.set_prices(tx, node_id, dear)
    need_id = waiting[0]
    await coordinator.post(f"/needs/{need_id}/rank-again")
    await rank(db, need_id, 24)
    shown = (await coordinator.get(f"/needs/{need_id}/ranking")).json()
    assert shown["run"]["proposed_rank"] == 2
    assert shown["candidates"][0]["offering_id"] == first, "the list keeps its order"
    assert shown["match"]["offering_id"] == shown["candidates"][1]["offering_id"]
    assert shown["run"]["prices"]["offerings"] == [{"offering_id": first, "price": 0.2}]
    html = await need_page(browser, need_id)
    assert "排在第 1 位的机构近期需求集中（价 20.0 分），改为推荐第 2 位" in html

    for hours, at in ((0.0, "now()"), (24.0, "now() - interval '25 hours'")):
        async with db.transaction() as tx:
            await tx.execute(f"UPDATE prices SET at = {at}")
        await coordinator.post(f"/needs/{need_id}/rank-again")
        await rank(db, need_id, hours)
        shown = (await coordinator.get(f"/needs/{need_id}/ranking")).json()
        assert (shown["run"]["proposed_rank"], shown["run"]["prices"]) == (1, None)
        assert "近期需求集中" not in await need_page(browser, need_id)


async def test_prices_hold_for_the_nodes_below_too(db: Database, settings: Settings, world: World, api: Api) -> None:
    await file_need(db, settings, world, "知识产权政策咨询", CONSULTING)
    above, below = world.actors["province"].node_id, world.actors["coordinator"].node_id
    assert above is not None
    assert below is not None
    async with db.transaction() as tx:
        await tx.execute("DELETE FROM prices")
    plan_id, _ = await planned(db, api("province"))
    async with db.reading() as tx:
        found = await match_queries.prices(tx, below, 24)
        assert found is not None
        assert found.plan_id == plan_id
    own, _ = await planned(db, api("coordinator"))
    async with db.reading() as tx:
        found, upper = await match_queries.prices(tx, below, 24), await match_queries.prices(tx, above, 24)
    assert found is not None
    assert upper is not None
    assert (found.plan_id, upper.plan_id) == (own, plan_id), "the newest, and never one from below"


async def test_learning_takes_no_move_of_a_plan_for_a_judgement(
    db: Database, settings: Settings, world: World, api: Api
) -> None:
    """Whoever a plan puts in the first one's place is proposed, not an override; the one put aside teaches nothing."""
    need_id, kept = await queued(db, settings, world, 2)
    coordinator = api("coordinator")
    async with db.reading() as tx:
        run = await match_queries.latest_run(tx, need_id)
        assert run is not None
        first, second = (await match_queries.candidates(tx, run.id))[:2]
    await coordinator.post("/plans/rules", json=rule(need_id, second.offering_id, "pin"))
    plan_id, _ = await planned(db, coordinator)
    await approve(coordinator, plan_id, need_id, kept)
    async with db.reading() as tx:
        lines = await learning_queries.lines(tx, default_scorecard().features, learning.RUNS)
    own = [line for line in lines if line.need_id == need_id]
    assert first.rank not in [line.rank for line in own]
    same = [line for line in lines if line.need_id == kept]
    for rank_, line in ((2, own[0]), (1, same[0])):
        assert (line.rank, line.proposed, line.approved, line.by_override) == (rank_, True, True, False)
    assert await state(db, need_id) == "assigned"
