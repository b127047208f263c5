"""Two at once, each on a connection of its own that commits: whoever is first, a rule says what becomes of the other.

The first has done its part and not committed yet when the second begins; so the second waits, and finds what the
first has left.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from infra.db import Database, Transaction
from infra.settings import Settings
from market.calendars import service as calendars
from market.calendars.model import ZONE
from market.calendars.service import Deadlines
from market.catalogue import service as items
from market.deadlines import announcement
from market.deadlines import queries as limits
from market.deadlines.model import LimitKind
from market.errors import AlreadyRated, Conflict, DomainError, EditedMeanwhile, Forbidden, InvalidTransition, NotFound
from market.lists import service as lists
from market.lists.model import Move, NewRevision, Revision, RevisionAction, RevisionState, Save
from market.matches import queries as match_queries
from market.matches import ranking
from market.matches import service as matches
from market.matches.model import MatchState
from market.needs import ownership
from market.needs import queries as need_queries
from market.needs import service as needs
from market.needs.model import NeedState, Submission
from market.ratings import queries as rating_rows
from market.ratings import rectification
from market.ratings import service as ratings
from market.ratings.model import Finding, RatingForm, RectificationState, Revisit
from market.ratings.scale import RatingLevel
from tests.conftest import Clone, open_database
from tests.factories import AID, PATENT, World, serve
from workers.deadlines import count_anew

pytestmark = [pytest.mark.anyio, pytest.mark.commits]

Act = Callable[[Transaction], Awaitable[Any]]
BAD = RatingForm(level=RatingLevel.DISSATISFIED, remark="晚了一周")
WAITS = 0.15
"""Seconds after which the second is asked whether it waits."""


@pytest.fixture
async def own(clone: Clone) -> AsyncIterator[Database]:
    """A database that the test changes for good."""
    database = open_database(await clone(), size=4)
    yield database
    await database.close()


async def due(tx: Transaction) -> Deadlines:
    return await calendars.deadlines(tx)


async def attempt(database: Database, act: Act) -> DomainError | None:
    """What stood in the way; None: nothing."""
    try:
        async with database.transaction() as tx:
            await act(tx)
    except DomainError as error:
        return error
    return None


async def collide(database: Database, first: Act, second: Act) -> DomainError | None:
    """What stood in the way of the second, which began while the first had not committed."""
    async with database.transaction() as tx:
        await first(tx)
        late = asyncio.create_task(attempt(database, second))
        await asyncio.sleep(WAITS)
        assert not late.done(), "the second waits for the first"
    return await late


async def proposed(database: Database, world: World, item: str = PATENT) -> int:
    """A need with a proposal."""
    async with database.transaction() as tx:
        submission = Submission(body="想申请专利，请辅导", item_codes=(item,))
        need = await needs.submit(tx, world.actors["enterprise"], submission, await due(tx))
        job = await ranking.read(tx, ranking.CatalogueSource(), need.id)
        assert job is not None
    async with database.transaction() as tx:
        assert await ranking.store(tx, job, ranking.compute(job, top=20, gap=0.0))
    return need.id


async def match_of(database: Database, need_id: int) -> Any:
    async with database.reading() as tx:
        return await match_queries.latest(tx, need_id)


async def match_state(database: Database, match_id: int) -> MatchState:
    async with database.reading() as tx:
        match = await match_queries.find(tx, match_id)
    assert match is not None
    return match.state


async def state_of(database: Database, need_id: int) -> NeedState:
    async with database.reading() as tx:
        need = await need_queries.find_for_job(tx, need_id)
    assert need is not None
    return need.state


async def assigned(database: Database, world: World) -> tuple[int, int, Any]:
    """A need that waits to be taken, its match, and the account that may take it."""
    need_id = await proposed(database, world)
    match = await match_of(database, need_id)
    async with database.transaction() as tx:
        await matches.approve(tx, world.actors["coordinator"], need_id, match.id, await due(tx))
    return need_id, match.id, server(world, match.institution_id)


def server(world: World, institution_id: int) -> Any:
    return next(one for one in world.actors.values() if one.institution_id == institution_id)


# ratings -------------------------------------------------------------------------------------------------------------


async def test_rating_twice_at_once(db: Database, settings: Settings, world: World) -> None:
    need_id = await serve(db, settings, world)

    def rate(level: RatingLevel) -> Act:
        async def act(tx: Transaction) -> None:
            form = RatingForm(level=level)
            await ratings.rate(tx, world.actors["enterprise"], need_id, form, await due(tx), None)

        return act

    told = await collide(db, rate(RatingLevel.SATISFIED), rate(RatingLevel.VERY_DISSATISFIED))
    assert isinstance(told, AlreadyRated)
    async with db.reading() as tx:
        found = await rating_rows.of_need(tx, need_id)
    assert found is not None
    assert (found.level, found.rectification) == (RatingLevel.SATISFIED, None)


async def test_rating_anothers_service_while_its_own_enterprise_rates(
    db: Database, settings: Settings, world: World
) -> None:
    need_id = await serve(db, settings, world)

    def rate(login: str) -> Act:
        async def act(tx: Transaction) -> None:
            await ratings.rate(tx, world.actors[login], need_id, BAD, await due(tx), None)

        return act

    assert isinstance(await collide(db, rate("enterprise"), rate("rival")), NotFound)
    async with db.reading() as tx:
        rated_by = "SELECT rated_by FROM ratings r JOIN matches m ON m.id = r.match_id WHERE m.need_id = $1"
        assert await tx.fetchval(rated_by, need_id) == world.actors["enterprise"].id


@pytest.mark.parametrize("closes_first", [True, False])
async def test_an_answer_to_the_revisit_while_the_rectification_closes(
    db: Database, settings: Settings, world: World, *, closes_first: bool
) -> None:
    """The revisit's days have passed: who comes first counts, and the other is told how it stands."""
    need_id = await serve(db, settings, world)
    party, rated, node = (world.actors[name] for name in ("enterprise", "institution", "coordinator"))
    async with db.transaction() as tx:
        clocks = await due(tx)
        rating_id = (await ratings.rate(tx, party, need_id, BAD, clocks, None)).id
        await rectification.verify(tx, node, rating_id, Finding(founded=True, note="属实"), clocks)
        await rectification.rectify(tx, rated, rating_id, "改了", clocks)
        await rectification.answer(tx, rated, rating_id, "已经改了", clocks)
        await tx.execute("UPDATE rectifications SET due_at = now() - interval '1 day' WHERE rating_id = $1", rating_id)

    async def close(tx: Transaction) -> None:
        await rectification.close(tx, node, rating_id, "没有等到答复", await due(tx))

    async def dissatisfied(tx: Transaction) -> None:
        await rectification.revisit(tx, party, rating_id, Revisit(satisfied=False, note="还是慢"), await due(tx))

    first, second = (close, dissatisfied) if closes_first else (dissatisfied, close)
    assert isinstance(await collide(db, first, second), InvalidTransition)
    async with db.reading() as tx:
        found = await rating_rows.of_need(tx, need_id)
    assert found is not None
    expected = (RectificationState.CLOSED, None) if closes_first else (RectificationState.RECTIFYING, False)
    assert (found.rectification, found.satisfied) == expected


