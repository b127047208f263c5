"""Offerings: what an institution publishes under a service item, in versions."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from market.catalogue.model import ITEM_LIST_NAMES, ChainStage, Guide, ItemList, RightKind

CHANNELS = ("线上", "窗口", "邮寄", "电话", "电子邮件", "委托代理机构")


class OfferingState(StrEnum):
    """Only published offerings are found and matched; a paused one finishes what it has."""

    DRAFT = "draft"
    PUBLISHED = "published"
    PAUSED = "paused"


OFFERING_STATE_NAMES: Mapping[OfferingState, str] = {
    OfferingState.DRAFT: "草稿",
    OfferingState.PUBLISHED: "已发布",
    OfferingState.PAUSED: "暂停受理",
}


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
    """What a reader is looking for; None and empty: anything."""

    q: str = ""
    item_code: str | None = None
    item_list: ItemList | None = None
    right: RightKind | None = None
    stage: ChainStage | None = None
    region_code: str | None = None
    institution_id: int | None = None


class Facets(Struct, frozen=True, kw_only=True):
    """How many published offerings there are by list, right and stage."""

    item_list: dict[str, int]
    right: dict[str, int]
    stage: dict[str, int]
