"""What is learned from, how a stored model stands; pure."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum

from msgspec import Struct


class ModelState(StrEnum):
    """Where a model stands. At most one is champion; with none, the scorecard ranks alone."""

    CANDIDATE = "candidate"
    CHAMPION = "champion"
    RETIRED = "retired"


class Line(Struct, frozen=True, kw_only=True):
    """One candidate of a ranking that a coordinator decided on, and what became of it.

    ``proposed``: to the coordinator, who took another where one is ``by_override``.
    ``values`` in the order of FEATURES; ``item_number`` is that of the item the coordinator decided on, one for all
    lines of a run. The flags say what its match went through: all are False for one nobody took.
    """

    run_id: int
    need_id: int
    day: date
    region_code: str
    item_number: int
    rank: int
    shown: bool
    propensity: float
    proposed: bool
    values: tuple[float, ...]
    approved: bool
    by_override: bool
    accepted: bool
    completed: bool
    declined: bool


class StoredModel(Struct, frozen=True, kw_only=True):
    """A model without its tables: how it stands, what it learned from, how it did on the days after ``last_day``.

    ``failed`` names the bars of the gate that it missed.
    """

    version: str
    state: ModelState
    labelled_needs: int
    first_day: date
    last_day: date
    metrics: Mapping[str, float]
    failed: tuple[str, ...]
    created_at: datetime
    promoted_at: datetime | None
