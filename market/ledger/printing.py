"""Ledgers on paper: A4, plots as vectors, the Chinese font embedded so that every reader shows it."""

import io
from collections.abc import Sequence
from datetime import datetime
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import msgspec
from reportlab.graphics.charts.barcharts import HorizontalBarChart, VerticalBarChart
from reportlab.graphics.charts.legends import Legend
from reportlab.graphics.charts.linecharts import HorizontalLineChart
from reportlab.graphics.shapes import Drawing
from reportlab.graphics.widgets.markers import makeMarker
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import KeepTogether, Paragraph, SimpleDocTemplate, Spacer, TableStyle
from reportlab.platypus import Table as Grid

from market.calendars.model import ZONE
from market.i18n import N_, _, _n
from market.ledger.figures import NAMES
from market.ledger.model import Ledger, ListLine, Subject
from market.ledger.periods import Period
from market.ledger.plots import percent, plots, shown
from market.plots import Option, Plot, Series

FONT = "NotoSansSC"
STATIC = Path(__file__).parents[1] / "static"
INK, SOFT, LINE, ACCENT, SECOND = (
    colors.HexColor(one) for one in ("#1a1d21", "#59616c", "#dfe3e8", "#0b5d7a", "#c58a1a")
)
WIDTH = A4[0] - 36 * mm
TEXT = ParagraphStyle("text", fontName=FONT, fontSize=9.5, leading=15, textColor=INK, wordWrap="CJK")
SMALL = ParagraphStyle("small", TEXT, fontSize=8, leading=11.5)
SOFTER = ParagraphStyle("softer", SMALL, textColor=SOFT)
TITLE = ParagraphStyle("title", TEXT, fontSize=18, leading=26)
HEAD = ParagraphStyle("head", TEXT, fontSize=12.5, leading=19, spaceBefore=10, spaceAfter=4)
BAD = ParagraphStyle("bad", TEXT, textColor=colors.HexColor("#b42318"))
CAVEAT = N_("各数记在事情发生的那个月；办理天数为从受理到第一次送达的工作日。")


@cache
def _font() -> str:
    """The font's name once it is known to reportlab. `make setup` puts its file among the built assets."""
    names = msgspec.json.decode((STATIC / "dist" / "manifest.json").read_bytes(), type=dict[str, str])
    pdfmetrics.registerFont(TTFont(FONT, STATIC / names["NotoSansSC_400Regular.ttf"]))
    return FONT


def of_institution(ledger: Ledger, one: Period, flags: Sequence[str]) -> bytes:
    """An institution's ledger of a period."""
    _font()
    subject, of, peers = ledger.institution, ledger.figures, ledger.peers
    demo = [_("演示数据")] if subject.demo else []
    story: list[Any] = [
        Paragraph(escape(_("{name}：服务台账", name=subject.name)), TITLE),
        Paragraph(escape(" · ".join([one.name, subject.kind_name, _place(subject), *demo])), TEXT),
        Paragraph(f"{_standing(ledger.closed_at, ledger.counted_at)} {_(CAVEAT)}", SOFTER),
        Spacer(1, 6),
        *(Paragraph(escape(_("督导：{name}", name=flag)), BAD) for flag in flags),
        _grid(
            [
                ["", _("本机构"), _n("同类机构（{n} 家）下四分位", peers.count), _("中位数"), _("上四分位")],
                *(
                    [NAMES[name], shown(name, getattr(of, name)), *_quartiles(name, peers.measures[name])]
                    for name in peers.measures
                ),
            ],
            [WIDTH * 0.28, *[WIDTH * 0.18] * 4],
        ),
        *(_plot(plot) for plot in plots(ledger, one)),
        Paragraph(_("按事项"), HEAD),
        _items(ledger),
    ]
    if ledger.corrections:
        rows = [[fix.item_code or _("全部事项"), fix.name, *_three(fix)] for fix in ledger.corrections]
        story += [
            Paragraph(_("封账后的更正"), HEAD),
            _grid([[_("事项"), _("数字"), _("封账时"), _("现在"), _("相差")], *rows]),
        ]
    return _build(story, _("{name}：服务台账", name=f"{subject.name} {one.name}"), A4)


