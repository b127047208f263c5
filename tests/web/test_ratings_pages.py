"""Pages of ratings without JavaScript: the form, what comes back wrong, each step, and who may not."""

import re
from typing import Any

import httpx
import pytest

from infra.db import Database
from infra.settings import Settings
from tests.conftest import Login
from tests.factories import AID, World, serve
from tests.web.test_pages_staff import post
from tests.web.test_ratings import PARTY

pytestmark = pytest.mark.anyio

NASTY = "<script>alert(1)</script>"


def key_of(html: str) -> str:
    found = re.search(r'name="key" value="([^"]+)"', html)
    assert found
    return found[1]


async def rate(browser: httpx.AsyncClient, need_id: int, **form: Any) -> httpx.Response:
    shown = (await browser.get(f"/needs/{need_id}")).text
    return await post(browser, f"/needs/{need_id}/rating", **({"key": key_of(shown)} | form))


async def rating_of(db: Database, need_id: int) -> int:
    async with db.reading() as tx:
        statement = "SELECT r.id FROM ratings r JOIN matches m ON m.id = r.match_id WHERE m.need_id = $1"
        return int(await tx.fetchval(statement, need_id))


async def test_the_form_prefers_nothing_and_keeps_what_was_typed(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    need_id = await serve(db, settings, world)
    browser = await login("enterprise")
    html = (await browser.get(f"/needs/{need_id}")).text
    form = html[html.index('id="rating"') : html.index("提交评价")]
    assert form.count('name="level"') == 5
    assert "checked" not in form, "no level is preferred"
    assert "不评价也没有任何影响" in form
    none = await rate(browser, need_id, remark=NASTY, indicators_2="209", anonymous="true")
    assert none.status_code == 422
    assert "请先选一个满意程度。" in none.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;</textarea>" in none.text
    assert none.text.count("checked") == 2
    long = await rate(browser, need_id, level="5", remark="好" * 2001)
    assert "最多 2000 个字" in long.text
    assert "好" * 2001 in long.text
    odd = await rate(browser, need_id, level="6")
    assert odd.status_code == 422
    other = await rate(browser, need_id, level="5", indicators_5="510")
    assert "所选的理由和评价等级对不上" in other.text
    # Reasons ticked under a level that was not chosen in the end were not meant.
    done = await rate(browser, need_id, level="4", indicators_2="209", indicators_4=["413", "408"], remark=NASTY)
    assert done.status_code == 303
    shown = (await browser.get(done.headers["location"])).text
    assert "服务态度较好" in shown
    assert "未在承诺时间内办结" not in shown[shown.index("我的评价") :]
    assert NASTY not in shown
    assert "评价：满意" in shown, "a step of the need's story"


async def test_pressing_twice_rates_once(db: Database, settings: Settings, world: World, login: Login) -> None:
    need_id = await serve(db, settings, world)
    browser = await login("enterprise")
    key = key_of((await browser.get(f"/needs/{need_id}")).text)
    again = [await post(browser, f"/needs/{need_id}/rating", key=key, level="5") for _ in range(2)]
    assert [(answer.status_code, answer.headers["location"]) for answer in again] == [(303, f"/needs/{need_id}")] * 2
    other = await post(browser, f"/needs/{need_id}/rating", key=key, level="1")
    assert other.status_code == 409
    assert "已经评价过了" in other.text
    assert "我的评价" in other.text, "the rating as it is"


async def test_a_bad_rating_from_form_to_closing(db: Database, settings: Settings, world: World, login: Login) -> None:
    need_id = await serve(db, settings, world)
    party, rated, node = await login("enterprise"), await login("institution"), await login("coordinator")
    await rate(party, need_id, level="1", indicators_1="110", remark=f"拖了两个月{NASTY}")
    rating_id = await rating_of(db, need_id)
    at = f"/ratings/{rating_id}"
    assert f'href="{at}"' in (await node.get("/ratings")).text
    assert f'href="{at}"' in (await node.get(f"/needs/{need_id}")).text
    assert f'href="{at}"' in (await rated.get("/desk/ratings")).text
    assert "骨干节点正在核实" in (await rated.get(at)).text
    empty = await post(node, f"{at}/verify", note="只写了情况")
    assert empty.status_code == 422
    assert "只写了情况</textarea>" in empty.text
    assert (await post(rated, f"{at}/rectify", note="早了")).status_code == 409
    assert (await post(node, f"{at}/verify", founded="true", note="属实")).headers["location"] == at
    assert (await post(rated, f"{at}/rectify", note=" ")).status_code == 422
    assert (await post(rated, f"{at}/rectify", note="增加人手")).status_code == 303
    assert (await post(rated, f"{at}/answer", note="让您久等")).status_code == 303
    shown = (await party.get(f"/needs/{need_id}")).text
    assert "让您久等" in shown
    assert "现在满意吗" in shown
    unsaid = await post(party, f"/needs/{need_id}/rating/revisit", note="还在等")
    assert "请选择满意或不满意。" in unsaid.text
    assert "还在等</textarea>" in unsaid.text
    assert (await post(party, f"/needs/{need_id}/rating/revisit", satisfied="false", note="还在等")).status_code == 303
    for action, note in (("rectify", "再改"), ("answer", "再答")):
        await post(rated, f"{at}/{action}", note=note)
    early = await post(node, f"{at}/close", note="结束")
    assert early.status_code == 409
    assert "还在回访期限内" in early.text
    assert (await post(node, f"{at}/revisit", satisfied="true", note="电话里说可以了")).status_code == 303
    assert (await post(node, f"{at}/close", note="整改到位")).status_code == 303
    assert "整改已办结，评价人表示满意。" in (await party.get(f"/needs/{need_id}")).text
    institution = world.actors["institution"].institution_id
    for path in (f"/institutions/{institution}", f"/institutions/{institution}/ratings?item={AID}"):
        public = (await party.get(path)).text
        assert "再答" in public
        assert NASTY not in public
    assert (await post(party, f"/needs/{need_id}/rating/remark", remark="半年后还行")).status_code == 303
    assert (await post(party, f"/needs/{need_id}/rating/remark", remark="再说")).status_code == 409


async def test_an_anonymous_rating_is_not_on_the_institutions_need_page(
    db: Database, settings: Settings, world: World, login: Login
) -> None:
    need_id = await serve(db, settings, world)
    party, rated = await login("enterprise"), await login("institution")
    await rate(party, need_id, level="2", remark="匿名的话", anonymous="true")
    rating_id = await rating_of(db, need_id)
    for path in (f"/ratings/{rating_id}", "/desk/ratings", "/desk/ratings?filter=bad"):
        html = (await rated.get(path)).text
        assert "匿名的话" in html
        assert "深圳甲科技有限公司" not in html[html.index("匿名的话") - 200 : html.index("匿名的话") + 400]
    html = (await rated.get(f"/needs/{need_id}")).text
    assert "匿名的话" not in html
    assert f"/ratings/{rating_id}" not in html
    assert f"/needs/{need_id}" not in (await rated.get(f"/ratings/{rating_id}")).text


async def test_a_report_and_its_ruling(db: Database, settings: Settings, world: World, login: Login) -> None:
    need_id = await serve(db, settings, world)
    party, rated, node = await login("enterprise"), await login("institution"), await login("coordinator")
    await rate(party, need_id, level="5", remark="好得不像真的")
    at = f"/ratings/{await rating_of(db, need_id)}"
    assert (await post(rated, f"{at}/reply", note="谢谢")).status_code == 303
    assert (await post(rated, f"{at}/report", note="不是我们办的")).status_code == 303
    assert "不是我们办的" in (await node.get(at)).text
    assert "不是我们办的" not in (await party.get(f"/needs/{need_id}")).text
    undecided = await post(node, f"{at}/rule", note="想想")
    assert undecided.status_code == 422
    assert (await post(node, f"{at}/rule", keep="false", note="确为误评")).status_code == 303
    institution = world.actors["institution"].institution_id
    assert "好得不像真的" not in (await party.get(f"/institutions/{institution}/ratings")).text
    shown = (await party.get(f"/needs/{need_id}")).text
    assert "不予公开，不计入统计" in shown
    assert "确为误评" in shown


async def test_a_clerk_writes_down_what_was_said(db: Database, settings: Settings, world: World, login: Login) -> None:
    need_id = await serve(db, settings, world, party=PARTY)
    clerk = await login("clerk")
    html = (await clerk.get(f"/needs/{need_id}")).text
    assert "记录来访人的评价" in html
    assert "窗口人员业务不熟练" in html
    assert "承诺网办但无法在线办理" not in html
    await rate(clerk, need_id, level="3")
    assert "窗口代为记录" in (await clerk.get(f"/needs/{need_id}")).text


OF_ROLE = {
    "/ratings": {"coordinator", "admin"},
    "/ratings?filter=all": {"coordinator", "admin"},
    "/ratings/suspicions": {"coordinator", "admin"},
    "/rules": {"coordinator", "admin"},
    "/desk/ratings": {"institution"},
    "/desk/ratings?filter=overdue": {"institution"},
}


@pytest.mark.parametrize("role", ["enterprise", "institution", "coordinator", "clerk", "admin"])
async def test_pages_open_for_their_roles_only(login: Login, role: str) -> None:
    browser = await login(role)
    for path, roles in OF_ROLE.items():
        assert (await browser.get(path)).status_code == (200 if role in roles else 403), path


async def test_what_is_not_ones_own_is_not_there(db: Database, settings: Settings, world: World, login: Login) -> None:
    need_id = await serve(db, settings, world)
    await rate(await login("enterprise"), need_id, level="2")
    at = f"/ratings/{await rating_of(db, need_id)}"
    stranger = await login("office")
    assert (await stranger.get(at)).status_code == 404
    assert (await post(stranger, f"{at}/rectify", note="x")).status_code == 404
    rival = await login("rival")
    await rival.get("/needs")
    assert (await post(rival, f"/needs/{need_id}/rating", level="1")).status_code == 404
    for path in ("/ratings/0", "/ratings/999999", "/institutions/999999/ratings"):
        assert (await (await login("coordinator")).get(path)).status_code == 404


async def test_rules_are_set_all_at_once(login: Login) -> None:
    browser = await login("coordinator")
    html = (await browser.get("/rules")).text
    assert "现在沿用全国的 5 个工作日" in html
    wrong = await post(browser, "/rules", region="440300", rectification_verify="一天", rectification_close="9999")
    assert wrong.status_code == 422
    assert "请填写整数。" in wrong.text
    assert "不能大于 250。" in wrong.text
    assert 'value="一天"' in wrong.text
    done = await post(browser, "/rules", region="440300", rectification_verify="2")
    assert done.headers["location"] == "/rules?region=440300&done=1"
    shown = (await browser.get(done.headers["location"])).text
    assert 'value="2"' in shown
    assert "已保存" in shown
    assert "现在沿用深圳市的 2 个工作日" in (await browser.get("/rules?region=440305")).text
    assert (await post(browser, "/rules", region="440000", rectification_verify="2")).status_code == 403
    assert "只能查看" in (await browser.get("/rules?region=440000")).text
    assert (await post(browser, "/rules", region="440300")).status_code == 303
    assert "现在沿用全国的 1 个工作日" in (await browser.get("/rules")).text
    assert (await browser.get("/rules?region=nowhere")).status_code == 404
    admin = await login("admin")
    await admin.get("/rules")
    emptied = await post(admin, "/rules", region="000000", rectification_verify="1")
    assert emptied.status_code == 422
    assert emptied.text.count("上面没有可以沿用的") == 4
