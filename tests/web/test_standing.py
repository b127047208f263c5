"""The institution's standing by page and API: counts as they happened, exact advice, and nothing of anybody else."""

import json

import pytest
from msgspec import structs

from infra.db import Database
from infra.settings import Settings
from market.offerings import queries as offerings
from market.standing import queries, service
from market.standing.model import LISTS, ExcludedRow, ListedRow
from matching.features import FEATURES
from matching.scorer import default_scorecard
from tests.conftest import Api, Clone, Login, open_database
from tests.factories import PATENT, World
from tests.web.test_pages_staff import file_need, match_of, state
from tests.web.test_plans import OFFICE, empty_queue

pytestmark = pytest.mark.anyio
__all__ = ["empty_queue"]  # a fixture that every test here uses

CARD = default_scorecard()


def row(run_id: int, rank: int, offering_id: int, share: float, *, institution: int = 0, **flags: bool) -> ListedRow:
    """A candidate that is as good in every feature, 0 to 1."""
    return ListedRow(
        run_id=run_id,
        rank=rank,
        offering_id=offering_id,
        institution_id=institution or offering_id,
        proposed=flags.get("proposed", rank == 1),
        approved=flags.get("approved", False),
        values=tuple(f.worst + share * (f.best - f.worst) for f in FEATURES),
        evidence=(1,) * len(FEATURES),
    )


async def test_counts_are_those_of_the_lists_as_shown(db: Database, world: World) -> None:
    async with db.reading() as tx:
        offering = await offerings.find(tx, world.offerings[OFFICE])
    assert offering is not None
    own = offering.id
    lists = [
        [row(9, 1, own, 0.5, approved=True), row(9, 2, 90, 0.4)],
        [row(8, n, 90 + n, 0.9 - n / 10) for n in range(1, 4)] + [row(8, 4, own, 0.5)],
        [row(7, 1, 90, 0.9), row(7, 2, 91, 0.8)],
    ]
    excluded = [
        ExcludedRow(offering_id=own, rule="region_not_covered", what="龙华区", times=3),
        ExcludedRow(offering_id=own, rule="no_capacity", what="", times=4),
        ExcludedRow(offering_id=own, rule="region_not_covered", what="光明区", times=2),
    ]
    found = service.of_offering(offering, lists, excluded, CARD, "zh")
    assert (found.shown, found.mean_place, found.firsts, found.proposed, found.approved) == (2, 2.5, 1, 1, 1)
    assert found.compared == 1
    assert found.gaps[0].feature == "item_fit"
    assert [(one.rule, one.times) for one in found.excluded] == [("region_not_covered", 5), ("no_capacity", 4)]
    assert found.excluded[0].words == "服务地区不含需求所在的地区（龙华区 3 次、光明区 2 次）"
    assert "服务地区" in found.excluded[0].remedy
    english = service.of_offering(offering, lists, excluded, CARD, "en")
    assert english.excluded[1].words == "no capacity left"


async def test_a_list_of_another_release_counts_but_is_not_scored_again(db: Database, world: World) -> None:
    async with db.reading() as tx:
        offering = await offerings.find(tx, world.offerings[OFFICE])
    assert offering is not None
    old = [
        ListedRow(
            run_id=1,
            rank=2,
            offering_id=offering.id,
            institution_id=1,
            proposed=False,
            approved=False,
            values=None,
            evidence=None,
        )
    ]
    found = service.of_offering(offering, [old], [], CARD, "zh")
    assert (found.shown, found.mean_place, found.advice, found.gaps) == (1, 2.0, (), ())


