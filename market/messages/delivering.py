"""One delivery: put together, sent, and noted. At least once to the outside, under an id that never changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from infra.db import Database, Transaction
from infra.settings import Settings, SettingsError
from market.messages import delivery_queries, hooks, mail, queries, service
from market.messages.mail import Fate
from market.messages.model import Channel, Delivery, DeliveryState, Message, Purpose, wait_after
from market.messages.signing import sign_hook
from market.messages.tellings import Facts
from market.messages.words import WORDS, render

LEASE_SECONDS = 120.0
"""Longer than any one delivery takes; after that somebody else may try."""
AWAY_SECONDS = 30.0
HOOK_DAYS = 3
"""A webhook that has failed for so long is switched off."""

log = structlog.get_logger()


class Outcome(Struct, frozen=True):
    """What came of an attempt. ``failed``: it counts. ``away``: no other can be sent now either."""

    state: DeliveryState
    error: str | None = None
    failed: bool = False
    away: bool = False
    gone: bool = False


SENT, DROPPED = Outcome(DeliveryState.SENT), Outcome(DeliveryState.DROPPED)


async def carry(database: Database, settings: Settings, delivery: Delivery) -> Outcome:
    """Send one leased delivery and note what came of it.

    A process that dies between the two leaves the row: it is sent again, with the same id, for receivers to drop.
    """
    async with database.reading() as tx:
        messages = await delivery_queries.of_delivery(tx, delivery)
    try:
        outcome = await attempt(settings, delivery, messages)
    except SettingsError as error:
        outcome = Outcome(DeliveryState.WAITING, str(error), away=True)
    except Exception as error:  # whatever it is, it is this one's: the others go on, and a person finds it parked
        log.exception("delivery failed", delivery_id=delivery.id)
        outcome = _again(delivery, type(error).__name__)
    async with database.transaction() as tx:
        await settle(tx, delivery, outcome, mails=settings.smtp_url is not None)
    return outcome


async def attempt(settings: Settings, delivery: Delivery, messages: list[Message]) -> Outcome:
    """Send it, unless nobody wants it any more: read meanwhile, stopped, or the channel gone."""
    if delivery.channel is Channel.WEBHOOK:
        return await _post(settings, delivery, messages)
    unread = [one for one in messages if one.read_at is None]
    stopped = delivery.address is None or (delivery.purpose is not Purpose.CONFIRM and not delivery.confirmed)
    if stopped or (delivery.purpose in (Purpose.MESSAGE, Purpose.DIGEST) and not unread):
        return DROPPED
    handed = await mail.hand_over(mail.compose(delivery, unread, settings), mail.server_of(settings))
    outcomes = {
        Fate.TAKEN: SENT,
        Fate.NEVER: Outcome(DeliveryState.PARKED, handed.error, failed=True),
        Fate.AWAY: Outcome(DeliveryState.WAITING, handed.error, away=True),
        Fate.LATER: _again(delivery, handed.error),
    }
    return outcomes[handed.fate]


async def _post(settings: Settings, delivery: Delivery, messages: list[Message]) -> Outcome:
    if delivery.url is None or delivery.secret is None:
        return DROPPED
    body, hook_id = payload(delivery, messages, settings.address), f"msg_{delivery.id}"
    now = int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": hook_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign_hook(delivery.secret, hook_id, now, body),
        "User-Agent": "zhipei",
    }
    answer = await hooks.post(delivery.url, body, headers, private=settings.private_webhooks)
    if answer.error is None:
        return SENT
    if answer.gone:
        return Outcome(DeliveryState.PARKED, answer.error, failed=True, gone=True)
    return _again(delivery, answer.error)


def payload(delivery: Delivery, messages: list[Message], own: str) -> bytes:
    """What is posted: ``type``, ``timestamp``, ``data``, as Standard Webhooks has it; the words in both languages."""
    data: dict[str, Any] = {"text": {lang: msgspec.structs.asdict(WORDS["_test"][lang]) for lang in ("zh", "en")}}
    kind, at = "test", delivery.created_at
    for one in messages:
        kind, at = f"{one.subject}.{one.kind}", one.at
        data = {
            "message_id": one.id,
            "urgent": one.urgent,
            "need_id": one.need_id,
            "due_at": one.data.get("due"),
            "link": f"{own}/messages/{one.id}",
            "text": {
                lang: msgspec.structs.asdict(render(one.kind, one.need_id, one.data, lang)) for lang in ("zh", "en")
            },
        }
    return msgspec.json.encode({"type": kind, "timestamp": at, "data": data})


def _again(delivery: Delivery, error: str | None) -> Outcome:
    """Another attempt, unless this was the last; a test has one."""
    last = delivery.purpose is Purpose.TEST or wait_after(delivery.failures + 1) is None
    return Outcome(DeliveryState.PARKED if last else DeliveryState.WAITING, error, failed=True)


async def settle(tx: Transaction, delivery: Delivery, outcome: Outcome, *, mails: bool) -> None:
    """Note what came of an attempt; nothing if the lease has passed to another."""
    next_at = None
    if outcome.state is DeliveryState.WAITING:
        seconds = AWAY_SECONDS if outcome.away else wait_after(delivery.failures + 1)
        next_at = datetime.now(UTC) + timedelta(seconds=seconds or 0)
    mine = await delivery_queries.settle(
        tx, delivery, outcome.state, next_at=next_at, failed=outcome.failed, error=outcome.error
    )
    if not mine or delivery.channel is not Channel.WEBHOOK or outcome.state is DeliveryState.DROPPED:
        return
    well = outcome.state is DeliveryState.SENT
    if await queries.hook_fared(tx, delivery.account_id, well=well, days=HOOK_DAYS, gone=outcome.gone):
        await delivery_queries.drop(tx, delivery.account_id, Channel.WEBHOOK)
        happened = Facts(
            source="deliveries",
            id=delivery.id,
            machine="webhook",
            action="disable",
            from_state="",
            actor_id=None,
            data={"account_id": delivery.account_id},
            at=datetime.now(UTC),
        )
        await service.tell_facts(tx, [happened], mails=mails)
