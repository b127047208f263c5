"""The ledger and supervision through HTTP: API and pages for every role, bad input, files, the whole supervision."""

import csv
import io
import re
import zipfile
from datetime import datetime

import httpx
import pytest
from pypdf import PdfReader

from infra.db import Database
from infra.settings import Settings
from market.calendars import service as calendars
from market.calendars.model import ZONE
from market.ledger import recording
from market.matches import queries as match_queries
from market.matches import ranking
from market.matches import service as matches
from market.needs import service as needs
from market.needs.model import Submission
from market.ratings import service as ratings
from market.ratings.model import RatingForm
from market.ratings.scale import RatingLevel
from tests.conftest import Api, Login
from tests.factories import AID, World, serve
from tests.web.test_pages_staff import post
from tests.web.test_ratings_pages import key_of

pytestmark = pytest.mark.anyio

MONTH = datetime.now(ZONE).strftime("%Y-%m")
YEAR = MONTH[:4]
REMARK = "匿名者说过的话"
READS = ("", "/records?what=offered&", "/files/csv", "/files/xlsx", "/files/pdf")


def asked(path: str, period: str = YEAR) -> str:
    return f"{path}{'' if path.endswith('&') else '?'}period={period}"


@pytest.fixture(scope="module")
async def recorded(db: Database, settings: Settings, world: World) -> None:
    """Something served, anonymously rated, and counted."""
    need_id = await serve(db, settings, world)
    async with db.transaction() as tx:
        deadlines = await calendars.deadlines(tx)
        form = RatingForm(level=RatingLevel.DISSATISFIED, indicators=("209",), remark=REMARK, anonymous=True)
        await ratings.rate(tx, world.actors["enterprise"], need_id, form, deadlines, b"x")
        await recording.bring_up_to_date(tx, deadlines, whole=True)


def center(world: World) -> int:
    return world.actors["institution"].institution_id or 0


@pytest.mark.usefixtures("recorded")
async def test_who_reads_which_through_the_api(api: Api, world: World) -> None:
    mine = center(world)
    for login, status in (
        ("institution", 200),
        ("coordinator", 200),
        ("province", 200),
        ("admin", 200),
        ("office", 404),
        ("provincial", 404),
        ("enterprise", 403),
        ("clerk", 403),
        ("", 401),
    ):
        for path in READS:
            answer = await api(login).get(asked(f"/ledger/{mine}{path}"))
            assert answer.status_code == status, (login, path, answer.text)
        flags = await api(login).get(f"/ledger/{mine}/flags")
        assert flags.status_code == status
    far = world.actors["provincial"].institution_id
    assert (await api("coordinator").get(asked(f"/ledger/{far}"))).status_code == 404
    for login, status in (("institution", 403), ("enterprise", 403), ("clerk", 403), ("coordinator", 200), ("", 401)):
        for path in ("/ledger", "/ledger/areas", "/ledger/files/csv"):
            assert (await api(login).get(asked(path))).status_code == status, (login, path)


@pytest.mark.usefixtures("recorded")
async def test_figures_their_records_and_the_list_agree(api: Api, world: World) -> None:
    node, mine = api("coordinator"), center(world)
    ledger = (await node.get(asked(f"/ledger/{mine}", MONTH))).json()
    assert ledger["closed_at"] is None
    figures = ledger["figures"]
    assert figures["delivered"] >= 1
    assert figures["rectifications"] >= 1
    assert sum(figures["times"]) == figures["delivered"]
    assert ledger["peers"]["measures"]["offered"] is None, "a small world has no three of a kind"
    assert set(ledger["trend"]) >= {MONTH}
    for what in ("offered", "accepted", "delivered", "completed", "rectifications"):
        rows = (await node.get(asked(f"/ledger/{mine}/records?what={what}&limit=100&", MONTH))).json()["items"]
        assert len(rows) == figures[what], what
    listed = (await node.get(asked("/ledger", MONTH))).json()["items"]
    row = next(one for one in listed if one["institution_id"] == mine)
    assert row["offered"] == figures["offered"]
    areas = (await node.get(asked("/ledger/areas", MONTH))).json()
    (own,) = areas
    assert own["figures"]["offered"] == sum(one["offered"] for one in listed)
    wide = (await api("province").get(asked("/ledger/areas", MONTH))).json()
    assert {one["name"] for one in wide} == {"深圳市骨干节点", "广东省骨干节点", "广东省"}
    first = (await node.get(asked("/ledger?limit=1&", MONTH))).json()
    second = (await node.get(asked(f"/ledger?limit=1&cursor={first['next']}&", MONTH))).json()
    assert [first["items"][0]["institution_id"], second["items"][0]["institution_id"]] == [
        one["institution_id"] for one in listed
    ]


