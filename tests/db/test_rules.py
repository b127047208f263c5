"""Rules that PostgreSQL keeps whatever the code does."""

from itertools import product
from typing import Any

import asyncpg
import pytest

from infra.db import Transaction
from infra.settings import Settings
from market.calendars import service as calendars
from market.matches import model as matches
from market.needs import model as needs
from market.needs import service
from market.needs.model import Need, Submission
from tests.factories import World

pytestmark = pytest.mark.anyio


@pytest.fixture
async def need(tx: Transaction, world: World, settings: Settings) -> Need:
    deadlines = await calendars.deadlines(tx)
    return await service.submit(tx, world.actors["enterprise"], Submission(body="想申请专利"), deadlines)


async def refused(tx: Transaction, statement: str, *values: Any) -> str:
    """PostgreSQL's refusal of a statement, which leaves the transaction usable."""
    savepoint = tx.transaction()
    await savepoint.start()
    with pytest.raises(asyncpg.PostgresError) as told:
        await tx.execute(statement, *values)
    await savepoint.rollback()
    return str(told.value)


async def force(tx: Transaction, table: str, row_id: int, state: str) -> None:
    """Put a row into a state without a move."""
    await tx.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    await tx.execute(f"UPDATE {table} SET state = $2 WHERE id = $1", row_id, state)
    await tx.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


async def propose(tx: Transaction, need_id: int, offering_id: int) -> int:
    """A ranking run with one candidate, and the match proposed on it."""
    run_id = await tx.fetchval(
        "INSERT INTO ranking_runs (need_id, need_version, node_id, model_version, seed, considered, excluded,"
        " excluded_counts) SELECT id, version, node_id, 'test', 1, 1, '[]', '{}' FROM needs WHERE id = $1 RETURNING id",
        need_id,
    )
    await tx.execute("INSERT INTO candidates VALUES ($1, 1, $2, 1, 50, '[]')", run_id, offering_id)
    match_id: int = await tx.fetchval(
        "INSERT INTO matches (need_id, run_id, state, offering_id, offering_version, item_code, item_version,"
        " institution_id, institution_version)"
        " SELECT $1, $2, 'proposed', f.id, 1, f.item_code, v.item_version, f.institution_id, 1"
        " FROM offerings f JOIN offering_versions v ON v.offering_id = f.id AND v.version = 1 WHERE f.id = $3"
        " RETURNING id",
        need_id,
        run_id,
        offering_id,
    )
    return match_id


async def test_a_need_moves_only_along_its_transitions(tx: Transaction, need: Need) -> None:
    allowed = {(before, after) for (before, _), after in needs.TRANSITIONS.items()}
    states = [state for state in needs.NeedState if state is not needs.NeedState.NEW]
    for before, after in product(states, states):
        await force(tx, "needs", need.id, before)
        if before == after or (before, after) in allowed:
            await tx.execute("UPDATE needs SET state = $2 WHERE id = $1", need.id, after)
        else:
            told = await refused(tx, "UPDATE needs SET state = $2 WHERE id = $1", need.id, after)
            assert f"a need cannot go from {before} to {after}" in told


async def test_an_event_that_no_transition_allows_is_refused(tx: Transaction, need: Need) -> None:
    for (before, action), after in needs.TRANSITIONS.items():
        statement = (
            "INSERT INTO events (need_id, machine, from_state, action, to_state) VALUES ($1, 'need', $2, $3, $4)"
        )
        wrong = "closed" if after != "closed" else "serving"
        assert "foreign key" in await refused(tx, statement, need.id, before, action, wrong)


async def test_events_and_versions_are_never_changed(tx: Transaction, need: Need) -> None:
    for table in ("events", "offering_versions", "institution_versions", "service_item_versions"):
        assert "never changed" in await refused(tx, f"DELETE FROM {table}")
    assert "never changed" in await refused(tx, "UPDATE events SET note = 'other' WHERE need_id = $1", need.id)


async def test_one_live_match_per_need(tx: Transaction, need: Need, world: World) -> None:
    offering_id = world.offerings["专利申请受理与材料预检"]
    await propose(tx, need.id, offering_id)
    savepoint = tx.transaction()
    await savepoint.start()
    with pytest.raises(asyncpg.UniqueViolationError, match="matches_one_live"):
        await propose(tx, need.id, offering_id)
    await savepoint.rollback()


async def test_returned_only_once(tx: Transaction, need: Need) -> None:
    statement = (
        "INSERT INTO events (need_id, machine, from_state, action, to_state)"
        " VALUES ($1, 'need', 'submitted', 'return', 'returned')"
    )
    await tx.execute(statement, need.id)
    assert "events_return_once" in await refused(tx, statement, need.id)


async def test_capacity_and_record_follow_the_match(tx: Transaction, need: Need, world: World) -> None:
    """Along every path through the states, load is 1 exactly while the match holds its slot."""
    offering_id = world.offerings["专利申请辅导"]
    match_id = await propose(tx, need.id, offering_id)

    async def column(name: str) -> int:
        value: int = await tx.fetchval(f"SELECT {name} FROM offerings WHERE id = $1", offering_id)
        return value

    edges = {(before, after) for (before, _), after in matches.TRANSITIONS.items() if before != "new"}
    for before, after in edges:
        await force(tx, "matches", match_id, before)
        await tx.execute(
            "UPDATE offerings SET load = $2, capacity = 3 WHERE id = $1", offering_id, int(before in matches.HOLDING)
        )
        await tx.execute("UPDATE matches SET state = $2 WHERE id = $1", match_id, after)
        assert await column("load") == int(after in matches.HOLDING), (before, after)

    await force(tx, "matches", match_id, "proposed")
    await tx.execute("UPDATE offerings SET load = capacity WHERE id = $1", offering_id)
    assert "takes no more" in await refused(tx, "UPDATE matches SET state = 'approved' WHERE id = $1", match_id)
    await tx.execute("UPDATE offerings SET load = 0, state = 'paused' WHERE id = $1", offering_id)
    assert "takes no more" in await refused(tx, "UPDATE matches SET state = 'approved' WHERE id = $1", match_id)
    # A result that has to be reworked takes its slot back even when the offering is full.
    await force(tx, "matches", match_id, "delivered")
    await tx.execute("UPDATE offerings SET load = capacity WHERE id = $1", offering_id)
    await tx.execute("UPDATE matches SET state = 'accepted' WHERE id = $1", match_id)


async def test_a_role_without_its_object_is_refused(tx: Transaction) -> None:
    statement = "INSERT INTO accounts (login, password_hash, name, role) VALUES ('nobody', '', '', $1)"
    for role in ("enterprise", "institution", "coordinator", "clerk"):
        assert "check constraint" in await refused(tx, statement, role)
