"""Assignment: optimal by two other solvers, capacities, pins, conflicts, load policy, reasons, bad input."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from scipy.optimize import linear_sum_assignment, linprog

from matching import flow
from matching.assign import (
    ASSIGNED,
    CONFLICT,
    FORBIDDEN,
    FULL,
    NO_CANDIDATES,
    NOT_A_CANDIDATE,
    NOT_WORTH,
    PLAIN,
    TOO_MANY,
    AssignmentError,
    Contradiction,
    Policy,
    Queue,
    assign,
    contradictions,
    price_adjusted_choice,
)
from matching.simulate import half, synthetic_queue
from matching.types import FloatArray

UTILITY = st.integers(0, 10_000).map(lambda ten_thousandths: ten_thousandths / 10_000)


def queue(lists: list[list[tuple[int, float]]], capacity: list[int], **fields: object) -> Queue:
    """One list of (offering, utility) per need."""
    m, arcs = len(capacity), [pair for pairs in lists for pair in pairs]
    made = Queue(
        start=np.cumsum([0, *map(len, lists)]),
        offering=np.array([o for o, _ in arcs], dtype=np.int32),
        utility=np.array([u for _, u in arcs], dtype=np.float64),
        conflict=np.zeros(len(arcs), dtype=np.bool_),
        capacity=np.array(capacity, dtype=np.int64),
        load=np.zeros(m, dtype=np.int64),
        institution=np.arange(m),
        pinned=np.full(len(lists), -1, dtype=np.int64),
    )
    return replace(made, **fields)


@st.composite
def queues(draw: st.DrawFn) -> Queue:
    m = draw(st.integers(1, 5))
    lists = draw(st.lists(st.dictionaries(st.integers(0, m - 1), UTILITY).map(lambda d: list(d.items())), max_size=7))
    arcs = sum(map(len, lists))
    counts = st.lists(st.integers(0, 3), min_size=m, max_size=m)
    return queue(
        lists,
        draw(counts),
        load=np.array(draw(counts), dtype=np.int64),
        institution=np.array(draw(st.lists(st.integers(0, m - 1), min_size=m, max_size=m)), dtype=np.int64),
        conflict=np.array(draw(st.lists(st.booleans(), min_size=arcs, max_size=arcs)), dtype=np.bool_),
        pinned=np.array(draw(st.lists(st.integers(-1, m - 1), min_size=len(lists), max_size=len(lists))), dtype=int),
    )


@given(queues())
@settings(deadline=None, max_examples=150)
def test_nothing_that_is_forbidden(q: Queue) -> None:
    plan = assign(q, Policy())
    assert plan.optimal
    room = np.maximum(q.capacity - q.load, 0)
    served = np.bincount(plan.offering[plan.offering >= 0], minlength=len(room))
    pins = np.bincount(q.pinned[q.pinned >= 0], minlength=len(room))
    assert (served <= np.maximum(room, pins)).all()
    assert (plan.load == q.load + served).all()
    for need, chosen in enumerate(plan.offering.tolist()):
        arcs = range(q.start[need], q.start[need + 1])
        allowed = [q.offering[a] for a in arcs if not q.conflict[a]]
        if q.pinned[need] >= 0:
            assert chosen == q.pinned[need]
            continue
        assert chosen == -1 or chosen in allowed
        if chosen >= 0:
            assert plan.reason[need] == ASSIGNED
        elif not arcs:
            assert plan.reason[need] == NO_CANDIDATES
        elif not allowed:
            assert plan.reason[need] == CONFLICT
        else:
            assert plan.reason[need] == (FULL if (plan.load >= q.capacity)[allowed].all() else NOT_WORTH)
        others = [o for o in plan.alternates[need].tolist() if o >= 0]
        assert len(set(others)) == len(others)
        assert all(o in allowed and o != chosen and plan.load[o] < q.capacity[o] for o in others)


@given(queues())
@settings(deadline=None, max_examples=100)
def test_the_plan_is_as_good_as_linear_programming_finds(q: Queue) -> None:
    q = replace(q, pinned=np.full(len(q.pinned), -1))
    policy = Policy(load_costs=((0.5, 0.02), (1.0, 0.3)), idle_bonus=0.1, leave_cost=0.2)
    plan = assign(q, policy)
    served = np.bincount(q.institution, plan.load - q.load, minlength=len(q.capacity)).astype(int)
    gained = plan.utility.sum() + policy.leave_cost * plan.matched
    assert gained - _load_costs(q, policy, served) == pytest.approx(_by_linear_programming(q, policy), abs=1e-6)


def _tiers(q: Queue, policy: Policy, institution: int) -> list[float]:
    """The cost of each further match of an institution, counted out one by one."""
    mine = q.institution == institution
    capacity, taken = q.capacity[mine].sum(), np.minimum(q.load, q.capacity)[mine].sum()
    costs = [
        next(cost for share, cost in policy.load_costs if unit < np.ceil(share * capacity))
        for unit in range(taken, capacity)
    ]
    if costs and q.load[mine].sum() == 0:
        costs[0] -= policy.idle_bonus
    return costs


def _load_costs(q: Queue, policy: Policy, served: np.ndarray) -> float:
    return sum(sum(_tiers(q, policy, i)[: served[i]]) for i in range(len(served)))


def _by_linear_programming(q: Queue, policy: Policy) -> float:
    """The same optimum from scipy: a column per arc and per unit of each institution's load."""
    usable = [a for a in range(len(q.offering)) if not q.conflict[a]]
    units = [(i, cost) for i in range(len(q.capacity)) for cost in _tiers(q, policy, i)]
    if not usable:
        return 0.0
    n, m = len(q.pinned), len(q.capacity)
    costs = [-(q.utility[a] + policy.leave_cost) for a in usable] + [cost for _, cost in units]
    owner = np.repeat(np.arange(n), np.diff(q.start))
    at_most = np.zeros((n + m, len(costs)))
    balance = np.zeros((m, len(costs)))
    for column, a in enumerate(usable):
        at_most[owner[a], column] = at_most[n + q.offering[a], column] = 1
        balance[q.institution[q.offering[a]], column] = 1
    for column, (institution, _) in enumerate(units, start=len(usable)):
        balance[institution, column] = -1
    bounds = np.concatenate([np.ones(n), np.maximum(q.capacity - q.load, 0)])
    return -float(linprog(costs, at_most, bounds, balance, np.zeros(m), bounds=(0, 1)).fun)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**31))
