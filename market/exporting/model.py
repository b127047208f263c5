"""What is exported, and in which forms."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from market.catalogue.model import ChainStage, Guide, RightKind
from market.importing.model import Kind


class What(StrEnum):
    """What an export holds."""

    LISTS = "lists"
    OFFERINGS = "offerings"
    INSTITUTIONS = "institutions"


class Format(StrEnum):
    """In which form."""

    CSV = "csv"
    JSON = "json"
    HSDS = "hsds"


KINDS = {What.LISTS: Kind.ITEMS, What.OFFERINGS: Kind.OFFERINGS, What.INSTITUTIONS: Kind.INSTITUTIONS}
MEDIA_TYPES = {
    Format.CSV: "text/csv",
    Format.JSON: "application/json",
    Format.HSDS: "application/json",
}


def file_name(what: What, form: Format) -> str:
    """zhipei-offerings.csv, zhipei-offerings-hsds.json …"""
    return f"zhipei-{what}" + {Format.CSV: ".csv", Format.JSON: ".json", Format.HSDS: "-hsds.json"}[form]


class OfferingOut(Struct, frozen=True, kw_only=True):
    """A published offering with what other systems need to know of its institution and item."""

    id: int
    title: str
    summary: str
    guide: Guide
    item_code: str
    item_name: str
    rights: tuple[RightKind, ...]
    stages: tuple[ChainStage, ...]
    institution_id: int
    region_codes: tuple[str, ...]
    audience: tuple[str, ...]
    channels: tuple[str, ...]
    fee: str
    promised_days: int | None
    capacity: int
    created_at: datetime


class InstitutionOut(Struct, frozen=True, kw_only=True):
    """An active institution."""

    id: int
    uscc: str
    name: str
    kind: str
    kind_name: str
    region_code: str
    address: str
    phone: str
    summary: str
