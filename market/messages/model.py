"""A message: what it is about, how people want it, when it goes out, and how its deliveries stand. Pure."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from msgspec import Struct

from market.calendars.model import ZONE, Calendar
from market.i18n import Words, _
from matching.types import Lang


class Subject(StrEnum):
    """What messages are about: people choose by it."""

    NEEDS = "needs"
    DEADLINES = "deadlines"
    RATINGS = "ratings"
    LISTS = "lists"
    SUPERVISION = "supervision"
    ACCOUNT = "account"


SUBJECT_NAMES: Mapping[Subject, str] = Words(
    {
        Subject.NEEDS: "需求和派单",
        Subject.DEADLINES: "期限",
        Subject.RATINGS: "评价和整改",
        Subject.LISTS: "事项清单",
        Subject.SUPERVISION: "台账和督导",
        Subject.ACCOUNT: "账号",
    }
)


class Choice(StrEnum):
    """How an account wants the mail about a subject."""

    NOW = "now"
    URGENT = "urgent"
    DAILY = "daily"
    NONE = "none"


CHOICE_NAMES: Mapping[Choice, str] = Words(
    {
        Choice.NOW: "每条都马上寄",
        Choice.URGENT: "急的马上寄，其余每天汇总",
        Choice.DAILY: "每天汇总",
        Choice.NONE: "不寄",
    }
)
DEFAULT_CHOICE = Choice.URGENT


# what is read --------------------------------------------------------------------------------------------------------


class Message(Struct, frozen=True, kw_only=True):
    """A message as its reader finds it. ``need_id``: None where the reader was not told which need it is."""

    id: int
    kind: str
    subject: Subject
    urgent: bool
    need_id: int | None
    readable: bool = False
    """Whether the need is the reader's still."""
    excerpt: str | None = None
    """How the need begins, for those who may read it."""
    data: dict[str, Any]
    at: datetime
    read_at: datetime | None


class Recipient(Struct, frozen=True, kw_only=True):
    """An account that may be told, and what it chose."""

    id: int
    role: str
    enterprise_id: int | None
    institution_id: int | None
    node_id: int | None
    mails: bool
    """It has an address, and confirmed it."""
    choices: dict[str, Choice]
    quiet_from: time
    quiet_to: time
    hook_subjects: tuple[str, ...]
    """What its webhook takes; nothing without one."""

    def choice(self, subject: Subject) -> Choice:
        """How it wants the mail about a subject."""
        return self.choices.get(subject, DEFAULT_CHOICE)


class NewMessage(Struct, frozen=True, kw_only=True):
    """A message to be written, and what goes out of the house."""

    account_id: int
    source: str
    source_id: int
    kind: str
    subject: Subject
    urgent: bool
    need_id: int | None
    data: dict[str, Any]
    for_digest: bool
    mail_at: datetime | None
    hook: bool


# when --------------------------------------------------------------------------------------------------------------

DIGEST_AT = time(8, 30)
"""Beijing time, on working days of the account's region."""
BACKOFF = (5, 60, 300, 1_800, 7_200, 18_000, 28_800, 32_400)
"""Seconds before each further attempt: a little over a day in all."""


def wants_now(choice: Choice, *, urgent: bool) -> bool:
    """Whether a letter of its own goes out."""
    return choice is Choice.NOW or (choice is Choice.URGENT and urgent)


def wants_digest(choice: Choice, *, urgent: bool) -> bool:
    """Whether it waits for the digest."""
    return choice is Choice.DAILY or (choice is Choice.URGENT and not urgent)


def after_quiet(now: datetime, quiet_from: time, quiet_to: time) -> datetime:
    """When a letter may go: now, or at the end of the quiet hours that hold ``now``.

    Letters never come in quiet hours, urgent ones neither; they do come on days off. Quiet hours that begin when they
    end are none. Beijing time, which knows no summer time.
    """
    local = now.astimezone(ZONE)
    at = local.time()
    over_night = quiet_from > quiet_to
    quiet = (at >= quiet_from or at < quiet_to) if over_night else quiet_from <= at < quiet_to
    if not quiet:
        return now
    ends = datetime.combine(local.date(), quiet_to, ZONE)
    return ends if ends > local else ends + timedelta(days=1)


