"""Whoever comes without an account, in Chinese and English and in large type; and whoever looks after all of it."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit, shoot

pytestmark = [pytest.mark.anyio, pytest.mark.browser]
WIDTHS = pytest.mark.parametrize("width", [390, 1440])


@WIDTHS
async def test_a_visitor_looks_around_and_finds_a_service(visit: Visit, width: int) -> None:
    page = await visit(width=width)
    await page.goto("/")
    await page.locator(".door").first.click()
    await expect(page.locator("#found .row").first).to_be_visible()
    await page.locator("#found .row-title a").first.click()
    await page.wait_for_url("**/offerings/*")
    await expect(page.locator("h1")).to_be_visible()
    await page.goto("/")
    await page.locator(".figures").get_by_role("link", name="看服务统计").click()
    await page.wait_for_url("**/statistics")
    await expect(page.locator(".plot canvas")).not_to_have_count(0)
    await shoot(page, f"statistics-{width}")


async def test_without_javascript_the_statistics_are_tables(visit: Visit) -> None:
    page = await visit(javascript=False)
    await page.goto("/statistics")
    await expect(page.get_by_role("table").first).to_be_visible()
    async with page.expect_download() as download:
        await page.locator("a[href='/statistics/institutions.csv']").click()
    assert (await download.value).suggested_filename == "zhipei-institutions.csv"


@WIDTHS
async def test_an_english_browser_is_spoken_to_in_english_until_chinese_is_chosen(visit: Visit, width: int) -> None:
    page = await visit(width=width, locale="en-GB")
    await page.goto("/")
    await expect(page.locator("h1")).to_have_text("What do you need help with?")
    await shoot(page, f"home-en-{width}")
    await page.goto("/institutions")
    await page.get_by_role("button", name="中文").click()
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await page.goto("/")
    await expect(page.locator("h1")).to_have_text("遇到什么知识产权问题？")


@WIDTHS
async def test_large_type_fits_and_stays(visit: Visit, width: int) -> None:
    page = await visit(width=width)
    await page.goto("/offerings")
    small = await page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
    await page.get_by_role("button", name="大字版").first.click()
    await expect(page.locator("html")).to_have_attribute("data-size", "large")
    for path in ("/", "/offerings", "/statistics", "/register"):
        await page.goto(path)
        assert await page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") > small
        await shoot(page, f"large{path.replace('/', '-')}-{width}")


@WIDTHS
@pytest.mark.parametrize(
    ("who", "paths"),
    [
        ("admin", ("/needs", "/lists", "/ratings", "/ledger", "/rules", "/audit")),
        ("province", ("/queue", "/deadlines", "/lists", "/ratings", "/ledger", "/models")),
    ],
)
async def test_whoever_looks_after_it_gets_everywhere_by_the_header(
    visit: Visit, width: int, who: str, paths: tuple[str, ...]
) -> None:
    page = await visit(who, width=width)
    for path in paths:
        await page.goto("/account")
        if width < 1000:
            await page.locator("details.menu > summary").click()
        link = page.locator(f"nav a[href='{path}']:visible").first
        await link.click()
        await page.wait_for_url(f"**{path}")
        await expect(page.locator("main h1")).to_have_count(1)
        await shoot(page, f"{who}{path.replace('/', '-')}-{width}")
