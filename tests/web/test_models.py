"""The page of the models: who may see it, the empty page, the ladder by form, once only, and what /metrics tells."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date

import httpx
import msgspec
import pytest
from click.testing import CliRunner
from msgspec import structs

from infra.db import Database
from infra.settings import Settings
from market.app import create_app
from market.cli import main
from market.learning import queries, service
from market.learning.model import By, Climb, Drift, Health, ModelState, Month, Week
from market.learning.plots import plots
from matching.features import FEATURES
from matching.monitor import Bin
from tests.conftest import Clone, Login, open_database
from tests.db.test_learning import MISSED, PASSED, model
from tests.factories import PASSWORD, World
from tests.web.test_pages_staff import AID_TEXT, approve, file_need, post

pytestmark = pytest.mark.anyio

NASTY = "<script>alert(1)</script>" + "很长的说明" * 60
HEALTH = Health(
    version="scorecard-2",
    calibration=(Bin(0.7, 0.5, 40), Bin(0.9, 0.95, 60)),
    calibration_error=0.11,
    drift=tuple(Drift(feature.name, 0.05 * place, 0.5, 0.6) for place, feature in enumerate(FEATURES)),
    weeks=tuple(Week(date(2026, 1, 5 + 7 * week), 9, None if week == 1 else 0.9, 0.8, 0.2) for week in range(3)),
    months=tuple(Month(date(2026, month, 1), 50, 0.5, 0.25, 20, 0.45) for month in range(1, 13)),
    overrides=0.2,
)


@pytest.fixture(scope="module")
async def own(clone: Clone) -> Settings:
    """A database where nothing was ever ranked."""
    return await clone()


@pytest.fixture(scope="module")
async def base(own: Settings) -> AsyncIterator[Database]:
    database = open_database(own)
    yield database
    await database.close()


@pytest.fixture(scope="module")
async def visit(own: Settings) -> AsyncIterator[Callable[[str], Awaitable[httpx.AsyncClient]]]:
    """Browsers on a site of its own, with somebody logged in."""
    application = create_app(own, csrf_secret="test" * 8)
    browsers: list[httpx.AsyncClient] = []

    async def log_in(name: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)  # type: ignore[arg-type]
        browser = httpx.AsyncClient(transport=transport, base_url="http://test")
        browsers.append(browser)
        await browser.get("/login")
        form = {"login": name, "password": PASSWORD, "_csrf_token": browser.cookies["zhipei_csrf"]}
        assert (await browser.post("/login", data=form)).status_code == 303
        return browser

    async with application.lifespan():
        yield log_in
        for browser in browsers:
            await browser.aclose()


async def states(base: Database) -> dict[str, ModelState]:
    async with base.reading() as tx:
        return {stored.version: stored.state for stored in await service.models(tx)}


def key_of(html: str) -> str:
    found = re.search(r'name="key" value="([^"]+)"', html)
    assert found
    return found[1]


@pytest.mark.parametrize("role", ["province", "admin", "coordinator", "clerk", "institution", "enterprise"])
async def test_only_those_above_all_nodes_see_it(login: Login, role: str) -> None:
    browser = await login(role)
    may = role in ("province", "admin")
    assert (await browser.get("/models")).status_code == (200 if may else 403)
    assert ('href="/models"' in (await browser.get("/offerings")).text) is may
    refused = await post(browser, "/models/rollback", key="k")
    assert refused.status_code == (409 if may else 403)


async def test_nobody_is_asked_to_log_in(client: httpx.AsyncClient) -> None:
    answer = await client.get("/models")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=")


async def test_before_anything_was_learned(visit: Login, base: Database) -> None:
    assert await states(base) == {}
    browser = await visit("admin")
    html = (await browser.get("/models")).text
    for words in ("评分卡", "还没有统计", "还没有学到模型", "没有模型在旁听或试排"):
        assert words in html
    assert "data-plot" not in html
    assert "确认" not in html
    assert "zhipei_model_gini NaN" in (await browser.get("/metrics")).text
    nothing = await post(browser, "/models/rollback", key="k")
    assert nothing.status_code == 409
    assert "没有可以退回的模型" in nothing.text
    assert (await post(browser, "/models/no-such/shadow", key="k")).status_code == 404
    assert (await post(browser, "/models/no-such/jump", key="k")).status_code == 404


async def test_the_ladder_by_form(visit: Login, base: Database) -> None:
    async with base.transaction() as tx:
        await service.store(tx, model(1), PASSED)
        await service.store(tx, model(2), MISSED)
    first, second = model(1).version, model(2).version
    browser = await visit("province")
    html = (await browser.get("/models")).text
    assert "通过检验" in html
    assert "没有通过检验：calibration error 0.200" in html
    form = {"key": key_of(html), "why": NASTY}
    for _ in range(2):
        done = await post(browser, f"/models/{first}/shadow", **form)
        assert (done.status_code, done.headers["location"]) == (303, "/models")
    html = (await browser.get("/models")).text
    assert (await states(base))[first] is ModelState.SHADOW
    assert html.count("候选 → 旁听") == 1, "posted twice, done once"
    assert "&lt;script&gt;" in html
    assert "<script>alert" not in html
    assert "province 的姓名" in html
    assert f"/models/{second}/shadow" not in html, "one at a time"
    taken = await post(browser, f"/models/{second}/shadow", key="k2", anyway="true", why="试试")
    assert taken.status_code == 409
    assert "同时只能有一个" in taken.text

    early = await post(browser, f"/models/{first}/challenge", key="k3", why="想快点")
    assert early.status_code == 409
    assert "已旁听 0 次匹配" in early.text
    assert "想快点" in early.text, "nothing typed is lost"
    unexplained = await post(browser, f"/models/{first}/challenge", key="k4", anyway="true")
    assert unexplained.status_code == 422
    assert "请写明为什么仍要这样做" in unexplained.text
    wordy = await post(browser, f"/models/{first}/challenge", key="k5", anyway="true", why="长" * 501)
    assert wordy.status_code == 422
    assert (await states(base))[first] is ModelState.SHADOW
    for step in ("challenge", "promote"):
        html = (await browser.get("/models")).text
        done = await post(browser, f"/models/{first}/{step}", key=key_of(html), anyway="true", why="测试")
        assert done.status_code == 303, done.text
    assert (await states(base))[first] is ModelState.CHAMPION
    assert "退回上一个" in (await browser.get("/models")).text

    await post(browser, f"/models/{second}/shadow", key="k6", anyway="true", why="也试试")
    assert (await post(browser, "/models/stop", key="k7")).status_code == 303
    assert (await states(base))[second] is ModelState.RETIRED
    assert (await post(browser, "/models/rollback", key="k8", why="效果不好")).status_code == 303
    assert set((await states(base)).values()) == {ModelState.RETIRED}
    html = (await browser.get("/models")).text
    assert html.index("试排 → 在用") < html.index("在用 → 停用"), "the last step at the end"
    assert "效果不好" in html


async def test_what_a_challenger_has_shown(visit: Login, base: Database, own: Settings, world: World) -> None:
    version = f"{model(1).version}-b"
    async with base.transaction() as tx:
        await service.store(tx, structs.replace(model(1), version=version), PASSED)
        await service.climb(tx, version, Climb.CHALLENGE, By("测试员", "试试"), anyway=True)
    coordinator, browser = await visit("coordinator"), await visit("province")
    for done in range(2):
        need_id = await file_need(base, own, world, AID_TEXT)
        html = (await browser.get("/models")).text
        assert f"参与 {done + 1} 次匹配" in html
        assert f"已审核 {done} 次" in html
        assert ("派单成效（SNIPS" in html) is bool(done)
        assert (await approve(coordinator, need_id)).status_code == 303
    told = (await asyncio.to_thread(CliRunner().invoke, main, ["models", "--metrics"], env=environment(own))).output
    assert "decided on 2" in told
    assert "SNIPS: champion 0.400" in told
    async with base.transaction() as tx:
        await service.end_trial(tx, By("测试员"))


def environment(settings: Settings) -> dict[str, str]:
    return {"ZHIPEI_DATABASE_URL": str(settings.database_url), "ZHIPEI_REDIS_URL": str(settings.redis_url)}


async def test_plots_carry_their_data_and_their_tables(visit: Login, base: Database) -> None:
    async with base.transaction() as tx:
        await queries.insert_health(tx, HEALTH)
        for number in range(40):
            await service.store(tx, structs.replace(model(1), version=f"learned-{number}-{'x' * 200}"), MISSED)
    browser = await visit("province")
    html = (await browser.get("/models")).text
    assert "style=" not in html
    found = [msgspec.json.decode(text.replace("&#34;", '"')) for text in re.findall(r'data-plot="([^"]*)"', html)]
    assert [one["kind"] for one in found] == ["scatter", "bar", "line", "line", "line"]
    assert html.count("<table>") == 5
    drift = found[1]
    assert drift["categories"][0] == FEATURES[-1].zh, "what changed most comes first"
    assert found[2]["series"][0]["values"] == [0.9, None, 0.9]
    assert "plots" in html.split("</head>")[0]
    text = (await browser.get("/metrics")).text
    for line in (
        'zhipei_model_psi{feature="item_fit"} 0.05',
        "zhipei_model_calibration_error 0.11",
        "zhipei_model_overrides_ratio 0.2",
        "zhipei_model_newcomers_exposure_ratio 0.5",
        "zhipei_model_gini 0.45",
    ):
        assert line in text


def test_a_plot_without_data_says_what_will_be_there() -> None:
    for plot in plots(Health(version="scorecard-2")):
        assert (plot.option, plot.table) == (None, None)
        assert "后" in plot.sentence


def test_a_plots_table_says_what_is_drawn() -> None:
    for plot in plots(HEALTH):
        assert plot.option is not None
        assert plot.table is not None
        drawn = plot.option.series[0]
        assert len(plot.table.rows) == len(drawn.values or drawn.points)
        assert {len(row) for row in plot.table.rows} == {len(plot.table.head)}
        for series in plot.option.series:
            assert len(series.values or series.points) == len(plot.option.categories or series.points)
