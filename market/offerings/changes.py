"""What an offering says, in words by label: for versions side by side."""

from collections.abc import Mapping, Sequence

from infra.db import Transaction
from market.catalogue.changes import guide_in_words, stated
from market.diff import FieldDiff, compare
from market.enterprises import queries as enterprises
from market.i18n import _, _n
from market.offerings.model import CHANNEL_NAMES, Offering
from market.regions import queries as regions


async def differences(tx: Transaction, before: Offering, after: Offering) -> list[FieldDiff]:
    """The fields that differ between two versions."""
    old, new = await all_in_words(tx, [before, after])
    return compare(old, new)


async def all_in_words(tx: Transaction, offerings: Sequence[Offering]) -> list[dict[str, str]]:
    """Every field of each, in the order of the form."""
    known = await regions.named(tx, list({code for one in offerings for code in one.region_codes}))
    names = {code: region.name for code, region in known.items()}
    kinds = await enterprises.kinds(tx)
    return [in_words(one, region_names=names, kind_names=kinds) for one in offerings]


def in_words(offering: Offering, *, region_names: Mapping[str, str], kind_names: Mapping[str, str]) -> dict[str, str]:
    """Every field of an offering; names are given by code."""
    days = offering.promised_days
    texts = {
        _("名称"): offering.title,
        _("简介"): offering.summary,
        _("服务地区"): _("、").join(region_names.get(code, code) for code in offering.region_codes),
        _("面向企业"): _("、").join(kind_names.get(code, code) for code in offering.audience) or _("不限"),
        _("办理渠道"): _("、").join(CHANNEL_NAMES[one] for one in offering.channels),
        _("收费"): offering.fee,
        _("承诺时限"): "" if days is None else _n("{n} 个工作日", days),
        _("所依事项版本"): _("第 {version} 版", version=offering.item_version),
    }
    return stated(texts | guide_in_words(offering.guide))
