"""All SQL of matches, ranking runs and candidates."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from infra import live
from infra.db import Transaction, many, one_or_none
from infra.observe import request_id
from market.accounts.model import Actor
from market.errors import CapacityFull
from market.matches.model import (
    Candidate,
    DeclineCount,
    DeclineRequest,
    DeskRow,
    Match,
    MatchAction,
    MatchState,
    Prices,
    PricesUsed,
    RankingRun,
)
from matching.types import Exclusion, Ranking

TAKES_NO_MORE = "ZP001"

# An item of the common list that the institution has taken up: it may not refuse it (article 2).
BOUND = """(s.item_list = 'common' AND EXISTS (
    SELECT FROM take_ups t WHERE t.institution_id = m.institution_id AND t.item_code = m.item_code))"""
MATCH = f"""
SELECT m.id, m.need_id, m.run_id, m.state, m.offering_id, m.offering_version, v.title AS offering_title, m.item_code,
       m.item_version, s.name AS item_name, s.item_list, m.institution_id, m.institution_version,
       n.name AS institution_name, v.promised_days, s.promised_limit, s.statutory_limit, m.due_at,
       m.due_provisional, m.result, m.created_at, {BOUND} AS bound
FROM matches m
JOIN offering_versions v ON v.offering_id = m.offering_id AND v.version = m.offering_version
JOIN service_item_versions s ON s.item_code = m.item_code AND s.version = m.item_version
JOIN institution_versions n ON n.institution_id = m.institution_id AND n.version = m.institution_version
"""
# To an institution a match exists from its approval on; what was only proposed is not its business.
APPROVED = "EXISTS (SELECT FROM events a WHERE a.match_id = m.id AND a.to_state = 'approved')"
OF_INSTITUTION = f"m.institution_id = $2 AND {APPROVED}"
MATCH_BY_ID = f"{MATCH} WHERE m.id = $1 AND ($2::bigint IS NULL OR ({OF_INSTITUTION}))"
LIVE = f"""{MATCH} WHERE m.need_id = $1
AND m.state IN ('proposed', 'approved', 'decline_requested', 'accepted', 'delivered') FOR UPDATE OF m"""
LATEST = f"""{MATCH} WHERE m.need_id = $1
AND m.state IN ('proposed', 'approved', 'decline_requested', 'accepted', 'delivered', 'completed')"""
OWN_INSTITUTION = """
SELECT i.id FROM institutions i JOIN enterprises e ON e.uscc = i.uscc WHERE e.id = $1
"""
# To stay silent is to decline.
DECLINED_BY = "SELECT DISTINCT institution_id FROM matches WHERE need_id = $1 AND state IN ('declined', 'lapsed')"
INSERT_RUN = """
INSERT INTO ranking_runs (need_id, need_version, node_id, model_version, seed, considered, excluded,
                          excluded_counts, request_id, proposed_rank, prices)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id
"""
INSERT_CANDIDATES = """
INSERT INTO candidates (run_id, rank, offering_id, offering_version, score, parts, propensity, shown)
SELECT $1, * FROM unnest($2::integer[], $3::bigint[], $4::integer[], $5::float8[], $6::jsonb[], $7::float8[],
                         $8::boolean[])