async def test_a_later_remark_while_the_rectification_closes(db: Database, settings: Settings, world: World) -> None:
    """Neither stands in the way of the other: what one wants to add is added."""
    need_id = await serve(db, settings, world)
    party, node = world.actors["enterprise"], world.actors["coordinator"]
    async with db.transaction() as tx:
        rating_id = (await ratings.rate(tx, party, need_id, BAD, await due(tx), None)).id

    async def dismiss(tx: Transaction) -> None:
        await rectification.verify(tx, node, rating_id, Finding(founded=False, note="误评"), await due(tx))

    async def add(tx: Transaction) -> None:
        await ratings.add_remark(tx, party, need_id, "补充一句", await due(tx))

    assert await collide(db, dismiss, add) is None
    async with db.reading() as tx:
        found = await rating_rows.of_need(tx, need_id)
    assert found is not None
    assert (found.rectification, found.later_remark) == (RectificationState.CLOSED, "补充一句")


# matches -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accepts_first", [True, False])
async def test_accepting_and_declining(db: Database, world: World, *, accepts_first: bool) -> None:
    need_id, match_id, at_work = await assigned(db, world)

    async def accept(tx: Transaction) -> None:
        await matches.accept(tx, at_work, match_id, await due(tx))

    async def decline(tx: Transaction) -> None:
        await matches.decline(tx, at_work, match_id, "人手不足", await due(tx))

    first, second = (accept, decline) if accepts_first else (decline, accept)
    told = await collide(db, first, second)
    assert isinstance(told, InvalidTransition)
    assert await state_of(db, need_id) is (NeedState.SERVING if accepts_first else NeedState.SUBMITTED)
    assert await match_state(db, match_id) is (MatchState.ACCEPTED if accepts_first else MatchState.DECLINED)


