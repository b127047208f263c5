"""Plots as people see them: charts where scripts run, tables where they do not, in either theme, within the policy."""

import anyio
import pytest
from msgspec import structs
from playwright.async_api import Page, expect

from infra.settings import Settings
from market.learning import queries, service
from market.learning.model import By, Climb
from tests.browser.conftest import Visit, shoot
from tests.conftest import open_database
from tests.db.test_learning import MISSED, PASSED, model
from tests.web.test_models import HEALTH, NASTY

pytestmark = [pytest.mark.anyio, pytest.mark.browser]
DRAWN = """() => [...document.querySelectorAll(".plot canvas")].map((canvas) => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return new Set(new Uint32Array(pixels.buffer)).size;
})"""

PICTURE = "document.querySelector('.plot canvas').toDataURL()"


async def until(page: Page, condition: str) -> None:
    """Charts are drawn in the browser's next frame."""
    with anyio.fail_after(10):
        while not await page.evaluate(condition):
            await page.wait_for_timeout(50)


@pytest.fixture(scope="module", autouse=True)
async def measured(site_settings: Settings) -> None:
    """What the night would have measured, and models with long names."""
    database = open_database(site_settings)
    async with database.transaction() as tx:
        await queries.insert_health(tx, HEALTH)
        for number, verdict in enumerate((PASSED, MISSED)):
            long = structs.replace(model(1), version=f"learned-{number}-{'x' * 200}")
            await service.store(tx, long, verdict)
            if verdict is PASSED:
                await service.climb(tx, long.version, Climb.SHADOW, By("很长的名字" * 10, NASTY))
    await database.close()


@pytest.mark.parametrize("width", [390, 1440])
async def test_charts_are_drawn_with_their_tables_behind_a_fold(visit: Visit, width: int) -> None:
    page = await visit("province", width=width)  # fails on any complaint in the console, as of the security policy
    await page.goto("/models")
    await expect(page.locator(".plot canvas")).to_have_count(5)
    await until(page, f"Math.min(...({DRAWN})()) > 3")  # colours: more than an empty canvas
    table = page.locator(".plot table").first
    await expect(table).to_be_hidden()
    await page.locator(".plot summary").first.click()
    await expect(table).to_contain_text("50%")
    await shoot(page, f"models-{width}")
    await page.evaluate(f"window.light = {PICTURE}")
    await page.emulate_media(color_scheme="dark")
    await until(page, f"{PICTURE} !== window.light")  # drawn anew for the theme


async def test_without_javascript_there_are_the_tables(visit: Visit) -> None:
    page = await visit("province", javascript=False)
    await page.goto("/models")
    await expect(page.locator(".plot table")).to_have_count(5)
    await expect(page.locator(".plot table").first).to_be_visible()
    await expect(page.locator(".plot canvas")).to_have_count(0)
