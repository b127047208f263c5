"""Deadlines on PostgreSQL: what starts, stops and ends them, what moves them, and what a new calendar does to them."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import asyncpg
import pytest

from infra.db import Transaction
from market.calendars import queries as calendar_rows
from market.calendars import service as calendars
from market.calendars.model import ZONE, Hours, Period
from market.calendars.service import Deadlines
from market.deadlines import queries, service
from market.deadlines.model import DeadlineState, LimitKind
from market.errors import InvalidTransition
from market.matches import queries as match_queries
from market.matches import ranking
from market.matches import service as matches
from market.matches.model import Match, OneTimeNotice
from market.needs import queries as need_queries
from market.needs import service as needs
from market.needs.model import Need, NeedState, Submission
from market.rules import service as rules
from market.rules.model import RuleChange, RuleName
from tests.factories import AID, CONSULTING, PATENT, World

pytestmark = pytest.mark.anyio

S, K = DeadlineState, LimitKind
FORGET = "UPDATE deadlines SET state = 'cancelled', ended_at = now(), left_days = NULL WHERE ended_at IS NULL"
SOURCE = ranking.CatalogueSource()
WORDS = {PATENT: "想申请专利，请辅导", AID: "产品被人仿冒，想申请维权援助", CONSULTING: "想咨询知识产权政策"}


@pytest.fixture
async def deadlines(tx: Transaction) -> Deadlines:
    """And none of other tests."""
    await tx.execute(FORGET)
    return await calendars.deadlines(tx)


@pytest.fixture
async def need(tx: Transaction, world: World, deadlines: Deadlines) -> Need:
    """A need for a patent, proposed."""
    return await proposed(tx, world, deadlines, PATENT)


async def proposed(tx: Transaction, world: World, deadlines: Deadlines, item: str) -> Need:
    submission = Submission(body=WORDS[item], item_codes=(item,))
    need = await needs.submit(tx, world.actors["enterprise"], submission, deadlines)
    await rank(tx, need.id)
    return await again(tx, need.id)


async def rank(tx: Transaction, need_id: int) -> None:
    job = await ranking.read(tx, SOURCE, need_id)
    assert job is not None
    assert await ranking.store(tx, job, ranking.compute(job, top=20, gap=0.0))


async def again(tx: Transaction, need_id: int) -> Need:
    need = await need_queries.find_for_job(tx, need_id)
    assert need is not None
    return need


async def match_of(tx: Transaction, need_id: int) -> Match:
    match = await match_queries.latest(tx, need_id)
    assert match is not None
    return match


async def approved(tx: Transaction, world: World, deadlines: Deadlines, need: Need) -> Match:
    await matches.approve(tx, world.actors["coordinator"], need.id, (await match_of(tx, need.id)).id, deadlines)
    return await match_of(tx, need.id)


def server(world: World, match: Match) -> Any:
    return next(a for a in world.actors.values() if a.institution_id == match.institution_id)


async def live(tx: Transaction, need_id: int) -> dict[LimitKind, DeadlineState]:
    return {one.kind: one.state for one in await queries.of_need(tx, need_id)}


async def due(tx: Transaction, need_id: int, kind: LimitKind) -> datetime:
    return next(one.due_at for one in await queries.of_need(tx, need_id) if one.kind is kind)


async def told(tx: Transaction, need_id: int) -> list[tuple[str, str]]:
    """What clocks have told of the need: limit and action, in order."""
    return [
        (event.data["limit"], event.action)
        for event in await need_queries.events(tx, need_id)
        if event.machine == "deadline"
    ]


async def pass_time(tx: Transaction, need_id: int, kind: LimitKind, *, days: int) -> None:
    """Everything about this clock was so many days earlier."""
    ahead = timedelta(days=days)
    await tx.execute(
        "UPDATE deadlines SET started_at = started_at - $3::interval, due_at = due_at - $3::interval,"
        " remind_at = remind_at - $3::interval, node_at = node_at - $3::interval, above_at = above_at - $3::interval"
        " WHERE need_id = $1 AND kind = $2 AND ended_at IS NULL",
        need_id,
        kind,
        ahead,
    )


async def edition(tx: Transaction, region: str, day: date, *, working: bool) -> Deadlines:
    """A calendar in which the region works, or does not, on that day."""
    await tx.execute(
        "INSERT INTO calendar_days (region_code, day, working, name) VALUES ($1, $2, $3, '测试')"
        " ON CONFLICT (region_code, day) DO UPDATE SET working = excluded.working",
        region,
        day,
        working,
    )
    return await calendars.deadlines(tx)


def local_day(moment: datetime) -> date:
    return moment.astimezone(ZONE).date()


# the way of a need ---------------------------------------------------------------------------------------------------


async def test_each_stage_has_its_clock(tx: Transaction, world: World, need: Need, deadlines: Deadlines) -> None:
    calendar, now = deadlines.calendar(need.region_code), datetime.now(UTC)
    assert await live(tx, need.id) == {K.FIRST_CONTACT: S.RUNNING, K.MATCH: S.RUNNING}
    assert await due(tx, need.id, K.FIRST_CONTACT) == calendar.due_at(now, 1)[0]
    assert await due(tx, need.id, K.MATCH) == need.due_at == calendar.due_at(now, 3)[0]

    match = await approved(tx, world, deadlines, need)
    assert await live(tx, need.id) == {K.ACCEPT: S.RUNNING}
    assert match.due_at == await due(tx, need.id, K.ACCEPT) == calendar.due_at(now, 2)[0]

    at_work, enterprise = server(world, match), world.actors["enterprise"]
    await matches.accept(tx, at_work, match.id, deadlines)
    promised = calendar.due_at(now, match.promised_days or 0)[0]
    assert await live(tx, need.id) == {K.DELIVER: S.RUNNING}
    assert (await match_of(tx, need.id)).due_at == promised

    await matches.deliver(tx, at_work, match.id, "已办好", deadlines)
    assert await live(tx, need.id) == {K.DELIVER: S.PAUSED}
    await matches.rework(tx, enterprise, need.id, "还差一点", deadlines)
    assert await live(tx, need.id) == {K.DELIVER: S.RUNNING}
    assert (await match_of(tx, need.id)).due_at == promised, "what was left, from today on"
    await matches.deliver(tx, at_work, match.id, "补好了", deadlines)
    await matches.confirm(tx, enterprise, need.id)
    assert await live(tx, need.id) == {}
    ended = await tx.fetch("SELECT kind, state FROM deadlines WHERE need_id = $1 ORDER BY id", need.id)
    assert [tuple(row) for row in ended] == [(kind, "done") for kind in ("first_contact", "match", "accept", "deliver")]


async def test_what_nobody_waits_for_is_cancelled(
    tx: Transaction, world: World, need: Need, deadlines: Deadlines
) -> None:
    await matches.withdraw(tx, world.actors["enterprise"], need.id, "不办了")
    assert await live(tx, need.id) == {}
    assert await tx.fetchval("SELECT bool_and(state = 'cancelled') FROM deadlines WHERE need_id = $1", need.id)


async def test_declined_the_node_has_its_days_again(
    tx: Transaction, world: World, need: Need, deadlines: Deadlines
) -> None:
    match = await approved(tx, world, deadlines, need)
    await pass_time(tx, need.id, K.ACCEPT, days=30)
    await matches.decline(tx, server(world, match), match.id, "人手不足", deadlines)
    assert await live(tx, need.id) == {K.MATCH: S.RUNNING}
    assert (await again(tx, need.id)).due_at == deadlines.calendar(need.region_code).due_at(datetime.now(UTC), 3)[0]


async def test_a_promise_never_outlasts_the_law(tx: Transaction, world: World, deadlines: Deadlines) -> None:
    """An item whose statutory limit is shorter than the offering's promise, and one in months."""
    need = await proposed(tx, world, deadlines, CONSULTING)
    match = await approved(tx, world, deadlines, need)
    assert match.promised_days == 1
    await tx.execute("ALTER TABLE service_item_versions DISABLE TRIGGER USER")
    law = "UPDATE service_item_versions SET statutory_limit = $2 WHERE item_code = $1"
    for statutory, period in (
        ({"value": 0, "unit": "instant"}, Period(days=0)),
        ({"value": 7, "unit": "working_day"}, Period(days=1)),
        ({"value": 1, "unit": "month"}, Period(days=1, months=1)),
    ):
        await tx.execute(law, CONSULTING, statutory)
        assert (await match_of(tx, need.id)).delivery == period
    await matches.accept(tx, server(world, match), match.id, deadlines)
    calendar = deadlines.calendar(need.region_code)
    assert await due(tx, need.id, K.DELIVER) == calendar.due_at(datetime.now(UTC), 1)[0]