@pytest.mark.parametrize("delivers_first", [True, False])
async def test_delivering_and_assigning_to_another(db: Database, world: World, *, delivers_first: bool) -> None:
    need_id, match_id, at_work = await assigned(db, world)
    offering_id = (await match_of(db, need_id)).offering_id
    async with db.transaction() as tx:
        await matches.accept(tx, at_work, match_id, await due(tx))
        run = await match_queries.latest_run(tx, need_id)
        assert run is not None
        other = next(
            one.offering_id
            for one in await match_queries.candidates(tx, run.id)
            if one.offering_id != offering_id and one.load < one.capacity
        )

    async def deliver(tx: Transaction) -> None:
        await matches.deliver(tx, at_work, match_id, "已办好", await due(tx))

    async def override(tx: Transaction) -> None:
        await matches.override(tx, world.actors["coordinator"], need_id, other, "企业要求就近", await due(tx))

    first, second = (deliver, override) if delivers_first else (override, deliver)
    assert isinstance(await collide(db, first, second), InvalidTransition)
    match = await match_of(db, need_id)
    assert (match.id == match_id) is delivers_first
    assert match.state is (MatchState.DELIVERED if delivers_first else MatchState.APPROVED)
    assert (match.result is not None) is delivers_first, "what came too late is no result"


@pytest.mark.parametrize("lapses_first", [True, False])
async def test_taking_a_match_while_it_lapses(db: Database, world: World, *, lapses_first: bool) -> None:
    need_id, match_id, at_work = await assigned(db, world)
    taken_back = []

    async def accept(tx: Transaction) -> None:
        await matches.accept(tx, at_work, match_id, await due(tx))

    async def lapse(tx: Transaction) -> None:
        taken_back.append(await matches.lapse(tx, match_id, await due(tx)))

    first, second = (lapse, accept) if lapses_first else (accept, lapse)
    told = await collide(db, first, second)
    assert isinstance(told, InvalidTransition) if lapses_first else told is None
    assert taken_back == [lapses_first]
    assert await match_state(db, match_id) is (MatchState.LAPSED if lapses_first else MatchState.ACCEPTED)
    async with db.reading() as tx:
        live = {one.kind for one in await limits.of_need(tx, need_id)}
    assert live == ({LimitKind.MATCH} if lapses_first else {LimitKind.DELIVER})


# whose need it is -----------------------------------------------------------------------------------------------------


async def test_two_coordinators_take_a_need_first(db: Database, world: World) -> None:
    need_id = await proposed(db, world)

    def take(login: str) -> Act:
        return lambda tx: ownership.take(tx, world.actors[login], need_id)

    told = await collide(db, take("coordinator"), take("coordinator2"))
    assert isinstance(told, Conflict)
    assert "首问负责" in told.detail
    async with db.reading() as tx:
        need = await need_queries.find_for_job(tx, need_id)
        takes = "SELECT count(*) FROM events WHERE need_id = $1 AND action = 'take'"
        assert await tx.fetchval(takes, need_id) == 1
    assert need is not None
    assert need.owner_id == world.actors["coordinator"].id


@pytest.mark.parametrize("escalates_first", [True, False])
async def test_handing_over_and_escalating(db: Database, world: World, *, escalates_first: bool) -> None:
    need_id = await proposed(db, world)
    owner, colleague = world.actors["coordinator"], world.actors["coordinator2"]
    async with db.transaction() as tx:
        await ownership.take(tx, owner, need_id)
        await ownership.offer(tx, owner, need_id, colleague.id, "我明天休假")

    async def take_on(tx: Transaction) -> None:
        await ownership.reply(tx, colleague, need_id, ownership.Reply(accept=True))

    async def escalate(tx: Transaction) -> None:
        await matches.escalate(tx, owner, need_id, "本市没有合适的机构", await due(tx))

    first, second = (escalate, take_on) if escalates_first else (take_on, escalate)
    told = await collide(db, first, second)
    assert isinstance(told, (Forbidden, Conflict)), told
    async with db.reading() as tx:
        need = await need_queries.find_for_job(tx, need_id)
    assert need is not None
    assert need.node_id == world.actors["province" if escalates_first else "coordinator"].node_id
    assert need.owner_id == (None if escalates_first else colleague.id)
    assert need.offered_to is None


# calendars ------------------------------------------------------------------------------------------------------------


def notice(day: Any, what: str) -> bytes:
    return f"地区,日期,上班或放假,名称\n440300,{day},{what},测试\n".encode()


async def test_a_calendar_never_moves_what_was_told_backwards(own: Database) -> None:
    """Closed for a day, then not closed after all: who was told the later day keeps it."""
    async with own.transaction() as tx:
        world = await World.read(tx)
        need = await needs.submit(tx, world.actors["enterprise"], Submission(body="想咨询商标"), await due(tx))
    day = need.due_at.astimezone(ZONE).date()

    async def told() -> datetime:
        async with own.reading() as tx:
            return {one.kind: one.due_at for one in await limits.of_need(tx, need.id)}[LimitKind.MATCH]

    async with own.transaction() as tx:
        await announcement.announce(tx, world.actors["coordinator"], notice(day, "放假"), "a.csv")
        assert await count_anew(own) == (0, 0), "what is not announced yet moves nothing"
    await asyncio.gather(*(count_anew(own) for _ in range(2)))
    later = await told()
    assert later > need.due_at
    async with own.transaction() as tx:
        back = await announcement.announce(tx, world.actors["admin"], notice(day, "上班"), "b.csv")
    assert (back.later, back.kept >= 1) == (0, True), "the preview says who keeps the day"
    await asyncio.gather(*(count_anew(own) for _ in range(2)))
    assert await told() == later
    async with own.reading() as tx:
        recounts = "SELECT count(*) FROM events WHERE action = 'recount' AND data ->> 'limit' = 'match'"
        assert await tx.fetchval(recounts) == 1
        assert (await needs.find(tx, world.actors["enterprise"], need.id)).due_at == later


