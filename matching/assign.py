"""Who serves whom: a whole queue at the optimum, under capacity, with the reason for every need that is left over.

For one need that arrives alone, `price_adjusted_choice` comes near the same optimum with the prices of the last plan.
"""

import numpy as np
from msgspec import Struct

from matching.errors import MatchingError
from matching.evaluate import Balance, balance
from matching.flow import FAR, Int32Array, Network, Progress, solve
from matching.rank import best_first
from matching.types import BoolArray, FloatArray, IntArray

SCALE = 10_000  # utilities are counted in ten-thousandths
MOST = 1_000.0  # of a utility's size, so that sums of costs stay whole numbers far from overflow
MOST_MATCHES = 1_000_000  # of a capacity, a load, or the number of institutions

ASSIGNED, NO_CANDIDATES, CONFLICT, FULL, NOT_WORTH = range(5)
REASONS: tuple[str, ...] = ("assigned", "no_candidates", "conflict", "full", "not_worth")
"""Why a need has what it has: `conflict` where all its candidates are the enterprise itself, `full` where all others
have no capacity left, `not_worth` where the load would cost more than the need gains."""

NOT_A_CANDIDATE, FORBIDDEN, TOO_MANY = range(3)
BINDING: tuple[str, ...] = ("not_a_candidate", "forbidden", "too_many")
"""Why no plan can keep a pin: the offering is none of the need's candidates; the pair may not be; more needs are pinned
to the offering than it has room for."""

NEAR = 0.75
"""Of the best candidate's score: who reaches less does not take its place, be it in a plan or for a price. That would
only get the need off the table."""


class AssignmentError(MatchingError):
    """The arrays of a queue do not fit each other, or a number in them cannot be."""


class Queue(Struct, frozen=True, eq=False):
    """n needs with their candidates among m offerings of s institutions.

    The candidates of need i are `start[i]:start[i + 1]` in `offering` [a], `utility` [a] (0..1, say the probability of
    acceptance times what it is worth) and `conflict` [a], true where the pair may not be. `capacity` and `load` [m]
    in matches, `institution` [m] numbered from 0. `pinned` [n]: the offering a coordinator has fixed for a need, −1
    for none; it is kept whatever else holds (`contradictions` tells where that breaks a rule).
    """

    start: IntArray
    offering: Int32Array
    utility: FloatArray
    conflict: BoolArray
    capacity: IntArray
    load: IntArray
    institution: IntArray
    pinned: IntArray


class Policy(Struct, frozen=True):
    """The published rule of distribution, in units of utility.

    `load_costs`: (utilisation up to which, cost of each match there), rising: the fuller an institution, the better a
    match with it must be. `idle_bonus`: what the first match of an institution without any is worth besides.
    `leave_cost`: what leaving a need without a match costs besides its utility.
    """

    load_costs: tuple[tuple[float, float], ...] = ((0.5, 0.0), (0.8, 0.01), (1.0, 0.03))
    idle_bonus: float = 0.1
    leave_cost: float = 1.0


PLAIN = Policy(load_costs=((1.0, 0.0),), idle_bonus=0.0)
"""Utility alone."""


class Contradiction(Struct, frozen=True):
    """Pins that cannot all be kept: positions of the needs and of their offering; `reason` indexes BINDING."""

    reason: int
    offering: int
    needs: tuple[int, ...]


class Plan(Struct, frozen=True, eq=False):
    """What `assign` proposes; nothing is done until a coordinator approves.

    `offering` [n], −1 for none; `reason` [n] indexes REASONS; `alternates` [n, r], next best at the prices, −1 for
    none; `price` [m]: how much better than the next a match must be to get this offering, in utility; infinite for one
    without capacity. `load` [m] after the plan. `utility` [n] of each need's match. `optimal`: proven, not hoped.
    """

    offering: IntArray
    reason: IntArray
    alternates: IntArray
    price: FloatArray
    load: IntArray
    utility: FloatArray
    optimal: bool

    @property
    def matched(self) -> int:
        return int((self.offering >= 0).sum())

    def balance(self, institution: IntArray) -> Balance:
        """How this plan spreads work over the institutions [m] of its offerings."""
        served = np.bincount(
            institution[self.offering[self.offering >= 0]], minlength=int(institution.max(initial=-1)) + 1
        )
        return balance(served, self.utility)


