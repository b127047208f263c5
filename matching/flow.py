"""The assignment as a minimum-cost flow, solved to a proven optimum: integer arrays in, arcs and prices out.

need → offering → institution → sink, and need → sink for a need that stays without. The solver sees only arcs that
prices leave in question; the prices of its solution then either prove that no other arc could help, or name those
that could, and it runs again with them (column generation).
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from ortools.graph.python import min_cost_flow

from matching.errors import MatchingError
from matching.types import BoolArray, FloatArray, IntArray

Int32Array = npt.NDArray[np.int32]

SMALL = 200_000  # arcs; so few are solved at once, without pruning
KEPT = 16  # arcs per need in the first round, on average
NEAR = 20  # how far behind the best an arc may be to come into question with those that would be better
ROUNDS = 50
SAMPLE = 300_000  # arcs from which first prices are estimated
SWEEPS = 25
CHUNK = 2_000_000  # arcs looked at together, which bounds the memory
FAR = np.int64(2) ** 50  # above any sum of costs

Phase = Literal["pruning", "solving", "pricing", "proving"]


class Step(Struct, frozen=True):
    """How far a solve is: needs `done` and `left` in one phase of a round, from 1; round 0 comes before the first.

    `pruning`: what is worth asking for has been picked for so many. `solving` and `pricing` tell only that they begin:
    the solver says nothing on its way. `proving`: so many are known to have what is best for them; of those left, some
    have not been looked at and some could do better, for which another round is made. None left: the optimum.
    """

    phase: Phase
    round: int
    done: int
    left: int


Progress = Callable[[Step], None]
"""Told every step. What it raises ends the solve, which is how one is cancelled."""


class SolverError(MatchingError):
    """The solver gave up; costs or capacities are out of its range."""


class Network(Struct, frozen=True, eq=False):
    """n needs, m offerings, s institutions, t load tiers.

    Arcs are sorted by need: those of need i are `start[i]:start[i + 1]`, with `offering` [a] and `gain` [a], what
    using the arc is worth over leaving the need out. `room` [m] is each offering's free capacity, above 0 wherever an
    arc leads. `institution` [m]. `tier_room`, `tier_cost` [s, t]: what further units cost, not falling.
    """

    start: IntArray
    offering: Int32Array
    gain: Int32Array
    room: IntArray
    institution: IntArray
    tier_room: IntArray
    tier_cost: IntArray

    @property
    def needs(self) -> int:
        return len(self.start) - 1

    def owner(self, arcs: IntArray) -> IntArray:
        """The need of each arc."""
        return np.searchsorted(self.start, arcs, side="right") - 1

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Ranges of needs with about CHUNK arcs each."""
        bounds = np.searchsorted(self.start, np.arange(0, self.start[-1], CHUNK))
        edges = np.unique([*bounds.tolist(), self.needs]).tolist()
        return pairwise(edges)


class Solution(Struct, frozen=True, eq=False):
    """`arc` [n] is the arc each need uses, −1 for none; `price` [m] what one more unit of each offering costs.

    `proven`: no plan is better, because every need uses an arc that is best for it at these prices.
    """

    arc: IntArray
    price: IntArray
    proven: bool


def solve(network: Network, progress: Progress) -> Solution:
    """The plan with the greatest gain less load costs. Raises SolverError."""
    n = network.needs

    def tell(phase: Phase, number: int, done: int) -> None:
        progress(Step(phase, number, done, n - done))

    asked = np.ones(len(network.gain), dtype=np.bool_)
    if len(asked) > SMALL:
        asked = _in_question(network, _estimated_prices(network), lambda done: tell("pruning", 0, done))
    for number in range(1, ROUNDS + 1):
        arcs = np.flatnonzero(asked)
        tell("solving", number, 0)
        arc = _flow(network, arcs)
        tell("pricing", number, 0)
        price = _prices(network, arcs, arc)
        open_ = 0
        for looked_at, better in _improving(network, arc, price, by=1):
            open_ += len(np.unique(network.owner(better)))
            tell("proving", number, looked_at - open_)
        if open_ == 0:
            return Solution(arc, price, proven=True)
        # With them come those that nearly would, for the next prices will differ a little.
        for _, better in _improving(network, arc, price, by=-NEAR):
            asked[better] = True
    return Solution(arc, price, proven=False)


