"""What is published of many ratings: counts by level, and means that a few ratings cannot carry away."""

from collections.abc import Iterable

from msgspec import Struct

from market.ratings.scale import RatingLevel

PRIOR_COUNT = 10
PRIOR_LEVEL = RatingLevel.SATISFIED
"""The published mean is taken as if so many ratings of this level had come first (Bayesian average).

One five then stands at 4.1, two hundred of 4.8 on average at 4.8: few ratings prove little, in either direction. The
prior is fixed rather than the mean of all, so that a published figure changes only by its own ratings, and for any mean
of all that lies above 4.8 a single five would else overtake the two hundred.
"""


class Tally(Struct, frozen=True):
    """How many ratings there are of each level, 1 to 5; withheld ones do not count."""

    counts: tuple[int, int, int, int, int]

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.counts)

    @property
    def mean(self) -> float | None:
        """The mean level, 1 to 5; None without ratings."""
        return self._total / self.count if self.count else None

    @property
    def smoothed(self) -> float | None:
        """The mean level with the prior; None without ratings."""
        return (PRIOR_COUNT * PRIOR_LEVEL + self._total) / (PRIOR_COUNT + self.count) if self.count else None

    @property
    def satisfied(self) -> float | None:
        """Share of 基本满意 and better (满意率), 0 to 1; None without ratings."""
        return sum(self.counts[2:]) / self.count if self.count else None

    @property
    def _total(self) -> int:
        return sum(level * count for level, count in enumerate(self.counts, 1))


class Figures(Struct, frozen=True, kw_only=True):
    """A tally as it is published."""

    count: int
    counts: tuple[int, int, int, int, int]
    """By level, 1 to 5."""
    mean: float | None
    smoothed: float | None
    satisfied: float | None


def figures(tally: Tally) -> Figures:
    """What is published of a tally; means to two decimals, shares to three."""

    def rounded(value: float | None, digits: int) -> float | None:
        return None if value is None else round(value, digits)

    return Figures(
        count=tally.count,
        counts=tally.counts,
        mean=rounded(tally.mean, 2),
        smoothed=rounded(tally.smoothed, 2),
        satisfied=rounded(tally.satisfied, 3),
    )


def total(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    columns = list(zip(*(tally.counts for tally in tallies), strict=True)) or [(0,)] * len(RatingLevel)
    one, two, three, four, five = (sum(column) for column in columns)
    return Tally((one, two, three, four, five))


class ItemTally(Struct, frozen=True, kw_only=True):
    """How one institution's service of one item was rated."""

    institution_id: int
    institution_name: str
    item_code: str
    item_name: str
    counts: tuple[int, int, int, int, int]
