"""Use cases of enterprises."""

from infra.cipher import CannotOpenError
from infra.db import Transaction, hold
from market.accounts import queries as account_queries
from market.accounts import service as accounts
from market.accounts.model import Role
from market.enterprises import queries, uscc
from market.enterprises.model import Enterprise, OwnEnterprise, Party, Profile, Registration
from market.errors import ContactUnreadable, InvalidInput, NotFound
from market.i18n import N_, _
from market.regions import queries as regions
from market.regions.model import full_name

INDIVIDUAL = "individual"
OTHER = "other"
ALREADY_REGISTERED = N_("这家单位已经登记。请用已有账号登录；如果是窗口代为登记的，请联系骨干节点开通账号。")
UNKNOWN_REGION = N_("没有这个地区，请从列表中选择。")


async def register(tx: Transaction, form: Registration, password_hash: str) -> int:
    """A new enterprise with its first account; the account's id.

    Raises:
        InvalidInput: all at once, by field: the code, the region, the kind, the login.
    """
    fields = uscc.problem(form.uscc)
    if await regions.region(tx, form.region_code) is None:
        fields["region_code"] = _(UNKNOWN_REGION)
    if form.kind not in await queries.kinds(tx) or form.kind == INDIVIDUAL:
        fields["kind"] = _("请从列表中选择企业类型。")
    if await account_queries.is_taken(tx, form.login):
        fields["login"] = accounts.LOGIN_TAKEN
    if fields:
        raise InvalidInput(fields=fields)
    enterprise_id = await queries.insert(
        tx,
        name=form.name,
        uscc=uscc.validate(form.uscc),
        kind=form.kind,
        region_code=form.region_code,
        contact_name=form.contact_name,
        contact_phone=form.contact_phone,
    )
    if enterprise_id is None:  # whoever knows a code must not get at the needs filed under it
        raise InvalidInput(fields={"uscc": _(ALREADY_REGISTERED)})
    return await accounts.create(
        tx,
        login=form.login,
        password_hash=password_hash,
        name=form.contact_name,
        role=Role.ENTERPRISE,
        enterprise_id=enterprise_id,
    )


async def find_or_add(tx: Transaction, party: Party) -> int:
    """The id of the enterprise or person a clerk files for.

    Raises:
        InvalidInput: the code or the region cannot be right.
    """
    fields = uscc.problem(party.uscc, "party.uscc") if party.uscc else {}
    if await regions.region(tx, party.region_code) is None:
        fields["party.region_code"] = _(UNKNOWN_REGION)
    if fields:
        raise InvalidInput(fields=fields)
    code = uscc.validate(party.uscc) if party.uscc else None
    known = await queries.by_uscc(tx, code) if code else None
    if known:
        return known.id
    enterprise_id = await queries.insert(
        tx,
        name=party.name,
        uscc=code,
        kind=OTHER if code else INDIVIDUAL,
        region_code=party.region_code,
        contact_name=party.contact_name,
        contact_phone=party.contact_phone,
    )
    if enterprise_id is None:  # another counter added it between the look and the insert
        return await find_or_add(tx, party)
    return enterprise_id


async def region_code(tx: Transaction, enterprise_id: int) -> str:
    """Where the enterprise is at home."""
    return (await find(tx, enterprise_id)).region_code


async def find(tx: Transaction, enterprise_id: int) -> Enterprise:
    """The enterprise.

    Raises:
        NotFound: there is none.
    """
    enterprise = await queries.by_id(tx, enterprise_id)
    if enterprise is None:
        raise NotFound
    return enterprise


async def own(tx: Transaction, enterprise_id: int) -> OwnEnterprise:
    """The enterprise with its contact, for its own people.

    Raises:
        NotFound: there is none.
        ContactUnreadable: the key is not there.
    """
    try:
        enterprise = await queries.own(tx, enterprise_id)
    except CannotOpenError:
        raise ContactUnreadable from None
    if enterprise is None:
        raise NotFound
    return enterprise


async def held(tx: Transaction, enterprise_id: int) -> OwnEnterprise:
    """As ``own``, while nobody else changes it."""
    await hold(tx, f"enterprise {enterprise_id}")
    return await own(tx, enterprise_id)


async def profile(tx: Transaction, enterprise_id: int) -> Profile:
    """The enterprise in words, as its own people see it."""
    enterprise = await own(tx, enterprise_id)
    kinds = await queries.kinds(tx)
    above = await regions.above(tx, [enterprise.region_code])
    return Profile(enterprise, kinds[enterprise.kind], full_name(enterprise.region_code, above))
