"""What the demo's node has published: one notice of each kind."""

from infra.db import Transaction
from market.accounts import queries as accounts
from market.notices import service
from market.notices.model import NoticeForm, NoticeKind

NOTICES = (
    NoticeForm(
        kind=NoticeKind.POLICY,
        title="专利费减按什么条件备案（演示）",
        body="个人上年收入、企业上年应纳税所得额在规定限额以内的，可以办理专利费减备案。\n\n"
        "备案在年初集中办理最快：先在网上填报，再按提示补传证明。拿不准的，在首页写一句话问我们。",
    ),
    NoticeForm(
        kind=NoticeKind.EVENT,
        title="海外商标布局线上讲座（演示）",
        body="讲三件事：先查什么、走马德里还是逐国、被抢注以后还能做什么。\n\n面向准备出口的中小企业，免费，可以提问。",
    ),
    NoticeForm(
        kind=NoticeKind.NEWS,
        title="窗口可以代为登记需求（演示）",
        body="不方便上网的企业和个人，可以带着问题到就近窗口，由工作人员登记并出具回执。\n\n"
        "回执上有二维码，扫一扫就能看办到哪一步，不需要注册账号。",
    ),
)


async def store(tx: Transaction) -> None:
    """Publish them, as the demo's coordinator would; the last one is the newest."""
    coordinator = await accounts.actor_by_login(tx, "coordinator")
    assert coordinator is not None, "the cast is there"
    for form in NOTICES:
        await service.publish(tx, coordinator, form)
