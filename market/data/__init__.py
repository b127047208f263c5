"""The facts that Zhipei ships, read from the files beside this one; README.md names their origins.

Every loader reads its file anew and returns values that do not change. Nothing here knows the database.
"""

import csv
import hashlib
from datetime import date
from importlib.resources import files

import msgspec
from msgspec import Struct

from market.catalogue.model import ChainStage, ItemList, Limit, RightKind
from market.regions.model import Region


class Industry(Struct, frozen=True):
    """A class of GB/T 4754-2017; level 1 门类, 2 大类, 3 中类, 4 小类."""

    code: str
    name: str
    level: int
    parent_code: str | None


class CalendarDay(Struct, frozen=True):
    """A day that a holiday notice names: a day off, or a shifted working day 调休."""

    day: date
    working: bool
    name: str
    year: int
    """Year of the notice. A notice may reach into the December before its year."""


class CalendarYear(Struct, frozen=True):
    """A year whose holidays the State Council has announced."""

    year: int
    notice: str
    """Address of the notice."""


class CalendarData(Struct, frozen=True):
    """All that has been announced."""

    days: tuple[CalendarDay, ...]
    years: tuple[CalendarYear, ...]

    @property
    def horizon(self) -> date:
        """Last announced day; what is beyond it is provisional."""
        return date(max(y.year for y in self.years), 12, 31)


class TimeLimitData(Struct, frozen=True):
    """A time limit in the guide's words, with what could be read from them; None: not stated."""

    text: str
    value: int | None
    unit: str | None
    kind: str | None
    """What is measured, in the guide's word: 办结, 受理决定, 平均首次审查, 法定, 即办."""
    basis: str | None


class GuideData(Struct, frozen=True):
    """The eight elements of a guide 办事指南. Empty: the source does not state it."""

    conditions: tuple[str, ...]
    audience: tuple[str, ...]
    channels: tuple[str, ...]
    materials: tuple[str, ...]
    process: tuple[str, ...]
    time_limit: TimeLimitData
    result: tuple[str, ...]
    supervision: str


class ItemData(Struct, frozen=True):
    """A service item 服务事项, as its list states it."""

    number: int
    code: str
    name: str
    group: str
    list: ItemList
    rights: tuple[RightKind, ...]
    stages: tuple[ChainStage, ...]
    guide: GuideData
    fee: str | None
    handlers: tuple[str, ...]
    statutory_limit: Limit | None
    promised_limit: Limit | None


class Origin(Struct, frozen=True):
    """Where a list of items comes from."""

    title: str
    published: str
    source: str
    note: str


class ItemsData(Struct, frozen=True):
    """A list of service items with what its publisher guarantees for all of them."""

    origin: Origin
    guarantees: tuple[str, ...]
    items: tuple[ItemData, ...]


class InstitutionKindData(Struct, frozen=True):
    """A kind of public service institution; ``tier`` and ``basis`` are None where no source states them."""

    code: str
    name: str
    name_en: str
    tier: str | None
    basis: str | None


class EnterpriseKindData(Struct, frozen=True):
    """A kind of enterprise 创新主体."""

    code: str
    name: str
    name_en: str


class RatingIndicatorData(Struct, frozen=True):
    """Something one can tick with a level of 好差评; ``channels``: where it can be true, online and counter."""

    code: str
    name: str
    name_en: str
    channels: tuple[str, ...]


class RatingLevelData(Struct, frozen=True):
    """A level of 好差评, 5 the best, with its indicators."""

    level: int
    name: str
    name_en: str
    indicators: tuple[RatingIndicatorData, ...]


class UsccDepartment(Struct, frozen=True):
    """A registering department; ``kinds`` is empty where the standard lists none."""

    name: str
    kinds: dict[str, str]


class UsccFacts(Struct, frozen=True):
    """What GB 32100-2015 fixes: 31 characters, 17 weights, departments by their code."""

    standard: str
    alphabet: str
    weights: tuple[int, ...]
    departments: dict[str, UsccDepartment]


def load_regions() -> tuple[Region, ...]:
    """Regions ordered by code; the nation is first."""
    return msgspec.convert(_rows("regions.csv"), tuple[Region, ...], strict=False)


def load_industries() -> tuple[Industry, ...]:
    """Classes of the national economy, each after the class it belongs to."""
    return msgspec.convert(_rows("industries.csv"), tuple[Industry, ...], strict=False)


def load_calendar() -> CalendarData:
    """Announced holidays and shifted working days, ordered by day."""
    return CalendarData(
        days=msgspec.convert(_rows("calendar.csv"), tuple[CalendarDay, ...], strict=False),
        years=msgspec.convert(_rows("calendar_years.csv"), tuple[CalendarYear, ...], strict=False),
    )


def load_items() -> ItemsData:
    """The shipped service items, ordered by number."""
    return msgspec.json.decode(_bytes("items.json"), type=ItemsData)


def load_synonyms() -> dict[str, tuple[str, ...]]:
    """Everyday words for each item, by item code."""
    return msgspec.json.decode(_bytes("synonyms.json"), type=dict[str, tuple[str, ...]])


def load_institution_kinds() -> tuple[InstitutionKindData, ...]:
    """Kinds of institution, in the order of the file."""
    return msgspec.json.decode(_bytes("institution_kinds.json"), type=tuple[InstitutionKindData, ...])


def load_enterprise_kinds() -> tuple[EnterpriseKindData, ...]:
    """Kinds of enterprise; 个人 and 其他企业 are last."""
    return msgspec.json.decode(_bytes("enterprise_kinds.json"), type=tuple[EnterpriseKindData, ...])


def load_rating_scale() -> tuple[RatingLevelData, ...]:
    """The five levels of 好差评, best first."""
    return msgspec.json.decode(_bytes("rating_scale.json"), type=tuple[RatingLevelData, ...])


def load_uscc() -> UsccFacts:
    """Facts of the unified social credit code."""
    return msgspec.json.decode(_bytes("uscc.json"), type=UsccFacts)


def digest() -> str:
    """SHA-256 of all files: another edition of the facts, another digest."""
    names = sorted(file.name for file in files(__name__).iterdir() if file.name.endswith((".csv", ".json")))
    return hashlib.sha256(b"\0".join(name.encode() + b"\0" + _bytes(name) for name in names)).hexdigest()


def _bytes(name: str) -> bytes:
    return files(__name__).joinpath(name).read_bytes()


def _rows(name: str) -> list[dict[str, str | None]]:
    lines = _bytes(name).decode().splitlines()
    return [{key: text or None for key, text in row.items()} for row in csv.DictReader(lines)]
