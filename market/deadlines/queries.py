"""All SQL of deadlines."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from infra import outbox
from infra.db import Transaction, many, one_or_none
from infra.observe import request_id
from market.deadlines.model import BoardRow, Counting, Deadline, DeadlineState, LimitKind, Moved, NewDeadline, View

# $3: new deadlines as jsonb; the columns of NewDeadline.
START = """
INSERT INTO deadlines (need_id, match_id, kind, state, days, months, due_at, provisional, remind_at, node_at, above_at,
                       stamp)
SELECT $1, $2::bigint, kind, 'running', days, months, due_at, provisional, remind_at, node_at, above_at, stamp
FROM jsonb_to_recordset($3) AS g (
    kind text, days integer, months integer, due_at timestamptz, provisional boolean, remind_at timestamptz,
    node_at timestamptz, above_at timestamptz, stamp bigint)
"""
END = """
UPDATE deadlines SET state = $2, ended_at = now(), left_days = NULL
WHERE need_id = $1 AND ended_at IS NULL AND ($3::text[] IS NULL OR kind = ANY($3::text[]))
"""
DEADLINE = "SELECT id, kind, state, match_id, due_at, provisional, left_days FROM deadlines"
LIVE = f"{DEADLINE} WHERE need_id = $1 AND kind = $2 AND ended_at IS NULL FOR UPDATE"
OF_NEED = f"{DEADLINE} WHERE need_id = $1 AND ended_at IS NULL ORDER BY due_at, id"
PAUSE = """
WITH paused AS (
    UPDATE deadlines SET state = 'paused', left_days = $2 WHERE id = $1 RETURNING id, need_id, match_id, kind
)
INSERT INTO events (need_id, match_id, deadline_id, machine, from_state, action, to_state, data, request_id)
SELECT need_id, match_id, id, 'deadline', $3, 'pause', 'paused',
       jsonb_build_object('limit', kind, 'left_days', $2::integer), $4 FROM paused
"""
RESUME = """
WITH resumed AS (
    UPDATE deadlines SET state = 'running', started_at = now(), days = left_days, months = NULL, left_days = NULL,
           due_at = $2, provisional = $3, remind_at = $4, node_at = $5, above_at = $6, stamp = $7
    WHERE id = $1 RETURNING id, need_id, match_id, kind, due_at
)
INSERT INTO events (need_id, match_id, deadline_id, machine, from_state, action, to_state, data, request_id)
SELECT need_id, match_id, id, 'deadline', 'paused', 'resume', 'running',
       jsonb_build_object('limit', kind, 'due_at', due_at), $8 FROM resumed
