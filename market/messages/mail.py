"""Letters: put together, and handed to the mail server."""

import html
import ssl
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from enum import StrEnum
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import aiosmtplib
from msgspec import Struct

from infra.settings import Settings, SettingsError
from market.messages.model import Delivery, Message, Purpose
from market.messages.signing import sign_link
from market.messages.words import WORDS, Text, render
from matching.types import Lang

SECONDS = 20.0
"""For each answer of the mail server."""


class Fate(StrEnum):
    """What came of handing a letter over."""

    TAKEN = "taken"
    LATER = "later"
    """Refused for now, or cut off: the same letter again."""
    NEVER = "never"
    """Refused for good."""
    AWAY = "away"
    """No letter can be handed over now: that counts against none."""


class Handed(Struct, frozen=True):
    """What came of it; ``error`` names no address."""

    fate: Fate
    error: str | None = None


class Server(Struct, frozen=True):
    """The mail server of the settings."""

    host: str
    port: int
    tls: bool
    starttls: bool
    user: str | None
    password: str | None
    ca_file: str | None


def server_of(settings: Settings) -> Server:
    """What ``smtp_url`` says: smtps://user:password@host:465, smtp://user:password@host:587?starttls, smtp://host:25.

    Raises:
        SettingsError: it is no such address, or would send a password in the clear.
    """
    parts = urlsplit(settings.smtp_url or "")
    try:
        port = parts.port
    except ValueError:
        port = -1
    starttls = "starttls" in parse_qs(parts.query, keep_blank_values=True)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or port == -1:
        raise SettingsError("ZHIPEI_SMTP_URL: write smtps://user:password@host:465 or smtp://host:587?starttls")
    tls = parts.scheme == "smtps"
    if parts.username and not tls and not starttls:
        raise SettingsError("ZHIPEI_SMTP_URL: a password goes over smtps:// or ?starttls only")
    return Server(
        host=parts.hostname,
        port=port or (465 if tls else 587 if starttls else 25),
        tls=tls,
        starttls=starttls,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password or "") if parts.username else None,
        ca_file=None if settings.smtp_ca_file is None else str(settings.smtp_ca_file),
    )


# put together --------------------------------------------------------------------------------------------------------


