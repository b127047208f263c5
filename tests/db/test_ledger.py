"""The ledger on PostgreSQL: figures against a second count, incremental against whole, closing, corrections, peers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from infra.db import Database, Transaction
from infra.settings import Settings
from market.accounts.model import Actor, Role
from market.calendars import service as calendars
from market.demo.service import load_demo
from market.errors import Conflict, Forbidden, NotFound
from market.ledger import counting, queries, recording, service
from market.ledger.figures import COUNTS, Figures, total
from market.ledger.model import LedgerRow, Sort, What, ordered
from market.ledger.periods import month_of, months_of, period
from market.ratings import service as ratings
from market.ratings.model import RatingForm, Ruling
from market.ratings.scale import RatingLevel
from tests.conftest import Clone, open_database
from tests.factories import AID, World, serve
from tests.ledger_oracle import Key, counted

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 26, 3, tzinfo=UTC)
ROWS = "SELECT * FROM ledger_rows WHERE NOT frozen"


async def stored(tx: Transaction) -> dict[Key, Figures]:
    """The rows that stand now, without those in which nothing is counted."""
    rows = {}
    for row in await tx.fetch(ROWS):
        names = (*COUNTS, "rated", "days", "times")
        values = {name: tuple(row[name]) if isinstance(row[name], list) else row[name] for name in names}
        rows[row["institution_id"], row["period"], row["item_code"]] = Figures(**values)
    return without_empty(rows)


def without_empty(rows: dict[Key, Figures]) -> dict[Key, Figures]:
    return {key: figures for key, figures in rows.items() if figures != Figures()}


@pytest.fixture(scope="module")
async def demo(clone: Clone) -> AsyncIterator[Database]:
    """The owner's connections to a database with the demo's year in it."""
    settings = await clone()
    database = open_database(settings)
    async with database.transaction() as tx:
        await tx.execute("UPDATE accounts SET login = 'real-' || login")
        assert await load_demo(tx, settings, now=NOW)
    await database.close()
    owner = open_database(settings, owner=True)
    yield owner
    await owner.close()


async def rolled_back(database: Database) -> AsyncIterator[Transaction]:
    connection = await database.connect()
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


@pytest.fixture
async def dtx(demo: Database) -> AsyncIterator[Transaction]:
    async for connection in rolled_back(demo):
        yield connection


# figures --------------------------------------------------------------------------------------------------------------


async def test_the_demos_year_is_counted_as_a_second_count_does(dtx: Transaction) -> None:
    deadlines = await calendars.deadlines(dtx)
    await recording.bring_up_to_date(dtx, deadlines, whole=True)
    found, expected = await stored(dtx), without_empty(await counted(dtx, deadlines))
    assert found == expected
    everything = [figures for (_, code, item), figures in found.items() if code.startswith("20") and not item]
    assert all(
        any(getattr(one, name) for one in everything) for name in ("offered", "declined", "delivered", "withheld")
    )
    assert any(one.ratings and one.rectifications and one.rectified for one in everything)
    assert any(one.on_time < one.delivered for one in everything)


async def test_random_histories_are_counted_alike_step_by_step_and_at_once(clone: Clone) -> None:
    """Events of all machines in random months, counted in random pieces, then anew: the same rows each time."""
    settings = await clone()
    owner, database = open_database(settings, owner=True), open_database(settings)
    async with owner.transaction() as tx:
        await tx.execute("SET LOCAL session_replication_role = replica")
        await history(tx, Random(7), matches=160)
    await owner.close()
    deadlines = None
    rng, piece = Random(11), 0
    async with database.transaction() as tx:
        deadlines = await calendars.deadlines(tx)
        ids = [row[0] for row in await tx.fetch("SELECT id FROM events ORDER BY id")]
        # The first run counts a third of it; later ones come upon the rest.
        await recording.count_anew(tx, deadlines, ids[len(ids) // 3])
    for _ in range(4):
        piece = rng.randrange(len(ids) // 3, len(ids))
        async with database.transaction() as tx:
            state = await counting.lock(tx)
            if ids[piece] > state.event_id:
                dirty = await counting.dirty(tx, state.event_id, ids[piece])
                await recording._count(tx, dirty, ids[piece], await recording._working_days(tx, deadlines))
                await counting.save(tx, ids[piece], deadlines.stamp, NOW)
                assert await stored(tx) == without_empty(await counted(tx, deadlines, ids[piece]))
    async with database.transaction() as tx:
        done = await recording.bring_up_to_date(tx, deadlines)
        assert done.cells is not None, "not counted anew"
        step_by_step = await stored(tx)
        assert step_by_step == without_empty(await counted(tx, deadlines))
        assert await recording.differences(tx, deadlines) == 0
        assert len(step_by_step) > 200
    await database.close()


class Lives:
    """Random but legal lives of matches over two years, straight into the tables; triggers and keys rest."""

    def __init__(self, rng: Random, allowed: dict[tuple[str, str], list[tuple[str, str]]]) -> None:
        self.rng, self.allowed = rng, allowed
        self.events: list[tuple[Any, ...]] = []
        self.at, self.match = NOW, 0

    def step(self, machine: str, before: str, action: str, after: str, **data: Any) -> None:
        self.events.append((self.at, self.match, machine, before, action, after, data))

    def wait(self, most: int) -> None:
        self.at += timedelta(hours=self.rng.randrange(1, most))

    def live(self, match: int) -> None:
        rng = self.rng
        self.match, state = match, "new"
        self.at = NOW - timedelta(days=rng.randrange(5, 700), minutes=rng.randrange(1440))
        while (moves := self.allowed.get(("match", state))) and rng.random() < 0.97:
            self.wait(200)
            action, after = rng.choice(moves)
            told = {"on_time": rng.random() < 0.6} if action == "deliver" and rng.random() < 0.8 else {}
            self.step("match", state, action, after, **told)
            if action == "accept" and rng.random() < 0.2:
                self.step(
                    "deadline",
                    "reminded",
                    "expire",
                    "overdue",
                    limit=rng.choice(("deliver", "deliver_statutory", "accept")),
                )
            state = after
        if state == "completed":
            self.rate()

    def rate(self) -> None:
        rng, state = self.rng, "new"
        self.wait(900)
        self.step("rating", "new", "rate", "published", level=rng.randint(1, 5))
        self.at += timedelta(days=rng.randrange(0, 80))
        self.step("rating", "published", "report", "reported")
        if rng.random() < 0.4:
            self.step("rating", "reported", "withhold", "withheld")
        while (moves := self.allowed.get(("rectification", state))) and rng.random() < 0.9:
            self.wait(200)
            action, after = rng.choice(moves)
            self.step("rectification", state, action, after)
            if rng.random() < 0.3:
                limit = rng.choice(("rectification_rectify", "rectification_answer", "rectification_verify"))
                self.step("deadline", "reminded", "expire", "overdue", limit=limit)
            state = after


async def history(tx: Transaction, rng: Random, matches: int) -> None:
    """So many matches with all their events."""
    allowed: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row in await tx.fetch("SELECT * FROM transitions"):
        allowed.setdefault((row["machine"], row["from_state"]), []).append((row["action"], row["to_state"]))
    offerings = await tx.fetch("SELECT id, institution_id, item_code FROM offerings")
    lives = Lives(rng, allowed)
    for number in range(100_001, 100_001 + matches):
        offering = rng.choice(offerings)
        await tx.execute(
            "INSERT INTO matches (id, need_id, run_id, state, offering_id, offering_version, item_code, item_version,"
            " institution_id, institution_version, delivered_on_time) OVERRIDING SYSTEM VALUE"
            " VALUES ($1, $1, 0, 'proposed', $2, 1, $3, 1, $4, 1, $5)",
            number,
            offering["id"],
            offering["item_code"],
            offering["institution_id"],
            rng.random() < 0.5,
        )
        lives.live(number)
    await tx.executemany(
        "INSERT INTO events (at, need_id, match_id, machine, from_state, action, to_state, data, deadline_id)"
        " VALUES ($1, $2, $2, $3, $4, $5, $6, $7, CASE $3::text WHEN 'deadline' THEN 0 END)",
        sorted((one for one in lives.events if one[0] < NOW), key=lambda one: one[0]),
    )


async def test_quarters_and_years_are_sums_of_their_months(dtx: Transaction) -> None:
    deadlines = await calendars.deadlines(dtx)
    await recording.bring_up_to_date(dtx, deadlines, whole=True)
    found = await stored(dtx)
    for (institution, code, item), figures in found.items():
        months = [found.get((institution, one.code, item)) for one in months_of(period(code))]
        assert total(one for one in months if one) == figures


# closing --------------------------------------------------------------------------------------------------------------


async def test_a_rating_ruled_out_later_is_a_correction_beside_the_closed_figure(
    db: Database, settings: Settings, world: World, tx: Transaction
) -> None:
    """Closed / now / difference; the closed figure stays, and nobody can change it."""
    need_id = await serve(db, settings, world)
    deadlines = await calendars.deadlines(tx)
    enterprise, node, rated = (world.actors[name] for name in ("enterprise", "coordinator", "institution"))
    form = RatingForm(level=RatingLevel.VERY_SATISFIED)
    rating = await ratings.rate(tx, enterprise, need_id, form, deadlines, b"x")
    await recording.bring_up_to_date(tx, deadlines, whole=True)
    month = month_of(datetime.now(UTC).date())
    await counting.close(tx, "440000", [month.code], datetime.now(UTC))
    open_ledger = await service.read(tx, node, rated.institution_id or 0, month)
    assert open_ledger.closed_at is not None
    assert open_ledger.corrections == []
    count = open_ledger.figures.ratings
    await ratings.report(tx, rated, rating.id, "不是我们办的", deadlines)
    await ratings.rule(tx, node, rating.id, Ruling(keep=False, note="确非该机构"), deadlines)
    done = await recording.bring_up_to_date(tx, deadlines)
    assert done.cells == 1
    after = await service.read(tx, node, rated.institution_id or 0, month)
    assert after.figures.ratings == count, "the closed figure stands"
    told = {(one.item_code, one.figure): (one.closed, one.now, one.difference) for one in after.corrections}
    assert told["", "ratings"] == (count, count - 1, -1)
    assert told[AID, "withheld"] == (0, 1, 1)
    for statement in ("UPDATE ledger_rows SET offered = 0 WHERE frozen", "DELETE FROM ledger_rows WHERE frozen"):
        savepoint = tx.transaction()
        await savepoint.start()
        with pytest.raises(Exception, match="closed period"):
            await tx.execute(statement)
        await savepoint.rollback()


async def test_periods_are_closed_some_working_days_after_their_end(dtx: Transaction) -> None:
    deadlines = await calendars.deadlines(dtx)
    await recording.count_anew(dtx, deadlines, await counting.last(dtx))
    await dtx.execute("ALTER TABLE ledger_closings DISABLE TRIGGER USER; DELETE FROM ledger_closings")
    # After the holidays people work on 8, 9, 10 (a shifted day), 12 and 13 October; they close at 18:00 in Beijing.
    before = await recording.close_due(dtx, deadlines, datetime(2026, 10, 13, 9, 59, tzinfo=UTC))
    assert "2026-08" in before
    assert not {"2026-09", "2026Q3", "2026"} & set(before)
    assert await recording.close_due(dtx, deadlines, datetime(2026, 10, 13, 10, 1, tzinfo=UTC)) == ["2026-09", "2026Q3"]
    assert await recording.close_due(dtx, deadlines, datetime(2026, 10, 20, tzinfo=UTC)) == []
    assert await dtx.fetchval("SELECT count(*) FROM ledger_rows WHERE frozen AND period = '2026Q3'") > 10


async def test_an_event_that_is_on_its_way_while_the_month_is_closed_is_not_lost(clone: Clone) -> None:
    """A transaction draws its event's id, a later one commits; the run waits for the first and counts both."""
    settings = await clone()
    database = open_database(settings)
    async with database.transaction() as tx:
        world = await World.read(tx)
    need_id = await serve(database, settings, world, confirmed=False)
    slow = await database.connect()
    late = slow.transaction()
    await late.start()
    match_id = await slow.fetchval("SELECT id FROM matches WHERE need_id = $1 AND state = 'delivered'", need_id)
    step = (
        "INSERT INTO events (need_id, match_id, machine, from_state, action, to_state)"
        " VALUES ($1, $2, 'match', 'delivered', 'rework', 'accepted')"
    )
    await slow.execute(step, need_id, match_id)
    await serve(database, settings, world)

    async def run() -> recording.Recorded:
        async with database.transaction() as tx:
            done = await recording.bring_up_to_date(tx, await calendars.deadlines(tx))
            month = month_of(datetime.now(UTC).date())
            await counting.close(tx, "440000", [month.code], datetime.now(UTC))
            return done

    running = asyncio.create_task(run())
    await asyncio.sleep(0.3)
    assert not running.done(), "it waits for whoever drew an id before"
    await late.commit()
    await running
    async with database.transaction() as tx:
        center = world.actors["institution"]
        month = month_of(datetime.now(UTC).date())
        ledger = await service.read(tx, center, center.institution_id or 0, month)
        assert (ledger.figures.reworked, ledger.figures.delivered) == (1, 2)
        assert await recording.differences(tx, await calendars.deadlines(tx)) == 0
    # One that comes after the closing is a correction.
    async with database.transaction() as tx:
        await tx.execute(step, need_id, match_id)
    async with database.transaction() as tx:
        await recording.bring_up_to_date(tx, await calendars.deadlines(tx))
        ledger = await service.read(tx, center, center.institution_id or 0, month)
        assert ledger.figures.reworked == 1
        assert [(one.figure, one.difference) for one in ledger.corrections if not one.item_code] == [("reworked", 1)]
    await slow.close()
    await database.close()


