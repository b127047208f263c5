"""Periods, medians, sums, peers, corrections, flags and files of the ledger, without servers."""

import csv
import io
import statistics
import zipfile
from datetime import UTC, date, datetime
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pypdf import PdfReader

from market.calendars.model import Calendar
from market.errors import InvalidInput
from market.ledger import exporting, printing
from market.ledger.exporting import Form
from market.ledger.figures import COUNTS, Figures, measures, median, total
from market.ledger.model import (
    FEWEST_PEERS,
    ItemLine,
    Ledger,
    ListLine,
    Sort,
    Subject,
    by_stage,
    compare,
    corrections,
    ordered,
)
from market.ledger.periods import Period, choices, month_of, months_of, period, quarter_of
from market.ledger.plots import plots
from market.ledger.recording import closes_at, ended
from market.supervision.model import RuleInForce, SupervisionRule, flags

TODAY = date(2026, 11, 27)


@pytest.mark.parametrize("code", ["2026-07", "2026Q3", "2026", "2000-01", "2026-11", "2026Q4"])
def test_a_period_is_its_code(code: str) -> None:
    assert period(code, today=TODAY).code == code


@pytest.mark.parametrize(
    "code", ["2026-13", "2026-00", "2026-7", "2026Q5", "Q3", "", "1999", "2026-12", "2027", "２０２６"]
)
def test_other_codes_are_told_what_to_write(code: str) -> None:
    with pytest.raises(InvalidInput) as told:
        period(code, today=TODAY)
    assert told.value.fields["period"]


def test_periods_hold_their_months() -> None:
    assert [one.code for one in months_of(period("2026Q3", today=TODAY))] == ["2026-07", "2026-08", "2026-09"]
    assert len(months_of(period("2025", today=TODAY))) == 12
    assert period("2025Q4").moved(1).code == "2026Q1"
    assert (month_of(TODAY).end, quarter_of(TODAY).end) == (date(2026, 12, 1), date(2027, 1, 1))
    for codes in choices(TODAY).values():
        for code, name in codes.items():
            assert period(code, today=TODAY).name == name


def test_what_has_ended_closes_some_working_days_later() -> None:
    codes = [one.code for one in ended(date(2025, 11, 20), date(2026, 4, 1))]
    assert codes == ["2025-11", "2025-12", "2026-01", "2026-02", "2026-03", "2025Q4", "2026Q1", "2025"]
    plain = Calendar(days={date(2026, 10, 5): False}, horizon=date(2026, 12, 31))
    assert closes_at(Period(2026, 9, 1), plain, 5).date() == date(2026, 10, 8)


counts = st.integers(0, 50)
spans = st.dictionaries(st.integers(0, 250), st.integers(1, 9), max_size=12)


@st.composite
def some_figures(draw: st.DrawFn) -> Figures:
    spread = draw(spans)
    delivered = sum(spread.values())
    numbers = {name: draw(counts) for name in COUNTS if name not in ("delivered", "on_time")}
    return Figures(
        **numbers,
        delivered=delivered,
        on_time=draw(st.integers(0, delivered)),
        rated=draw(st.tuples(*[counts] * 5)),
        days=tuple(sorted(spread)),
        times=tuple(spread[day] for day in sorted(spread)),
    )


@given(spans)
def test_the_median_is_that_of_all_values(spread: dict[int, int]) -> None:
    values = [day for day, times in spread.items() for _ in range(times)]
    found = median(sorted(spread), [spread[day] for day in sorted(spread)])
    assert found == (statistics.median(values) if values else None)


@given(st.lists(some_figures(), max_size=4), st.lists(some_figures(), max_size=4))
def test_figures_add_up_in_any_order(some: list[Figures], others: list[Figures]) -> None:
    assert total([total(some), total(others)]) == total([*others, *some])
    together = total([*some, *others])
    assert together.delivered == sum(together.times)
    assert 0 <= (together.on_time_share or 0) <= 1


def test_nothing_divides_by_nothing() -> None:
    told = measures(Figures())
    assert (told.acceptance, told.on_time_share, told.median_days, told.satisfaction) == (None,) * 4
    silent = measures(Figures(offered=3, lapsed=2, accepted=1))
    assert silent.acceptance == 0.333, "silence is a no"


def test_peers_are_compared_from_three_on() -> None:
    def peer(number: int) -> Figures:
        return Figures(offered=number, accepted=number, delivered=1, on_time=number % 2, days=(number,), times=(1,))

    few = compare([peer(1), peer(2), Figures()])
    assert (few.count, set(few.measures.values())) == (2, {None}), "who was asked nothing is no peer"
    many = compare([peer(number) for number in range(1, 6)])
    found = many.measures["median_days"]
    assert found is not None
    assert (found.count, found.low, found.middle, found.high) == (5, 2, 3, 4)
    assert many.measures["satisfaction"] is None, "nobody was rated"
    assert FEWEST_PEERS == 3


