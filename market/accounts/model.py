"""Who acts: roles, accounts and what the rest of the code needs to know of them."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

from market.i18n import COOKIE, Words
from matching.types import Lang

Login = Annotated[str, Meta(min_length=3, max_length=64, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._@+-]*$")]
Password = Annotated[str, Meta(min_length=10, max_length=200)]
PersonName = Annotated[str, Meta(min_length=1, max_length=50)]
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


class Credentials(Struct, frozen=True):
    """What a log-in is checked against."""

    id: int
    password_hash: str


class ApiToken(Struct, frozen=True, kw_only=True):
    """An API token as listed to its owner; the token itself is shown once and stored as a hash."""

    id: int
    name: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
