"""What is left of personal data once its middle is taken out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market import masking


@pytest.mark.parametrize(
    ("plain", "masked"),
    [("王小明", "王**"), ("李", "李**"), ("Ann Lee", "A**"), ("欧阳修文", "欧**"), ("", "")],
)
def test_names(plain: str, masked: str) -> None:
    assert masking.name(plain) == masked


@pytest.mark.parametrize(
    ("plain", "masked"),
    [
        ("13812345678", "138****5678"),
        ("0755-12345678", "075****5678"),
        ("12345", "****45"),
        ("", ""),
    ],
)
def test_telephones(plain: str, masked: str) -> None:
    assert masking.phone(plain) == masked


@given(st.from_regex(r"[0-9+() -]{5,30}", fullmatch=True))
def test_no_telephone_is_told_whole(plain: str) -> None:
    assert plain not in masking.phone(plain)


@pytest.mark.parametrize(
    ("plain", "masked"), [("wang@example.com", "w***@example.com"), ("a@b.cn", "a***@b.cn"), ("", "")]
)
def test_addresses(plain: str, masked: str) -> None:
    assert masking.mail(plain) == masked


@pytest.mark.parametrize(
    "secret",
    ["13812345678", "138-1234-5678", "138 1234 5678", "+8613812345678", "0755-12345678", "(wang.min@example.com.cn)"],
)
@pytest.mark.parametrize("around", ["请打{}，谢谢", "电话：{}", "{}", "tel {} or so"])
def test_a_text_is_left_without_ways_to_reach_anybody(secret: str, around: str) -> None:
    scrubbed = masking.scrub(around.format(secret), "王敏")
    assert secret.strip("()") not in scrubbed
    assert masking.GONE in scrubbed


@pytest.mark.parametrize(
    "plain",
    [
        "专利号 ZL202310123456.7",
        "2026 年 11 月 27 日前办好",
        "申请号202010123456X",
        "共 1380 件",
        "注册资本 10000000 元",
    ],
)
def test_other_numbers_stay(plain: str) -> None:
    assert masking.scrub(plain, "王敏") == plain


def test_names_go_from_texts() -> None:
    assert masking.scrub("请联系王敏，或王工", "王敏") == "请联系***，或王工"
    assert masking.scrub("王", "王") == "王", "a single character would go from every word"
