"""The ledger as files: CSV and XLSX from the same tables, and a PDF for print (``printing``). Pure but for the font."""

import asyncio
import io
from collections.abc import Mapping, Sequence
from enum import StrEnum

import xlsxwriter
from msgspec import Struct

from market.catalogue.model import STAGE_NAMES
from market.exporting.tables import BOM, line, safe
from market.ledger import printing
from market.ledger.figures import COUNTS, NAMES, Figures, measures, plain_row
from market.ledger.model import Ledger, ListLine
from market.ledger.periods import Period
from market.ratings.model import LEVEL_NAMES, RatingLevel

Cell = str | int | float | None


class Form(StrEnum):
    """In which form."""

    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"


MEDIA_TYPES: Mapping[Form, str] = {
    Form.CSV: "text/csv; charset=utf-8",
    Form.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Form.PDF: "application/pdf",
}
FIGURES = (*COUNTS, *(f"rated_{level}" for level in range(1, 6)), *measures(Figures()).__struct_fields__)
"""Columns of figures, in their order."""
HEADS = {**NAMES, **{f"rated_{level}": LEVEL_NAMES[RatingLevel(level)] for level in range(1, 6)}, "ratings": "评价条数"}
SHARES = frozenset({"acceptance", "on_time_share"})
DEMO = "演示数据"


class Sheet(Struct, frozen=True):
    """A table: its name, its head, its rows; ``shares``: columns that are shares."""

    name: str
    head: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    shares: frozenset[int] = frozenset()


def file_name(one: Period, form: Form, institution_id: int | None = None) -> str:
    """zhipei-ledger-7-2026Q3.pdf."""
    return f"zhipei-ledger{'' if institution_id is None else f'-{institution_id}'}-{one.code}.{form}"


async def of_institution(ledger: Ledger, one: Period, flags: Sequence[str], form: Form) -> bytes:
    """An institution's ledger; the CSV has a row for each item."""
    if form is Form.PDF:
        return await asyncio.to_thread(printing.of_institution, ledger, one, flags)
    sheets = institution_sheets(ledger, one, flags)
    return csv(sheets[1]) if form is Form.CSV else await asyncio.to_thread(xlsx, sheets)


async def of_list(lines: Sequence[ListLine], one: Period, form: Form) -> bytes:
    """The list of ledgers, a row for each institution."""
    if form is Form.PDF:
        return await asyncio.to_thread(printing.of_list, lines, one)
    sheet = list_sheet(lines, one)
    return csv(sheet) if form is Form.CSV else await asyncio.to_thread(xlsx, [sheet])


def institution_sheets(ledger: Ledger, one: Period, flags: Sequence[str]) -> list[Sheet]:
    """All tables of an institution's ledger: what it is about, by item, by stage, by month, corrections."""
    subject = ledger.institution
    about: list[tuple[Cell, ...]] = [
        ("机构", subject.name),
        ("类别", subject.kind_name),
        ("地区", subject.region_name),
        ("时段", one.name),
        ("状态", f"已封账，{ledger.closed_at:%Y-%m-%d}" if ledger.closed_at else "未封账，数字还会变化"),
        *(("督导", flag) for flag in flags),
        *([("说明", DEMO)] if subject.demo else []),
        *((HEADS[name], value) for name, value in plain_row(ledger.figures).items()),
    ]
    for name, peers in ledger.peers.measures.items():
        if peers:
            about.append((f"同类机构{HEADS[name]}中位数（{peers.count} 家）", peers.middle))
    by_item = [((one_item.item_code, one_item.item_name), one_item.figures) for one_item in ledger.items]
    by_stage = [((STAGE_NAMES[stage],), figures) for stage, figures in ledger.stages.items()]
    by_month = [((month,), figures) for month, figures in ledger.trend.items()]
    item_names = {line.item_code: line.item_name for line in ledger.items} | {"": "全部事项"}
    return [
        Sheet("概要", ("项目", "内容"), about),
        _figures("按事项", ("事项编码", "事项"), by_item),
        _figures("按环节", ("环节",), by_stage),
        _figures("按月", ("月份",), by_month),
        Sheet(
            "更正",
            ("事项", "数字", "封账时", "现在", "相差"),
            [
                (item_names.get(fix.item_code, fix.item_code), fix.name, fix.closed, fix.now, fix.difference)
                for fix in ledger.corrections
            ],
        ),
    ]


def list_sheet(lines: Sequence[ListLine], one: Period) -> Sheet:
    """Institutions with their figures."""
    rows = [
        ((of.name, of.kind_name, of.region_name, "；".join(of.flags), DEMO if of.demo else ""), of.figures)
        for of in lines
    ]
    return _figures(f"服务台账 {one.code}", ("机构", "类别", "地区", "督导规则", "说明"), rows)


def _figures(name: str, head: tuple[str, ...], rows: Sequence[tuple[tuple[str, ...], Figures]]) -> Sheet:
    shares = frozenset(at + len(head) for at, column in enumerate(FIGURES) if column in SHARES)
    told = [(*words, *(plain_row(figures)[column] for column in FIGURES)) for words, figures in rows]
    return Sheet(name, (*head, *(HEADS[column] for column in FIGURES)), told, shares)


def csv(sheet: Sheet) -> bytes:
    """UTF-8 with the mark by which Excel knows it; what a spreadsheet would calculate is made text."""
    rows = [line(sheet.head), *(line(_text(cell) for cell in row) for row in sheet.rows)]
    return (BOM + "".join(rows)).encode()


def _text(cell: Cell) -> str:
    return "" if cell is None else safe(cell) if isinstance(cell, str) else str(cell)


def xlsx(sheets: Sequence[Sheet]) -> bytes:
    """A workbook, a sheet for each table, written row by row; texts are texts, whatever they begin with."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    bold, percent = book.add_format({"bold": True}), book.add_format({"num_format": "0.0%"})
    for sheet in sheets:
        page = book.add_worksheet(sheet.name)
        page.freeze_panes(1, 0)
        page.set_column(0, 0, 24)
        page.set_column(1, len(sheet.head), 12)
        page.write_row(0, 0, sheet.head, bold)
        for at, row in enumerate(sheet.rows, 1):
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    page.write_string(at, column, cell)
                elif cell is not None:
                    page.write_number(at, column, cell, percent if column in sheet.shares else None)
    book.close()
    return out.getvalue()
