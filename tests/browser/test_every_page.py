"""Every page for everybody in Chromium: nothing that axe-core finds (WCAG 2.2 A and AA), no error in the console."""

import asyncio
from collections import defaultdict

import pytest
from playwright.async_api import Browser, Page

from infra.settings import load
from market.app import create_app
from market.demo.service import PASSWORD
from tests.browser.conftest import running
from tests.conftest import Clone, open_database
from tests.unit.test_docs import ROOT
from tests.walk import ROLES, addresses, demo_database, pages

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

AXE = (ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
CHECK = """async () => {
  const found = await axe.run(document, {resultTypes: ["violations"], runOnly:
    ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]});
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  return [...found.violations.flatMap(one => one.nodes.map(node => `${one.id}: ${node.target.join(" ")}`)),
          ...(wide > 0 ? [`scrolls sideways by ${wide} px`] : [])];
}"""
LOOKS = (
    ({"width": 1440, "height": 900}, "light", {}),
    ({"width": 390, "height": 844}, "dark", {}),
    ({"width": 390, "height": 844}, "light", {"zhipei_size": "large"}),
)
"""Pages are looked at in one of these in turn; each role sees each look."""
MOST = {"/needs/{need_id}": 99, "/ratings/{rating_id}": 6}
"""Examples of a page, where it has many faces; two of others."""
Faults = dict[str, set[str]]


async def test_every_page_is_accessible_and_quiet(browser: Browser, clone: Clone) -> None:
    settings = await demo_database(clone)
    database = open_database(settings)
    app = create_app(load({}, database_url="postgresql:///none", redis_url="redis://localhost"), csrf_secret="x" * 32)
    where = [address for path in pages(app) for address in (await addresses(database, path))[: MOST.get(path, 2)]]
    await database.close()
    wrong: Faults = defaultdict(set)
    async with running(settings) as site:
        for login in (role for role in ROLES if role != "province"):  # who sees what the other coordinator sees
            async with asyncio.TaskGroup() as tasks:
                parts = [where[number :: len(LOOKS)] for number in range(len(LOOKS))]
                walks = [tasks.create_task(_walk(browser, site, login, n, part, wrong)) for n, part in enumerate(parts)]
            if not login:  # what a visitor saw looks the same to others
                seen = {address for walk in walks for address in walk.result()}
                where = [address for address in where if address not in seen]
    assert {fault: sorted(places)[:3] for fault, places in wrong.items()} == {}


async def _walk(browser: Browser, site: str, login: str, look: int, where: list[str], wrong: Faults) -> list[str]:
    """Look at these pages; those that were shown. What is wrong goes into ``wrong``, with where it is."""
    size, scheme, cookies = LOOKS[look]
    context = await browser.new_context(
        base_url=site, locale="zh-CN", viewport=size, color_scheme=scheme, reduced_motion="reduce"
    )
    await context.add_cookies([{"name": name, "value": value, "url": site} for name, value in cookies.items()])
    page = await context.new_page()
    if login:
        await _enter(page, login)
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    shown = []
    for address in where:
        said.clear()
        answer = await page.goto(address)
        assert answer is not None
        if answer.status == 200 and page.url.removeprefix(site).startswith(address.partition("?")[0]):
            shown.append(address)
            await page.evaluate(f"{AXE}; undefined")
            said += await page.evaluate(CHECK)
        elif answer.status in (403, 404):
            said.clear()  # the browser writes down that it was refused
        for fault in said:
            wrong[fault].add(f"{login or 'visitor'} {address}")
    await context.close()
    return shown


async def _enter(page: Page, login: str) -> None:
    await page.goto("/login")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", PASSWORD)
    await page.click("main button[type=submit]")
    await page.wait_for_url(lambda url: "/login" not in url)