"""
# What time brings, in its order; each step once, for the row that is read is the row that is written, under its lock.
# Needs that somebody holds are passed over until the next batch: whoever holds one may be about to end its deadlines.
# Locks are taken in the order named, and kept for what is passed over after them: the need first, or a deadline passed
# over for its need would stay locked, and others pass over it too.
# A deadline that waits to be counted on a new calendar does not move.
MOVE = """
WITH due AS MATERIALIZED (
    SELECT d.id, d.state AS before, d.next_at AS planned_at
    FROM deadlines d JOIN needs n ON n.id = d.need_id
    WHERE d.next_at <= now()
      AND (d.state NOT IN ('running', 'reminded') OR d.stamp = (SELECT stamp FROM calendar_stamp))
    ORDER BY d.next_at, d.id LIMIT $1
    FOR KEY SHARE OF n SKIP LOCKED FOR NO KEY UPDATE OF d SKIP LOCKED
), moved AS (
    UPDATE deadlines d SET state = CASE due.before
        WHEN 'running' THEN CASE WHEN d.remind_at IS NULL THEN 'overdue' ELSE 'reminded' END
        WHEN 'reminded' THEN 'overdue'
        WHEN 'overdue' THEN 'escalated'
        ELSE 'escalated_above' END
    FROM due WHERE d.id = due.id
    RETURNING d.id, d.need_id, d.match_id, d.kind, d.due_at, due.before, d.state AS after, due.planned_at
), told AS (
    INSERT INTO events (need_id, match_id, deadline_id, machine, from_state, action, to_state, data)
    SELECT v.need_id, v.match_id, v.id, 'deadline', v.before,
           CASE v.after WHEN 'reminded' THEN 'remind' WHEN 'overdue' THEN 'expire' WHEN 'escalated' THEN 'escalate'
                ELSE 'escalate_above' END,
           v.after,
           jsonb_build_object('limit', v.kind, 'due_at', v.due_at, 'planned_at', v.planned_at, 'to',
               CASE v.after
                   WHEN 'reminded' THEN CASE WHEN v.kind = ANY($2::text[]) THEN w.institution ELSE w.owner END
                   WHEN 'overdue' THEN CASE WHEN v.kind = ANY($2::text[]) THEN w.institution || w.owner ELSE w.owner END
                   WHEN 'escalated' THEN w.node
                   ELSE w.above END)
    FROM moved v JOIN needs n ON n.id = v.need_id JOIN nodes o ON o.id = n.node_id
    LEFT JOIN matches m ON m.id = v.match_id
    CROSS JOIN LATERAL (
        SELECT jsonb_build_array(jsonb_build_object('institution_id', m.institution_id)) AS institution,
               jsonb_build_array(CASE WHEN n.owner_id IS NULL THEN jsonb_build_object('node_id', n.node_id)
                                      ELSE jsonb_build_object('account_id', n.owner_id) END) AS owner,
               jsonb_build_array(jsonb_build_object('node_id', n.node_id)) AS node,
               jsonb_build_array(jsonb_build_object('node_id', coalesce(o.parent_id, n.node_id))) AS above
    ) w
    ORDER BY v.planned_at, v.id
), asked AS (
    INSERT INTO outbox (topic, payload)
    SELECT $3, jsonb_build_object('match_id', match_id) FROM moved
    WHERE kind = 'accept' AND after = 'overdue' ORDER BY planned_at, id RETURNING id
)
SELECT (SELECT count(*) FROM moved) AS moved, (SELECT count(*) FROM asked) AS asked
"""
STALE = """
SELECT d.id, d.need_id, d.kind, n.region_code, d.started_at, d.days, d.months, d.due_at
FROM deadlines d JOIN needs n ON n.id = d.need_id
WHERE d.state IN ('running', 'reminded') AND d.stamp < $1 ORDER BY d.stamp, d.id LIMIT $2
FOR NO KEY UPDATE OF n, d SKIP LOCKED
"""
# What did not move is only stamped, and nobody hears of it.
RECOUNT = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset($1) AS g (
        id bigint, due_at timestamptz, provisional boolean, remind_at timestamptz, node_at timestamptz,
        above_at timestamptz)
), before AS (
    SELECT d.id, d.state, d.due_at FROM deadlines d JOIN given USING (id)
), moved AS (
    UPDATE deadlines d SET state = 'running', due_at = g.due_at, provisional = g.provisional, remind_at = g.remind_at,
           node_at = g.node_at, above_at = g.above_at, stamp = $2
    FROM given g JOIN before b USING (id) WHERE d.id = g.id AND d.due_at <> g.due_at
    RETURNING d.id, d.need_id, d.match_id, d.kind, d.due_at, b.state AS from_state, b.due_at AS promised_at
), stamped AS (
    UPDATE deadlines d SET provisional = g.provisional, node_at = g.node_at, above_at = g.above_at, stamp = $2,
           remind_at = CASE d.state WHEN 'running' THEN g.remind_at ELSE d.remind_at END
    FROM given g WHERE d.id = g.id AND d.due_at = g.due_at
)
INSERT INTO events (need_id, match_id, deadline_id, machine, from_state, action, to_state, data)
SELECT need_id, match_id, id, 'deadline', from_state, 'recount', 'running',
       jsonb_build_object('limit', kind, 'before', promised_at, 'due_at', due_at) FROM moved RETURNING id
"""
# $1: prefixes of region codes; $2: what is due earlier ends before the days that change.
WITHIN_REGIONS = """
SELECT d.id, d.need_id, d.kind, n.region_code, d.started_at, d.days, d.months, d.due_at
FROM deadlines d JOIN needs n ON n.id = d.need_id
WHERE d.state IN ('running', 'reminded') AND d.due_at >= $2
  AND EXISTS (SELECT FROM unnest($1::text[]) AS p (prefix) WHERE starts_with(n.region_code, p.prefix))
ORDER BY d.due_at, d.id LIMIT $3
"""
BEHIND = """
SELECT coalesce(extract(epoch FROM now() - min(next_at)), 0)::float8 FROM deadlines WHERE next_at <= now()
"""
ROW = """
SELECT d.id, d.kind, d.state, d.match_id, d.due_at, d.provisional, d.left_days, d.need_id, n.region_code,
       left(n.body, 200) AS body, party_name(e.name, e.kind) AS enterprise_name, o.name AS node_name,
       a.name AS owner_name,
       v.name AS institution_name
FROM deadlines d JOIN needs n ON n.id = d.need_id JOIN nodes o ON o.id = n.node_id
JOIN enterprises e ON e.id = n.enterprise_id LEFT JOIN accounts a ON a.id = n.owner_id
LEFT JOIN matches m ON m.id = d.match_id
LEFT JOIN institution_versions v ON v.institution_id = m.institution_id AND v.version = m.institution_version
"""
# $3: a view; $4: the end of today where the board is looked at.
SHOWN = """
CASE $3::text
    WHEN 'today' THEN d.state IN ('running', 'reminded') AND d.due_at <= $4
    WHEN 'overdue' THEN d.state IN ('overdue', 'escalated', 'escalated_above')
    WHEN 'escalated' THEN d.state IN ('escalated', 'escalated_above')
    WHEN 'paused' THEN d.state = 'paused'
    ELSE d.state IN ('running', 'reminded') AND d.due_at > $4
END
"""
WITHIN = "d.ended_at IS NULL AND starts_with(o.region_prefix, $1) AND ($2::bigint IS NULL OR n.owner_id = $2::bigint)"
BOARD = f"""{ROW}
WHERE {WITHIN} AND {SHOWN} AND ($5::timestamptz IS NULL OR (d.due_at, d.id) > ($5::timestamptz, $6::bigint))
ORDER BY d.due_at, d.id LIMIT $7
"""
COUNTS = f"""
SELECT count(*) FILTER (WHERE d.state IN ('running', 'reminded') AND d.due_at <= $3) AS today,
       count(*) FILTER (WHERE d.state IN ('overdue', 'escalated', 'escalated_above')) AS overdue,
       count(*) FILTER (WHERE d.state IN ('escalated', 'escalated_above')) AS escalated,
       count(*) FILTER (WHERE d.state = 'paused') AS paused,
       count(*) FILTER (WHERE d.state IN ('running', 'reminded') AND d.due_at > $3) AS coming
FROM deadlines d JOIN needs n ON n.id = d.need_id JOIN nodes o ON o.id = n.node_id WHERE {WITHIN}
"""
ADOPT = "SELECT adopt_deadlines()"


