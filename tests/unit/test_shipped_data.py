"""The shipped data files: their form, and the same as the shared source where that is present."""

import csv
import json
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest

from market import data
from market.catalogue.model import ItemList
from market.data import language

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the shared data are not here")

REGIONS = {region.code: region for region in data.load_regions()}
ITEMS = data.load_items().items
# Cities without counties, which the source lists once more as their own county.
UNDIVIDED = {"441900", "442000", "460400"}


def shared_json(path: str) -> Any:
    return json.loads((SHARED / path).read_text(encoding="utf-8"))


def plain(struct: msgspec.Struct) -> Any:
    return json.loads(msgspec.json.encode(struct))


def shared_csv(path: str) -> list[dict[str, str]]:
    with (SHARED / path).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_files_are_utf8_with_unix_lines_and_named_in_the_readme() -> None:
    folder = files(data)
    readme = folder.joinpath("README.md").read_text(encoding="utf-8")
    shipped = [path for path in folder.iterdir() if path.name.endswith((".csv", ".json"))]
    assert shipped
    for path in shipped:
        assert b"\r" not in path.read_bytes()
        assert path.read_text(encoding="utf-8").endswith("\n")
        assert f"`{path.name}`" in readme


def test_regions_form_a_tree() -> None:
    assert Counter(r.level for r in REGIONS.values()) == {0: 1, 1: 34, 2: 342, 3: 2975}
    assert [code for code, region in REGIONS.items() if region.parent_code is None] == ["000000"]
    for region in REGIONS.values():
        assert region.parent_code is None or REGIONS[region.parent_code].level == region.level - 1


@needs_shared
def test_regions_are_the_source_with_three_provinces_more() -> None:
    provinces = shared_csv("admin_divisions/provinces.csv")
    cities = shared_csv("admin_divisions/cities.csv")
    counties = shared_csv("admin_divisions/areas.csv")
    expected = (
        [(p["code"], p["name"], 1, "") for p in provinces]
        + [(c["code"], c["name"], 2, c["provinceCode"]) for c in cities]
        + [(a["code"], a["name"], 3, a["cityCode"]) for a in counties if a["code"] not in UNDIVIDED]
        + [("71", "台湾省", 1, ""), ("81", "香港特别行政区", 1, ""), ("82", "澳门特别行政区", 1, "")]
        + [("", "全国", 0, None)]
    )
    assert {(r.code, r.name, r.level, r.parent_code) for r in REGIONS.values()} == {
        (code.ljust(6, "0"), name, level, parent if parent is None else parent.ljust(6, "0"))
        for code, name, level, parent in expected
    }


def test_industries_form_a_tree() -> None:
    industries = {i.code: i for i in data.load_industries()}
    assert industries["M7520"].name == "知识产权服务"
    for i in industries.values():
        assert (i.parent_code is None) is (i.level == 1)
        assert i.parent_code is None or industries[i.parent_code].level == i.level - 1


@needs_shared
def test_industries_are_the_source() -> None:
    levels = ["门类", "大类", "中类", "小类"]
    assert [(i.code, i.name, levels[i.level - 1], i.parent_code or "") for i in data.load_industries()] == [
        (i["code"], i["name"], i["level"], i["parent"]) for i in shared_csv("industry/gbt4754_2017.csv")
    ]


def test_calendar_days_belong_to_announced_years() -> None:
    calendar = data.load_calendar()
    assert [year.year for year in calendar.years] == [2023, 2024, 2025, 2026]
    assert calendar.horizon.isoformat() == "2026-12-31"
    assert {day.year for day in calendar.days} == {year.year for year in calendar.years}
    assert len({day.day for day in calendar.days}) == len(calendar.days)


@needs_shared
def test_calendar_is_the_source() -> None:
    calendar = data.load_calendar()
    for year in calendar.years:
        source = shared_json(f"holidays/{year.year}.json")
        assert source["papers"] == [year.notice]
        assert [(d["date"], not d["isOffDay"], d["name"]) for d in source["days"]] == [
            (d.day.isoformat(), d.working, d.name) for d in calendar.days if d.year == year.year
        ]


