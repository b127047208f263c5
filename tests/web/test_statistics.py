"""The public statistics through HTTP: the page, its files and the API say the same, count as the ledger does."""

import csv
import io
from datetime import datetime

import httpx
import pytest

from infra.db import Database
from market.calendars.model import ZONE
from market.calendars.service import DeadlinesSource
from market.ledger.periods import month_of
from market.needs import service as needs
from market.needs.model import Submission
from market.statistics import service
from market.statistics.model import Name
from tests.factories import World

pytestmark = pytest.mark.anyio

NEEDS = "SELECT count(*) FROM needs"


async def test_page_files_and_api_say_the_same(client: httpx.AsyncClient) -> None:
    html = (await client.get("/statistics")).text
    told = (await client.get("/api/v1/statistics")).json()
    assert [one["name"] for one in told["statistics"]] == list(Name)
    [institutions] = [one for one in told["statistics"] if one["name"] == Name.INSTITUTIONS]
    assert institutions["overall"] == sum(line["value"] for line in institutions["lines"]) > 0
    for line in institutions["lines"]:
        assert f'<th scope="row">{line["name"]}</th><td class="num">{line["value"]}</td>' in html
    file = await client.get("/statistics/institutions.csv")
    assert file.content.startswith(b"\xef\xbb\xbf")
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="zhipei-institutions.csv"' in file.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))[1:]
    assert rows == [[line["name"], str(line["value"])] for line in institutions["lines"]]


@pytest.mark.parametrize("path", ["/statistics/offerings.csv", "/api/v1/statistics"])
async def test_a_copy_is_kept_and_asked_for_by_its_tag(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert "set-cookie" not in answer.headers, "others may keep it"
    assert "public, max-age=" in answer.headers["cache-control"]
    again = await client.get(path, headers={"If-None-Match": f'W/{answer.headers["etag"]}, "x"'})
    assert (again.status_code, again.content) == (304, b"")
    assert (await client.get(path, headers={"If-None-Match": '"x"'})).status_code == 200


async def test_it_speaks_english_and_knows_no_other_files(client: httpx.AsyncClient) -> None:
    html = (await client.get("/statistics?lang=en")).text
    assert "How we count" in html
    assert (await client.get("/statistics/offerings.csv?lang=en")).text.startswith("\ufeffRegion,")
    for path in ("/statistics/x.csv", "/statistics/offerings", "/statistics/Offerings.csv"):
        assert (await client.get(path)).status_code == 404, path


async def test_it_is_found_from_the_first_page(client: httpx.AsyncClient) -> None:
    assert (await client.get("/")).text.count('href="/statistics"') == 2


async def test_needs_are_counted_in_the_month_they_came(db: Database, world: World) -> None:
    async with db.transaction() as tx:
        deadlines = await DeadlinesSource().get(tx)
        for _ in range(6):
            await needs.submit(tx, world.actors["enterprise"], Submission(body="想申请发明专利，请指导流程"), deadlines)
        came = await tx.fetchval(NEEDS)
        this = month_of(datetime.now(ZONE).date())
        found = await service.read(tx, this.moved(1).first_day)
        before = await service.read(tx, this.first_day)
    by_month = {line.key: line.value for line in found.of(Name.NEEDS).lines}
    assert by_month[this.code] == found.of(Name.NEEDS).overall == came
    assert before.of(Name.NEEDS).overall == 0, "the current month would tell from day to day who came"
