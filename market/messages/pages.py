"""Pages of messages: the list, how they come, and where signed links in letters lead."""

from collections.abc import Mapping
from typing import Annotated, Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, PathParameter, QueryParameter, URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import Struct

from infra.db import Transaction, start_over
from market.accounts.model import Role
from market.auth import allow
from market.errors import DomainError
from market.forms import decode
from market.i18n import Words, lang
from market.messages import delivery_queries, queries, service
from market.messages.model import CHANNEL_NAMES, CHOICE_NAMES, PURPOSE_NAMES, SUBJECT_NAMES, Channel, Message, Subject
from market.messages.service import AddressForm, ChoicesForm, Enclosed, HookForm
from market.messages.signing import show_secret
from market.messages.words import render
from market.web import (
    MOST_ID,
    AppRequest,
    Id,
    PathId,
    Rejected,
    actor_of,
    go,
    page,
    page_of,
    read_cursor,
    services,
)

Form = URLEncodedBody[dict[str, Any]]
ROWS = 30
LOG_ROWS = 20
HINTS = Words(
    {
        "address": "请填写完整的邮箱，例如 wang@example.cn；只用英文字母、数字和 . _ % + -。",
        "quiet_from": "请按 22:00 的样子填写时间。",
        "quiet_to": "请按 08:00 的样子填写时间。",
    }
)
NEVER_TOLD: Mapping[Subject, tuple[Role, ...]] = {
    Subject.LISTS: (Role.ENTERPRISE, Role.CLERK),
    Subject.SUPERVISION: (Role.ENTERPRISE, Role.CLERK, Role.ADMIN),
}
LinkAccount = Annotated[int, QueryParameter(name="account", ge=1, le=MOST_ID)]
LinkSignature = Annotated[str, QueryParameter(name="signature", max_length=100)]
LinkAt = Annotated[int, QueryParameter(name="at", ge=0, le=2**40)]


class Seen(Struct, frozen=True):
    """The newest message on the page."""

    up_to: Id


class Row(Struct, frozen=True, kw_only=True):
    """A message in the list."""

    told: Message
    title: str
    body: str


@get("/messages", guards=[allow()])
async def listing(
    request: AppRequest, tx: NamedDependency[Transaction], cursor: FromQuery[str | None] = None
) -> Template:
    """One's messages, unread first."""
    after = read_cursor(cursor, tuple[bool, int])
    rows = await service.listing(tx, actor_of(request), unread=False, after=after, limit=ROWS + 1)
    found = page_of(rows, ROWS, lambda row: (row.read_at is None, row.id))
    return page(
        "messages/list.html",
        rows=[_row(one) for one in found.items],
        next=found.next,
        newest=max((one.id for one in found.items if one.read_at is None), default=None),
        subjects=SUBJECT_NAMES,
        first=cursor is None,
    )


@get("/messages/{message_id:int}", guards=[allow()])
async def show(request: AppRequest, tx: NamedDependency[Transaction], message_id: PathId) -> Redirect:
    """Go on to what a message is about; it is read by that."""
    actor = actor_of(request)
    message = await service.read(tx, actor, message_id)
    return go(service.link_of(message, actor.role) or f"/messages#m-{message_id}")


@post("/messages/read", guards=[allow()])
async def read_all(request: AppRequest, tx: NamedDependency[Transaction], data: Form) -> Redirect:
    """Mark everything read that was on the page; what has come meanwhile stays unread."""
    await queries.read_all(tx, actor_of(request).id, decode(Seen, data).up_to)
    return go("/messages")


# how messages come ---------------------------------------------------------------------------------------------------


@get("/account/messages", guards=[allow()])
async def settings(request: AppRequest, tx: NamedDependency[Transaction]) -> Template:
    """How one's messages come."""
    return await _settings_page(request, tx)


@post("/account/messages/address", guards=[allow()])
async def set_address(request: AppRequest, tx: NamedDependency[Transaction], data: Form) -> Redirect:
    """Another address for letters, or none."""
    try:
        await service.set_address(tx, actor_of(request), decode(AddressForm, data, HINTS))
    except DomainError as error:
        raise await _rejected(request, tx, data, error) from None
    return go("/account/messages#mail")


@post("/account/messages/choices", guards=[allow()])
async def set_choices(request: AppRequest, tx: NamedDependency[Transaction], data: Form) -> Redirect:
    """How letters come."""
    try:
        await service.set_choices(tx, actor_of(request), decode(ChoicesForm, data, HINTS))
    except DomainError as error:
        raise await _rejected(request, tx, data, error) from None
    return go("/account/messages#mail")


