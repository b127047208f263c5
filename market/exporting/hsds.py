"""Human Services Data Specification 3.0 (Open Referral): the objects of its JSON form, nested as it wants them. Pure.

Fields, and which are required: openreferral/specification, schema/*.json at 3.0. What Zhipei does not know, such as
postal codes, is left out, or empty where the specification asks for the field.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID, uuid5

from market.catalogue.model import ITEM_LIST_NAMES, RIGHT_NAMES, STAGE_NAMES, ServiceItem
from market.exporting.model import InstitutionOut, OfferingOut
from market.i18n import N_, _, _n
from market.regions.model import NATION, PLACEHOLDERS, Region, full_name, lineage

NAMESPACE = UUID("7c1c1a3e-54cf-5f0e-8c0e-2b8f4ed1b0a7")
"""Ids are drawn from codes within it, so that the same thing has the same id in every export."""
Object = dict[str, Any]
LISTS = "lists"
RIGHTS = "rights"
STAGES = "stages"
KINDS = "institution-kinds"
TAXONOMIES = {
    LISTS: (N_("服务事项"), N_("知识产权公共服务事项：事项清单、共性清单、个性化清单")),
    RIGHTS: (N_("权利类型"), N_("服务所涉及的知识产权类型")),
    STAGES: (N_("全链条环节"), N_("服务所处的创造、运用、保护、管理、服务环节")),
    KINDS: (N_("服务机构类型"), N_("知识产权公共服务机构的类型")),
}


def service(one: OfferingOut, owner: InstitutionOut, regions: Mapping[str, Region], address: str) -> Object:
    """An offering as a fully nested ``service``."""
    key = f"service:{owner.uscc}:{one.id}"
    guide = one.guide
    terms = [(LISTS, one.item_code, one.item_name)]
    terms += [(RIGHTS, right, RIGHT_NAMES[right]) for right in one.rights]
    terms += [(STAGES, stage, STAGE_NAMES[stage]) for stage in one.stages]
    return _stated(
        id=_id(key),
        name=one.title,
        description=one.summary + _promise(one.promised_days),
        url=f"{address}/offerings/{one.id}",
        status="active",
        application_process="\n".join(f"{n}. {step}" for n, step in enumerate(guide.process, 1)),
        fees_description=one.fee,
        eligibility_description="\n".join((*guide.conditions, *guide.audience)),
        last_modified=one.created_at.isoformat(),
        phones=[_phone(key, owner.phone)],
        service_areas=[_area(key, code, regions) for code in one.region_codes],
        service_at_locations=[{"id": _id(f"{key}:location"), "location": _location(owner, regions)}],
        required_documents=[
            {"id": _id(f"{key}:document:{n}"), "document": text} for n, text in enumerate(guide.materials)
        ],
        cost_options=[{"id": _id(f"{key}:cost"), "amount_description": one.fee}] if one.fee else [],
        attributes=_attributes(key, "service", terms),
        organization=organization(owner, regions, address),
    )


def organization(one: InstitutionOut, regions: Mapping[str, Region], address: str) -> Object:
    """An institution as an ``organization``."""
    key = f"organization:{one.uscc}"
    return {
        "id": _id(key),
        "name": one.name,
        "description": one.summary,
        "uri": f"{address}/institutions/{one.id}",
        "phones": [_phone(key, one.phone)],
        "locations": [_location(one, regions)],
        "organization_identifiers": [
            {
                "id": _id(f"{key}:uscc"),
                "identifier_scheme": "CN-USCC",
                "identifier_type": _("统一社会信用代码"),
                "identifier": one.uscc,
            }
        ],
        "attributes": _attributes(key, "organization", [(KINDS, one.kind, one.kind_name)]),
    }


def item(one: ServiceItem, address: str) -> Object:
    """A service item as a ``taxonomy_term``."""
    term = _term(LISTS, one.code, one.name)
    about = "；".join((ITEM_LIST_NAMES[one.item_list], *one.guide.conditions, *one.guide.result))
    return term | {"description": about, "language": "zh-CN", "term_uri": f"{address}/items/{one.code}"}


def _attributes(key: str, entity: str, terms: Iterable[tuple[str, str, str]]) -> list[Object]:
    return [
        {
            "id": _id(f"{key}:attribute:{taxonomy}:{code}"),
            "link_id": _id(key),
            "link_entity": entity,
            "taxonomy_term_id": _id(f"term:{taxonomy}:{code}"),
            "taxonomy_term": _term(taxonomy, code, name),
        }
        for taxonomy, code, name in terms
    ]


def _term(taxonomy: str, code: str, name: str) -> Object:
    title, about = map(_, TAXONOMIES[taxonomy])
    whole = {"id": _id(f"taxonomy:{taxonomy}"), "name": title, "description": about}
    return {
        "id": _id(f"term:{taxonomy}:{code}"),
        "code": code,
        "name": name,
        "description": name,
        "taxonomy": title,
        "taxonomy_detail": whole,
    }


def _location(one: InstitutionOut, regions: Mapping[str, Region]) -> Object:
    key = f"location:{one.uscc}"
    province, city, district = _places(one.region_code, regions)
    return {
        "id": _id(key),
        "location_type": "physical",
        "name": one.name,
        "external_identifier": one.region_code,
        "external_identifier_type": "GB/T 2260",
        "addresses": [
            _stated(
                id=_id(f"{key}:address"),
                address_1=one.address,
                city=city or province,
                region=district,
                state_province=province,
                country="CN",
                address_type="physical",
            )
            | {"postal_code": ""}
        ],
    }


def _places(code: str, regions: Mapping[str, Region]) -> tuple[str, str, str]:
    """Province, city and district; what the code does not name, or names for the form's sake only, is empty."""
    names = [regions[part].name if part in regions else "" for part in lineage(code) if part != NATION]
    province, city, district = (*names, "", "", "")[:3]
    return province, "" if city in PLACEHOLDERS else city, district


def _area(key: str, code: str, regions: Mapping[str, Region]) -> Object:
    return {
        "id": _id(f"{key}:area:{code}"),
        "name": full_name(code, regions),
        "extent": code,
        "extent_type": "text",
        "description": f"GB/T 2260 {code}",
    }


def _promise(days: int | None) -> str:
    """The limit has no field of its own."""
    if days is None:
        return ""
    return "\n" + (_n("承诺时限：{n} 个工作日", days) if days else _("承诺时限：即办"))


def _phone(key: str, number: str) -> Object:
    return {"id": _id(f"{key}:phone"), "number": number}


def _id(key: str) -> str:
    return str(uuid5(NAMESPACE, key))


def _stated(**fields: Any) -> Object:
    """Without what is empty."""
    return {name: value for name, value in fields.items() if value not in (None, "", [])}