async def test_law_and_promise_are_counted_side_by_side(tx: Transaction, world: World, deadlines: Deadlines) -> None:
    """Where the law allows longer than was promised, its limit has a clock of its own, which stops with the other."""
    need = await proposed(tx, world, deadlines, CONSULTING)
    match = await approved(tx, world, deadlines, need)
    await tx.execute("ALTER TABLE service_item_versions DISABLE TRIGGER USER")
    await tx.execute(
        "UPDATE service_item_versions SET statutory_limit = $2 WHERE item_code = $1",
        CONSULTING,
        {"value": 7, "unit": "working_day"},
    )
    at_work, now = server(world, match), datetime.now(UTC)
    await matches.accept(tx, at_work, match.id, deadlines)
    calendar = deadlines.calendar(need.region_code)
    shown = {one.kind: one.due_at for one in await needs.clocks(tx, at_work, need)}
    assert shown == {K.DELIVER: calendar.due_at(now, 1)[0], K.DELIVER_STATUTORY: calendar.due_at(now, 7)[0]}
    assert (await match_of(tx, need.id)).due_at == shown[K.DELIVER], "lists show what was promised"
    await pass_time(tx, need.id, K.DELIVER, days=30)
    while (await service.move(tx, 100)).moved:
        pass
    assert (await live(tx, need.id))[K.DELIVER] is S.ESCALATED_ABOVE
    assert (await live(tx, need.id))[K.DELIVER_STATUTORY] in (S.RUNNING, S.REMINDED), "the law still allows days"
    await matches.deliver(tx, at_work, match.id, "已办好", deadlines)
    assert set((await live(tx, need.id)).values()) == {S.PAUSED}
    await matches.confirm(tx, world.actors["enterprise"], need.id)
    assert await live(tx, need.id) == {}


