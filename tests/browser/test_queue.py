"""The queue by keyboard and without JavaScript, a decision taken back, the map of gaps, changes that arrive live."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import pytest
from msgspec import structs
from playwright.async_api import Browser, Page, expect

from infra.settings import Settings
from market.calendars.service import DeadlinesSource
from market.needs import service as needs
from market.needs.model import Submission
from tests.browser.conftest import running, shoot
from tests.browser.test_every_page import AXE, CHECK
from tests.conftest import Clone, open_database
from tests.factories import AID, PASSWORD, World
from tests.web.test_pages_staff import AID_TEXT

pytestmark = [pytest.mark.anyio, pytest.mark.browser]
Enter = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="module")
async def own_settings(clone: Clone) -> Settings:
    """Of a site on which decisions can be taken back for six seconds."""
    return structs.replace(await clone(), undo_seconds=6.0)


@pytest.fixture(scope="module")
async def own_site(own_settings: Settings) -> AsyncIterator[str]:
    """The address of that site, with a worker that sends what is not taken back."""
    async with running(own_settings) as address:
        yield address


@pytest.fixture
async def enter(browser: Browser, own_site: str) -> AsyncIterator[Enter]:
    """Pages on which errors in the console fail the test: ``await enter("coordinator")``."""
    contexts, complaints = [], []

    async def open_page(login: str, *, width: int = 1440, javascript: bool = True) -> Page:
        context = await browser.new_context(
            base_url=own_site, locale="zh-CN", viewport={"width": width, "height": 900}, java_script_enabled=javascript
        )
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto("/login")
        await page.fill("[name=login]", login)
        await page.fill("[name=password]", PASSWORD)
        await page.click("main button[type=submit]")
        await page.wait_for_url(lambda url: "/login" not in url)
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert complaints == []


async def file_needs(settings: Settings, count: int) -> list[int]:
    """Needs that wait for approval, once the worker has ranked them."""
    database = open_database(settings)
    async with database.reading() as tx:
        world = await World.read(tx)
    made = []
    for number in range(count):
        submission = Submission(body=f"{AID_TEXT}（{number}）", item_codes=(AID,))
        async with database.transaction() as tx:
            await tx.execute("UPDATE offerings SET capacity = load + 20")
            due = await DeadlinesSource().get(tx)
            made.append((await needs.submit(tx, world.actors["enterprise"], submission, due)).id)
    await database.close()
    with anyio.fail_after(30):
        while {await state(settings, one) for one in made} != {"proposed"}:
            await anyio.sleep(0.2)
    return made


async def state(settings: Settings, need_id: int) -> str:
    database = open_database(settings)
    async with database.reading() as tx:
        found = str(await tx.fetchval("SELECT state FROM needs WHERE id = $1", need_id))
    await database.close()
    return found


async def test_a_queue_is_worked_by_keyboard(own_settings: Settings, enter: Enter) -> None:
    await file_needs(own_settings, 3)
    page = await enter("coordinator")
    await page.goto("/queue")
    row = page.locator("[data-row]")
    await page.keyboard.press("j")
    await expect(row.nth(0).locator("a").first).to_be_focused()
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    await expect(row.nth(0).locator("a").first).to_be_focused()
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#keys")).to_be_hidden()
    await page.keyboard.press("/")
    await expect(page.locator("#f-q")).to_be_focused()
    await page.keyboard.type("jax")  # letters, not commands
    await expect(page.locator("#f-q")).to_have_value("jax")
    await page.goto("/queue")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/needs/*")
    first = int(page.url.rsplit("/", 1)[1])
    await shoot(page, "need-1440")
    await page.wait_for_timeout(1300)
    await page.keyboard.press("r")
    await expect(page.locator("#return-missing")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.goto(f"/needs/{first}")
    await page.keyboard.press("a")
    await page.wait_for_url(re.compile(rf"/needs/(?!{first}\b)"))  # the next one comes by itself
    await expect(page.locator("[data-seconds]")).to_contain_text("秒派出")
    await page.keyboard.press("u")
    await page.wait_for_url(f"**/needs/{first}")
    assert await state(own_settings, first) == "proposed"
    await page.goto(f"/needs/{first}")
    await page.keyboard.press("a")
    await expect(page.locator("[data-seconds]")).to_have_count(1)
    await expect(page.locator("[data-seconds]")).to_have_count(0, timeout=25_000)  # sent; the page was told
    assert await state(own_settings, first) == "assigned"


@pytest.mark.parametrize("width", [390, 1440])
async def test_without_javascript_all_of_it_works(own_settings: Settings, enter: Enter, width: int) -> None:
    await file_needs(own_settings, 2)
    page = await enter("coordinator", width=width, javascript=False)
    await page.goto("/queue?q=仿冒")
    before = await page.locator("[data-row]").count()
    await shoot(page, f"queue-{width}")
    await page.fill("#f-name", f"仿冒 {width}")
    await page.click(".q-save button")
    await expect(page.locator(".q-saved a", has_text=f"仿冒 {width}")).to_be_visible()
    boxes = page.locator(".q-tick input")
    if await boxes.count():
        await boxes.first.check()
        await page.click("button[form=several]")
        await expect(page.locator("h1")).to_contain_text("批准 1 条")
        await shoot(page, f"several-{width}")
        await page.goto("/queue?q=仿冒")
    await page.locator("[data-approve]").first.click()
    await expect(page.locator("[data-row]")).to_have_count(before - 1)
    await page.locator("[data-undo]").first.click()
    await page.wait_for_url("**/needs/*")
    await page.goto("/gaps?show=places")
    await expect(page.locator(".plot table")).to_be_visible()


@pytest.mark.parametrize("width", [390, 1440])
async def test_the_map_of_gaps_is_drawn(enter: Enter, width: int) -> None:
    page = await enter("province", width=width)
    await page.goto("/gaps?show=places")
    await expect(page.locator(".plot canvas")).not_to_have_count(0)
    await shoot(page, f"gaps-{width}")


async def test_what_one_does_the_other_sees(own_settings: Settings, enter: Enter) -> None:
    (need_id,) = await file_needs(own_settings, 1)
    party, colleague, page = await enter("enterprise"), await enter("coordinator2"), await enter("coordinator")
    await party.goto(f"/needs/{need_id}")
    await colleague.goto("/queue")
    count = colleague.locator("#counts a").first.locator(".count")
    waiting = int(await count.inner_text())
    await page.goto(f"/needs/{need_id}")
    await page.click("#ranked [data-approve]")
    await expect(party.locator("#story .panel.now h2")).to_contain_text("派单", timeout=25_000)
    await expect(count).to_have_text(str(waiting - 1), timeout=10_000)
    await expect(colleague.locator(f"[data-row='{need_id}']")).to_have_count(0)


async def test_rows_change_where_they_stand_and_nothing_moves_under_the_hand(
    own_settings: Settings, enter: Enter
) -> None:
    first, second = await file_needs(own_settings, 2)
    page, colleague = await enter("coordinator"), await enter("coordinator2")
    await page.goto("/queue")
    row, other = page.locator(f"[data-row='{first}']"), page.locator(f"[data-row='{second}']")
    await other.locator("input[type=checkbox]").check()
    await row.hover()
    place = await other.bounding_box()
    await colleague.goto(f"/needs/{first}")
    await colleague.click("#ranked [data-approve]")
    await expect(row).to_have_class(re.compile("left"), timeout=25_000)  # crossed out, where it was
    await expect(row.locator("[data-approve]")).to_be_disabled()
    await expect(page.locator("#rows .q-fresh")).to_be_visible()
    assert place is not None
    moved = await other.bounding_box()
    assert moved is not None
    assert moved["height"] == place["height"]
    (third,) = await file_needs(own_settings, 1)
    await page.locator("#f-q").hover()
    await page.evaluate("document.activeElement.blur()")
    await page.locator("#rows").hover(position={"x": 5, "y": 5})
    await page.mouse.move(5, 5)  # out of the list: what waited comes
    await expect(row).to_have_count(0, timeout=10_000)
    await expect(page.locator(f"[data-row='{third}']")).to_have_count(1, timeout=10_000)
    await expect(page.locator("#rows .q-fresh")).to_be_hidden()
    await expect(other.locator("input[type=checkbox]")).to_be_checked()


async def test_the_desk_fills_and_what_is_typed_stays(own_settings: Settings, enter: Enter) -> None:
    first, second = await file_needs(own_settings, 2)
    desks = [await enter(login) for login in ("office", "institution")]
    for desk in desks:
        await desk.goto("/desk")
    page = await enter("coordinator")
    await page.goto(f"/needs/{first}")
    await page.click("#ranked [data-approve]")
    row = ".tasks > li", re.compile(rf"需求 {first}\b")
    came = [desk.locator(row[0], has_text=row[1]) for desk in desks]
    with anyio.fail_after(30):
        while not (counts := [await one.count() for one in came]) or not any(counts):
            await anyio.sleep(0.2)
    at = counts.index(1)
    desk, mine = desks[at], came[at]
    await mine.locator("summary").first.click()
    await mine.get_by_label("谢绝的理由").fill("正在写的理由")
    await page.goto(f"/needs/{second}")
    await page.click("#ranked [data-approve]")
    await (
        desk.locator("#todo .q-fresh")
        .or_(desk.locator(".tasks > li", has_text=re.compile(rf"需求 {second}\b")))
        .first.wait_for(timeout=25_000)
    )
    await expect(mine.get_by_label("谢绝的理由")).to_have_value("正在写的理由")


async def test_axe_finds_nothing(own_settings: Settings, enter: Enter) -> None:
    need_id, other = await file_needs(own_settings, 2)
    page = await enter("coordinator")
    paths = ("/queue?owner=nobody", f"/needs/{need_id}", f"/queue/several?needs={need_id}&needs={other}")
    found = {}
    for path in (*paths, "/gaps?show=places", "/deadlines?view=coming"):
        await page.goto(path)
        await page.evaluate(f"{AXE}; undefined")
        found[path] = await page.evaluate(CHECK)
    assert {path: faults for path, faults in found.items() if faults} == {}
