"""Unified social credit codes: vectors, generated codes, and slips of the keyboard."""

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.data import load_uscc
from market.enterprises.uscc import UsccError, check_character, generate, normalise, validate

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "uscc" / "uscc.json"
FACTS = load_uscc()
VALID = ["91350100M000100Y43", "91110108551385082Q", "91110000600037341L", "12440600MB2C07549J"]
REGISTRATIONS = [(code, kind) for code, department in FACTS.departments.items() for kind in department.kinds or "1"]

codes = st.builds(
    lambda seed, registration: generate(
        Random(seed), department=registration[0], kind=registration[1], region="440305"
    ),
    st.integers(0, 2**32),
    st.sampled_from(REGISTRATIONS),
)


@pytest.mark.parametrize("code", VALID)
def test_genuine_codes(code: str) -> None:
    assert validate(code) == code


def test_remainder_zero_gives_the_character_0() -> None:
    assert check_character("91350100M00000000") == "0"
    assert validate("91350100M000000000")


@pytest.mark.skipif(not SHARED.exists(), reason="the shared vectors are not here")
def test_shared_vectors() -> None:
    vectors = json.loads(SHARED.read_text(encoding="utf-8"))["test_vectors"]
    for code in vectors["valid"]:
        assert validate(code) == code
    for code in vectors["invalid"]:
        with pytest.raises(UsccError):
            validate(code)


@given(codes)
def test_generated_codes_of_every_department(code: str) -> None:
    assert validate(code) == code


@pytest.mark.parametrize("department", ["A", "N", "Y"])
def test_departments_that_are_letters(department: str) -> None:
    code = generate(Random(7), department=department, kind="1", region="100000")
    assert code.startswith(department + "1100000")
    assert validate(code) == code


@given(codes, st.integers(0, 17), st.sampled_from(FACTS.alphabet))
def test_one_wrong_character_is_always_found(code: str, index: int, wrong: str) -> None:
    typed = code[:index] + wrong + code[index + 1 :]
    if typed == code:
        assert validate(typed) == code
    else:
        with pytest.raises(UsccError):
            validate(typed)


@pytest.mark.parametrize(
    "typed",
    [
        " 91110108551385082q ",
        "９１１１０１０８５５１３８５０８２Ｑ",
        "91110108 551385082 Q",
        "9111010855\u200b1385082Q\r\n",
        "91110108\u30005513850\t82Q",
    ],
)
def test_what_people_paste(typed: str) -> None:
    assert normalise(typed) == validate(typed) == "91110108551385082Q"


@pytest.mark.parametrize(
    ("typed", "position", "words"),
    [
        ("", None, "请填写"),
        ("　", None, "请填写"),
        ("440301103097413", None, "现在是 15 位"),
        ("91110108551385082QQ", None, "现在是 19 位"),
        ("9111O108551385082Q", 5, "数字 0"),
        ("91350100M000100V43", 16, "字母 U 或 Y"),
        ("9111-108551385082Q", 5, "第 5 位只能是"),
        ("公1110108551385082Q", 1, "第 1 位只能是"),
        ("B1110108551385082Q", 1, "以 9 开头"),
        ("97110108551385082Q", 2, "1（企业）、2（个体工商户）"),
        ("9111A108551385082Q", 5, "应为数字"),
        ("91110108551385083Q", 17, "第 9 至 17 位"),
        ("91110108551385082R", 18, "统一社会信用代码第 18 位校验不符，请核对是否录错一位。"),
    ],
)
def test_says_where_and_what(typed: str, position: int | None, words: str) -> None:
    with pytest.raises(UsccError, match=words) as caught:
        validate(typed)
    assert caught.value.position == position


@given(st.text(max_size=40))
def test_any_text_is_answered_with_a_sentence(text: str) -> None:
    with pytest.raises(UsccError, match=r"。$"):
        validate(text)
