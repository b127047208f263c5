"""Reasons in Chinese and English: by the parameter, for the API also by Accept-Language."""

import pytest

from infra.db import Database
from infra.settings import Settings
from tests.conftest import Api, Login
from tests.factories import World
from tests.web.test_pages_staff import AID_TEXT, file_need

pytestmark = pytest.mark.anyio

CHINESE, ENGLISH = "正是需求已确认的服务事项", "exactly the service item confirmed for the need"


@pytest.mark.parametrize(
    ("query", "header", "told"),
    [
        ("", None, CHINESE),
        ("", "en-GB,en;q=0.9", ENGLISH),
        ("", "zh-CN,zh;q=0.9,en;q=0.8", CHINESE),
        ("", "fr, EN;q=0.5, zh;q=0.4", ENGLISH),
        ("", "fr", CHINESE),
        ("", "en;q=0", CHINESE),
        ("", "en;q=lots, ;;, en;q=9", CHINESE),
        ("?lang=en", "zh", ENGLISH),
        ("?lang=zh", "en", CHINESE),
    ],
)
async def test_the_api_tells_reasons_in_the_language_asked_for(
    db: Database, settings: Settings, world: World, api: Api, query: str, header: str | None, told: str
) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    headers = {} if header is None else {"Accept-Language": header}
    answer = await api("coordinator").get(f"/needs/{need_id}/ranking{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    assert told in answer.json()["candidates"][0]["reasons"]


async def test_there_are_two_languages(db: Database, settings: Settings, world: World, api: Api) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    assert (await api("coordinator").get(f"/needs/{need_id}/ranking?lang=fr")).status_code == 422


async def test_the_page_shows_english_reasons_where_they_are_asked_for(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    need_id = await file_need(db, settings, world, AID_TEXT)
    browser = await login("coordinator")
    browser.headers["Accept-Language"] = "en"
    html = (await browser.get(f"/needs/{need_id}")).text
    assert CHINESE in html
    assert ENGLISH not in html
    html = (await browser.get(f"/needs/{need_id}?lang=en")).text
    assert ENGLISH in html
    assert CHINESE not in html
    assert "outside the node&#39;s territory" in html
    assert (await browser.get(f"/needs/{need_id}?lang=klingon")).status_code == 200
