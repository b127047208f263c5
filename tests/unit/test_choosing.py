"""Which candidate is proposed for a single need: the first, unless prices say that others need it more."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.matches.choosing import NOTICEABLE, choose
from market.matches.model import OfferingPrice, Prices
from matching.assign import NEAR, PLAIN, Queue, assign
from matching.calibrate import Platt
from matching.simulate import half, synthetic_queue
from matching.types import FloatArray, Part, Ranked, Ranking

SHORTLIST = 20


def ranking(scores: list[float], ids: list[int] | None = None, *, version: str = "card") -> Ranking:
    """A list with these scores of at most a hundred points."""
    shown = tuple(
        Ranked(
            rank=place,
            offering_id=ids[place - 1] if ids else place,
            offering_version=1,
            score=score,
            parts=(Part("item_fit", 0.5, 100.0, score, 1),),
        )
        for place, score in enumerate(scores, start=1)
    )
    return Ranking(model_version=version, seed=7, considered=len(shown), ranked=shown, excluded=())


def prices(of: dict[int, float], *, calibration: Platt | None = None, scored_by: str = "card") -> Prices:
    return Prices(
        plan_id=3,
        scored_by=scored_by,
        calibration=calibration,
        offerings=tuple(OfferingPrice(offering_id, price) for offering_id, price in of.items()),
        at=datetime(2026, 3, 2, tzinfo=UTC),
    )


def test_the_first_is_proposed_unless_its_price_outweighs_its_lead() -> None:
    assert choose(ranking([80, 70]), None).rank == 1
    assert choose(ranking([80, 70]), prices({1: 0.05})).rank == 1
    moved = choose(ranking([80, 70]), prices({1: 0.15, 9: 0.4}))
    assert moved.rank == 2
    assert moved.prices is not None
    assert moved.prices.points == {1: pytest.approx(15.0)}, "prices of who was not shown are nobody's business"
    assert moved.prices.plan_id == 3
    assert choose(ranking([80, 70]), prices({1: 0.15, 2: 0.15})).rank == 1


def test_no_price_makes_anybody_the_proposal_who_does_not_come_near() -> None:
    assert choose(ranking([80, 59]), prices({1: 5.0})).rank == 1
    assert choose(ranking([80, 61, 59]), prices({1: 5.0})).rank == 2


def test_what_chance_put_first_stays_where_it_costs_nothing() -> None:
    assert choose(ranking([70, 71]), prices({9: 0.3})).rank == 1
    assert choose(ranking([70, 71]), prices({2: 0.3})).rank == 1
    assert choose(ranking([70, 71, 69]), prices({2: 0.001})).rank == 1


def test_prices_of_another_scorer_are_in_another_scale() -> None:
    assert choose(ranking([80, 79]), prices({1: 0.5}, scored_by="card+other")).rank == 1


def test_with_a_calibration_the_lead_is_one_of_probability() -> None:
    certain = Platt(slope=0.5, intercept=-20.0)  # from 60 points on, everybody accepts
    assert choose(ranking([80, 70]), prices({1: 0.05}, calibration=certain)).rank == 2


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=8),
    st.dictionaries(st.integers(1, 8), st.floats(0, 3), max_size=8),
)
def test_whatever_is_proposed_is_near_and_never_worth_less_than_the_first(
    scores: list[float], of: dict[int, float]
) -> None:
    found = choose(ranking(scores), prices(of))

    def worth(rank: int) -> float:
        return scores[rank - 1] / 100 - of.get(rank, 0.0)

    if found.rank != 1:
        assert scores[found.rank - 1] >= min(NEAR * max(scores), scores[0])
        assert worth(found.rank) >= worth(1) + NOTICEABLE - 1e-9
        assert of[1] >= NOTICEABLE


def test_a_stream_of_single_needs_gains_by_yesterdays_prices() -> None:
    """Two halves of one queue at the same offerings: the first is planned and leaves prices, the second comes one by
    one, and each need takes its proposal. Judged by what all get together, against proposing the first each time."""
    whole = synthetic_queue(3_000, 100, 50, seed=5)
    yesterday, today = (half(whole, which) for which in (0, 1))
    price = assign(yesterday, PLAIN).price
    left = {number: float(one) for number, one in enumerate(price) if NOTICEABLE <= one < np.inf}
    first_come, with_prices = _one_by_one(today, {}), _one_by_one(today, left)
    optimum = float(assign(today, PLAIN).utility.mean())
    assert first_come + 0.01 < with_prices < optimum


def _one_by_one(queue: Queue, of: dict[int, float]) -> float:
    room, total = queue.capacity.copy(), 0.0
    for need in range(len(queue.pinned)):
        arcs = np.arange(queue.start[need], queue.start[need + 1])
        arcs = arcs[room[queue.offering[arcs]] > 0]
        arcs = arcs[np.argsort(-queue.utility[arcs])][:SHORTLIST]
        if len(arcs) == 0:
            continue
        shown: FloatArray = 100 * queue.utility[arcs]
        found = choose(ranking(shown.tolist(), queue.offering[arcs].tolist()), prices(of))
        chosen = arcs[found.rank - 1]
        room[queue.offering[chosen]] -= 1
        total += queue.utility[chosen]
    return total / len(queue.pinned)
