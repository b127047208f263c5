"""What is derived from rows for search, and the settings of its indexes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from market.data import load_items, load_regions
from market.regions import model as regions
from search.documents import digest, fee_kind, limit_band, lineage, region, tie
from search.engine import IndexName
from search.settings import SCHEMAS, Language, sort_key
from search.settings import digest as settings_digest
from tests.search import world


def test_regions_lie_in_what_the_market_says() -> None:
    for one in load_regions():
        assert list(lineage(one.code)) == regions.lineage(one.code)


def test_a_region_is_counted_at_each_level() -> None:
    assert region("440305") == {
        "place": ("000000", "440000", "440300", "440305"),
        "province": ("440000",),
        "city": ("440300",),
        "county": ("440305",),
    }
    assert region("000000") == {"place": ("000000",)}


@pytest.mark.parametrize(
    ("fee", "kind"),
    [
        (None, "unstated"),
        (" ", "unstated"),
        ("免费", "free"),
        ("不收费（已缴规费不退）", "free"),
        ("450元/类", "paid"),
        ("查阅免费；复制证明费30元/份", "paid"),
        ("服务免费，官费另计：按马德里体系费用计算", "paid"),
        ("面议", "paid"),
    ],
)
def test_kinds_of_fee(fee: str | None, kind: str) -> None:
    assert fee_kind(fee) == kind


def test_shipped_items_have_a_kind_of_fee() -> None:
    assert {fee_kind(item.fee) for item in load_items().items} == {"free", "paid", "unstated"}


@pytest.mark.parametrize(
    ("days", "band"),
    [(None, "unstated"), (0, "same_day"), (1, "week"), (5, "week"), (6, "fortnight"), (22, "month"), (23, "longer")],
)
def test_bands_of_time_limits(days: int | None, band: str) -> None:
    assert limit_band(days) == band


def test_documents_have_the_fields_of_their_schema() -> None:
    made = {
        IndexName.OFFERINGS: world.PATENT,
        IndexName.INSTITUTIONS: world.CENTRE,
        IndexName.ITEMS: replace(world.ITEM, promised_days=3),
        IndexName.NOTICES: world.NOTICE,
    }
    for index, row in made.items():
        document, schema = row.document(), SCHEMAS[index]
        assert set(document.texts) == {text.name for text in schema.texts}
        assert set(document.keywords) == set(schema.keywords)
        assert set(document.numbers) == set(schema.numbers)
        assert set(schema.facets) <= set(schema.keywords)
        assert {by.removeprefix("-") for by in schema.sorts.values()} <= set(schema.numbers)


def test_a_digest_tells_documents_apart() -> None:
    one = world.PATENT.document()
    assert digest(one) == digest(world.PATENT.document())
    assert digest(one) != digest(replace(world.PATENT, summary="别的").document())
    assert digest(one) == digest(replace(one, texts=dict(reversed(one.texts.items()))))


def test_the_hash_does_not_go_by_number() -> None:
    assert sorted(range(100), key=lambda number: tie(str(number))) != list(range(100))


def test_other_settings_have_another_digest() -> None:
    schema = SCHEMAS[IndexName.OFFERINGS]
    same = settings_digest(schema, Language())
    assert same == settings_digest(schema, Language())
    assert same != settings_digest(replace(schema, facets=()), Language())
    assert same == settings_digest(schema, Language(synonyms=lambda: (("甲", "乙"),)))
    assert same != settings_digest(schema, Language(sounds={"甲": "jia"}))


NUMBERS = st.lists(st.none() | st.integers(-(10**12), 10**12))


@given(NUMBERS)
def test_sorting_by_key_puts_the_unknown_last(numbers: list[int | None]) -> None:
    for by, sign in (("n", 1), ("-n", -1)):
        keys = {number: sort_key(by, {} if number is None else {"n": number}) for number in numbers}
        known = sorted((number for number in keys if number is not None), key=lambda number: sign * number)
        assert [keys[number] for number in known] == sorted(keys[number] for number in known)
        assert all(0 <= key <= 2**31 for key in keys.values())
        assert all(keys[number] < keys[None] for number in known if None in keys)