@settings(deadline=None, max_examples=50)
def test_one_to_one_is_the_assignment_problem(n: int, m: int, seed: int) -> None:
    table = np.round(np.random.default_rng(seed).random((n, m)), 4)
    plan = assign(queue([list(enumerate(row)) for row in table.tolist()], [1] * m), PLAIN)
    rows, columns = linear_sum_assignment(table, maximize=True)
    assert plan.utility.sum() == pytest.approx(table[rows, columns].sum(), abs=1e-9)
    assert plan.matched == min(n, m)


def test_pruning_finds_the_same_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    q = synthetic_queue(600, 60, 40, seed=1)
    whole = assign(q, Policy())
    monkeypatch.setattr(flow, "SMALL", 1_000)
    monkeypatch.setattr(flow, "KEPT", 4)
    monkeypatch.setattr(flow, "CHUNK", 3_000)
    pruned = assign(q, Policy())
    assert whole.optimal
    assert pruned.optimal
    assert pruned.utility.sum() == pytest.approx(whole.utility.sum(), abs=0.02 * 60)
    assert _value(q, pruned.load) + pruned.utility.sum() == pytest.approx(
        _value(q, whole.load) + whole.utility.sum(), abs=600 * 0.5e-4
    )


def test_progress_tells_what_is_done_and_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    q = synthetic_queue(600, 60, 40, seed=1)
    monkeypatch.setattr(flow, "SMALL", 1_000)
    monkeypatch.setattr(flow, "KEPT", 4)
    monkeypatch.setattr(flow, "CHUNK", 3_000)
    steps: list[flow.Step] = []
    assign(q, Policy(), progress=steps.append)
    assert all(step.done + step.left == 600 for step in steps)
    pruning = [step.done for step in steps if step.phase == "pruning"]
    assert len(pruning) > 1
    assert pruning == sorted(pruning)
    assert pruning[-1] == 600
    assert steps[-1] == flow.Step("proving", steps[-1].round, 600, 0)
    rounds = [step.round for step in steps]
    assert rounds == sorted(rounds)
    assert rounds[-1] > 1
    for number in range(1, rounds[-1] + 1):
        of_round = [step.phase for step in steps if step.round == number]
        assert of_round[:2] == ["solving", "pricing"]
        assert of_round.count("proving") > 1, "more than one chunk"
    unproven = [s for s, after in pairwise(steps) if (s.phase, after.phase) == ("proving", "solving")]
    assert all(step.left > 0 for step in unproven), "a round is made only for those it could help"