# pauses --------------------------------------------------------------------------------------------------------------


async def test_the_clock_stops_while_the_enterprise_owes_an_answer(
    tx: Transaction, world: World, need: Need, deadlines: Deadlines
) -> None:
    promised = need.due_at
    notice = OneTimeNotice(missing=("请写明产品名称",))
    await matches.give_notice(tx, world.actors["coordinator"], need.id, notice, deadlines)
    (clock,) = await queries.of_need(tx, need.id)
    assert (clock.kind, clock.state, clock.left_days) == (K.MATCH, S.PAUSED, 3)
    await pass_time(tx, need.id, K.MATCH, days=60)
    assert (await service.move(tx, 100)).moved == 0, "a clock that stands strikes no hour"

    enterprise = world.actors["enterprise"]
    await needs.resubmit(tx, enterprise, need.id, Submission(body="想申请专利，产品是隔膜"), deadlines)
    assert await live(tx, need.id) == {K.MATCH: S.RUNNING}
    assert (await again(tx, need.id)).due_at == promised, "three days were left, and three are"
    assert await told(tx, need.id) == [("match", "pause"), ("match", "resume")]


async def test_who_is_late_has_a_day_after_the_pause(
    tx: Transaction, world: World, need: Need, deadlines: Deadlines
) -> None:
    await pass_time(tx, need.id, K.MATCH, days=30)
    await matches.give_notice(tx, world.actors["coordinator"], need.id, OneTimeNotice(missing=("名称",)), deadlines)
    (clock,) = await queries.of_need(tx, need.id)
    assert clock.left_days == 1


