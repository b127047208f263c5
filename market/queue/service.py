"""Use cases of the queue: several approvals at once, filters kept by name, a need's understanding corrected."""

from functools import partial

from msgspec import Struct

from infra.db import Transaction
from market.accounts.model import Actor
from market.calendars.service import Deadlines
from market.catalogue import queries as catalogue
from market.catalogue.model import RightKind
from market.errors import Conflict, InvalidInput
from market.i18n import _, _n
from market.matches import service as matches
from market.needs import queries as needs
from market.needs import service as need_service
from market.needs.model import NeedAction
from market.plans import queries as plan_queries
from market.plans import service as plans
from market.plans.model import Outcome
from market.queue import queries
from market.queue.model import ALL, MOST_FILTERS, Correction, Filter, QueueRow, Share, Ticked


class Preview(Struct, frozen=True, kw_only=True):
    """What approving these needs would do. ``unclear``: needs among them to be looked at one by one first."""

    rows: list[QueueRow]
    shares: list[Share]
    unclear: list[QueueRow]

    @property
    def short(self) -> int:
        """How many would be refused for lack of a place."""
        return sum(max(0, -share.left) for share in self.shares)


async def preview(tx: Transaction, actor: Actor, need_ids: list[int]) -> Preview:
    """What approving the proposals of these needs would do; whatever is not, or no longer, clear is left out and told.

    Raises:
        InvalidInput: none of them waits for approval.
    """
    rows = await queries.of_ids(tx, actor, ALL, need_ids)
    own = [row for row in rows if row.is_clear and row.owner_id in (None, actor.id)]
    if not rows:
        raise InvalidInput(fields={"needs": _("请先勾选要批准的需求。")})
    match_ids = [row.match_id for row in own if row.match_id is not None]
    unclear = [row for row in rows if row not in own]
    return Preview(rows=own, shares=await queries.shares(tx, match_ids), unclear=unclear)


async def approve(tx: Transaction, actor: Actor, ticked: list[Ticked], deadlines: Deadlines) -> list[Outcome]:
    """Assign the proposals that were seen, each on its own: one that cannot be undoes no other, and says why."""
    rows = {row.id: row for row in await queries.of_ids(tx, actor, ALL, [one.need_id for one in ticked])}
    shares = await queries.shares(tx, [one.match_id for one in ticked if one.need_id in rows])
    # Locked first, in the order of their ids, as plans lock: no two of them wait for each other.
    await plan_queries.lock(tx, sorted(rows), sorted(share.offering_id for share in shares))
    return [await plans.attempt(tx, actor, one.need_id, partial(_one, tx, actor, one, deadlines)) for one in ticked]


async def _one(tx: Transaction, actor: Actor, one: Ticked, deadlines: Deadlines) -> None:
    held = await queries.held_of_need(tx, one.need_id)
    if held is not None and not held.failed:
        raise Conflict(_("{who}刚刚对这条需求作了决定，几秒钟后派出。请刷新查看。", who=held.actor_name))
    await matches.approve(tx, actor, one.need_id, one.match_id, deadlines)


async def save_filter(tx: Transaction, actor: Actor, name: str, by: Filter) -> None:
    """Keep a filter under a name; one that had the name is replaced.

    Raises:
        InvalidInput: there are too many.
    """
    if not await queries.save_filter(tx, actor.id, name, by.query, most=MOST_FILTERS):
        raise InvalidInput(fields={"name": _n("最多保存 {n} 个筛选，请先删除不用的。", MOST_FILTERS)})


async def correct(tx: Transaction, actor: Actor, need_id: int, given: Correction) -> None:
    """Say what a need is about and have it ranked again by that; nothing said: as read from its text.

    Raises:
        InvalidInput: an unknown item or kind of right, or nothing that differs.
        Others: as ``matches.service.rank_again``.
    """
    need = await need_service.find_to_act(tx, actor, need_id, NeedAction.RANK_AGAIN)
    if await needs.unknown_items(tx, given.item_codes):
        raise InvalidInput(fields={"item_codes": _("所选的服务事项不在目录中，请重新选择。")})
    if set(given.rights) - set(RightKind):
        raise InvalidInput(fields={"rights": _("请从列表中选择权利类型。")})
    if (given.item_codes, given.rights) == (need.item_codes, need.rights):
        raise InvalidInput(fields={"item_codes": _("和现在一样，没有要更正的。")})
    names = [item.name for code in given.item_codes if (item := await catalogue.item(tx, code))]
    await matches.rank_again(tx, actor, need_id, items=given.item_codes, rights=given.rights, item_names=names)
    await queries.set_confirmed(tx, need_id, given.item_codes, given.rights)
