"""Who acts: roles, accounts and what the rest of the code needs to know of them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

from market.i18n import COOKIE, N_, Words, _, _n
from matching.types import Lang

Login = Annotated[str, Meta(min_length=3, max_length=64, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._@+-]*$")]
Password = Annotated[str, Meta(min_length=1, max_length=200)]
"""As typed; ``passwords.problem`` judges a new one."""
PersonName = Annotated[str, Meta(min_length=1, max_length=50)]
Scope = Annotated[str, Meta(pattern=r"^([a-z-]+:)?(read|write)$", max_length=40)]
"""Of a token: read (every GET), write (everything), or of one area, the first word of the API's paths: needs:read."""
Phone = Annotated[str, Meta(min_length=5, max_length=30, pattern=r"^[0-9+() -]+$")]


Theme = Literal["auto", "light", "dark"]
Size = Literal["normal", "large"]
LOOKS: Mapping[str, tuple[str, ...]] = {"theme": get_args(Theme), "size": get_args(Size)}
COOKIES: Mapping[str, str] = {"lang": COOKIE, "theme": "zhipei_theme", "size": "zhipei_size"}
"""Where a browser keeps what was chosen by the switches of every page."""


class Role(StrEnum):
    """What an account may come to do; labels in ROLE_NAMES."""

    ENTERPRISE = "enterprise"
    INSTITUTION = "institution"
    COORDINATOR = "coordinator"
    CLERK = "clerk"
    ADMIN = "admin"


ROLE_NAMES: Mapping[Role, str] = Words(
    {
        Role.ENTERPRISE: "企业",
        Role.INSTITUTION: "服务机构",
        Role.COORDINATOR: "骨干节点工作人员",
        Role.CLERK: "窗口人员",
        Role.ADMIN: "管理员",
    }
)


# What tells them apart in a User-Agent header, the more particular first: most call themselves Safari, too.
BROWSERS = (
    ("MicroMessenger", N_("微信")),
    ("Edg", "Edge"),
    ("Firefox", "Firefox"),
    ("OPR", "Opera"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("HarmonyOS", "HarmonyOS"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)
STAFF = (Role.COORDINATOR, Role.ADMIN)
"""Who needs a second factor, where the settings ask for one."""


class Actor(Struct, frozen=True, kw_only=True):
    """The account a request acts for, with what object checks need."""

    id: int
    login: str
    name: str
    role: Role
    lang: Lang = "zh"
    enterprise_id: int | None = None
    institution_id: int | None = None
    node_id: int | None = None
    node_name: str | None = None
    node_prefix: str | None = None
    """The digits that all region codes below the actor's node begin with; None without a node."""
    node_is_top: bool = False
    """Whether no node is above the actor's."""
    region_code: str | None = None
    """Where the actor's enterprise is."""
    unread: int = 0
    """Messages not read yet, for the head of a page; counted up to 100."""
    scopes: tuple[str, ...] = ()
    """What the token that was sent may do at most (market/permissions.py); empty: all that the account may."""
    by_receipt: bool = False
    """No account: whoever shows the code on a receipt, who may for that need what the clerk may who filed it."""

    @property
    def named(self) -> int | None:
        """The account that is written down for what the actor does; nobody's where a receipt was shown."""
        return None if self.by_receipt else self.id

    @property
    def steers_models(self) -> bool:
        """Whether the actor may say which model ranks: it ranks for all nodes, so only who is above all of them."""
        return self.role is Role.ADMIN or (self.role is Role.COORDINATOR and self.node_is_top)

    @property
    def needs_factor(self) -> bool:
        """Whether a second factor is asked of the actor, where the settings ask for one."""
        return self.role in STAFF

    @property
    def role_name(self) -> str:
        """The role in words."""
        return ROLE_NAMES[self.role]


class Look(Struct, frozen=True):
    """How pages look to somebody: light or dark, and in the size for good eyes or for others (适老化)."""

    theme: Theme = "auto"
    size: Size = "normal"


class Preferences(Struct, frozen=True):
    """What one of the switches asks for, and the page it was on."""

    back: str = "/"
    lang: Lang | None = None
    theme: Theme | None = None
    size: Size | None = None


class Colleague(Struct, frozen=True):
    """A coordinator to whom a need can be handed."""

    id: int
    name: str
    node_name: str


class Credentials(Struct, frozen=True, kw_only=True):
    """What a log-in is checked against."""

    id: int
    login: str
    name: str
    role: Role
    password_hash: str
    session_epoch: int
    """Sessions and links of an older epoch have ended."""
    has_factor: bool
    """Whether a second factor is asked for."""
    organisation: str | None = None
    """The enterprise or institution it belongs to."""

    @property
    def known_words(self) -> tuple[str, ...]:
        """What others know of the account: no good in a password."""
        return tuple(one for one in (self.login, self.name, self.organisation) if one)


class Session(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody logged in with one browser."""

    account_id: int
    epoch: int
    started: float
    """Unix time."""
    factor: bool = False
    """Whether the second factor was asked and passed."""
    agent: str = ""
    address: str = ""
    token: str = ""
    """The cookie's value; never stored."""
    id: str = ""
    """Tells sessions of one account apart, in their list."""
    idle_seconds: float = 0.0
    """Since its last request; set in lists."""

    @property
    def started_at(self) -> datetime:
        """When it began."""
        return datetime.fromtimestamp(self.started, UTC)

    @property
    def device(self) -> str:
        """The browser and its system in words, as far as it says."""
        browser = next((name for mark, name in BROWSERS if mark in self.agent), "")
        system = next((name for mark, name in SYSTEMS if mark in self.agent), "")
        return " · ".join(_(one) for one in (browser, system) if one) or _("其他设备")

    @property
    def last_used(self) -> str:
        """How long ago it asked for something."""
        minutes = int(self.idle_seconds / 60)
        if minutes < 60:
            return _n("{n} 分钟前用过", minutes) if minutes else _("刚刚用过")
        return _n("{n} 小时前用过", minutes // 60) if minutes < 48 * 60 else _n("{n} 天前用过", minutes // 1440)


class Reset(Struct, frozen=True):
    """What a link for a new password holds: it is good as long as the account's epoch is this one."""

    account_id: int
    epoch: int


class Factor(Struct, frozen=True, kw_only=True):
    """A second factor as stored."""

    secret: bytes
    """Sealed."""
    confirmed_at: datetime | None
    is_new: bool
    """Whether it may still be confirmed: a secret that lies about could be confirmed by whoever finds the browser."""
    codes_left: int
    """Recovery codes that were not used."""


class Identity(Struct, frozen=True, kw_only=True):
    """Who somebody is at an OpenID provider."""

    issuer: str
    subject: str
    name: str


class LinkedIdentity(Struct, frozen=True, kw_only=True):
    """An identity an account can be entered with."""

    issuer: str
    name: str
    linked_at: datetime


class ApiToken(Struct, frozen=True, kw_only=True):
    """An API token as listed to its owner; the token itself is shown once and stored as a hash."""

    id: int
    name: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    scopes: tuple[str, ...] = ()
