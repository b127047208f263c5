"""Rules: named time limits in working days, set by region. Below a region its rule holds until a nearer one does."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from market.i18n import Words

MOST_DAYS = 250
"""A year of working days: whoever means longer has mistyped."""
WorkingDays = Annotated[int, Meta(ge=0, le=MOST_DAYS)]


class RuleName(StrEnum):
    """What a rule limits. A new one needs words below, and a row for 000000 in a migration."""

    FIRST_CONTACT = "first_contact"
    MATCH = "match"
    ACCEPT = "accept"
    REMIND_BEFORE = "remind_before"
    ESCALATE_AFTER = "escalate_after"
    RATING_REPLY = "rating_reply"
    RATING_RULING = "rating_ruling"
    RECTIFICATION_VERIFY = "rectification_verify"
    RECTIFICATION_RECTIFY = "rectification_rectify"
    RECTIFICATION_ANSWER = "rectification_answer"
    RECTIFICATION_REVISIT = "rectification_revisit"
    RECTIFICATION_CLOSE = "rectification_close"
    LEDGER_CLOSE = "ledger_close"
    SUPERVISION_PLAN = "supervision_plan"
    SUPERVISION_CHECK = "supervision_check"
    SUPERVISION_CLOSE = "supervision_close"


RULE_WORDS: Mapping[RuleName, str] = Words(
    {
        RuleName.FIRST_CONTACT: "首次联系：收到需求后",
        RuleName.MATCH: "答复：收到需求后，骨干节点给出办理安排",
        RuleName.ACCEPT: "受理：派单后，等机构受理",
        RuleName.REMIND_BEFORE: "提醒：到期前多少个工作日",
        RuleName.ESCALATE_AFTER: "上报：超期后每过多少个工作日，报骨干节点、再报上级节点",
        RuleName.RATING_REPLY: "评价回复：机构收到有文字的评价后（差评在整改中答复，匿名评价不计时）",
        RuleName.RATING_RULING: "申诉裁定：机构对评价提出申诉后",
        RuleName.RECTIFICATION_VERIFY: "差评核实：骨干节点收到差评后",
        RuleName.RECTIFICATION_RECTIFY: "整改：机构收到核实结果后",
        RuleName.RECTIFICATION_ANSWER: "答复：机构完成整改后",
        RuleName.RECTIFICATION_REVISIT: "回访：机构答复后，等评价人答复",
        RuleName.RECTIFICATION_CLOSE: "办结：回访后",
        RuleName.LEDGER_CLOSE: "台账封账：每月、每季、每年结束后（由省级设定）",
        RuleName.SUPERVISION_PLAN: "督导整改方案：机构收到督导通知后",
        RuleName.SUPERVISION_CHECK: "督导核查：机构提交方案后，留给落实和核查的时间",
        RuleName.SUPERVISION_CLOSE: "督导办结：核查通过后",
    }
)


class Rule(Struct, frozen=True, kw_only=True):
    """The rule in force for a region, and where it comes from: ``region_code`` is that region or one above."""

    name: RuleName
    region_code: str
    region_name: str
    working_days: int

    @property
    def words(self) -> str:
        """What it limits, in words."""
        return RULE_WORDS[self.name]


class RuleChange(Struct, frozen=True, forbid_unknown_fields=True):
    """A region's own limit; None: as in the region above."""

    name: RuleName
    working_days: WorkingDays | None