async def start(tx: Transaction, need_id: int, match_id: int | None, new: Sequence[NewDeadline]) -> None:
    """Write deadlines of the need, of a match where they concern one."""
    await tx.execute(START, need_id, match_id, new)


async def end(tx: Transaction, need_id: int, state: DeadlineState, kinds: Sequence[LimitKind] | None = None) -> None:
    """End the need's live deadlines, all or those of some kinds."""
    await tx.execute(END, need_id, state, kinds)


async def lock_live(tx: Transaction, need_id: int, kind: LimitKind) -> Deadline | None:
    """The live deadline of that kind, locked. The caller holds the need's lock already."""
    return one_or_none(Deadline, await tx.fetchrow(LIVE, need_id, kind))


async def of_need(tx: Transaction, need_id: int) -> list[Deadline]:
    """The need's live deadlines, the first due first."""
    return many(Deadline, await tx.fetch(OF_NEED, need_id))


async def pause(tx: Transaction, deadline: Deadline, left_days: int) -> None:
    """Stop the clock, with what is left."""
    await tx.execute(PAUSE, deadline.id, left_days, deadline.state, request_id())


async def resume(tx: Transaction, deadline_id: int, new: NewDeadline) -> None:
    """Let the clock run for what was left, from now on."""
    await tx.execute(
        RESUME,
        deadline_id,
        new.due_at,
        new.provisional,
        new.remind_at,
        new.node_at,
        new.above_at,
        new.stamp,
        request_id(),
    )


async def move(tx: Transaction, limit: int, of_institution: Sequence[LimitKind], lapse: str) -> Moved:
    """Move the first ``limit`` deadlines that are due a step; ``lapse``: topic for institutions that stayed silent."""
    (moved,) = many(Moved, await tx.fetch(MOVE, limit, of_institution, lapse))
    if moved.asked:
        outbox.wake_relay(tx)
    return moved


async def stale(tx: Transaction, stamp: int, limit: int) -> list[Counting]:
    """Deadlines that run and were counted on an older edition of the calendars, locked with their needs."""
    return many(Counting, await tx.fetch(STALE, stamp, limit))


async def recount(tx: Transaction, counted: Sequence[Any], stamp: int) -> int:
    """Write what was counted anew; how many deadlines are due at another moment now."""
    return len(await tx.fetch(RECOUNT, counted, stamp))


async def within_regions(tx: Transaction, prefixes: Sequence[str], since: datetime, limit: int) -> list[Counting]:
    """Deadlines that run in regions whose codes have one of the prefixes, due from ``since`` on, by due moment."""
    return many(Counting, await tx.fetch(WITHIN_REGIONS, prefixes, since, limit))


async def behind(tx: Transaction) -> float:
    """For how many seconds the first step that is due has waited; 0 where none is."""
    seconds: float = await tx.fetchval(BEHIND)
    return seconds


async def board(
    tx: Transaction,
    prefix: str,
    view: View,
    *,
    owner_id: int | None,
    today_ends: datetime,
    after: tuple[datetime, int] | None,
    limit: int,
) -> list[BoardRow]:
    """Live deadlines of needs at nodes below ``prefix``, the first due first, after the row that ``after`` names."""
    due_at, deadline_id = after or (None, None)
    rows = await tx.fetch(BOARD, prefix, owner_id, view, today_ends, due_at, deadline_id, limit)
    return many(BoardRow, rows)


async def counts(tx: Transaction, prefix: str, owner_id: int | None, today_ends: datetime) -> dict[View, int]:
    """How many deadlines each view of the board has."""
    row = await tx.fetchrow(COUNTS, prefix, owner_id, today_ends)
    assert row is not None, "an aggregate always has a row"
    return {View(name): count for name, count in row.items()}


async def adopt(tx: Transaction) -> None:
    """Give deadlines to whatever is open and has none."""
    await tx.execute(ADOPT)