# time ----------------------------------------------------------------------------------------------------------------


async def test_steps_in_their_order_to_those_concerned(
    tx: Transaction, world: World, need: Need, deadlines: Deadlines
) -> None:
    node, above = world.actors["coordinator"], world.actors["province"]
    assert (await service.move(tx, 100)).moved == 0
    await pass_time(tx, need.id, K.MATCH, days=60)
    moved = [(await service.move(tx, 100)).moved for _ in range(5)]
    assert moved == [1, 1, 1, 1, 0], "a step at a time, though all were due"
    steps = [e for e in await need_queries.events(tx, need.id) if e.machine == "deadline"]
    assert [(e.action, e.data["to"]) for e in steps] == [
        ("remind", [{"node_id": node.node_id}]),
        ("expire", [{"node_id": node.node_id}]),
        ("escalate", [{"node_id": node.node_id}]),
        ("escalate_above", [{"node_id": above.node_id}]),
    ]
    planned = [e.data["planned_at"] for e in steps]
    assert planned == sorted(planned)


async def test_an_owner_is_called_first(tx: Transaction, world: World, need: Need, deadlines: Deadlines) -> None:
    match = await approved(tx, world, deadlines, need)
    await pass_time(tx, need.id, K.ACCEPT, days=60)
    for _ in range(2):
        await service.move(tx, 100)
    steps = [e for e in await need_queries.events(tx, need.id) if e.machine == "deadline"]
    institution = {"institution_id": match.institution_id}
    assert [(e.action, e.data["to"]) for e in steps] == [
        ("remind", [institution]),
        ("expire", [institution, {"account_id": world.actors["coordinator"].id}]),
    ]


async def test_a_silent_institution_loses_the_match(
    tx: Transaction, world: World, need: Need, deadlines: Deadlines
) -> None:
    match = await approved(tx, world, deadlines, need)
    record = "SELECT declined, load FROM offerings WHERE id = $1"
    declined, load = await tx.fetchrow(record, match.offering_id) or (0, 0)
    await pass_time(tx, need.id, K.ACCEPT, days=60)
    await service.move(tx, 100)
    assert (await service.move(tx, 100)).asked == 1
    asked = await tx.fetchrow("SELECT payload FROM outbox WHERE topic = $1 ORDER BY id DESC LIMIT 1", service.LAPSE)
    assert asked is not None
    assert asked["payload"] == {"match_id": match.id}

    assert await matches.lapse(tx, match.id, deadlines)
    assert not await matches.lapse(tx, match.id, deadlines), "once"
    assert tuple(await tx.fetchrow(record, match.offering_id) or ()) == (declined + 1, load - 1)
    assert await live(tx, need.id) == {K.MATCH: S.RUNNING}
    moved = await again(tx, need.id)
    assert moved.state is NeedState.SUBMITTED
    assert moved.owner_id == world.actors["coordinator"].id
    await rank(tx, need.id)
    assert (await match_of(tx, need.id)).institution_id != match.institution_id
    with pytest.raises(InvalidTransition, match="逾期未受理"):
        await matches.accept(tx, server(world, match), match.id, deadlines)


async def test_who_speaks_before_the_job_keeps_the_match(
    tx: Transaction, world: World, need: Need, deadlines: Deadlines
) -> None:
    match = await approved(tx, world, deadlines, need)
    await pass_time(tx, need.id, K.ACCEPT, days=60)
    await service.move(tx, 100)
    await service.move(tx, 100)
    await matches.accept(tx, server(world, match), match.id, deadlines)
    assert not await matches.lapse(tx, match.id, deadlines)
    assert await live(tx, need.id) == {K.DELIVER: S.RUNNING}


