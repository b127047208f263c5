"""Use cases of messages: tell people of events, let them read and choose."""

import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time
from typing import Annotated, Any

from msgspec import Meta, Struct

from infra import outbox
from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.calendars.model import ZONE
from market.calendars.service import Deadlines
from market.errors import InvalidInput, NotFound, TooManyAttempts
from market.i18n import _
from market.messages import delivery_queries, hooks, queries, signing
from market.messages.model import (
    DEFAULT_CHOICE,
    DIGEST_AT,
    Channel,
    Choice,
    DigestReader,
    Message,
    NewMessage,
    Purpose,
    Recipient,
    Subject,
    after_quiet,
    digest_day,
    wants_digest,
    wants_now,
)
from market.messages.tellings import SUBJECTS, Address, Audience, Facts, Group, Telling, addresses, tellings

DAY_SECONDS = 24 * 3600
LETTERS_A_DAY = 5
"""Confirmations, and tests, that an account may ask for: nobody's mailbox is filled by us."""
STAFF_OF_RATINGS = frozenset({Role.INSTITUTION, Role.COORDINATOR, Role.ADMIN})
"""Roles for which a rating has a page of its own; the others find it with their need."""


# telling -------------------------------------------------------------------------------------------------------------


async def tell(tx: Transaction, rows: Sequence[outbox.Telling], *, mails: bool) -> int:
    """Write the messages that these events ask for, and what goes out of the house; how many messages.

    ``mails``: whether there is a mail server. The rows are taken from the outbox in the same transaction.
    """
    by_source: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        by_source[row.payload["source"]].append(row.payload["id"])
    found = [one for source, ids in by_source.items() for one in await queries.facts(tx, source, ids)]
    return await tell_facts(tx, sorted(found, key=lambda one: (one.at, one.id)), mails=mails)


async def tell_facts(tx: Transaction, found: Iterable[Facts], *, mails: bool) -> int:
    """As ``tell``, of what is known already."""
    asked = [(one, telling, addresses(one, telling.to)) for one in found for telling in tellings(one)]
    wanted: dict[Group, set[int]] = defaultdict(set)
    for _one, _telling, places in asked:
        for group, object_id in places:
            wanted[group].add(object_id)
    if not wanted:
        return 0
    living = _by_address(await queries.recipients(tx, wanted))
    now = datetime.now(UTC)
    new: dict[tuple[str, int, int], NewMessage] = {}
    for one, telling, places in asked:
        for recipient in (who for place in places for who in living.get(place, ())):
            if recipient.id != one.actor_id:
                new.setdefault((one.source, one.id, recipient.id), _message(one, telling, recipient, now, mails=mails))
    return await queries.add(tx, list(new.values())) if new else 0


def _by_address(recipients: Iterable[Recipient]) -> dict[Address, list[Recipient]]:
    found: dict[Address, list[Recipient]] = defaultdict(list)
    for one in recipients:
        found[Group.ACCOUNT, one.id].append(one)
        for group in (Group.ENTERPRISE, Group.INSTITUTION, Group.NODE):
            object_id: int | None = getattr(one, group)
            if object_id is not None and (group is not Group.NODE or one.role == Role.COORDINATOR):
                found[group, object_id].append(one)
    return found


def _message(facts: Facts, telling: Telling, recipient: Recipient, now: datetime, *, mails: bool) -> NewMessage:
    """What one account is told. The rated are not told which need an anonymous rating is of."""
    subject = SUBJECTS[facts.machine]
    hidden = facts.anonymous and facts.of_rating and recipient.role == Role.INSTITUTION
    data: dict[str, Any] = {
        "due": facts.due_at,
        "institution": facts.institution_name,
        "node": facts.node_name,
        "limit": facts.data.get("limit") or facts.data.get("step"),
        "rating_id": facts.rating_id if facts.of_rating else None,
        "revision_id": facts.revision_id,
        "item": facts.item_name,
        "supervision_id": facts.supervision_id,
        "period": facts.period,
        "institution_id": facts.institution_id if facts.period else None,
        "counter": (telling.to is Audience.PARTY and facts.at_counter) or None,
    }
    choice = recipient.choice(subject)
    by_mail = mails and recipient.mails
    at_once = by_mail and wants_now(choice, urgent=telling.urgent)
    return NewMessage(
        account_id=recipient.id,
        source=facts.source,
        source_id=facts.id,
        kind=telling.kind,
        subject=subject,
        urgent=telling.urgent,
        need_id=None if hidden else facts.need_id,
        data={name: value for name, value in data.items() if value is not None},
        for_digest=by_mail and wants_digest(choice, urgent=telling.urgent),
        mail_at=after_quiet(now, recipient.quiet_from, recipient.quiet_to) if at_once else None,
        hook=subject in recipient.hook_subjects,
    )


