"""A CSV or JSON file as rows of text. Knows nothing of what the rows mean."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any, Never

from market.i18n import _, _n
from market.importing.model import Cell, ImportFailed, Problem, Row, Sheet

CELL_LIMIT = 20_000
"""Characters of one cell; more is a slip, such as a quotation mark that never closes."""
WORKBOOK = b"PK\x03\x04"
BLANK = " \t\r\u3000"
"""What may stand around a cell. A line break at its end is kept: by it an export says that the cell is one text."""
FORMULA = re.compile(r"'+[=+\-@\t\r]")
"""What an export writes where a spreadsheet would see a formula."""


def read(path: Path) -> Sheet:
    """The file's rows.

    Raises:
        ImportFailed: it cannot be read, or is no CSV or JSON; with the line where reading ended.
    """
    if path.is_dir():
        _refuse(path.name, _("这是一个文件夹，请给出文件夹里的 CSV 或 JSON 文件。"))
    try:
        raw = path.read_bytes()
    except OSError as error:
        _refuse(path.name, _("文件打不开（{why}），请检查路径和权限。", why=error.strerror))
    return parse(raw, path.name)


def parse(raw: bytes, name: str) -> Sheet:
    """The rows in ``raw``; what begins like JSON is JSON, whatever the file's ``name`` ends in.

    Raises:
        ImportFailed: as ``read``.
    """
    text = decode(raw, name)
    if not text.strip():
        _refuse(name, _("文件是空的，请检查是否保存成功。"))
    return _json(text, name) if text.lstrip()[0] in "[{" else _csv(text, name)


def decode(raw: bytes, name: str) -> str:
    """The text of a file, in UTF-8 or as Excel writes it in China.

    Raises:
        ImportFailed: it is no text.
    """
    if raw.startswith(WORKBOOK):
        _refuse(name, _("这是 Excel 工作簿。请在 Excel 中「另存为」，类型选「CSV UTF-8（逗号分隔）」，再导入。"))
    if (at := raw.find(0)) >= 0:
        _refuse(_line(raw[:at].count(b"\n") + 1), _("这里有空字符（NUL），文件可能已损坏，请重新保存为 CSV UTF-8。"))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = _line(raw[: error.start].count(b"\n") + 1)
    try:
        return raw.decode("gb18030").removeprefix("\ufeff")  # what Excel writes as plain CSV in China
    except UnicodeDecodeError:
        _refuse(line, _("文字编码既不是 UTF-8 也不是 GB18030，请重新保存为 CSV UTF-8。"))


def _csv(text: str, name: str) -> Sheet:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: tuple[str, ...] = ()
    rows: list[Row] = []
    problems: list[Problem] = []
    line = 1
    try:
        for record in reader:
            cells = [_plain(cell) for cell in record]
            place, line = _line(line), reader.line_num + 1
            if not any(cell.strip() for cell in cells):  # Excel writes such rows below a table
                continue
            if not header:
                header = _header([cell.strip() for cell in cells], place)
            elif len(cells) > len(header) and any(cells[len(header) :]):
                what = _n(
                    "这一行有 {n} 列，表头只有 {most} 列；含逗号的内容请用英文双引号括起来。",
                    len(cells),
                    most=len(header),
                )
                problems.append(Problem(place, "", what))
            else:
                rows.append(Row(place, dict(zip(header, cells, strict=False))))
    except csv.Error:
        _refuse(_line(line), _("从这一行起读不下去：英文双引号不成对，或者一格的内容太长。请检查引号。"))
    return _sheet(header, rows, problems, name)


def _plain(cell: str) -> str:
    """The cell without blanks around it, and without the mark that keeps it from being a formula."""
    cell = cell.strip(BLANK)
    return cell[1:] if FORMULA.match(cell) else cell


def _json(text: str, name: str) -> Sheet:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        _refuse(
            _("第 {line} 行第 {column} 个字符", line=error.lineno, column=error.colno),
            _("这里不合 JSON 的写法，请检查引号、逗号和括号。"),
        )
    except (ValueError, RecursionError):
        _refuse(name, _("JSON 嵌套太深或数字太长，请检查内容。"))
    if not isinstance(value, list):
        _refuse(name, _("JSON 最外层应是列表：[{…}, {…}]，每条记录一个对象。"))
    rows: list[Row] = []
    problems: list[Problem] = []
    for number, record in enumerate(value, start=1):
        place = _("第 {n} 条", n=number)
        if not isinstance(record, dict):
            problems.append(Problem(place, "", _("每条记录应是一个对象：{…}。")))
            continue
        cells = {key: _cell(given) for key, given in record.items()}
        wrong = [key for key, cell in cells.items() if cell is None]
        problems += [Problem(place, _("「{name}」", name=key), _("应是文字、数字，或文字的列表。")) for key in wrong]
        rows.append(Row(place, {key: cell for key, cell in cells.items() if cell is not None}))
    header = tuple(dict.fromkeys(key for row in rows for key in row.cells))
    return _sheet(header, rows, problems, name)


def _cell(given: Any) -> Cell | None:
    """A JSON value as text; None where a table could not hold it."""
    match given:
        case None:
            return ""
        case bool() | dict():
            return None
        case list():
            cells = [_cell(one) for one in given]
            texts = tuple(cell for cell in cells if isinstance(cell, str))
            return texts if len(texts) == len(cells) else None
        case _:
            return str(given).strip()


def _header(cells: list[str], place: str) -> tuple[str, ...]:
    while not cells[-1]:
        cells.pop()
    if "" in cells:
        _refuse(place, _("表头第 {n} 列没有名称，请补上，或删去这一列。", n=cells.index("") + 1))
    if twice := sorted({cell for cell in cells if cells.count(cell) > 1}):
        _refuse(place, _("表头中重复的列：{columns}。每列只能出现一次。", columns=_("、").join(twice)))
    return tuple(cells)


def _sheet(header: tuple[str, ...], rows: list[Row], problems: list[Problem], name: str) -> Sheet:
    if not rows and not problems:
        problems.append(Problem(name, "", _("只有表头，没有内容，请至少填写一行。") if header else _("没有一条记录。")))
    for row in rows:
        problems += _unfit(row)
    if problems:
        raise ImportFailed(problems)
    return Sheet(header, tuple(rows))


def _unfit(row: Row) -> list[Problem]:
    problems = []
    for column, cell in row.cells.items():
        text = cell if isinstance(cell, str) else "".join(cell)
        if len(text) > CELL_LIMIT:
            what = _("这一格有 {n} 个字，最多 {most} 个字；请检查英文双引号是否成对。", n=len(text), most=CELL_LIMIT)
            problems.append(Problem(row.place, _("「{name}」", name=column), what))
        if "\0" in text:
            problems.append(Problem(row.place, _("「{name}」", name=column), _("这里有空字符（NUL），请删去。")))
    return problems


def _line(number: int) -> str:
    return _("第 {n} 行", n=number)


def _refuse(place: str, message: str) -> Never:
    raise ImportFailed([Problem(place, "", message)])
