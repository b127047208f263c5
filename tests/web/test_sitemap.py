"""What search engines of the web are told: every public page, none that is somebody's, one address for each."""

import re
from datetime import UTC, datetime, timedelta
from urllib.robotparser import RobotFileParser
from xml.etree import ElementTree as ET

import httpx
import pytest

from infra.db import Database
from infra.settings import Settings
from market.notices import service as notices
from market.notices.model import NoticeForm, NoticeKind
from tests.conftest import Login
from tests.factories import PATENT, World
from tests.web.browsers import Browser, site
from tests.web.test_pages_staff import NASTY

pytestmark = pytest.mark.anyio

LOC = "{http://www.sitemaps.org/schemas/sitemap/0.9}loc"


async def paths(client: httpx.AsyncClient, settings: Settings) -> list[str]:
    answer = await client.get("/sitemap.xml")
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers, "others may keep it"
    assert "public" in answer.headers["cache-control"]
    found = [str(one.text) for one in ET.fromstring(answer.content).iter(LOC)]
    assert all(one.startswith(f"{settings.address}/") for one in found)
    return [one.removeprefix(settings.address) for one in found]


async def test_every_address_answers_a_visitor(client: httpx.AsyncClient, settings: Settings) -> None:
    found = await paths(client, settings)
    assert len(found) == len(set(found))
    assert {"/", "/offerings", f"/items/{PATENT}", "/institutions/1"} <= set(found)
    for path in (*found[:12], *found[-8:]):
        assert (await client.get(path)).status_code == 200, path


async def test_what_is_paused_is_not_named(
    client: httpx.AsyncClient, db: Database, settings: Settings, world: World
) -> None:
    paused = world.offerings["专利申请辅导"]
    assert f"/offerings/{paused}" in await paths(client, settings)
    async with db.transaction() as tx:
        await tx.execute("UPDATE offerings SET state = 'paused' WHERE id = $1", paused)
    assert f"/offerings/{paused}" not in await paths(client, settings)


async def test_robots_may_read_what_the_sitemap_names_and_nothing_private(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    answer = await client.get("/robots.txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    text = answer.text
    assert f"Sitemap: {settings.address}/sitemap.xml" in text
    robots = RobotFileParser()
    robots.parse(text.splitlines())
    assert all(robots.can_fetch("*", settings.address + path) for path in await paths(client, settings))
    for path in ("/account", "/needs/1", "/queue", "/desk", "/counter", "/receipt/1", "/join?token=x", "/api/v1/needs"):
        assert not robots.can_fetch("*", settings.address + path), path


async def test_whoever_has_found_a_weakness_is_told_whom_to_tell(client: httpx.AsyncClient, settings: Settings) -> None:
    assert (await client.get("/.well-known/security.txt")).status_code == 404, "nobody is made up"
    contact = "mailto:security@example.cn"
    async with site(settings, security_contact=contact) as app, Browser(app) as browser:
        answer = await browser.get("/.well-known/security.txt")
    told = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "set-cookie" not in answer.headers
    assert told["Contact"] == contact
    assert timedelta(0) < datetime.fromisoformat(told["Expires"]) - datetime.now(UTC) <= timedelta(days=90)


@pytest.mark.parametrize(
    ("asked", "canonical"),
    [
        ("/offerings?q=专利&sort=newest", "/offerings"),
        (f"/items/{PATENT}?lang=en", f"/items/{PATENT}"),
        (f"/items/{PATENT}?version=1", f"/items/{PATENT}?version=1"),
        ("/", "/"),
    ],
)
async def test_a_public_page_has_one_address_and_a_description(
    client: httpx.AsyncClient, settings: Settings, asked: str, canonical: str
) -> None:
    html = (await client.get(asked)).text
    assert re.findall(r'<link rel="canonical" href="([^"]*)">', html) == [settings.address + canonical]
    [description] = re.findall(r'<meta name="description" content="([^"]*)">', html)
    assert len(description) > 20
    assert html.count('rel="alternate" type="application/atom+xml"') == 1


async def test_neither_errors_nor_own_pages_have_one(client: httpx.AsyncClient, login: Login) -> None:
    assert 'rel="canonical"' not in (await client.get("/items/nothing")).text
    assert 'rel="canonical"' not in (await (await login("enterprise")).get("/needs")).text


async def test_a_description_holds_no_markup(client: httpx.AsyncClient, db: Database, world: World) -> None:
    async with db.transaction() as tx:
        form = NoticeForm(kind=NoticeKind.EVENT, title="培训", body=f'"{NASTY}')
        notice_id = await notices.publish(tx, world.actors["coordinator"], form)
    html = (await client.get(f"/notices/{notice_id}")).text
    assert NASTY not in html
    assert 'content="&#34;&lt;script&gt;' in html
