"""Which passwords are good enough: length, and more than well-known pieces in a row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.accounts.passwords import MOST_BYTES, common, problem, weight


@pytest.mark.parametrize(
    "password",
    [
        "password12",
        "Password2026!",
        "qwertyuiop",
        "1qaz2wsx3edc",
        "1234567890",
        "0987654321",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "woaini1314",
        "WoAiNi1314520",
        "5201314520",
        "woaini5201314",
        "zhongguo2026",
        "zhuanli123456",
        "iloveyou1314",
        "shenzhen2025!",
        "zhipei-demo",
    ],
)
def test_what_is_guessed_first_is_refused(password: str) -> None:
    assert "很常见" in (problem(password, 10) or "")


@pytest.mark.parametrize(
    "password",
    [
        "correct-horse-battery",
        "lamp-otter-ninety-rain",
        "tk7Qm2vLx9",
        "春眠不觉晓处处闻啼鸟",
        "我家的猫叫三饼和红中",
        "x9$Lp!2kQ@",
    ],
)
def test_what_is_hard_to_guess_passes_whatever_it_is_made_of(password: str) -> None:
    assert problem(password, 10, ("wanglei", "王磊", "深圳甲科技有限公司")) is None


def test_names_others_know_are_refused_inside() -> None:
    about = ("wanglei", "王小磊", "深圳甲科技有限公司", "0755-26001234")
    for password in ("otter-WangLei-rain", "我是王小磊呀我是谁", "lamp 0755-26001234"):
        assert "不要含" in (problem(password, 8, about) or "")
    assert problem("otter-lamp-rain", 10, ("ot", "")) is None, "too short to matter"


def test_length_is_counted_in_characters_and_bounded_in_bytes() -> None:
    assert "还差 1 个" in (problem("tk7Qm2vLx", 10) or "")
    assert problem("tk7Qm2vLx9", 10) is None
    assert "太长" in (problem("春夏秋冬" * 17, 10) or "")
    assert len(("春" * 66).encode()) <= MOST_BYTES


@given(st.text(max_size=70))
def test_a_verdict_comes_for_anything(password: str) -> None:
    assert 0 <= weight(password.lower()) <= len(password.lower()) + 1
    problem(password, 10, (password,))


def test_the_list_is_as_described() -> None:
    words = common()
    assert 15_000 < len(words) < 30_000
    assert all(word == word.lower() and len(word) >= 4 for word in words)
    assert {"woaini1314", "5201314", "password", "iloveyou", "a123456789"} <= words
