"""Institutions: who provides services, in versions."""

from typing import Annotated

from msgspec import Meta, Struct

InstitutionName = Annotated[str, Meta(min_length=2, max_length=100)]


class Institution(Struct, frozen=True, kw_only=True):
    """An institution in its current version."""

    id: int
    version: int
    uscc: str
    state: str
    name: str
    kind: str
    kind_name: str
    region_code: str
    region_name: str
    address: str
    phone: str
    summary: str
    demo: bool
    offerings: int
    """How many offerings it has published."""


class InstitutionForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said of an institution; a change makes a new version."""

    uscc: str
    name: InstitutionName
    kind: str
    region_code: str
    address: Annotated[str, Meta(min_length=1, max_length=200)]
    phone: Annotated[str, Meta(min_length=5, max_length=50)]
    summary: Annotated[str, Meta(min_length=1, max_length=2000)]
