"""Browsers on an application with settings of its own, for the tests of log-in and limits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from litestar import Litestar
from msgspec import structs

from infra.settings import Settings
from market.app import create_app
from tests.factories import PASSWORD

SECRET = "test" * 8


@asynccontextmanager
async def site(settings: Settings, **changes: Any) -> AsyncIterator[Litestar]:
    """The application on the database of the settings, with some of them changed."""
    app = create_app(structs.replace(settings, **changes), csrf_secret=SECRET)
    async with app.lifespan():
        yield app


class Browser(httpx.AsyncClient):
    """One that keeps cookies and sends each form its token."""

    def __init__(self, app: Litestar, *, address: str = "127.0.0.1", scheme: str = "http", **given: Any) -> None:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=(address, 1))  # type: ignore[arg-type]
        super().__init__(transport=transport, base_url=f"{scheme}://test", **given)

    @property
    def prefix(self) -> str:
        """Of cookies' names."""
        return "__Host-" if self.base_url.scheme == "https" else ""

    async def send_form(self, path: str, **form: str) -> httpx.Response:
        """Post a form."""
        name = f"{self.prefix}zhipei_csrf"
        if name not in self.cookies:
            await self.get("/login")
        return await self.post(path, data={**form, "_csrf_token": self.cookies[name]})

    async def log_in(self, login: str, password: str = PASSWORD) -> httpx.Response:
        """Post the log-in form."""
        return await self.send_form("/login", login=login, password=password)

    @property
    def session(self) -> str:
        """The value of the session's cookie."""
        return self.cookies.get(f"{self.prefix}zhipei_session", "")

    async def is_in(self) -> bool:
        """Whether somebody is logged in."""
        return (await self.get("/account")).status_code == 200
