"""What the demo's lists have under way: an institution's own items, and a revision that waits for another admin."""

from datetime import timedelta

from msgspec import structs

from infra.db import Transaction
from market.accounts import queries as accounts
from market.accounts.model import Actor
from market.catalogue.model import ChainStage, Guide, ItemList, RightKind
from market.guides import service as guides
from market.guides.model import ChannelForm
from market.lists import service
from market.lists.model import Move, NewRevision, RevisionAction

COMMON = "SZ-2024-10"
OWN = NewRevision(
    name="高价值专利培育陪跑",
    item_group="专利相关",
    item_list=ItemList.SPECIFIC,
    rights=(RightKind.PATENT,),
    stages=(ChainStage.CREATION, ChainStage.MANAGEMENT),
    aliases=("专利怎么布局", "高价值专利怎么培育"),
    guide=Guide(
        conditions=("在本市注册的科技型企业", "已有至少一件发明专利或在审发明申请"),
        audience=("科技型企业",),
        channels=("线上", "窗口"),
        materials=("专利清单", "核心产品说明"),
        process=("网上报名", "专家初谈", "三个月内陪跑四次", "交付布局建议书"),
        time_limit="受理后三个月内交付",
        result=("专利布局建议书",),
    ),
    fee="免费",
)
LATER = structs.replace(
    OWN,
    name="专利质量现场诊断",
    aliases=("专利质量高不高", "帮忙看看专利写得行不行"),
    reason="企业多次提出要现场诊断，先在本区试行一年。",
)


async def store(tx: Transaction) -> None:
    """An item in force, one in review by the node, and a revision of the common list in review by another admin."""
    institution, coordinator, admin = [await _actor(tx, login) for login in ("institution", "coordinator", "admin")]
    await guides.publish_channel(tx, coordinator, ChannelForm(supervision="电话 0755-0000-0000（演示）"))
    own = await service.draft(tx, institution, OWN)
    await service.move(tx, institution, own, Move(action=RevisionAction.SUBMIT, edit=1))
    await service.move(tx, coordinator, own, Move(action=RevisionAction.APPROVE, edit=1, note="内容完整，同意公布。"))
    later = await service.draft(tx, institution, LATER)
    await service.move(tx, institution, later, Move(action=RevisionAction.SUBMIT, edit=1))
    form = service.form_of(await service.own_item(tx, admin, COMMON))
    guide = structs.replace(
        form.guide,
        process=("登录检索系统", "输入关键词或申请号", "查看和下载结果"),
        supervision="省知识产权局公共服务监督邮箱（演示）",
    )
    changed = NewRevision(
        item_code=COMMON,
        **structs.asdict(structs.replace(form, guide=guide))
        | {"reason": "补齐办理流程和监督渠道。", "effective_from": service.today() + timedelta(days=30)},
    )
    revision = await service.draft(tx, admin, changed)
    await service.move(tx, admin, revision, Move(action=RevisionAction.SUBMIT, edit=1))


async def _actor(tx: Transaction, login: str) -> Actor:
    actor = await accounts.actor_by_login(tx, login)
    assert actor is not None, "the cast made it"
    return actor
