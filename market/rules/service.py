"""Use cases of rules."""

from collections.abc import Iterable

from infra.db import Transaction, hold
from market.accounts.model import Actor, Role
from market.audit import service as audit
from market.audit.model import Action
from market.errors import Forbidden, InvalidInput, NotFound
from market.i18n import _
from market.regions import queries as regions
from market.regions.model import NATION
from market.rules import queries
from market.rules.model import Rule, RuleChange, RuleName


async def in_force(tx: Transaction, region_code: str) -> list[Rule]:
    """Every rule as it holds in the region, in the order of RuleName.

    Raises:
        NotFound: there is no such region.
    """
    if await regions.region(tx, region_code) is None:
        raise NotFound(_("没有这个地区，请从列表中选择。"))
    order = list(RuleName)
    return sorted(await queries.in_force(tx, region_code), key=lambda rule: order.index(rule.name))


async def held(tx: Transaction, region_code: str) -> list[Rule]:
    """As ``in_force``, while nobody else changes the region's own."""
    await hold(tx, f"rules {region_code}")
    return await in_force(tx, region_code)


async def change(tx: Transaction, actor: Actor, region_code: str, changes: Iterable[RuleChange]) -> list[Rule]:
    """Set or give up a region's own limits; what is due already keeps its day.

    Raises:
        NotFound: there is no such region.
        Forbidden: the region lies outside of the coordinator's.
        InvalidInput: the nation, which has nobody above, gives up a limit; by the rule's name.
    """
    if actor.role not in (Role.COORDINATOR, Role.ADMIN) or not region_code.startswith(actor.node_prefix or ""):
        raise Forbidden(_("这个地区不在您的辖区内，不能修改它的期限。"))
    await held(tx, region_code)
    wrong = {}
    for one in changes:
        await audit.record(tx, actor, Action.SET_RULE, f"rule:{region_code}", name=one.name, days=one.working_days)
        if one.working_days is not None:
            await queries.put(tx, one.name, region_code, one.working_days, actor.login)
        elif region_code == NATION:
            wrong[str(one.name)] = _("全国的期限上面没有可以沿用的，请填写。")
        else:
            await queries.forget(tx, one.name, region_code)
    if wrong:
        raise InvalidInput(fields=wrong)
    return await in_force(tx, region_code)
