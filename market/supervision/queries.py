"""All SQL of supervision."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
from msgspec import Struct

from infra.db import Transaction, many, one_or_none
from infra.observe import request_id
from market.accounts.model import Actor
from market.calendars.service import Times
from market.errors import Conflict
from market.i18n import _
from market.ledger.figures import COUNTS
from market.ledger.model import LedgerRow
from market.supervision.model import (
    Flag,
    RuleInForce,
    Supervision,
    SupervisionAction,
    SupervisionRule,
    SupervisionRuleChange,
    SupervisionState,
    SupervisionStep,
)

# $1: a region. For each name the rule of the nearest region above it, or of itself.
IN_FORCE = """
SELECT DISTINCT ON (l.name) l.name, l.region_code, r.name AS region_name, l.threshold, l.least
FROM supervision_rules l JOIN regions r ON r.code = l.region_code
WHERE starts_with($1::text, l.region_prefix) ORDER BY l.name, length(l.region_prefix) DESC
"""
SET_RULE = """
INSERT INTO supervision_rules (name, region_code, threshold, least, set_by) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name, region_code) DO UPDATE
SET threshold = excluded.threshold, least = excluded.least, set_by = excluded.set_by, set_at = now()
WHERE (supervision_rules.threshold, supervision_rules.least) IS DISTINCT FROM (excluded.threshold, excluded.least)
"""
FORGET_RULE = "DELETE FROM supervision_rules WHERE name = $1 AND region_code = $2"
PLACES = """
SELECT i.id, v.region_code
FROM institutions i JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
WHERE i.state = 'active' ORDER BY i.id
"""
# As the figures stand now: a closed month's corrections count.
RECENT = f"""
SELECT institution_id, period, item_code, {", ".join(COUNTS)}, rated, days, times
FROM ledger_rows WHERE period = ANY($1::text[]) AND item_code = '' AND NOT frozen
"""
# $1, $2: institution and its flags as arrays. What is flagged still keeps its day; what is no longer flagged ends.
RAISE = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset($1) AS g (
        institution_id bigint, rule text, value float8, cases integer, threshold float8, months text[])
), ended AS (
    UPDATE supervision_flags f SET ended_at = now()
    WHERE f.ended_at IS NULL
      AND NOT EXISTS (SELECT FROM given g WHERE g.institution_id = f.institution_id AND g.rule = f.rule)
    RETURNING id
)
INSERT INTO supervision_flags (institution_id, rule, value, cases, threshold, months)
SELECT institution_id, rule, value, cases, threshold, months FROM given
ON CONFLICT (institution_id, rule) WHERE ended_at IS NULL DO UPDATE
SET value = excluded.value, cases = excluded.cases, threshold = excluded.threshold, months = excluded.months,
    seen_at = now()
"""
FLAGS = """
SELECT rule, value, cases, threshold, months FROM supervision_flags
WHERE institution_id = $1 AND ended_at IS NULL ORDER BY id
"""
FLAGGED = """
SELECT institution_id, array_agg(rule ORDER BY id) AS rules FROM supervision_flags
WHERE ended_at IS NULL GROUP BY institution_id
"""
SUPERVISION = """
SELECT s.id, s.institution_id, v.name AS institution_name, v.region_code, s.node_id, o.name AS node_name, s.state,
       s.reasons, s.clock, s.due_at, s.provisional, s.created_at
FROM supervisions s JOIN institutions i ON i.id = s.institution_id
JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version JOIN nodes o ON o.id = s.node_id
"""
# $2: an institution, $3: a node's prefix; NULL: whatever.
VISIBLE = """
($2::bigint IS NULL OR s.institution_id = $2::bigint) AND ($3::text IS NULL OR starts_with(v.region_code, $3::text))
"""
FOUND = f"{SUPERVISION} WHERE s.id = $1 AND {VISIBLE}"
LOCKED = f"{FOUND} FOR NO KEY UPDATE OF s"
# Open ones by their clock, then the newest of the closed.
LISTED = f"""{SUPERVISION}
WHERE ($1::boolean IS NULL OR (s.state = 'closed') = NOT $1::boolean) AND {VISIBLE}
  AND ($4::bigint IS NULL OR s.id < $4::bigint)
ORDER BY s.id DESC LIMIT $5
"""
OPEN_OF = f"{SUPERVISION} WHERE s.institution_id = $1 AND s.state <> 'closed'"
STEPS = """
SELECT e.machine, e.action, a.name AS actor_name, a.role AS actor_role, e.note, e.data, e.at
FROM supervision_events e LEFT JOIN accounts a ON a.id = e.actor_id WHERE e.supervision_id = $1 ORDER BY e.id
"""
INSERT = """
WITH made AS (
    INSERT INTO supervisions (institution_id, node_id, state, reasons, clock, due_at, provisional, remind_at, node_at,
                              above_at, days, stamp)
    VALUES ($1, $2, 'noticed', $3, 'running', $4, $5, $6, $7, $8, $9, $10) RETURNING id
), step AS (
    INSERT INTO supervision_events (supervision_id, machine, from_state, action, to_state, actor_id, note, data,
                                    request_id)
    SELECT id, 'supervision', 'new', 'notice', 'noticed', $11::bigint, $12, jsonb_build_object('reasons', $3::jsonb),
           $13
    FROM made
)
SELECT id FROM made
"""
# Closed, the clock is done and keeps its last moments.
MOVE = """
WITH moved AS (
    UPDATE supervisions SET state = $4, clock = CASE $4 WHEN 'closed' THEN 'done' ELSE 'running' END,
        due_at = coalesce($7, due_at), provisional = coalesce($8, provisional),
        remind_at = CASE WHEN $7::timestamptz IS NULL THEN remind_at ELSE $9::timestamptz END,
        node_at = coalesce($10, node_at), above_at = coalesce($11, above_at), started_at = now(),
        days = coalesce($12, days), stamp = coalesce($13, stamp)
    WHERE id = $1 RETURNING id
)
INSERT INTO supervision_events (supervision_id, machine, from_state, action, to_state, actor_id, note, request_id)
SELECT id, 'supervision', $2, $3, $4, $5::bigint, $6, $14 FROM moved
"""
# What time brings, as market.deadlines does it: each step once, under the row's lock, with whom it calls.
TICK = """
WITH due AS MATERIALIZED (
    SELECT id, clock AS before, next_at AS planned_at FROM supervisions
    WHERE next_at <= now() AND (clock NOT IN ('running', 'reminded') OR stamp = (SELECT stamp FROM calendar_stamp))
    ORDER BY next_at, id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
), moved AS (
    UPDATE supervisions s SET clock = CASE due.before
        WHEN 'running' THEN CASE WHEN s.remind_at IS NULL THEN 'overdue' ELSE 'reminded' END
        WHEN 'reminded' THEN 'overdue'
        WHEN 'overdue' THEN 'escalated'
        ELSE 'escalated_above' END
    FROM due WHERE s.id = due.id
    RETURNING s.id, s.institution_id, s.node_id, s.state, s.due_at, due.before, s.clock AS after, due.planned_at
)
INSERT INTO supervision_events (supervision_id, machine, from_state, action, to_state, data)
SELECT m.id, 'deadline', m.before,
       CASE m.after WHEN 'reminded' THEN 'remind' WHEN 'overdue' THEN 'expire' WHEN 'escalated' THEN 'escalate'
            ELSE 'escalate_above' END,
       m.after,
       jsonb_build_object('step', m.state, 'due_at', m.due_at, 'planned_at', m.planned_at, 'to', CASE
           WHEN m.after = 'escalated_above'
           THEN jsonb_build_array(jsonb_build_object('node_id', coalesce(o.parent_id, o.id)))
           WHEN m.after = 'escalated' OR m.state <> 'noticed'
           THEN jsonb_build_array(jsonb_build_object('node_id', o.id))
           ELSE jsonb_build_array(jsonb_build_object('institution_id', m.institution_id)) END)
FROM moved m JOIN nodes o ON o.id = m.node_id ORDER BY m.planned_at, m.id
RETURNING id
"""

