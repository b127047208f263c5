"""The demo: complete, consistent with itself, and there only once."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from infra.db import Database, Transaction
from infra.settings import Settings
from market.accounts import queries as accounts
from market.accounts import service as account_service
from market.accounts.passwords import Hasher
from market.catalogue import queries as catalogue
from market.data import load_regions
from market.demo import offerings, people, service
from market.errors import Conflict
from market.importing.service import load_facts
from market.ratings import service as ratings
from market.ratings.model import RectificationState
from tests.conftest import Clone, open_database

pytestmark = pytest.mark.anyio

WORLD = "TRUNCATE accounts, enterprises, institutions, nodes, offerings, fact_editions RESTART IDENTITY CASCADE"
QUESTIONS = ["如何申请专利？", "我的产品被仿造了怎么办？"]

# Each lists what contradicts itself; so each must be empty, after the demo as after any use of the product.
STATE_IS_NOT_THE_LAST_EVENT = """
SELECT 'need', n.id FROM needs n WHERE n.state IS DISTINCT FROM (
    SELECT to_state FROM events e WHERE e.need_id = n.id AND e.machine = 'need' ORDER BY e.id DESC LIMIT 1)
UNION ALL
SELECT 'match', m.id FROM matches m WHERE m.state IS DISTINCT FROM (
    SELECT to_state FROM events e WHERE e.match_id = m.id AND e.machine = 'match' ORDER BY e.id DESC LIMIT 1)
UNION ALL
SELECT 'rating', r.id FROM ratings r WHERE r.state IS DISTINCT FROM (
    SELECT to_state FROM events e WHERE e.match_id = r.match_id AND e.machine = 'rating' ORDER BY e.id DESC LIMIT 1)
UNION ALL
SELECT 'rectification', r.id FROM ratings r LEFT JOIN rectifications x ON x.rating_id = r.id
WHERE x.state IS DISTINCT FROM (
    SELECT to_state FROM events e WHERE e.match_id = r.match_id AND e.machine = 'rectification'
    ORDER BY e.id DESC LIMIT 1)
"""
BAD_AND_NOT_RECTIFIED = """
SELECT r.id FROM ratings r LEFT JOIN rectifications x ON x.rating_id = r.id
WHERE (r.level <= 2) <> (x.rating_id IS NOT NULL)
UNION ALL
SELECT r.id FROM ratings r JOIN matches m ON m.id = r.match_id WHERE m.state <> 'completed'
"""
COUNTS_ARE_NOT_THE_RATINGS = """
SELECT f.id FROM offerings f WHERE f.rated <> (
    SELECT array_agg(n ORDER BY level) FROM (
        SELECT of.level, count(r.id)::integer AS n FROM generate_series(1, 5) AS of (level)
        LEFT JOIN ratings r ON r.level = of.level AND r.offering_id = f.id AND r.state <> 'withheld' GROUP BY of.level
    ) AS told)
"""
EVENTS_DO_NOT_FOLLOW = """
SELECT * FROM (
    SELECT id, machine, from_state, at,
           lag(to_state, 1, 'new') OVER story AS before, lag(at, 1, at) OVER story AS earlier
    FROM events WINDOW story AS (PARTITION BY machine, need_id, match_id ORDER BY id)
) steps WHERE from_state <> before OR at < earlier
"""
VERSION_IS_NOT_THE_NUMBER_OF_MOVES = """
SELECT n.id FROM needs n WHERE n.version <> (
    SELECT count(*) FROM events e WHERE e.need_id = n.id AND e.machine = 'need')
"""
LOAD_IS_NOT_WHAT_IS_HELD = """
SELECT f.id FROM offerings f WHERE f.load > f.capacity OR f.load <> (
    SELECT count(*) FROM matches m
    WHERE m.offering_id = f.id AND m.state IN ('approved', 'decline_requested', 'accepted'))
"""
COUNTERS_ARE_NOT_THE_EVENTS = """
SELECT f.id FROM offerings f LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE e.action IN ('approve', 'override')) AS assigned,
           count(*) FILTER (WHERE e.action = 'accept') AS accepted,
           count(*) FILTER (WHERE e.to_state = 'declined') AS declined,
           count(*) FILTER (WHERE e.action = 'confirm') AS delivered,
           count(*) FILTER (WHERE e.action = 'confirm' AND m.delivered_on_time) AS on_time
    FROM matches m JOIN events e ON e.match_id = m.id WHERE m.offering_id = f.id
) AS told ON true
WHERE (f.assigned, f.accepted, f.declined, f.delivered, f.on_time)
      <> (told.assigned, told.accepted, told.declined, told.delivered, told.on_time)