async def test_a_writer_that_does_not_end_holds_up_the_run_not_for_ever(
    tx: Transaction, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "WAIT_SECONDS", 0.2)
    other = await db.connect()
    held = other.transaction()
    await held.start()
    await other.execute("LOCK TABLE events IN ROW EXCLUSIVE MODE")
    with pytest.raises(Conflict):
        await recording.settled(tx)
    await held.rollback()
    await other.close()
    assert await recording.settled(tx) >= 0


async def test_a_changed_calendar_has_all_counted_anew(dtx: Transaction) -> None:
    await recording.bring_up_to_date(dtx, await calendars.deadlines(dtx), whole=True)
    await dtx.execute(
        "INSERT INTO calendar_days (region_code, day, working, name)"
        " SELECT '440000', d, false, '台风' FROM generate_series(date '2026-05-11', date '2026-05-22', '1 day') d"
    )
    deadlines = await calendars.deadlines(dtx)
    done = await recording.bring_up_to_date(dtx, deadlines)
    assert done.cells is None
    assert await stored(dtx) == without_empty(await counted(dtx, deadlines))


# who may read ---------------------------------------------------------------------------------------------------------


async def test_who_may_read_which(tx: Transaction, world: World) -> None:
    center, office, province = (
        world.actors[name].institution_id or 0 for name in ("institution", "office", "provincial")
    )
    may = {
        "institution": {center},
        "office": {office},
        "coordinator": {center, office},
        "province": {center, office, province},
        "admin": {center, office, province},
        "enterprise": set(),
        "clerk": set(),
    }
    for login, theirs in may.items():
        for one in (center, office, province, 2**60):
            if one in theirs:
                assert (await service.find(tx, world.actors[login], one)).id == one
            else:
                with pytest.raises(NotFound):
                    await service.find(tx, world.actors[login], one)
    month = month_of(datetime.now(UTC).date())
    lines = await service.listing(tx, world.actors["coordinator"], month)
    assert {line.institution_id for line in lines} == {center, office}
    with pytest.raises(Forbidden):
        await service.listing(tx, world.actors["coordinator"], month, region_code="440000")


