"""The words that ship, an installation's own, and what is said of files with mistakes."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.data import language
from market.data.language import LanguageError, LanguageSource
from market.understand_cli import shipped_items, shipped_understander
from matching.phrases import WordFinder
from matching.text import normalise

CUES = language.load_cues()
SYNONYMS = language.load_synonyms()


def write(folder: Path, **files: str) -> Path:
    """`folder` with files: cues, synonyms and examples."""
    for name, text in files.items():
        (folder / (f"{name}.jsonl" if name == "examples" else f"{name}.json")).write_text(text)
    return folder


# --- what ships ------------------------------------------------------------------------------------------------------


def test_the_synonyms_are_many_and_normal() -> None:
    assert len(SYNONYMS) >= 120
    assert all(word == normalise(word) for group in SYNONYMS for word in group)


def test_no_cue_hides_a_heavier_one() -> None:
    """报专利 counts instead of the 专利 inside it: it must tell as much. Everyday words hide on purpose."""
    weights: dict[str, float] = {}
    for cue in CUES:
        weights[cue.word] = max(cue.weight, weights.get(cue.word, -1.0))
    field = {word for word, weight in weights.items() if weight >= 0.3}
    topical = {cue.word for cue in CUES if cue.weight >= 0 and (cue.topics or cue.rights)}
    hidden = [
        (word, inner) for word in topical for inner in field if inner in word and weights[inner] > weights[word] + 0.05
    ]
    assert hidden == []


def test_rewriting_in_plain_words_loses_no_right() -> None:
    finder = WordFinder((cue.word, cue) for cue in CUES)

    def rights(word: str) -> set[str]:
        return {right for cue in finder.find(word) for right in cue.rights}

    assert [(group[0], word) for group in SYNONYMS for word in group if not rights(word) <= rights(group[0])] == []


def test_examples_name_items_of_the_catalogue_and_all_of_them() -> None:
    examples = language.load_examples()
    assert {code for example in examples for code in example.items} == {item.code for item in shipped_items()}
    assert len({example.text for example in examples}) == len(examples)


# --- an installation's own -------------------------------------------------------------------------------------------


def test_an_own_synonym_works_at_once(tmp_path: Path) -> None:
    text = "名下的牌子要过档给表弟"
    own = write(tmp_path, synonyms='{"groups": [["商标转让", "过档"]]}')
    plain, taught = shipped_understander().understand(text), shipped_understander(own).understand(text)
    assert taught.items[0].number == 16
    assert taught.items[0].score > (plain.items[0].score if plain.items else 0) + 0.2


def test_an_own_cue_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    own = write(tmp_path, cues='{"cues": [{"words": "品牌 知保云", "weight": 1, "rights": ["trademark"]}]}')
    words = language.load(own).words
    assert [cue.weight for cue in words.cues if cue.word == "品牌"] == [1.0]
    assert len(words.cues) == len(CUES) + 1
    assert not shipped_understander(own).understand("知保云怎么用").outside_scope


def test_an_own_example_votes(tmp_path: Path) -> None:
    text = "灯塔行动怎么参加"
    own = write(tmp_path, examples=f'{{"text": "{text}", "items": ["SZ-2024-10"]}}\n\n{{"text": "晒", "items": ["X"]}}')
    assert shipped_understander(own).read(text).scores["SZ-2024-10"] > 0.5
    assert shipped_understander().read(text).scores["SZ-2024-10"] < 0.5


def test_own_groups_join_the_shipped_ones_they_meet(tmp_path: Path) -> None:
    own = write(tmp_path, synonyms='{"groups": [["过档", "商标过户"], ["新甲", "新乙"]]}')
    groups = language.load(own).words.synonyms
    assert next(group for group in groups if "过档" in group)[0] == "商标转让"
    assert ("新甲", "新乙") in groups
    assert len(groups) == len(SYNONYMS) + 1


def test_no_folder_and_an_empty_one_add_nothing(tmp_path: Path) -> None:
    assert language.load(tmp_path / "none") == language.load(tmp_path) == language.load()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"cues": '{"cues": [\n{"words": "甲", "weight": 3}]}'},
            ["cues.json 第 2 行：weight 要在 -1 到 1 之间（weight）。"],
        ),
        ({"cues": '{"cues": [\n\n{"word": "甲"}]}'}, ["cues.json 第 3 行：不认识「word」这一项。"]),
        ({"cues": '{"cues": [{"words": " "}]}'}, ["cues.json 第 1 行：words 里没有词。"]),
        (
            {"cues": '{"cues": [{"words": "甲", "rights": ["x"]}]}'},
            ["cues.json 第 1 行：没有「x」这个代码（rights[0]）。"],
        ),
        (
            {"cues": '{"cues": [\n{"words": "甲"\n{"words": "乙"}]}'},
            ["cues.json 第 3 行：第 1 个字符附近不是合格的 JSON"],
        ),
        ({"cues": "[]"}, ["cues.json 第 1 行：应当是花括号，写的是方括号列表。"]),
        ({"cues": "[" * 100_000}, ["cues.json 第 1 行：括号套得太深。"]),
        ({"synonyms": '{"groups": [["甲", "甲"]]}'}, ["synonyms.json 第 1 行：一组至少要有两个不同的词。"]),
        ({"synonyms": '{"groups": [["甲", "乙", " "]]}'}, ["synonyms.json 第 1 行：有一个词是空的。"]),
        (
            {"synonyms": '{"groups": [["甲", "乙"],\n["丙", "乙"]]}'},
            ["synonyms.json 第 2 行：「乙」在第 1 行已经有了，一个词只能在一组里。"],
        ),
        (
            {"synonyms": '{"groups": [["专利", "商标"]]}'},
            ["synonyms.json：「专利」一组把自带的「专利」与「商标」连在了一起"],
        ),
        (
            {"examples": '\n{"text": "甲"}'},
            ["examples.jsonl 第 2 行：要写上 items；与知识产权无关的，写 outside_scope。"],
        ),
        ({"examples": '{"text": 1}'}, ["examples.jsonl 第 1 行：应当是文字，写的是数（text）。"]),
        ({"examples": '{"text": "", "items": ["甲"]}'}, ["examples.jsonl 第 1 行：text 是空的。"]),
        (
            {"cues": '{"cues": [{"words": 1}, {"words": ""}]}', "examples": "no"},
            ["cues.json 第 1 行：words", "cues.json 第 1 行：应当是文字", "examples.jsonl 第 1 行：不是合格的 JSON"],
        ),
    ],
)
def test_mistakes_are_said_by_line(tmp_path: Path, files: dict[str, str], said: list[str]) -> None:
    with pytest.raises(LanguageError) as raised:
        language.load(write(tmp_path, **files))
    assert len(raised.value.lines) == len(said)
    for line, beginning in zip(raised.value.lines, said, strict=True):
        assert line.startswith(beginning)


def test_other_encodings_and_folders_are_mistakes_too(tmp_path: Path) -> None:
    (tmp_path / "cues.json").write_bytes('{"about": "\n商标"}'.encode("gb18030"))
    (tmp_path / "synonyms.json").mkdir()
    with pytest.raises(LanguageError) as raised:
        language.load(tmp_path)
    assert raised.value.lines[0] == "cues.json 第 2 行：不是 UTF-8 编码，请用编辑器另存为 UTF-8。"
    assert raised.value.lines[1].startswith("synonyms.json：读不了")


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "cues.json").write_bytes('\ufeff{"cues": [{"words": "甲乙"}]}'.encode())
    assert language.load(tmp_path).words.cues[-1].word == "甲乙"


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(deadline=None)
def test_any_bytes_are_read_or_refused_in_words(raw: bytes) -> None:
    for name, read in language.OWN_FILES.items():
        assert all(line.startswith(f"{name} 第 ") for line in _mistakes(read, raw, name))


def _mistakes(read: Callable[[bytes, str], object], raw: bytes, name: str) -> tuple[str, ...]:
    try:
        read(raw, name)
    except LanguageError as error:
        return error.lines
    return ()


def test_changed_files_are_read_anew_and_bad_ones_change_nothing(tmp_path: Path) -> None:
    source = LanguageSource(tmp_path)
    shipped = source.get()
    assert source.get() is shipped

    write(tmp_path, synonyms='{"groups": [["商标转让", "过档"]]}')
    taught = source.get()
    assert taught.words.synonyms != shipped.words.synonyms

    write(tmp_path, synonyms="{")
    assert source.get() is taught

    (tmp_path / "synonyms.json").unlink()
    assert source.get() == shipped


def test_files_that_are_bad_from_the_start_leave_the_shipped_words(tmp_path: Path) -> None:
    source = LanguageSource(write(tmp_path, cues="nope"))
    assert source.get() == language.load()


def test_a_change_of_the_same_length_is_seen(tmp_path: Path) -> None:
    write(tmp_path, synonyms='{"groups": [["甲乙", "丙丁"]]}')
    before = LanguageSource(tmp_path).stamp()
    write(tmp_path, synonyms='{"groups": [["甲乙", "丙戊"]]}')
    os.utime(tmp_path / "synonyms.json", ns=(1, 1))
    assert LanguageSource(tmp_path).stamp() != before
