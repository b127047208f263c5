"""Use cases of the common list: an institution takes up items of it, and may not refuse what it took up."""

from infra.db import Transaction
from market.accounts.model import Actor
from market.catalogue import queries as catalogue
from market.errors import Forbidden, InvalidInput
from market.i18n import _
from market.lists import queries
from market.lists.model import Lists, TakeUp


async def take_up(tx: Transaction, actor: Actor, item_codes: tuple[str, ...] | None) -> int:
    """Take up items of the common list, None: all of it; how many were new.

    Raises:
        Forbidden: the actor is no institution.
        InvalidInput: a code that is not on the common list.
    """
    if actor.institution_id is None:
        raise Forbidden
    if item_codes is not None:
        known = {one.item_code for one in await queries.take_ups(tx, actor.institution_id)}
        if unknown := [code for code in item_codes if code not in known]:
            raise InvalidInput(fields={"item_codes": _("这些不在共性清单上：{codes}。", codes=_("、").join(unknown))})
    codes = None if item_codes is None else list(item_codes)
    return len(await queries.take_up(tx, actor.institution_id, codes, actor.id))


async def common(tx: Transaction, actor: Actor) -> list[TakeUp]:
    """The common list, and what of it the actor's institution has taken up.

    Raises:
        Forbidden: the actor is no institution.
    """
    if actor.institution_id is None:
        raise Forbidden
    return await queries.take_ups(tx, actor.institution_id)


async def of_institution(tx: Transaction, institution_id: int) -> Lists:
    """What an institution has on its lists now."""
    taken = [one for one in await queries.take_ups(tx, institution_id) if one.taken_up_at]
    own = await catalogue.of_institution(tx, institution_id)
    return Lists(taken_up=tuple(taken), specific=tuple(item.code for item in own if item.withdrawn_on is None))
