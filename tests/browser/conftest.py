"""The site as people meet it: real web server and worker as processes, Debian's Chromium before it."""

import asyncio
import os
import re
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from infra.settings import Settings
from tests.conftest import Clone
from tests.factories import PASSWORD

SHOTS = Path(__file__).parent / "shots"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
REFUSED = re.compile(r"responded with a status of (409|422)")
Visit = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="session")
async def site_settings(clone: Clone) -> Settings:
    """Of the site's own database."""
    return await clone()


@pytest.fixture(scope="session")
async def site(site_settings: Settings) -> AsyncIterator[str]:
    """The address of a running site."""
    async with running(site_settings) as address:
        yield address


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[str]:
    """A web server and a worker on that database; the address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    async with _process(settings, port, "market.cli", "serve"), _process(settings, port, "workers.main"):
        async with httpx.AsyncClient() as client:
            for _ in range(300):
                try:
                    if (await client.get(f"{address}/readyz")).status_code == 200:
                        break
                except httpx.HTTPError:
                    await asyncio.sleep(0.1)
        yield address


@asynccontextmanager
async def _process(settings: Settings, port: int, *module: str) -> AsyncIterator[None]:
    env = dict(os.environ) | {
        "ZHIPEI_DATABASE_URL": str(settings.database_url),
        "ZHIPEI_REDIS_URL": str(settings.redis_url),
        "ZHIPEI_DATA_KEY": settings.data_key or "",
        "ZHIPEI_PORT": str(port),
        "ZHIPEI_UNDO_SECONDS": str(settings.undo_seconds),
        "ZHIPEI_SECRET": "browser" * 5,
        "ZHIPEI_LOG_LEVEL": "ERROR",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", *module, env=env)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium; without one the test is skipped, but fails in CI."""
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI has no chromium: .ci/run installs it")
        pytest.skip("no chromium on this machine: apt-get install chromium")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield launched
        await launched.close()


@pytest.fixture
async def visit(browser: Browser, site: str) -> AsyncIterator[Visit]:
    """Pages on which errors in the console fail the test: ``await visit("coordinator", width=390)``."""
    contexts = []
    complaints: list[str] = []

    async def open_page(login: str = "", *, width: int = 1440, javascript: bool = True, locale: str = "zh-CN") -> Page:
        context = await browser.new_context(
            base_url=site, locale=locale, viewport={"width": width, "height": 900}, java_script_enabled=javascript
        )
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: complaints.append(message.text) if _bad(message) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if login:
            await page.goto("/login")
            await page.fill("[name=login]", login)
            await page.fill("[name=password]", PASSWORD)
            await page.click("main button[type=submit]")
            await page.wait_for_url(lambda url: "/login" not in url)
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert complaints == []


def _bad(message: ConsoleMessage) -> bool:
    """An error in the console; that a form came back with what is wrong in it is none."""
    return message.type == "error" and not REFUSED.search(message.text)


async def shoot(page: Page, name: str) -> None:
    """A screenshot for people, in a folder git ignores; and no page may be wider than the screen."""
    SHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name} scrolls sideways by {wide} px"