def test_whoever_is_told_may_end_the_solve() -> None:
    class Enough(Exception):
        pass

    def stop(step: flow.Step) -> None:
        if step.phase == "pricing":
            raise Enough

    with pytest.raises(Enough):
        assign(synthetic_queue(50, 20, 10, seed=0), Policy(), progress=stop)


def _value(q: Queue, load: np.ndarray) -> float:
    return -_load_costs(q, Policy(), load - q.load)  # every offering is its own institution


def test_prices_support_the_plan() -> None:
    q = synthetic_queue(300, 30, 20, seed=2)
    plan = assign(q, PLAIN)
    margin = q.utility - plan.price[q.offering]
    best = np.maximum.reduceat(margin, q.start[:-1])
    own = plan.utility - plan.price[plan.offering]
    assert own == pytest.approx(best, abs=2e-4)
    assert (plan.price[plan.load < q.capacity] == 0).all()


def test_an_idle_institution_gets_its_first_match() -> None:
    near = [[(0, 0.50), (1, 0.48)]] * 4
    assert assign(queue(near, [4, 4]), PLAIN).load.tolist() == [4, 0]
    assert assign(queue(near, [4, 4]), Policy(idle_bonus=0.05)).load.tolist() != [4, 0]
    # Two offerings of one institution: it is the institution that is idle, not the offering.
    same = queue(near, [4, 4], institution=np.array([0, 0]))
    assert assign(same, Policy(load_costs=((1.0, 0.0),), idle_bonus=0.05)).load.tolist() == [4, 0]


def test_a_pin_is_kept_even_where_nothing_is_free() -> None:
    q = queue([[(0, 0.9)], [(0, 0.8)]], [1], pinned=np.array([-1, 0]))
    plan = assign(q, Policy())
    assert plan.offering.tolist() == [-1, 0]
    assert plan.utility.tolist() == [0.0, 0.8]
    assert plan.reason.tolist() == [FULL, ASSIGNED]
    over = assign(replace(q, capacity=np.array([0])), Policy())
    assert over.load.tolist() == [1]
    assert over.price.tolist() == [np.inf]


@given(queues())
@settings(deadline=None, max_examples=150)
def test_pins_are_kept_within_the_rules_unless_it_is_told_why_not(q: Queue) -> None:
    found = contradictions(q)
    plan = assign(q, Policy())
    pairs = {(int(n), int(q.offering[a])) for n in range(len(q.pinned)) for a in range(q.start[n], q.start[n + 1])}
    barred = {
        (n, int(q.offering[a]))
        for n in range(len(q.pinned))
        for a in range(q.start[n], q.start[n + 1])
        if q.conflict[a]
    }
    pins = {(n, int(o)) for n, o in enumerate(q.pinned) if o >= 0}
    keeps_all = pins <= pairs - barred and (plan.load <= np.maximum(q.capacity, q.load)).all()
    assert keeps_all == (not found)
    for one in found:
        assert all((need, one.offering) in pins for need in one.needs)
        if one.reason == TOO_MANY:
            assert len(one.needs) > max(q.capacity[one.offering] - q.load[one.offering], 0)
        else:
            assert ((one.needs[0], one.offering) in pairs) == (one.reason == FORBIDDEN)


def test_the_binding_reasons_name_needs_and_offering() -> None:
    q = queue(
        [[(0, 0.9)], [(0, 0.8), (1, 0.5)], [(1, 0.5)], [(0, 0.4)]],
        [1, 5],
        pinned=np.array([0, 0, 0, -1]),
        conflict=np.array([False, True, False, False, False]),
    )
    assert contradictions(q) == (
        Contradiction(FORBIDDEN, 0, (1,)),
        Contradiction(NOT_A_CANDIDATE, 0, (2,)),
        Contradiction(TOO_MANY, 0, (0, 1, 2)),
    )


def test_a_need_that_costs_more_than_it_gains_is_left() -> None:
    plan = assign(queue([[(0, 0.1)]], [1]), Policy(load_costs=((1.0, 0.5),), idle_bonus=0.0, leave_cost=0.0))
    assert plan.reason.tolist() == [NOT_WORTH]
    assert plan.alternates.tolist() == [[0, -1, -1]]