@post("/account/messages/webhook", guards=[allow()], status_code=200)
async def set_webhook(request: AppRequest, tx: NamedDependency[Transaction], data: Form) -> Template:
    """Another webhook. Its secret is shown here and never again, so there is no redirect that would lose it."""
    private = services(request).settings.private_webhooks
    try:
        secret = await service.set_webhook(tx, actor_of(request), decode(HookForm, data), private=private)
    except DomainError as error:
        raise await _rejected(request, tx, data, error) from None
    return await _settings_page(request, tx, secret=show_secret(secret) if secret else None)


@post("/account/messages/webhook/remove", guards=[allow()])
async def remove_webhook(request: AppRequest, tx: NamedDependency[Transaction]) -> Redirect:
    """No webhook any more."""
    await queries.drop_webhook(tx, actor_of(request).id)
    return go("/account/messages#webhook")


@post("/account/messages/test/{channel:str}", guards=[allow()])
async def test(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    channel: Annotated[Channel, PathParameter()],
) -> Redirect:
    """Send a test."""
    try:
        await service.test(tx, actor_of(request), channel)
    except DomainError as error:
        raise await _rejected(request, tx, {}, error) from None
    return go("/account/messages#log")


# links in letters ----------------------------------------------------------------------------------------------------


@get("/mail/confirm")
async def ask_to_confirm(account: LinkAccount = 1, signature: LinkSignature = "", at: LinkAt = 0) -> Template:
    """A button that confirms: mail servers open links by themselves."""
    return _link_page("confirm", Enclosed(account, signature, at))


@post("/mail/confirm")
async def confirm(
    tx: NamedDependency[Transaction], account: LinkAccount = 1, signature: LinkSignature = "", at: LinkAt = 0
) -> Template:
    """Letters go to the address from now on."""
    await service.confirm(tx, Enclosed(account, signature, at))
    return page("messages/link.html", step="confirmed", link=None)


@get("/mail/stop")
async def ask_to_stop(account: LinkAccount = 1, signature: LinkSignature = "") -> Template:
    """A button that stops letters."""
    return _link_page("stop", Enclosed(account, signature))


@post("/mail/stop", status_code=200)
async def stop(tx: NamedDependency[Transaction], account: LinkAccount = 1, signature: LinkSignature = "") -> Template:
    """No more letters: from the page, or from the mail program's own button (RFC 8058)."""
    await service.stop(tx, Enclosed(account, signature))
    return page("messages/link.html", step="stopped", link=None)


def _link_page(step: str, link: Enclosed) -> Template:
    return page("messages/link.html", step=step, link=link)


def _row(one: Message) -> Row:
    text = render(one.kind, one.need_id, one.data, lang())
    return Row(told=one, title=text.title, body=text.body)


async def _rejected(request: AppRequest, tx: Transaction, typed: Mapping[str, Any], error: DomainError) -> Rejected:
    """The settings again with what was typed, and what is wrong with it."""
    await start_over(tx)
    return Rejected(await _settings_page(request, tx, typed=typed, error=error))


async def _settings_page(
    request: AppRequest,
    tx: Transaction,
    *,
    typed: Mapping[str, Any] | None = None,
    error: DomainError | None = None,
    secret: str | None = None,
) -> Template:
    actor, held = actor_of(request), services(request).settings
    chosen = await queries.settings(tx, actor.id)
    hook = await queries.webhook(tx, actor.id)
    values: dict[str, Any] = {
        "address": chosen.address,
        "quiet_from": f"{chosen.quiet_from:%H:%M}",
        "quiet_to": f"{chosen.quiet_to:%H:%M}",
        "url": hook.url if hook else "",
        "subjects": [one.value for one in (hook.subjects if hook else Subject)],
        **{subject.value: chosen.choices.get(subject, "urgent") for subject in Subject},
    }
    return page(
        "messages/settings.html",
        status=error.status if error else 200,
        notice=("bad", error.detail) if error and not error.fields else None,
        values={**values, **(typed or {})},
        errors=error.fields if error else {},
        chosen=chosen,
        hook=hook,
        secret=secret,
        log=await delivery_queries.log(tx, actor.id, LOG_ROWS),
        mails=held.smtp_url is not None,
        subjects=_subjects(actor.role),
        choices=CHOICE_NAMES,
        channels=CHANNEL_NAMES,
        purposes=PURPOSE_NAMES,
    )


def _subjects(role: Role) -> Mapping[Subject, str]:
    """What the role may be told of."""
    return {subject: name for subject, name in SUBJECT_NAMES.items() if role not in NEVER_TOLD.get(subject, ())}


def router() -> Router:
    """The routes, for market.pages."""
    handlers = [listing, show, read_all, settings, set_address, set_choices, set_webhook, remove_webhook, test]
    letters = [ask_to_confirm, confirm, ask_to_stop, stop]
    return Router("/", route_handlers=[*handlers, *letters], include_in_schema=False)
