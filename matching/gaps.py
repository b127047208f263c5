"""What a need does not tell yet, from plain cues of the language; for the one-time notice and for help while typing."""

import re

from matching.types import Gap

_NUMBER = "[0-9一二两三四五六七八九十半]+"
_BY_WHEN = re.compile(
    r"尽快|尽早|马上|立即|立刻|加急|紧急|急需|着急|急[!,。]|要快(?!点)|越快|等着用|不急|不着急|没有时间要求|时间不限"
    r"|今天(?!才|刚|收)|明天|后天|今晚|本周|[这下]周|下下周|(?:周|星期|礼拜)[一二三四五六日天]|本月|这个月|下个?月|月底|年底|年内"
    r"|[上下]半年|季度|截止|到期前|[还只]剩"
    # An event that is a date: 展会之前, 春节前.
    r"|(?:节|元旦|国庆|五一|十一|双十一|除夕|展会|会展|开庭|开学|开业|上市|投标|招标|评审|申报)(?:之前|以前|前)"
    rf"|(?<!近){_NUMBER}个?(?:工作日|天|日|周|星期|月|年)(?:之?内|以内|后|.{{0,6}}(?:拿到|办完|办好|下来|出来|得来))"
    rf"|(?<![前去]年)(?<![0-9]年){_NUMBER}月(?:{_NUMBER}[日号]|之?前|底|初|中旬|到期|要|份?之前)"
    rf"|[今明后]年{_NUMBER}月|{_NUMBER}[日号](?:之前|以前|前|截止|要)|到.{{0,4}}{_NUMBER}[日号]"
)
_CONTACT = re.compile(
    r"(?<![0-9])(?:\+?86[- ]?)?1[3-9][0-9][- ]?[0-9]{4}[- ]?[0-9]{4}(?![0-9])"
    r"|(?<![0-9])0[0-9]{2,3}[- ]?[0-9]{3,4}[- ]?[0-9]{4}(?![0-9])|[\w.+-]+@[\w-]+\.[\w.]+"
    r"|(?:微信|wechat|weixin|vx|qq|电话|手机|tel|联系人|邮箱|email)(?:号码?|是|为|:| )(?!多少)"
    r"|(?:微信|wechat|weixin|vx|qq|电话|手机|tel)[a-z0-9_-]{5,}"
)
# A question tells what its answer is wanted for.
_QUESTION = (
    r"怎么|怎样|如何|咋|哪|谁|什么|啥|几|多少|多久|多长|吗|么[?,。]|呢|是否|是不是|有没有|有无|能不能|能否|可否|可不可以|要不要"
    r"|会不会|算不算|还能|还是|举报|投诉|[?]|(?:材料|费用|流程|条件|手续|标准)$"
)
_ASKS = re.compile(_QUESTION)
_GOAL = re.compile(
    r"希望|想|为了|以便|用于|用来|目的|目标|打算|计划|准备|争取|达到|实现|(?<!申)请|求|麻烦|帮|问(?!题)|咨询"
    r"|(?<![主重])要|必须|得办|申请[用给]|办(?:理|好|完|成|个|一|下|注|变|转|登|备)|必需|缺一|[^重]撤[一掉回]"
    r"|" + _QUESTION
)


def asks(text: str) -> bool:
    """Whether a normalised text puts a question, so that somebody could answer it."""
    return _ASKS.search(text) is not None


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