def _flow(network: Network, arcs: IntArray) -> IntArray:
    """The best plan on some of the arcs."""
    n, m, s = network.needs, len(network.room), len(network.tier_room)
    sink = n + m + s
    needs, offerings, institutions = np.arange(n), n + np.arange(m), n + m + np.arange(s)
    tiers = network.tier_room.shape[1]
    tails: list[IntArray] = [network.owner(arcs), needs, offerings, np.repeat(institutions, tiers)]
    heads: list[IntArray] = [
        n + network.offering[arcs].astype(np.int64),
        np.full(n, sink),
        n + m + network.institution,
        np.full(s * tiers, sink),
    ]
    rooms: list[IntArray] = [np.ones(len(arcs) + n, dtype=np.int64), network.room, network.tier_room.ravel()]
    costs: list[IntArray] = [
        -network.gain[arcs].astype(np.int64),
        np.zeros(n + m, dtype=np.int64),
        network.tier_cost.ravel(),
    ]
    solver = min_cost_flow.SimpleMinCostFlow()
    handles = solver.add_arcs_with_capacity_and_unit_cost(
        np.concatenate(tails).astype(np.int32),
        np.concatenate(heads).astype(np.int32),
        np.concatenate(rooms).astype(np.int64),
        np.concatenate(costs).astype(np.int64),
    )
    solver.set_nodes_supplies(np.append(needs, sink).astype(np.int32), np.append(np.ones(n), -n).astype(np.int64))
    status = solver.solve()
    if status != solver.OPTIMAL:
        raise SolverError(f"min-cost flow ended with {status.name}")
    used = arcs[solver.flows(handles[: len(arcs)]) > 0]
    arc = np.full(n, -1, dtype=np.int64)
    arc[network.owner(used)] = used
    return arc


def _prices(network: Network, arcs: IntArray, arc: IntArray) -> IntArray:
    """What one more unit of each offering would cost: the shortest way to the sink in the residual network, [m].

    Bellman–Ford on the offerings and institutions alone. A need in the way either moves on to another offering or is
    left out.
    """
    m, s = len(network.room), len(network.tier_room)
    at, held = _used(network, arc)
    placed = at >= 0
    flow = np.bincount(at[placed], minlength=m)
    taken = np.bincount(network.institution, flow, minlength=s).astype(np.int64)
    free = np.cumsum(network.tier_room, axis=1) > taken[:, None]
    next_tier = np.take_along_axis(network.tier_cost, free.argmax(axis=1)[:, None], axis=1)[:, 0]
    at_institution = np.where(free.any(axis=1), next_tier, FAR)
    cost = np.full(m, FAR)
    np.minimum.at(cost, at[placed], held[placed])
    source, target, move = _moves(network, arcs, at, held)
    first = np.flatnonzero(np.diff(source, prepend=-1))
    movable = source[first]
    open_, busy = flow < network.room, flow > 0
    while True:
        before = cost.copy()
        np.minimum.at(at_institution, network.institution[busy], cost[busy])
        cost[open_] = np.minimum(cost[open_], at_institution[network.institution[open_]])
        if len(first):
            cost[movable] = np.minimum(cost[movable], np.minimum.reduceat(move + cost[target], first))
        if (cost == before).all():
            return cost


