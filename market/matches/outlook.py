"""What happens next with a need, for whoever looks at it."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from market.accounts.model import Role
from market.i18n import Words, _
from market.matches.model import Match
from market.needs.model import ACTORS, TRANSITIONS, Need, NeedAction, NeedState

S = NeedState


class Outlook(Struct, frozen=True):
    """What happens next, and by when."""

    text: str
    due_at: datetime | None = None
    due_provisional: bool = False


NODE_MOVES: Mapping[NeedState, str] = Words(
    {
        S.SUBMITTED: "已收到。平台正在为您匹配合适的服务，通常只要几秒钟，然后由{node}审核。",
        S.PROPOSED: "已找到合适的服务，{node}正在审核，会在期限前给您答复。",
        S.UNMATCHED: "平台没有找到现成的服务，{node}会在期限前人工答复您。",
    }
)
FOR_PARTY: Mapping[NeedState, str] = Words(
    {
        S.ASSIGNED: "已派给{institution}，等它在期限前受理。受理后会按您留的电话联系您。",
        S.SERVING: "{institution}正在办理，办完会把结果送到这里。",
        S.DELIVERED: "{institution}送来了结果。请看一看：解决了就确认，没有解决可以请它继续办理。",
        S.COMPLETED: "您已确认结果，这条需求办结了。",
        S.RETURNED: "还差一些内容，都列在下面，请一次补齐后再提交。等您补充期间，办理期限暂停计算。",
        S.WITHDRAWN: "您撤回了这条需求。还需要的话，可以重新提交。",
        S.CLOSED: "{node}已结案，原因见进展。您可以换个说法重新提交。",
    }
)
FOR_INSTITUTION: Mapping[NeedState, str] = Words(
    {
        S.ASSIGNED: "这条需求派给了您。请在期限前到待办中受理，或说明原因谢绝。",
        S.SERVING: "请联系企业办理，办完后到待办中送达结果。",
        S.DELIVERED: "结果已送达，等企业确认。",
        S.COMPLETED: "企业已确认结果，这条需求办结了。",
    }
)


def outlook(need: Need, match: Match | None, role: Role) -> Outlook:
    """What happens next, for the enterprise and the clerk, or for the institution that serves."""
    words = NODE_MOVES if need.state in NODE_MOVES else FOR_INSTITUTION if role is Role.INSTITUTION else FOR_PARTY
    institution = match.institution_name if match else _("服务机构")
    text = words.get(need.state, need.state_name).format(node=need.node_name, institution=institution)
    if need.state in NODE_MOVES:
        return Outlook(text, need.due_at, need.due_provisional)
    if match is not None and need.state in (S.ASSIGNED, S.SERVING):
        return Outlook(text, match.due_at, match.due_provisional)
    return Outlook(text)


def allowed(need: Need, role: Role) -> set[NeedAction]:
    """What the role may do to the need as it stands."""
    return {action for state, action in TRANSITIONS if state is need.state and role in ACTORS[action]}
