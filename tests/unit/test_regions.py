"""Codes of regions, what they cover, how far apart they are."""

import msgspec
import pytest

from market.data import load_regions
from market.regions.model import RegionCode, covers, full_name, level_distance, prefix_of

REGIONS = {region.code: region for region in load_regions()}
NATION, GUANGDONG, SHENZHEN, NANSHAN, FUTIAN = "000000", "440000", "440300", "440305", "440304"


@pytest.mark.parametrize(
    ("code", "prefix"),
    [
        (NATION, ""),
        (GUANGDONG, "44"),
        (SHENZHEN, "4403"),
        (NANSHAN, "440305"),
        ("429000", "4290"),
        ("500000", "50"),
    ],
)
def test_prefix_drops_pairs_of_zeros(code: str, prefix: str) -> None:
    assert prefix_of(code) == prefix


def test_a_region_covers_itself_and_all_below() -> None:
    assert covers(NATION, NANSHAN)
    assert covers(GUANGDONG, NANSHAN)
    assert covers(SHENZHEN, SHENZHEN)
    assert not covers(NANSHAN, SHENZHEN)
    assert not covers("440400", NANSHAN)
    assert not covers("420100", "429004")


def test_covers_agrees_with_the_tree() -> None:
    for region in REGIONS.values():
        above, ancestor = [], region.parent_code
        while ancestor is not None:
            above.append(ancestor)
            ancestor = REGIONS[ancestor].parent_code
        assert len(above) == region.level
        assert all(covers(code, region.code) for code in above)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        (NANSHAN, NANSHAN, 0),
        (NATION, NATION, 0),
        (NANSHAN, FUTIAN, 1),
        (NANSHAN, SHENZHEN, 1),
        (NANSHAN, "440402", 2),
        (SHENZHEN, "440400", 2),
        (NANSHAN, GUANGDONG, 2),
        (NANSHAN, "110101", 3),
        (GUANGDONG, "110000", 3),
        (NANSHAN, NATION, 3),
        ("429004", "429005", 1),
        ("441900", "442000", 2),
    ],
)
def test_level_distance(a: str, b: str, distance: int) -> None:
    assert level_distance(a, b) == level_distance(b, a) == distance


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (NANSHAN, "广东省深圳市南山区"),
        ("110101", "北京市东城区"),
        ("110100", "北京市"),
        ("500230", "重庆市丰都县"),
        ("429004", "湖北省仙桃市"),
        ("659001", "新疆维吾尔自治区石河子市"),
        ("441900", "广东省东莞市"),
        ("810000", "香港特别行政区"),
        (NATION, "全国"),
    ],
)
def test_full_name_leaves_placeholders_out(code: str, name: str) -> None:
    assert full_name(code, REGIONS) == name


@pytest.mark.parametrize("text", ["4403", "4403050", "44030X", "４４０３０５", "440305\n", "", " 440305"])
def test_region_code_is_six_ascii_digits(text: str) -> None:
    assert msgspec.convert(NANSHAN, RegionCode) == NANSHAN
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, RegionCode)
