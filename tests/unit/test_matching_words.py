"""Slips of typing, topics, and votes of known texts."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.data import language
from matching.kin import Kin
from matching.spelling import Speller
from matching.topics import Topics
from matching.types import Cue

SOUNDS = language.load_sounds()
SPELLER = Speller(
    SOUNDS,
    ["册删", "标示"],
    ["专利", "商标", "注册", "注册商标", "转让", "补办", "撤回", "变更"],
    ["招标", "公开"],
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("申请专力", "申请专利"),
        ("注册商镖", "注册商标"),
        ("申请测回", "申请撤回"),  # ce and che sound alike to many
        ("变根地址", "变更地址"),  # as do gen and geng
        ("我的利专", "我的专利"),
        ("册注商标", "注册商标"),
        ("注删商标", "注册商标"),  # drawn alike
        ("申请 zhuan li", "申请 专利"),
        ("zhucezhuanli多少钱", "注册专利多少钱"),
        ("my zhuanli, please", "my 专利, please"),
        ("我妈的商要标转给我", "我妈的要商标转给我"),
        ("要证明专这利还活着", "要证明这专利还活着"),
    ],
)
def test_slips_are_mended(written: str, meant: str) -> None:
    assert SPELLER.mend(written) == meant


@pytest.mark.parametrize(
    "text",
    [
        "招标商",
        "老板不办",
        "砖里",
        "专业",
        "商标转让",
        "",
        "abc 123 🙂",
        "厂商示范",
        "z",
        "change li",
        "专业利润",
        "商业投标",
    ],
)
def test_what_is_right_or_far_off_stays(text: str) -> None:
    assert SPELLER.mend(text) == text


@given(st.text(st.sampled_from("专转利力商伤标镖册注招 azhun"), max_size=40))
def test_mending_keeps_the_known_words_and_mends_once(text: str) -> None:
    mended = SPELLER.mend(text)
    assert mended.count("专利") >= text.count("专利")
    if not any(char.isascii() for char in text):
        assert len(mended) == len(text)


@pytest.mark.parametrize("text", ["zhuanli" * 700, "a " * 2_500, "zhuan li " * 500, "zhuanl" * 800])
def test_long_runs_of_letters_take_no_long_time(text: str) -> None:
    began = time.process_time()
    SPELLER.mend(text)
    assert time.process_time() - began < 1.0


def test_topics_join_words_that_mean_the_same() -> None:
    renew, reissue = Cue("续展", 1.0, topics=("renew",)), Cue("补发", 0.0, topics=("reissue",))
    topics = Topics.fit([[renew], [reissue]], [[], [[reissue], [renew]]])
    fit = topics.compare([Cue("快过期", 0.0, topics=("renew", "no item has it"))])
    assert fit.shared[0] > fit.shared[1]
    assert fit.unmet.tolist() == [0.0, 0.0]
    nothing = topics.compare([])
    assert nothing.shared.tolist() == nothing.unmet.tolist() == [0.0, 0.0]


def test_each_known_text_votes_for_its_thing() -> None:
    kin = Kin.fit([("商标到期", 0), ("商标续期", 0), ("补发证书", 1), ("", 2)], 3)
    votes = kin.votes("商标快到期")
    assert votes.argmax() == 0
    assert kin.votes("🙂").tolist() == [0.0, 0.0, 0.0]
    assert Kin.fit([], 2).votes("商标").tolist() == [0.0, 0.0]
    assert np.isfinite(votes).all()


def test_language_is_well_formed() -> None:
    cues = language.load_cues()
    assert all(-1 <= cue.weight <= 1 for cue in cues)
    assert {SOUNDS[char] for char in "专砖转"} == {"zhuan"}
    assert all(sound.isascii() and sound.islower() and len(char) == 1 for char, sound in SOUNDS.items())
