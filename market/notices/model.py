"""A public notice, as its node writes it and as everybody reads it."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct

from market.i18n import Words

NoticeState = Literal["published", "withdrawn"]


class NoticeKind(StrEnum):
    """What a notice is about."""

    NEWS = "news"
    EVENT = "event"
    POLICY = "policy"


NOTICE_KIND_NAMES: Mapping[NoticeKind, str] = Words(
    {NoticeKind.NEWS: "通知", NoticeKind.EVENT: "活动", NoticeKind.POLICY: "政策"}
)


class Notice(Struct, frozen=True, kw_only=True):
    """One notice. ``version`` grows with every change, so that two people never overwrite each other."""

    id: int
    version: int
    node_id: int
    node_name: str
    region_code: str
    kind: NoticeKind
    title: str
    body: str
    state: NoticeState
    published_at: datetime

    @property
    def kind_name(self) -> str:
        """The kind in words."""
        return NOTICE_KIND_NAMES[self.kind]


class NoticeForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a node wants to be read."""

    kind: NoticeKind
    title: Annotated[str, Meta(min_length=2, max_length=100)]
    body: Annotated[str, Meta(min_length=1, max_length=20_000)]