async def test_a_new_calendar_while_the_need_is_answered(own: Database) -> None:
    """A need that somebody holds is counted after: no clock that has ended comes back, none is lost."""
    async with own.transaction() as tx:
        world = await World.read(tx)
    need_id = await proposed(own, world)
    match = await match_of(own, need_id)
    async with own.transaction() as tx:
        clocks = await due(tx)
        day = clocks.calendar("440300").due_at(datetime.now(UTC), 2)[0].astimezone(ZONE).date()
        await announcement.announce(tx, world.actors["coordinator"], notice(day, "放假"), "a.csv")
    async with own.transaction() as tx:
        await matches.approve(tx, world.actors["coordinator"], need_id, match.id, clocks)
        assert await count_anew(own) == (0, 0), "passed over while it is held"
    assert await count_anew(own) == (1, 1), "the new clock, which was started on the calendar of before"
    async with own.reading() as tx:
        (live,) = await limits.of_need(tx, need_id)
    assert live.kind is LimitKind.ACCEPT
    assert live.due_at.astimezone(ZONE).date() > day


# lists ----------------------------------------------------------------------------------------------------------------


async def waiting(database: Database, world: World, *, days: int) -> Revision:
    """A revision of an item that admin wrote and that waits for review."""
    admin = world.actors["admin"]
    async with database.transaction() as tx:
        form = lists.form_of(await items.find(tx, AID))
        guide = structs.replace(form.guide, audience=("企业",), channels=("线上",), process=("提交",), result=("意见",))
        day = lists.today() + timedelta(days=days)
        changed = structs.replace(form, guide=guide, fee="新收费", effective_from=day)
        revision_id = await lists.draft(tx, admin, NewRevision(item_code=AID, **structs.asdict(changed)))
        await lists.move(tx, admin, revision_id, Move(action=RevisionAction.SUBMIT, edit=1, note=""))
        return await lists.find(tx, admin, revision_id)


def move(world: World, login: str, revision: Revision, action: RevisionAction, edit: int = 1) -> Act:
    return lambda tx: lists.move(tx, world.actors[login], revision.id, Move(action=action, edit=edit, note=""))


async def test_publishing_a_version_that_is_edited_meanwhile(own: Database) -> None:
    """What is approved is what was read: an edit in between is told to the reviewer, and nothing is published."""
    async with own.transaction() as tx:
        world = await World.read(tx)
    revision = await waiting(own, world, days=0)

    async def rewrite(tx: Transaction) -> None:
        await move(world, "admin", revision, RevisionAction.TAKE_BACK)(tx)
        said = structs.replace(revision.form, fee="又改了")
        await lists.save(tx, world.actors["admin"], revision.id, Save(**structs.asdict(said), edit=1))
        await move(world, "admin", revision, RevisionAction.SUBMIT, 2)(tx)

    told = await collide(own, rewrite, move(world, "admin2", revision, RevisionAction.APPROVE))
    assert isinstance(told, EditedMeanwhile)
    async with own.reading() as tx:
        assert (await items.find(tx, AID)).version == 1


@pytest.mark.parametrize("publishes_first", [True, False])
async def test_taking_back_what_the_job_publishes(own: Database, *, publishes_first: bool) -> None:
    async with own.transaction() as tx:
        world = await World.read(tx)
    revision = await waiting(own, world, days=1)
    assert await attempt(own, move(world, "admin2", revision, RevisionAction.APPROVE)) is None

    async def publish(tx: Transaction) -> None:
        await lists.take_effect(tx, lists.today() + timedelta(days=1))

    back = move(world, "admin", revision, RevisionAction.TAKE_BACK)
    first, second = (publish, back) if publishes_first else (back, publish)
    told = await collide(own, first, second)
    assert isinstance(told, InvalidTransition) if publishes_first else told is None
    async with own.reading() as tx:
        found = await lists.find(tx, world.actors["admin"], revision.id)
        item = await items.find(tx, AID)
    assert found.state is (RevisionState.PUBLISHED if publishes_first else RevisionState.DRAFT)
    assert item.version == (2 if publishes_first else 1)
