"""Facts and files into the database: all or nothing, and nothing twice."""

import csv
import io
from datetime import date
from pathlib import Path

import pytest

from infra.db import Transaction
from market.calendars import queries as calendars
from market.importing import files
from market.importing.columns import template
from market.importing.model import FactsReport, ImportFailed, Kind, Report
from market.importing.service import import_file, load_facts, load_sheet
from market.institutions import queries as institutions
from market.offerings import queries as offerings

pytestmark = pytest.mark.anyio

USCC = "12440300MA0EXAMP1M"
HEADER = ["institution_uscc", "服务事项编码", "标题", "服务内容", "服务地区", "承接量"]
VERSIONS = "SELECT array[(SELECT count(*) FROM service_item_versions), (SELECT count(*) FROM offering_versions)]"


async def load(tx: Transaction, text: str, kind: Kind | None = None) -> Report:
    return await load_sheet(tx, files.parse(text.encode(), "一览.csv"), kind, lambda _done, _total: None)


def offering_rows(*rows: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([HEADER, *rows])
    return out.getvalue()


def row(number: int, *, title: str = "", capacity: int = 3) -> list[str]:
    return [USCC, f"SZ-2024-{number % 33 + 1:02d}", title or f"服务 {number}", "说明", "440305；深圳市", str(capacity)]


async def test_facts_are_there_once(tx: Transaction) -> None:
    before = await tx.fetchval(VERSIONS)
    assert await load_facts(tx) == FactsReport(regions=0, industries=0, kinds=0, calendar=0, items=0)
    assert await tx.fetchval(VERSIONS) == before
    assert await tx.fetchval("SELECT count(*) FROM regions") == 3352
    limit = "SELECT guide ->> 'time_limit' FROM service_item_versions WHERE item_code = 'SZ-2024-06'"
    assert await tx.fetchval(limit) == "7个工作日内审查并决定是否予以备案"


async def test_what_an_admin_changed_stays_until_the_next_edition(tx: Transaction) -> None:
    await tx.execute("UPDATE regions SET name = '新名' WHERE code = '440305'")
    await load_facts(tx)
    assert await tx.fetchval("SELECT name FROM regions WHERE code = '440305'") == "新名"


async def test_a_new_edition_of_the_facts_brings_them_up_to_date(tx: Transaction) -> None:
    await tx.execute("DELETE FROM fact_editions")
    await tx.execute("UPDATE regions SET name = '旧名' WHERE code = '440305'")
    await tx.execute("UPDATE calendar_days SET working = NOT working WHERE day = '2026-01-01'")
    report = await load_facts(tx)
    assert (report.regions, report.calendar) == (1, 1)
    assert await tx.fetchval("SELECT name FROM regions WHERE code = '440305'") == "南山区"


async def test_the_templates_can_be_imported_and_the_second_time_change_nothing(tx: Transaction) -> None:
    for kind in Kind:
        assert await load(tx, template(kind)) == Report(kind, rows=1, added=1, revised=0, unchanged=0)
    before = await tx.fetchval(VERSIONS)
    for kind in Kind:
        assert await load(tx, template(kind)) == Report(kind, rows=1, added=0, revised=0, unchanged=1)
    assert await tx.fetchval(VERSIONS) == before

    institution = await institutions.by_uscc(tx, USCC)
    assert institution is not None
    (offering,) = await offerings.of_institution(tx, institution.id)
    assert offering.region_codes == ("440305", "440306")
    assert offering.audience == ("hnte", "tech_sme")
    assert (offering.promised_days, offering.capacity, offering.version) == (5, 10, 1)
    assert offering.guide.process == ("提交申请", "审核", "领取结果")
    assert offering.guide.channels == ("线上",), "the item's own, where the row says nothing"


async def test_only_what_differs_gets_a_new_version(tx: Transaction) -> None:
    await load(tx, template(Kind.INSTITUTIONS))
    assert (await load(tx, offering_rows(*(row(n) for n in range(2_500))))).added == 2_500
    changed = offering_rows(*(row(n, capacity=4 if n % 100 == 0 else 3) for n in range(2_500)), row(0, title="另一项"))
    report = await load(tx, changed)
    assert (report.added, report.revised, report.unchanged) == (1, 25, 2_475)
    institution = await institutions.by_uscc(tx, USCC)
    assert institution is not None
    stored = await offerings.of_institution(tx, institution.id)
    assert sorted((one.version, one.capacity) for one in stored).count((2, 4)) == 25
    assert len(stored) == 2_501

    renamed = template(Kind.INSTITUTIONS).replace("示例区", "新示例区")
    assert (await load(tx, renamed)).revised == 1
    now = await institutions.by_uscc(tx, USCC)
    assert now is not None
    assert (now.id, now.version, now.name) == (institution.id, 2, "新示例区知识产权服务站")


async def test_one_wrong_row_keeps_everything_out(tx: Transaction) -> None:
    await load(tx, template(Kind.INSTITUTIONS))
    before = await tx.fetchval(VERSIONS)
    other = [row(2)[0].replace("12", "11", 1), *row(2)[1:]]
    unknown = [USCC, "SZ-1", "标题", "说明", "火星", "-1"]
    with pytest.raises(ImportFailed) as refused:
        await load(tx, offering_rows(row(1), other, unknown, row(1)))
    places = [(problem.place, problem.column) for problem in refused.value.problems]
    assert places == [
        ("第 3 行", "「机构统一社会信用代码」（institution_uscc）"),
        ("第 4 行", "「服务事项编码」（item_code）"),
        ("第 4 行", "「服务地区」（region_codes）"),
        ("第 4 行", "「同时办理上限」（capacity）"),
        ("第 5 行", "「标题」（title）"),
    ]
    assert await tx.fetchval(VERSIONS) == before


async def test_an_institution_nobody_knows_is_named(tx: Transaction) -> None:
    with pytest.raises(ImportFailed, match=f"还没有代码为 {USCC} 的服务机构，请先导入这家机构"):
        await load(tx, template(Kind.OFFERINGS))


async def test_the_number_of_another_item_is_refused(tx: Transaction) -> None:
    with pytest.raises(ImportFailed, match="序号 1 已属于专利申请受理（SZ-2024-01）"):
        await load(tx, template(Kind.ITEMS).replace(",101,", ",1,"))


async def test_a_file_is_read_and_progress_told(tx: Transaction, tmp_path: Path) -> None:
    path = tmp_path / "机构.csv"
    path.write_bytes(template(Kind.INSTITUTIONS).encode("gb18030"))
    steps: list[tuple[int, int]] = []
    report = await import_file(tx, path, Kind.INSTITUTIONS, progress=lambda done, total: steps.append((done, total)))
    assert report.added == 1
    assert "新增 1" in report.summary
    assert steps == [(1, 2), (2, 2)]


CALENDAR_HEADER = "地区,日期,上班或放假,名称,公布年份,通知\n"


async def test_local_holidays_are_imported_and_counted_anew(tx: Transaction) -> None:
    stamp = await tx.fetchval("SELECT stamp FROM calendar_stamp")
    text = f"{CALENDAR_HEADER}广西壮族自治区,2026-04-20,放假,三月三,,桂政办发\n450100,2026-04-20,上班,调休,,\n"
    assert await load(tx, text) == Report(Kind.CALENDAR, rows=2, added=2, revised=0, unchanged=0)
    assert await tx.fetchval("SELECT stamp FROM calendar_stamp") > stamp, "open deadlines are counted again"
    assert await load(tx, text.replace("调休", "补班")) == Report(
        Kind.CALENDAR, rows=2, added=0, revised=1, unchanged=1
    )
    found = await calendars.calendars(tx)
    assert not found.of("450200").is_working(date(2026, 4, 20))
    assert found.of("450102").is_working(date(2026, 4, 20))
    assert found.of("440305").is_working(date(2026, 4, 20))
    assert found.horizon == date(2026, 12, 31), "a local notice announces no year"


async def test_the_nations_notice_moves_the_horizon(tx: Transaction) -> None:
    text = f"{CALENDAR_HEADER}全国,2026-12-31,上班,元旦,2027,国办发明电\n000000,2027-01-01,放假,元旦,2027,国办发明电\n"
    await load(tx, text)
    assert (await calendars.calendars(tx)).horizon == date(2027, 12, 31)
    assert await tx.fetchval("SELECT source FROM calendar_years WHERE year = 2027") == "国办发明电"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("广西,2026-04-20,放假,三月三,,", "第 2 行「地区」（region_code）：没有「广西」"),
        ("全国,4月20日,放假,三月三,,", "第 2 行「日期」（day）：请按 2026-11-25 的样子填写日期。"),
        ("全国,2026-04-20,半天,三月三,,", "第 2 行「上班或放假」（working）：没有「半天」"),
        ("全国,2026-04-20,放假,,,", "第 2 行「名称」（name）：请填写这一项。"),
        ("440300,2026-04-20,放假,停工,2026,", "第 2 行「公布年份」（year）：只有全国的放假通知"),
        ("全国,2026-11-30,放假,元旦,2027,", "第 2 行「公布年份」（year）：2026-11-30 不在 2027 年的安排里"),
        ("全国,2026-04-20,放假,甲,,\n000000,2026-04-20,上班,乙,,", "第 3 行「日期」（day）：与第 2 行重复"),
    ],
)
async def test_a_wrong_calendar_is_told_by_line(tx: Transaction, row: str, told: str) -> None:
    days = "SELECT count(*) FROM calendar_days"
    before = await tx.fetchval(days)
    with pytest.raises(ImportFailed) as refused:
        await load(tx, CALENDAR_HEADER + row + "\n")
    assert told in refused.value.detail
    assert await tx.fetchval(days) == before
