"""Views of somebody's contact, and what stands in the way of erasing it. Pure."""

from datetime import datetime

from msgspec import Struct

from market.audit.model import PURPOSE_NAMES, ROLES
from market.masking import GONE

ERASED_NAME = GONE
"""What stands where a name stood: the same in both languages."""


class View(Struct, frozen=True, kw_only=True):
    """Somebody has seen the contact of a need on one day. ``at``: the last time."""

    need_id: int
    at: datetime
    times: int
    role: str
    name: str | None
    organisation: str | None
    purpose: str | None

    @property
    def who(self) -> str:
        """Organisation and name, as far as there are any."""
        return " ".join(one for one in (self.organisation, self.name) if one) or ROLES.get(self.role, self.role)

    @property
    def purpose_name(self) -> str:
        """What for, in words."""
        return PURPOSE_NAMES.get(self.purpose or "", "")


class Erasure(Struct, frozen=True, kw_only=True):
    """That somebody asked to be erased."""

    asked_at: datetime
    done_at: datetime | None


class Owner(Struct, frozen=True, kw_only=True):
    """The account whose personal data is to be erased. ``alone``: no other account of its enterprise is open."""

    id: int
    login: str
    name: str
    role: str
    enterprise_id: int | None
    alone: bool
    erased: bool


class Filed(Struct, frozen=True, kw_only=True):
    """A need whose contact may be somebody's. ``open``: something of it still goes on."""

    id: int
    enterprise_id: int
    submitted_by: int
    body: str
    open: bool


class Erased(Struct, frozen=True):
    """What was erased: how many contacts of needs, and of profiles."""

    needs: int
    profiles: int = 0