def assign(queue: Queue, policy: Policy, *, alternates: int = 3, progress: Progress = lambda _step: None) -> Plan:
    """The best plan for the whole queue. Raises AssignmentError on arrays that do not fit, SolverError if it gives up.

    An empty queue, no capacity, or no candidates give a plan with reasons, never an error. Seconds for a hundred
    thousand needs: run it in a job, and show `progress`.
    """
    _check(queue, policy)
    m = len(queue.capacity)
    pinned = queue.pinned >= 0
    load = queue.load + np.bincount(queue.pinned[pinned], minlength=m)
    room = np.maximum(queue.capacity - load, 0)
    usable = ~queue.conflict & (room > 0)[queue.offering] & np.repeat(~pinned, np.diff(queue.start))
    kept = np.flatnonzero(usable)
    network = _network(queue, policy, kept, room=room, load=load)
    solution = solve(network, progress)
    placed = np.flatnonzero(solution.arc >= 0)
    arc = kept[solution.arc[placed]]
    offering, utility = queue.pinned.copy(), _pinned_utility(queue)
    offering[placed], utility[placed] = queue.offering[arc], queue.utility[arc]
    load = load + np.bincount(queue.offering[arc], minlength=m)
    price = np.where(solution.price < FAR // 2, solution.price / SCALE, np.inf)
    return Plan(
        offering=offering,
        reason=_reasons(queue, offering, full=load >= queue.capacity),
        alternates=_alternates(queue, offering, price, free=load < queue.capacity, count=alternates),
        price=price,
        load=load,
        utility=utility,
        optimal=solution.proven,
    )


def contradictions(queue: Queue) -> tuple[Contradiction, ...]:
    """Why there is no plan that keeps all pins and all rules: the binding reasons; none where there is one.

    `assign` would keep the pins and break the rules: ask here first where people are to decide between the two.
    """
    pinned = np.flatnonzero(queue.pinned >= 0)
    owner = np.repeat(np.arange(len(queue.pinned)), np.diff(queue.start))
    same = queue.offering == queue.pinned[owner]
    listed = np.isin(pinned, owner[same])
    allowed = np.isin(pinned, owner[same & ~queue.conflict])
    found = [
        Contradiction(NOT_A_CANDIDATE if not known else FORBIDDEN, int(queue.pinned[need]), (int(need),))
        for need, known, fine in zip(pinned, listed, allowed, strict=True)
        if not fine
    ]
    room = np.maximum(queue.capacity - queue.load, 0)
    many = np.bincount(queue.pinned[pinned], minlength=len(room)) > room
    for offering in np.flatnonzero(many).tolist():
        needs = pinned[queue.pinned[pinned] == offering]
        found.append(Contradiction(TOO_MANY, offering, tuple(needs.tolist())))
    return tuple(found)


def price_adjusted_choice(
    utility: FloatArray, price: FloatArray, offering_ids: IntArray, *, top: int, seed: int
) -> IntArray:
    """Positions of the best candidates for a single new need, all [k], by utility less price; ties by `seed`.

    A price keeps an offering in demand free for the need it fits best. Those with an infinite price are left out.
    """
    if not np.isfinite(utility).all() or np.isnan(price).any():
        raise AssignmentError("utilities must be finite, and prices numbers")
    open_ = np.flatnonzero(price < np.inf)
    return open_[best_first((utility - price)[open_], offering_ids[open_], top=top, seed=seed)]


def _network(queue: Queue, policy: Policy, kept: IntArray, *, room: IntArray, load: IntArray) -> Network:
    tier_room, tier_cost = _tiers(queue, policy, load)
    gain = np.round(SCALE * (queue.utility[kept] + policy.leave_cost)).astype(np.int32)
    return Network(
        start=np.searchsorted(kept, queue.start),
        offering=queue.offering[kept].astype(np.int32),
        gain=gain,
        room=room,
        institution=queue.institution,
        tier_room=tier_room,
        tier_cost=tier_cost,
    )


def _tiers(queue: Queue, policy: Policy, load: IntArray) -> tuple[IntArray, IntArray]:
    """Room and cost of each institution's load tiers, [s, t]: the first match of an idle one, then by utilisation.

    Only capacity that a match could use counts: an offering loaded above its capacity adds no room elsewhere.
    """
    institutions = int(queue.institution.max(initial=-1)) + 1

    def summed(values: IntArray) -> IntArray:
        return np.bincount(queue.institution, values, minlength=institutions).astype(np.int64)

    taken = summed(np.minimum(load, queue.capacity))
    capacity = summed(queue.capacity)
    bounds = [np.ceil(share * capacity).astype(np.int64) for share, _ in policy.load_costs]
    edges = np.stack([taken, *(np.maximum(bound, taken) for bound in bounds)], axis=1)
    room = np.diff(edges, axis=1)
    cost = np.tile([round(SCALE * cost) for _, cost in policy.load_costs], (institutions, 1))
    # The bonus is a tier of its own, of one unit, cut from the first tier that has room.
    lowest = np.arange(room.shape[1]) == (room > 0).argmax(axis=1)[:, None]
    idle = (summed(load) == 0) & (room.sum(axis=1) > 0)
    first_cost = np.where(lowest, cost, 0).sum(axis=1) - round(SCALE * policy.idle_bonus)
    room = room - (lowest & idle[:, None])
    return np.column_stack([idle, room]).astype(np.int64), np.column_stack([first_cost, cost]).astype(np.int64)


def _pinned_utility(queue: Queue) -> FloatArray:
    """[n]: the utility of each pinned pair, 0 where it was no candidate and for needs without a pin."""
    utility = np.zeros(len(queue.pinned))
    owner = np.repeat(np.arange(len(queue.pinned)), np.diff(queue.start))
    same = np.flatnonzero(queue.offering == queue.pinned[owner])
    utility[owner[same]] = queue.utility[same]
    return utility


def _reasons(queue: Queue, offering: IntArray, *, full: BoolArray) -> IntArray:
    """[n], positions in REASONS."""
    has = np.diff(queue.start) > 0
    allowed = _any(~queue.conflict, queue.start)
    open_ = _any(~queue.conflict & ~full[queue.offering], queue.start)
    return np.select([offering >= 0, ~has, ~allowed, ~open_], [ASSIGNED, NO_CANDIDATES, CONFLICT, FULL], NOT_WORTH)


def _any(mask: BoolArray, start: IntArray) -> BoolArray:
    """[n]: whether `mask` [a] holds anywhere in each need's arcs."""
    counts = np.concatenate([[0], np.cumsum(mask)])
    found: BoolArray = counts[start[1:]] > counts[start[:-1]]
    return found


def _alternates(queue: Queue, plan: IntArray, price: FloatArray, *, free: BoolArray, count: int) -> IntArray:
    """[n, count]: who else could take each need now, best first by utility less price; −1 where nobody is left."""
    found = np.full((len(plan), count), -1, dtype=np.int64)
    usable = ~queue.conflict & free[queue.offering]
    usable &= queue.offering != np.repeat(plan, np.diff(queue.start))
    arcs = np.flatnonzero(usable)
    offering = queue.offering[arcs]
    worth = queue.utility[arcs] - price[offering]
    owner = np.repeat(np.arange(len(plan)), np.diff(queue.start))[arcs]
    for place in range(count):
        if len(owner) == 0:
            break
        first = np.flatnonzero(np.diff(owner, prepend=-1))
        best = np.repeat(np.maximum.reduceat(worth, first), np.diff(first, append=len(owner)))
        top = np.flatnonzero((worth == best) & (worth > -np.inf))
        top = top[np.flatnonzero(np.diff(owner[top], prepend=-1))]
        found[owner[top], place] = offering[top]
        worth[top] = -np.inf
    return found


def _check(queue: Queue, policy: Policy) -> None:
    n, m, arcs = len(queue.pinned), len(queue.capacity), len(queue.offering)
    if len(queue.start) != n + 1 or queue.start[0] != 0 or queue.start[-1] != arcs or (np.diff(queue.start) < 0).any():
        raise AssignmentError(f"start must rise from 0 to {arcs} in {n} steps")
    if not len(queue.utility) == len(queue.conflict) == arcs or not len(queue.load) == len(queue.institution) == m:
        raise AssignmentError("arrays of candidates, or of offerings, differ in length")
    for name, rows in (("offering", queue.offering), ("pinned", queue.pinned)):
        if len(rows) and not (rows.min() >= (-1 if name == "pinned" else 0) and rows.max() < m):
            raise AssignmentError(f"{name} must number the {m} offerings from 0")
    if (np.abs(queue.utility) < MOST).sum() < arcs:
        raise AssignmentError(f"utilities must be finite and within {MOST}")
    for name, counts in (("capacity", queue.capacity), ("load", queue.load), ("institution", queue.institution)):
        if len(counts) and not 0 <= counts.min() <= counts.max() < MOST_MATCHES:
            raise AssignmentError(f"{name} must be from 0 to {MOST_MATCHES}")
    shares, costs = [0.0, *(share for share, _ in policy.load_costs)], [cost for _, cost in policy.load_costs]
    numbers = np.array([*shares, *costs, policy.idle_bonus, policy.leave_cost])
    if policy.idle_bonus < 0 or not (np.abs(numbers) < MOST).all():
        raise AssignmentError(f"costs must be within {MOST}, and the bonus not negative")
    if shares != sorted(shares) or costs != sorted(costs) or shares[-1] != 1:
        raise AssignmentError("load costs must rise with utilisation up to 1")