@pytest.mark.usefixtures("recorded")
async def test_an_anonymous_rating_stays_anonymous(api: Api, login: Login, world: World) -> None:
    mine = center(world)
    for what in ("rated", "rectifications"):
        (seen, *_) = (await api("institution").get(asked(f"/ledger/{mine}/records?what={what}&"))).json()["items"]
        assert (seen["need_id"], seen["match_id"], seen["enterprise_name"], seen["at"]) == (None,) * 4
    (whole, *_) = (await api("coordinator").get(asked(f"/ledger/{mine}/records?what=rated&"))).json()["items"]
    assert whole["enterprise_name"] == "深圳甲科技有限公司"
    html = (await (await login("institution")).get(asked(f"/ledger/{mine}/records?what=rated&"))).text
    assert REMARK in html
    assert "深圳甲科技有限公司" not in html


async def test_a_nodes_reasons_stay_with_the_node(db: Database, settings: Settings, api: Api, world: World) -> None:
    secret = "只给节点看的理由"
    async with db.transaction() as tx:
        deadlines = await calendars.deadlines(tx)
        submission = Submission(body="产品被人仿冒，想申请维权援助", item_codes=(AID,))
        need = await needs.submit(tx, world.actors["enterprise"], submission, deadlines)
        job = await ranking.read(tx, ranking.CatalogueSource(), need.id)
        assert job is not None
    outcome = ranking.compute(job, top=20, gap=0.0)
    async with db.transaction() as tx:
        await ranking.store(tx, job, outcome)
        match = await match_queries.latest(tx, need.id)
        assert match is not None
        other = next(one for one in outcome.ranking.ranked if one.offering_id != match.offering_id)
        await matches.override(tx, world.actors["coordinator"], need.id, other.offering_id, secret, deadlines)
        chosen = await match_queries.latest(tx, need.id)
        assert chosen is not None
        login = next(name for name, actor in world.actors.items() if actor.institution_id == chosen.institution_id)
    path = asked(f"/ledger/{chosen.institution_id}/records?what=offered&")
    assert secret in (await api("admin").get(path)).text
    assert secret not in (await api(login).get(path)).text


BAD = ("2026-13", "2026Q5", "abc", "", "1999", "2099", "２０２６", "2026-1", "20260-01", "x" * 50)


@pytest.mark.parametrize("period", BAD)
async def test_bad_periods_are_told(api: Api, world: World, period: str) -> None:
    for path in ("/ledger", "/ledger/areas", f"/ledger/{center(world)}", f"/ledger/{center(world)}/files/pdf"):
        answer = await api("coordinator").get(path, params={"period": period})
        assert answer.status_code in (400, 422), (path, answer.text)
        assert "period" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/ledger/999999?period=2026",
        "/ledger/99999999999999999999?period=2026",
        "/ledger/0?period=2026",
        "/ledger?period=2026&limit=100000",
        "/ledger?period=2026&cursor=!!!",
        "/ledger?period=2026&region_code=44",
        "/ledger?period=2026&sort=secret",
        "/ledger/1/files/doc?period=2026",
        "/ledger/1/records?period=2026&what=everything",
        "/supervisions/0",
        "/supervisions/999999",
    ],
)
async def test_bad_addresses_are_no_server_errors(api: Api, path: str) -> None:
    answer = await api("admin").get(path)
    assert answer.status_code in (400, 404, 422), (path, answer.text)


async def test_a_region_outside_is_refused(api: Api) -> None:
    answer = await api("coordinator").get("/ledger", params={"period": YEAR, "region_code": "440000"})
    assert answer.status_code == 403