def test_empty_and_single() -> None:
    empty = assign(queue([], []), Policy())
    assert (empty.matched, empty.optimal, empty.alternates.shape) == (0, True, (0, 3))
    assert empty.balance(np.zeros(0, dtype=np.int64)).idle == 0
    assert assign(queue([[]], [0]), Policy()).reason.tolist() == [NO_CANDIDATES]
    assert assign(queue([[(0, 1.0)]], [1]), Policy()).offering.tolist() == [0]


def test_one_need_with_ten_thousand_candidates() -> None:
    plan = assign(queue([[(o, o / 20_000) for o in range(10_000)]], [1] * 10_000), PLAIN)
    assert plan.offering.tolist() == [9_999]
    assert plan.alternates.tolist() == [[9_998, 9_997, 9_996]]


@pytest.mark.parametrize(
    "fields",
    [
        {"utility": np.array([np.nan])},
        {"utility": np.array([np.inf])},
        {"utility": np.array([-1e9])},
        {"utility": np.zeros(2)},
        {"offering": np.array([1], dtype=np.int32)},
        {"offering": np.array([-1], dtype=np.int32)},
        {"capacity": np.array([-1])},
        {"load": np.array([-1])},
        {"load": np.zeros(2, dtype=np.int64)},
        {"institution": np.array([10**12])},
        {"pinned": np.array([1])},
        {"pinned": np.array([-2])},
        {"start": np.array([0, 2])},
        {"start": np.array([1, 1])},
        {"start": np.zeros(0, dtype=np.int64)},
        {"conflict": np.zeros(0, dtype=np.bool_)},
    ],
)
def test_arrays_that_do_not_fit(fields: dict[str, object]) -> None:
    with pytest.raises(AssignmentError):
        assign(replace(queue([[(0, 0.5)]], [1]), **fields), Policy())


@pytest.mark.parametrize(
    "policy",
    [
        Policy(load_costs=((1.0, np.nan),)),
        Policy(load_costs=((0.8, 0.0),)),
        Policy(load_costs=((0.5, 0.1), (1.0, 0.0))),
        Policy(load_costs=()),
        Policy(idle_bonus=-1),
        Policy(leave_cost=np.inf),
    ],
)
def test_policies_that_cannot_be(policy: Policy) -> None:
    with pytest.raises(AssignmentError):
        assign(queue([[(0, 0.5)]], [1]), policy)


def test_a_single_arrival_pays_the_price() -> None:
    utility, price, ids = np.array([0.9, 0.8, 1.0]), np.array([0.3, 0.0, np.inf]), np.array([7, 8, 9])
    assert price_adjusted_choice(utility, price, ids, top=3, seed=1).tolist() == [1, 0]
    assert price_adjusted_choice(utility[:0], price[:0], ids[:0], top=1, seed=1).tolist() == []
    ties = {int(price_adjusted_choice(np.ones(3), np.zeros(3), ids, top=1, seed=seed)[0]) for seed in range(20)}
    assert ties == {0, 1, 2}
    for bad in (np.nan, np.inf):
        with pytest.raises(AssignmentError):
            price_adjusted_choice(np.array([bad]), np.zeros(1), ids[:1], top=1, seed=1)


def test_yesterdays_prices_beat_first_come_first_served() -> None:
    """Other needs at the same offerings, one by one: design has .849 with prices, .816 without, .856 at the optimum."""
    whole = synthetic_queue(4_000, 200, 50, seed=3)
    yesterday, today = (half(whole, which) for which in (0, 1))
    price = assign(yesterday, PLAIN).price
    first_come, with_prices = _one_by_one(today, np.zeros(200)), _one_by_one(today, price)
    optimum = float(assign(today, PLAIN).utility.mean())
    assert with_prices > first_come + 0.01
    assert optimum - with_prices < 0.5 * (optimum - first_come)


def _one_by_one(q: Queue, price: FloatArray) -> float:
    room, total = q.capacity.copy(), 0.0
    for need in range(len(q.pinned)):
        arcs = np.arange(q.start[need], q.start[need + 1])
        arcs = arcs[room[q.offering[arcs]] > 0]
        offering = q.offering[arcs]
        for chosen in price_adjusted_choice(q.utility[arcs], price[offering], offering, top=1, seed=0).tolist():
            room[offering[chosen]] -= 1
            total += q.utility[arcs[chosen]]
    return total / len(q.pinned)
