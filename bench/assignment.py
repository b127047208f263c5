"""Assignment at the optimum: time and memory by size, against first come and greedy; and the minimum-load policy."""

import json
import subprocess
import sys
from time import perf_counter

import numpy as np
from msgspec.structs import replace

from matching.assign import PLAIN, Policy, Queue, assign, price_adjusted_choice
from matching.simulate import half, synthetic_queue
from matching.types import FloatArray, IntArray

SIZES = ((1_000, 1_000), (10_000, 1_000), (100_000, 5_000))
CANDIDATES = 200
SEED = 0


def run(sizes: tuple[tuple[int, int], ...] = SIZES) -> dict[str, dict[str, float]]:
    """By size: what `zhipei evaluate assign` reports, in a process of its own so that memory is its own. At 10,000
    needs also utility by simpler policies, and idle institutions with and without the minimum-load rule."""
    report = {f"{needs} x {offerings}": _command(needs, offerings) for needs, offerings in sizes}
    queue = synthetic_queue(10_000, 1_000, CANDIDATES, seed=SEED)
    return report | {"policies": _policies(queue), "minimum load": _minimum_load()}


def _command(needs: int, offerings: int) -> dict[str, float]:
    sizes = ["--needs", str(needs), "--offerings", str(offerings), "--candidates", str(CANDIDATES)]
    done = subprocess.run(
        [sys.executable, "-m", "market.cli", "evaluate", "assign", *sizes, "--seed", str(SEED)],
        capture_output=True,
        check=True,
        text=True,
    )
    report: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return report


def _policies(queue: Queue) -> dict[str, float]:
    """Utility per need. Prices come from yesterday's queue: as many other needs at the same offerings."""
    started = perf_counter()
    optimum = assign(queue, PLAIN)
    seconds = perf_counter() - started
    halves = half(queue, 0), half(queue, 1)
    price = assign(halves[0], PLAIN).price
    return {
        "optimum": float(optimum.utility.mean()),
        "optimum_seconds": seconds,
        "greedy": _greedy(queue),
        "first_come": _one_by_one(halves[1], np.zeros_like(price)),
        "first_come_with_prices": _one_by_one(halves[1], price),
        "optimum_of_those": float(assign(halves[1], PLAIN).utility.mean()),
    }


def _minimum_load() -> dict[str, float]:
    """Many small institutions and few needs, where idleness is the question."""
    queue = synthetic_queue(10_000, 1_000, CANDIDATES, seed=SEED)
    queue = replace(queue, capacity=2 * queue.capacity)
    plain, fair = assign(queue, PLAIN), assign(queue, Policy())
    before, after = plain.balance(queue.institution), fair.balance(queue.institution)
    return {
        "idle_unconstrained": before.idle,
        "idle": after.idle,
        "gini_unconstrained": before.gini,
        "gini": after.gini,
        "utility_lost": float(1 - fair.utility.sum() / plain.utility.sum()),
    }


def _greedy(queue: Queue) -> float:
    """The best pair of all first, then the next."""
    owner = np.repeat(np.arange(len(queue.pinned)), np.diff(queue.start))
    return _taken(queue, owner, np.argsort(-queue.utility)) / len(queue.pinned)


def _taken(queue: Queue, owner: IntArray, order: IntArray) -> float:
    room, open_, total = queue.capacity.tolist(), [True] * len(queue.pinned), 0.0
    rows = zip(owner[order].tolist(), queue.offering[order].tolist(), queue.utility[order].tolist(), strict=True)
    for need, offering, utility in rows:
        if open_[need] and room[offering]:
            open_[need] = False
            room[offering] -= 1
            total += utility
    return total


def _one_by_one(queue: Queue, price: FloatArray) -> float:
    """Each need takes what is best for it when it comes, less the price."""
    room, total = queue.capacity.copy(), 0.0
    for first, last in zip(queue.start[:-1].tolist(), queue.start[1:].tolist(), strict=True):
        arcs = np.arange(first, last)[room[queue.offering[first:last]] > 0]
        offering = queue.offering[arcs]
        for chosen in price_adjusted_choice(queue.utility[arcs], price[offering], offering, top=1, seed=SEED).tolist():
            room[offering[chosen]] -= 1
            total += queue.utility[arcs[chosen]]
    return float(total / len(queue.pinned))
