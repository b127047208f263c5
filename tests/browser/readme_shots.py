"""README's pictures, of a demo of its own: ``make shots``."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from playwright.async_api import Page, async_playwright

from tests.browser.conftest import FLAGS

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SENTENCE = "我们研发的无线充电模组被同行仿制，在网上低价卖，想先固定证据再维权，最好这个月有结果"
PASSWORD = "zhipei-demo"


async def log_in(page: Page, login: str) -> None:
    await page.goto("/login")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", PASSWORD)
    await page.click("main button[type=submit]")
    await page.wait_for_url(lambda url: "/login" not in url)


async def take(address: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        size = {"width": 1280, "height": 800}
        enterprise = await (await browser.new_context(base_url=address, locale="zh-CN", viewport=size)).new_page()
        await log_in(enterprise, "enterprise")
        await enterprise.goto("/")
        await enterprise.type("#f-body", SENTENCE, delay=5)
        await enterprise.wait_for_timeout(1500)
        await enterprise.screenshot(path=IMAGES / "home.png")
        await enterprise.get_by_role("button", name="提交").first.click()
        await enterprise.wait_for_url("**/needs/*")
        await enterprise.get_by_text("正在审核").first.wait_for()
        coordinator = await (await browser.new_context(base_url=address, locale="zh-CN", viewport=size)).new_page()
        await log_in(coordinator, "coordinator")
        await coordinator.goto("/needs/" + enterprise.url.rsplit("/", 1)[1])
        await coordinator.screenshot(path=IMAGES / "work.png")
        phone = await browser.new_context(base_url=address, locale="zh-CN", viewport={"width": 390, "height": 800})
        page = await phone.new_page()
        await log_in(page, "enterprise")
        await page.goto("/needs/" + enterprise.url.rsplit("/", 1)[1])
        await page.screenshot(path=IMAGES / "need.png")
        await browser.close()


def main() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="zhipei-shots-"))
    folder.chmod(0o711)
    env = dict(os.environ) | {"ZHIPEI_DATA_DIR": str(folder), "ZHIPEI_PORT": str(port)}
    command = [sys.executable, "-m", "market.cli", "up", "--demo"]
    site = subprocess.Popen(command, env=env)
    try:
        for _ in range(300):
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.5)
        asyncio.run(take(f"http://127.0.0.1:{port}"))
    finally:
        site.send_signal(signal.SIGINT)
        site.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