def of_list(lines: Sequence[ListLine], one: Period) -> bytes:
    """The list of ledgers of a period."""
    _font()
    figures = ("offered", "acceptance", "delivered", "on_time_share", "median_days", "satisfaction", "ratings")
    head = [_("机构"), _("地区"), *(NAMES[name] for name in figures), _("督导规则")]
    rows = [
        [line.name, line.region_name, *(shown(name, getattr(line, name)) for name in figures), "；".join(line.flags)]
        for line in lines
    ]
    width = landscape(A4)[0] - 36 * mm
    story = [
        Paragraph(escape(_("服务台账 · {period}", period=one.name)), TITLE),
        Paragraph(f"{_n('{n} 家机构', len(rows))} · {_(CAVEAT)}", SOFTER),
        Spacer(1, 6),
        _grid([head, *rows], [width * 0.27, width * 0.09, *[width * 0.07] * 7, width * 0.15]),
    ]
    return _build(story, _("服务台账 · {period}", period=one.name), landscape(A4))


def _standing(closed_at: datetime | None, counted_at: datetime | None) -> str:
    if closed_at:
        return _("{day} 封账。", day=f"{closed_at.astimezone(ZONE):%Y-%m-%d}")
    if counted_at:
        return _("尚未封账，统计到 {moment}。", moment=f"{counted_at.astimezone(ZONE):%Y-%m-%d %H:%M}")
    return _("尚未封账。")


def _place(subject: Subject) -> str:
    own = subject.region_name != subject.province_name
    return f"{subject.province_name}{subject.region_name}" if own else subject.province_name


def _quartiles(name: str, found: Any) -> list[str]:
    if found is None:
        return [_("不足 3 家，不比较"), "", ""]
    return [shown(name, one) for one in (found.low, found.middle, found.high)]


def _three(fix: Any) -> list[str]:
    return [f"{fix.closed:g}", f"{fix.now:g}", f"{fix.difference:+g}"]


def _items(ledger: Ledger) -> Any:
    columns = (
        "offered",
        "accepted",
        "declined",
        "lapsed",
        "delivered",
        "on_time",
        "median_days",
        "satisfaction",
        "ratings",
    )
    rows = [[one.item_name, *(shown(name, getattr(one.figures, name)) for name in columns)] for one in ledger.items]
    return _grid([[_("事项"), *(NAMES[name] for name in columns)], *rows], [WIDTH * 0.325, *[WIDTH * 0.075] * 9])


def _grid(rows: Sequence[Sequence[str]], widths: Sequence[float] | None = None) -> Any:
    cells = [[Paragraph(escape(cell), SMALL if at else SOFTER) for cell in row] for at, row in enumerate(rows)]
    style = TableStyle(
        [
            ("LINEBELOW", (0, 0), (-1, -1), 0.5, LINE),
            ("LINEBELOW", (0, 0), (-1, 0), 0.8, SOFT),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
        ]
    )
    return Grid(cells, colWidths=widths or [WIDTH / len(rows[0])] * len(rows[0]), style=style, repeatRows=1)


def _plot(plot: Plot) -> Any:
    drawn = [_drawing(plot.option)] if plot.option else []
    return KeepTogether([Paragraph(escape(plot.title), HEAD), Paragraph(escape(plot.sentence), SMALL), *drawn])


