"""``zhipei words``."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from market.cli import main


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "synonyms.json").write_text('{"groups": [["商标转让", "过档"]]}')
    (tmp_path / "cues.json").write_text('{"cues": [{"words": "知保云", "weight": 1, "topics": ["ip"]}]}')
    (tmp_path / "examples.jsonl").write_text('{"text": "晒谷场", "outside_scope": true}')
    return tmp_path


def run(own: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["words", *arguments], env={"ZHIPEI_LANGUAGE_DIR": str(own)})


def test_check_counts_what_is_good(own: Path) -> None:
    result = run(own, "check")
    assert result.exit_code == 0
    assert [line.rsplit("：", 1)[1] for line in result.stdout.splitlines()] == ["没有错误，共 1 项"] * 3


def test_check_says_what_is_wrong_and_where(own: Path) -> None:
    (own / "synonyms.json").write_text('{"groups": [\n["过档"]]}')
    for command in (["words", "check"], ["words", "show"], ["words", "try", "商标"], ["understand", "商标"]):
        result = CliRunner().invoke(main, command, env={"ZHIPEI_LANGUAGE_DIR": str(own)})
        assert result.exit_code == 1
        assert "synonyms.json 第 2 行：一组至少要有两个不同的词。" in result.stderr
    assert run(own, "check", str(own / "elsewhere")).exit_code == 0


def test_check_without_own_words_says_where_they_go(tmp_path: Path) -> None:
    result = run(tmp_path, "check")
    assert result.exit_code == 0
    assert str(tmp_path) in result.stdout


def test_show_lists_what_is_own(own: Path) -> None:
    listed = run(own, "show").stdout
    assert "词「知保云」：权重 1，主题 ip" in listed
    assert "过档" in listed
    assert "例句：晒谷场 → 范围之外" in listed
    assert "专利许可" not in listed


def test_show_tells_of_one_word(own: Path) -> None:
    assert run(own, "show", "知保云").stdout.endswith("来自：自己的 cues.json\n")
    assert "来自：自带的词" in run(own, "show", "专利").stdout
    assert "同义词：商标转让 = " in run(own, "show", "过档").stdout
    assert run(own, "show", "没有这个词").stdout == "「没有这个词」不是已知的词。\n"


def test_try_shows_the_way_to_the_result(own: Path) -> None:
    said = run(own, "try", "名下的牌子要过档，专力也要").stdout
    assert "改正错字：名下的牌子要过档,专利也要" in said
    assert "换成通用说法：名下的品牌要商标转让,专利也要" in said
    assert "词「专利」：权重 1，专利" in said
    assert "没有自己的词时：" in said
    assert "结果：范围之外" in run(own, "try", "离婚怎么分房子").stdout