def _moves(network: Network, arcs: IntArray, at: IntArray, held: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Cheapest moves of one need from an offering to another: (from, to, cost), sorted by from."""
    m = len(network.room)
    owner = network.owner(arcs)
    other = (at[owner] >= 0) & (at[owner] != network.offering[arcs])
    owner, arcs = owner[other], arcs[other]
    key = at[owner] * m + network.offering[arcs]
    cost = held[owner] - network.gain[arcs]
    order = np.argsort(key)
    key, cost = key[order], cost[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    if len(first):
        key, cost = key[first], np.minimum.reduceat(cost, first)
    return key // m, key % m, cost


def _used(network: Network, arc: IntArray) -> tuple[IntArray, IntArray]:
    """The offering of each need's arc, −1 for none, and its gain, 0 for none."""
    at, held, placed = np.full(len(arc), -1, dtype=np.int64), np.zeros(len(arc), dtype=np.int64), arc >= 0
    at[placed], held[placed] = network.offering[arc[placed]], network.gain[arc[placed]]
    return at, held


def _improving(network: Network, arc: IntArray, price: IntArray, *, by: int) -> Iterator[tuple[int, IntArray]]:
    """Chunk by chunk: how many needs have been looked at, and those arcs of the chunk that would give their need at
    least `by` more at these prices than what it has."""
    at, held = _used(network, arc)
    has = np.where(at >= 0, held - price[at], 0) if len(price) else held
    for first, last in network.chunks():
        span = slice(network.start[first], network.start[last])
        sizes = np.diff(network.start[first : last + 1])
        margin = network.gain[span] - price[network.offering[span]]
        yield last, np.flatnonzero(margin >= np.repeat(has[first:last] + by, sizes)) + network.start[first]


def _estimated_prices(network: Network) -> FloatArray:
    """Prices [m] near those of the optimum, from a sample of needs.

    Every sampled need spreads itself over its arcs by exp(margin / temperature); prices rise where more is asked than
    the sample's share of the room, and fall where less is (Sinkhorn's iteration with a floor of 0).
    """
    step = max(1, len(network.gain) // SAMPLE)
    rows = np.arange(0, network.needs, step)
    sizes = np.diff(network.start)[rows]
    rows, sizes = rows[sizes > 0], sizes[sizes > 0]
    arcs = np.concatenate([np.arange(network.start[row], network.start[row + 1]) for row in rows])
    first = np.cumsum(sizes) - sizes
    gain, offering = network.gain[arcs].astype(np.float32), network.offering[arcs]
    room = np.maximum(network.room * (len(rows) / network.needs), 0.1)
    temperature = max(float(gain.std()) / 8, 1.0)
    price = np.zeros(len(room), dtype=np.float32)
    for _ in range(SWEEPS):
        margin = gain - price[offering]
        best = np.maximum(np.maximum.reduceat(margin, first), 0)
        weight = np.exp((margin - np.repeat(best, sizes)) / temperature)
        weight /= np.repeat(np.add.reduceat(weight, first), sizes)
        asked = np.bincount(offering, weight, minlength=len(room))
        price = np.maximum(price + temperature * np.log(np.maximum(asked / room, 1e-3)), 0).astype(np.float32)
    return price.astype(np.float64)


def _in_question(network: Network, price: FloatArray, tell: Callable[[int], None]) -> BoolArray:
    """Mask of about KEPT arcs per need that are best, or nearly so, at these prices; `tell`: needs done so far."""
    found, slack = np.zeros(len(network.gain), dtype=np.bool_), None
    for first, last in network.chunks():
        span = slice(network.start[first], network.start[last])
        sizes = np.diff(network.start[first : last + 1])
        if not sizes.any():
            continue
        margin = (network.gain[span] - price[network.offering[span]]).astype(np.float32)
        best = np.maximum.reduceat(margin, (network.start[first:last] - network.start[first])[sizes > 0])
        behind = np.repeat(best, sizes[sizes > 0]) - margin
        if slack is None:
            share = min(1.0, KEPT * (last - first) / len(behind))
            slack = np.partition(behind, int(share * (len(behind) - 1)))[int(share * (len(behind) - 1))]
        found[span] = behind <= slack
        tell(last)
    return found
