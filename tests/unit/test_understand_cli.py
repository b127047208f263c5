"""``zhipei understand``."""

import json

from click.testing import CliRunner

from market.cli import main


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
