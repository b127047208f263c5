"""What differs between two versions of an offering, in words."""

from msgspec import Struct

from market.offerings.model import Offering

UNSTATED = "未载明"


class Change(Struct, frozen=True):
    """One field that differs."""

    label: str
    before: str
    after: str


def changes(
    before: Offering, after: Offering, *, region_names: dict[str, str], kind_names: dict[str, str]
) -> list[Change]:
    """Every field that differs, in the order of the form. Names are given by code."""
    old, new = (_in_words(one, region_names, kind_names) for one in (before, after))
    return [Change(label, old[label], new[label]) for label in new if old[label] != new[label]]


def _in_words(offering: Offering, region_names: dict[str, str], kind_names: dict[str, str]) -> dict[str, str]:
    guide, days = offering.guide, offering.promised_days
    texts = {
        "名称": offering.title,
        "简介": offering.summary,
        "服务地区": "、".join(region_names.get(code, code) for code in offering.region_codes),
        "面向企业": "、".join(kind_names.get(code, code) for code in offering.audience) or "不限",
        "办理渠道": "、".join(offering.channels),
        "收费": offering.fee,
        "承诺时限": "" if days is None else f"{days} 个工作日",
        "所依事项版本": f"第 {offering.item_version} 版",
        "受理条件": "\n".join(guide.conditions),
        "服务对象": "\n".join(guide.audience),
        "获取途径": "\n".join(guide.channels),
        "申请材料": "\n".join(guide.materials),
        "办理流程": "\n".join(guide.process),
        "办结时限": guide.time_limit,
        "办理结果": "\n".join(guide.result),
        "监督评价渠道": guide.supervision,
    }
    return {label: text or UNSTATED for label, text in texts.items()}
