"""The main job through the pages, in three roles, at the width of a phone and of a desk."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit, shoot

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


@pytest.mark.parametrize("width", [390, 1440])
async def test_a_need_from_a_sentence_to_its_result(visit: Visit, width: int) -> None:
    sentence = f"我们做了一款新台灯（{width}），想申请外观设计专利，月底前要办好"
    enterprise = await visit("enterprise", width=width)
    await enterprise.goto("/")
    await enterprise.type("#f-body", sentence, delay=5)
    await expect(enterprise.locator("main")).to_contain_text("专利申请受理")  # understood while typing
    await shoot(enterprise, f"home-{width}")
    await enterprise.get_by_role("button", name="提交").first.click()
    await enterprise.wait_for_url("**/needs/*")
    need = enterprise.url.rsplit("/", 1)[1]
    await expect(enterprise.locator("main")).to_contain_text("正在审核")  # by itself, once the worker has ranked
    await shoot(enterprise, f"need-{width}")

    coordinator = await visit("coordinator", width=width)
    await coordinator.goto("/queue")
    await shoot(coordinator, f"queue-{width}")
    await coordinator.get_by_role("link", name=sentence[:12]).first.click()
    await expect(coordinator.locator("main")).to_contain_text("深圳专利代办处（测试）")
    await shoot(coordinator, f"work-{width}")
    await coordinator.get_by_role("button", name="批准").first.click()
    await expect(coordinator.locator("main")).to_contain_text(need)

    for login in ("office", "institution"):
        institution = await visit(login, width=width)
        await institution.goto("/desk")
        if await institution.get_by_text(sentence[:12]).count():
            break
    row = institution.locator("li, article, tr", has_text=sentence[:12]).last
    await shoot(institution, f"desk-{width}")
    await row.get_by_role("button", name="受理").click()
    row = institution.locator("li, article, tr", has_text=sentence[:12]).last
    await row.get_by_text("填写结果", exact=True).click()
    await row.locator("textarea[name=result]").fill("已出具受理通知书，请在 15 日内缴费。")
    await row.get_by_role("button", name="送达企业").click()

    await enterprise.goto(f"/needs/{need}")
    await expect(enterprise.locator("main")).to_contain_text("已出具受理通知书")
    await enterprise.get_by_role("button", name="确认结果").click()
    await expect(enterprise.locator("main")).to_contain_text("已办结")
    await shoot(enterprise, f"done-{width}")


async def test_without_javascript_and_without_an_account(visit: Visit) -> None:
    """What a stranger typed survives logging in, and one click submits it."""
    stranger = await visit(javascript=False)
    await stranger.goto("/")
    await stranger.fill("#f-body", "商标快到期了，怎么续展？")
    await stranger.locator("main form button[type=submit]").first.click()
    await stranger.wait_for_url("**/login?**")
    await stranger.fill("[name=login]", "enterprise")
    await stranger.fill("[name=password]", "correct-horse-battery")
    await stranger.click("main button[type=submit]")
    assert await stranger.input_value("#f-body") == "商标快到期了，怎么续展？"
    await stranger.locator("main form button[type=submit]").first.click()
    await stranger.wait_for_url("**/needs/*")
    assert "商标快到期了，怎么续展？" in await stranger.inner_text("main")


async def test_what_is_typed_is_never_run(visit: Visit) -> None:
    page = await visit("enterprise")
    await page.goto("/")
    await page.fill("#f-body", "<img src=x onerror=alert(1)><script>alert(2)</script> 想申请专利")
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    await page.get_by_role("button", name="提交").first.click()
    await page.wait_for_url("**/needs/*")
    assert "<script>alert(2)</script>" in await page.inner_text("main")
    assert dialogs == []


async def test_a_click_too_many_does_not_decide_the_next_need(visit: Visit) -> None:
    """After a decision the next need comes up by itself; its button is off until there was time to read."""
    enterprise = await visit("rival")
    for sentence in ("想申请实用新型专利，做扳手的", "想申请发明专利，做轴承的"):
        await enterprise.goto("/")
        await enterprise.fill("#f-body", sentence)
        await enterprise.get_by_role("button", name="提交").first.click()
        await enterprise.wait_for_url("**/needs/*")
        await expect(enterprise.locator("main")).to_contain_text("正在审核")
    need = enterprise.url.rsplit("/", 1)[1]
    coordinator = await visit("coordinator")
    await coordinator.goto(f"/needs/{need}")
    await coordinator.clock.install()  # time stands still until it is moved
    await coordinator.clock.pause_at("2100-01-01")
    await coordinator.get_by_role("button", name="批准").click()
    await coordinator.wait_for_url("**done=*")
    following = coordinator.get_by_role("button", name="批准")
    await expect(following).to_be_disabled()
    await coordinator.clock.run_for(1500)
    await expect(following).to_be_enabled()
