"""Use cases of letters: read what concerns one, and write while the need is open."""

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.conversations import queries
from market.conversations.model import WRITERS, Conversation, Letter
from market.errors import Conflict, Forbidden, NotFound
from market.i18n import _
from market.needs import ownership
from market.needs import queries as need_queries
from market.needs import service as needs
from market.needs.model import ENDED, Need


async def at_need(tx: Transaction, actor: Actor, need: Need) -> Conversation:
    """The conversation on a need that ``actor`` may see."""
    serving = await queries.serves(tx, need.id)
    writes = actor.role in WRITERS and need.state not in ENDED
    if actor.role is Role.COORDINATOR:
        writes = writes and needs.covers(actor, need) and need.owner_id in (None, actor.id)
    return Conversation(
        letters=await queries.of_need(tx, need.id, actor.institution_id),
        may_write=writes,
        takes=writes and actor.role is Role.COORDINATOR and need.owner_id is None,
        institution_name=serving[1] if serving else None,
    )


async def letters(tx: Transaction, actor: Actor, need_id: int) -> list[Letter]:
    """The letters on a need, as ``actor`` may read them.

    Raises:
        NotFound: the need is not the actor's to see.
    """
    need = await needs.find(tx, actor, need_id)
    return await queries.of_need(tx, need.id, actor.institution_id)


async def write(tx: Transaction, actor: Actor, need_id: int, text: str) -> Letter:
    """Add a letter. A coordinator who is the first to write owns the need from then on (首问负责).

    Raises:
        NotFound: the need is not the actor's to see.
        Forbidden: admins only read; the need was handed to a node above.
        NotOwner: a colleague owns it.
        Conflict: the need has ended.
    """
    if actor.role not in WRITERS:
        raise Forbidden
    need = await need_queries.find(tx, actor, need_id, lock=True)
    if need is None:
        raise NotFound
    if need.state in ENDED:
        raise Conflict(_("这条需求已经结束，不能再留言；以前的留言都还在。有新的事情，请另外提交一条需求。"))
    if actor.role is Role.COORDINATOR:
        needs.check_owner(need, actor)
        if need.owner_id is None:
            await ownership.take(tx, actor, need.id)
        elif not needs.covers(actor, need):
            raise Forbidden(_("这条需求已交由{node}处理，您可以查看，不能再操作。", node=need.node_name))
    serving = await queries.serves(tx, need.id)
    return await queries.add(tx, need.id, serving[0] if serving else None, actor.id, text)
