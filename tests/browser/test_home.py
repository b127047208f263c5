"""The first page as it arrives: small, still, and with the text in it after a look elsewhere."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

BYTES = """() => performance.getEntriesByType("navigation").concat(performance.getEntriesByType("resource"))
  .reduce((sum, one) => sum + one.transferSize, 0)"""
SHIFT = """() => new Promise(done => {
  let sum = 0;
  new PerformanceObserver(list => { for (const one of list.getEntries()) sum += one.value; })
    .observe({type: "layout-shift", buffered: true});
  setTimeout(() => done(sum), 300);
})"""
SENTENCE = "商标快到期了，想办续展，下个月前办好"


@pytest.mark.parametrize("width", [390, 1440])
async def test_it_is_small_and_nothing_moves(visit: Visit, width: int) -> None:
    page = await visit(width=width)
    await page.goto("/", wait_until="networkidle")
    assert 5_000 < await page.evaluate(BYTES) < 100_000
    assert await page.evaluate(SHIFT) == 0
    box = await page.locator("#ask").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 900, "the box and its button are on the first screen"


async def test_the_back_button_finds_the_text(visit: Visit) -> None:
    page = await visit("rival")
    await page.goto("/")
    await page.fill("#f-body", SENTENCE)
    await page.get_by_role("button", name="提交给").click()
    await page.wait_for_url("**/needs/*")
    first = page.url
    await page.go_back()
    await expect(page.locator("#f-body")).to_have_value(SENTENCE)
    await expect(page.get_by_role("button", name="提交给")).to_be_enabled()
    await page.get_by_role("button", name="提交给").click()
    await page.wait_for_url("**/needs/*")
    assert page.url == f"{first}?again=1", "no second need"


async def test_the_menu_opens_without_javascript(visit: Visit) -> None:
    page = await visit("coordinator", width=390, javascript=False)
    await page.goto("/queue")
    link = page.get_by_role("navigation", name="菜单").get_by_role("link", name="期限")
    await expect(link).to_be_hidden()
    await page.get_by_text("菜单", exact=True).click()
    await link.click()
    await page.wait_for_url("**/deadlines")
