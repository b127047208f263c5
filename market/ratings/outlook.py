"""What a rating means for whoever looks at it: what happens next, and what may be done now."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.data import RatingIndicatorData
from market.i18n import Words, _
from market.needs.model import Need, NeedState
from market.ratings import service
from market.ratings.model import (
    ACTORS,
    RATING_ACTORS,
    RATING_TRANSITIONS,
    TRANSITIONS,
    Rating,
    RatingAction,
    RectificationAction,
    RectificationState,
)
from market.ratings.scale import RatingLevel, indicators

S = RectificationState

FOR_PARTY: Mapping[RectificationState, str] = Words(
    {
        S.VERIFYING: "骨干节点正在核实您反映的问题，属实的会转机构整改。",
        S.RECTIFYING: "问题已核实，机构正在整改，改完会答复您。",
        S.ANSWERING: "机构已完成整改，正在准备给您的答复。",
        S.REVISITING: "机构答复了您。请告诉我们，现在满意吗？",
        S.CLOSING: "已记录您的意见，骨干节点会办结这件整改。",
    }
)
FOR_RATED: Mapping[RectificationState, str] = Words(
    {
        S.VERIFYING: "骨干节点正在核实，现在不需要您处理。",
        S.RECTIFYING: "请按核实情况整改，完成后在这里说明做了什么。",
        S.ANSWERING: "请答复评价人。答复会和评价一起公开。",
        S.REVISITING: "等评价人说明是否满意。第一次不满意时会退回再整改。",
        S.CLOSING: "回访已完成，等骨干节点办结。",
    }
)
FOR_NODE: Mapping[RectificationState, str] = Words(
    {
        S.VERIFYING: "请向评价人和机构核实。属实的转机构整改；不需要整改的写明原因。",
        S.RECTIFYING: "机构正在整改。",
        S.ANSWERING: "机构已完成整改，等它答复评价人。",
        S.REVISITING: "等评价人说明是否满意。可以电话回访后代为记录；过了期限没有答复的，可以办结。",
        S.CLOSING: "回访已完成，请写明结果后办结。",
    }
)


class AtNeed(Struct, frozen=True, kw_only=True):
    """A need's rating on the need's page."""

    rating: Rating | None
    outlook: str
    reasons: Mapping[RatingLevel, Sequence[RatingIndicatorData]]
    """What may be ticked with each level, best first; empty where the actor may not rate now."""
    actions: frozenset[RatingAction]
    steps: frozenset[RectificationAction]


async def at_need(tx: Transaction, actor: Actor, need: Need) -> AtNeed:
    """What there is to see and to do about the rating of a need's service."""
    rating = await service.of_need(tx, actor, need)
    may_rate = need.state is NeedState.COMPLETED and rating is None and actor.role in RATING_ACTORS[RatingAction.RATE]
    levels = sorted(RatingLevel, reverse=True) if may_rate else []
    return AtNeed(
        rating=rating,
        outlook=outlook(rating, actor.role) if rating else "",
        reasons={level: indicators(level, need.channel) for level in levels},
        actions=actions(rating, actor.role) if rating else frozenset(),
        steps=steps(rating, actor.role) if rating else frozenset(),
    )


def outlook(rating: Rating, role: Role) -> str:
    """What happens next with the rectification; empty where there is none."""
    if rating.rectification is None:
        return ""
    if rating.rectification is S.CLOSED:
        return _ending(rating)
    words = {Role.INSTITUTION: FOR_RATED, Role.ENTERPRISE: FOR_PARTY, Role.CLERK: FOR_PARTY}.get(role, FOR_NODE)
    return words[rating.rectification]


def _ending(rating: Rating) -> str:
    if rating.answer is None:
        return _("骨干节点核实后没有要求整改，原因见经过。")
    if rating.satisfied is None:
        return _("整改已办结。期限内没有等到评价人的回访答复。")
    return _("整改已办结，评价人表示满意。") if rating.satisfied else _("整改已办结。评价人仍不满意，已记录在案。")


def actions(rating: Rating, role: Role) -> frozenset[RatingAction]:
    """What the role may do to the rating. Only for what is offered: use cases check it again."""
    done = {
        RatingAction.ADD_REMARK: rating.later_remark is not None,
        RatingAction.REPLY: rating.is_open or rating.reply is not None or rating.answer is not None,
    }
    return frozenset(
        action
        for state, action in RATING_TRANSITIONS
        if state is rating.state and role in RATING_ACTORS[action] and not done.get(action)
    )


def steps(rating: Rating, role: Role) -> frozenset[RectificationAction]:
    """What the role may do to the rectification. Only for what is offered: use cases check it again."""
    return frozenset(
        action for state, action in TRANSITIONS if state is rating.rectification and role in ACTORS[action]
    )
