"""Making a plan: what the worker reads, how it tells how far it is, what it stores. The optimum is in solving.py."""

import asyncio
import time
from datetime import UTC, datetime

from msgspec import Struct

from infra.db import Database, Transaction
from market.learning import serving
from market.matches import queries as match_queries
from market.matches.model import Prices
from market.plans import queries
from market.plans.model import MOST_NEEDS, UNDERWAY, PairRule, PlanState, QueuedCandidate, QueuedNeed, RuleKind
from market.plans.solving import Job, Solved, Yardstick, near
from matching.flow import Step

READ_AT_ONCE = 50
"""Needs whose candidates are read together, after which the plan tells how far it is."""
PAUSE_SECONDS = 0.5
"""Between two writes of how far a solve is."""


class Cancelled(Exception):
    """Nobody wants the plan any more."""


class Begun(Struct, frozen=True):
    """The queue of a plan that runs, as it was then; ``beyond``: needs that found no place in it."""

    needs: list[QueuedNeed]
    beyond: int
    rules: list[PairRule]
    yardstick: Yardstick


async def gather(db: Database, plan_id: int) -> Job | None:
    """All that the plan takes, read in steps that others can watch; None where it does not wait to be made any more."""
    async with db.transaction() as tx:
        begun = await _begin(tx, plan_id)
    if begun is None:
        return None
    candidates: list[QueuedCandidate] = []
    total = len(begun.needs)
    for first in range(0, total, READ_AT_ONCE):
        needs = begun.needs[first : first + READ_AT_ONCE]
        done = first + len(needs)
        async with db.transaction() as tx:
            matches = [need.match_id for need in needs]
            read = await queries.candidates(tx, matches, begun.yardstick.scorer.features)
            candidates += near(needs, read, begun.rules)
            if not await queries.set_progress(tx, plan_id, "reading", done=done, left=total - done):
                return None
    pinned = {rule.offering_id for rule in begun.rules if rule.kind is RuleKind.PIN}
    async with db.transaction() as tx:
        offerings = await queries.offerings(tx, sorted(pinned | {one.offering_id for one in candidates}))
    return Job(
        plan_id=plan_id,
        needs=begun.needs,
        candidates=candidates,
        offerings=offerings,
        rules=begun.rules,
        beyond=begun.beyond,
        yardstick=begun.yardstick,
    )


async def _begin(tx: Transaction, plan_id: int) -> Begun | None:
    plan = await queries.find(tx, plan_id, lock=True)
    if plan is None or plan.state not in UNDERWAY:
        return None
    needs = await queries.needs(tx, plan.node_prefix, MOST_NEEDS)
    waiting = await queries.count(tx, plan.node_prefix)
    await queries.set_state(tx, plan_id, PlanState.RUNNING)
    await queries.set_progress(tx, plan_id, "reading", done=0, left=len(needs))
    queued = {need.need_id for need in needs}
    return Begun(
        needs=needs,
        beyond=max(waiting - len(needs), 0),
        rules=[rule for rule in await queries.rules(tx, plan.node_prefix) if rule.need_id in queued],
        yardstick=Yardstick.of(await serving.champion(tx)),
    )


class Teller:
    """Carries steps from the thread that solves to the plan's row; ends the solve once the plan is cancelled."""

    def __init__(self, db: Database, plan_id: int, loop: asyncio.AbstractEventLoop) -> None:
        self._db, self._plan_id, self._loop = db, plan_id, loop
        self._told = float("-inf")

    def __call__(self, step: Step) -> None:
        """Raises Cancelled."""
        if time.monotonic() - self._told < PAUSE_SECONDS:
            return
        if not asyncio.run_coroutine_threadsafe(self._tell(step), self._loop).result():
            raise Cancelled
        self._told = time.monotonic()

    async def _tell(self, step: Step) -> bool:
        async with self._db.transaction() as tx:
            return await queries.set_progress(tx, self._plan_id, step.phase, done=step.done, left=step.left)


async def store(tx: Transaction, job: Job, solved: Solved) -> bool:
    """Write the finished plan and the node's prices; False, and nothing, where another attempt has, or it is cancelled.

    A plan without prices leaves the last ones as they are: they grow old by themselves.
    """
    plan = await queries.find(tx, job.plan_id, lock=True)
    if plan is None or plan.state is not PlanState.RUNNING:
        return False
    await queries.set_content(tx, job.plan_id, solved.content, needs=len(job.needs))
    if solved.scored_by is not None:
        found = Prices(
            plan_id=plan.id,
            scored_by=solved.scored_by,
            calibration=solved.calibration,
            offerings=solved.prices,
            at=datetime.now(UTC),
        )
        await match_queries.set_prices(tx, plan.node_id, found)
    return True
