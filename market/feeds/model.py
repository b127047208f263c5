"""A change of what is published."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from market.catalogue.model import ITEM_LIST_NAMES, ItemList
from market.i18n import Words, _


class ChangeAction(StrEnum):
    """What happened to it."""

    PUBLISHED = "published"
    REVISED = "revised"
    WITHDRAWN = "withdrawn"


ITEM_WORDS: Mapping[ChangeAction, str] = Words(
    {
        ChangeAction.PUBLISHED: "新增事项",
        ChangeAction.REVISED: "修订事项",
        ChangeAction.WITHDRAWN: "撤销事项",
    }
)
OFFERING_WORDS: Mapping[ChangeAction, str] = Words(
    {
        ChangeAction.PUBLISHED: "发布服务",
        ChangeAction.REVISED: "更新服务",
        ChangeAction.WITHDRAWN: "暂停服务",
    }
)


class Change(Struct, frozen=True, kw_only=True):
    """One line of the log. Ids grow in the order in which changes took effect, and never change."""

    id: int
    action: ChangeAction
    item_code: str
    offering_id: int | None
    """None: it is the item itself that changed."""
    version: int
    """Of the item or offering."""
    title: str
    item_list: ItemList
    institution_id: int | None
    institution_name: str | None
    at: datetime

    @property
    def words(self) -> str:
        """What happened, in words."""
        return (OFFERING_WORDS if self.offering_id else ITEM_WORDS)[self.action]

    @property
    def path(self) -> str:
        """Where to read the version it speaks of."""
        what = f"/offerings/{self.offering_id}" if self.offering_id else f"/items/{self.item_code}"
        return f"{what}?version={self.version}"

    @property
    def summary(self) -> str:
        """One sentence about it."""
        told = _("{list}，第 {version} 版", list=ITEM_LIST_NAMES[self.item_list], version=self.version)
        whose = self.institution_name
        return _("{institution}，{told}", institution=whose, told=told) if whose else told


class ChangePage(Struct, frozen=True, kw_only=True):
    """Changes in the order they happened. ``next``: ask again with this ``since``, now or later; nothing is missed."""

    items: list[Change]
    next: int
    more: bool
    """Whether there are further ones already."""
