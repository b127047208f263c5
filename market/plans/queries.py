"""All SQL of plans."""

from collections.abc import Sequence
from datetime import datetime

from infra.db import Transaction, many, one_or_none
from infra.observe import request_id
from market.plans.model import (
    Content,
    OpenNeed,
    Outcome,
    PairRule,
    Plan,
    PlanState,
    QueuedCandidate,
    QueuedNeed,
    QueuedOffering,
    RuleForm,
)

INSERT = "INSERT INTO plans (node_id, made_by, request_id) VALUES ($1, $2, $3) RETURNING id"
PLAN = """
SELECT p.id, p.node_id, d.name AS node_name, d.region_prefix AS node_prefix, a.name AS made_by_name, p.state,
       p.phase, p.needs_done, p.needs_left, p.content, p.outcomes, p.created_at
FROM plans p JOIN nodes d ON d.id = p.node_id JOIN accounts a ON a.id = p.made_by
"""
PLAN_BY_ID = f"{PLAN} WHERE p.id = $1"
LOCKED_PLAN = f"{PLAN_BY_ID} FOR UPDATE OF p"
LATEST_ID = "SELECT id FROM plans WHERE node_id = $1 ORDER BY id DESC LIMIT 1"
SET_STATE = "UPDATE plans SET state = $2 WHERE id = $1"
SET_PROGRESS = """
UPDATE plans SET phase = $2, needs_done = $3, needs_left = $4 WHERE id = $1 AND state = 'running' RETURNING id
"""
SET_CONTENT = "UPDATE plans SET state = 'done', needs_done = $2, needs_left = 0, content = $3 WHERE id = $1"
SET_OUTCOMES = "UPDATE plans SET outcomes = $2 WHERE id = $1"
# What a coordinator of the node sees under 等我审核, in the same order.
NEEDS = """
SELECT n.id AS need_id, m.id AS match_id, m.offering_id AS first_id, party_name(e.name, e.kind) AS enterprise_name,
       left(n.body, 120) AS body
FROM needs n JOIN nodes d ON d.id = n.node_id JOIN enterprises e ON e.id = n.enterprise_id
JOIN matches m ON m.need_id = n.id AND m.state = 'proposed'
WHERE starts_with(d.region_prefix, $1) AND n.state = 'proposed'
ORDER BY n.due_at, n.id LIMIT $2
"""
COUNT = """
SELECT count(*) FROM needs n JOIN nodes d ON d.id = n.node_id
WHERE starts_with(d.region_prefix, $1) AND n.state = 'proposed'
"""
# Of the run that made the proposal, which is the newest: a need that is ranked again loses its proposal first.
CANDIDATES = """
SELECT m.need_id, c.offering_id, c.score, coalesce(w.most, 0) AS most,
       CASE WHEN w.features = $2::text[] THEN w.values END AS "values", coalesce(i.uscc = e.uscc, false) AS conflict
FROM unnest($1::bigint[]) WITH ORDINALITY AS q (match_id, place) JOIN matches m ON m.id = q.match_id
JOIN needs n ON n.id = m.need_id JOIN enterprises e ON e.id = n.enterprise_id
JOIN candidates c ON c.run_id = m.run_id AND c.shown
JOIN offerings f ON f.id = c.offering_id JOIN institutions i ON i.id = f.institution_id
CROSS JOIN LATERAL (
    SELECT sum((p ->> 'weight')::float8) AS most, array_agg(p ->> 'feature' ORDER BY place) AS features,
           array_agg((p ->> 'value')::float8 ORDER BY place) AS values
    FROM jsonb_array_elements(c.parts) WITH ORDINALITY AS of (p, place)
) w
ORDER BY q.place, c.rank
"""
# All offerings of these institutions, because an institution that is busy elsewhere is not idle.
OFFERINGS = """
SELECT f.id AS offering_id, f.institution_id, n.name AS institution_name, v.title, f.load,
       CASE WHEN f.state = 'published' AND i.state = 'active' THEN f.capacity ELSE 0 END AS capacity
FROM offerings f JOIN offering_versions v ON v.offering_id = f.id AND v.version = f.version
JOIN institutions i ON i.id = f.institution_id
JOIN institution_versions n ON n.institution_id = i.id AND n.version = i.version
WHERE f.institution_id IN (SELECT institution_id FROM offerings WHERE id = ANY($1::bigint[])) ORDER BY f.id
"""
RULES = """
SELECT r.need_id, r.offering_id, r.kind, r.reason, party_name(e.name, e.kind) AS enterprise_name,
       i.name AS institution_name, v.title,
       a.name AS made_by_name, r.created_at
FROM pair_rules r JOIN needs n ON n.id = r.need_id AND n.state = 'proposed' JOIN nodes d ON d.id = n.node_id
JOIN enterprises e ON e.id = n.enterprise_id JOIN accounts a ON a.id = r.made_by
JOIN offerings f ON f.id = r.offering_id JOIN institutions h ON h.id = f.institution_id
JOIN institution_versions i ON i.institution_id = h.id AND i.version = h.version
JOIN offering_versions v ON v.offering_id = f.id AND v.version = f.version
WHERE starts_with(d.region_prefix, $1) ORDER BY n.due_at, n.id, r.created_at
"""
# One word for a pair, and one pin for a need: the new rule takes the place of what stands against it.
DROP_OTHERS = """
DELETE FROM pair_rules WHERE need_id = $1 AND (offering_id = $2 OR (kind = 'pin' AND $3 = 'pin'))
"""
ADD_RULE = """
INSERT INTO pair_rules (need_id, offering_id, kind, reason, made_by)
SELECT m.need_id, c.offering_id, $3, $4, $5
FROM matches m JOIN candidates c ON c.run_id = m.run_id AND c.shown
WHERE m.need_id = $1 AND m.state = 'proposed' AND c.offering_id = $2 RETURNING need_id
"""
DROP_RULE = "DELETE FROM pair_rules WHERE need_id = $1 AND offering_id = $2 RETURNING need_id"
OPEN_NEEDS = """
SELECT n.id AS need_id, m.id AS match_id, m.offering_id AS first_id, party_name(e.name, e.kind) AS enterprise_name,
       left(n.body, 120) AS body, n.due_at, n.due_provisional, c.choices
FROM needs n JOIN nodes d ON d.id = n.node_id JOIN enterprises e ON e.id = n.enterprise_id
JOIN matches m ON m.need_id = n.id AND m.state = 'proposed'
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('offering_id', c.offering_id, 'rank', c.rank,
                                        'name', i.name || ' · ' || v.title) ORDER BY c.rank) AS choices
    FROM candidates c JOIN offerings f ON f.id = c.offering_id
    JOIN offering_versions v ON v.offering_id = c.offering_id AND v.version = c.offering_version
    JOIN institutions h ON h.id = f.institution_id
    JOIN institution_versions i ON i.institution_id = h.id AND i.version = h.version
    WHERE c.run_id = m.run_id AND c.shown
) c
WHERE starts_with(d.region_prefix, $1) AND n.state = 'proposed'
  AND ($2::timestamptz IS NULL OR (n.due_at, n.id) > ($2::timestamptz, $3::bigint))
ORDER BY n.due_at, n.id LIMIT $4
"""
SET_PROPOSED = """
UPDATE ranking_runs r SET proposed_rank = c.rank
FROM matches m JOIN candidates c ON c.run_id = m.run_id AND c.offering_id = $2 WHERE m.id = $1 AND r.id = m.run_id
"""
LOCK_NEEDS = "SELECT id FROM needs WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"
LOCK_OFFERINGS = "SELECT id FROM offerings WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE"


