"""Where each role can go from every page: the links of the header, and which of them one is at."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from market.accounts.model import Actor, Role
from market.i18n import N_, _

PUBLIC = (("/offerings", N_("找服务")), ("/institutions", N_("机构")), ("/items", N_("事项清单")))
OWN: Mapping[Role | None, Sequence[tuple[str, str]]] = {
    None: (("/", N_("提需求")),),
    Role.ENTERPRISE: (("/", N_("提需求")), ("/needs", N_("我的需求"))),
    Role.INSTITUTION: (
        ("/desk", N_("待办")),
        ("/desk/offerings", N_("我的服务")),
        ("/lists", N_("我的清单")),
        ("/desk/ratings", N_("我的评价")),
        ("/desk/standing", N_("我的排名")),
        ("/ledger", N_("我的台账")),
    ),
    Role.COORDINATOR: (
        ("/queue", N_("待处理")),
        ("/deadlines", N_("期限")),
        ("/gaps", N_("供给缺口")),
        ("/lists", N_("清单审核")),
        ("/ratings", N_("评价")),
        ("/ledger", N_("台账")),
    ),
    Role.CLERK: (("/counter", N_("窗口登记")), ("/needs", N_("已登记"))),
    Role.ADMIN: (
        ("/needs", N_("需求")),
        ("/lists", N_("清单管理")),
        ("/ratings", N_("评价")),
        ("/ledger", N_("台账")),
        ("/rules", N_("期限")),
        ("/audit", N_("审计记录")),
    ),
}
STEERING = ("/models", N_("模型状况"))


class Link(Struct, frozen=True):
    """One link of the header; ``here``: the page belongs to it."""

    href: str
    words: str
    here: bool


def navigation(actor: Actor | None, path: str) -> list[Link]:
    """The links of whoever asks, their own first. At most one is where one is: the nearest above the page."""
    own = OWN[actor.role if actor else None]
    steering = (STEERING,) if actor and actor.steers_models else ()
    links = (*own, *steering, *PUBLIC)
    above = [href for href, _words in links if path == href or (href != "/" and path.startswith(f"{href}/"))]
    nearest = max(above, key=len, default=None)
    return [Link(href, _(words), href == nearest) for href, words in links]
