"""From a plain sentence to items, rights, stages, scope, and what is missing."""

import json
import time
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from market.data.language import load_lexicon
from market.understand_cli import shipped_items, shipped_understander
from matching.gaps import gaps
from matching.types import Cue, ItemText, PastNeed
from matching.understand import ALWAYS_SHOWN, MOST_ITEMS, Understander

SHARED = Path(__file__).parents[3] / "shared" / "data"
LEXICON = load_lexicon()

ITEMS = [
    ItemText(
        1, "P-1", "专利申请受理", "请求书、权利要求书", ("申请专利", "把发明保护起来"), ("patent",), ("creation",)
    ),
    ItemText(2, "P-2", "专利费用减缴申请受理", "年收入不高于6万元", ("费减", "专利费太贵"), ("patent",), ("creation",)),
    ItemText(3, "T-1", "商标注册申请受理", "商标图样", ("注册商标", "店名注册"), ("trademark",), ("creation",)),
    ItemText(4, "T-2", "注册商标续展申请受理", "期满前十二个月", ("商标到期",), ("trademark",), ("management",)),
    ItemText(5, "A-1", "维权援助申请受理", "", ("被侵权", "被仿冒"), ("patent", "trademark"), ("protection",)),
    ItemText(6, "C-1", "知识产权咨询", "", ("法律咨询",), ("patent", "trademark"), ("service",), consultation=True),
]
U = Understander(ITEMS, LEXICON)
SHIPPED = shipped_understander()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("想给新产品申请专利，怎么弄", 1),
        ("专利费能不能少交点", 2),
        ("新开的奶茶店想注册商标", 3),
        ("商标下个月到期了怎么办", 4),
        ("我们的商标被别人仿冒了，怎么维权", 5),
        ("商镖下个月到起了", 4),
        ("想给新产品申请利专", 1),
    ],
)
def test_items(text: str, number: int) -> None:
    understood = U.understand(text)
    assert not understood.outside_scope
    assert understood.items[0].number == number


def test_a_new_item_is_understood_at_once() -> None:
    chip = ItemText(7, "I-1", "集成电路布图设计登记", "", ("芯片版图",), ("ic_layout",), ("creation",))
    assert Understander([*ITEMS, chip], LEXICON).understand("芯片版图怎么登记").items[0].code == "I-1"


def test_a_new_item_is_understood_in_words_it_does_not_have() -> None:
    """快过期 is a topic of 续展: the item needs no alias for it."""
    items = [item if item.code != "T-2" else replace(item, aliases=()) for item in ITEMS]
    assert Understander(items, LEXICON).understand("商标快过期了").items[0].code == "T-2"


def test_confirmed_needs_vote() -> None:
    text = "想弄个商标小红本"
    before = U.read(text).scores["T-2"]
    past = [PastNeed("换个商标小红本", "T-2"), PastNeed("小红本没了", "T-2"), PastNeed("不在目录里的", "X-9")]
    assert Understander(ITEMS, LEXICON, past).read(text).scores["T-2"] > before


def test_needs_confirmed_as_outside_scope_vote() -> None:
    text = "版画装裱多少钱"
    past = [PastNeed(text, "P-1") for text in ("版画装裱", "装裱字画多少钱", "版画装裱多少钱呢", "装裱版画多少钱")]
    within = Understander(ITEMS, LEXICON, past)
    outside = Understander(ITEMS, LEXICON, [PastNeed(one.text, None) for one in past])
    assert not within.understand(text).outside_scope
    assert outside.understand(text).outside_scope


def test_rights_and_stages_are_what_the_text_names() -> None:
    understood = U.understand("我的商标和外观专利被侵权")
    assert set(understood.rights) == {"trademark", "patent"}
    assert understood.stages == ("protection",)
    assert U.understand("有人侵权").rights == ()


@pytest.mark.parametrize(
    "text", ["", " ", "\x00", "🙂", "的", "？！。", "离婚后房子怎么分", "交通事故赔偿", "你好", "的" * 50_000]
)
@pytest.mark.parametrize("understander", [U, SHIPPED])
def test_outside_scope(understander: Understander, text: str) -> None:
    understood = understander.understand(text)
    assert understood.outside_scope
    assert understood.items == ()
    assert "what" in understood.missing


def test_within_scope_without_a_fitting_item_leads_to_consultation() -> None:
    understood = U.understand("知识产权方面有个问题")
    assert not understood.outside_scope
    assert "C-1" in {item.code for item in understood.items[:3]}


def test_words_are_data() -> None:
    text = "藏品鉴定"
    assert U.understand(text).outside_scope
    taught = replace(LEXICON, words=replace(LEXICON.words, cues=(Cue("藏品", 1.0),)))
    assert not Understander(ITEMS, taught).understand(text).outside_scope


def test_evidence_shows_how_a_text_was_read() -> None:
    evidence = SHIPPED.evidence("孩子还在医院打针。想把商镖过户给朋友！")
    assert evidence.mended == "孩子还在医院打针。想把商标过户给朋友!"
    assert evidence.plain == "想把商标转让给朋友"
    assert {cue.word for cue in evidence.cues} == {"商标", "转让"}


def test_traditional_characters_are_read_as_simplified() -> None:
    for text in ("如何辦理商標續展", "申請發明專利", "專利費用減繳"):
        assert not SHIPPED.understand(text).outside_scope
    assert SHIPPED.evidence("商標註冊證書遺失").mended == "商标注册证书遗失"


def test_one_sentence_may_save_the_rest() -> None:
    aside = "昨天带孩子去医院打针，回来高铁晚点。工资还没发！"
    assert SHIPPED.understand(aside).outside_scope
    assert not SHIPPED.understand(aside + "起了个店名想占住，注册下来。").outside_scope