# Clocks counted on an older edition of the calendars.
STALE = """
SELECT s.id, v.region_code, s.started_at, s.days, s.due_at
FROM supervisions s JOIN institutions i ON i.id = s.institution_id
JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
WHERE s.clock IN ('running', 'reminded') AND s.stamp < $1 ORDER BY s.id LIMIT $2 FOR NO KEY UPDATE OF s SKIP LOCKED
"""
RECOUNT = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset($1) AS g (
        id bigint, due_at timestamptz, provisional boolean, remind_at timestamptz, node_at timestamptz,
        above_at timestamptz)
), before AS (
    SELECT s.id, s.clock, s.due_at FROM supervisions s JOIN given USING (id)
), counted AS (
    UPDATE supervisions s SET due_at = g.due_at, provisional = g.provisional, remind_at = g.remind_at,
        node_at = g.node_at, above_at = g.above_at, stamp = $2,
        clock = CASE WHEN g.due_at = s.due_at THEN s.clock ELSE 'running' END
    FROM given g WHERE g.id = s.id RETURNING s.id, s.state, s.due_at
)
INSERT INTO supervision_events (supervision_id, machine, from_state, action, to_state, data)
SELECT c.id, 'deadline', b.clock, 'recount', 'running',
       jsonb_build_object('step', c.state, 'before', b.due_at, 'due_at', c.due_at)
FROM counted c JOIN before b USING (id) WHERE b.due_at <> c.due_at
"""


class Clock(Struct, frozen=True):
    """A step's limit: so many working days, counted on that edition of the calendars."""

    days: int
    stamp: int
    times: Times


