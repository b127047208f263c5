"""Pages of log-in, registration and one's own account."""

from typing import Annotated, Any

from litestar import get
from litestar.params import URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import Meta, Struct

from market.accounts.model import Role
from market.web import AppRequest

Form = URLEncodedBody[dict[str, Any]]
HOMES = {Role.INSTITUTION: "/desk", Role.COORDINATOR: "/queue", Role.CLERK: "/counter", Role.ADMIN: "/needs"}
HINTS = {
    "login": "用 3 到 64 个英文字母或数字，可以含 . _ - @，以字母或数字开头。",
    "contact_phone": "请填写电话号码，可含 + - ( ) 和空格。",
}


class LogIn(Struct, frozen=True):
    """What one logs in with."""

    login: Annotated[str, Meta(max_length=200)]
    password: Annotated[str, Meta(max_length=200)]


class NewToken(Struct, frozen=True):
    """An API token to make."""

    name: Annotated[str, Meta(max_length=50)]
    days: Annotated[int, Meta(ge=1, le=365)]


@get("/login")
async def login_form(request: AppRequest, wanted: Annotated[str, "next"] = "/") -> Template | Redirect:
    """The log-in page."""
    raise NotImplementedError