async def make_digests(tx: Transaction, deadlines: Deadlines, now: datetime) -> int:
    """Gather what waits for today's digests, for whoever's region works today; how many digests.

    Asked again the same day it makes none twice; what comes later waits for the next working day.
    """
    cut = datetime.combine(now.astimezone(ZONE).date(), DIGEST_AT, ZONE)
    found = [_digest(one, deadlines, now) for one in await delivery_queries.digest_readers(tx, cut)]
    return await delivery_queries.make_digests(tx, [one for one in found if one], cut)


def _digest(reader: DigestReader, deadlines: Deadlines, now: datetime) -> dict[str, Any] | None:
    day = digest_day(now, deadlines.calendar(reader.region_code))
    next_at = after_quiet(now, reader.quiet_from, reader.quiet_to)
    return None if day is None else {"account_id": reader.id, "day": day, "next_at": next_at}


# reading -------------------------------------------------------------------------------------------------------------


async def listing(
    tx: Transaction, actor: Actor, *, unread: bool, after: tuple[bool, int] | None, limit: int
) -> list[Message]:
    """The actor's messages, unread first, then the newest first."""
    return await queries.page(tx, actor, unread=unread, after=after, limit=limit)


async def read(tx: Transaction, actor: Actor, message_id: int) -> Message:
    """A message of the actor's, now read.

    Raises:
        NotFound: it is somebody else's, or gone.
    """
    await queries.read(tx, actor.id, message_id)
    message = await queries.find(tx, actor, message_id)
    if message is None:
        raise NotFound
    return message


def link_of(message: Message, role: Role) -> str | None:
    """Where the reader goes on; None where there is nothing more to see."""
    data = message.data
    if message.subject is Subject.ACCOUNT:
        return "/account/messages"
    if "revision_id" in data:
        return f"/lists/{data['revision_id']}"
    if "supervision_id" in data:
        return f"/supervision/{data['supervision_id']}"
    if "period" in data:
        return f"/ledger/{data['institution_id']}?period={data['period']}"
    if "rating_id" in data and role in STAFF_OF_RATINGS:
        return f"/ratings/{data['rating_id']}"
    return f"/needs/{message.need_id}" if message.readable else None


# choosing ------------------------------------------------------------------------------------------------------------

# What mail servers everywhere take; addresses in other scripts are not among them.
MailAddress = Annotated[
    str,
    Meta(
        max_length=254,
        pattern=r"^[A-Za-z0-9._%+-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$",
    ),
]


class AddressForm(Struct, frozen=True):
    """Where letters go; none: nowhere."""

    address: MailAddress | None = None


