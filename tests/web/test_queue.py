"""The coordinator's queue: filters and their names, several at once, decisions taken back, understanding corrected."""

import asyncio
import re

import httpx
import pytest
from msgspec import structs

from infra import outbox
from infra.db import Database
from infra.settings import Settings
from market.calendars.service import DeadlinesSource
from market.matches import service as matches
from market.queue import holding, queries
from market.queue.model import MOST_FILTERS
from tests.conftest import Clone, Login
from tests.factories import AID, CONSULTING, PATENT, TRADEMARK, World
from tests.web.test_pages_staff import AID_TEXT, file_need, match_of, need_page, post, proposal, rank_need, state

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def settings(clone: Clone) -> Settings:
    """Of the module's own database, on which decisions can be taken back."""
    return structs.replace(await clone(), undo_seconds=10.0)


@pytest.fixture(autouse=True)
async def empty_queue(db: Database, world: World) -> None:
    """Room for everybody, and other tests' needs out of the queue."""
    async with db.transaction() as tx:
        await tx.execute("UPDATE offerings SET capacity = load + 50")
        await tx.execute("DELETE FROM held_decisions")
        for row in await tx.fetch(
            "SELECT n.id, a.login FROM needs n LEFT JOIN accounts a ON a.id = n.owner_id"
            " WHERE n.state IN ('proposed', 'unmatched', 'submitted')"
        ):
            await matches.close(tx, world.actors[row["login"] or "province"], row["id"], "测试清场")


async def send_due(db: Database) -> list[str]:
    """What the worker does once the ten seconds are over: why each decision failed, empty where it was sent."""
    async with db.transaction() as tx:
        ids = [row["id"] for row in await tx.fetch("SELECT id FROM held_decisions WHERE failed = '' ORDER BY id")]
    sent = []
    for held_id in ids:
        async with db.transaction() as tx:
            held = await holding.send(tx, held_id, await DeadlinesSource().get(tx))
            sent.append(held.failed if held else "taken back")
    return sent


async def approve(browser: httpx.AsyncClient, need_id: int, **form: str) -> httpx.Response:
    return await post(
        browser, f"/needs/{need_id}/approve", match_id=proposal(await need_page(browser, need_id)), **form
    )


def listed(html: str) -> list[int]:
    """Needs in the rows of a queue's page."""
    return [int(one) for one in re.findall(r'class="q-what"><a href="/needs/(\d+)[?"]', html)]


# filters -------------------------------------------------------------------------------------------------------------


async def test_filters_narrow_rows_and_counts(db: Database, settings: Settings, world: World, login: Login) -> None:
    aid = await file_need(db, settings, world, AID_TEXT)
    patent = await file_need(db, settings, world, "想申请专利 100%_有效", PATENT)
    browser = await login("coordinator")
    await post(browser, f"/needs/{patent}/take")
    async with db.transaction() as tx:
        await tx.execute("UPDATE needs SET due_at = now() - interval '2 days' WHERE id = $1", aid)
    for query, found in (
        ("", [aid, patent]),
        (f"item={PATENT}", [patent]),
        ("owner=me", [patent]),
        ("owner=nobody", [aid]),
        ("owner=others", []),
        ("overdue=true", [aid]),
        ("region=440305", [aid, patent]),
        ("region=440306", []),
        ("q=%25_", [patent]),
        ("q=乙制造", []),
        ("q=甲科技&owner=me", [patent]),
    ):
        html = (await browser.get(f"/queue?{query}")).text
        assert listed(html) == found, query
        counted = re.search(r'aria-current="page">[^<]*<span class="count">(\d+)', html)
        assert counted
        assert int(counted[1]) == len(found), query
    late = (await browser.get("/queue?overdue=true")).text
    assert re.search(r'class="q-when bad"><time[^>]*>已超期', late)  # in colour and in words
    assert listed((await (await login("coordinator2")).get("/queue?owner=others")).text) == [patent]
    assert (await browser.get(f"/queue?q={aid}")).headers["location"] == f"/needs/{aid}"


