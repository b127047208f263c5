"""Use cases of guides."""

from infra.db import Transaction
from market.accounts.model import Actor
from market.calendars.model import ZONE
from market.catalogue import service as items
from market.catalogue.model import Guide, Limit
from market.errors import Forbidden
from market.guides import queries
from market.guides.model import ChannelForm, Complaints, ComplaintSource, PublicGuide
from market.i18n import _
from market.institutions import service as institutions
from market.institutions.model import Institution
from market.offerings import service as offerings


async def of_item(tx: Transaction, code: str, version: int | None = None) -> PublicGuide:
    """The guide of an item, in the version asked for or in its newest.

    Raises:
        NotFound: there is none.
    """
    item = await items.find(tx, code, version)
    owner = await institutions.find(tx, item.institution_id) if item.institution_id else None
    return PublicGuide(
        title=item.name,
        item_code=item.code,
        item_name=item.name,
        item_version=item.version,
        item_list=item.item_list,
        institution_name=owner.name if owner else None,
        address=owner.address if owner else None,
        phone=owner.phone if owner else None,
        guide=item.guide,
        complaints=await complaints(tx, item.guide, owner),
        fee=item.fee,
        statutory_limit=item.statutory_limit,
        promised_limit=item.promised_limit,
        effective_from=item.effective_from,
        effective_until=item.effective_until,
        withdrawn_on=item.withdrawn_on,
        url=f"/items/{item.code}",
    )


async def of_offering(
    tx: Transaction, actor: Actor | None, offering_id: int, version: int | None = None
) -> PublicGuide:
    """The guide of an offering, in the version asked for or in its current one.

    Raises:
        NotFound: there is none for this reader.
    """
    offering = await offerings.find(tx, actor, offering_id, version)
    item = await items.find(tx, offering.item_code, offering.item_version)
    owner = await institutions.find(tx, offering.institution_id)
    days = offering.promised_days
    return PublicGuide(
        title=offering.title,
        item_code=item.code,
        item_name=item.name,
        item_version=item.version,
        item_list=item.item_list,
        offering_id=offering.id,
        offering_version=offering.version,
        institution_name=owner.name,
        address=owner.address,
        phone=owner.phone,
        guide=offering.guide,
        complaints=await complaints(tx, offering.guide, owner),
        fee=offering.fee or None,
        statutory_limit=item.statutory_limit,
        promised_limit=None if days is None else Limit(days, "working_day" if days else "instant"),
        effective_from=offering.created_at.astimezone(ZONE).date(),
        effective_until=None,
        withdrawn_on=item.withdrawn_on,
        url=f"/offerings/{offering.id}",
    )


async def complaints(tx: Transaction, guide: Guide, owner: Institution | None) -> Complaints:
    """Where to complain or praise: as the guide says, or else its institution's channel, or else the node's."""
    if guide.supervision:
        return Complaints(channel=guide.supervision, source=ComplaintSource.GUIDE)
    if owner is not None:
        return Complaints(
            channel=_("电话 {phone}", phone=owner.phone), source=ComplaintSource.INSTITUTION, owner=owner.name
        )
    nodes = await queries.channels(tx)
    said = [node for node in nodes if node.supervision]
    if not said:
        who = nodes[0].name if nodes else _("当地知识产权管理部门")
        return Complaints(channel=_("请向{who}反映。", who=who), source=ComplaintSource.NOBODY)
    highest = [node for node in said if len(node.region_prefix) == len(said[0].region_prefix)]
    return Complaints(
        channel="\n".join(_("{label}：{words}", label=node.name, words=node.supervision) for node in highest),
        source=ComplaintSource.NODE,
        owner=_("、").join(node.name for node in highest),
    )


async def publish_channel(tx: Transaction, actor: Actor, form: ChannelForm) -> None:
    """Say where the actor's node wants complaints and praise.

    Raises:
        Forbidden: the actor has no node.
    """
    if actor.node_id is None:
        raise Forbidden
    await queries.set_channel(tx, actor.node_id, form.supervision)