async def test_a_request_to_decline_waits_for_the_coordinator(
    tx: Transaction, world: World, deadlines: Deadlines
) -> None:
    need = await proposed(tx, world, deadlines, AID)
    match = await approved(tx, world, deadlines, need)
    await matches.decline(tx, server(world, match), match.id, "有利害关系", deadlines)
    await pass_time(tx, need.id, K.ACCEPT, days=60)
    await service.move(tx, 100)
    await service.move(tx, 100)
    assert not await matches.lapse(tx, match.id, deadlines), "it has spoken; the clock calls the coordinator"
    coordinator = world.actors["coordinator"]
    await matches.answer_decline(tx, coordinator, match.id, deadlines, grant=False, note="请按清单办理")
    assert await live(tx, need.id) == {K.ACCEPT: S.RUNNING}
    assert await due(tx, need.id, K.ACCEPT) > datetime.now(UTC), "a new limit, for it could not know the answer"


# calendars -----------------------------------------------------------------------------------------------------------


async def test_days_of_a_region_are_those_of_the_nearest(tx: Transaction, world: World, need: Need) -> None:
    name = RuleName.MATCH
    await rules.change(tx, world.actors["admin"], "440000", [RuleChange(name, 5)])
    await rules.change(tx, world.actors["coordinator"], "440300", [RuleChange(name, 4)])
    found = await calendars.deadlines(tx)
    assert [found.days(name, region) for region in ("440305", "440106", "110000")] == [4, 5, 3]
    assert (await again(tx, need.id)).due_at == need.due_at, "what is promised stays"


async def test_local_holidays_and_hours_go_down_the_tree(tx: Transaction) -> None:
    day = date(2026, 4, 20)  # a Monday
    found = await edition(tx, "450000", day, working=False)
    assert not found.calendar("450102").is_working(day)
    assert found.calendar("440305").is_working(day)
    found = await edition(tx, "450100", day, working=True)
    assert found.calendar("450102").is_working(day), "the nearer notice holds"
    assert not found.calendar("450200").is_working(day)
    await calendar_rows.set_hours(tx, "450000", Hours(opens=time(10), closes=time(17)))
    found = await calendars.deadlines(tx)
    late = datetime(2026, 4, 21, 17, 30, tzinfo=ZONE)
    assert found.calendar("450102").due_at(late, 1)[0] == datetime(2026, 4, 23, 17, tzinfo=ZONE)
    assert found.calendar("440305").due_at(late, 1)[0] == datetime(2026, 4, 22, 18, tzinfo=ZONE)


async def test_a_new_holiday_moves_what_is_open(tx: Transaction, need: Need, deadlines: Deadlines) -> None:
    before = need.due_at
    found = await edition(tx, "440300", local_day(before), working=False)
    assert (await service.move(tx, 100)).moved == 0
    done = await service.recount(tx, found, 100)
    assert (done.counted, done.moved) == (2, 1), "the first contact is due earlier than that day"
    assert (await again(tx, need.id)).due_at == found.calendar(need.region_code).due_at(datetime.now(UTC), 3)[0]
    assert (await again(tx, need.id)).due_at > before
    assert await told(tx, need.id) == [("match", "recount")]
    assert (await service.recount(tx, found, 100)).counted == 0


async def test_nobody_loses_a_day_that_was_promised(tx: Transaction, need: Need, deadlines: Deadlines) -> None:
    """A calendar import that would move due dates backwards does not."""
    before = need.due_at
    days = [local_day(before) - timedelta(days=n) for n in range(1, 8)]
    for day in days:
        found = await edition(tx, "000000", day, working=True)
    assert found.calendar(need.region_code).due_at(datetime.now(UTC), 3)[0] <= before
    done = await service.recount(tx, found, 100)
    assert done.moved == 0
    assert (await again(tx, need.id)).due_at == before
    assert await told(tx, need.id) == []


