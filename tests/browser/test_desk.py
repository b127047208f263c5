"""The institution's and the clerk's main ways in a browser, at the width of a phone and of a desk."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Visit, shoot
from tests.factories import PASSWORD

pytestmark = [pytest.mark.anyio, pytest.mark.browser]
WIDTHS = pytest.mark.parametrize("width", [390, 1440])


async def assigned(visit: Visit, sentence: str) -> None:
    """A need that an enterprise has filed, on the desk of some institution."""
    enterprise = await visit("enterprise")
    await enterprise.goto("/")
    await enterprise.fill("#f-body", sentence)
    await enterprise.get_by_role("button", name="提交").first.click()
    await enterprise.wait_for_url("**/needs/*")
    await expect(enterprise.locator("main")).to_contain_text("正在审核")
    coordinator = await visit("coordinator")
    await coordinator.goto("/needs/" + enterprise.url.rsplit("/", 1)[1])
    await coordinator.get_by_role("button", name="批准").first.click()
    await coordinator.wait_for_url("**done=*")


async def desk_of(visit: Visit, sentence: str, width: int) -> Page:
    for login in ("office", "institution"):
        page = await visit(login, width=width)
        await page.goto("/desk")
        if await page.locator(".tasks").get_by_text(sentence[:12]).count():
            return page
    raise AssertionError("on nobody's desk")


@WIDTHS
async def test_the_desk_by_keys_and_by_hand(visit: Visit, width: int) -> None:
    sentence = f"我们改进了一款螺丝刀（{width}），想申请实用新型专利"
    await assigned(visit, sentence)
    page = await desk_of(visit, sentence, width)
    row = page.locator(".tasks > li", has_text=sentence[:12])
    for _ in range(await page.locator(".tasks > li").count()):
        await page.keyboard.press("j")
        if await row.evaluate("row => row === document.activeElement"):
            break
    await page.keyboard.press("d")  # the reason, and the cursor in it
    await expect(row.get_by_label("谢绝的理由")).to_be_focused()
    await page.keyboard.type("adj 这些字母只是文字")
    await expect(row.get_by_label("谢绝的理由")).to_have_value("adj 这些字母只是文字")
    await shoot(page, f"desk-decline-{width}")
    await row.get_by_role("button", name="确认受理").dblclick()
    await expect(row).to_contain_text("已受理。请在")
    await row.get_by_text("填写结果", exact=True).click()
    await row.get_by_label("办理结果").fill("长" * 10_000)
    await row.get_by_role("button", name="送达企业").click()
    await expect(row).to_contain_text("字，请精简一些")
    assert len(await row.get_by_label("办理结果").input_value()) == 10_000
    await shoot(page, f"desk-wrong-{width}")


@WIDTHS
async def test_an_offering_is_previewed_and_published(visit: Visit, width: int) -> None:
    page = await visit("institution", width=width)
    await page.goto("/desk/offerings/new")
    await page.get_by_role("link", name="商标业务咨询").click()
    await page.fill("[name=title]", f"商标咨询（{width}）")
    await page.fill("[name=summary]", "告诉您商标能不能注册")
    await page.get_by_role("button", name="预览").click()  # no region yet: told beside the field
    await expect(page.locator(".wrong", has_text="服务地区")).to_contain_text("请填写这一项")
    await page.get_by_label("南山区").check()
    await page.get_by_role("button", name="预览").click()
    preview = page.locator(".preview")
    await expect(preview).to_contain_text("告诉您商标能不能注册")
    await shoot(page, f"preview-{width}")
    await preview.get_by_role("button", name="发布").click()
    await expect(page.locator("main")).to_contain_text("已发布，企业现在可以找到它")
    row = page.locator(".row", has_text=f"商标咨询（{width}）")
    await row.get_by_role("link", name="修改").click()
    await page.fill("[name=title]", f"商标注册咨询（{width}）")
    colleague = await visit("institution", width=width)  # somebody else changes it meanwhile
    await colleague.goto(page.url)
    await colleague.fill("[name=summary]", "同事改过的简介")
    await colleague.locator("#edit").get_by_role("button", name="保存新版本").click()
    await colleague.wait_for_url("**done=*")
    await page.locator("#edit").get_by_role("button", name="保存新版本").click()
    await expect(page.locator("main")).to_contain_text("别人保存的改动")
    assert await page.input_value("[name=title]") == f"商标注册咨询（{width}）"
    assert await page.input_value("[name=summary]") == "同事改过的简介"
    await shoot(page, f"stale-{width}")
    await page.locator("#edit").get_by_role("button", name="保存新版本").click()
    await page.wait_for_url("**done=*")
    await page.locator(".row", has_text=f"商标注册咨询（{width}）").get_by_role("link", name="历次版本").click()
    await expect(page.locator("main")).to_contain_text("第 3 版")
    await shoot(page, f"versions-{width}")


@WIDTHS
async def test_the_counter_in_a_minute(visit: Visit, width: int) -> None:
    page = await visit("clerk", width=width)
    await page.goto("/counter")
    await expect(page.locator("#f-body")).to_be_focused()
    await page.keyboard.type(f"来访人想给店名注册商标（{width}）", delay=5)
    await expect(page.locator("#understood")).to_contain_text("商标注册申请受理")
    await page.get_by_text("去掉「商标注册申请受理」").locator("..").click()
    await page.get_by_role("button", name="登记并出具回执").click()
    assert await page.evaluate("document.querySelector(':invalid') !== null")  # the browser asks for the rest
    await page.fill("[name=name]", "王小明")
    await page.fill("[name=contact_phone]", "打我电话吧")
    await page.get_by_role("button", name="登记并出具回执").click()
    await expect(page.locator(".wrong")).to_contain_text("请填写手机号")
    await expect(
        page.locator("#understood .pick", has_text="商标注册申请受理").locator("[name=without]")
    ).to_be_checked()
    await shoot(page, f"counter-wrong-{width}")
    await page.fill("[name=contact_phone]", "13800000000")
    await page.get_by_role("button", name="登记并出具回执").dblclick()
    await expect(page.locator("main")).to_contain_text("需求受理回执")
    await shoot(page, f"receipt-{width}")
    pdf = await page.pdf(width="148mm", height="210mm", prefer_css_page_size=False)
    assert pdf.count(b"/Type /Page\n") == 1  # one sheet of A5
    await page.get_by_role("link", name="登记下一位").click()
    await expect(page.locator("#today").locator("xpath=ancestor::section")).to_contain_text(f"注册商标（{width}）")
    await page.go_back()
    await expect(page.locator("main")).to_contain_text("需求受理回执")


@WIDTHS
async def test_what_was_typed_outlives_the_log_in(visit: Visit, width: int) -> None:
    page = await visit("clerk", width=width)
    await page.goto("/counter")
    await page.fill("[name=body]", f"登录过期也不能丢的一句话（{width}），想办专利质押")
    await page.fill("[name=name]", "赵大海")
    await page.fill("[name=contact_phone]", "13900000000")
    await page.context.clear_cookies(name="zhipei_session")
    await page.get_by_role("button", name="登记并出具回执").click()
    await page.wait_for_url("**/login?**")
    await page.fill("[name=login]", "clerk")
    await page.fill("[name=password]", PASSWORD)
    await page.click("main button[type=submit]")
    await expect(page.locator("main")).to_contain_text(f"登录过期也不能丢的一句话（{width}）")
    await shoot(page, f"kept-{width}")
    await page.get_by_role("button", name="接着提交").click()
    await expect(page.locator("main")).to_contain_text("需求受理回执")


@WIDTHS
async def test_lists_guides_and_changes_fit_the_screen(visit: Visit, width: int) -> None:
    page = await visit("institution", width=width)
    for path in ("/lists", "/lists/new", "/changes", "/notices", "/desk/offerings", "/items/SZ-2024-10/guide"):
        await page.goto(path)
        await shoot(page, f"fits{path.replace('/', '-')}-{width}")
