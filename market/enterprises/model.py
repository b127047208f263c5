"""Enterprises (创新主体): who needs services."""

from typing import Annotated

from msgspec import Meta, Struct

from market.accounts.model import Login, Password, PersonName, Phone

EnterpriseName = Annotated[str, Meta(min_length=2, max_length=100)]


class Enterprise(Struct, frozen=True, kw_only=True):
    """An enterprise, or a natural person, that asks for services."""

    id: int
    name: str
    uscc: str | None
    kind: str
    region_code: str
    industry_code: str | None
    contact_name: str
    contact_phone: str
    demo: bool

    @property
    def industry(self) -> str | None:
        """The section of its industry: the letter its GB/T 4754 code begins with."""
        return self.industry_code[0] if self.industry_code else None


class Profile(Struct, frozen=True):
    """An enterprise with its codes in words."""

    enterprise: Enterprise
    kind_name: str
    region_name: str


class Registration(Struct, frozen=True, kw_only=True):
    """What an enterprise fills in once to get an account."""

    name: EnterpriseName
    uscc: str
    kind: str
    region_code: str
    contact_name: PersonName
    contact_phone: Phone
    login: Login
    password: Password


class Party(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On whose behalf a clerk files at the counter: no account is asked of them (article 6)."""

    name: EnterpriseName
    region_code: str
    contact_name: PersonName
    contact_phone: Phone
    uscc: str | None = None
    """None for a natural person."""