async def test_hours_that_open_after_the_moment_told_leave_no_reminder(
    tx: Transaction, world: World, need: Need, deadlines: Deadlines
) -> None:
    """Who was told the end of a morning keeps it; that the region works in the evening from now on stops no clock."""
    await rules.change(tx, world.actors["admin"], "440300", [RuleChange(RuleName.REMIND_BEFORE, 0)])
    day = local_day(need.due_at)
    told = datetime.combine(day, time(12), ZONE)
    await tx.execute(
        "UPDATE deadlines SET started_at = $2, days = 0, due_at = $3, remind_at = NULL, node_at = $3, above_at = $3"
        " WHERE need_id = $1",
        need.id,
        datetime.combine(day, time(8), ZONE) - timedelta(days=7),
        told,
    )
    await calendar_rows.set_hours(tx, "440300", Hours(time(20), time(22)))
    assert (await service.recount(tx, await calendars.deadlines(tx), 100)).counted == 2
    clocks = await tx.fetch("SELECT due_at, remind_at FROM deadlines WHERE need_id = $1", need.id)
    assert [tuple(row) for row in clocks] == [(told, None)] * 2


async def test_past_the_horizon_due_days_are_provisional_until_they_are_announced(
    tx: Transaction, world: World, need: Need
) -> None:
    await tx.execute("DELETE FROM calendar_years")
    found = await calendars.deadlines(tx)
    await service.recount(tx, found, 100)
    assert (await again(tx, need.id)).due_provisional
    year = local_day(need.due_at).year
    await tx.execute("INSERT INTO calendar_years (year, source) VALUES ($1, 'test'), ($1 + 1, 'test')", year)
    await service.recount(tx, await calendars.deadlines(tx), 100)
    assert not (await again(tx, need.id)).due_provisional


async def test_what_waits_to_be_counted_does_not_move(tx: Transaction, need: Need, deadlines: Deadlines) -> None:
    await pass_time(tx, need.id, K.MATCH, days=60)
    found = await edition(tx, "440300", local_day(need.due_at), working=False)
    assert (await service.move(tx, 100)).moved == 0
    await service.recount(tx, found, 100)
    assert (await service.move(tx, 100)).moved >= 1


async def test_what_is_late_stays_late(tx: Transaction, need: Need, deadlines: Deadlines) -> None:
    await pass_time(tx, need.id, K.MATCH, days=60)
    for _ in range(2):
        await service.move(tx, 100)
    assert (await live(tx, need.id))[K.MATCH] is S.OVERDUE
    found = await edition(tx, "440300", datetime.now(ZONE).date(), working=False)
    await service.recount(tx, found, 100)
    assert (await live(tx, need.id))[K.MATCH] is S.OVERDUE


# rules of the database -----------------------------------------------------------------------------------------------


async def test_one_clock_of_a_kind(tx: Transaction, need: Need, deadlines: Deadlines) -> None:
    savepoint = tx.transaction()
    await savepoint.start()
    with pytest.raises(asyncpg.UniqueViolationError, match="deadlines_one_live"):
        await service.start(tx, need.id, service.by_rule(deadlines, K.MATCH, need.region_code))
    await savepoint.rollback()


async def test_open_work_without_clocks_is_adopted(tx: Transaction, world: World, deadlines: Deadlines) -> None:
    kept = [await proposed(tx, world, deadlines, PATENT) for _ in range(3)]
    waiting, returned, given = kept
    await matches.give_notice(tx, world.actors["coordinator"], returned.id, OneTimeNotice(missing=("名称",)), deadlines)
    await approved(tx, world, deadlines, given)
    ids = [need.id for need in kept]
    clocks = [await live(tx, need_id) for need_id in ids]
    await tx.execute(FORGET)
    await queries.adopt(tx)
    await queries.adopt(tx)
    assert [await live(tx, need_id) for need_id in ids] == clocks
    assert (await service.recount(tx, deadlines, 1000)).moved == 0, "what was promised is what was adopted"
    assert waiting.due_at == await due(tx, waiting.id, K.MATCH)
