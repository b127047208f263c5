"""Searching through pages and API: on an index built from the small world, and while there is none."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar

from infra.settings import Settings
from market.app import create_app
from market.discovery import indexing
from market.discovery.engines import open_engine, open_writer
from search.documents import fee_kind, limit_band
from tests.conftest import Clone, open_database

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def place(clone: Clone) -> Settings:
    return await clone()


@pytest.fixture(scope="module")
async def indexed(place: Settings) -> AsyncIterator[Litestar]:
    """The application on a database of its own, all of it indexed."""
    database, engine, writer = open_database(place), open_engine(place), open_writer(place)
    await indexing.repair(database, engine, writer)
    await writer.aclose()
    await engine.aclose()
    await database.close()
    application = create_app(place, csrf_secret="test" * 8)
    async with application.lifespan():
        yield application


@pytest.fixture
async def site(indexed: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=indexed, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as browser:
        yield browser


async def ids(site: httpx.AsyncClient, **query: object) -> set[int]:
    answer = await site.get("/api/v1/offerings", params={"limit": 100, **query})
    assert answer.status_code == 200, answer.text
    assert not answer.json()["degraded"]
    return {row["id"] for row in answer.json()["items"]}


PAGES = ("/search", "/offerings", "/institutions", "/items", "/notices")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    "q", ["", "专利", "zhuanli", "没有这样的东西火星", "<script>alert(1)</script>", '" OR 1=1 --', "长" * 500]
)
async def test_every_list_answers_every_text(site: httpx.AsyncClient, path: str, q: str) -> None:
    answer = await site.get(path, params={"q": q})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "搜索正在恢复" not in answer.text


async def test_letters_slips_and_words_find_the_same_service(site: httpx.AsyncClient) -> None:
    (offering,) = (await site.get("/api/v1/offerings", params={"limit": 1})).json()["items"]
    by_name = await ids(site, q=offering["title"])
    assert offering["id"] in by_name
    assert offering["id"] in await ids(site, q=offering["item_name"])
    page = await site.get("/offerings", params={"q": offering["title"][:4]})
    assert "<mark>" in page.text


@pytest.mark.parametrize("path", ["/offerings", "/search"])
async def test_a_mended_slip_is_told_and_can_be_kept(site: httpx.AsyncClient, path: str) -> None:
    """The results are of the right spelling; the link looks for what was typed."""
    html = (await site.get(f"{path}?q=砖利申请")).text
    told = re.search(r'已按<strong>([^<]+)</strong>查找。<a href="([^"]+)">仍按“砖利申请”查找', html)
    assert told
    assert told[1] != "砖利申请"
    as_typed = (await site.get(told[2].replace("&amp;", "&"))).text
    assert "已按<strong>" not in as_typed
    assert 'value="砖利申请"' in as_typed
    assert 'name="as_typed"' not in as_typed, "another text is mended again"


async def test_a_filter_holds_and_its_own_facet_still_counts_the_others(site: httpx.AsyncClient) -> None:
    everything = await ids(site)
    patents = await ids(site, right="patent")
    both = await ids(site, right=["patent", "trademark"])
    assert patents < everything
    assert patents <= both
    counts = (await site.get("/api/v1/offerings", params={"right": "patent"})).json()["facets"]["right"]
    assert counts["patent"] == len(patents)
    assert counts.get("trademark", 0) == len(await ids(site, right="trademark"))
    page = (await site.get("/offerings", params={"right": "patent"})).text
    assert 'aria-current="true" title="点一下取消"' in page


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"q": "专利"},
        {"right": "trademark"},
        {"stage": "protection"},
        {"item_list": "common"},
        {"region_code": "440305"},
        {"within": "440000"},
        {"fee": "free"},
        {"fee": "unstated"},
        {"time_limit": ["same_day", "week"]},
        {"audience": "everyone"},
        {"channel": "线上"},
    ],
)
async def test_without_an_index_the_database_keeps_the_same_filters(
    site: httpx.AsyncClient, place: Settings, query: dict[str, object]
) -> None:
    """Filters give the same set; words are looked for more simply, and find no more."""
    expected = await ids(site, **query)
    bare = Settings(data_dir=place.data_dir / "empty", database_url=place.database_url, redis_url=place.redis_url)
    application = create_app(bare, csrf_secret="test" * 8)
    async with application.lifespan():
        transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as browser:
            answer = (await browser.get("/api/v1/offerings", params={"limit": 100, **query})).json()
            assert answer["degraded"]
            found = {row["id"] for row in answer["items"]}
            assert found <= expected if "q" in query else found == expected
            assert "搜索正在恢复" in (await browser.get("/offerings")).text
            for path in PAGES:
                assert (await browser.get(path, params={"q": "专利"})).status_code == 200
            assert (await browser.get("/")).status_code == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"page": 999}, "page"),
        ({"sort": "price"}, "sort"),
        ({"q": "长" * 501}, "q"),
        ({"right": "human"}, "right"),
        ({"limit": 0}, "limit"),
        ({"region_code": "44' OR '1'='1"}, "region_code"),
    ],
)
async def test_nonsense_is_refused_by_field(site: httpx.AsyncClient, query: dict[str, object], field: str) -> None:
    answer = await site.get("/api/v1/offerings", params=query)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in {error["field"] for error in answer.json()["errors"]}


@pytest.mark.parametrize(
    ("query", "again"),
    [
        ({"q": "专利", "page": "999"}, "?q=%E4%B8%93%E5%88%A9"),
        ({"q": "专利", "right": "human"}, "?q=%E4%B8%93%E5%88%A9"),
        ({"right": "patent", "sort": "price"}, "?right=patent"),
        ({"right": "patent", "q": "长" * 501}, "?right=patent"),
    ],
)
async def test_a_page_that_cannot_be_leads_to_one_that_can(
    site: httpx.AsyncClient, query: dict[str, str], again: str
) -> None:
    answer = await site.get("/offerings", params=query)
    assert answer.status_code == 422
    assert f'href="/offerings{again}"' in answer.text
    assert (await site.get(f"/offerings{again}")).status_code == 200
    # what is too long to be looked for is a need
    assert ("写成需求提交" in answer.text) == (len(query.get("q", "")) > 500)


async def test_ten_thousand_characters_are_refused_in_words(site: httpx.AsyncClient) -> None:
    for path in PAGES:
        answer = await site.get(path, params={"q": "x" * 10_000})
        assert answer.status_code == 422, path
        assert "最多 500 个字" in answer.text


async def test_nothing_found_helps_on(site: httpx.AsyncClient) -> None:
    page = (await site.get("/offerings", params={"q": "火星移民", "right": "patent"})).text
    assert "没有符合条件的服务" in page
    assert "不限权利类型「专利」" in page
    home = await site.get("/", params={"text": "火星移民"})
    assert "火星移民" in home.text
    assert "/?text=%E7%81%AB%E6%98%9F" in page


async def test_suggestions_go_on_like_the_text(site: httpx.AsyncClient) -> None:
    found = (await site.get("/api/v1/suggest", params={"q": "zl"})).json()
    assert any("专利" in one["text"] for one in found)
    assert (await site.get("/api/v1/suggest", params={"q": ""})).json() == []


async def test_what_is_looked_for_in_vain_is_counted_without_who(site: httpx.AsyncClient, place: Settings) -> None:
    for _ in range(2):
        await site.get("/search", params={"q": "量子 热线 13800138000"})
    await site.get("/search", params={"q": "打了一半"}, headers={"HX-Request": "true"})
    assert (await site.get("/searches")).status_code == 303
    assert (await site.get("/api/v1/searches/in-vain")).status_code == 401
    database = open_database(place)
    async with database.transaction() as tx:
        rows = {row["text"]: (row["times"], row["found_nothing"]) for row in await tx.fetch("SELECT * FROM searches")}
    await database.close()
    assert rows["量子 热线 …"][0] == 2
    assert "打了一半" not in rows


async def test_fee_and_limit_are_read_alike(site: httpx.AsyncClient) -> None:
    """What the index says of each offering is what its row says."""
    rows = (await site.get("/api/v1/offerings", params={"limit": 100})).json()["items"]
    for kind in ("free", "paid", "unstated"):
        assert {row["id"] for row in rows if fee_kind(row["fee"]) == kind} == await ids(site, fee=kind)
    for band in ("same_day", "week", "fortnight", "month", "longer", "unstated"):
        expected = {row["id"] for row in rows if limit_band(row["promised_days"]) == band}
        assert expected == await ids(site, time_limit=band)
