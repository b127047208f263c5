"""``zhipei understand``."""

import json

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from market.cli import main
from market.understand_cli import Refused, Result, answers, shipped_understander

SHIPPED = shipped_understander()


def test_one_text() -> None:
    result = CliRunner().invoke(main, ["understand", "商标快到期了怎么办"])
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert set(found) == {"items", "rights", "stages", "outside_scope", "missing"}
    assert set(found["items"][0]) == {"number", "code", "name", "score"}
    assert found["items"][0]["number"] == 17
    assert found["rights"] == ["trademark"]


def test_a_stream_goes_on_after_a_bad_line() -> None:
    lines = ['{"text": "申请专利"}', "nope", '{"txt": 1}', '{"text": 1}', '{"text": "离婚怎么分房子", "id": 7}']
    result = CliRunner().invoke(main, ["understand", "--jsonl"], input="\n".join(lines))
    assert result.exit_code == 1
    first, *bad, last = map(json.loads, result.stdout.splitlines())
    assert first["items"][0]["number"] == 1
    assert all(set(one) == {"error"} for one in bad)
    assert len(bad) == 3
    assert last["outside_scope"]
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["line 2", "line 3", "line 4"]


def test_good_lines_only() -> None:
    result = CliRunner().invoke(main, ["understand", "--jsonl"], input='{"text": ""}\n\n')
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1


def test_neither_or_both_is_a_usage_error() -> None:
    assert CliRunner().invoke(main, ["understand"]).exit_code == 2
    assert CliRunner().invoke(main, ["understand", "x", "--jsonl"]).exit_code == 2


def test_byte_order_marks_and_blank_lines_do_not_count() -> None:
    lines = ["\ufeff" + '{"text": "商标续展"}', "", "  ", "\ufeff" + '{"text": "商标续展"}\r', "\ufeff"]
    result = CliRunner().invoke(main, ["understand", "--jsonl"], input="\n".join(lines))
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first == second


TEXTS = [
    "商",
    "商标续展" * 12_500,
    "",
    " \t",
    "？！……",
    "🙂🙂",
    "商标 trademark ТМ 상표 過期了",
    "\x00",
    "\ufeff专利",
    "\r",
]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_of_every_kind_have_a_result(text: str) -> None:
    assert one(json.dumps({"text": text}).encode()) == one(json.dumps({"text": text}, ensure_ascii=False).encode())
    assert isinstance(one(json.dumps({"text": text}).encode()), Result)


@pytest.mark.parametrize(
    "line",
    [
        b'{"text": null}',
        b'{"text": 5}',
        b'{"text": ["a"]}',
        b"{}",
        b"[]",
        '"商标"'.encode(),
        b"{",
        b"\xff\xfe",
        b"\x00",
    ],
)
def test_a_bad_line_is_an_error_with_its_number(line: bytes) -> None:
    (answer,) = answers(SHIPPED, [b"\n", line])
    assert isinstance(answer, Refused)
    assert answer.error.startswith("line 2: ")


@given(st.lists(st.binary(max_size=30) | st.text().map(lambda text: json.dumps({"text": text}).encode()), max_size=4))
@settings(deadline=None)
def test_one_answer_for_every_line_that_is_not_blank(lines: list[bytes]) -> None:
    told = [line for line in lines if line.removeprefix(b"\xef\xbb\xbf").strip()]
    assert len(list(answers(SHIPPED, lines))) == len(told)


def one(line: bytes) -> Result | Refused:
    (answer,) = answers(SHIPPED, [line])
    return answer