def test_a_correction_is_closed_now_and_difference() -> None:
    before, after = Figures(offered=5, rated=(0, 0, 0, 0, 3)), Figures(offered=5, withheld=1, rated=(0, 0, 0, 0, 2))
    told = {one.figure: (one.closed, one.now, one.difference) for one in corrections("", before, after)}
    assert (told["withheld"], told["ratings"]) == ((0, 1, 1), (3, 2, -1))
    assert "offered" not in told
    assert corrections("", before, before) == []


# rules ----------------------------------------------------------------------------------------------------------------


def rule(name: SupervisionRule, threshold: float | None, least: int = 1) -> RuleInForce:
    return RuleInForce(name=name, region_code="000000", region_name="全国", threshold=threshold, least=least)


@pytest.mark.parametrize(
    ("name", "threshold", "least", "of", "up"),
    [
        (SupervisionRule.ON_TIME, 0.8, 5, Figures(delivered=5, on_time=3), True),
        (SupervisionRule.ON_TIME, 0.8, 5, Figures(delivered=4, on_time=0), False),  # too few to say
        (SupervisionRule.ON_TIME, 0.8, 5, Figures(delivered=5, on_time=4), False),  # at the threshold is not below
        (SupervisionRule.ON_TIME, None, 1, Figures(delivered=5), False),  # the rule does not hold here
        (SupervisionRule.ACCEPTANCE, 0.6, 5, Figures(accepted=2, declined=2, lapsed=1), True),
        (SupervisionRule.SATISFACTION, 3.8, 5, Figures(rated=(5, 0, 0, 0, 0)), True),
        (SupervisionRule.SATISFACTION, 3.8, 5, Figures(rated=(1, 0, 0, 0, 0)), False),
        (SupervisionRule.OVERDUE, 3, 1, Figures(overdue=3), True),
        (SupervisionRule.RECTIFICATION_OVERDUE, 1, 1, Figures(), False),
        (SupervisionRule.COMMON_DECLINES, 3, 1, Figures(decline_requested=3), True),
    ],
)
def test_rules_flag_what_is_behind(
    name: SupervisionRule, threshold: float | None, least: int, of: Figures, *, up: bool
) -> None:
    found = flags(of, [rule(name, threshold, least)], ("2026-09", "2026-10", "2026-11"))
    assert bool(found) is up
    for flag in found:
        assert flag.rule is name
        assert "2026-09" in flag.words


# files ----------------------------------------------------------------------------------------------------------------

NASTY = '=HYPERLINK("http://x")'
FIGURES = Figures(
    offered=12,
    accepted=9,
    declined=2,
    lapsed=1,
    delivered=8,
    on_time=6,
    completed=7,
    rated=(0, 1, 0, 2, 3),
    days=(0, 3, 20),
    times=(2, 5, 1),
)


@pytest.fixture
def ledger() -> Ledger:
    items = [
        ItemLine(item_code="SZ-2024-01", item_name="专利申请受理", stages=("creation",), figures=FIGURES),  # type: ignore[arg-type]
        ItemLine(item_code="+1", item_name=NASTY, stages=("protection",), figures=Figures()),  # type: ignore[arg-type]
    ]
    return Ledger(
        institution=Subject(
            id=7,
            name="-深圳市知识产权保护中心<b>&",
            kind="protection_center",
            kind_name="国家级知识产权保护中心",
            region_code="440305",
            region_name="南山区",
            province="440000",
            province_name="广东省",
            demo=True,
        ),
        period="2026Q3",
        closed_at=datetime(2026, 10, 13, 10, tzinfo=UTC),
        counted_at=datetime(2026, 10, 13, 10, tzinfo=UTC),
        figures=FIGURES,
        measures=measures(FIGURES),
        items=items,
        stages=by_stage(items),
        peers=compare([FIGURES, FIGURES, FIGURES]),
        trend={f"2026-{month:02}": FIGURES if month == 8 else Figures() for month in range(1, 13)},
        corrections=corrections("", FIGURES, Figures()),
    )


@pytest.mark.anyio
async def test_csv_is_read_back_and_calculates_nothing(ledger: Ledger) -> None:
    content = await exporting.of_institution(ledger, period("2026Q3"), [], Form.CSV)
    assert content.startswith(b"\xef\xbb\xbf"), "Excel knows UTF-8 by it"
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert [row["事项"] for row in rows] == ["专利申请受理", "'" + NASTY]
    assert rows[1]["事项编码"] == "'+1"
    assert (rows[0]["派单"], rows[0]["受理率"], rows[0]["办理天数中位数"]) == ("12", "0.75", "3.0")
    assert rows[1]["受理率"] == "", "what is not known is empty, not zero"


