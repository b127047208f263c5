"""All SQL of the demo. Rows go in as one JSON array a statement, with ids drawn before and the dates of the story."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from infra.db import Transaction, many
from market.demo.rows import CandidateRow, EventRow, MatchRow, NeedRow, RatingRow, RunRow
from market.matches.model import MatchState
from market.needs.model import NeedState
from market.ratings.model import RatingState, RectificationState

PRESENT = "SELECT EXISTS (SELECT FROM institutions WHERE demo)"
TAKEN = "SELECT login FROM accounts WHERE login = ANY($1::text[]) ORDER BY login"
IDS = "SELECT nextval(pg_get_serial_sequence($1, 'id')) FROM generate_series(1, $2)"
INSTITUTIONS = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset($1) AS g (id bigint, uscc text, name text, kind text, region_code text,
                                               address text, phone text, summary text)
), made AS (
    INSERT INTO institutions (id, uscc, version, demo, created_at) OVERRIDING SYSTEM VALUE
    SELECT id, uscc, 1, true, $2 FROM given
)
INSERT INTO institution_versions (institution_id, version, name, kind, region_code, address, phone, summary, created_at)
SELECT id, 1, name, kind, region_code, address, phone, summary, $2 FROM given
"""
ENTERPRISES = """
INSERT INTO enterprises (id, name, uscc, kind, region_code, industry_code, contact_name, contact_phone, demo,
                         created_at)
OVERRIDING SYSTEM VALUE
SELECT id, name, uscc, kind, region_code, industry_code, contact_name, contact_phone, true, $2
FROM jsonb_to_recordset($1) AS g (id bigint, name text, uscc text, kind text, region_code text, industry_code text,
                                  contact_name text, contact_phone text)
"""
ACCOUNTS = """
INSERT INTO accounts (id, login, password_hash, name, role, enterprise_id, institution_id, node_id, created_at)
OVERRIDING SYSTEM VALUE
SELECT id, login, $2, name, role, enterprise_id, institution_id, node_id, $3
FROM jsonb_to_recordset($1) AS g (id bigint, login text, name text, role text, enterprise_id bigint,
                                  institution_id bigint, node_id bigint)
"""
OFFERINGS = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset($1) AS g (
        id bigint, institution_id bigint, account_id bigint, state text, item_code text, title text, summary text,
        guide jsonb, region_codes text[], audience text[], channels text[], fee text, promised_days integer,
        capacity integer)
), made AS (
    INSERT INTO offerings (id, institution_id, item_code, state, version, capacity, created_at) OVERRIDING SYSTEM VALUE
    SELECT id, institution_id, item_code, state, 1, capacity, $2 FROM given
)
INSERT INTO offering_versions (offering_id, version, item_code, item_version, title, summary, guide, region_codes,
                               audience, channels, fee, promised_days, created_at, created_by)
SELECT g.id, 1, i.code, i.version, g.title, g.summary, g.guide, g.region_codes, g.audience, g.channels, g.fee,
       g.promised_days, $2, g.account_id
FROM given g JOIN service_items i ON i.code = g.item_code
"""
PAUSE = "UPDATE offerings SET state = 'paused' WHERE id = ANY($1::bigint[])"
# Needs are born submitted and matches as they first were: the triggers allow nothing else. Then they move step by step.
NEEDS = """
INSERT INTO needs (id, enterprise_id, submitted_by, channel, state, body, item_codes, contact_name, contact_phone,
                   region_code, node_id, owner_id, understanding, wanted_by, due_at, due_provisional, created_at)
OVERRIDING SYSTEM VALUE
SELECT id, enterprise_id, submitted_by, channel, 'submitted', body, item_codes, contact_name, contact_phone,
       region_code, node_id, owner_id, understanding, wanted_by, due_at, due_provisional, created_at
FROM jsonb_to_recordset($1) AS g (
    id bigint, enterprise_id bigint, submitted_by bigint, channel text, body text, item_codes text[], contact_name text,
    contact_phone text, region_code text, node_id bigint, owner_id bigint, understanding jsonb, wanted_by date,
    due_at timestamptz, due_provisional boolean, created_at timestamptz)