def test_items_keep_their_form() -> None:
    assert [item.number for item in ITEMS] == list(range(1, 34))
    assert [item.code for item in ITEMS] == [f"SZ-2024-{n:02}" for n in range(1, 34)]
    assert {item.number for item in ITEMS if item.list is ItemList.COMMON} == {10, *range(27, 34)}
    for item in ITEMS:
        assert item.rights
        assert item.stages
        said = "\n".join(item.guide.conditions)
        assert all(audience in said for audience in item.guide.audience)


def test_an_unstated_limit_is_none_and_never_zero() -> None:
    for item in ITEMS:
        stated = item.guide.time_limit
        counted = item.statutory_limit or item.promised_limit
        if stated.kind in ("法定", "办结", "即办"):
            assert counted is not None
            assert (counted.value, counted.unit) == (stated.value, stated.unit)
        else:
            assert counted is None
        assert (stated.value is None) is (stated.text == "指南未写明办理时限")
        assert stated.value != 0 or stated.unit == "instant"


@needs_shared
def test_items_are_the_source() -> None:
    source = shared_json("items/shenzhen_2024_items.json")
    units = {"working_day": "工作日", "month": "月", "instant": "即时", None: None}
    assert list(data.load_items().guarantees) == source["service_guarantees"]
    for item, expected in zip(ITEMS, source["items"], strict=True):
        got = plain(item)
        guide, limit = got["guide"], got["guide"]["time_limit"]
        assert {
            "no": got["number"],
            **{key: got[key] for key in ("name", "group", "fee", "handlers")},
            **{key: guide[key] for key in ("channels", "conditions", "materials")},
            "time_limit": {**limit, "unit": units[limit["unit"]]},
            "results": guide["result"],
        } == {key: value for key, value in expected.items() if not key.endswith("_stated")}


def test_synonyms_name_every_item_and_nothing_else() -> None:
    synonyms = data.load_synonyms()
    assert list(synonyms) == [item.code for item in ITEMS]
    for words in synonyms.values():
        assert 8 <= len(words) <= 60
        assert len(set(words)) == len(words)


def test_words_for_search_say_what_is_not_said_before() -> None:
    groups = language.load().alike
    assert all(len(set(group)) == len(group) > 1 for group in groups)
    assert len({frozenset(group) for group in groups}) == len(groups)
    assert not [group for group in groups for other in groups if set(group) < set(other)]
    sounds, every = language.load_sounds(), language.load_search_sounds()
    more = {written: sound for written, sound in every.items() if written not in sounds}
    assert all(len(written) == len(sound.split()) for written, sound in more.items())
    assert sounds.items() <= every.items()
    assert {char for region in REGIONS.values() for char in region.name if "\u4e00" <= char <= "\u9fff"} <= set(every)


def test_kinds_have_codes_of_their_own() -> None:
    institutions = [kind.code for kind in data.load_institution_kinds()]
    enterprises = [kind.code for kind in data.load_enterprise_kinds()]
    assert len(set(institutions)) == len(institutions) == 9
    assert enterprises[-2:] == ["individual", "other"]


@needs_shared
def test_kinds_are_the_source() -> None:
    assert [(k.code, k.name, k.tier, k.basis) for k in data.load_institution_kinds()] == [
        (k["code"], k["name"], k.get("tier"), k.get("basis"))
        for k in shared_json("vocab/institution_types.json")["types"]
    ]
    assert [(k.code, k.name) for k in data.load_enterprise_kinds()[:-2]] == [
        (k["code"], k["name"]) for k in shared_json("vocab/enterprise_kinds.json")["kinds"]
    ]


@needs_shared
def test_uscc_facts_are_the_source() -> None:
    source = shared_json("uscc/uscc.json")
    facts = plain(data.load_uscc())
    assert facts == {key: source[key] for key in facts}
