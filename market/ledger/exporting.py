"""The ledger as files: CSV and XLSX from the same tables, and a PDF for print (``printing``). Pure but for the font."""

import asyncio
import io
from collections.abc import Mapping, Sequence
from enum import StrEnum

import xlsxwriter
from msgspec import Struct

from market.calendars.model import ZONE
from market.catalogue.model import STAGE_NAMES
from market.exporting.tables import BOM, line, safe
from market.i18n import N_, _, _n
from market.ledger import printing
from market.ledger.figures import COUNTS, NAMES, Figures, measures, plain_row
from market.ledger.model import Ledger, ListLine
from market.ledger.periods import Period
from market.ratings.scale import LEVEL_NAMES, RatingLevel

Cell = str | int | float | None


class Form(StrEnum):
    """In which form."""

    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"


MEDIA_TYPES: Mapping[Form, str] = {
    Form.CSV: "text/csv",
    Form.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Form.PDF: "application/pdf",
}
FIGURES = (*COUNTS, *(f"rated_{level}" for level in range(1, 6)), *measures(Figures()).__struct_fields__)
"""Columns of figures, in their order."""
SHARES = frozenset({"acceptance", "on_time_share"})
DEMO = N_("演示数据")


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
    item_names = {line.item_code: line.item_name for line in ledger.items} | {"": _("全部事项")}
    return [
        Sheet(_("概要"), (_("项目"), _("内容")), _about(ledger, one, flags)),
        _figures(
            _("按事项"),
            (_("事项编码"), _("事项")),
            [((line.item_code, line.item_name), line.figures) for line in ledger.items],
        ),
        _figures(_("按环节"), (_("环节"),), [((STAGE_NAMES[stage],), of) for stage, of in ledger.stages.items()]),
        _figures(_("按月"), (_("月份"),), [((month,), of) for month, of in ledger.trend.items()]),
        Sheet(
            _("更正"),
            (_("事项"), _("数字"), _("封账时"), _("现在"), _("相差")),
            [
                (item_names.get(fix.item_code, fix.item_code), fix.name, fix.closed, fix.now, fix.difference)
                for fix in ledger.corrections
            ],
        ),
    ]


def _about(ledger: Ledger, one: Period, flags: Sequence[str]) -> list[tuple[Cell, ...]]:
    subject, closed_at = ledger.institution, ledger.closed_at
    closed = _("{day} 封账。", day=f"{closed_at.astimezone(ZONE):%Y-%m-%d}") if closed_at else _("尚未封账。")
    about: list[tuple[Cell, ...]] = [
        (_("机构"), subject.name),
        (_("机构类别"), subject.kind_name),
        (_("地区"), subject.region_name),
        (_("时段"), one.name),
        (_("封账"), closed),
        *((_("督导"), flag) for flag in flags),
        *([(_("说明"), _(DEMO))] if subject.demo else []),
        *((_head(name), value) for name, value in plain_row(ledger.figures).items()),
    ]
    for name, peers in ledger.peers.measures.items():
        if peers:
            about.append((_n("同类机构中位数（{n} 家）：{figure}", peers.count, figure=_head(name)), peers.middle))
    return about


def list_sheet(lines: Sequence[ListLine], one: Period) -> Sheet:
    """Institutions with their figures."""
    rows = [
        ((of.name, of.kind_name, of.region_name, "；".join(of.flags), _(DEMO) if of.demo else ""), of.figures)
        for of in lines
    ]
    return _figures(one.code, (_("机构"), _("机构类别"), _("地区"), _("督导规则"), _("说明")), rows)


def _figures(name: str, head: tuple[str, ...], rows: Sequence[tuple[tuple[str, ...], Figures]]) -> Sheet:
    shares = frozenset(at + len(head) for at, column in enumerate(FIGURES) if column in SHARES)
    told = [(*words, *(plain_row(figures)[column] for column in FIGURES)) for words, figures in rows]
    return Sheet(name, (*head, *(_head(column) for column in FIGURES)), told, shares)


def _head(figure: str) -> str:
    """The name of a column."""
    if figure.startswith("rated_"):
        return LEVEL_NAMES[RatingLevel(int(figure[-1]))]
    return NAMES[figure]


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