"""
MOVE_NEED = "UPDATE needs SET state = $2, version = version + 1 WHERE id = $1"
RUNS = """
INSERT INTO ranking_runs (id, need_id, need_version, node_id, model_version, seed, considered, excluded,
                          excluded_counts, created_at)
OVERRIDING SYSTEM VALUE
SELECT id, need_id, need_version, node_id, model_version, seed, considered, excluded, excluded_counts, created_at
FROM jsonb_to_recordset($1) AS g (
    id bigint, need_id bigint, need_version integer, node_id bigint, model_version text, seed bigint,
    considered integer, excluded jsonb, excluded_counts jsonb, created_at timestamptz)
"""
CANDIDATES = """
INSERT INTO candidates (run_id, rank, offering_id, offering_version, score, parts, propensity, shown)
SELECT run_id, rank, offering_id, offering_version, score, parts, propensity, shown
FROM jsonb_to_recordset($1) AS g (
    run_id bigint, rank integer, offering_id bigint, offering_version integer, score float8, parts jsonb,
    propensity float8, shown boolean)
"""
MATCH = """
INSERT INTO matches (id, need_id, run_id, state, offering_id, offering_version, item_code, item_version, institution_id,
                     institution_version, due_at, due_provisional, result, delivered_on_time, created_at)
OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
"""
MOVE_MATCH = "UPDATE matches SET state = $2 WHERE id = $1"
# With all that was ever said in them: the triggers allow no second word, and check how states change.
RATINGS = """
INSERT INTO ratings (id, match_id, institution_id, offering_id, state, level, indicators, remark, anonymous, rated_by,
                     on_behalf, source, later_remark, reply, created_at)
OVERRIDING SYSTEM VALUE
SELECT id, match_id, institution_id, offering_id, 'published', level, indicators, remark, anonymous, rated_by,
       on_behalf, convert_to(source, 'UTF8'), later_remark, reply, created_at
FROM jsonb_to_recordset($1) AS g (
    id bigint, match_id bigint, institution_id bigint, offering_id bigint, level smallint, indicators text[],
    remark text, anonymous boolean, rated_by bigint, on_behalf boolean, source text, later_remark text, reply text,
    created_at timestamptz)
"""
MOVE_RATING = "UPDATE ratings SET state = $2 WHERE id = $1"
RECTIFICATION = """
INSERT INTO rectifications (rating_id, state, due_at, due_provisional, answer, satisfied)
VALUES ($1, 'verifying', $2, $3, $4, $5)
"""
MOVE_RECTIFICATION = """
UPDATE rectifications SET state = $2, due_at = CASE $2 WHEN 'closed' THEN NULL ELSE due_at END WHERE rating_id = $1
"""
EVENTS = """
INSERT INTO events (need_id, match_id, machine, from_state, action, to_state, actor_id, note, data, at)
SELECT need_id, match_id, machine, from_state, action, to_state, actor_id, note, data, at
FROM ROWS FROM (jsonb_to_recordset($1) AS (
    need_id bigint, match_id bigint, machine text, from_state text, action text, to_state text, actor_id bigint,
    note text, data jsonb, at timestamptz)) WITH ORDINALITY
ORDER BY ordinality
"""
RULINGS = "SELECT id, at FROM events WHERE machine = 'rating' AND action = 'withhold' ORDER BY id"
COUNTS = """
SELECT (SELECT count(*) FROM institutions WHERE demo) AS institutions,
       (SELECT count(*) FROM offerings f JOIN institutions i ON i.id = f.institution_id AND i.demo) AS offerings,
       (SELECT count(*) FROM enterprises WHERE demo) AS enterprises,
       (SELECT count(*) FROM needs n JOIN enterprises e ON e.id = n.enterprise_id AND e.demo) AS needs
