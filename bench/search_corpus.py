"""The documents that search is judged on: the shipped items, and the demo's institutions and offerings."""

from collections.abc import Mapping
from datetime import date
from random import Random

from market import data
from market.catalogue.model import Guide, ServiceItem
from market.data import ItemData, language
from market.demo import offerings, people
from market.offerings.model import OfferingState
from market.regions.model import full_name
from search.documents import InstitutionDocument, ItemDocument, OfferingDocument
from search.engine import Document, IndexName
from search.settings import Language

SEED = 4
Corpus = Mapping[IndexName, list[Document]]


def shipped_language() -> Language:
    """Sounds and synonyms as they are shipped."""
    alike = language.load().alike
    return Language(sounds=language.load_search_sounds(), synonyms=lambda: alike)


def corpus() -> Corpus:
    """Documents by index; ids of offerings and institutions are their places."""
    items = {item.code: item for item in data.load_items().items}
    synonyms = data.load_synonyms()
    regions = {region.code: region for region in data.load_regions()}
    kinds = {kind.code: kind.name for kind in data.load_institution_kinds()}
    rng = Random(SEED)
    institutions = people.institutions(rng, regions)
    listed = [_service_item(item) for item in items.values()]
    plans = [
        plan
        for plan in offerings.plans(rng, institutions, listed, offerings.load_texts())
        if plan.state is OfferingState.PUBLISHED
    ]
    return {
        IndexName.ITEMS: [_item(item, synonyms[item.code]).document() for item in items.values()],
        IndexName.OFFERINGS: [
            _offering(number, plan, institutions[plan.institution], items[plan.item_code], synonyms, regions).document()
            for number, plan in enumerate(plans)
        ],
        IndexName.INSTITUTIONS: [
            _institution(
                number, one, kinds, regions, [items[plan.item_code] for plan in plans if plan.institution == number]
            )
            for number, one in enumerate(institutions)
        ],
    }


def _item(item: ItemData, aliases: tuple[str, ...]) -> ItemDocument:
    limit = item.promised_limit or item.statutory_limit
    return ItemDocument(
        code=item.code,
        name=item.name,
        group=item.group,
        item_list=item.list,
        aliases=aliases,
        rights=tuple(item.rights),
        stages=tuple(item.stages),
        audience=(),
        channels=item.guide.channels,
        guide=guide_text(item.guide.conditions, item.guide.materials, item.guide.result),
        fee=item.fee,
        promised_days=limit.working_days if limit else None,
    )


def _offering(
    number: int,
    plan: offerings.Plan,
    institution: people.Institution,
    item: ItemData,
    synonyms: dict[str, tuple[str, ...]],
    regions: dict[str, data.Region],
) -> OfferingDocument:
    return OfferingDocument(
        id=number,
        title=plan.title,
        summary=plan.summary,
        guide=guide_text(plan.guide.conditions, plan.guide.materials, plan.guide.result),
        item_code=item.code,
        item_name=item.name,
        item_list=item.list,
        aliases=" ".join(synonyms[item.code]),
        rights=tuple(item.rights),
        stages=tuple(item.stages),
        institution_id=plan.institution,
        institution_name=institution.name,
        institution_kind=institution.kind,
        institution_region=institution.region_code,
        region_name=full_name(institution.region_code, regions),
        region_codes=plan.region_codes,
        audience=plan.audience,
        channels=plan.channels,
        fee=plan.fee,
        promised_days=plan.promised_days,
        satisfaction=round(100 + 400 * plan.quality),
    )


def _institution(
    number: int,
    one: people.Institution,
    kinds: dict[str, str],
    regions: dict[str, data.Region],
    items: list[ItemData],
) -> Document:
    return InstitutionDocument(
        id=number,
        name=one.name,
        kind=one.kind,
        kind_name=kinds[one.kind],
        region_code=one.region_code,
        region_name=full_name(one.region_code, regions),
        address=one.address,
        summary=one.summary,
        services=tuple(dict.fromkeys(item.name for item in items)),
        item_codes=tuple(dict.fromkeys(item.code for item in items)),
        rights=tuple(dict.fromkeys(right for item in items for right in item.rights)),
        stages=tuple(dict.fromkeys(stage for item in items for stage in item.stages)),
        satisfaction=round(100 + 400 * one.quality),
    ).document()


def _service_item(item: ItemData) -> ServiceItem:
    stated = item.guide
    guide = Guide(
        conditions=stated.conditions,
        audience=stated.audience,
        channels=stated.channels,
        materials=stated.materials,
        process=stated.process,
        time_limit=stated.time_limit.text,
        result=stated.result,
        supervision=stated.supervision,
    )
    return ServiceItem(
        effective_from=date(2024, 1, 1),
        code=item.code,
        version=1,
        number=item.number,
        name=item.name,
        item_group=item.group,
        item_list=item.list,
        rights=item.rights,
        stages=item.stages,
        aliases=(),
        guide=guide,
        fee=item.fee,
        handlers=item.handlers,
        statutory_limit=item.statutory_limit,
        promised_limit=item.promised_limit,
    )


def guide_text(*parts: tuple[str, ...]) -> str:
    """The searchable words of a guide."""
    return " ".join(text for part in parts for text in part)
