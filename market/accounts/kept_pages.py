"""A form that was posted after its log-in had ended: kept until somebody has logged in, shown, and sent on."""

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Router, get, post
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import Struct

from market.accounts.pages import OWN_PATH
from market.auth import allow
from market.errors import NotFound
from market.i18n import _
from market.web import AppRequest, go, page, services


class KeptForm(Struct, frozen=True):
    """Where it was going, where it came from, and its fields in order."""

    to: str
    back: str
    fields: list[tuple[str, str]]

    @property
    def texts(self) -> list[str]:
        """What somebody wrote: not numbers, codes and ticks."""
        written = [value for name, value in self.fields if name != "key"]
        return [value for value in written if not value.isascii() or " " in value]


@post("/login/keep")
async def keep(
    request: AppRequest, data: URLEncodedBody[dict[str, Any]], to: FromQuery[str], back: FromQuery[str] = "/"
) -> Redirect:
    """Keep the form for a day, and log in."""
    if not OWN_PATH.fullmatch(to) or not OWN_PATH.fullmatch(back):
        raise NotFound
    fields = [
        (name, str(one))
        for name, given in data.items()
        if name != "_csrf_token"
        for one in (given if isinstance(given, list) else [given])
    ]
    key = await services(request).sessions.keep_draft(msgspec.json.encode(KeptForm(to, back, fields)).decode())
    return go("/login?" + urlencode({"next": f"/login/kept?form={key}"}))


@get("/login/kept", guards=[allow()])
async def kept(request: AppRequest, form: FromQuery[str]) -> Template:
    """What was written, and the button that sends it where it was going.

    Raises:
        NotFound: it was kept more than a day ago, or never.
    """
    text = await services(request).sessions.draft(form)
    try:
        found = msgspec.json.decode(text or "", type=KeptForm)
    except msgspec.DecodeError:
        raise NotFound(_("您写的内容只保留一天，已经不在了。请回到原来的页面再填一次。")) from None
    return page("accounts/kept.html", form=found)


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[keep, kept], include_in_schema=False)
