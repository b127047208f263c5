"""A guide as the public reads it."""

from datetime import date
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from market.catalogue.model import Guide, ItemList, Limit
from market.i18n import _


class ComplaintSource(StrEnum):
    """Who published where to complain or praise."""

    GUIDE = "guide"
    INSTITUTION = "institution"
    NODE = "node"
    NOBODY = "nobody"


class Complaints(Struct, frozen=True, kw_only=True):
    """Where to complain or praise; ``owner``: whose channel it is, where the guide itself names none."""

    channel: str
    source: ComplaintSource
    owner: str = ""

    @property
    def remark(self) -> str:
        """What a reader is told of where the channel comes from; empty where it is the guide's own."""
        theirs = _("办事指南没有载明监督评价渠道，以上是{owner}公布的联系方式。", owner=self.owner)
        return {
            ComplaintSource.GUIDE: "",
            ComplaintSource.INSTITUTION: theirs,
            ComplaintSource.NODE: theirs,
            ComplaintSource.NOBODY: _("办事指南没有载明监督评价渠道，本地也还没有公布联系方式。"),
        }[self.source]


class PublicGuide(Struct, frozen=True, kw_only=True):
    """The guide of an item, or of one institution's offering under it."""

    title: str
    item_code: str
    item_name: str
    item_version: int
    item_list: ItemList
    offering_id: int | None = None
    offering_version: int | None = None
    institution_name: str | None = None
    address: str | None = None
    phone: str | None = None
    guide: Guide
    """As it was written: what is not stated is empty."""
    complaints: Complaints
    fee: str | None
    statutory_limit: Limit | None
    promised_limit: Limit | None
    effective_from: date
    effective_until: date | None
    withdrawn_on: date | None
    url: str
    """Where to read it, from the site's root."""


class NodeChannel(Struct, frozen=True, kw_only=True):
    """Where a node wants complaints and praise; empty: it has not said."""

    name: str
    region_prefix: str
    supervision: str


class ChannelForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a node publishes."""

    supervision: Annotated[str, Meta(max_length=500)] = ""