"""
NEED_AND_MATCH_DISAGREE = """
SELECT n.id, n.state, m.state FROM needs n LEFT JOIN matches m ON m.need_id = n.id
     AND m.state NOT IN ('declined', 'superseded', 'cancelled')
WHERE coalesce(m.state, 'none') <> ALL (CASE n.state
    WHEN 'proposed' THEN ARRAY['proposed'] WHEN 'assigned' THEN ARRAY['approved', 'decline_requested']
    WHEN 'serving' THEN ARRAY['accepted'] WHEN 'delivered' THEN ARRAY['delivered']
    WHEN 'completed' THEN ARRAY['completed'] ELSE ARRAY['none'] END)
"""
WAITS_FOR_NO_RANKING = """
SELECT n.id FROM needs n WHERE n.state = 'submitted'
AND NOT EXISTS (SELECT FROM outbox o WHERE (o.payload ->> 'need_id')::bigint = n.id)
"""
OWNED_BY_NOBODY = """
SELECT n.id FROM needs n LEFT JOIN accounts a ON a.id = n.owner_id
WHERE n.state IN ('assigned', 'serving', 'delivered', 'completed', 'returned', 'closed')
AND (a.id IS NULL OR a.role <> 'coordinator' OR a.node_id <> n.node_id)
"""


async def contradictions(tx: Transaction) -> dict[str, int]:
    """How many rows contradict others, by rule; usable on any database of the product."""
    rules = {
        "state is the last event": STATE_IS_NOT_THE_LAST_EVENT,
        "events follow each other": EVENTS_DO_NOT_FOLLOW,
        "version is the number of moves": VERSION_IS_NOT_THE_NUMBER_OF_MOVES,
        "load is what is held": LOAD_IS_NOT_WHAT_IS_HELD,
        "counters are the events": COUNTERS_ARE_NOT_THE_EVENTS,
        "need and match agree": NEED_AND_MATCH_DISAGREE,
        "what waits is asked for": WAITS_FOR_NO_RANKING,
        "what is under way has an owner": OWNED_BY_NOBODY,
        "what is bad is rectified, what is rated completed": BAD_AND_NOT_RECTIFIED,
        "counts are the ratings": COUNTS_ARE_NOT_THE_RATINGS,
    }
    found = {rule: len(await tx.fetch(statement)) for rule, statement in rules.items()}
    return {rule: count for rule, count in found.items() if count}


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("needs") / "ip_needs.json"
    path.write_text(json.dumps({"about": "…", "needs": [{"text": text, "items": [1]} for text in QUESTIONS]}))
    return path


@pytest.fixture(scope="module")
async def demo(clone: Clone, questions: Path) -> AsyncIterator[Database]:
    """A database with the shipped facts and the demo, and nothing else."""
    settings = await clone()
    database = open_database(settings, owner=True)
    async with database.transaction() as tx:
        await tx.execute(WORLD)  # the items too, which may belong to institutions
        await load_facts(tx)
    report = await service.load(database, settings, questions=questions)
    assert (report.loaded, report.questions) == (True, 2)
    yield database
    await database.close()


@pytest.fixture
async def reading(demo: Database) -> AsyncIterator[Transaction]:
    async with demo.reading() as connection:
        yield connection


async def test_nothing_contradicts_itself(reading: Transaction) -> None:
    assert await contradictions(reading) == {}


async def test_everybody_is_there(reading: Transaction) -> None:
    counts = await service.queries.counts(reading)
    assert counts.institutions == 40
    assert 250 <= counts.offerings <= 350
    assert counts.enterprises == 25
    assert counts.needs == service.NEEDS + len(QUESTIONS)
    outside = "SELECT count(*) FROM institution_versions WHERE region_code NOT LIKE '4403%'"
    assert 6 <= await reading.fetchval(outside) <= 8
    unmarked = "SELECT count(*) FROM institution_versions WHERE name NOT LIKE '%（演示）'"
    assert await reading.fetchval(unmarked) == 0
    items = "SELECT count(DISTINCT item_code) FROM offerings WHERE state = 'published'"
    assert await reading.fetchval(items) == 33
    states = "SELECT count(DISTINCT state) FROM offerings"
    assert await reading.fetchval(states) == 3


async def test_everybody_can_log_in(reading: Transaction, demo: Database) -> None:
    for login in service.LOGINS:
        actor = await accounts.actor_by_login(reading, login)
        assert actor is not None
    await account_service.log_in(demo, Hasher(1), "enterprise", service.PASSWORD)
    common = """
    SELECT count(*), bool_or(v.item_list = 'common') FROM offerings f JOIN accounts a ON a.login = 'institution'
    AND a.institution_id = f.institution_id JOIN service_item_versions v ON v.item_code = f.item_code
    WHERE f.state = 'published'
    """
    (row,) = await reading.fetch(common)
    assert row[0] >= 10
    assert row[1]


async def test_the_history_has_something_of_everything(reading: Transaction) -> None:
    states = {row[0]: row[1] for row in await reading.fetch("SELECT state, count(*) FROM needs GROUP BY state")}
    assert states["completed"] > 350
    assert {"proposed", "assigned", "serving", "delivered", "withdrawn", "closed"} <= states.keys()
    actions = {row[0] for row in await reading.fetch("SELECT DISTINCT machine || ' ' || action FROM events")}
    assert {
        "need return",
        "need escalate",
        "need override",
        "need rework",
        "match decline",
        "match grant_decline",
        "match refuse_decline",
    } <= actions
    bodies = "SELECT count(DISTINCT body)::float / count(*) FROM needs"
    assert await reading.fetchval(bodies) > 0.88
    assert await reading.fetchval("SELECT max(at) < now() AND min(at) > now() - interval '367 days' FROM events")


async def test_most_services_are_rated_and_some_badly(reading: Transaction) -> None:
    rated = "SELECT count(*)::float FROM ratings"
    completed = "SELECT count(*)::float FROM needs WHERE state = 'completed'"
    assert 0.5 < await reading.fetchval(rated) / await reading.fetchval(completed) < 0.85
    levels = dict(await reading.fetch("SELECT level, count(*) FROM ratings GROUP BY level"))
    assert set(levels) == {1, 2, 3, 4, 5}
    assert sum(levels.values()) * 0.04 < levels[1] + levels[2] < sum(levels.values()) * 0.25
    steps = {row[0] for row in await reading.fetch("SELECT DISTINCT state FROM rectifications")}
    assert steps == set(RectificationState) - {"new"}
    states = {row[0] for row in await reading.fetch("SELECT DISTINCT state FROM ratings")}
    assert {"published", "kept", "withheld"} <= states
    assert await reading.fetchval("SELECT bool_or(on_behalf) AND bool_or(anonymous) FROM ratings")
    admin = await accounts.actor_by_login(reading, "admin")
    assert admin is not None
    assert "one_source" in {hint.rule for hint in await ratings.suspicions(reading, admin)}


async def test_the_record_tells_the_good_from_the_bad(reading: Transaction) -> None:
    rates = await reading.fetch(
        "SELECT sum(on_time)::float / sum(delivered) AS rate FROM offerings GROUP BY institution_id "
        "HAVING sum(delivered) >= 8"
    )
    assert len(rates) > 12
    assert min(row["rate"] for row in rates) < 0.75 < 0.9 < max(row["rate"] for row in rates)


async def test_loading_again_does_nothing(demo: Database, settings: Settings, questions: Path) -> None:
    async with demo.reading() as reading:
        before = await service.queries.counts(reading)
    report = await service.load(demo, settings, questions=questions)
    assert report == service.DemoReport(loaded=False, counts=before, questions=0)


async def test_a_database_in_use_is_left_alone(tx: Transaction, settings: Settings) -> None:
    with pytest.raises(Conflict, match="已有人使用"):
        await service.load_demo(tx, settings, now=(await tx.fetchval("SELECT now()")))


async def test_without_a_file_there_are_no_questions(tmp_path: Path) -> None:
    assert service.read_questions(tmp_path / "none.json") == ()


async def test_the_same_seed_invents_the_same(tx: Transaction) -> None:
    regions = {region.code: region for region in load_regions()}
    items, texts = await catalogue.items(tx), offerings.load_texts()

    def invent(seed: int) -> list[offerings.Plan]:
        rng = Random(seed)
        return offerings.plans(rng, people.institutions(rng, regions), items, texts)

    assert invent(1) == invent(1) != invent(2)
    for plans in (invent(1), invent(2)):
        assert len({plan.title for plan in plans}) == len({plan.summary for plan in plans}) == len(plans)