async def test_an_institution_sees_its_own_and_only_that(
    db: Database, settings: Settings, world: World, api: Api, login: Login
) -> None:
    need_ids = [await file_need(db, settings, world, "想给新产品申请专利，请辅导", PATENT) for _ in range(3)]
    coordinator = api("coordinator")
    shown = (await coordinator.get(f"/needs/{need_ids[0]}/ranking")).json()
    assert (
        await coordinator.post(f"/needs/{need_ids[0]}/approve", json={"match_id": await match_of(db, need_ids[0])})
    ).status_code == 200
    assert await state(db, need_ids[0]) == "assigned"
    served = shown["match"]["institution_id"]
    by_id = {actor.institution_id: login_ for login_, actor in world.actors.items() if actor.institution_id}
    answer = await api(by_id[served]).get("/standing")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert 3 <= found["lists"] <= LISTS
    own = {one["offering_id"]: one for one in found["offerings"]}
    mine = {one.id for one in await _own(db, served)}
    assert set(own) == mine
    first = own[shown["match"]["offering_id"]]
    assert first["shown"] >= 3
    assert first["approved"] >= 1
    assert first["firsts"] >= first["approved"]
    # Of others: not a name, not an id, not a word of the need.
    told = json.dumps(found, ensure_ascii=False)
    assert "新产品" not in told
    assert "深圳甲科技" not in told
    assert "institution" not in told
    for candidate in shown["candidates"]:
        if candidate["institution_id"] != served:
            assert candidate["institution_name"] not in told
            assert candidate["title"] not in told

    browser = await login(by_id[served])
    html = (await browser.get("/desk/standing")).text
    assert "我的排名" in html
    assert shown["candidates"][0]["title"] in html
    assert "style=" not in html
    assert "深圳甲科技" not in html
    english = (await browser.get("/desk/standing?lang=en")).text
    assert 'hreflang="zh"' in english


async def _own(db: Database, institution_id: int) -> list[offerings.Offering]:
    async with db.reading() as tx:
        return await offerings.of_institution(tx, institution_id)


async def test_advice_is_told_in_the_language_asked_for(db: Database, world: World) -> None:
    """Half in use, half a point behind: room for two more brings more than a point (load weighs 8)."""
    async with db.reading() as tx:
        offering = await offerings.find(tx, world.offerings[OFFICE])
    assert offering is not None
    offering = structs.replace(offering, capacity=5, promised_days=None)
    lists = [[row(5, 1, 90, 0.505), row(5, 2, offering.id, 0.5)]]
    zh, en = (service.of_offering(offering, lists, [], CARD, lang) for lang in ("zh", "en"))
    (more,) = [one for one in zh.advice if one.lever == "capacity"]
    assert (more.amount, more.lists, more.moved, more.before, more.after, more.firsts) == (2, 1, 1, 2.0, 1.0, 1)
    assert more.words == (
        "可同时承接的件数增加 2 件（按现在 5 件计）：最近 1 份名单中有 1 份会前移，"
        "平均从第 2.0 位到第 1.0 位，其中 1 份排到第 1 位"
    )
    assert [one.lever for one in en.advice] == [one.lever for one in zh.advice]
    assert "capacity for 2 more (with 5 now): up in 1 of the last 1 lists" in [
        one.words.split(", ")[0] for one in en.advice
    ]


async def test_what_keeps_an_offering_out_is_counted_by_rule(
    db: Database, settings: Settings, world: World, api: Api, login: Login
) -> None:
    async with db.transaction() as tx:
        await tx.execute("UPDATE offerings SET capacity = load WHERE id = $1", world.offerings[OFFICE])
    await file_need(db, settings, world, "想给新产品申请专利，请辅导", PATENT)
    async with db.transaction() as tx:
        await tx.execute("UPDATE offerings SET capacity = load + 5 WHERE id = $1", world.offerings[OFFICE])
    found = (await api("office").get("/standing")).json()
    (own,) = [one for one in found["offerings"] if one["offering_id"] == world.offerings[OFFICE]]
    (full,) = [one for one in own["excluded"] if one["rule"] == "no_capacity"]
    assert full["times"] >= 1
    assert full["words"] == "名额已满"
    assert "增加可同时承接的件数" in full["remedy"]
    html = (await (await login("office")).get("/desk/standing")).text
    assert "名额已满：" in html


async def test_nothing_yet(clone: Clone, world: World) -> None:
    """Before the first need, and for an institution of another province's node."""
    database = open_database(await clone())
    async with database.reading() as tx:
        found = await service.of_institution(tx, world.actors["office"], "zh")
        assert found.lists == 0
        assert all(one.shown == 0 and one.mean_place is None for one in found.offerings)
        assert await queries.listed(tx, 1, "110000", LISTS, CARD.features) == []
    await database.close()


async def test_it_is_for_institutions(login: Login, api: Api) -> None:
    for role in ("enterprise", "coordinator", "clerk", "admin"):
        assert (await (await login(role)).get("/desk/standing")).status_code == 403
        assert (await api(role).get("/standing")).status_code == 403
    assert (await api("").get("/standing")).status_code == 401