class Counting(Struct, frozen=True, kw_only=True):
    """What counting a clock again takes."""

    id: int
    region_code: str
    started_at: datetime
    days: int
    due_at: datetime


async def in_force(tx: Transaction, region_code: str) -> list[RuleInForce]:
    """Every rule as it holds in the region."""
    return many(RuleInForce, await tx.fetch(IN_FORCE, region_code))


async def set_rule(tx: Transaction, region_code: str, change: SupervisionRuleChange, set_by: str) -> None:
    """The region's own rule from now on."""
    await tx.execute(SET_RULE, change.name, region_code, change.threshold, change.least, set_by)


async def forget_rule(tx: Transaction, name: SupervisionRule, region_code: str) -> None:
    """The region has no rule of its own any more."""
    await tx.execute(FORGET_RULE, name, region_code)


async def places(tx: Transaction) -> dict[int, str]:
    """Active institutions and their regions."""
    return {row["id"]: row["region_code"] for row in await tx.fetch(PLACES)}


async def recent(tx: Transaction, months: Sequence[str]) -> list[LedgerRow]:
    """All institutions' figures of these months."""
    return many(LedgerRow, await tx.fetch(RECENT, months))


async def raise_flags(tx: Transaction, given: Sequence[dict[str, Any]]) -> None:
    """Let exactly these flags be up."""
    await tx.execute(RAISE, given)


async def flags(tx: Transaction, institution_id: int) -> list[Flag]:
    """The institution's flags that are up."""
    return many(Flag, await tx.fetch(FLAGS, institution_id))


async def flagged(tx: Transaction) -> dict[int, list[str]]:
    """The rules by which institutions are behind."""
    return {row["institution_id"]: row["rules"] for row in await tx.fetch(FLAGGED)}


def _seer(actor: Actor) -> tuple[int | None, str | None]:
    """The parameters of VISIBLE."""
    return actor.institution_id, actor.node_prefix


async def find(tx: Transaction, actor: Actor, supervision_id: int, *, lock: bool = False) -> Supervision | None:
    """The supervision, if the actor may see it."""
    return one_or_none(Supervision, await tx.fetchrow(LOCKED if lock else FOUND, supervision_id, *_seer(actor)))


async def listed(
    tx: Transaction, actor: Actor, *, is_open: bool | None, before: int | None, limit: int
) -> list[Supervision]:
    """Supervisions that the actor may see, newest first, with ids below ``before``."""
    return many(Supervision, await tx.fetch(LISTED, is_open, *_seer(actor), before, limit))


async def open_of(tx: Transaction, institution_id: int) -> Supervision | None:
    """The institution's open supervision."""
    return one_or_none(Supervision, await tx.fetchrow(OPEN_OF, institution_id))


async def steps(tx: Transaction, supervision_id: int) -> list[SupervisionStep]:
    """What has happened, oldest first."""
    return many(SupervisionStep, await tx.fetch(STEPS, supervision_id))


async def insert(
    tx: Transaction,
    institution_id: int,
    node_id: int,
    reasons: Sequence[Flag],
    clock: Clock,
    *,
    actor_id: int,
    note: str,
) -> int:
    """The id of a new supervision, with its event.

    Raises:
        Conflict: the institution has one that is open.
    """
    try:
        made: int = await tx.fetchval(
            INSERT, institution_id, node_id, reasons, *_moments(clock), actor_id, note, request_id()
        )
    except asyncpg.UniqueViolationError as error:
        raise Conflict(_("这家机构已有一件督导没有办结，请先办完那一件。")) from error
    return made


async def move(
    tx: Transaction,
    supervision_id: int,
    *,
    before: SupervisionState,
    action: SupervisionAction,
    after: SupervisionState,
    actor_id: int,
    note: str,
    clock: Clock | None,
) -> None:
    """Move it, set the clock of its next step going, and write the event, in one statement."""
    await tx.execute(MOVE, supervision_id, before, action, after, actor_id, note, *_moments(clock), request_id())


def _moments(clock: Clock | None) -> tuple[Any, ...]:
    """The parameters of a clock that is set going; nothing where it ends."""
    if clock is None:
        return (None,) * 7
    times = clock.times
    return (
        times.due_at,
        times.provisional,
        times.remind_at,
        times.node_at,
        times.above_at,
        clock.days,
        clock.stamp,
    )


async def stale(tx: Transaction, stamp: int, limit: int) -> list[Counting]:
    """Clocks that run and were counted on an older edition of the calendars, locked."""
    return many(Counting, await tx.fetch(STALE, stamp, limit))


async def recount(tx: Transaction, counted: Sequence[dict[str, Any]], stamp: int) -> None:
    """Write what was counted anew, with an event where it is due at another moment now."""
    await tx.execute(RECOUNT, counted, stamp)


async def tick(tx: Transaction, limit: int) -> int:
    """How many clocks moved a step."""
    return len(await tx.fetch(TICK, limit))
