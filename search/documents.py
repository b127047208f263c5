"""What is indexed: one Struct of plain values for each index, filled from rows, and what is derived from them.

Everything that is the same for all engines is derived here: regions above a region, kinds of fee, bands of time
limits, hashes. What an engine needs on top (pairs, sounds, spaced words) it derives itself.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b

import msgspec
from msgspec import Struct

from search.engine import Document
from search.settings import PLACE

EVERYONE = "everyone"
"""Who an offering or item is for that names nobody."""
UNSTATED = "unstated"
"""The fee or time limit of what states none."""
LIMIT_BANDS = (("same_day", 0), ("week", 5), ("fortnight", 10), ("month", 22))
"""Time limits by working days, at most; ``longer`` above the last."""


class OfferingDocument(Struct, frozen=True, kw_only=True):
    """A published offering of an active institution, with its item and institution as they are now."""

    id: int
    title: str
    summary: str
    guide: str
    """Its guide's texts, in one."""
    item_code: str
    item_name: str
    item_list: str
    aliases: str
    """What people call the item, in one."""
    rights: tuple[str, ...]
    stages: tuple[str, ...]
    institution_id: int
    institution_name: str
    institution_kind: str
    institution_region: str
    region_name: str
    """Full name of the institution's region."""
    region_codes: tuple[str, ...]
    """Regions it serves."""
    audience: tuple[str, ...]
    channels: tuple[str, ...]
    fee: str | None
    promised_days: int | None
    satisfaction: int | None
    """Mean of its ratings in hundredths, 100..500; None without ratings."""

    def document(self) -> Document:
        """As engines take it."""
        texts = {
            "title": self.title,
            "item_name": self.item_name,
            "institution_name": self.institution_name,
            "region_name": self.region_name,
            "aliases": self.aliases,
            "summary": self.summary,
            "guide": self.guide,
        }
        keywords = {
            **_guide(self.item_list, self.rights, self.stages, self.audience, self.channels),
            **region(self.institution_region),
            "fee": (fee_kind(self.fee),),
            "limit": (limit_band(self.promised_days),),
            "serves": self.region_codes,
            "item_code": (self.item_code,),
            "institution": (str(self.institution_id),),
            "institution_kind": (self.institution_kind,),
        }
        numbers = _known(promised_days=self.promised_days, satisfaction=self.satisfaction)
        return _document(str(self.id), texts, keywords, numbers)


class InstitutionDocument(Struct, frozen=True, kw_only=True):
    """An active institution with what it offers."""

    id: int
    name: str
    kind: str
    kind_name: str
    region_code: str
    region_name: str
    address: str
    summary: str
    services: tuple[str, ...]
    """Names of the items it has published offerings of."""
    item_codes: tuple[str, ...]
    rights: tuple[str, ...]
    stages: tuple[str, ...]
    satisfaction: int | None

    def document(self) -> Document:
        """As engines take it."""
        texts = {
            "name": self.name,
            "kind_name": self.kind_name,
            "region_name": self.region_name,
            "services": " ".join(self.services),
            "summary": self.summary,
            "address": self.address,
        }
        keywords = {
            "institution_kind": (self.kind,),
            "right": self.rights,
            "stage": self.stages,
            "item_code": self.item_codes,
            **region(self.region_code),
        }
        return _document(str(self.id), texts, keywords, _known(satisfaction=self.satisfaction))


class ItemDocument(Struct, frozen=True, kw_only=True):
    """A service item in its version in force."""

    code: str
    name: str
    group: str
    item_list: str
    aliases: tuple[str, ...]
    rights: tuple[str, ...]
    stages: tuple[str, ...]
    audience: tuple[str, ...]
    channels: tuple[str, ...]
    guide: str
    fee: str | None
    promised_days: int | None

    def document(self) -> Document:
        """As engines take it."""
        texts = {"name": self.name, "aliases": " ".join(self.aliases), "group_name": self.group, "guide": self.guide}
        keywords = {
            **_guide(self.item_list, self.rights, self.stages, self.audience, self.channels),
            "fee": (fee_kind(self.fee),),
            "limit": (limit_band(self.promised_days),),
        }
        return _document(self.code, texts, keywords, _known(promised_days=self.promised_days))


class NoticeDocument(Struct, frozen=True, kw_only=True):
    """A published notice."""

    id: int
    title: str
    body: str
    kind: str
    region_code: str
    published_day: int
    """Days since 1970-01-01."""

    def document(self) -> Document:
        """As engines take it."""
        texts = {"title": self.title, "body": self.body}
        keywords = {"kind": (self.kind,), **region(self.region_code)}
        return _document(str(self.id), texts, keywords, {"published_day": self.published_day})


def lineage(code: str) -> tuple[str, ...]:
    """A region's code after those it lies in, from the nation down: 440305 → 000000 440000 440300 440305."""
    return tuple(dict.fromkeys(("000000", code[:2] + "0000", code[:4] + "00", code)))


@lru_cache(5_000)
def region(code: str) -> Mapping[str, tuple[str, ...]]:
    """The keyword fields of a region: itself with all above, and one for each level to count by."""
    _, *levels = lineage(code)
    named = zip(("province", "city", "county"), levels, strict=False)
    return {PLACE: lineage(code)} | {level: (one,) for level, one in named}


def limit_band(days: int | None) -> str:
    """The band of a promised limit in working days."""
    if days is None:
        return UNSTATED
    return next((band for band, most in LIMIT_BANDS if days <= most), "longer")


@lru_cache(1_000)
def fee_kind(fee: str | None) -> str:
    """free, paid or unstated, by what is said of the fee; what costs something under some condition is paid."""
    said = (fee or "").strip()
    if not said:
        return UNSTATED
    charges = re.search(r"\d\s*元|按.{0,12}(?:计算|缴纳|收费)|面议|协商", said) is not None
    return "free" if re.search("免费|不收费|无偿|^0$|^无$", said) and not charges else "paid"


def tie(id_: str) -> int:
    """What equals are ordered by, 32 bits, the same everywhere: no name and no age decides."""
    return int.from_bytes(blake2b(id_.encode(), digest_size=4).digest(), "big")


def digest(document: Document) -> str:
    """Sixteen hexadecimal digits that differ where documents do."""
    return blake2b(_encode(document), digest_size=8).hexdigest()


_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def _guide(
    item_list: str,
    rights: tuple[str, ...],
    stages: tuple[str, ...],
    audience: tuple[str, ...],
    channels: tuple[str, ...],
) -> dict[str, tuple[str, ...]]:
    return {
        "item_list": (item_list,),
        "right": rights,
        "stage": stages,
        "audience": audience or (EVERYONE,),
        "channel": channels,
    }


def _known(**numbers: int | None) -> dict[str, int]:
    return {name: number for name, number in numbers.items() if number is not None}


def _document(
    id_: str, texts: dict[str, str], keywords: dict[str, tuple[str, ...]], numbers: dict[str, int]
) -> Document:
    return Document(id=id_, texts=texts, keywords=keywords, numbers=numbers)