"""
# The versions of item and institution in force at this moment are the ones the match will always refer to.
INSERT_MATCH = """
WITH made AS (
    INSERT INTO matches (need_id, run_id, state, offering_id, offering_version, item_code, item_version,
                         institution_id, institution_version)
    SELECT r.need_id, r.id, $3, c.offering_id, c.offering_version, v.item_code, v.item_version, f.institution_id,
           i.version
    FROM ranking_runs r JOIN candidates c ON c.run_id = r.id AND c.offering_id = $2 AND c.shown
    JOIN offering_versions v ON v.offering_id = c.offering_id AND v.version = c.offering_version
    JOIN offerings f ON f.id = c.offering_id JOIN institutions i ON i.id = f.institution_id
    WHERE r.id = $1 RETURNING id, need_id
), step AS (
    INSERT INTO events (need_id, match_id, machine, from_state, action, to_state, actor_id, note, request_id)
    SELECT need_id, id, 'match', 'new', $4, $3, $5::bigint, $6, $7 FROM made
)
SELECT id FROM made
"""
MOVE = """
WITH moved AS (
    UPDATE matches SET state = $4 WHERE id = $1 RETURNING id, need_id
)
INSERT INTO events (need_id, match_id, machine, from_state, action, to_state, actor_id, note, data, request_id)
SELECT need_id, id, 'match', $2, $3, $4, $5::bigint, $6, $7, $8 FROM moved
"""
NOT_DUE = "UPDATE matches SET due_at = NULL, due_provisional = false WHERE id = $1"
SET_RESULT = "UPDATE matches SET result = $2, delivered_on_time = $3 WHERE id = $1"
RUN = """
SELECT id, need_id, need_version, node_id, model_version, seed, considered, excluded, excluded_counts, proposed_rank,
       prices, created_at
FROM ranking_runs WHERE need_id = $1 ORDER BY id DESC LIMIT 1
"""
CANDIDATES = """
SELECT c.rank, c.score, c.parts, c.offering_id, c.offering_version, v.title, v.item_code, s.name AS item_name,
       f.institution_id, n.name AS institution_name, r.name AS institution_region, v.fee, v.promised_days, f.capacity,
       f.load
