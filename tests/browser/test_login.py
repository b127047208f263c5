"""Password and second factor in a real browser: the strict policy lets everything through that the pages need."""

import pyotp
import pytest

from tests.browser.conftest import Visit, shoot

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


@pytest.mark.parametrize("width", [390, 1440])
async def test_a_new_password_and_a_second_factor(visit: Visit, width: int) -> None:
    """Each width has an account of its own, for the factor stays."""
    login = {390: "provincial", 1440: "admin2"}[width]  # which no other test here logs in as
    page = await visit(login, width=width)
    landing = page.url
    await page.goto("/account/password")
    await page.fill("#f-new_password", "short")
    assert await page.locator("[data-strength]").inner_text() == "还差 5 个字符"
    await page.fill("#f-new_password", "lamp-otter-ninety-rain")
    assert await page.locator("[data-strength]").inner_text() == "够长，很好"
    await shoot(page, f"login-password-{width}")

    await page.goto("/account/second-factor")
    await shoot(page, f"login-factor-{width}")
    await page.fill("#f-password", "correct-horse-battery")
    await page.click("main button[type=submit]")
    await page.wait_for_selector(".qr svg")
    await shoot(page, f"login-enrol-{width}")
    await page.get_by_text("扫不了").click()
    secret = await page.locator("code.wrap").inner_text()
    await page.fill("#f-code", pyotp.TOTP(secret).now())
    await page.click("main button[type=submit]")
    await page.wait_for_selector("#codes")
    assert await page.locator("#codes li").count() == 10
    await shoot(page, f"login-codes-{width}")
    code = await page.locator("#codes code").first.inner_text()

    await page.goto("/account")
    await shoot(page, f"login-account-{width}")
    if width == 390:
        await page.locator("header summary").click()
    await page.locator("header button:visible", has_text="退出").click()
    await page.goto("/login")
    await shoot(page, f"login-login-{width}")
    await page.fill("#f-login", login)
    await page.fill("#f-password", "correct-horse-battery")
    await page.click("main button[type=submit]")
    await page.wait_for_url("**/login/code")
    await shoot(page, f"login-code-{width}")
    await page.fill("#f-code", code)
    await page.click("main button[type=submit]")
    await page.wait_for_url(landing)

    nobody = await visit(width=width)
    for name in ("forgot", "register"):
        await nobody.goto(f"/{name}")
        await shoot(nobody, f"login-{name}-{width}")
