"""The demo's ledger: closed as it would have been, so that late rulings are corrections; one supervision under way."""

from infra.db import Transaction
from market.accounts import queries as accounts
from market.calendars.service import Deadlines
from market.demo import queries
from market.ledger import recording
from market.supervision import queries as supervisions
from market.supervision import service as supervision
from market.supervision.model import Notice

ASKED = "请分析原因，写明整改措施、责任人和完成时间。"


async def store(tx: Transaction, deadlines: Deadlines) -> None:
    """Count the history up to each late ruling, close what was due by then; flag, and give one notice."""
    for ruling in await queries.rulings(tx):
        await recording.count_anew(tx, deadlines, ruling["id"] - 1)
        await recording.close_due(tx, deadlines, ruling["at"])
    await recording.bring_up_to_date(tx, deadlines)
    await supervision.flag(tx, supervision.today())
    coordinator = await accounts.actor_by_login(tx, "coordinator")
    assert coordinator is not None, "cast.store made it"
    places = await supervisions.places(tx)
    behind = [one for one in await supervisions.flagged(tx) if places[one].startswith(coordinator.node_prefix or "")]
    if behind:
        flags = await supervisions.flags(tx, behind[0])
        told = "".join(f"{flag.name}：{flag.words}。\n" for flag in flags)
        notice = Notice(institution_id=behind[0], note=told + ASKED)
        await supervision.give_notice(tx, coordinator, notice, deadlines)