FROM candidates c
JOIN offering_versions v ON v.offering_id = c.offering_id AND v.version = c.offering_version
JOIN service_item_versions s ON s.item_code = v.item_code AND s.version = v.item_version
JOIN offerings f ON f.id = c.offering_id JOIN institutions i ON i.id = f.institution_id
JOIN institution_versions n ON n.institution_id = i.id AND n.version = i.version
JOIN regions r ON r.code = n.region_code
WHERE c.run_id = $1 AND c.shown ORDER BY c.rank
"""
# The newest plan whose queue this node's needs stand in: its own, or that of a node above.
PRICES = """
SELECT p.plan_id, p.scored_by, p.calibration, p.offerings, p.at
FROM nodes n JOIN nodes d ON starts_with(n.region_prefix, d.region_prefix) JOIN prices p ON p.node_id = d.id
WHERE n.id = $1 AND p.at > now() - make_interval(secs => 3600 * $2::float8) ORDER BY p.at DESC LIMIT 1
"""
SET_PRICES = """
INSERT INTO prices (node_id, plan_id, scored_by, calibration, offerings, at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (node_id) DO UPDATE SET plan_id = excluded.plan_id, scored_by = excluded.scored_by,
    calibration = excluded.calibration, offerings = excluded.offerings, at = excluded.at
"""
TITLES = """
SELECT f.id, n.name || '：' || v.title AS title
FROM offerings f JOIN offering_versions v ON v.offering_id = f.id AND v.version = f.version
JOIN institutions i ON i.id = f.institution_id
JOIN institution_versions n ON n.institution_id = i.id AND n.version = i.version
WHERE f.id = ANY($1::bigint[])
"""
DESK_ROW = f"""
SELECT m.id, m.need_id, m.state, d.region_code, left(d.body, 200) AS body,
       CASE WHEN m.state IN ('approved', 'decline_requested', 'accepted', 'delivered') THEN e.name
            ELSE party_name(e.name, e.kind) END AS enterprise_name,
       v.title AS offering_title, v.promised_days, s.name AS item_name, s.item_list, s.promised_limit,
       s.statutory_limit, m.due_at, m.due_provisional, m.created_at, {BOUND} AS bound
FROM matches m JOIN needs d ON d.id = m.need_id JOIN enterprises e ON e.id = d.enterprise_id
JOIN offering_versions v ON v.offering_id = m.offering_id AND v.version = m.offering_version
JOIN service_item_versions s ON s.item_code = m.item_code AND s.version = m.item_version
"""
DESK = f"""{DESK_ROW}
WHERE m.institution_id = $1 AND {APPROVED} AND m.state = ANY($2::text[]) AND ($3::bigint IS NULL OR m.id < $3::bigint)
ORDER BY m.id DESC LIMIT $4
"""
URGENT = f"""{DESK_ROW}
WHERE m.institution_id = $1 AND m.state IN ('approved', 'decline_requested', 'accepted')
ORDER BY m.due_at NULLS LAST, m.id LIMIT $2
"""

DECLINE_REQUESTS = """
SELECT m.need_id, n.name AS institution_name, s.name AS item_name, v.note AS reason, v.at
FROM needs d JOIN nodes o ON o.id = d.node_id
JOIN matches m ON m.need_id = d.id AND m.state = 'decline_requested'
JOIN institution_versions n ON n.institution_id = m.institution_id AND n.version = m.institution_version
JOIN service_item_versions s ON s.item_code = m.item_code AND s.version = m.item_version
CROSS JOIN LATERAL (
    SELECT note, at FROM events e WHERE e.need_id = d.id AND e.match_id = m.id AND e.action = 'request_decline'
    ORDER BY e.id DESC LIMIT 1
) v
WHERE starts_with(o.region_prefix, $1) AND d.state = 'assigned' ORDER BY v.at
"""
# For the ledger: how often an institution asked not to serve what it has taken up, and what the coordinators said.
DECLINES = """
SELECT m.institution_id, m.item_code,
       count(*) FILTER (WHERE e.action = 'request_decline') AS requested,
       count(*) FILTER (WHERE e.action = 'grant_decline') AS granted,
       count(*) FILTER (WHERE e.action = 'refuse_decline') AS refused
FROM events e JOIN matches m ON m.id = e.match_id
WHERE e.action IN ('request_decline', 'grant_decline', 'refuse_decline') AND e.at >= $1 AND e.at < $2
  AND ($3::bigint IS NULL OR m.institution_id = $3::bigint)
GROUP BY m.institution_id, m.item_code ORDER BY m.institution_id, m.item_code
"""


async def find(tx: Transaction, match_id: int, *, institution_id: int | None = None) -> Match | None:
    """The match; for an institution only one that was assigned to it."""
    return one_or_none(Match, await tx.fetchrow(MATCH_BY_ID, match_id, institution_id))


async def lock_live(tx: Transaction, need_id: int) -> Match | None:
    """The need's live match, locked until the transaction ends. The caller holds the need's lock already."""
    return one_or_none(Match, await tx.fetchrow(LIVE, need_id))


async def latest(tx: Transaction, need_id: int) -> Match | None:
    """The match that serves the need now, or served it to the end."""
    return one_or_none(Match, await tx.fetchrow(LATEST, need_id))


async def own_institution(tx: Transaction, enterprise_id: int) -> int | None:
    """The institution that is this enterprise itself (the same social credit code)."""
    institution_id: int | None = await tx.fetchval(OWN_INSTITUTION, enterprise_id)
    return institution_id


async def declined_by(tx: Transaction, need_id: int) -> tuple[int, ...]:
    """Institutions that declined this need."""
    return tuple(row[0] for row in await tx.fetch(DECLINED_BY, need_id))


async def insert_run(
    tx: Transaction,
    need_id: int,
    need_version: int,
    node_id: int,
    ranking: Ranking,
    excluded: Sequence[Exclusion],
    excluded_counts: Mapping[str, int],
    *,
    proposed_rank: int,
    prices: PricesUsed | None,
) -> int:
    """The id of the stored ranking, with its candidates: those shown, and those kept of the others after them."""
    run_id: int = await tx.fetchval(
        INSERT_RUN,
        need_id,
        need_version,
        node_id,
        ranking.model_version,
        ranking.seed,
        ranking.considered,
        excluded,
        excluded_counts,
        request_id(),
        proposed_rank,
        prices,
    )
    kept = [*ranking.ranked, *ranking.passed_over]
    await tx.execute(
        INSERT_CANDIDATES,
        run_id,
        [c.rank for c in kept],
        [c.offering_id for c in kept],
        [c.offering_version for c in kept],
        [c.score for c in kept],
        [c.parts for c in kept],
        [c.propensity for c in kept],
        [place < len(ranking.ranked) for place in range(len(kept))],
    )
    return run_id


async def insert(
    tx: Transaction,
    run_id: int,
    offering_id: int,
    *,
    state: MatchState,
    action: MatchAction,
    actor_id: int | None,
    note: str,
) -> int | None:
    """The id of a new match on a candidate of the run, with its event; None where it is no candidate."""
    values = (run_id, offering_id, state, action, actor_id, note, request_id())
    try:
        match_id: int | None = await tx.fetchval(INSERT_MATCH, *values)
    except asyncpg.PostgresError as error:
        raise _known(error) from error
    return match_id


async def move(
    tx: Transaction,
    match_id: int,
    *,
    before: MatchState,
    action: MatchAction,
    after: MatchState,
    actor_id: int | None,
    note: str,
    data: dict[str, Any],
) -> None:
    """Move the match and write the event, in one statement."""
    try:
        await tx.execute(MOVE, match_id, before, action, after, actor_id, note, data, request_id())
    except asyncpg.PostgresError as error:
        raise _known(error) from error
    live.tell(tx)


async def not_due(tx: Transaction, match_id: int) -> None:
    """No limit is promised. Where one is, the match's due_at follows its deadline."""
    await tx.execute(NOT_DUE, match_id)


async def set_result(tx: Transaction, match_id: int, result: str, *, on_time: bool) -> None:
    """What was delivered, and whether in time."""
    await tx.execute(SET_RESULT, match_id, result, on_time)


async def latest_run(tx: Transaction, need_id: int) -> RankingRun | None:
    """The need's newest ranking."""
    return one_or_none(RankingRun, await tx.fetchrow(RUN, need_id))


async def candidates(tx: Transaction, run_id: int) -> list[Candidate]:
    """The run's candidates that are shown, best first."""
    return many(Candidate, await tx.fetch(CANDIDATES, run_id))


async def prices(tx: Transaction, node_id: int, hours: float) -> Prices | None:
    """The prices that hold for the node's needs, no older than so many hours."""
    return one_or_none(Prices, await tx.fetchrow(PRICES, node_id, hours))


async def set_prices(tx: Transaction, node_id: int, found: Prices) -> None:
    """A node's prices, in place of those it had."""
    await tx.execute(SET_PRICES, node_id, found.plan_id, found.scored_by, found.calibration, found.offerings, found.at)


async def titles(tx: Transaction, offering_ids: list[int]) -> dict[int, str]:
    """Institution and title of offerings, for lists that hold only ids."""
    return {row["id"]: row["title"] for row in await tx.fetch(TITLES, offering_ids)}


async def desk(
    tx: Transaction, actor: Actor, states: list[MatchState], *, before: int | None, limit: int
) -> list[DeskRow]:
    """The matches of the actor's institution in these states, newest first, with ids below ``before``."""
    return many(DeskRow, await tx.fetch(DESK, actor.institution_id, states, before, limit))


async def urgent(tx: Transaction, actor: Actor, limit: int) -> list[DeskRow]:
    """What the actor's institution has to do, the most urgent first."""
    return many(DeskRow, await tx.fetch(URGENT, actor.institution_id, limit))


async def declines(
    tx: Transaction, start: datetime, end: datetime, institution_id: int | None = None
) -> list[DeclineCount]:
    """Requests to decline and their answers from ``start`` to before ``end``, of one institution or all, by item."""
    return many(DeclineCount, await tx.fetch(DECLINES, start, end, institution_id))


async def decline_requests(tx: Transaction, prefix: str) -> list[DeclineRequest]:
    """What institutions asked of nodes below ``prefix`` and nobody has answered, oldest first."""
    return many(DeclineRequest, await tx.fetch(DECLINE_REQUESTS, prefix))


def _known(error: asyncpg.PostgresError) -> Exception:
    """What the trigger matches_count means by its own SQLSTATE; other errors as they are."""
    return CapacityFull() if error.sqlstate == TAKES_NO_MORE else error
