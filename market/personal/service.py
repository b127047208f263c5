"""Use cases: who saw my contact, erase it on request and after its time; and seal what lies in the clear."""

from collections.abc import Callable, Sequence

from infra import fields
from infra.cipher import CannotOpenError
from infra.db import Database, Transaction
from market import masking
from market.accounts.model import Role
from market.audit import service as audit
from market.audit.model import TERMINAL, WORKER, Action, Who
from market.enterprises import queries as enterprises
from market.errors import Conflict, NotFound
from market.i18n import _
from market.needs import queries as needs
from market.needs.model import Contact
from market.personal import queries
from market.personal.model import Erased, Filed, Owner, View

VIEW_ROWS = 50
BATCH = 500
NOBODYS = Contact("", "", "")


async def views(tx: Transaction, enterprise_id: int, need_id: int | None = None) -> list[View]:
    """Who saw the contacts of an enterprise's needs, a row a person, need and day: the last first."""
    return await queries.views(tx, enterprise_id, need_id, VIEW_ROWS)


# erasing an account --------------------------------------------------------------------------------------------------


async def open_needs(tx: Transaction, account_id: int) -> list[int]:
    """Needs for which the account's data is still used: until they have ended nothing is erased."""
    owner = await queries.owner(tx, account_id)
    return [] if owner is None else [one.id for one in await _of(tx, owner) if one.open]


async def ask(tx: Transaction, who: Who) -> bool:
    """Erase whoever asks, or note that it is to be done once nothing of theirs is open; whether it is done.

    Raises:
        Conflict: of staff and institutions the names stand under what they decided: an admin closes them.
    """
    if who.role != Role.ENTERPRISE:
        raise Conflict(_("工作人员和机构的姓名是履职记录的一部分。离岗后请管理员删除。"))
    if await queries.ask(tx, who.id):
        await audit.record(tx, who, Action.ASK_ERASURE, f"account:{who.id}")
    if await open_needs(tx, who.id):
        return False
    await erase_account(tx, who.id, who)
    return True


async def erase_account(tx: Transaction, account_id: int, who: Who | None = None, *, role: str = WORKER) -> Erased:
    """Erase the account's personal data; done again, it finds nothing left. ``role``: who, if no account.

    Raises:
        NotFound: there is no such account.
        Conflict: a need is still open.
    """
    owner = await queries.owner(tx, account_id)
    if owner is None:
        raise NotFound
    if owner.erased:
        return Erased(0)
    filed = await _of(tx, owner)
    if still := [str(one.id) for one in filed if one.open]:
        raise Conflict(_("需求 {ids} 还在办理，办结或撤回后才能删除。", ids="、".join(still)))
    for one in filed:
        await _erase_need(tx, one, owner.name)
    profiles = int(await _is_contact(tx, owner))
    if profiles and owner.enterprise_id is not None:
        await queries.erase_enterprise(tx, owner.enterprise_id)
    await queries.erase_account(tx, owner.id)
    await audit.record(tx, who, Action.ERASE, f"account:{owner.id}", role=role, needs=len(filed), profiles=profiles)
    return Erased(len(filed), profiles)


async def erase_waiting(database: Database) -> int:
    """Erase whoever asked and has nothing open any more, each in a transaction; how many."""
    async with database.reading() as tx:
        accounts = await queries.waiting(tx)
    count = 0
    for account_id in accounts:
        async with database.transaction() as tx:
            if await open_needs(tx, account_id):
                continue
            await erase_account(tx, account_id)
        count += 1
    return count


async def _of(tx: Transaction, owner: Owner) -> list[Filed]:
    """The needs whose contact the account's owner is: those they filed, and those of colleagues that name them.

    A clerk files for others, and is nobody's contact.
    """
    if owner.role != Role.ENTERPRISE:
        return []
    return [
        one
        for one in await queries.of_account(tx, owner.id)
        if one.submitted_by == owner.id or (await _contact(tx, one.id)).name == owner.name
    ]


async def _is_contact(tx: Transaction, owner: Owner) -> bool:
    """Whether the contact in the enterprise's profile is the account's owner, as far as names tell."""
    if owner.enterprise_id is None:
        return False
    if owner.alone:
        return True
    try:
        known = await enterprises.own(tx, owner.enterprise_id)
    except CannotOpenError:
        return False
    return known is not None and known.contact_name == owner.name


# erasing needs -------------------------------------------------------------------------------------------------------


async def erase_needs(tx: Transaction, ids: Sequence[int], *, role: str = TERMINAL) -> Erased:
    """Erase the contacts of these needs, and of parties that have no account; for a written request.

    Raises:
        NotFound: one of them is not there.
        Conflict: one is still open.
    """
    filed = await queries.by_ids(tx, ids)
    if len(filed) < len(set(ids)):
        raise NotFound
    if still := [str(one.id) for one in filed if one.open]:
        raise Conflict(_("需求 {ids} 还在办理，办结或撤回后才能删除。", ids="、".join(still)))
    for one in filed:
        await _erase_need(tx, one)
        await audit.record(tx, None, Action.ERASE, f"need:{one.id}", role=role)
    profiles = [one for one in {one.enterprise_id for one in filed} if not await queries.has_account(tx, one)]
    for enterprise_id in profiles:
        await queries.erase_enterprise(tx, enterprise_id)
    return Erased(len(filed), len(profiles))


async def by_phone(tx: Transaction, phone: str) -> list[int]:
    """The needs with that telephone number. Opens every contact there is: for a written request, not for a page."""
    wanted, found, after = _digits(phone), [], 0
    while rows := await queries.with_contact(tx, after, BATCH):
        found += [one.id for one in rows if _digits((await _contact(tx, one.id)).phone) == wanted]
        after = rows[-1].id
    return found


async def forget_contacts(tx: Transaction, days: int, limit: int = BATCH) -> int:
    """Erase up to ``limit`` contacts of needs to which nothing has happened for so many days; how many were found."""
    found = await queries.old(tx, days, limit)
    for one in found:
        await _erase_need(tx, one)
        await audit.record(tx, None, Action.ERASE, f"need:{one.id}", role=WORKER, after_days=days)
    return len(found)


async def _erase_need(tx: Transaction, one: Filed, *names: str) -> None:
    known = await _contact(tx, one.id)
    await queries.erase_need(tx, one.id, masking.scrub(one.body, *names, known.name, known.phone))


async def _contact(tx: Transaction, need_id: int) -> Contact:
    """The contact; nobody's where its key is lost: then it is erased all the same."""
    try:
        return await needs.contact(tx, need_id)
    except CannotOpenError:
        return NOBODYS


def _digits(phone: str) -> str:
    return "".join(one for one in phone if one.isdigit()).removeprefix("86")[-11:]


# sealing what lies in the clear --------------------------------------------------------------------------------------


async def seal_all(
    database: Database, table: fields.Table, batch: int = BATCH, tell: Callable[[int], None] | None = None
) -> int:
    """Seal all rows of the table with the newest key, a transaction a batch; how many. Stopped, it goes on next time.

    ``tell`` hears how many a batch had.
    """
    sealed, after = 0, 0
    while True:
        async with database.transaction() as tx:
            done, last = await fields.seal_rows(tx, table, after, batch)
        sealed += done
        if tell:
            tell(done)
        if last is None:
            return sealed
        after = last