def compose(delivery: Delivery, messages: Sequence[Message], settings: Settings) -> EmailMessage:
    """The letter of a delivery: the same, with the same Message-ID, however often it is put together."""
    assert delivery.address is not None
    assert delivery.mail_key is not None
    lang, own = delivery.lang, settings.address
    head, link = _head(delivery, messages, own)
    stop = f"{own}/mail/stop?" + urlencode(
        {"account": delivery.account_id, "signature": sign_link(delivery.mail_key, "stop", delivery.account_id)}
    )
    letter = envelope(settings, delivery.address, f"【{WORDS['_name'][lang].title}】{head.title}", delivery.created_at)
    letter["Message-ID"] = f"<zhipei-{delivery.id}-{delivery.created_at:%Y%m%d%H%M%S}@{urlsplit(own).hostname}>"
    rows = [(render(one.kind, one.need_id, one.data, lang), f"{own}/messages/{one.id}") for one in messages]
    if delivery.purpose is Purpose.MESSAGE:
        rows = []
    if delivery.purpose in (Purpose.MESSAGE, Purpose.DIGEST):  # RFC 8058: mail programs show a button for it
        letter["List-Unsubscribe"] = f"<{stop}>"
        letter["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    fill(letter, head, link, rows, lang, footer=None if delivery.purpose is Purpose.CONFIRM else (own, stop))
    return letter


def envelope(settings: Settings, address: str, subject: str, written: datetime) -> EmailMessage:
    """A letter without its text. Line breaks in a subject become spaces: a header is one line."""
    letter = EmailMessage(policy=SMTP)
    letter["Subject"] = " ".join(subject.split())
    letter["From"] = sender(settings)
    letter["To"] = Address(addr_spec=address)
    letter["Date"] = format_datetime(written)
    letter["Auto-Submitted"] = "auto-generated"
    return letter


def sender(settings: Settings) -> Address:
    """From whom letters come.

    Raises:
        SettingsError: the setting is no address.
    """
    name, address = parseaddr(settings.mail_from or f"noreply@{urlsplit(settings.address).hostname}")
    try:
        return Address(display_name=name or WORDS["_name"]["zh"].title, addr_spec=address)
    except (ValueError, IndexError) as error:
        raise SettingsError(f"ZHIPEI_MAIL_FROM is no address: {error}") from None


def _head(delivery: Delivery, messages: Sequence[Message], own: str) -> tuple[Text, str]:
    """The letter's own title and text, and where it leads."""
    lang, purpose = delivery.lang, delivery.purpose
    if purpose is Purpose.MESSAGE:
        one = messages[0]
        return render(one.kind, one.need_id, one.data, lang), f"{own}/messages/{one.id}"
    text = WORDS[f"_{purpose}"][lang]
    if purpose is Purpose.DIGEST:
        return Text(text.title.format(count=len(messages)), text.body), f"{own}/messages"
    if purpose is Purpose.TEST:
        return text, f"{own}/account/messages"
    assert delivery.mail_key is not None
    at = int(delivery.created_at.timestamp())
    signature = sign_link(delivery.mail_key, "confirm", delivery.account_id, at)
    query = urlencode({"account": delivery.account_id, "at": at, "signature": signature})
    return Text(text.title, text.body.format(login=delivery.login)), f"{own}/mail/confirm?{query}"


def fill(
    letter: EmailMessage,
    head: Text,
    link: str,
    rows: Sequence[tuple[Text, str]],
    lang: Lang,
    *,
    footer: tuple[str, str] | None,
) -> None:
    """The text, plain and as simple HTML; base64, for not every server takes eight bits."""
    open_word = WORDS["_open"][lang].title
    plain = [head.title, head.body, *(f"· {one.title}\n  {one.body}\n  {to}" for one, to in rows)]
    plain.append(f"{open_word}: {link}")
    rich = [f"<h1 style='font-size:18px'>{html.escape(head.title)}</h1>", f"<p>{html.escape(head.body)}</p>"]
    rich += [
        f"<p><a href='{html.escape(to)}'>{html.escape(one.title)}</a><br>{html.escape(one.body)}</p>"
        for one, to in rows
    ]
    rich.append(f"<p><a href='{html.escape(link)}'>{open_word}</a></p>")
    if footer is not None:
        own, stop = footer
        settings_word, stop_word = WORDS["_footer"][lang].title, WORDS["_footer"][lang].body
        plain.append(f"--\n{settings_word}: {own}/account/messages\n{stop_word}: {stop}")
        rich.append(
            f"<p style='color:#59616c;font-size:13px'><a href='{html.escape(own)}/account/messages'>{settings_word}</a>"
            f" · <a href='{html.escape(stop)}'>{stop_word}</a></p>"
        )
    letter.set_content("\n\n".join(plain) + "\n", cte="base64")
    page = f"<!doctype html><html lang='{lang}'><body style='font-family:sans-serif'>{''.join(rich)}</body></html>"
    letter.add_alternative(page, subtype="html", cte="base64")


# handed over ---------------------------------------------------------------------------------------------------------


async def hand_over(letter: EmailMessage, server: Server, *, seconds: float = SECONDS) -> Handed:
    """Give the letter to the mail server, over a connection of its own."""
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.tls,
        start_tls=server.starttls and not server.tls,
        username=server.user,
        password=server.password,
        timeout=seconds,
        tls_context=ssl.create_default_context(cafile=server.ca_file) if server.tls or server.starttls else None,
    )
    try:
        try:
            await client.connect()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            # Also a certificate that does not hold, and a password that is wrong: letters wait for whoever mends it.
            return Handed(Fate.AWAY, _named(error))
        return await _send(client, letter)
    finally:
        client.close()


async def _send(client: aiosmtplib.SMTP, letter: EmailMessage) -> Handed:
    try:
        await client.send_message(letter)
    except aiosmtplib.SMTPRecipientsRefused as refused:
        return _refused(refused.recipients[0].code)
    except aiosmtplib.SMTPResponseException as refused:
        return _refused(refused.code)
    except (aiosmtplib.SMTPException, OSError) as error:
        return Handed(Fate.LATER, _named(error))
    return Handed(Fate.TAKEN)


def _refused(code: int) -> Handed:
    """By the first digit: 4 for now, 5 for good. The server's words may name the address, and are left out."""
    return Handed(Fate.NEVER if code >= 500 else Fate.LATER, f"SMTP {code}")


def _named(error: Exception) -> str:
    """What kind of failure it was, with what is behind it."""
    cause = error.__cause__ or error.__context__
    code = f" {error.code}" if isinstance(error, aiosmtplib.SMTPResponseException) else ""
    return type(error).__name__ + code + (f": {type(cause).__name__}" if cause is not None else "")