def cells(sheet: bytes, strings: list[str]) -> list[list[str]]:
    """Texts and numbers of a worksheet, row by row."""
    space = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    rows = []
    for row in ET.fromstring(sheet).iterfind(".//x:row", space):
        found = []
        for cell in row.iterfind("x:c", space):
            assert cell.find("x:f", space) is None, "no formula"
            value, inline = cell.find("x:v", space), cell.find("x:is/x:t", space)
            text = inline.text if inline is not None else value.text if value is not None else ""
            found.append(strings[int(text or 0)] if cell.get("t") == "s" else text or "")
        rows.append(found)
    return rows


@pytest.mark.anyio
async def test_xlsx_holds_every_table(ledger: Ledger) -> None:
    content = await exporting.of_institution(ledger, period("2026Q3"), ["按时率偏低：75%"], Form.XLSX)
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        assert book.testzip() is None
        names = [node.get("name") for node in ET.fromstring(book.read("xl/workbook.xml")).iter() if node.get("sheetId")]
        strings: list[str] = []
        if "xl/sharedStrings.xml" in book.namelist():
            strings = ["".join(one.itertext()) for one in ET.fromstring(book.read("xl/sharedStrings.xml"))]
        sheets = {name: cells(book.read(f"xl/worksheets/sheet{at}.xml"), strings) for at, name in enumerate(names, 1)}
    assert names == ["概要", "按事项", "按环节", "按月", "更正"]
    assert ["机构", "-深圳市知识产权保护中心<b>&"] in sheets["概要"]
    assert ["督导", "按时率偏低：75%"] in sheets["概要"]
    assert sheets["按事项"][2][1] == NASTY
    assert sheets["按事项"][1][2:4] == ["12", "9"]
    assert len(sheets["按月"]) == 13
    assert ["全部事项", "派单", "12", "0", "-12"] in sheets["更正"]


@pytest.mark.anyio
async def test_pdf_is_paper_with_an_embedded_font(ledger: Ledger) -> None:
    content = await exporting.of_institution(ledger, period("2026Q3"), ["按时率偏低：75%"], Form.PDF)
    reader = PdfReader(io.BytesIO(content))
    assert [round(float(side)) for side in reader.pages[0].mediabox[2:]] == [595, 842], "A4"
    text = "".join(page.extract_text() for page in reader.pages)
    for words in (
        "保护中心<b>&",
        "2026年第3季度",
        "按时率偏低：75%",
        "同类机构",
        "每月派单和办结",
        "专利申请受理",
        "封账后的更正",
    ):
        assert words in text, words
    fonts = {
        str(font.get_object()["/BaseFont"])
        for page in reader.pages
        for font in page["/Resources"]["/Font"].values()  # type: ignore[index]
        if "/FontDescriptor" in font.get_object()
    }
    assert fonts
    assert all("NotoSansSC" in font for font in fonts)
    assert len(content) < 200_000, "only the characters used are embedded"
    assert b"/Subtype /Image" not in content, "plots are vectors"


def test_every_plot_of_every_state_is_drawn(ledger: Ledger) -> None:
    one = period("2026Q3")
    assert all(plot.option and plot.table for plot in plots(ledger, one))

    none = {month: Figures() for month in ledger.trend}
    nothing = replace(ledger, figures=Figures(), items=[], stages={}, trend=none, corrections=[], closed_at=None)
    assert all(plot.option is None and plot.sentence for plot in plots(nothing, one))
    assert printing.of_institution(nothing, one, []).startswith(b"%PDF")


def line(name: str, *, flags: tuple[str, ...] = (), offered: int = 0, accepted: int = 0) -> ListLine:
    return ListLine(
        institution_id=1,
        period="2026",
        item_code="",
        name=name,
        kind="tisc",
        kind_name="TISC",
        region_code="440305",
        region_name="南山区",
        demo=False,
        closed_at=None,
        flags=flags,
        offered=offered,
        accepted=accepted,
        declined=offered - accepted,
    )


def test_who_is_behind_comes_first_in_every_order() -> None:
    lines = [
        line("甲", offered=9, accepted=9),
        line("乙", offered=4, accepted=1),
        line("丙", flags=("on_time",)),
        line("丁"),
    ]
    for order in Sort:
        assert ordered(lines, order)[0].name == "丙"
    assert [one.name for one in ordered(lines, Sort.OFFERED)] == ["丙", "甲", "乙", "丁"]
    assert [one.name for one in ordered(lines, Sort.ACCEPTANCE)] == ["丙", "乙", "甲", "丁"]


@pytest.mark.anyio
async def test_a_list_of_thousands_is_written(ledger: Ledger) -> None:
    lines = [line(f"机构{number}", offered=number) for number in range(3_000)]
    content = await exporting.of_list(lines, period("2026"), Form.CSV)
    assert len(content.decode("utf-8-sig").splitlines()) == 3_001
    assert (await exporting.of_list(lines, period("2026"), Form.XLSX)).startswith(b"PK")
    assert (await exporting.of_list(lines[:200], period("2026"), Form.PDF)).startswith(b"%PDF")
