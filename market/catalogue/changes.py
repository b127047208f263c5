"""What a service item says, in words by label: for versions side by side."""

from datetime import date

from market.catalogue.model import (
    ITEM_LIST_NAMES,
    RIGHT_NAMES,
    STAGE_NAMES,
    Guide,
    ItemContent,
    ServiceItem,
    limit_text,
)

UNSTATED = "未载明"


def in_words(content: ItemContent) -> dict[str, str]:
    """Every field of an item, in the order of its form."""
    texts = {
        "名称": content.name,
        "分类": content.item_group,
        "清单": ITEM_LIST_NAMES[content.item_list],
        "权利类型": "、".join(RIGHT_NAMES[right] for right in content.rights),
        "环节": "、".join(STAGE_NAMES[stage] for stage in content.stages),
        "通俗说法": "\n".join(content.aliases),
        "收费": content.fee or "",
        "办理单位": "\n".join(content.handlers),
        "法定时限": limit_text(content.statutory_limit),
        "承诺时限": limit_text(content.promised_limit),
    }
    return stated(texts | guide_in_words(content.guide))


def version_in_words(item: ServiceItem) -> dict[str, str]:
    """The same of a version, with its dates."""
    return in_words(item.content) | dates_in_words(item.effective_from, item.effective_until)


def dates_in_words(effective_from: date | None, effective_until: date | None) -> dict[str, str]:
    """From when to when something is in force."""
    return {
        "生效日期": effective_from.isoformat() if effective_from else "审核通过当天",
        "有效期至": effective_until.isoformat() if effective_until else "长期有效",
    }


def guide_in_words(guide: Guide) -> dict[str, str]:
    """The eight elements of a guide."""
    return {
        "受理条件": "\n".join(guide.conditions),
        "服务对象": "\n".join(guide.audience),
        "获取途径": "\n".join(guide.channels),
        "申请材料": "\n".join(guide.materials),
        "办理流程": "\n".join(guide.process),
        "办结时限": guide.time_limit,
        "办理结果": "\n".join(guide.result),
        "监督评价渠道": guide.supervision,
    }


def stated(texts: dict[str, str]) -> dict[str, str]:
    """Nothing is left blank: what is not stated says so."""
    return {label: text or UNSTATED for label, text in texts.items()}
