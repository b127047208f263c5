"""What goes out: cells that spreadsheets leave alone and imports read back, and the objects of HSDS 3.0."""

import csv
import io
from collections import defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from market.catalogue.model import ChainStage, Guide, ItemList, Limit, RightKind, ServiceItem
from market.exporting import hsds, tables
from market.exporting.model import InstitutionOut, OfferingOut
from market.importing import files
from market.importing.columns import COLUMNS, columns_of
from market.importing.model import Kind
from market.importing.rows import Vocabularies, convert, fixed_words
from market.regions.model import Region

FIELDS = Path(__file__).parents[1] / "data" / "hsds_3_0_fields.csv"
"""The fields of HSDS 3.0, from openreferral/specification (CC BY-SA 4.0)."""
ADDRESS = {"id", "address_1", "city", "state_province", "postal_code", "country", "address_type"}
"""Required of an address (schema/address.json at 3.0), which the list of fields leaves out."""
NESTED = {
    "organization": "organization", "phones": "phone", "locations": "location", "location": "location",
    "organization_identifiers": "organization_identifier", "attributes": "attribute", "taxonomy_term": "taxonomy_term",
    "taxonomy_detail": "taxonomy", "service_areas": "service_area", "service_at_locations": "service_at_location",
    "required_documents": "required_document", "cost_options": "cost_option",
}  # fmt: skip
REGIONS = {
    code: Region(code, name, level, parent)
    for code, name, level, parent in (
        ("000000", "全国", 0, None),
        ("440000", "广东省", 1, "000000"),
        ("440300", "深圳市", 2, "440000"),
        ("440305", "南山区", 3, "440300"),
        ("110000", "北京市", 1, "000000"),
        ("110100", "市辖区", 2, "110000"),
        ("110101", "东城区", 3, "110100"),
    )
}
ITEM = ServiceItem(
    code="EX-1",
    version=3,
    number=7,
    name="=1+2",
    item_group="专利相关",
    item_list=ItemList.COMMON,
    rights=(RightKind.PATENT, RightKind.GI),
    stages=(ChainStage.CREATION,),
    aliases=("-减号开头", "@小红"),
    guide=Guide(
        conditions=("符合甲；或者符合乙、丙",),
        audience=("企业", "高校；科研院所"),
        channels=("线上", "窗口"),
        materials=("说明书及摘要、附图",),
        process=("提交", "受理\n审核", "领取"),
        time_limit="'=像公式",
        supervision="+86 755 0000",
    ),
    fee="免费",
    handlers=("甲中心", "乙中心"),
    statutory_limit=Limit(9, "month"),
    promised_limit=Limit(0, "instant"),
    effective_from=date(2026, 1, 1),
    effective_until=date(2027, 12, 31),
)
OWNER = InstitutionOut(
    id=4,
    uscc="12440300MA0EXAMP1M",
    name="示例中心",
    kind="tisc",
    kind_name="技术与创新支持中心",
    region_code="440305",
    address="示例路 1 号",
    phone="0755-00000100",
    summary="服务企业。",
)
OFFERING = OfferingOut(
    id=9,
    title="专利检索",
    summary="按要点检索。",
    guide=ITEM.guide,
    item_code="EX-1",
    item_name="专利信息检索",
    rights=(RightKind.PATENT,),
    stages=(ChainStage.CREATION,),
    institution_id=4,
    region_codes=("440300", "000000"),
    audience=("hnte",),
    channels=("线上",),
    fee="免费",
    promised_days=5,
    capacity=3,
    created_at=datetime(2026, 1, 2, tzinfo=UTC),
)


def item_csv() -> str:
    row = tables.item_row(ITEM, {})
    return tables.csv_header(Kind.ITEMS) + tables.csv_line(Kind.ITEMS, row)


def test_no_cell_begins_like_a_formula() -> None:
    text = item_csv()
    assert text.startswith("\ufeff"), "so that Excel reads UTF-8"
    _, row = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert "'=1+2" in row
    assert "''=像公式" in row


