"""Every page for everybody: it renders or refuses on purpose, is valid HTML, and names no file that is not there."""

from collections.abc import AsyncIterator

import html5lib
import httpx
import pytest
from litestar import Litestar

from infra.settings import Settings
from market.app import create_app
from market.demo.service import PASSWORD
from tests.conftest import Clone, open_database
from tests.walk import ROLES, addresses, demo_database, pages

pytestmark = pytest.mark.anyio

KEYED = {"/_design", "/resume", "/reset", "/join", "/login/oidc", "/login/oidc/callback", "/receipt/{need_id}"}
"""Pages that nobody sees without a setting or a key, which tests of their own have."""


@pytest.fixture(scope="module")
async def full(clone: Clone) -> Settings:
    """A database in which every page has something to show."""
    return await demo_database(clone)


@pytest.fixture(scope="module")
async def site(full: Settings) -> AsyncIterator[Litestar]:
    application = create_app(full, csrf_secret="test" * 8)
    async with application.lifespan():
        yield application


async def enter(site: Litestar, login: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=site, raise_app_exceptions=False)  # type: ignore[arg-type]
    browser = httpx.AsyncClient(transport=transport, base_url="http://test")
    if login:
        await browser.get("/login")
        form = {"login": login, "password": PASSWORD, "_csrf_token": browser.cookies["zhipei_csrf"]}
        assert (await browser.post("/login", data=form)).status_code == 303
    return browser


def faults(html: str) -> list[str]:
    """What is wrong with a page as HTML; ids that are there twice, labels of nothing."""
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    tree = parser.parse(html)
    found = [f"{code} at {place} {values}" for place, code, values in parser.errors]
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    found += [f"two of #{one}" for one in set(ids) if ids.count(one) > 1]
    found += [f"label of nothing: {one.get('for')}" for one in tree.iter("label") if one.get("for", ids[0]) not in ids]
    found += ["a style or script inside"] * (html.count(" style=") + html.count("<style") + html.count("<script>"))
    return found


async def test_every_page_renders_for_every_role_or_refuses_on_purpose(site: Litestar, full: Settings) -> None:
    database = open_database(full)
    where = {path: await addresses(database, path) for path in pages(site)}
    await database.close()
    shown, seen = set(), set[str]()
    wrong = []
    for login in ROLES:
        browser = await enter(site, login)
        for path, found in where.items():
            for place, address in enumerate(found):
                browser.cookies.set("zhipei_lang", "en" if place % 2 else "zh")
                answer = await browser.get(address)
                if answer.status_code == 200 or (answer.status_code == 303 and login):
                    shown.add(path)
                allowed = {200, 303, 403, 404} if path != "/_design" else {404}
                if address == "/queue/several":
                    allowed.add(422)  # nothing is ticked
                if answer.status_code not in allowed:
                    wrong.append(f"{login or 'visitor'} {address}: {answer.status_code}")
                elif answer.status_code == 303 and not login:
                    assert answer.headers["location"].startswith("/login"), address
                elif answer.status_code == 200 and address not in seen:  # what a visitor sees is parsed once
                    seen |= set() if login else {address}
                    wrong += [f"{login or 'visitor'} {address}: {fault}" for fault in faults(answer.text)]
        await browser.aclose()
    assert wrong == []
    empty = {path for path, found in where.items() if not found}
    assert where.keys() - shown <= KEYED | empty, "somebody sees each page"
