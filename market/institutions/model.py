"""Institutions: who provides services, in versions."""

from typing import Annotated

from msgspec import Meta, Struct

from market.catalogue.model import ChainStage, RightKind
from market.regions.model import RegionCode, SearchText

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


class InstitutionFilter(Struct, frozen=True, kw_only=True):
    """What a reader is looking for; None and empty: anything. Of several values of a field any will do.

    ``within``: the region the institution lies in; ``right``, ``stage``: of the services it offers.
    """

    q: SearchText = ""
    institution_kind: tuple[str, ...] = ()
    right: tuple[RightKind, ...] = ()
    stage: tuple[ChainStage, ...] = ()
    within: RegionCode | None = None


class InstitutionForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said of an institution; a change makes a new version."""

    uscc: str
    name: InstitutionName
    kind: str
    region_code: str
    address: Annotated[str, Meta(min_length=1, max_length=200)]
    phone: Annotated[str, Meta(min_length=5, max_length=50)]
    summary: Annotated[str, Meta(min_length=1, max_length=2000)]
