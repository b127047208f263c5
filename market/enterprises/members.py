"""Use cases of an enterprise's own people: the profile that needs start from, colleagues and their accounts."""

from msgspec import structs

from infra.db import Transaction
from market.accounts import service as accounts
from market.accounts.model import Actor, Role
from market.enterprises import queries, service
from market.enterprises.model import EnterpriseAction, Invited, Joining, OwnEnterprise, ProfileForm
from market.errors import Conflict, Forbidden, InvalidInput, LinkUsedUp, NotFound
from market.i18n import N_, _
from market.regions import queries as regions

INVITATION_SECONDS = 7 * 24 * 3600
USED_UP = N_("这个邀请链接已经用过、失效，或过了 7 天。请同事再发一个。")


def enterprise_of(actor: Actor) -> int:
    """The enterprise the actor acts for.

    Raises:
        Forbidden: none.
    """
    if actor.enterprise_id is None:
        raise Forbidden
    return actor.enterprise_id


async def change_profile(tx: Transaction, actor: Actor, form: ProfileForm) -> OwnEnterprise:
    """The profile as it is now: later needs start from it, those filed before keep what they had.

    Raises:
        Forbidden: the actor acts for no enterprise.
        InvalidInput: an unknown region, kind or industry, by field.
    """
    before = await service.held(tx, enterprise_of(actor))
    fields = {}
    if await regions.region(tx, form.region_code) is None:
        fields["region_code"] = _(service.UNKNOWN_REGION)
    own = before.kind == service.INDIVIDUAL
    if form.kind not in await queries.kinds(tx) or (form.kind == service.INDIVIDUAL) is not own:
        fields["kind"] = _("请从列表中选择企业类型。")
    known = {code for section in (await queries.divisions(tx)).values() for code in section}
    if form.industry_code is not None and form.industry_code not in known:
        fields["industry_code"] = _("请从列表中选择所属行业。")
    if fields:
        raise InvalidInput(fields=fields)
    if form.industry_code and before.industry_code and before.industry_code.startswith(form.industry_code):
        form = structs.replace(form, industry_code=before.industry_code)  # known more closely already
    changed = [name for name in form.__struct_fields__ if getattr(form, name) != getattr(before, name)]
    if changed:
        await queries.update(tx, before.id, form)
        await queries.add_event(tx, before.id, EnterpriseAction.CHANGE, actor.id, {"fields": changed})
    return await service.own(tx, before.id)


async def invite(tx: Transaction, actor: Actor) -> int:
    """A new invitation; its id goes into a sealed link.

    Raises:
        Forbidden: the actor acts for no enterprise.
    """
    enterprise_id = enterprise_of(actor)
    await queries.add_event(tx, enterprise_id, EnterpriseAction.INVITE, actor.id)
    return await queries.invite(tx, enterprise_id, actor.id)


async def invited(tx: Transaction, invitation_id: int) -> Invited:
    """Who invites to what.

    Raises:
        LinkUsedUp: the invitation was used, has run out, or whoever made it has no account any more.
    """
    found = await queries.invited(tx, invitation_id)
    if found is None:
        raise LinkUsedUp(_(USED_UP))
    return found


async def join(tx: Transaction, invitation_id: int, form: Joining, password_hash: str) -> int:
    """The colleague's new account; of two who use the link at once, one has it.

    Raises:
        LinkUsedUp: as ``invited``.
        InvalidInput: the login is taken.
    """
    enterprise_id = await queries.use(tx, invitation_id)
    if enterprise_id is None:
        raise LinkUsedUp(_(USED_UP))
    account_id = await accounts.create(
        tx,
        login=form.login,
        password_hash=password_hash,
        name=form.name,
        role=Role.ENTERPRISE,
        enterprise_id=enterprise_id,
    )
    await queries.add_event(tx, enterprise_id, EnterpriseAction.JOIN, account_id)
    return account_id


async def close(tx: Transaction, actor: Actor, account_id: int) -> None:
    """Close a colleague's account: its sessions, tokens and invitations end at once.

    Raises:
        Forbidden: the actor acts for no enterprise.
        NotFound: it is not the enterprise's, or closed already.
        Conflict: it is the actor's own, or the first.
    """
    enterprise_id = enterprise_of(actor)
    if account_id not in {one.id for one in await queries.members(tx, enterprise_id)}:
        raise NotFound
    if not await queries.close_member(tx, enterprise_id, account_id, actor.id):
        raise Conflict(_("您自己的账号和单位最早的账号不能在这里关闭；确实要关闭，请联系骨干节点。"))
    await queries.add_event(tx, enterprise_id, EnterpriseAction.CLOSE, actor.id, {"account_id": account_id})
