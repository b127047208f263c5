"""The ground that tests/db/test_lifecycle.py moves on: a transaction, the plain model beside it, and both compared."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine, invariant

from infra.db import Transaction, savepoint
from market.errors import DomainError
from market.matches import queries as match_queries
from market.needs.model import TRANSITIONS, NeedAction, NeedState
from tests.db.plain_model import HOLDING, MOVES, Offered, Rated, Wish
from tests.factories import World

NOW = "SELECT n.state, a.login, n.offered_to, d.region_code FROM needs n JOIN nodes d ON d.id = n.node_id \
LEFT JOIN accounts a ON a.id = n.owner_id WHERE n.id = $1"
LIVE = "SELECT offering_id, state FROM matches WHERE need_id = $1 \
AND state IN ('proposed', 'approved', 'decline_requested', 'accepted', 'delivered', 'completed')"
RATED = "SELECT r.state, x.state, r.id FROM ratings r JOIN matches m ON m.id = r.match_id \
LEFT JOIN rectifications x ON x.rating_id = r.id WHERE m.need_id = $1"
PLACES = "SELECT id, load, capacity FROM offerings WHERE id = ANY($1)"
NODES = {"440300": "shenzhen", "440000": "guangdong"}


class Ground(RuleBasedStateMachine):
    """What the rules stand on; ``runner`` and ``tx`` are shared by all examples, each of which is rolled back."""

    def __init__(self, runner: asyncio.Runner, tx: Transaction, world: World, offered: list[Offered]) -> None:
        super().__init__()
        self.runner, self.tx, self.who = runner, tx, world.actors
        self.offerings = {one.id: Offered(one.id, one.login, one.node, one.capacity, one.bound) for one in offered}
        self.wishes: list[Wish] = []
        self.run(tx.execute("BEGIN"))

    def teardown(self) -> None:
        self.run(self.tx.execute("ROLLBACK"))

    def run(self, step: Any) -> Any:
        async def awaited() -> Any:
            return await step

        return self.runner.run(awaited())

    def attempt(self, allowed: object, act: Callable[[], Awaitable[object]]) -> bool:
        """Do it, or be refused; whichever the model says. What is refused leaves nothing behind."""

        async def tried() -> str:
            try:
                async with savepoint(self.tx):
                    await act()
            except DomainError as error:
                return error.slug
            return ""

        slug = self.run(tried())
        assert (not slug) == bool(allowed), slug or "was not refused"
        return not slug

    def pick(self, number: int) -> Wish:
        return self.wishes[number % len(self.wishes)]

    async def match_id(self, wish: Wish) -> int:
        found = await match_queries.latest(self.tx, wish.id)
        return found.id if found else 0

    async def rating_id(self, wish: Wish) -> int:
        row = await self.tx.fetchrow(RATED, wish.id)
        return row[2] if row else 0

    def rated(self, n: int) -> tuple[Wish, Rated]:
        found = [(wish, wish.rating) for wish in (self.pick(n), *self.wishes) if wish.rating]
        return found[0]

    def node_of(self, wish: Wish) -> Any:
        return self.who["province" if wish.node == "guangdong" else "coordinator"]

    # always ----------------------------------------------------------------------------------------------------------

    @invariant()
    def the_database_is_as_the_model(self) -> None:
        self.run(self.tx.execute("SET CONSTRAINTS ALL IMMEDIATE"))
        for wish in self.wishes:
            state, owner, offered_to, region = self.run(self.tx.fetchrow(NOW, wish.id))
            to = self.who[wish.offered_to].id if wish.offered_to else None
            assert (state, owner, offered_to, NODES[region]) == (wish.state, wish.owner, to, wish.node)
            live = [tuple(row) for row in self.run(self.tx.fetch(LIVE, wish.id))]
            assert live == ([(wish.match.offering.id, wish.match.state)] if wish.match else [])
            row = self.run(self.tx.fetchrow(RATED, wish.id))
            told = (wish.rating.state, wish.rating.rectification) if wish.rating else None
            assert (tuple(row[:2]) if row else None) == told
            for action in MOVES:
                assert ((NeedState(state), NeedAction(action)) in TRANSITIONS) == wish.may(action)

    @invariant()
    def nobody_has_more_than_there_are_places(self) -> None:
        rows = self.run(self.tx.fetch(PLACES, list(self.offerings)))
        assert {row[0]: (row[1], row[2]) for row in rows} == {
            one.id: (one.load, one.capacity) for one in self.offerings.values()
        }
        held = [wish.match.offering.id for wish in self.wishes if wish.match and wish.match.state in HOLDING]
        assert {one.id: one.load for one in self.offerings.values()} == {
            one.id: held.count(one.id) for one in self.offerings.values()
        }
