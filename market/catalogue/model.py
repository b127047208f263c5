"""Service items and the vocabulary of the field (3-glossary.md)."""

import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Literal

from msgspec import Struct

from market.i18n import N_, Words


class ItemList(StrEnum):
    """The three lists of article 1."""

    AUTHORITY = "authority"
    COMMON = "common"
    SPECIFIC = "specific"


class RightKind(StrEnum):
    """Kinds of intellectual property right."""

    PATENT = "patent"
    TRADEMARK = "trademark"
    GI = "gi"
    IC_LAYOUT = "ic_layout"
    COPYRIGHT = "copyright"
    TRADE_SECRET = "trade_secret"  # noqa: S105 - a kind of right
    DATA = "data"


class ChainStage(StrEnum):
    """Stages of the whole chain (全链条)."""

    CREATION = "creation"
    UTILISATION = "utilisation"
    PROTECTION = "protection"
    MANAGEMENT = "management"
    SERVICE = "service"


ITEM_LIST_NAMES: Mapping[ItemList, str] = Words(
    {
        ItemList.AUTHORITY: "事项清单",
        ItemList.COMMON: "共性清单",
        ItemList.SPECIFIC: "个性化清单",
    }
)
RIGHT_NAMES: Mapping[RightKind, str] = Words(
    {
        RightKind.PATENT: "专利",
        RightKind.TRADEMARK: "商标",
        RightKind.GI: "地理标志",
        RightKind.IC_LAYOUT: "集成电路布图设计",
        RightKind.COPYRIGHT: "著作权",
        RightKind.TRADE_SECRET: "商业秘密",
        RightKind.DATA: "数据知识产权",
    }
)
STAGE_NAMES: Mapping[ChainStage, str] = Words(
    {
        ChainStage.CREATION: "创造",
        ChainStage.UTILISATION: "运用",
        ChainStage.PROTECTION: "保护",
        ChainStage.MANAGEMENT: "管理",
        ChainStage.SERVICE: "服务",
    }
)


class Limit(Struct, frozen=True):
    """A time limit; where a list states none, there is no Limit at all."""

    value: int
    unit: Literal["working_day", "month", "instant"]

    @property
    def working_days(self) -> int | None:
        """In working days where the unit allows it: months have no fixed number of them."""
        return {"working_day": self.value, "instant": 0, "month": None}[self.unit]


class Guide(Struct, frozen=True, kw_only=True):
    """The eight elements of a guide (办事指南). An empty list or text: the source does not state it."""

    conditions: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    materials: tuple[str, ...] = ()
    process: tuple[str, ...] = ()
    time_limit: str = ""
    result: tuple[str, ...] = ()
    supervision: str = ""


class ItemContent(Struct, frozen=True, kw_only=True):
    """What a service item says: all that a version holds and a revision changes."""

    name: str
    item_group: str
    item_list: ItemList
    rights: tuple[RightKind, ...]
    stages: tuple[ChainStage, ...]
    aliases: tuple[str, ...]
    guide: Guide
    fee: str | None
    handlers: tuple[str, ...]
    statutory_limit: Limit | None
    promised_limit: Limit | None


class ServiceItem(ItemContent, frozen=True, kw_only=True):
    """A service item in its version now in force, or in the version asked for."""

    code: str
    version: int
    number: int
    institution_id: int | None = None
    """Whose specific list it is on; None: a list of the province."""
    institution_name: str | None = None
    effective_from: date
    """The first day of this version."""
    effective_until: date | None = None
    """The last day of this version, where that was known beforehand."""
    withdrawn_on: date | None = None
    """The first day on which the item was not in force any more; None: it is in force."""

    @property
    def content(self) -> ItemContent:
        """What it says, without where it stands."""
        return ItemContent(**{name: getattr(self, name) for name in ItemContent.__struct_fields__})


LIMIT = re.compile(r"(\d{1,4})\s*个?(工作日|月)(?:内|以内)?")  # not translated: what people type
INSTANT = frozenset({"即办", "当场办结", "即时办结"})  # not translated: what people type
LIMIT_HINT = N_("请写成「7个工作日」「9个月」或「即办」；没有规定时限就留空。")


def parse_limit(text: str) -> Limit:
    """A time limit as people write it; LIMIT_HINT says how.

    Raises:
        ValueError: it is none.
    """
    if text in INSTANT:
        return Limit(0, "instant")
    if match := LIMIT.fullmatch(text):
        return Limit(int(match[1]), "month" if match[2] == "月" else "working_day")  # not translated: what people type
    raise ValueError(text)


def limit_text(limit: Limit | None) -> str:
    """What ``parse_limit`` reads; empty for None."""
    if limit is None:
        return ""
    written = {"instant": "即办", "month": "{}个月", "working_day": "{}个工作日"}  # not translated: read back as typed
    return written[limit.unit].format(limit.value)