async def insert(tx: Transaction, node_id: int, actor_id: int) -> int:
    """The id of a new plan, which waits to be made."""
    plan_id: int = await tx.fetchval(INSERT, node_id, actor_id, request_id())
    return plan_id


async def find(tx: Transaction, plan_id: int, *, lock: bool = False) -> Plan | None:
    """The plan; with ``lock`` until the transaction ends."""
    return one_or_none(Plan, await tx.fetchrow(LOCKED_PLAN if lock else PLAN_BY_ID, plan_id))


async def latest_id(tx: Transaction, node_id: int) -> int | None:
    """The node's newest plan."""
    plan_id: int | None = await tx.fetchval(LATEST_ID, node_id)
    return plan_id


async def set_state(tx: Transaction, plan_id: int, state: PlanState) -> None:
    """Any state but DONE, which comes with the content."""
    await tx.execute(SET_STATE, plan_id, state)


async def set_progress(tx: Transaction, plan_id: int, phase: str, *, done: int, left: int) -> bool:
    """How far a running plan is; False where it is not running any more."""
    return await tx.fetchval(SET_PROGRESS, plan_id, phase, done, left) is not None


async def set_content(tx: Transaction, plan_id: int, content: Content, *, needs: int) -> None:
    """The plan of so many needs is done."""
    await tx.execute(SET_CONTENT, plan_id, needs, content)


