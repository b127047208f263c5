"""Supervision on PostgreSQL: flags, every step in every state, who may, its clock, rules by region."""

from datetime import UTC, date, datetime
from itertools import product

import pytest

from infra.db import Database, Transaction
from infra.settings import Settings
from market.calendars import service as calendars
from market.calendars.model import Period
from market.calendars.service import Deadlines
from market.deadlines.model import DeadlineState
from market.errors import Conflict, Forbidden, InvalidInput, InvalidTransition, NotFound
from market.ledger import recording
from market.rules import service as rules
from market.rules.model import RuleChange, RuleName
from market.supervision import queries, service
from market.supervision.model import TRANSITIONS, Notice, Supervision, SupervisionRule, SupervisionRuleChange
from market.supervision.model import SupervisionAction as A
from market.supervision.model import SupervisionState as S
from tests.conftest import Clone, open_database
from tests.db.test_rules import refused
from tests.factories import World, serve
from workers.deadlines import move_supervisions

pytestmark = pytest.mark.anyio


@pytest.fixture
async def deadlines(tx: Transaction) -> Deadlines:
    return await calendars.deadlines(tx)


@pytest.fixture
async def center(world: World) -> int:
    return world.actors["institution"].institution_id or 0


async def given(tx: Transaction, world: World, center: int, deadlines: Deadlines) -> Supervision:
    notice = Notice(institution_id=center, note="按时率偏低，请整改")
    return await service.give_notice(tx, world.actors["coordinator"], notice, deadlines)


async def force(tx: Transaction, supervision_id: int, state: S) -> None:
    await tx.execute("ALTER TABLE supervisions DISABLE TRIGGER USER")
    await tx.execute(
        "UPDATE supervisions SET state = $2, clock = $3 WHERE id = $1",
        supervision_id,
        state,
        "done" if state is S.CLOSED else "running",
    )
    await tx.execute("ALTER TABLE supervisions ENABLE TRIGGER USER")


async def test_every_step_in_every_state(tx: Transaction, world: World, center: int, deadlines: Deadlines) -> None:
    made = await given(tx, world, center, deadlines)
    for state, action in product(set(S) - {S.NEW}, set(A) - {A.NOTICE}):
        savepoint = tx.transaction()
        await savepoint.start()
        await force(tx, made.id, state)
        actor = world.actors["institution" if action is A.PLAN else "coordinator"]
        before = await queries.steps(tx, made.id)
        if (state, action) in TRANSITIONS:
            after = await service.step(tx, actor, made.id, action, "说明", deadlines)
            assert after.state is TRANSITIONS[state, action]
            *_, last = await queries.steps(tx, made.id)
            assert (last.action, last.note, last.actor_name) == (action, "说明", actor.name)
            assert (after.clock is DeadlineState.DONE) == (after.state is S.CLOSED)
        else:
            with pytest.raises(InvalidTransition):
                await service.step(tx, actor, made.id, action, "说明", deadlines)
            assert await queries.steps(tx, made.id) == before
        await savepoint.rollback()


async def test_the_whole_way_with_each_steps_days(
    tx: Transaction, world: World, center: int, deadlines: Deadlines
) -> None:
    node, server = world.actors["coordinator"], world.actors["institution"]
    changed = [RuleChange(RuleName.SUPERVISION_PLAN, 3), RuleChange(RuleName.SUPERVISION_CHECK, 7)]
    await rules.change(tx, node, "440300", changed)
    now = await calendars.deadlines(tx)
    days = []
    one = await given(tx, world, center, now)
    for action in (None, A.PLAN, A.SEND_BACK, A.PLAN, A.CHECK):
        if action:
            actor = server if action is A.PLAN else node
            one = await service.step(tx, actor, one.id, action, "说明", now)
        period = Period(days={S.NOTICED: 3, S.PLANNED: 7, S.CHECKED: 5}[one.state])
        expected = now.times("440305", datetime.now(UTC), period).due_at
        days.append((one.state, one.due_at == expected))
    assert days == [(S.NOTICED, True), (S.PLANNED, True), (S.NOTICED, True), (S.PLANNED, True), (S.CHECKED, True)]
    closed = await service.step(tx, node, one.id, A.CLOSE, "已落实", now)
    assert (closed.state, closed.clock) == (S.CLOSED, DeadlineState.DONE)
    assert await queries.open_of(tx, center) is None
    assert (await given(tx, world, center, now)).id > closed.id, "another may follow"


async def test_one_at_a_time_and_only_ones_own(
    tx: Transaction, world: World, center: int, deadlines: Deadlines
) -> None:
    made = await given(tx, world, center, deadlines)
    savepoint = tx.transaction()
    await savepoint.start()
    with pytest.raises(Conflict, match="没有办结"):
        await given(tx, world, center, deadlines)
    await savepoint.rollback()
    far = world.actors["provincial"].institution_id or 0
    with pytest.raises(NotFound):
        await given(tx, world, far, deadlines)
    for login in ("admin", "institution"):
        with pytest.raises(Forbidden):
            await service.give_notice(tx, world.actors[login], Notice(institution_id=center, note="x"), deadlines)
    for login in ("office", "provincial", "enterprise", "clerk"):
        with pytest.raises(NotFound):
            await service.find(tx, world.actors[login], made.id)
    for login in ("coordinator", "coordinator2", "province", "admin", "institution"):
        assert (await service.find(tx, world.actors[login], made.id)).id == made.id
    for login, action in (("institution", A.CHECK), ("coordinator", A.PLAN), ("admin", A.CALL_OFF)):
        with pytest.raises(Forbidden):
            await service.step(tx, world.actors[login], made.id, action, "x", deadlines)