@pytest.mark.parametrize("query", ["tab=nothing", "region=44", "region='--", "owner=x", "overdue=x", "q=" + "长" * 101])
async def test_an_address_that_makes_no_sense_is_refused(login: Login, query: str) -> None:
    assert (await (await login("coordinator")).get(f"/queue?{query}")).status_code in (400, 422)


async def test_who_works_through_a_filter_stays_in_it(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    """After a decision, by 下一条, and once the last is done."""
    first, second = [await file_need(db, settings, world, f"{AID_TEXT} 甲") for _ in range(2)]
    other = await file_need(db, settings, world, "想申请专利", PATENT)
    async with db.transaction() as tx:
        await tx.execute("UPDATE needs SET due_at = now() - interval '2 days' WHERE id = $1", other)
    browser = await login("coordinator")
    opened = f"/needs/{first}?queue=item%3D{AID}"
    assert f'href="{opened}"' in (await browser.get(f"/queue?item={AID}")).text
    page = (await browser.get(opened)).text
    assert page.count(f'name="queue" value="item={AID}"') >= 3
    onward = re.search(r'href="(/needs/\d+/next[^"]*)"', page)
    assert onward
    following = opened.replace(f"/{first}?", f"/{second}?")
    assert (await browser.get(onward[1])).headers["location"] == following
    assert (await approve(browser, first, queue=f"item={AID}")).headers["location"] == following
    last = await approve(browser, second, queue=f"item={AID}")
    assert last.headers["location"] == f"/queue?item={AID}", "the other need is none of these"
    nonsense = await approve(browser, other, queue="region=nowhere&tab=x")
    assert nonsense.headers["location"] == "/queue"


async def test_a_filter_is_kept_by_name_for_its_account(login: Login) -> None:
    browser = await login("coordinator")
    await browser.get("/queue")
    saved = await post(browser, "/queue/filters", name="南山 <b>维权</b>", region="440305", item=AID, overdue="true")
    assert saved.headers["location"] == f"/queue?region=440305&item={AID}&overdue=true"
    html = (await browser.get("/queue")).text
    assert "南山 &lt;b&gt;维权&lt;/b&gt;" in html
    assert f'href="/queue?region=440305&amp;item={AID}&amp;overdue=true"' in html
    await post(browser, "/queue/filters", name="南山 <b>维权</b>", owner="me")  # the name keeps the newest
    html = (await browser.get("/queue")).text
    assert html.count("&lt;b&gt;维权&lt;/b&gt;</a>") == 1
    assert 'href="/queue?owner=me"' in html
    assert "维权&lt;/b&gt;" not in (await (await login("coordinator2")).get("/queue")).text
    (number,) = re.findall(r"/queue/filters/(\d+)/drop", html)
    stranger = await login("coordinator2")
    await stranger.get("/queue")
    await post(stranger, f"/queue/filters/{number}/drop")
    assert "维权&lt;/b&gt;" in (await browser.get("/queue")).text
    await post(browser, f"/queue/filters/{number}/drop")
    assert "维权&lt;/b&gt;" not in (await browser.get("/queue")).text


async def test_filters_have_a_name_and_are_not_without_number(login: Login) -> None:
    browser = await login("province")
    await browser.get("/queue")
    assert (await post(browser, "/queue/filters", name="", owner="me")).status_code == 422
    assert (await post(browser, "/queue/filters", name="长" * 31, owner="me")).status_code == 422
    for number in range(MOST_FILTERS):
        assert (await post(browser, "/queue/filters", name=f"筛选 {number}", owner="me")).status_code == 303
    refused = await post(browser, "/queue/filters", name="多余的", owner="me")
    assert refused.status_code == 422
    assert f"最多保存 {MOST_FILTERS} 个" in refused.text
    assert (await post(browser, "/queue/filters", name="筛选 3", owner="others")).status_code == 303


# taking back ---------------------------------------------------------------------------------------------------------


async def test_an_approval_waits_and_is_sent(db: Database, settings: Settings, world: World, login: Login) -> None:
    need_id, waiting = [await file_need(db, settings, world, AID_TEXT) for _ in range(2)]
    browser = await login("coordinator")
    answer = await approve(browser, need_id)
    assert answer.headers["location"] == f"/needs/{waiting}"
    assert await state(db, need_id) == "proposed", "nothing is sent yet"
    html = await need_page(browser, waiting)
    assert f'action="/needs/{need_id}/undo"' in html
    assert re.search(r"还有 (8|9|10) 秒派出", html)
    assert listed((await browser.get("/queue")).text) == [waiting]
    institution = await login("institution")
    assert (await institution.get(f"/needs/{need_id}")).status_code == 404, "the institution learns nothing"
    async with db.reading() as tx:
        row = await tx.fetchrow(
            "SELECT payload, leased_until - now() AS wait FROM outbox WHERE topic = 'send_held' ORDER BY id DESC"
        )
        assert row
        assert 5 < row["wait"].total_seconds() <= 10, "the relay leaves it alone until then"
        assert await outbox.lease(tx, holder="test", limit=0, seconds=1, attempts=9) == []
    assert await send_due(db) == [""]
    assert await state(db, need_id) == "assigned"
    html = await need_page(browser, waiting)
    assert "/undo" not in html
    late = await post(browser, f"/needs/{need_id}/undo")
    assert "已经派出，不能再撤回" in (await browser.get(late.headers["location"])).text


async def test_taken_back_nothing_happens(db: Database, settings: Settings, world: World, login: Login) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    browser = await login("coordinator")
    assert (await approve(browser, need_id)).headers["location"] == "/queue"
    async with db.reading() as tx:
        held_id = await tx.fetchval("SELECT id FROM held_decisions WHERE need_id = $1", need_id)
        before = await tx.fetchval("SELECT count(*) FROM events WHERE need_id = $1", need_id)
    stranger = await login("coordinator2")
    await stranger.get("/queue")
    assert "late=1" in (await post(stranger, f"/needs/{need_id}/undo")).headers["location"], "only its author"
    assert (await post(browser, f"/needs/{need_id}/undo")).headers["location"] == f"/needs/{need_id}"
    async with db.transaction() as tx:
        assert await holding.send(tx, held_id, await DeadlinesSource().get(tx)) is None
    assert await state(db, need_id) == "proposed"
    async with db.reading() as tx:
        assert await tx.fetchval("SELECT count(*) FROM events WHERE need_id = $1", need_id) == before
    assert listed((await browser.get("/queue")).text) == [need_id]
    # Decided again, the old outbox row finds nothing and the new one sends it.
    await approve(browser, need_id)
    async with db.transaction() as tx:
        assert await holding.send(tx, held_id, await DeadlinesSource().get(tx)) is None
    assert await send_due(db) == [""]
    assert await state(db, need_id) == "assigned"


async def test_a_colleague_is_told_and_does_not_decide_too(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    first, second = await login("coordinator"), await login("coordinator2")
    await second.get("/queue")
    await approve(first, need_id)
    refused = await post(second, f"/needs/{need_id}/approve", match_id=await match_of(db, need_id))
    assert refused.status_code == 409
    assert "coordinator 的姓名刚刚对这条需求作了决定" in refused.text
    assert "data-approve" not in refused.text


async def test_what_would_be_refused_is_refused_at_once(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    browser = await login("coordinator")
    match_id = proposal(await need_page(browser, need_id))
    async with db.transaction() as tx:
        await tx.execute("UPDATE offerings SET capacity = load")
    assert (await post(browser, f"/needs/{need_id}/approve", match_id=match_id)).status_code == 409
    async with db.reading() as tx:
        assert await queries.held_of_need(tx, need_id) is None


async def test_what_cannot_be_sent_any_more_is_told(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    browser = await login("coordinator")
    await approve(browser, need_id)
    async with db.transaction() as tx:  # the last place goes meanwhile
        await tx.execute("UPDATE offerings SET capacity = load")
    (why,) = await send_due(db)
    assert "名额" in why or "满" in why
    assert await state(db, need_id) == "proposed"
    html = (await browser.get("/queue")).text
    assert why in html
    assert listed(html) == [need_id]
    assert (await post(browser, f"/needs/{need_id}/undo")).headers["location"] == f"/needs/{need_id}"
    assert why not in (await browser.get("/queue")).text


async def test_another_decision_of_ones_own_takes_its_place(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    browser = await login("coordinator")
    await approve(browser, need_id)
    other = world.offerings["知识产权法律政策咨询"]
    await post(browser, f"/needs/{need_id}/override", offering_id=other, reason="电话里已说好")
    assert await send_due(db) == [""]
    async with db.reading() as tx:
        served = await tx.fetchval("SELECT offering_id FROM matches WHERE need_id = $1 AND state = 'approved'", need_id)
    assert served == other
    second = await file_need(db, settings, world, AID_TEXT)
    await approve(browser, second)
    await post(browser, f"/needs/{second}/return", missing="请补充权利证明")
    assert await send_due(db) == [], "returned: what was approved before is not sent"
    assert await state(db, second) == "returned"


async def test_sent_and_taken_back_at_once_one_of_both_counts(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    browser = await login("coordinator")
    for _ in range(5):
        need_id = await file_need(db, settings, world, AID_TEXT)
        await approve(browser, need_id)
        sent, answer = await asyncio.gather(send_due(db), post(browser, f"/needs/{need_id}/undo"))
        undone = "late=1" not in answer.headers["location"]
        assert (await state(db, need_id) == "proposed") is undone
        assert sent == ([] if undone and not sent else ["taken back"] if undone else [""])


# several at once -----------------------------------------------------------------------------------------------------


async def clear(db: Database, *need_ids: int) -> None:
    """Their first choices far ahead of the others."""
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE candidates c SET score = 10 FROM matches m WHERE m.run_id = c.run_id"
            " AND m.need_id = ANY($1::bigint[]) AND m.state = 'proposed' AND c.offering_id <> m.offering_id",
            need_ids,
        )


async def test_several_are_seen_first_and_approved_each_on_its_own(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    needs = [await file_need(db, settings, world, f"{AID_TEXT}（{n}）") for n in range(3)]
    await clear(db, *needs)
    browser = await login("coordinator")
    html = (await browser.get("/queue")).text
    assert len(re.findall(r'type="checkbox" name="needs"', html)) == 3
    async with db.transaction() as tx:
        await tx.execute("UPDATE offerings SET capacity = load + 2 WHERE state = 'published'")
    seen = (await browser.get("/queue/several?" + "&".join(f"needs={one}" for one in needs))).text
    assert "名额还差 1 个" in seen
    assert [await state(db, one) for one in needs] == ["proposed"] * 3, "looking does nothing"
    ticked = re.findall(r'name="needs" value="(\d+:\d+)"', seen)
    assert len(ticked) == 3
    done = await post(browser, "/queue/several", needs=ticked)
    assert done.status_code == 200
    assert "已批准 2 条" in done.text
    assert sorted([await state(db, one) for one in needs]) == ["assigned", "assigned", "proposed"]
    again = await post(browser, "/queue/several", needs=ticked)
    assert "已批准 0 条" in again.text
    assert sorted([await state(db, one) for one in needs]) == ["assigned", "assigned", "proposed"]


async def test_what_is_not_clear_is_left_out_of_several(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    plain, close, owned = [await file_need(db, settings, world, f"{AID_TEXT}（{n}）") for n in range(3)]
    await clear(db, plain, owned)
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE candidates c SET score = 50 FROM matches m WHERE m.run_id = c.run_id AND m.need_id = $1", close
        )
    colleague = await login("coordinator2")
    await colleague.get("/queue")
    await post(colleague, f"/needs/{owned}/take")
    browser = await login("coordinator")
    html = (await browser.get("/queue")).text
    assert re.findall(r'name="needs" value="(\d+)"', html) == [str(plain)]
    seen = (await browser.get(f"/queue/several?needs={plain}&needs={close}&needs={owned}&needs=999999&needs=x")).text
    assert re.findall(r'name="needs" value="(\d+):\d+"', seen) == [str(plain)]
    assert "有 2 条不在其中" in seen
    nothing = await browser.get("/queue/several")
    assert "请先勾选" in (await browser.get(nothing.headers["location"])).text
    assert (await post(browser, "/queue/several", needs="1;2")).status_code == 422
    foreign = await login("enterprise")
    assert (await foreign.get(f"/queue/several?needs={plain}")).status_code == 403


# correcting ----------------------------------------------------------------------------------------------------------


async def test_a_corrected_understanding_is_ranked_by(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    need_id = await file_need(db, settings, world, "商标的事情想问问", CONSULTING)
    browser = await login("coordinator")
    assert "更正理解" in await need_page(browser, need_id)
    answer = await post(browser, f"/needs/{need_id}/correct", item_codes=[TRADEMARK], rights=["trademark"])
    assert answer.headers["location"] == f"/needs/{need_id}"
    assert await state(db, need_id) == "submitted"
    await rank_need(db, need_id)
    html = await need_page(browser, need_id)
    assert "节点更正" in html
    assert "更正为：" in html
    async with db.reading() as tx:
        offering = await tx.fetchval(
            "SELECT offering_id FROM matches WHERE need_id = $1 AND state = 'proposed'", need_id
        )
    assert offering == world.offerings["商标注册申请受理"]
    same = await post(browser, f"/needs/{need_id}/correct", item_codes=[TRADEMARK], rights=["trademark"])
    assert same.status_code == 422
    assert "没有要更正的" in same.text
    for wrong in ({"item_codes": ["XX-1"]}, {"rights": ["nonsense"]}):
        assert (await post(browser, f"/needs/{need_id}/correct", **wrong)).status_code == 422
    assert (await post(await login("enterprise"), f"/needs/{need_id}/correct", rights=["patent"])).status_code == 403


# gaps ----------------------------------------------------------------------------------------------------------------


async def test_gaps_count_needs_where_they_came_from_and_places_where_they_serve(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    browser = await login("coordinator")
    async with db.reading() as tx:
        before = {(c.region_code, c.stage): c for c in await queries.gaps(tx, "4403", 6, 90)}
    need_id = await file_need(db, settings, world, AID_TEXT)
    async with db.transaction() as tx:
        stages = await tx.fetchval("SELECT understanding -> 'stages' FROM needs WHERE id = $1", need_id)
        shown = await tx.fetchval(
            "SELECT count(*) FROM candidates c JOIN ranking_runs r ON r.id = c.run_id WHERE r.need_id = $1 AND c.shown",
            need_id,
        )
        after = {(c.region_code, c.stage): c for c in await queries.gaps(tx, "4403", 6, 90)}
    assert stages
    for stage in stages:
        was = before.get(("440305", stage))
        assert after["440305", stage].needs == (was.needs if was else 0) + 1
        assert after["440305", stage].candidates == (was.candidates if was else 0) + shown
        assert after["440304", stage].needs == (before["440304", stage].needs if ("440304", stage) in before else 0)
    patents = after["440304", "creation"].places
    async with db.transaction() as tx:  # serves Nanshan only
        await tx.execute("UPDATE offerings SET capacity = capacity + 7 WHERE id = $1", world.offerings["专利申请辅导"])
        later = {(c.region_code, c.stage): c for c in await queries.gaps(tx, "4403", 6, 90)}
    assert later["440304", "creation"].places == patents
    assert later["440305", "creation"].places == after["440305", "creation"].places + 7
    for show in ("nobody", "candidates", "places"):
        html = (await browser.get(f"/gaps?show={show}")).text
        assert "data-plot" in html
        assert "南山区" in html
    assert (await (await login("enterprise")).get("/gaps")).status_code == 403