Clock = Annotated[str, Meta(max_length=5, pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class ChoicesForm(Struct, frozen=True, kw_only=True):
    """How letters come. What a role is never told of is not asked."""

    needs: Choice
    deadlines: Choice
    ratings: Choice
    lists: Choice = DEFAULT_CHOICE
    supervision: Choice = DEFAULT_CHOICE
    account: Choice
    quiet_from: Clock
    quiet_to: Clock


class HookForm(Struct, frozen=True):
    """Where messages are posted, and which."""

    url: Annotated[str, Meta(min_length=1, max_length=500)]
    subjects: Annotated[tuple[Subject, ...], Meta(min_length=1, max_length=len(Subject))]


async def set_address(tx: Transaction, actor: Actor, form: AddressForm) -> None:
    """Have letters sent to another address, once that is confirmed from there; the same again: another confirmation.

    Raises:
        TooManyAttempts: the account has asked too often today.
    """
    now = await queries.settings(tx, actor.id)
    if form.address is None:
        await queries.set_address(tx, actor.id, None, None)
        await delivery_queries.drop(tx, actor.id, Channel.MAIL)
        return
    if form.address == now.address and now.confirmed_at is not None:
        return
    await _check_asked(tx, actor, Purpose.CONFIRM)
    if form.address != now.address:
        await queries.set_address(tx, actor.id, form.address, secrets.token_bytes(32))
        await delivery_queries.drop(tx, actor.id, Channel.MAIL)
    await delivery_queries.deliver(tx, actor.id, Channel.MAIL, Purpose.CONFIRM)


async def set_choices(tx: Transaction, actor: Actor, form: ChoicesForm) -> None:
    """How letters come from now on; what waits goes as it was to go."""
    choices = {subject: getattr(form, subject) for subject in Subject}
    quiet = (time.fromisoformat(one) for one in (form.quiet_from, form.quiet_to))
    await queries.set_choices(tx, actor.id, choices, *quiet)


async def set_webhook(tx: Transaction, actor: Actor, form: HookForm, *, private: bool) -> bytes | None:
    """Post messages to that address; a new address gets a new secret, which is returned this once.

    Raises:
        InvalidInput: the address is none that we post to.
    """
    try:
        await hooks.check(form.url, private=private)
    except hooks.Refused as refused:
        raise InvalidInput(fields={"url": str(refused)}) from None
    known = await queries.webhook(tx, actor.id)
    if known is not None and known.url == form.url:
        await queries.set_subjects(tx, actor.id, form.subjects)
        return None
    secret = secrets.token_bytes(32)
    await delivery_queries.drop(tx, actor.id, Channel.WEBHOOK)
    await queries.set_webhook(tx, actor.id, form.url, secret, form.subjects)
    return secret


async def test(tx: Transaction, actor: Actor, channel: Channel) -> None:
    """Send a test.

    Raises:
        NotFound: there is no confirmed address, or no webhook in use.
        TooManyAttempts: the account has asked too often today.
    """
    if channel is Channel.MAIL:
        ready = (await queries.settings(tx, actor.id)).confirmed_at is not None
    else:
        hook = await queries.webhook(tx, actor.id)
        ready = hook is not None and hook.disabled_at is None
    if not ready:
        raise NotFound
    await _check_asked(tx, actor, Purpose.TEST)
    await delivery_queries.deliver(tx, actor.id, channel, Purpose.TEST)


async def _check_asked(tx: Transaction, actor: Actor, purpose: Purpose) -> None:
    if await delivery_queries.asked_today(tx, actor.id, purpose) >= LETTERS_A_DAY:
        raise TooManyAttempts(DAY_SECONDS, _("今天已经寄了好几次，请先查收，也看看垃圾邮件箱；明天可以再试。"))


class Enclosed(Struct, frozen=True):
    """What a signed link in a letter says. ``at``: when it was written, in seconds; 0 where it does not matter."""

    account: int
    signature: str
    at: int = 0


async def confirm(tx: Transaction, link: Enclosed) -> None:
    """Letters go to the address from now on; confirming twice is confirming once.

    Raises:
        NotFound: the link is none of ours, too old, or of an address that was changed meanwhile.
    """
    key = (await queries.settings(tx, link.account)).mail_key
    if key is None or not signing.confirms(key, link.account, link.at, link.signature, datetime.now(UTC)):
        raise NotFound(_("这个链接不完整、过了 3 天，或邮箱后来改过。请登录后在消息设置里重新确认。"))
    await queries.confirm(tx, link.account, key)


async def stop(tx: Transaction, link: Enclosed) -> None:
    """No more letters to the address; stopping twice is stopping once.

    Raises:
        NotFound: the link is none of ours, or of an address that was changed meanwhile.
    """
    key = (await queries.settings(tx, link.account)).mail_key
    if key is None or not signing.stops(key, link.account, link.signature):
        raise NotFound(_("这个链接不完整，或邮箱后来改过，那里不会再收到邮件。"))
    await queries.stop_mail(tx, link.account, key)