# pages ----------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("recorded")
async def test_pages_for_each_role(login: Login, world: World) -> None:
    mine = center(world)
    browser = await login("institution")
    sent = await browser.get("/ledger")
    assert sent.status_code == 303
    assert sent.headers["location"].startswith(f"/ledger/{mine}?period=")
    own = await browser.get(asked(f"/ledger/{mine}", MONTH))
    assert own.status_code == 200
    assert "我的服务台账" in own.text
    assert "不足 3 家" in own.text, "it says why nothing is compared"
    assert "还没有封账" in own.text
    assert own.text.count("data-plot=") >= 3
    assert "深圳专利代办处（测试）" not in own.text, "other institutions are not named"
    assert "发督导通知" not in own.text
    foreign = world.actors["office"].institution_id
    for path in READS:
        assert (await browser.get(asked(f"/ledger/{foreign}{path}"))).status_code == 404
    node = await login("coordinator")
    listed = await node.get(asked("/ledger", MONTH))
    assert "南山知识产权保护中心（测试）" in listed.text
    assert "广东省知识产权保护中心（测试）" not in listed.text, "it lies outside of the city"
    assert (await node.get(asked("/ledger/areas", MONTH))).status_code == 200
    for name in ("enterprise", "clerk"):
        stranger = await login(name)
        for path in ("/ledger", f"/ledger/{mine}", "/ledger/areas", "/supervision", "/supervision/rules"):
            assert (await stranger.get(path)).status_code == 403, (name, path)
    bad = await node.get("/ledger?period=2026-13")
    assert bad.status_code == 422
    assert "2026Q3" in bad.text


@pytest.mark.usefixtures("recorded")
async def test_files_are_read_back(login: Login, api: Api, world: World) -> None:
    mine = center(world)
    figures = (await api("institution").get(asked(f"/ledger/{mine}"))).json()["figures"]
    browser = await login("institution")
    table = await browser.get(asked(f"/ledger/{mine}/files/csv"))
    assert table.headers["content-disposition"] == f'attachment; filename="zhipei-ledger-{mine}-{YEAR}.csv"'
    rows = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert sum(int(row["派单"]) for row in rows) == figures["offered"]
    book = await browser.get(asked(f"/ledger/{mine}/files/xlsx"))
    with zipfile.ZipFile(io.BytesIO(book.content)) as sheets:
        assert sheets.testzip() is None
    paper = await browser.get(asked(f"/ledger/{mine}/files/pdf"))
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(paper.content)).pages)
    assert "南山知识产权保护中心" in text
    assert "深圳甲科技有限公司" not in text
    node = await login("coordinator")
    for form in ("csv", "xlsx", "pdf"):
        assert (await node.get(asked(f"/ledger/files/{form}"))).status_code == 200


async def test_supervision_from_notice_to_close(login: Login, api: Api, world: World) -> None:
    """Both sides by their pages: one primary action a state, wrong input told beside the field, pressed twice once."""
    mine = world.actors["office"].institution_id
    node, server = await login("coordinator"), await login("office")
    form = (await node.get(f"/supervision/new?institution_id={mine}")).text
    empty = await post(node, "/supervision", key=key_of(form), institution_id=str(mine), note=" ")
    assert empty.status_code == 422
    given = [
        await post(node, "/supervision", key=key_of(form), institution_id=str(mine), note="请说明原因")
        for _ in range(2)
    ]
    assert [one.status_code for one in given] == [303, 303]
    path = given[0].headers["location"]
    assert given[1].headers["location"] == path
    again = await post(node, "/supervision", key="other", institution_id=str(mine), note="再来一份")
    assert again.status_code == 409
    assert "没有办结" in again.text
    desk = (await server.get("/desk")).text
    assert "写整改方案" in desk
    assert path in desk
    assert "请说明原因" in (await server.get(path)).text
    assert buttons((await node.get(path)).text) == set(), "it is the institution's turn"

    async def step(browser: httpx.AsyncClient, action: str, note: str) -> httpx.Response:
        shown = (await browser.get(path)).text
        return await post(browser, f"{path}/{action}", key=key_of(shown), note=note)

    assert buttons((await server.get(path)).text) == {"提交整改方案"}
    long = await step(server, "plan", "长" * 5_000)
    assert long.status_code == 422
    assert "长" * 5_000 in long.text, "what was typed stays"
    assert (await step(server, "plan", "加派人手，每日核对")).status_code == 303
    assert (await step(node, "send_back", "缺完成时间")).status_code == 303
    assert (await step(server, "plan", "十二月底完成")).status_code == 303
    assert buttons((await node.get(path)).text) == {"核查通过"}
    early = await post(node, f"{path}/close", key="early", note="直接办结")
    assert early.status_code == 409
    assert "核查" in early.text
    assert (await step(node, "check", "已落实")).status_code == 303
    assert (await post(server, f"{path}/close", key="theirs", note="我来办结")).status_code == 403
    assert (await step(node, "close", "完成")).status_code == 303
    story = (await server.get(path)).text
    for told in ("请说明原因", "加派人手，每日核对", "缺完成时间", "十二月底完成", "已落实", "完成"):
        assert told in story
    assert path not in (await server.get("/desk")).text
    stranger = await login("institution")
    assert (await stranger.get(path)).status_code == 404
    assert path in (await node.get("/supervision?closed=true")).text
    number = int(path.rsplit("/", 1)[1])
    assert (await api("institution").get(f"/supervisions/{number}")).status_code == 404
    steps = (await api("office").get(f"/supervisions/{number}/steps")).json()
    assert [one["action"] for one in steps] == ["notice", "plan", "send_back", "plan", "check", "close"]


