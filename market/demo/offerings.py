"""What the demo institutions publish: one or two offerings for each item of their kind, in texts of their own."""

import itertools
from collections.abc import Iterator, Sequence
from importlib.resources import files
from random import Random

import msgspec
from msgspec import Struct

from market.catalogue.model import Guide, ServiceItem
from market.demo.people import CITY, ITEMS_OF_KIND, PROVINCE, Institution
from market.offerings.model import CHANNELS, OfferingState

SEARCH = 10
TWICE = frozenset({"tisc", "univ_center", "protection_center"})
"""Kinds that publish two different offerings of searching."""
TECHNICAL = ("tech_sme", "innovative_sme", "hnte", "srdi_sme", "srdi_little_giant")
DISTRICTS = ("440303", "440304", "440305", "440306", "440307", "440308", "440309", "440310", "440311")

# Usual working days by number of the item, where its list states no limit: shortest and longest.
_USUAL_DAYS = {3: (7, 15), 10: (3, 10), 27: (5, 10), 28: (5, 10), 29: (15, 30), 30: (0, 3), 31: (0, 2), 32: (0, 2)}
_USUAL_FILING = (1, 5)
_PLACES = (
    "工作日 9:00—17:30 在{place}接待，可提前一天预约。",
    "{place}现场每天放 {n} 个号，网上提交不限号。",
    "也接待{focus}以外的企业，{place}现场取号或网上预约都行。",
    "{place}每周{day}下午为{focus}企业留专门时段。",
    "先打电话说明情况，{place}的承办人当天回电。",
)
_PROCESS = {
    "知识产权咨询相关": ("说明问题，留下联系方式", "能答的当场答复", "疑难的登记后书面答复"),
    "维权援助相关": ("提交申请和证据材料", "三个工作日内决定是否受理", "承办人与专家分析案情", "出具意见并回访"),
}
_FILING = ("网上预约或现场取号", "核对材料，一次告知缺项", "接件并出具凭证", "领取结果")


class Texts(Struct, frozen=True):
    """What is said of one item's offerings and results."""

    titles: tuple[str, ...]
    does: tuple[str, ...]
    details: tuple[str, ...]
    results: tuple[str, ...]


class Plan(Struct, frozen=True, kw_only=True):
    """An offering to be stored; ``institution`` is a position in the list of institutions."""

    institution: int
    item_code: str
    state: OfferingState
    paused_later: bool
    title: str
    summary: str
    guide: Guide
    region_codes: tuple[str, ...]
    audience: tuple[str, ...]
    channels: tuple[str, ...]
    fee: str
    promised_days: int | None
    capacity: int
    quality: float


def load_texts() -> dict[int, Texts]:
    """Texts by number of the item."""
    raw = files(__package__).joinpath("offerings.json").read_bytes()
    return msgspec.json.decode(raw, type=dict[int, Texts])


def plans(
    rng: Random, institutions: Sequence[Institution], items: Sequence[ServiceItem], texts: dict[int, Texts]
) -> list[Plan]:
    """Every offering of the demo; no two have the same text."""
    by_number = {item.number: item for item in items}
    return list(
        itertools.chain.from_iterable(
            _of_institution(rng, position, institution, by_number, texts)
            for position, institution in enumerate(institutions)
        )
    )


def _of_institution(
    rng: Random,
    position: int,
    institution: Institution,
    items: dict[int, ServiceItem],
    texts: dict[int, Texts],
) -> Iterator[Plan]:
    for number in ITEMS_OF_KIND[institution.kind]:
        if position > 0 and rng.random() < 0.06:  # hardly anybody but the first offers everything
            continue
        times = 2 if number == SEARCH and institution.kind in TWICE else 1
        titles = rng.sample(texts[number].titles, times)
        does = rng.sample(texts[number].does, times)
        for title, do in zip(titles, does, strict=True):
            yield _plan(rng, position, institution, items[number], title, f"{do}{rng.choice(texts[number].details)}")


def _plan(rng: Random, position: int, institution: Institution, item: ServiceItem, title: str, about: str) -> Plan:
    words = {"place": institution.place, "focus": institution.focus, "n": rng.randrange(10, 60, 5)}
    where = rng.choice(_PLACES).format(**words, day=rng.choice("一二三四五"))
    channels = _channels(rng, item)
    promised = _promised_days(rng, item)
    chance = 1.0 if position == 0 else rng.random()
    return Plan(
        institution=position,
        item_code=item.code,
        state=OfferingState.DRAFT if 0.02 < chance < 0.026 else OfferingState.PUBLISHED,
        paused_later=0.05 < chance < 0.09,
        title=title.format(**words),
        summary=about.format(**words) + where,
        guide=_guide(institution, item, channels, promised),
        region_codes=_region_codes(rng, institution),
        audience=_audience(rng, institution, item),
        channels=channels,
        fee=_fee(item),
        promised_days=promised,
        capacity=rng.choice((3, 4, 5, 6, 8, 10, 12, 15)) * (2 if institution.region_code == CITY else 1),
        quality=min(max(institution.quality + rng.gauss(0, 0.08), 0.05), 0.98),
    )


def _guide(institution: Institution, item: ServiceItem, channels: tuple[str, ...], promised: int | None) -> Guide:
    limit = item.guide.time_limit if promised is None else _limit_text(promised)
    return msgspec.structs.replace(
        item.guide,
        channels=channels,
        process=_PROCESS.get(item.item_group, _FILING),
        time_limit=limit,
        supervision=f"服务监督电话 {institution.phone}，可在结果送达后评价",
    )


def _limit_text(days: int) -> str:
    return f"承诺受理后 {days} 个工作日内办结" if days else "承诺当日答复"


def _channels(rng: Random, item: ServiceItem) -> tuple[str, ...]:
    usual = [channel for channel in CHANNELS if channel in item.guide.channels] or ["线上", "窗口"]
    if len(usual) > 2 and rng.random() < 0.4:
        usual.remove(rng.choice(usual[1:]))
    return tuple(usual)


def _promised_days(rng: Random, item: ServiceItem) -> int | None:
    if rng.random() < 0.2:
        return None
    stated = item.promised_limit.working_days if item.promised_limit else None
    if stated:
        return rng.randint(max(stated - 2, 1), stated)
    return rng.randint(*_USUAL_DAYS.get(item.number, _USUAL_FILING))


def _region_codes(rng: Random, institution: Institution) -> tuple[str, ...]:
    home = institution.region_code
    if not home.startswith(CITY[:4]):
        wide = institution.kind in ("backbone_node", "patent_agency_office", "tm_window") or rng.random() < 0.7
        return (PROVINCE,) if wide else (home[:4] + "00",)
    chance = rng.random()
    if home == CITY or institution.place[-3:] == "代办处" or (chance < 0.55 and institution.kind != "filing_point"):
        return (CITY,)
    others = [district for district in DISTRICTS if district != home]
    return (home, *(sorted(rng.sample(others, rng.randint(1, 2))) if chance > 0.8 else ()))


def _audience(rng: Random, institution: Institution, item: ServiceItem) -> tuple[str, ...]:
    narrow = institution.kind in ("tisc", "univ_center") or item.number == 3
    return TECHNICAL if narrow and rng.random() < 0.3 else ()


def _fee(item: ServiceItem) -> str:
    if item.fee is None or item.fee.startswith(("免费", "不收费")):
        return "免费"
    return f"服务免费，官费另计：{item.fee}"
