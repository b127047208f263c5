"""Need × match × rating as plain Python: what docs and laws say, told a second time and without SQL.

It shares nothing with the product but names, so that a slip in a table of transitions, a trigger or a use case shows.
"""

from dataclasses import dataclass, field

MOVES: dict[str, tuple[set[str], str]] = {
    "approve": ({"proposed"}, "assigned"),
    "override": ({"proposed", "unmatched", "assigned", "serving"}, "assigned"),
    "return": ({"submitted", "proposed", "unmatched"}, "returned"),
    "resubmit": ({"returned"}, "submitted"),
    "escalate": ({"submitted", "proposed", "unmatched"}, "submitted"),
    "rank_again": ({"proposed", "unmatched"}, "submitted"),
    "accept": ({"assigned"}, "serving"),
    "decline": ({"assigned"}, "submitted"),
    "lapse": ({"assigned"}, "submitted"),
    "deliver": ({"serving"}, "delivered"),
    "confirm": ({"delivered"}, "completed"),
    "rework": ({"delivered"}, "serving"),
    "withdraw": ({"submitted", "unmatched", "proposed", "returned", "assigned"}, "withdrawn"),
    "close": ({"submitted", "unmatched", "proposed", "returned", "assigned", "serving", "delivered"}, "closed"),
}
"""From which states a need is moved, and where to."""
HOLDING = {"approved", "decline_requested", "accepted"}
"""States of a match in which it takes a place of its offering."""
ENDED = {"completed", "withdrawn", "closed"}
ABOVE = {"shenzhen": "guangdong"}
COVERS = {"coordinator": {"shenzhen"}, "coordinator2": {"shenzhen"}, "province": {"shenzhen", "guangdong"}}


@dataclass
class Offered:
    """An offering: whose, where, and how many places."""

    id: int
    login: str
    node: str
    capacity: int
    bound: bool
    load: int = 0


@dataclass
class Given:
    """The live match of a need, or the completed one."""

    offering: Offered
    state: str


@dataclass
class Rated:
    """A rating and its rectification."""

    bad: bool
    state: str = "published"
    rectification: str | None = None
    remarked: bool = False
    answered: bool = False
    sent_back: bool = False


@dataclass
class Wish:
    """A need."""

    id: int
    state: str = "submitted"
    node: str = "shenzhen"
    owner: str | None = None
    offered_to: str | None = None
    returned: bool = False
    match: Given | None = None
    candidates: set[int] = field(default_factory=set)
    declined: set[str] = field(default_factory=set)
    rating: Rated | None = None

    def may(self, action: str) -> bool:
        """Whether its state lets it."""
        return self.state in MOVES[action][0]

    def decides(self, who: str) -> bool:
        """Whether this coordinator may decide: the node is theirs or below, and no colleague owns it."""
        return self.node in COVERS[who] and self.owner in (None, who)

    def move(self, action: str, who: str | None = None) -> None:
        """Make the step; the coordinator who decides first owns it."""
        self.state = MOVES[action][1]
        if who is not None:
            self.owner = self.owner or who

    def put(self, state: str) -> None:
        """The match's next state, and its place taken or given back."""
        assert self.match is not None
        self.match.offering.load += (state in HOLDING) - (self.match.state in HOLDING)
        self.match.state = state

    def drop(self) -> None:
        """The live match ends."""
        if self.match is not None:
            self.put("ended")
            self.match = None

    def give(self, offering: Offered, state: str) -> None:
        """A new live match."""
        self.match = Given(offering, "new")
        self.put(state)

    def refuse(self) -> None:
        """The institution does not take it, and is not asked again."""
        assert self.match is not None
        self.declined.add(self.match.offering.login)
        self.drop()


def eligible(wish: Wish, offerings: list[Offered]) -> set[int]:
    """Which offerings a ranking may name: with a free place, in the node's territory, of nobody who has declined."""
    return {
        one.id
        for one in offerings
        if one.load < one.capacity and one.login not in wish.declined and one.node in (wish.node, "shenzhen")
    }
