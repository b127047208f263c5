"""Offerings: what an institution publishes under a service item, in versions."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from market.catalogue.model import ITEM_LIST_NAMES, ChainStage, Guide, ItemList, RightKind
from market.i18n import Words
from market.regions.model import RegionCode, SearchText

CHANNELS = ("线上", "窗口", "邮寄", "电话", "电子邮件", "委托代理机构")  # not translated: as guides have them
CHANNEL_NAMES: Mapping[str, str] = Words(
    {
        "线上": "线上",
        "窗口": "窗口",
        "邮寄": "邮寄",
        "电话": "电话",
        "电子邮件": "电子邮件",
        "委托代理机构": "委托代理机构",
    }
)


class FeeKind(StrEnum):
    """What is said of the fee, as search/documents.py reads it."""

    FREE = "free"
    PAID = "paid"
    UNSTATED = "unstated"


class LimitBand(StrEnum):
    """How soon the promised limit is, as search/documents.py reads it; each band stands by itself."""

    SAME_DAY = "same_day"
    WEEK = "week"
    FORTNIGHT = "fortnight"
    MONTH = "month"
    LONGER = "longer"
    UNSTATED = "unstated"


FEE_KIND_NAMES: Mapping[FeeKind, str] = Words(
    {
        FeeKind.FREE: "不收费",
        FeeKind.PAID: "收费",
        FeeKind.UNSTATED: "未注明",
    }
)
LIMIT_BAND_NAMES: Mapping[LimitBand, str] = Words(
    {
        LimitBand.SAME_DAY: "当日办结",
        LimitBand.WEEK: "5 个工作日内",
        LimitBand.FORTNIGHT: "10 个工作日内",
        LimitBand.MONTH: "22 个工作日内",
        LimitBand.LONGER: "更久",
        LimitBand.UNSTATED: "未承诺时限",
    }
)


class OfferingState(StrEnum):
    """Only published offerings are found and matched; a paused one finishes what it has."""

    DRAFT = "draft"
    PUBLISHED = "published"
    PAUSED = "paused"


OFFERING_STATE_NAMES: Mapping[OfferingState, str] = Words(
    {
        OfferingState.DRAFT: "草稿",
        OfferingState.PUBLISHED: "已发布",
        OfferingState.PAUSED: "暂停受理",
    }
)


class Offering(Struct, frozen=True, kw_only=True):
    """An offering in one version, with its item and institution as they are now."""

    id: int
    version: int
    state: OfferingState
    title: str
    summary: str
    guide: Guide
    item_code: str
    item_version: int
    item_name: str
    item_list: ItemList
    rights: tuple[RightKind, ...]
    stages: tuple[ChainStage, ...]
    institution_id: int
    institution_name: str
    institution_region: str
    region_name: str
    region_codes: tuple[str, ...]
    audience: tuple[str, ...]
    channels: tuple[str, ...]
    fee: str
    promised_days: int | None
    capacity: int
    load: int
    rated: tuple[int, int, int, int, int]
    """How many ratings of each level, 1 to 5."""
    demo: bool
    created_at: datetime
    item_withdrawn_on: date | None
    """The first day its item was not in force any more; None: it is."""

    @property
    def list_name(self) -> str:
        """The list its item stands on, in words."""
        return ITEM_LIST_NAMES[self.item_list]

    @property
    def state_name(self) -> str:
        """The state in words."""
        return OFFERING_STATE_NAMES[self.state]


class OfferingForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an institution says of an offering; a change makes a new version."""

    item_code: str
    title: Annotated[str, Meta(min_length=2, max_length=100)]
    summary: Annotated[str, Meta(min_length=1, max_length=2000)]
    region_codes: Annotated[tuple[str, ...], Meta(min_length=1, max_length=50)]
    audience: tuple[str, ...] = ()
    """Kinds of enterprise it is for; none: everyone."""
    channels: tuple[str, ...] = ()
    fee: Annotated[str, Meta(max_length=200)] = ""
    promised_days: Annotated[int, Meta(ge=0, le=1000)] | None = None
    """Working days; None: no limit is promised."""
    capacity: Annotated[int, Meta(ge=0, le=100_000)] = 10
    """Needs it can serve at the same time."""
    guide: Guide | None = None
    """None: the guide of the item."""


class OfferingFilter(Struct, frozen=True, kw_only=True):
    """What a reader is looking for; None and empty: anything. Of several values of a field any will do.

    ``region_code``: who serves this region; ``within``: institutions that lie in that region.
    """

    q: SearchText = ""
    item_code: str | None = None
    item_list: tuple[ItemList, ...] = ()
    right: tuple[RightKind, ...] = ()
    stage: tuple[ChainStage, ...] = ()
    region_code: RegionCode | None = None
    within: RegionCode | None = None
    institution_id: int | None = None
    institution_kind: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    channel: tuple[str, ...] = ()
    fee: tuple[FeeKind, ...] = ()
    time_limit: tuple[LimitBand, ...] = ()
