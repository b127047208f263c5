"""Files to rows, and rows to forms: what people hand in, and what they are told."""

import json
from pathlib import Path

import pytest

from market.data import load_regions
from market.importing import files, rows
from market.importing.columns import COLUMNS, columns_of, template
from market.importing.model import SHOWN, ImportFailed, Kind, Sheet

INSTITUTION = "机构名称,类型,统一社会信用代码,地区,地址,电话,简介\n"


def refusal(raw: bytes) -> str:
    with pytest.raises(ImportFailed) as refused:
        files.parse(raw, "一览.csv")
    return refused.value.detail


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_csv_is_read_in_each_encoding_excel_writes(encoding: str) -> None:
    sheet = files.parse("标题,服务地区\r\n专利检索,深圳市\r\n\r\n,\r\n".encode(encoding), "x.csv")
    assert sheet.header == ("标题", "服务地区")
    assert [(row.place, row.cells) for row in sheet.rows] == [("第 2 行", {"标题": "专利检索", "服务地区": "深圳市"})]


def test_places_are_physical_lines() -> None:
    sheet = files.parse('a,b\n"第一\n第二\n第三",1\n\nx,2\n'.encode(), "x.csv")
    assert [row.place for row in sheet.rows] == ["第 2 行", "第 6 行"]


def test_json_is_told_by_its_content() -> None:
    sheet = files.parse(json.dumps([{"a": 1, "b": ["x", 2]}, {"c": None}]).encode(), "x.csv")
    assert sheet.header == ("a", "b", "c")
    assert [(row.place, row.cells) for row in sheet.rows] == [
        ("第 1 条", {"a": "1", "b": ("x", "2")}),
        ("第 2 条", {"c": ""}),
    ]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "文件是空的"),
        (b"\xef\xbb\xbf \n", "文件是空的"),
        (b"a,b\n", "只有表头"),
        (b"[]", "没有一条记录"),
        (b"PK\x03\x04rest", "另存为"),
        (b"a,b\n1,\x00\n", "第 2 行：这里有空字符"),
        (b"a,b\nok,\xff\xff\n", "第 2 行：文字编码"),
        (b'a,b\n1,"open\n2,3\n', "第 2 行：从这一行起读不下去"),
        (b'a,b\n1,"x"y\n', "第 2 行：从这一行起读不下去"),
        (b"a,b\n" + b"x" * 200_000 + b",1\n", "第 2 行：从这一行起读不下去"),
        (b"a,b\n" + b"x" * 30_000 + b",1\n", "第 2 行「a」：这一格有 30000 个字"),
        (b"a,b\n1,2,3\n1,2,\n", "第 2 行：这一行有 3 列，表头只有 2 列"),
        (b"a,,b\n1,2,3\n", "表头第 2 列没有名称"),
        (b"a,b,a\n1,2,3\n", "重复的列：a"),
        (b'[\n {"a": 1},\n {"a": }\n]', "第 3 行第 8 个字符"),
        (b'{"a": 1}', "最外层应是列表"),
        (b"[1]", "第 1 条：每条记录应是一个对象"),
        (b'[{"a": {"b": 1}, "c": true}]', "第 1 条「a」：应是文字、数字，或文字的列表"),
        (b'[{"a": "\\u0000"}]', "第 1 条「a」：这里有空字符"),
        (b"[" * 100_000, "嵌套太深"),
        (b'[{"a": ' + b"9" * 5_000 + b"}]", "数字太长"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_what_to_do(raw: bytes, told: str) -> None:
    assert told in refusal(raw)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    for path, told in ((tmp_path, "文件夹"), (tmp_path / "none.csv", "文件打不开")):
        with pytest.raises(ImportFailed, match=told):
            files.read(path)


@pytest.mark.parametrize("kind", Kind)
def test_the_template_tells_its_kind(kind: Kind) -> None:
    sheet = files.parse(template(kind).encode(), "x.csv")
    assert columns_of(sheet, None)[0] is kind
    assert columns_of(sheet, kind)[1].keys() == set(sheet.header)


@pytest.mark.parametrize("kind", Kind)
def test_no_name_means_two_columns(kind: Kind) -> None:
    names = [name for column in COLUMNS[kind] for name in (column.field, *column.names)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("header", "kind", "told"),
    [
        (("颜色", "大小"), None, "请用 --kind 说明"),
        (("颜色", "大小"), Kind.ITEMS, "不认识这些列：颜色、大小"),
        (("颜色", "大小"), Kind.ITEMS, "缺少必填的列：服务事项编码（code）"),
        (("标题", "title"), Kind.OFFERINGS, "这些列出现了两次（中英文名称同义）：标题（title）"),
    ],
)
def test_columns_that_do_not_fit(header: tuple[str, ...], kind: Kind | None, told: str) -> None:
    with pytest.raises(ImportFailed) as refused:
        columns_of(Sheet(header, ()), kind)
    assert told in refused.value.detail


def test_regions_go_by_code_full_name_or_a_name_of_their_own() -> None:
    words = rows.region_words(load_regions())
    assert words["440305"] == words["广东省深圳市南山区"] == words["深圳市南山区"] == ("440305",)
    assert words["深圳市"] == ("440300",)
    assert words["全国"] == ("000000",)
    assert set(words["南山区"]) == {"440305", "230404"}
    assert words["北京市"] == ("110000",)
    assert "市辖区" not in words


def convert(text: str) -> str:
    """What is wrong with a file of institutions."""
    sheet = files.parse((INSTITUTION + text).encode(), "x.csv")
    kind, meant = columns_of(sheet, None)
    words = rows.fixed_words() | {
        "region": rows.region_words(load_regions()),
        "kind": rows.named_words({"tisc": "技术与创新支持中心（TISC）"}),
    }
    with pytest.raises(ImportFailed) as refused:
        rows.convert(kind, sheet.rows, meant, rows.Vocabularies(words, {}), lambda _: None)
    return refused.value.detail


def test_everything_wrong_is_told_at_once() -> None:
    told = convert(
        "甲,外星,12440300MA0EXAMP1X,南山区,路 1 号,0755-1,好\n"
        "乙机构,tisc,12440300MA0EXAMP1M,440305,路 2 号,0755-000,好\n"
        "丙机构,tisc,12440300MA0EXAMP1M,440305,,0755-000,好\n"
    )
    assert told.splitlines() == [
        "第 2 行「机构名称」（name）：至少要 2 个字。",
        "第 2 行「机构类型」（kind）：没有「外星」，请从这些里选：技术与创新支持中心（TISC）。",
        "第 2 行「所在地区」（region_code）：「南山区」有 2 个，请写全称或代码（230404、440305）。",
        "第 4 行「地址」（address）：请填写这一项。",
    ]


def test_a_wrong_code_and_a_repeated_row_are_told() -> None:
    good = "tisc,12440300MA0EXAMP1M,440305,路 2 号,0755-000,好\n"
    told = convert("甲机构,tisc,12440300MA0EXAMP1X,440305,路 1 号,0755-000,好\n乙机构," + good + "丙机构," + good)
    assert "第 2 行「统一社会信用代码」（uscc）：统一社会信用代码第 18 位校验不符" in told
    assert "第 4 行「统一社会信用代码」（uscc）：与第 3 行重复" in told


def test_problems_are_counted_past_the_first_two_hundred() -> None:
    told = convert("甲机构,外星,12440300MA0EXAMP1M,440305,路 1 号,0755-000,好\n" * 300).splitlines()
    assert len(told) == SHOWN + 1
    assert told[-1] == "另有 100 处没有列出，请先改好以上各处。"
