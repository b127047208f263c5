"""Where an institution's offerings stand in the lists of its nodes: ranks and averages, nothing of anybody else."""

from msgspec import Struct

from matching.standing import FEWEST_RIVALS

LISTS = 200
"""The newest lists of the institution's nodes that are looked at."""


class ListedRow(Struct, frozen=True, kw_only=True):
    """A candidate shown in a list that one of the institution's offerings was in, best first.

    ``values`` and ``evidence`` of the features, in their order; None where the run had others. ``approved`` is asked of
    the institution's own alone.
    """

    run_id: int
    rank: int
    offering_id: int
    institution_id: int
    proposed: bool
    approved: bool
    values: tuple[float, ...] | None
    evidence: tuple[int, ...] | None


class ExcludedRow(Struct, frozen=True, kw_only=True):
    """How often a hard rule kept an offering out of lists of its own item. ``what``: the region or the kind of
    enterprise it does not serve; empty for other rules."""

    offering_id: int
    rule: str
    what: str
    times: int


class GapTold(Struct, frozen=True, kw_only=True):
    """Mean points for one feature beside those of whoever was placed above, of at most ``weight``; in words."""

    feature: str
    own: float
    above: float
    weight: float
    words: str


class AdviceTold(Struct, frozen=True, kw_only=True):
    """What a change would have done: in ``moved`` of ``lists`` the place would have improved, on average over those
    from ``before`` to ``after``. ``lever`` and ``amount`` are those of matching/standing.py."""

    lever: str
    amount: int
    lists: int
    moved: int
    before: float
    after: float
    firsts: int
    words: str


class ExclusionTold(Struct, frozen=True, kw_only=True):
    """How often a hard rule kept the offering out, and what to do about it."""

    rule: str
    times: int
    words: str
    remedy: str


class OfferingStanding(Struct, frozen=True, kw_only=True):
    """One offering in the lists looked at. ``mean_place`` as shown; None where it never was.

    ``compared``: lists behind ``gaps``.
    """

    offering_id: int
    title: str
    shown: int
    mean_place: float | None
    firsts: int
    proposed: int
    approved: int
    compared: int
    gaps: tuple[GapTold, ...]
    advice: tuple[AdviceTold, ...]
    excluded: tuple[ExclusionTold, ...]

    @property
    def times_excluded(self) -> int:
        """By all rules together."""
        return sum(one.times for one in self.excluded)


class InstitutionStanding(Struct, frozen=True, kw_only=True):
    """All offerings of an institution that are or were to be found, in so many lists of its nodes.

    Averages of rivals are over lists with at least ``fewest_rivals`` other institutions.
    """

    lists: int
    offerings: tuple[OfferingStanding, ...]
    fewest_rivals: int = FEWEST_RIVALS