async def set_outcomes(tx: Transaction, plan_id: int, outcomes: Sequence[Outcome]) -> None:
    """What became of the plan's pairs."""
    await tx.execute(SET_OUTCOMES, plan_id, outcomes)


async def needs(tx: Transaction, prefix: str, limit: int) -> list[QueuedNeed]:
    """Needs that wait for approval at nodes below ``prefix``, the first due first."""
    return many(QueuedNeed, await tx.fetch(NEEDS, prefix, limit))


async def count(tx: Transaction, prefix: str) -> int:
    """How many needs wait for approval at nodes below ``prefix``."""
    waiting: int = await tx.fetchval(COUNT, prefix)
    return waiting


async def candidates(tx: Transaction, match_ids: list[int], features: Sequence[str]) -> list[QueuedCandidate]:
    """Candidates of the runs these matches came from, in the order of the matches, best first; with values where the
    run had these features."""
    return many(QueuedCandidate, await tx.fetch(CANDIDATES, match_ids, features))


async def offerings(tx: Transaction, offering_ids: list[int]) -> list[QueuedOffering]:
    """These and all other offerings of their institutions."""
    return many(QueuedOffering, await tx.fetch(OFFERINGS, offering_ids))


async def rules(tx: Transaction, prefix: str) -> list[PairRule]:
    """What was ruled for needs that wait for approval at nodes below ``prefix``, the first due first."""
    return many(PairRule, await tx.fetch(RULES, prefix))


async def set_rule(tx: Transaction, rule: RuleForm, actor_id: int) -> bool:
    """Rule for a pair, in place of what stood against it; False where the offering is no candidate of the need.

    The caller holds the need's lock.
    """
    await tx.execute(DROP_OTHERS, rule.need_id, rule.offering_id, rule.kind)
    values = (rule.need_id, rule.offering_id, rule.kind, rule.reason, actor_id)
    return await tx.fetchval(ADD_RULE, *values) is not None


async def drop_rule(tx: Transaction, need_id: int, offering_id: int) -> bool:
    """Take a rule back; False where there was none."""
    return await tx.fetchval(DROP_RULE, need_id, offering_id) is not None


async def open_needs(tx: Transaction, prefix: str, *, after: tuple[datetime, int] | None, limit: int) -> list[OpenNeed]:
    """Needs as ``needs``, each with its candidates; those after this deadline and id."""
    return many(OpenNeed, await tx.fetch(OPEN_NEEDS, prefix, *(after or (None, None)), limit))


async def set_proposed(tx: Transaction, match_id: int, offering_id: int) -> None:
    """Of the run behind this proposal, another candidate was proposed in the end."""
    await tx.execute(SET_PROPOSED, match_id, offering_id)


async def lock(tx: Transaction, need_ids: list[int], offering_ids: list[int]) -> None:
    """Hold needs, then offerings, each by id, so that two who approve many at once never wait for each other."""
    await tx.fetch(LOCK_NEEDS, need_ids)
    await tx.fetch(LOCK_OFFERINGS, offering_ids)
