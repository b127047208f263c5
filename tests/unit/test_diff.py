"""Differences between two texts, piece by piece."""

import random
import time

from hypothesis import given
from hypothesis import strategies as st

from market.diff import MOST_TOKENS, FieldDiff, Piece, compare, marked


def shown(pieces: tuple[Piece, ...]) -> str:
    return "".join(f"[{piece.text}]" if piece.changed else piece.text for piece in pieces)


def both(before: str, after: str) -> tuple[str, str]:
    left, right = marked(before, after)
    return shown(left), shown(right)


def test_what_both_have_is_not_marked() -> None:
    assert both("5 个工作日内办结，携带营业执照", "3 个工作日内办结，携带身份证") == (
        "[5] 个工作日内办结，携带[营业执照]",
        "[3] 个工作日内办结，携带[身份证]",
    )


def test_numbers_and_latin_words_are_whole() -> None:
    assert both("发明 1,200 元，PCT 申请", "发明 1,250 元，PPH 申请") == (
        "发明 [1,200] 元，[PCT] 申请",
        "发明 [1,250] 元，[PPH] 申请",
    )


def test_an_island_of_one_character_belongs_to_the_change() -> None:
    assert both("企业的申请", "个人的备案") == ("[企业的申请]", "[个人的备案]")


def test_lines_stay_apart() -> None:
    assert both("甲\n乙", "甲\n丙") == ("甲\n[乙]", "甲\n[丙]")


def test_only_fields_that_differ_are_told_in_the_order_of_the_new_one() -> None:
    told = compare({"a": "1", "b": "2", "c": "3"}, {"c": "4", "b": "2", "a": "9"})
    assert [one.label for one in told] == ["c", "a"]
    assert told[0] == FieldDiff("c", (Piece("3", changed=True),), (Piece("4", changed=True),))


@given(st.text(max_size=60), st.text(max_size=60))
def test_nothing_is_lost_or_added(before: str, after: str) -> None:
    left, right = marked(before, after)
    assert "".join(piece.text for piece in left) == before
    assert "".join(piece.text for piece in right) == after
    assert before != after or not any(piece.changed for piece in (*left, *right))


def test_long_texts_are_compared_by_lines_and_endless_ones_not_at_all() -> None:
    line = "很长的一行" * 60
    old = "\n".join([line] * 20 + ["旧"])
    new = "\n".join([line] * 20 + ["新"])
    assert shown(marked(old, new)[1]).endswith(f"{line}\n[新]")
    rng = random.Random(1)
    noise = ["".join(rng.choice("的是\n") for _ in range(50 * MOST_TOKENS)) for _ in range(2)]
    started = time.perf_counter()
    assert shown(marked(*noise)[0]) == f"[{noise[0]}]"
    assert time.perf_counter() - started < 2