async def test_peers_are_told_only_where_there_are_enough(dtx: Transaction) -> None:
    await recording.bring_up_to_date(dtx, await calendars.deadlines(dtx), whole=True)
    admin = Actor(id=1, login="a", name="a", role=Role.ADMIN)
    year = period("2026")
    lines = await service.listing(dtx, admin, year)
    kinds = [line.kind for line in lines if line.offered and line.region_code.startswith("44")]
    for line in lines:
        ledger = await service.read(dtx, admin, line.institution_id, year)
        others = kinds.count(line.kind) - (1 if line.offered else 0)
        assert ledger.peers.count == others
        found = ledger.peers.measures["offered"]
        assert (found is None) == (others < 3)
        if found:
            assert found.low <= found.middle <= found.high
    assert any(kinds.count(kind) > 3 for kind in kinds)
    assert [line.name for line in ordered(lines, Sort.NAME)] == sorted(line.name for line in lines)


async def test_records_are_what_the_figures_count(dtx: Transaction) -> None:
    deadlines = await calendars.deadlines(dtx)
    await recording.bring_up_to_date(dtx, deadlines, whole=True)
    admin = Actor(id=1, login="a", name="a", role=Role.ADMIN)
    year = period("2026")
    busiest = max(await service.listing(dtx, admin, year), key=lambda line: line.offered)
    (now,) = [row for row in await queries.rows(dtx, busiest.institution_id, "2026", frozen=False) if not row.item_code]
    counts: dict[What, int] = {
        one: now.ratings
        if one is What.RATED
        else now.delivered - now.on_time
        if one is What.LATE
        else getattr(now, one)
        for one in What
    }
    for what, count in counts.items():
        rows = await service.records(dtx, admin, deadlines, busiest.institution_id, year, what, limit=5_000)
        assert len(rows) == count, what
    declined = await service.records(dtx, admin, deadlines, busiest.institution_id, year, What.DECLINED, limit=99)
    assert all(row.note for row in declined), "declined with reasons"
    own = Actor(id=2, login="b", name="b", role=Role.INSTITUTION, institution_id=busiest.institution_id)
    seen = await service.records(dtx, own, deadlines, busiest.institution_id, year, What.RATED, limit=5_000)
    assert {row.need_id is None for row in seen} == {True, False}, "whose an anonymous rating is stays unsaid"
    assert all(row.at is None and row.enterprise_name is None for row in seen if row.need_id is None)


def test_rows_are_structs() -> None:
    assert set(COUNTS) < set(LedgerRow.__struct_fields__)
