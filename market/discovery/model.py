"""What somebody looks for, and what is found."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Generic, Literal, TypeVar

from msgspec import Meta, Struct

from market.catalogue.model import ChainStage, ItemList, RightKind, ServiceItem
from market.institutions.model import Institution
from market.notices.model import Notice, NoticeKind
from market.offerings.model import FeeKind, LimitBand, Offering
from market.regions.model import RegionCode, SearchText
from search.engine import MOST_HITS, MOST_PER_PAGE, RELEVANCE, IndexName, Snippet

T = TypeVar("T")
RebuildState = Literal["waiting", "running", "done", "failed"]


class TextOnly(Struct, frozen=True, kw_only=True):
    """A text looked for everywhere."""

    q: SearchText = ""
    as_typed: bool = False


class ItemFilter(Struct, frozen=True, kw_only=True):
    """Which service items a reader is looking for; None and empty: anything."""

    q: SearchText = ""
    item_list: tuple[ItemList, ...] = ()
    right: tuple[RightKind, ...] = ()
    stage: tuple[ChainStage, ...] = ()
    fee: tuple[FeeKind, ...] = ()
    time_limit: tuple[LimitBand, ...] = ()


class NoticeFilter(Struct, frozen=True, kw_only=True):
    """Which notices a reader is looking for; None and empty: anything."""

    q: SearchText = ""
    kind: tuple[NoticeKind, ...] = ()
    within: RegionCode | None = None


class Order(Struct, frozen=True):
    """The order and the page of what is found; ``near``: the region that nearness is measured from.

    ``as_typed``: the text is right as it stands, no slip in it is mended.
    """

    sort: Annotated[str, Meta(max_length=30)] = RELEVANCE
    near: RegionCode | None = None
    page: Annotated[int, Meta(ge=1, le=MOST_HITS)] = 1
    size: Annotated[int, Meta(ge=1, le=MOST_PER_PAGE)] = 20
    as_typed: bool = False


class Found(Struct, Generic[T], frozen=True, kw_only=True):
    """One page of what was found.

    ``facets``: field → value → how many there would be. ``snippets``: id → field → the text around what was found.
    ``corrected``: what was looked for instead, where the text has a slip. ``total`` is None, and ``facets`` empty,
    where ``degraded``: the search engine is away, and the database lists what has every word, in no order of merit.
    """

    items: list[T]
    total: int | None
    page: int
    pages: int
    facets: dict[str, dict[str, int]]
    snippets: dict[str, dict[str, Snippet]]
    corrected: str | None
    degraded: bool


class Everything(Struct, frozen=True, kw_only=True):
    """What one text finds everywhere: the first of each kind, and how many there are."""

    offerings: Found[Offering]
    institutions: Found[Institution]
    items: Found[ServiceItem]
    notices: Found[Notice]

    @property
    def total(self) -> int | None:
        """How many in all; None while the search engine is away."""
        totals = [found.total for found in (self.offerings, self.institutions, self.items, self.notices)]
        return sum(n for n in totals if n) if all(n is not None for n in totals) else None


class Rebuild(Struct, frozen=True, kw_only=True):
    """An index that is built anew, and how far it is; ``error`` in words, empty where there is none."""

    id: int
    index_name: IndexName
    reason: str
    state: RebuildState
    done: int
    total: int
    error: str
    created_at: datetime
    finished_at: datetime | None


class Difference(Struct, frozen=True):
    """Where index and database disagree: ids that the index lacks, has too many, or holds in an older form."""

    index: IndexName
    missing: Sequence[str]
    surplus: Sequence[str]
    stale: Sequence[str]

    @property
    def empty(self) -> bool:
        """Whether they agree."""
        return not (self.missing or self.surplus or self.stale)


class Wanted(Struct, frozen=True):
    """A text people searched for, over some days: how often, and how often in vain."""

    text: str
    times: int
    found_nothing: int
    last_day: date
