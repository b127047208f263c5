"""What a need does not tell yet, from plain cues of the language; for the one-time notice and for help while typing."""

import re

from matching.types import Gap

_BY_WHEN = re.compile(
    r"尽快|尽早|马上|立即|加急|紧急|急需|着急|今天|明天|后天|本周|这周|下周|本月|这个月|下个?月|月底|年底|年初|年内|季度"
    r"|[0-9一二两三四五六七八九十半]+个?(?:工作日|天|日|周|星期|月|年)(?:之?内|以内|之?前|左右|后)"
    r"|[0-9]{1,2}月(?:[0-9]{1,2}[日号])?(?:之?前|底|初|中旬)|截止|期限|到期前"
)
_CONTACT = re.compile(
    r"(?<![0-9])1[3-9][0-9]{9}(?![0-9])|(?<![0-9])0[0-9]{2,3}[- ]?[0-9]{7,8}(?![0-9])"
    r"|[\w.+-]+@[\w-]+\.[\w.]+|(?:微信|qq|电话|手机|联系人|邮箱)(?:号码?|是|为|[::])"
)
_GOAL = re.compile(
    r"希望|想要?|为了|以便|用于|用来|目的|目标|打算|计划|准备|需要|争取|要求|达到|实现|请求|能不能|能否|可否|可以.{0,12}吗"
    # A question tells what its answer is wanted for.
    r"|怎么|怎样|如何|咋|哪里|哪儿|多少|多久|什么(?:材料|手续|条件|流程)"
)


def gaps(text: str, *, item_known: bool, right_known: bool) -> tuple[Gap, ...]:
    """What is missing in a normalised text, in the order a person would ask for it."""
    told: dict[Gap, bool] = {
        "what": item_known,
        "right": right_known,
        "goal": _GOAL.search(text) is not None,
        "by_when": _BY_WHEN.search(text) is not None,
        "contact": _CONTACT.search(text) is not None,
    }
    return tuple(gap for gap, is_told in told.items() if not is_told)