def test_what_was_exported_is_read_back_to_the_letter() -> None:
    sheet = files.parse(item_csv().encode(), "x.csv")
    kind, meant = columns_of(sheet, None)
    assert kind is Kind.ITEMS
    known = Vocabularies(fixed_words() | {"institution": {}}, {})
    (form,) = convert(kind, sheet.rows, meant, known, lambda _: None)
    content = form.content()  # type: ignore[union-attr]
    flat = ITEM.guide.process[1].replace("\n", " ")
    assert content.guide.process == ("提交", flat, "领取"), "a line break within one element is all that is lost"
    assert content.guide.conditions == ITEM.guide.conditions
    assert content.guide.audience == ITEM.guide.audience
    assert content.guide.time_limit == ITEM.guide.time_limit
    assert (content.name, content.aliases, content.rights) == (ITEM.name, ITEM.aliases, ITEM.rights)
    assert (content.statutory_limit, content.promised_limit) == (ITEM.statutory_limit, ITEM.promised_limit)


def test_a_json_row_has_every_column() -> None:
    row = tables.json_row(Kind.OFFERINGS, tables.offering_row(OFFERING, {4: OWNER.uscc}))
    assert list(row) == [column.field for column in COLUMNS[Kind.OFFERINGS]]
    assert (row["institution_uscc"], row["audience"], row["guide_audience"]) == (
        OWNER.uscc,
        ("hnte",),
        ITEM.guide.audience,
    )


# HSDS ----------------------------------------------------------------------------------------------------------------


def specification() -> dict[str, dict[str, dict[str, str]]]:
    found: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for row in csv.DictReader(FIELDS.read_text("utf-8").splitlines()):
        found[row["entity"]][row["field"]] = row
    return found


def check(entity: str, given: dict[str, Any], known: dict[str, dict[str, dict[str, str]]]) -> int:
    """Every field is one of the specification, of its type, and none that is required is missing; how many objects."""
    if entity == "address":
        assert set(given) >= ADDRESS
        return 1
    fields = known[entity]
    assert set(given) <= set(fields), entity
    assert {name for name, field in fields.items() if field["required"] == "Y"} <= set(given), entity
    objects = 1
    for name, value in given.items():
        if name == "addresses":
            objects += sum(check("address", one, known) for one in value)
        elif name in NESTED:
            many = value if isinstance(value, list) else [value]
            assert isinstance(value, list) == (fields[name]["type"] == "array"), (entity, name)
            objects += sum(check(NESTED[name], one, known) for one in many)
        else:
            assert isinstance(value, str), (entity, name)
            assert fields[name]["format"] != "uuid" or UUID(value)
            assert not fields[name]["enum"] or value in fields[name]["enum"].split("|")
    return objects


@pytest.mark.parametrize(
    ("entity", "made"),
    [
        ("service", hsds.service(OFFERING, OWNER, REGIONS, "https://ip.example")),
        ("organization", hsds.organization(OWNER, REGIONS, "https://ip.example")),
        ("taxonomy_term", hsds.item(ITEM, "https://ip.example")),
    ],
)
def test_the_objects_are_those_of_the_specification(entity: str, made: dict[str, Any]) -> None:
    assert check(entity, made, specification()) > 1


def test_ids_are_the_same_in_every_export_and_no_two_things_share_one() -> None:
    one, again = (hsds.service(OFFERING, OWNER, REGIONS, address) for address in ("https://a.example", "http://b"))
    assert one["id"] == again["id"]
    assert one["organization"]["id"] == hsds.organization(OWNER, REGIONS, "")["id"]
    assert one["attributes"][0]["taxonomy_term_id"] == hsds.item(ITEM, "")["id"]
    assert len({one["id"], one["organization"]["id"], one["phones"][0]["id"]}) == 3


def test_an_address_leaves_out_cities_that_nobody_says() -> None:
    beijing = hsds.organization(
        InstitutionOut(**{name: getattr(OWNER, name) for name in OWNER.__struct_fields__} | {"region_code": "110101"}),
        REGIONS,
        "",
    )
    (address,) = beijing["locations"][0]["addresses"]
    assert (address["state_province"], address["city"], address["region"]) == ("北京市", "北京市", "东城区")