def _drawing(option: Option) -> Drawing:
    """The plot of a page as vectors."""
    height = (18 * len(option.categories) + 40 if option.sideways else 130) + (12 if len(option.series) > 1 else 0)
    drawing = Drawing(WIDTH, height)
    if option.kind == "line":
        chart: Any = HorizontalLineChart()
        chart.joinedLines = 1
    else:
        chart = HorizontalBarChart() if option.sideways else VerticalBarChart()
    chart.x, chart.y = (70 if option.sideways else 34), 24
    chart.width, chart.height = WIDTH - chart.x - 16, height - 38 - (12 if len(option.series) > 1 else 0)
    _axes(chart, option)
    rows = [
        (row, colour)
        for one, colour in zip(option.series, (ACCENT, SECOND), strict=False)
        for row in _rows(option, one)
    ]
    chart.data = [row for row, _colour_of in rows]
    for at, (_row, colour) in enumerate(rows):
        _colour(chart, option, at, colour)
    drawing.add(chart)
    if len(option.series) > 1:
        drawing.add(_legend(option, height))
    return drawing


def _rows(option: Option, one: Series) -> list[list[float | None]]:
    """A set of bars as it is; a line in pieces, because reportlab would join them where there is no value."""
    if option.kind != "line":
        return [list(one.values)]
    places = list(enumerate(one.values))
    pieces = [list(piece) for missing, piece in groupby(places, lambda place: place[1] is None) if not missing]
    return [[dict(piece).get(at) for at, _value in places] for piece in pieces]


def _axes(chart: Any, option: Option) -> None:
    chart.categoryAxis.categoryNames = list(option.categories)
    chart.valueAxis.valueMin, chart.valueAxis.valueMax = option.least, option.most
    chart.valueAxis.visibleGrid, chart.valueAxis.gridStrokeColor = 1, LINE
    chart.valueAxis.labelTextFormat = percent if option.percent else "%d"
    for axis in (chart.categoryAxis, chart.valueAxis):
        axis.labels.fontName, axis.labels.fontSize, axis.labels.fillColor = FONT, 7.5, SOFT
        axis.strokeColor = LINE
    if option.sideways:
        chart.categoryAxis.reverseDirection = 1


def _colour(chart: Any, option: Option, at: int, colour: Any) -> None:
    if option.kind == "line":
        chart.lines[at].strokeColor, chart.lines[at].strokeWidth = colour, 1.6
        chart.lines[at].strokeDashArray = None if colour is ACCENT else (4, 2)
        chart.lines[at].symbol = makeMarker("FilledCircle", size=3.5)
        return
    chart.bars[at].fillColor, chart.bars[at].strokeColor = colour, None
    chart.barWidth, chart.groupSpacing = 6, 4
    if len(option.series) == 1:
        chart.barLabelFormat, chart.barLabels.nudge = "%d", 6
        chart.barLabels.fontName, chart.barLabels.fontSize, chart.barLabels.fillColor = FONT, 7.5, INK


def _legend(option: Option, height: float) -> Legend:
    legend = Legend()
    legend.x, legend.y, legend.boxAnchor = 34, height, "nw"
    legend.fontName, legend.fontSize, legend.fillColor = FONT, 8, SOFT
    legend.columnMaximum, legend.deltax, legend.dx, legend.dy, legend.strokeWidth = 1, 60, 7, 7, 0
    legend.alignment = "right"
    legend.colorNamePairs = [(colour, one.name) for colour, one in zip((ACCENT, SECOND), option.series, strict=False)]
    return legend


def _build(story: list[Any], title: str, size: tuple[float, float]) -> bytes:
    out = io.BytesIO()
    paper = SimpleDocTemplate(
        out,
        pagesize=size,
        leftMargin=18 * mm,
        rightMargin=18 * mm,
        topMargin=16 * mm,
        bottomMargin=18 * mm,
        title=title,
        author=_("知配"),
        lang="zh-CN",
    )
    printed = f"{datetime.now(ZONE):%Y-%m-%d %H:%M}"

    def foot(canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont(FONT, 8)
        canvas.setFillColor(SOFT)
        canvas.drawString(18 * mm, 10 * mm, _("知配 · {title} · {moment} 打印", title=title, moment=printed))
        canvas.drawRightString(size[0] - 18 * mm, 10 * mm, _("第 {page} 页", page=document.page))
        canvas.restoreState()

    paper.build(story, onFirstPage=foot, onLaterPages=foot, canvasmaker=partial(Canvas, initialFontName=FONT))
    return out.getvalue()