def buttons(html: str) -> set[str]:
    """The primary buttons of the page."""
    return set(re.findall(r'class="button primary"[^>]*>([^<]+)<', html))


async def test_supervision_through_the_api(api: Api, world: World) -> None:
    node, mine = api("coordinator"), center(world)
    body = {"institution_id": mine, "note": "请整改"}
    assert (await api("institution").post("/supervisions", json=body)).status_code == 403
    assert (await api("admin").post("/supervisions", json=body)).status_code == 403
    far = world.actors["provincial"].institution_id
    assert (await node.post("/supervisions", json={"institution_id": far, "note": "x"})).status_code == 404
    for bad in ({}, {"institution_id": mine}, {"institution_id": mine, "note": ""}, body | {"more": 1}):
        assert (await node.post("/supervisions", json=bad)).status_code in (400, 422)
    key = {"Idempotency-Key": "supervise-1"}
    made = await node.post("/supervisions", json=body, headers=key)
    assert made.status_code == 201, made.text
    assert (await node.post("/supervisions", json=body, headers=key)).json()["id"] == made.json()["id"]
    path = f"/supervisions/{made.json()['id']}"
    assert (await api("office").post(f"{path}/plan", json={"note": "x"})).status_code == 404
    assert (await node.post(f"{path}/jump", json={"note": "x"})).status_code in (400, 404)
    off = await node.post(f"{path}/call_off", json={"note": "发错了"})
    assert off.json()["state"] == "closed"
    assert (await node.post(f"{path}/close", json={"note": "x"})).status_code == 409
    listed = (await api("institution").get("/supervisions", params={"is_open": "false"})).json()["items"]
    assert made.json()["id"] in [one["id"] for one in listed]


async def test_rules_are_set_by_page_and_api(login: Login, api: Api) -> None:
    node = await login("coordinator")
    form = {"region": "440300", "on_time-own": "1", "on_time-threshold": "75", "on_time-least": "8"}
    wrong = await post(node, "/supervision/rules", **(form | {"on_time-threshold": "很多"}))
    assert wrong.status_code == 422
    assert "很多" in wrong.text
    assert (await post(node, "/supervision/rules", **(form | {"on_time-threshold": "750"}))).status_code == 422
    assert (await post(node, "/supervision/rules", **form)).status_code == 303
    found = (await api("").get("/supervision/rules", params={"region_code": "440305"})).json()
    rule = next(one for one in found if one["name"] == "on_time")
    assert (rule["region_code"], rule["threshold"], rule["least"]) == ("440300", 0.75, 8)
    assert 'value="75"' in (await node.get("/supervision/rules?region=440300")).text
    outside = await post(node, "/supervision/rules", region="440000")
    assert outside.status_code == 403
    body = {"name": "on_time", "own": False}
    assert (await api("coordinator").put("/supervision/rules/440300", json=body)).status_code == 200
    assert (await api("institution").put("/supervision/rules/440300", json=body)).status_code == 403