async def test_what_happened_stays(tx: Transaction, world: World, center: int, deadlines: Deadlines) -> None:
    made = await given(tx, world, center, deadlines)
    assert "never changed" in await refused(tx, "UPDATE supervision_events SET note = 'other'")
    skip = f"UPDATE supervisions SET state = 'checked' WHERE id = {made.id}"
    assert "cannot go from noticed to checked" in await refused(tx, skip)


async def test_its_clock_reminds_and_escalates_each_step_once(clone: Clone) -> None:
    database = open_database(await clone())
    async with database.transaction() as tx:
        world = await World.read(tx)
        center = world.actors["institution"].institution_id or 0
        made = await given(tx, world, center, await calendars.deadlines(tx))
        # All its moments lie in the past, as after an outage.
        await tx.execute(
            "UPDATE supervisions SET remind_at = now() - interval '4 d', due_at = now() - interval '3 d',"
            " node_at = now() - interval '2 d', above_at = now() - interval '1 d'"
        )
    assert await move_supervisions(database) == 4
    assert await move_supervisions(database) == 0
    async with database.transaction() as tx:
        steps = [one for one in await queries.steps(tx, made.id) if one.machine == "deadline"]
        assert [one.action for one in steps] == ["remind", "expire", "escalate", "escalate_above"]
        node = world.actors["coordinator"].node_id
        above = world.actors["province"].node_id
        whom = [one.data["to"] for one in steps]
        assert whom == [
            [{"institution_id": center}],
            [{"institution_id": center}],
            [{"node_id": node}],
            [{"node_id": above}],
        ]
        # The next step has a clock of its own.
        server = world.actors["institution"]
        planned = await service.step(tx, server, made.id, A.PLAN, "方案", await calendars.deadlines(tx))
        assert planned.clock is DeadlineState.RUNNING
    await database.close()


async def test_a_holiday_moves_its_day_later_and_never_earlier(
    tx: Transaction, world: World, center: int, deadlines: Deadlines
) -> None:
    made = await given(tx, world, center, deadlines)
    off = (
        "INSERT INTO calendar_days (region_code, day, working, name)"
        " SELECT '440300', current_date + g, $1, '台风' FROM generate_series(1, 3) g"
        " ON CONFLICT (region_code, day) DO UPDATE SET working = excluded.working"
    )
    await tx.execute(off, False)
    assert await service.tick(tx, await calendars.deadlines(tx), 10) == 0
    later = await service.find(tx, world.actors["institution"], made.id)
    assert later.due_at > made.due_at
    *_, last = await queries.steps(tx, made.id)
    assert (last.machine, last.action) == ("deadline", "recount")
    await tx.execute(off, True)
    await service.tick(tx, await calendars.deadlines(tx), 10)
    assert (await service.find(tx, world.actors["institution"], made.id)).due_at == later.due_at


async def test_flags_come_and_go_with_the_figures(
    db: Database, settings: Settings, world: World, tx: Transaction, center: int, deadlines: Deadlines
) -> None:
    for _ in range(2):
        await serve(db, settings, world)
    await recording.bring_up_to_date(tx, deadlines, whole=True)
    today = service.today()
    coordinator = world.actors["coordinator"]
    assert await queries.flags(tx, center) == []
    # Nobody is on time enough for a bar above all.
    tight = SupervisionRuleChange(name=SupervisionRule.ON_TIME, threshold=1.1, least=2)
    found = await service.change(tx, coordinator, "440300", [tight])
    assert next(one for one in found if one.name is SupervisionRule.ON_TIME).region_code == "440300"
    assert await service.flag(tx, today) >= 1
    (up,) = await service.flags_of(tx, world.actors["institution"], center)
    assert (up.rule, up.value, up.threshold) == (SupervisionRule.ON_TIME, 1.0, 1.1)
    assert up.cases >= 2
    assert len(up.months) == 3
    lines = await service.with_flags(tx, [])
    assert lines == []
    raised = await tx.fetchval("SELECT raised_at FROM supervision_flags WHERE institution_id = $1", center)
    await service.flag(tx, today)
    assert await tx.fetchval("SELECT count(*) FROM supervision_flags WHERE institution_id = $1", center) == 1
    assert await tx.fetchval("SELECT raised_at FROM supervision_flags WHERE institution_id = $1", center) == raised
    made = await given(tx, world, center, deadlines)
    assert made.reasons == (up,), "the notice keeps what was up"
    await service.change(tx, coordinator, "440300", [SupervisionRuleChange(name=SupervisionRule.ON_TIME, own=False)])
    await service.flag(tx, today)
    assert await queries.flags(tx, center) == []
    assert await service.flag(tx, date(2020, 1, 1)) == 0, "months without figures flag nobody"


async def test_rules_belong_to_their_region(tx: Transaction, world: World) -> None:
    off = SupervisionRuleChange(name=SupervisionRule.OVERDUE, threshold=None)
    for login, region in (("coordinator", "440000"), ("coordinator", "000000"), ("institution", "440305")):
        with pytest.raises(Forbidden):
            await service.change(tx, world.actors[login], region, [off])
    with pytest.raises(NotFound):
        await service.change(tx, world.actors["admin"], "999999", [off])
    gone = SupervisionRuleChange(name=SupervisionRule.OVERDUE, own=False)
    with pytest.raises(InvalidInput):
        await service.change(tx, world.actors["admin"], "000000", [gone])
    await service.change(tx, world.actors["province"], "440000", [off])
    by_region = {
        region: {one.name: one.threshold for one in await service.in_force(tx, region)}[SupervisionRule.OVERDUE]
        for region in ("000000", "440000", "440305", "110000")
    }
    assert by_region == {"000000": 3, "440000": None, "440305": None, "110000": 3}
