"""Ratings and rectifications on PostgreSQL: every step in every state, deadlines by region, what nobody can change."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import product

import pytest

from infra.db import Database, Transaction
from infra.settings import Settings
from market.calendars import service as calendars
from market.calendars.model import ZONE
from market.calendars.service import Deadlines
from market.errors import AlreadyRated, Conflict, Forbidden, InvalidInput, InvalidTransition, NotFound
from market.ratings import model, queries, rectification, service
from market.ratings.model import Finding, Rating, RatingForm, Revisit, Ruling
from market.ratings.model import RectificationAction as A
from market.ratings.model import RectificationState as S
from market.ratings.scale import RatingLevel
from market.regions.model import NATION
from market.rules import service as rules
from market.rules.model import RuleChange, RuleName
from tests.db.test_rules import refused
from tests.factories import AID, World, serve

pytestmark = pytest.mark.anyio

BAD = RatingForm(level=RatingLevel.DISSATISFIED, indicators=("209",), remark="晚了一周")
Use = Callable[[], Awaitable[Rating]]


@pytest.fixture(scope="module")
async def served(db: Database, settings: Settings, world: World) -> int:
    """A need that was served to the end; what tests make of it is rolled back."""
    return await serve(db, settings, world)


@pytest.fixture
async def deadlines(tx: Transaction) -> Deadlines:
    return await calendars.deadlines(tx)


async def rate(tx: Transaction, world: World, need_id: int, deadlines: Deadlines, form: RatingForm = BAD) -> Rating:
    return await service.rate(tx, world.actors["enterprise"], need_id, form, deadlines, b"somewhere")


async def force(tx: Transaction, rating_id: int, state: S, *, late: bool = True) -> None:
    """Put a rectification into a state without a step."""
    await tx.execute("ALTER TABLE rectifications DISABLE TRIGGER USER")
    due = (
        None if state is S.CLOSED else await tx.fetchval("SELECT now() + $1::int * interval '1 day'", -1 if late else 1)
    )
    await tx.execute("UPDATE rectifications SET state = $2, due_at = $3 WHERE rating_id = $1", rating_id, state, due)
    await tx.execute("ALTER TABLE rectifications ENABLE TRIGGER USER")


async def test_every_step_in_every_state(tx: Transaction, world: World, served: int, deadlines: Deadlines) -> None:
    """Each use case leads where the table says, or is refused and changes nothing."""
    rating_id = (await rate(tx, world, served, deadlines)).id
    await service.report(tx, world.actors["institution"], rating_id, "与服务无关", deadlines)
    node, rated, party = (world.actors[name] for name in ("coordinator", "institution", "enterprise"))
    uses: dict[A, Use] = {
        A.VERIFY: lambda: rectification.verify(tx, node, rating_id, Finding(founded=True, note="属实"), deadlines),
        A.DISMISS: lambda: rectification.verify(tx, node, rating_id, Finding(founded=False, note="误评"), deadlines),
        A.RECTIFY: lambda: rectification.rectify(tx, rated, rating_id, "改了", deadlines),
        A.ANSWER: lambda: rectification.answer(tx, rated, rating_id, "抱歉，已经改了", deadlines),
        A.SATISFIED: lambda: rectification.revisit(tx, party, rating_id, Revisit(satisfied=True), deadlines),
        A.SEND_BACK: lambda: rectification.revisit(tx, node, rating_id, Revisit(satisfied=False), deadlines),
        A.CLOSE: lambda: rectification.close(tx, node, rating_id, "已办结", deadlines),
        A.DROP: lambda: service.rule(tx, node, rating_id, Ruling(keep=False, note="恶意差评"), deadlines),
    }
    assert set(uses) == set(A) - {A.OPEN, A.UNSATISFIED}
    for state, (action, use) in product(set(S) - {S.NEW}, uses.items()):
        savepoint = tx.transaction()
        await savepoint.start()
        await force(tx, rating_id, state)
        after = model.TRANSITIONS.get((state, action))
        if after is None and not (action is A.DROP and state is S.CLOSED):
            with pytest.raises(InvalidTransition):
                await use()
        else:
            left = await use()
            assert left.rectification is (after or S.CLOSED), (state, action)
            assert (left.due_at is None) == (left.rectification is S.CLOSED)
            if after:
                (last, *_) = await tx.fetch(
                    "SELECT * FROM events WHERE machine = 'rectification' ORDER BY id DESC LIMIT 1"
                )
                assert (last["from_state"], last["action"], last["to_state"]) == (state, action, after)
        await savepoint.rollback()


async def test_not_satisfied_goes_back_once_and_is_then_recorded(
    tx: Transaction, world: World, served: int, deadlines: Deadlines
) -> None:
    rating_id = (await rate(tx, world, served, deadlines)).id
    node, rated, party = (world.actors[name] for name in ("coordinator", "institution", "enterprise"))
    found = await rectification.verify(tx, node, rating_id, Finding(founded=True, note="属实"), deadlines)
    for reached in (S.RECTIFYING, S.CLOSING):
        assert found.rectification is S.RECTIFYING
        await rectification.rectify(tx, rated, rating_id, "改了", deadlines)
        await rectification.answer(tx, rated, rating_id, "已经改了", deadlines)
        found = await rectification.revisit(tx, party, rating_id, Revisit(satisfied=False, note="还是慢"), deadlines)
        assert (found.rectification, found.satisfied) == (reached, False)
    found = await rectification.close(tx, node, rating_id, "评价人仍不满意，已记录", deadlines)
    assert (found.rectification, found.satisfied, found.answer) == (S.CLOSED, False, "已经改了")
    told = [event.action for event in await service.history(tx, node, rating_id)]
    assert told.count("send_back") == told.count("unsatisfied") == 1
    step = (
        "INSERT INTO events (need_id, match_id, machine, from_state, action, to_state)"
        " SELECT need_id, match_id, machine, from_state, action, to_state FROM events WHERE action = 'send_back'"
    )
    assert "events_send_back_once" in await refused(tx, step)


async def test_whoever_rated_has_time_to_answer(
    tx: Transaction, world: World, served: int, deadlines: Deadlines
) -> None:
    rating_id = (await rate(tx, world, served, deadlines)).id
    await force(tx, rating_id, S.REVISITING, late=False)
    with pytest.raises(Conflict, match="还在回访期限内"):
        await rectification.close(tx, world.actors["coordinator"], rating_id, "结束", deadlines)
    await force(tx, rating_id, S.REVISITING)
    closed = await rectification.close(tx, world.actors["coordinator"], rating_id, "没有答复", deadlines)
    assert (closed.rectification, closed.satisfied) == (S.CLOSED, None)


async def test_steps_are_refused_to_everybody_else(
    tx: Transaction, world: World, served: int, deadlines: Deadlines
) -> None:
    rating_id = (await rate(tx, world, served, deadlines)).id
    actors, finding = world.actors, Finding(founded=True, note="属实")
    for login in ("enterprise", "institution", "clerk", "admin"):
        with pytest.raises(Forbidden):
            await rectification.verify(tx, actors[login], rating_id, finding, deadlines)
    for login in ("rival", "office", "clerk"):
        with pytest.raises(NotFound):
            await service.find(tx, actors[login], rating_id)
    await force(tx, rating_id, S.RECTIFYING)
    with pytest.raises(NotFound):
        await rectification.rectify(tx, actors["office"], rating_id, "不是我的", deadlines)
    await tx.execute(
        "UPDATE needs SET node_id = (SELECT id FROM nodes WHERE region_code = '440000') WHERE id = $1", served
    )
    await force(tx, rating_id, S.VERIFYING)
    with pytest.raises(Forbidden, match="广东省骨干节点"):
        await rectification.verify(tx, actors["coordinator"], rating_id, finding, deadlines)
    done = await rectification.verify(tx, actors["province"], rating_id, finding, deadlines)
    assert done.rectification is S.RECTIFYING
    await tx.execute("DELETE FROM rectifications")
    with pytest.raises(NotFound, match="没有需要整改"):
        await rectification.rectify(tx, actors["institution"], rating_id, "改了", deadlines)


# time limits ---------------------------------------------------------------------------------------------------------


async def test_deadlines_follow_the_nearest_regions_rule(tx: Transaction, world: World, served: int) -> None:
    name, city, admin = RuleName.RECTIFICATION_VERIFY, world.actors["coordinator"], world.actors["admin"]

    async def days(region: str) -> tuple[int, str]:
        (rule,) = [rule for rule in await rules.in_force(tx, region) if rule.name is name]
        return rule.working_days, rule.region_name

    assert await days("440305") == (1, "全国")
    await rules.change(tx, admin, "440000", [RuleChange(name, 2)])
    await rules.change(tx, city, "440300", [RuleChange(name, 4)])
    assert await days("440305") == (4, "深圳市")
    assert await days("440106") == (2, "广东省")
    assert await days("110000") == (1, "全国")
    deadlines = await calendars.deadlines(tx)
    rating = await rate(tx, world, served, deadlines)
    due_at, _ = deadlines.calendar("440305").due_at(datetime.now(UTC), 4)
    assert rating.due_at == due_at
    assert rating.due_at is not None
    assert rating.due_at.astimezone(ZONE).hour == 18
    await rules.change(tx, city, "440300", [RuleChange(name, None)])
    assert await days("440305") == (2, "广东省")
    again = await service.find(tx, city, rating.id)
    assert again.due_at == rating.due_at, "what is due already keeps its day"


async def test_rules_are_set_by_those_of_the_region(tx: Transaction, world: World) -> None:
    name = RuleName.RECTIFICATION_CLOSE
    for login, region in (
        ("coordinator", "440000"),
        ("coordinator", NATION),
        ("enterprise", "440300"),
        ("clerk", "440300"),
    ):
        with pytest.raises(Forbidden):
            await rules.change(tx, world.actors[login], region, [RuleChange(name, 1)])
    with pytest.raises(NotFound):
        await rules.change(tx, world.actors["admin"], "999999", [RuleChange(name, 1)])
    with pytest.raises(InvalidInput) as told:
        await rules.change(tx, world.actors["admin"], NATION, [RuleChange(name, None)])
    assert name in told.value.fields


async def test_every_rule_holds_in_the_nation(tx: Transaction) -> None:
    assert [rule.name for rule in await rules.in_force(tx, NATION)] == list(RuleName)


# what PostgreSQL keeps ------------------------------------------------------------------------------------------------


async def test_a_rating_is_never_edited(tx: Transaction, world: World, served: int, deadlines: Deadlines) -> None:
    rating_id = (await rate(tx, world, served, deadlines)).id
    for change in (
        "level = 5",
        "remark = '很好'",
        "indicators = '{}'",
        "anonymous = true",
        "rated_by = 1",
        "source = NULL",
    ):
        assert "never changed" in await refused(tx, f"UPDATE ratings SET {change} WHERE id = $1", rating_id)
    assert "never changed" in await refused(tx, "DELETE FROM ratings WHERE id = $1", rating_id)
    for column in ("later_remark", "reply"):
        await tx.execute(f"UPDATE ratings SET {column} = '一' WHERE id = $1", rating_id)
        assert "never changed" in await refused(tx, f"UPDATE ratings SET {column} = '二' WHERE id = $1", rating_id)
    told = await refused(tx, "UPDATE ratings SET state = 'withheld' WHERE id = $1", rating_id)
    assert "a rating cannot go from published to withheld" in told


async def test_once_per_service_whatever_the_code_does(
    tx: Transaction, world: World, served: int, deadlines: Deadlines
) -> None:
    rating = await rate(tx, world, served, deadlines)
    assert rating.match_id is not None
    with pytest.raises(AlreadyRated):
        await rate(tx, world, served, deadlines)
    savepoint = tx.transaction()
    await savepoint.start()
    with pytest.raises(AlreadyRated):
        await queries.insert(tx, rating.match_id, BAD, actor_id=1, on_behalf=False, source=None)
    await savepoint.rollback()


async def test_figures_follow_the_ratings(tx: Transaction, world: World, served: int, deadlines: Deadlines) -> None:
    node, rated = world.actors["coordinator"], world.actors["institution"]
    assert rated.institution_id is not None

    async def counted() -> tuple[int, ...]:
        return service.overall(await service.by_item(tx, rated.institution_id or 0)).counts

    before = await counted()
    rating = await rate(tx, world, served, deadlines)
    assert (await counted())[1] == before[1] + 1
    assert rated.institution_id in [row.institution_id for row in await service.by_institution(tx, AID)]
    await service.report(tx, rated, rating.id, "与服务无关", deadlines)
    assert (await counted())[1] == before[1] + 1, "a report changes nothing before the ruling"
    withheld = await service.rule(tx, node, rating.id, Ruling(keep=False, note="内容与服务无关"), deadlines)
    assert (withheld.state, withheld.rectification) == (model.RatingState.WITHHELD, S.CLOSED)
    assert await counted() == before
    assert rating.id not in [
        one.id for one in await queries.published(tx, rated.institution_id, item_code=None, before=None, limit=99)
    ]
    assert (await service.find(tx, node, rating.id)).remark == "晚了一周", "it stays on record"
