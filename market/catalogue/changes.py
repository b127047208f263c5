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
from market.i18n import N_, _

UNSTATED = N_("未载明")


def in_words(content: ItemContent) -> dict[str, str]:
    """Every field of an item, in the order of its form."""
    texts = {
        _("名称"): content.name,
        _("分类"): content.item_group,
        _("清单"): ITEM_LIST_NAMES[content.item_list],
        _("权利类型"): _("、").join(RIGHT_NAMES[right] for right in content.rights),
        _("环节"): _("、").join(STAGE_NAMES[stage] for stage in content.stages),
        _("通俗说法"): "\n".join(content.aliases),
        _("收费"): content.fee or "",
        _("办理单位"): "\n".join(content.handlers),
        _("法定时限"): limit_text(content.statutory_limit),
        _("承诺时限"): limit_text(content.promised_limit),
    }
    return stated(texts | guide_in_words(content.guide))


def version_in_words(item: ServiceItem) -> dict[str, str]:
    """The same of a version, with its dates."""
    return in_words(item.content) | dates_in_words(item.effective_from, item.effective_until)


def dates_in_words(effective_from: date | None, effective_until: date | None) -> dict[str, str]:
    """From when to when something is in force."""
    return {
        _("生效日期"): effective_from.isoformat() if effective_from else _("审核通过当天"),
        _("有效期至"): effective_until.isoformat() if effective_until else _("长期有效"),
    }


def guide_in_words(guide: Guide) -> dict[str, str]:
    """The eight elements of a guide."""
    return {
        _("受理条件"): "\n".join(guide.conditions),
        _("服务对象"): "\n".join(guide.audience),
        _("获取途径"): "\n".join(guide.channels),
        _("申请材料"): "\n".join(guide.materials),
        _("办理流程"): "\n".join(guide.process),
        _("办结时限"): guide.time_limit,
        _("办理结果"): "\n".join(guide.result),
        _("监督评价渠道"): guide.supervision,
    }


def stated(texts: dict[str, str]) -> dict[str, str]:
    """Nothing is left blank: what is not stated says so."""
    return {label: text or _(UNSTATED) for label, text in texts.items()}