@pytest.mark.parametrize("text", ["今天天气好。明天也好。", "专利。商标。", "没有句号", "专利1.2版", "。。。"])
def test_sentences_are_left_out_only_beside_those_with_words_of_the_field(text: str) -> None:
    assert SHIPPED.evidence(text).plain.strip("。") == text.strip("。")


@pytest.mark.parametrize("items", [[], [ItemText(1, "X", "")]])
def test_a_catalogue_without_words(items: list[ItemText]) -> None:
    u = Understander(items, replace(LEXICON, words=replace(LEXICON.words, cues=())))
    assert u.understand("申请专利").outside_scope
    assert list(u.read("申请专利").scores) == [item.code for item in items]


@given(st.text(st.characters(), max_size=300))
@settings(deadline=None)
def test_any_text(text: str) -> None:
    reading = SHIPPED.read(text)
    scores = [item.score for item in reading.understanding.items]
    assert len(scores) == 0 if reading.understanding.outside_scope else ALWAYS_SHOWN <= len(scores) <= MOST_ITEMS
    assert scores == sorted(scores, reverse=True)
    assert reading == SHIPPED.read(text)
    assert sum(reading.scores.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("text", ["商", "商标" * 25_000, "x" * 50_000, "　" * 50_000])
def test_texts_of_any_length(text: str) -> None:
    assert SHIPPED.understand(text) == SHIPPED.understand(text)


def test_half_of_all_texts_take_less_than_three_milliseconds() -> None:
    def seconds(text: str) -> float:
        began = time.perf_counter()
        SHIPPED.understand(text)
        return time.perf_counter() - began

    assert (
        median(seconds(f"想给第{number}款新产品申请外观专利，两周内能办好吗，怎么弄") for number in range(50)) < 0.003
    )


# --- what is missing -------------------------------------------------------------------------------------------------


def test_everything_missing_and_nothing() -> None:
    assert U.understand("你好").missing == ("what", "right", "goal", "by_when", "contact")
    whole = "希望在3月底前办好注册商标的申请，联系电话13800138000"
    assert U.understand(whole).missing == ()


def test_an_item_for_one_right_tells_the_right() -> None:
    understood = SHIPPED.understand("续展要怎么办")
    assert "right" not in understood.missing


def test_a_question_tells_the_goal() -> None:
    assert "goal" not in gaps("商标到期怎么续", item_known=True, right_known=True)
    assert "goal" in gaps("商标到期", item_known=True, right_known=True)


def test_a_question_about_nothing_leaves_open_what() -> None:
    assert "what" in SHIPPED.understand("我有个知识产权方面的问题").missing
    assert "what" not in SHIPPED.understand("员工的发明算谁的").missing


@pytest.mark.parametrize(
    "text",
    [
        "越快越好,尽快",
        "两周内",
        "30个工作日内",
        "6月15日前",
        "年底之前",
        "下个月展会要用",
        "周一上午",
        "春节前",
        "不急",
        "只剩5天",
    ],
)
def test_a_time_is_told(text: str) -> None:
    assert "by_when" not in gaps(text, item_known=True, right_known=True)


@pytest.mark.parametrize("text", ["专利3件", "月饼商标", "半年没有消息", "过期两个月", "去年3月份申请的", "三年前注册"])
def test_no_time_is_told(text: str) -> None:
    assert "by_when" in gaps(text, item_known=True, right_known=True)


@pytest.mark.parametrize(
    "text",
    [
        "13800138000",
        "138-0013-8000",
        "+86 13800138000",
        "0755-12345678",
        "a.b@example.com",
        "微信:zhipei",
        "qq12345678",
        "联系人是王工",
    ],
)
def test_a_contact_is_told(text: str) -> None:
    assert "contact" not in gaps(text, item_known=True, right_known=True)


@pytest.mark.parametrize("text", ["专利号 202310000000.0", "公司电话打不通", "2013800138000123", "电话是多少"])
def test_no_contact_is_told(text: str) -> None:
    assert "contact" in gaps(text, item_known=True, right_known=True)


# --- the shared data -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not SHARED.is_dir(), reason="shared data absent")
def test_real_questions() -> None:
    needs = json.loads((SHARED / "needs/ip_needs.json").read_text())["needs"]
    outside = json.loads((SHARED / "needs/outside_scope.json").read_text())["questions"]
    understood = [SHIPPED.understand(need["text"]) for need in needs]
    assert not any(result.outside_scope for result in understood)
    for need, result in zip(needs, understood, strict=True):
        if need["items"]:
            assert {item.number for item in result.items[:3]} & set(need["items"]), need["text"]
        else:
            assert result.items[0].number in {30, 31, 32, 33}, need["text"]
    assert sum(SHIPPED.understand(text).outside_scope for text in outside) >= 0.93 * len(outside)


def test_names_alone_lead_to_their_items() -> None:
    for item in shipped_items():
        assert SHIPPED.understand(item.name).items[0].code == item.code


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("怎么给商续期十年", "SZ-2024-17"),
        ("港资公司的利问题问谁", None),
        ("师傅把他的商送标给我，怎么过户", "SZ-2024-16"),
    ],
)
def test_half_a_word_of_the_field_is_enough_where_nothing_else_tells(text: str, item: str | None) -> None:
    found = SHIPPED.understand(text)
    assert not found.outside_scope
    assert item is None or found.items[0].code == item


@pytest.mark.parametrize("text", ["离婚以后商怎么分", "工资里的利怎么算", "做微商的能退货吗", "商"])
def test_half_a_word_says_nothing_beside_everyday_words_or_of_its_own_item(text: str) -> None:
    assert "专利" not in SHIPPED.evidence(text).mended
    assert text == "商" or "商标" not in SHIPPED.evidence(text).mended
