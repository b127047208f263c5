"""Every form of every page, for everybody: with nothing in it, with all of it wrong, and with far too much.

None of it breaks anything; what is refused is told beside its field, and comes back as it was typed.
"""

import html
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from xml.etree.ElementTree import Element

import html5lib
import httpx
import pytest
from litestar import Litestar
from msgspec import Struct

from infra.settings import Settings
from market.app import create_app
from tests.conftest import Clone, open_database
from tests.walk import ROLES, addresses, demo_database, pages
from tests.web.test_every_page import enter

pytestmark = pytest.mark.anyio

LONG = "长" * 10_000
WRONG = "<b>不是&没有</b>"
LEFT_OUT = (
    *("/language", "/look", "/login", "/logout", "/reset"),
    *("/account/sessions", "/account/personal", "/account/factor"),
)
"""Forms that end the visit, or that are counted; tests of their own have them."""
ANSWERS = {200, 303, 400, 403, 404, 409, 410, 413, 422, 429}


class Form(Struct, frozen=True):
    """What a page asks for: fields to type into, and what goes along."""

    action: str
    typed: tuple[str, ...]
    chosen: tuple[str, ...]
    hidden: tuple[tuple[str, str], ...]


def forms(page: str, address: str) -> Iterator[Form]:
    """The page's forms that change something."""
    tree: Element = html5lib.HTMLParser(namespaceHTMLElements=False).parse(page)
    for form in tree.iter("form"):
        if form.get("method", "get").lower() != "post":
            continue
        fields = [one for tag in ("input", "textarea", "select") for one in form.iter(tag) if one.get("name")]
        by_kind = defaultdict[str, list[tuple[str, str]]](list)
        for one in fields:
            by_kind[_kind(one)].append((one.get("name", ""), one.get("value", "")))
        yield Form(
            action=form.get("action") or address,
            typed=tuple(dict.fromkeys(name for name, _value in by_kind["typed"])),
            chosen=tuple(dict.fromkeys(name for name, _value in by_kind["chosen"])),
            hidden=tuple(by_kind["hidden"]),
        )


def _kind(field: Element) -> str:
    if field.tag == "select" or field.get("type") in ("radio", "checkbox"):
        return "chosen"
    return {"hidden": "hidden", "submit": "", "password": "", "file": ""}.get(field.get("type", "text"), "typed")


@pytest.fixture(scope="module")
async def full(clone: Clone) -> Settings:
    """A database in which every page has something to show."""
    return await demo_database(clone)


@pytest.fixture(scope="module")
async def site(full: Settings) -> AsyncIterator[Litestar]:
    application = create_app(full, csrf_secret="test" * 8)
    async with application.lifespan():
        yield application


@pytest.mark.parametrize("login", ROLES)
async def test_every_form_refuses_kindly(site: Litestar, full: Settings, login: str) -> None:
    database = open_database(full)
    where = [address for path in pages(site) for address in (await addresses(database, path))[:3]]
    await database.close()
    browser, seen, wrong = await enter(site, login), set[tuple[str, ...]](), list[str]()
    for address in where:
        answer = await browser.get(address)
        for form in forms(answer.text, address) if answer.status_code == 200 else ():
            kind = (re.sub(r"\d+", "…", form.action), *form.typed, *form.chosen)
            if kind not in seen and not form.action.startswith(LEFT_OUT):
                seen.add(kind)
                at = f"{login or 'visitor'} {address} → {form.action}"
                wrong += [f"{at}: {fault}" async for fault in _tried(browser, form)]
    await browser.aclose()
    assert wrong == []


async def _tried(browser: httpx.AsyncClient, form: Form) -> AsyncIterator[str]:
    """What is wrong with how the form answers nonsense."""
    for text, choice in ((LONG, {}), (WRONG, dict.fromkeys(form.chosen, WRONG)), ("", {})):
        data = dict(form.hidden) | dict.fromkeys(form.typed, text) | choice
        answer = await browser.post(form.action, data=data)
        if answer.status_code not in ANSWERS:
            yield f"{text[:9]!r}: {answer.status_code}"
        elif answer.status_code == 422 and text and form.typed:
            if text not in html.unescape(answer.text):
                yield f"{text[:9]!r}: what was typed is gone"
            if 'class="error' not in answer.text and "banner" not in answer.text:
                yield f"{text[:9]!r}: nothing says what is wrong"
