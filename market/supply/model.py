"""What ranking reads of supply."""

from msgspec import Struct


class PublishedOffering(Struct, frozen=True, kw_only=True):
    """What ranking needs of an offering, without what changes with every match."""

    offering_id: int
    version: int
    institution_id: int
    institution_region: str
    item_code: str
    item_name: str
    title: str
    summary: str
    region_codes: tuple[str, ...]
    audience: tuple[str, ...]
    promised_days: int | None
    rights: tuple[str, ...]
    stages: tuple[str, ...]
