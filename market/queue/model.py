"""What a queue shows and by which filters, and decisions that are made but not sent yet."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlencode

from msgspec import Meta, Struct, structs

from market.i18n import Words
from market.needs.model import NeedRow, NeedState

CLEAR_GAP = 2.0
"""Points of a hundred by which the first choice has to be ahead of the next to count as clear."""
MOST_FILTERS = 20
OLD_DAYS = 5


class Tab(StrEnum):
    """What a queue is looked at for."""

    OPEN = "open"
    RANKING = "ranking"
    ASSIGNED = "assigned"
    SERVING = "serving"
    DELIVERED = "delivered"
    RETURNED = "returned"
    ENDED = "ended"


TABS: Mapping[Tab, tuple[NeedState, ...]] = {
    Tab.OPEN: (NeedState.PROPOSED, NeedState.UNMATCHED),
    Tab.RANKING: (NeedState.SUBMITTED,),
    Tab.ASSIGNED: (NeedState.ASSIGNED,),
    Tab.SERVING: (NeedState.SERVING,),
    Tab.DELIVERED: (NeedState.DELIVERED,),
    Tab.RETURNED: (NeedState.RETURNED,),
    Tab.ENDED: (NeedState.COMPLETED, NeedState.WITHDRAWN, NeedState.CLOSED),
}
TAB_NAMES: Mapping[Tab, str] = Words(
    {
        Tab.OPEN: "等我审核",
        Tab.RANKING: "正在匹配",
        Tab.ASSIGNED: "等机构受理",
        Tab.SERVING: "办理中",
        Tab.DELIVERED: "等企业确认",
        Tab.RETURNED: "退回补正",
        Tab.ENDED: "已结束",
    }
)


class Owner(StrEnum):
    """Whose a need is."""

    ANYONE = ""
    ME = "me"
    NOBODY = "nobody"
    OTHERS = "others"


OWNER_NAMES: Mapping[Owner, str] = Words(
    {Owner.ANYONE: "不限负责人", Owner.ME: "我负责的", Owner.NOBODY: "尚无人负责", Owner.OTHERS: "同事负责的"}
)


class Filter(Struct, frozen=True, kw_only=True):
    """What a queue shows; empty: whatever it is. Its fields are the parameters of the queue's address."""

    tab: Tab = Tab.OPEN
    region: Annotated[str, Meta(pattern="^([0-9]{6})?$", max_length=6)] = ""
    item: Annotated[str, Meta(max_length=50)] = ""
    owner: Owner = Owner.ANYONE
    overdue: bool = False
    q: Annotated[str, Meta(max_length=100)] = ""
    """Of the text or the enterprise's name."""

    @property
    def query(self) -> str:
        """As a part of an address, without what is as always."""
        given = {name: value for name, value in structs.asdict(self).items() if value != getattr(ALL, name)}
        return urlencode({name: "true" if value is True else str(value) for name, value in given.items()})

    @property
    def narrows(self) -> bool:
        """Whether it leaves anything of its tab out."""
        return structs.replace(self, tab=ALL.tab) != ALL

    def on(self, tab: Tab) -> str:
        """The address of the same filter on another tab."""
        query = structs.replace(self, tab=tab).query
        return f"/queue?{query}" if query else "/queue"


ALL = Filter()


class SavedFilter(Struct, frozen=True, kw_only=True):
    """A filter somebody gave a name to."""

    id: int
    name: str
    query: str

    @property
    def address(self) -> str:
        """Where it leads; whoever is given it sees the same of his own node."""
        return f"/queue?{self.query}" if self.query else "/queue"


FilterName = Annotated[str, Meta(min_length=1, max_length=30)]


class FilterForm(Filter, frozen=True, kw_only=True):
    """A filter to be saved."""

    name: FilterName


class QueueRow(NeedRow, frozen=True, kw_only=True):
    """A need in the queue."""

    owner_id: int | None
    match_id: int | None
    """The live match, or a mere proposal; of what was completed, the one that served it."""
    score: float | None
    """Of the proposal."""
    next_score: float | None
    """Of the best candidate beside it."""
    room: int | None
    """Places left at the offering proposed."""
    failed: str | None
    """Why a decision on it could not be sent."""

    @property
    def is_clear(self) -> bool:
        """Whether the proposal is well ahead of the others, and there is a place."""
        if self.state is not NeedState.PROPOSED or self.score is None or not self.room:
            return False
        return self.room > 0 and self.score - (self.next_score or 0.0) >= CLEAR_GAP

    @property
    def due(self) -> datetime | None:
        """What is due next of it; None while its clock stands or where nothing is."""
        if self.state in (NeedState.PROPOSED, NeedState.UNMATCHED, NeedState.SUBMITTED):
            return self.due_at
        return self.match_due_at if self.state in (NeedState.ASSIGNED, NeedState.SERVING) else None

    @property
    def urgency(self) -> str:
        """``bad`` where it is late, ``wait`` where it is due within a day; beside it stand words."""
        if self.due is None:
            return ""
        left = self.due - datetime.now(UTC)
        return "bad" if left < timedelta() else "wait" if left < timedelta(days=1) else ""

    @property
    def age_days(self) -> int:
        """Days since it was submitted."""
        return (datetime.now(UTC) - self.created_at).days

    @property
    def is_old(self) -> bool:
        """Whether it has been about for long."""
        return self.age_days >= OLD_DAYS


class Held(Struct, frozen=True, kw_only=True):
    """A decision that was made and can be taken back, or that could not be sent."""

    id: int
    need_id: int
    actor_id: int
    actor_login: str
    actor_name: str
    match_id: int | None
    offering_id: int | None
    reason: str
    enterprise_name: str
    institution_name: str
    send_at: datetime
    failed: str

    @property
    def seconds_left(self) -> int:
        """Until it is sent; 0 where the job that sends it is at work."""
        return max(0, round((self.send_at - datetime.now(UTC)).total_seconds()))


class Ticked(Struct, frozen=True):
    """A need that was ticked, and the proposal that was seen: written ``need:match``."""

    need_id: int
    match_id: int


class Several(Struct, frozen=True):
    """Needs to be approved together."""

    needs: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[0-9]{1,18}:[0-9]{1,18}$")], ...], Meta(min_length=1, max_length=100)
    ]

    @property
    def ticked(self) -> list[Ticked]:
        """Each need once, in the order of their ids, in which they are locked."""
        pairs = dict(sorted((int(need), int(match)) for need, match in (one.split(":") for one in self.needs)))
        return [Ticked(need, match) for need, match in pairs.items()]


class Share(Struct, frozen=True, kw_only=True):
    """What an offering would get of the needs that were ticked."""

    offering_id: int
    institution_name: str
    title: str
    gets: int
    capacity: int
    load: int

    @property
    def left(self) -> int:
        """Places left afterwards; below 0: so many of them will be refused."""
        return self.capacity - self.load - self.gets


class Correction(Struct, frozen=True, forbid_unknown_fields=True):
    """What a need is really about, by whoever works on it."""

    item_codes: Annotated[tuple[str, ...], Meta(max_length=5)] = ()
    rights: Annotated[tuple[str, ...], Meta(max_length=7)] = ()


class Decision(Struct, frozen=True, kw_only=True):
    """To approve a proposal, or to choose another candidate for a reason."""

    match_id: int | None = None
    offering_id: int | None = None
    reason: str = ""