"""
ASKED = """
SELECT DISTINCT n.body FROM needs n JOIN enterprises e ON e.id = n.enterprise_id AND e.demo
WHERE n.body = ANY($1::text[])
"""


class Counts(Struct, frozen=True):
    """What the demo holds."""

    institutions: int
    offerings: int
    enterprises: int
    needs: int


async def is_present(tx: Transaction) -> bool:
    """Whether the demo has been loaded."""
    present: bool = await tx.fetchval(PRESENT)
    return present


async def taken_logins(tx: Transaction, logins: list[str]) -> list[str]:
    """Those of ``logins`` that somebody has."""
    return [row["login"] for row in await tx.fetch(TAKEN, logins)]


async def draw_ids(tx: Transaction, table: str, many: int) -> list[int]:
    """New ids of the table, in order."""
    return [row[0] for row in await tx.fetch(IDS, table, many)]


async def insert_institutions(tx: Transaction, rows: Sequence[Any], at: datetime) -> None:
    """Demo institutions in their first version, as of ``at``."""
    await tx.execute(INSTITUTIONS, rows, at)


async def insert_enterprises(tx: Transaction, rows: Sequence[Any], at: datetime) -> None:
    """Demo enterprises, as of ``at``."""
    await tx.execute(ENTERPRISES, rows, at)


async def insert_accounts(tx: Transaction, rows: Sequence[Any], password_hash: str, at: datetime) -> None:
    """Accounts that all have the same password."""
    await tx.execute(ACCOUNTS, rows, password_hash, at)


async def insert_offerings(tx: Transaction, rows: Sequence[Any], at: datetime) -> None:
    """Offerings in their first version, under the versions of their items now in force."""
    await tx.execute(OFFERINGS, rows, at)


async def pause_offerings(tx: Transaction, offering_ids: list[int]) -> None:
    """Take no more needs with these."""
    await tx.execute(PAUSE, offering_ids)


async def insert_needs(tx: Transaction, needs: Sequence[NeedRow]) -> None:
    """Needs, just submitted."""
    await tx.execute(NEEDS, needs)


async def move_needs(tx: Transaction, moves: Sequence[tuple[int, NeedState]]) -> None:
    """Move needs one step after the other: id and next state."""
    await tx.executemany(MOVE_NEED, moves)


async def insert_runs(tx: Transaction, runs: Sequence[RunRow]) -> None:
    """Ranking runs."""
    await tx.execute(RUNS, runs)


async def insert_candidates(tx: Transaction, candidates: Sequence[CandidateRow]) -> None:
    """Candidates of stored runs."""
    await tx.execute(CANDIDATES, candidates)


async def insert_match(tx: Transaction, match: MatchRow) -> None:
    """A match in its first state."""
    await tx.execute(
        MATCH,
        match.id,
        match.need_id,
        match.run_id,
        match.first_state,
        match.offering_id,
        match.offering_version,
        match.item_code,
        match.item_version,
        match.institution_id,
        match.institution_version,
        match.due_at,
        match.due_provisional,
        match.result,
        match.delivered_on_time,
        match.created_at,
    )


async def move_match(tx: Transaction, match_id: int, state: MatchState) -> None:
    """Move a match one step."""
    await tx.execute(MOVE_MATCH, match_id, state)


async def insert_ratings(tx: Transaction, ratings: Sequence[RatingRow]) -> None:
    """Ratings, just given."""
    await tx.execute(RATINGS, ratings)


async def move_rating(tx: Transaction, rating_id: int, state: RatingState) -> None:
    """Move a rating one step."""
    await tx.execute(MOVE_RATING, rating_id, state)


async def insert_rectification(tx: Transaction, rating: RatingRow) -> None:
    """The rectification of a bad rating, to be verified."""
    values = (rating.due_at, rating.due_provisional, rating.answer, rating.satisfied)
    await tx.execute(RECTIFICATION, rating.id, *values)


async def move_rectification(tx: Transaction, rating: RatingRow, state: RectificationState) -> None:
    """Move a rectification one step."""
    await tx.execute(MOVE_RECTIFICATION, rating.id, state)


async def insert_events(tx: Transaction, events: Sequence[EventRow]) -> None:
    """The events, in their order."""
    await tx.execute(EVENTS, events)


async def rulings(tx: Transaction) -> Sequence[Any]:
    """Which ratings were ruled out, and when: id and at of these events."""
    return await tx.fetch(RULINGS)


async def counts(tx: Transaction) -> Counts:
    """How much of everything there is."""
    return many(Counts, await tx.fetch(COUNTS))[0]


async def asked(tx: Transaction, bodies: list[str]) -> set[str]:
    """Those of the texts that demo enterprises have submitted already."""
    return {row["body"] for row in await tx.fetch(ASKED, bodies)}
