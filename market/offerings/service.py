"""Use cases of offerings."""

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.catalogue import queries as catalogue
from market.catalogue.model import Guide
from market.enterprises import queries as enterprises
from market.errors import EditedMeanwhile, Forbidden, InvalidInput, InvalidTransition, NotFound
from market.i18n import _
from market.offerings import queries
from market.offerings.model import (
    CHANNELS,
    Offering,
    OfferingFilter,
    OfferingForm,
    OfferingState,
)
from market.regions import queries as regions
from search.terms import like_patterns


async def browse(tx: Transaction, wanted: OfferingFilter, *, limit: int, offset: int = 0) -> list[Offering]:
    """Published offerings that fit, in no order of merit: what is shown where no search engine is asked."""
    return await queries.page(tx, wanted, like_patterns(wanted.q), limit=limit, offset=offset)


async def find(tx: Transaction, actor: Actor | None, offering_id: int, version: int | None = None) -> Offering:
    """The offering, if it is public or the actor's own; coordinators and admins see all.

    Raises:
        NotFound: there is none, or it is somebody else's draft.
    """
    offering = await queries.find(tx, offering_id, version)
    if offering is None:
        raise NotFound
    own = actor is not None and actor.institution_id == offering.institution_id
    staff = actor is not None and actor.role in (Role.COORDINATOR, Role.ADMIN)
    if offering.state is OfferingState.DRAFT and not own and not staff:
        raise NotFound
    return offering


async def publish(tx: Transaction, actor: Actor, form: OfferingForm, state: OfferingState) -> int:
    """A new offering of the actor's institution; its id.

    Raises:
        Forbidden: the actor is no institution.
        InvalidInput: by field.
        ItemWithdrawn: the item is not in force any more.
    """
    if actor.institution_id is None:
        raise Forbidden
    return await add(tx, actor.institution_id, form, state, created_by=actor.id)


async def add(
    tx: Transaction, institution_id: int, form: OfferingForm, state: OfferingState, *, created_by: int | None = None
) -> int:
    """A new offering of an institution; its id.

    Raises:
        InvalidInput: by field.
    """
    guide = await checked(tx, form, institution_id)
    offering_id = await queries.insert(tx, institution_id, form.item_code, state, form.capacity)
    await queries.insert_version(tx, offering_id, form, guide, created_by)
    return offering_id


async def revise(tx: Transaction, actor: Actor, offering_id: int, version: int, form: OfferingForm) -> None:
    """Store a new version of the actor's own offering; matches made before keep the old one.

    Raises:
        NotFound: it is not the actor's.
        EditedMeanwhile: somebody changed it since ``version`` was read.
        InvalidInput: by field; the item cannot change.
    """
    offering = await own(tx, actor, offering_id)
    if form.item_code != offering.item_code:
        raise InvalidInput(fields={"item_code": _("服务事项不能更换，请另外发布一项服务。")})
    guide = await checked(tx, form, offering.institution_id)
    if not await queries.bump(tx, offering_id, version):
        raise EditedMeanwhile
    await queries.insert_version(tx, offering_id, form, guide, actor.id)
    await queries.set_capacity(tx, offering_id, form.capacity)


async def set_state(tx: Transaction, actor: Actor, offering_id: int, state: OfferingState) -> None:
    """Publish or pause the actor's own offering.

    Raises:
        NotFound: it is not the actor's.
        InvalidTransition: what was once published does not become a draft again.
        ItemWithdrawn: to be published, under an item that is not in force any more.
    """
    offering = await own(tx, actor, offering_id)
    if state is OfferingState.DRAFT and offering.state is not OfferingState.DRAFT:
        raise InvalidTransition(_("发布过的服务不能退回草稿，可以暂停受理。"))
    await queries.set_state(tx, offering_id, state)


async def set_capacity(tx: Transaction, actor: Actor, offering_id: int, capacity: int) -> None:
    """How many needs the actor's own offering serves at once.

    Raises:
        NotFound: it is not the actor's.
    """
    await own(tx, actor, offering_id)
    await queries.set_capacity(tx, offering_id, capacity)


async def own(tx: Transaction, actor: Actor, offering_id: int) -> Offering:
    """The actor's own offering.

    Raises:
        NotFound: it is another's, or there is none.
    """
    offering = await queries.find(tx, offering_id)
    if offering is None or actor.institution_id != offering.institution_id:
        raise NotFound
    return offering


async def checked(tx: Transaction, form: OfferingForm, institution_id: int) -> Guide:
    """The guide the version will have.

    Raises:
        InvalidInput: an unknown item, region, audience or channel, or somebody else's item, by field.
    """
    fields = {}
    item = await catalogue.item(tx, form.item_code)
    if item is None:
        fields["item_code"] = _("没有这个服务事项，请从清单中选择。")
    elif item.withdrawn_on is not None:
        fields["item_code"] = _("这个服务事项已经撤销，不能再发布或修改它的服务；已派的单照旧办完。")
    elif item.institution_id not in (None, institution_id):
        fields["item_code"] = _(
            "这个事项在{institution}的个性化清单上，只有这家机构能提供。", institution=item.institution_name
        )
    known = await regions.named(tx, list(form.region_codes))
    if unknown := [code for code in form.region_codes if code not in known]:
        fields["region_codes"] = _("没有这些地区：{names}。请从列表中选择。", names=_("、").join(unknown))
    if not set(form.audience) <= (await enterprises.kinds(tx)).keys():
        fields["audience"] = _("请从列表中选择服务对象。")
    if not set(form.channels) <= set(CHANNELS):
        fields["channels"] = _("办理渠道只能是：{names}。", names=_("、").join(CHANNELS))
    if fields or item is None:
        raise InvalidInput(fields=fields)
    return form.guide or item.guide
