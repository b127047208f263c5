"""Rows of the demo's history, as the tables have them; runs and matches are numbered from 0 until they are stored."""

from datetime import date, datetime
from typing import Any

from msgspec import Struct

from market.demo.people import Enterprise
from market.matches.model import MatchState
from market.needs.model import Channel, NeedState, Understanding
from market.ratings.model import RatingState, RectificationState
from market.ratings.scale import RatingLevel
from matching.types import Exclusion, Part


class Provider(Struct, kw_only=True):
    """An offering while the history runs: what ranking reads of it, and the quality that decides how it behaves."""

    id: int
    version: int
    item_code: str
    item_version: int
    common: bool
    institution_id: int
    institution_version: int
    institution_region: str
    account_id: int
    promised_days: int | None
    capacity: int
    quality: float
    load: int = 0
    accepted: int = 0
    declined: int = 0
    delivered: int = 0
    on_time: int = 0
    rated: int = 0
    rating_points: int = 0


class Client(Struct, frozen=True, kw_only=True):
    """An enterprise while the history runs; without an account of its own, the clerk files for it."""

    id: int
    account_id: int | None
    who: Enterprise


class Node(Struct, frozen=True, kw_only=True):
    """A backbone node with its coordinators' accounts."""

    id: int
    name: str
    region_code: str
    coordinators: tuple[int, ...]


class NeedRow(Struct, kw_only=True):
    """A need as it stands when the history ends; ``state`` is reached by the moves, one by one."""

    id: int
    enterprise_id: int
    submitted_by: int
    channel: Channel
    body: str
    item_codes: tuple[str, ...]
    contact_name: str
    contact_phone: str
    region_code: str
    node_id: int
    owner_id: int | None
    understanding: Understanding
    wanted_by: date | None
    due_at: datetime
    due_provisional: bool
    created_at: datetime
    state: NeedState = NeedState.NEW
    version: int = 0


class RunRow(Struct, kw_only=True):
    """One ranking run."""

    id: int
    need_id: int
    need_version: int
    node_id: int
    model_version: str
    seed: int
    considered: int
    excluded: list[Exclusion]
    excluded_counts: dict[str, int]
    created_at: datetime


class CandidateRow(Struct, kw_only=True):
    """One candidate of a run."""

    run_id: int
    rank: int
    offering_id: int
    offering_version: int
    score: float
    parts: tuple[Part, ...]
    propensity: float
    shown: bool


class MatchRow(Struct, kw_only=True):
    """A match as it stands when the history ends; ``state`` as in NeedRow, from ``first_state`` on."""

    id: int
    need_id: int
    run_id: int
    first_state: MatchState
    offering_id: int
    offering_version: int
    item_code: str
    item_version: int
    institution_id: int
    institution_version: int
    created_at: datetime
    due_at: datetime | None = None
    due_provisional: bool = False
    result: str | None = None
    delivered_on_time: bool = False
    state: MatchState = MatchState.NEW


class RatingRow(Struct, kw_only=True):
    """A rating as it stands when the history ends, with its rectification; their states as in NeedRow."""

    id: int
    match_id: int
    institution_id: int
    offering_id: int
    level: RatingLevel
    indicators: tuple[str, ...]
    remark: str
    anonymous: bool
    rated_by: int
    on_behalf: bool
    created_at: datetime
    source: str | None = None
    later_remark: str | None = None
    reply: str | None = None
    state: RatingState = RatingState.NEW
    rectification: RectificationState = RectificationState.NEW
    due_at: datetime | None = None
    due_provisional: bool = False
    answer: str | None = None
    satisfied: bool | None = None
    sent_back: bool = False


class EventRow(Struct, kw_only=True):
    """One step of a need, or of a match."""

    need_id: int
    match_id: int | None
    machine: str
    from_state: str
    action: str
    to_state: str
    actor_id: int | None
    note: str
    data: dict[str, Any]
    at: datetime


class History(Struct, frozen=True):
    """Everything that happened, each list in the order of time."""

    needs: list[NeedRow]
    runs: list[RunRow]
    candidates: list[CandidateRow]
    matches: list[MatchRow]
    ratings: list[RatingRow]
    events: list[EventRow]
