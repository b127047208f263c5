"""Use cases of public notices."""

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.audit import service as audit
from market.audit.model import Action
from market.errors import Conflict, Forbidden, NotFound
from market.i18n import _
from market.notices import queries
from market.notices.model import Notice, NoticeForm


async def find(tx: Transaction, actor: Actor | None, notice_id: int) -> Notice:
    """The notice; one that was withdrawn, for its own node alone.

    Raises:
        NotFound: there is none for this reader.
    """
    notice = await queries.find(tx, notice_id)
    if notice is None or (notice.state == "withdrawn" and not may_edit(actor, notice)):
        raise NotFound
    return notice


async def publish(tx: Transaction, actor: Actor, form: NoticeForm) -> int:
    """A new notice of the actor's node; its id.

    Raises:
        Forbidden: the actor works for no node.
    """
    if actor.role is not Role.COORDINATOR or actor.node_id is None:
        raise Forbidden
    notice_id = await queries.insert(tx, actor.node_id, form, actor.id)
    await audit.record(tx, actor, Action.NOTICE_STEP, f"notice:{notice_id}", step="publish")
    return notice_id


async def revise(tx: Transaction, actor: Actor, notice_id: int, version: int, form: NoticeForm) -> None:
    """Change a notice of the actor's node.

    Raises:
        NotFound: it is another node's.
        Conflict: somebody changed it since ``version`` was read.
    """
    await own(tx, actor, notice_id)
    if not await queries.update(tx, notice_id, version, form):
        raise Conflict(_("这条公告刚刚被同事修改过。您填写的内容还在下面，请核对后再保存。"))
    await audit.record(tx, actor, Action.NOTICE_STEP, f"notice:{notice_id}", step="revise", version=version + 1)


async def withdraw(tx: Transaction, actor: Actor, notice_id: int) -> None:
    """Take a notice back; doing so twice is doing it once.

    Raises:
        NotFound: it is another node's.
    """
    await own(tx, actor, notice_id)
    if await queries.withdraw(tx, notice_id):
        await audit.record(tx, actor, Action.NOTICE_STEP, f"notice:{notice_id}", step="withdraw")


async def own(tx: Transaction, actor: Actor, notice_id: int) -> Notice:
    """A notice of the actor's node.

    Raises:
        NotFound: it is another's, or there is none.
    """
    notice = await queries.find(tx, notice_id)
    if notice is None or not may_edit(actor, notice):
        raise NotFound
    return notice


def may_edit(actor: Actor | None, notice: Notice) -> bool:
    """Whether the actor works for the notice's node."""
    return actor is not None and actor.role is Role.COORDINATOR and actor.node_id == notice.node_id