def digest_day(now: datetime, calendar: Calendar) -> date | None:
    """The day whose digest is to be made now; None before its time and on days off."""
    local = now.astimezone(ZONE)
    return local.date() if local.time() >= DIGEST_AT and calendar.is_working(local.date()) else None


def wait_after(failures: int) -> int | None:
    """Seconds to wait after so many failures; None: that was the last attempt."""
    return BACKOFF[failures - 1] if failures <= len(BACKOFF) else None


# deliveries --------------------------------------------------------------------------------------------------------


class Channel(StrEnum):
    """A way out of the house."""

    MAIL = "mail"
    WEBHOOK = "webhook"


class Purpose(StrEnum):
    """What a delivery carries."""

    MESSAGE = "message"
    DIGEST = "digest"
    CONFIRM = "confirm"
    TEST = "test"


class DeliveryState(StrEnum):
    """Where a delivery stands. DROPPED: nobody wants it any more. PARKED: given up."""

    WAITING = "waiting"
    SENT = "sent"
    PARKED = "parked"
    DROPPED = "dropped"


DELIVERY_STATE_NAMES: Mapping[DeliveryState, str] = Words(
    {
        DeliveryState.WAITING: "等待寄出",
        DeliveryState.SENT: "已寄出",
        DeliveryState.PARKED: "没有寄成",
        DeliveryState.DROPPED: "已取消",
    }
)
PURPOSE_NAMES: Mapping[Purpose, str] = Words(
    {
        Purpose.MESSAGE: "消息",
        Purpose.DIGEST: "每日汇总",
        Purpose.CONFIRM: "确认地址",
        Purpose.TEST: "试寄",
    }
)
CHANNEL_NAMES: Mapping[Channel, str] = Words({Channel.MAIL: "邮件", Channel.WEBHOOK: "Webhook"})


class Delivery(Struct, frozen=True, kw_only=True):
    """One leased delivery, with where it goes."""

    id: int
    account_id: int
    channel: Channel
    purpose: Purpose
    message_id: int | None
    attempt: int
    """Fences off whoever lost the lease."""
    failures: int
    """Attempts that failed by what is delivered; while a mail server is away nothing counts."""
    created_at: datetime
    lang: Lang
    login: str
    address: str | None
    mail_key: bytes | None
    confirmed: bool
    url: str | None
    secret: bytes | None


class Logged(Struct, frozen=True, kw_only=True):
    """A delivery in the log of its account."""

    id: int
    channel: Channel
    purpose: Purpose
    state: DeliveryState
    failures: int
    last_error: str | None
    created_at: datetime
    ended_at: datetime | None
    next_at: datetime

    @property
    def state_name(self) -> str:
        """The state in words."""
        return DELIVERY_STATE_NAMES[self.state]

    @property
    def problem(self) -> str:
        """What went wrong, in words for whoever can mend it; empty where nothing did, or it went well at last."""
        error = self.last_error if self.state is not DeliveryState.SENT else None
        kind, _sep, code = (error or "").partition(" ")
        words = {
            "": "",
            "SMTP": _("对方的邮件服务器没有收下（{code}），请检查邮箱地址", code=code),
            "HTTP": _("对方回答了 {code}", code=code),
            "timeout": _("对方没有及时回答"),
            "refused:": _("地址不是公网的 https 地址"),
        }
        return words.get(kind, _("没有连上对方"))


class DigestReader(Struct, frozen=True, kw_only=True):
    """Who has messages waiting for a digest. ``region_code``: whose working days count."""

    id: int
    region_code: str
    quiet_from: time
    quiet_to: time


class Backlog(Struct, frozen=True):
    """How deliveries stand: how many wait, how many were given up, and how late the oldest is, in seconds."""

    waiting: int
    parked: int
    oldest_seconds: float


class MailSettings(Struct, frozen=True, kw_only=True):
    """What an account chose."""

    address: str | None = None
    mail_key: bytes | None = None
    confirmed_at: datetime | None = None
    choices: dict[str, Choice] = {}
    quiet_from: time = time(22)
    quiet_to: time = time(8)


class Webhook(Struct, frozen=True, kw_only=True):
    """Where an account's messages are posted."""

    url: str
    subjects: tuple[Subject, ...]
    created_at: datetime
    failing_since: datetime | None
    disabled_at: datetime | None
