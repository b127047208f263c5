"""Enterprises (创新主体): who needs services."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct

from market.accounts.model import Login, Password, PersonName, Phone
from market.i18n import Words

EnterpriseName = Annotated[str, Meta(min_length=2, max_length=100)]


class Enterprise(Struct, frozen=True, kw_only=True):
    """An enterprise, or a natural person, that asks for services."""

    id: int
    name: str
    uscc: str | None
    kind: str
    region_code: str
    industry_code: str | None
    demo: bool

    @property
    def industry(self) -> str | None:
        """The section of its industry: the letter its GB/T 4754 code begins with."""
        return self.industry_code[0] if self.industry_code else None


class OwnEnterprise(Enterprise, frozen=True, kw_only=True):
    """An enterprise as its own people see it."""

    contact_name: str
    contact_phone: str


class Profile(Struct, frozen=True):
    """An enterprise with its codes in words, for its own people."""

    enterprise: OwnEnterprise
    kind_name: str
    region_name: str


class ProfileForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every need takes its defaults from. ``industry_code``: a division of GB/T 4754; None: not told."""

    name: EnterpriseName
    kind: str
    region_code: str
    industry_code: str | None = None
    contact_name: PersonName
    contact_phone: Phone


class EnterpriseAction(StrEnum):
    """What its people do to an enterprise's profile and accounts."""

    CHANGE = "change"
    INVITE = "invite"
    JOIN = "join"
    CLOSE = "close"


ACTION_NAMES: Mapping[EnterpriseAction, str] = Words(
    {
        EnterpriseAction.CHANGE: "更新了单位资料",
        EnterpriseAction.INVITE: "做了一个邀请链接",
        EnterpriseAction.JOIN: "凭邀请建立了账号",
        EnterpriseAction.CLOSE: "关闭了账号",
    }
)


class EnterpriseEvent(Struct, frozen=True, kw_only=True):
    """One of them, as written down. ``data``: the fields changed, or the id of the account closed."""

    action: EnterpriseAction
    actor_name: str
    closed_login: str | None
    """Of the account closed, as it is now."""
    data: dict[str, Any]
    at: datetime

    @property
    def action_name(self) -> str:
        """The action in words."""
        return ACTION_NAMES[self.action]


class Member(Struct, frozen=True, kw_only=True):
    """An open account of an enterprise. ``first``: the one it registered with."""

    id: int
    login: str
    name: str
    created_at: datetime
    first: bool


class Invitation(Struct, frozen=True):
    """What a colleague's link holds."""

    id: int


class Invited(Struct, frozen=True, kw_only=True):
    """Who invites to what."""

    enterprise_id: int
    enterprise_name: str
    inviter_name: str


class Joining(Struct, frozen=True, kw_only=True):
    """What a colleague fills in."""

    name: PersonName
    login: Login
    password: Password


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
