"""All SQL of plans."""

from collections.abc import Sequence

from infra.db import Transaction, many, one_or_none
from infra.observe import request_id
from market.plans.model import (
    Content,
    Outcome,
    Plan,
    PlanState,
    QueuedCandidate,
    QueuedNeed,
    QueuedOffering,
)

INSERT = "INSERT INTO plans (node_id, made_by, request_id) VALUES ($1, $2, $3) RETURNING id"
PLAN = """
SELECT p.id, p.node_id, d.name AS node_name, d.region_prefix AS node_prefix, a.name AS made_by_name, p.state,
       p.needs_done, p.needs_left, p.content, p.outcomes, p.created_at
FROM plans p JOIN nodes d ON d.id = p.node_id JOIN accounts a ON a.id = p.made_by
"""
PLAN_BY_ID = f"{PLAN} WHERE p.id = $1"
LOCKED_PLAN = f"{PLAN_BY_ID} FOR UPDATE OF p"
LATEST_ID = "SELECT id FROM plans WHERE node_id = $1 ORDER BY id DESC LIMIT 1"
SET_PROGRESS = "UPDATE plans SET state = $2, needs_done = $3, needs_left = $4, content = $5 WHERE id = $1"
SET_OUTCOMES = "UPDATE plans SET outcomes = $2 WHERE id = $1"
# What a coordinator of the node sees under 等我审核, in the same order.
NEEDS = """
SELECT n.id AS need_id, m.id AS match_id, m.offering_id AS first_id, e.name AS enterprise_name,
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
SELECT m.need_id, c.offering_id, least(1, greatest(0, coalesce(c.score / nullif(w.most, 0), 0))) AS utility,
       coalesce(i.uscc = e.uscc, false) AS conflict
FROM unnest($1::bigint[]) WITH ORDINALITY AS q (match_id, place) JOIN matches m ON m.id = q.match_id
JOIN needs n ON n.id = m.need_id JOIN enterprises e ON e.id = n.enterprise_id
JOIN candidates c ON c.run_id = m.run_id AND c.shown
JOIN offerings f ON f.id = c.offering_id JOIN institutions i ON i.id = f.institution_id
CROSS JOIN LATERAL (SELECT sum((p ->> 'weight')::float8) AS most FROM jsonb_array_elements(c.parts) p) w
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


async def set_progress(
    tx: Transaction, plan_id: int, state: PlanState, *, done: int, left: int, content: Content | None = None
) -> None:
    """How far the plan is; ``content`` with DONE, and only then."""
    await tx.execute(SET_PROGRESS, plan_id, state, done, left, content)


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


async def candidates(tx: Transaction, match_ids: list[int]) -> list[QueuedCandidate]:
    """Candidates of the runs these matches came from, in the order of the matches, best first."""
    return many(QueuedCandidate, await tx.fetch(CANDIDATES, match_ids))


async def offerings(tx: Transaction, offering_ids: list[int]) -> list[QueuedOffering]:
    """These and all other offerings of their institutions."""
    return many(QueuedOffering, await tx.fetch(OFFERINGS, offering_ids))


async def lock(tx: Transaction, need_ids: list[int], offering_ids: list[int]) -> None:
    """Hold needs, then offerings, each by id, so that two who approve many at once never wait for each other."""
    await tx.fetch(LOCK_NEEDS, need_ids)
    await tx.fetch(LOCK_OFFERINGS, offering_ids)
