"""Who is told of what, in which words, when, and by which signature. No servers."""

import base64
import hashlib
import hmac
import string
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from msgspec import structs

from infra.settings import Settings, SettingsError
from market.calendars.model import ZONE, Calendar
from market.deadlines import model as deadlines
from market.lists import model as lists
from market.matches import model as matches
from market.messages import hooks, mail, signing
from market.messages.model import (
    BACKOFF,
    Channel,
    Choice,
    Delivery,
    Message,
    Purpose,
    Subject,
    after_quiet,
    digest_day,
    wait_after,
    wants_digest,
    wants_now,
)
from market.messages.tellings import (
    SUBJECTS,
    TOLD,
    Audience,
    Facts,
    Group,
    Silence,
    Telling,
    addresses,
    tellings,
)
from market.messages.words import STEP_NAMES, WORDS, render
from market.needs import model as needs
from market.needs import service as need_service
from market.ratings import model as ratings
from market.supervision import model as supervision

MACHINES: dict[str, Any] = {
    "need": needs.TRANSITIONS,
    "match": matches.TRANSITIONS,
    "deadline": deadlines.TRANSITIONS,
    "rating": ratings.RATING_TRANSITIONS,
    "rectification": ratings.TRANSITIONS,
    "item": lists.TRANSITIONS,
    "supervision": supervision.TRANSITIONS,
}
BY_THE_WAY = {("letter", "write"), ("webhook", "disable"), ("ledger", "correct")}
"""What is told although no machine has it."""
KINDS = {one.kind for told in TOLD.values() if not isinstance(told, Silence) for one in told}
PLACES = {"about", "by", "institution", "node", "limit"}
AT = datetime(2026, 11, 25, 2, tzinfo=UTC)


def facts(machine: str = "match", action: str = "approve", **more: Any) -> Facts:
    given: dict[str, Any] = {
        "source": "events",
        "id": 1,
        "machine": machine,
        "action": action,
        "from_state": "proposed",
        "actor_id": 1,
        "data": {},
        "at": AT,
        "need_id": 7,
        "enterprise_id": 2,
        "submitted_by": 3,
        "node_id": 4,
        "owner_id": 5,
        "institution_id": 6,
    }
    return Facts(**{**given, **more})


# who -----------------------------------------------------------------------------------------------------------------


def test_every_action_of_every_machine_is_told_or_says_why_not() -> None:
    happen = {(machine, action.value) for machine, table in MACHINES.items() for _, action in table}
    happen |= {("deadline", action.value) for action in deadlines.DeadlineAction}
    assert set(TOLD) == happen | BY_THE_WAY
    for told in TOLD.values():
        assert told.why if isinstance(told, Silence) else told, "neither told nor explained"
    assert {machine for machine, _ in TOLD} == set(SUBJECTS)


def test_a_mere_proposal_is_told_to_no_institution_and_no_enterprise() -> None:
    for (machine, action), told in TOLD.items():
        if action == "propose":
            assert isinstance(told, Silence) or [one.to for one in told] == [Audience.OWNER], machine
    for action in ("supersede", "cancel"):
        considered = facts(action=action, from_state="proposed")
        assert addresses(considered, Audience.INSTITUTION) == ()
        assigned = facts(action=action, from_state="approved")
        assert addresses(assigned, Audience.INSTITUTION) == ((Group.INSTITUTION, 6),)
    assert addresses(facts(action="approve"), Audience.INSTITUTION) == ((Group.INSTITUTION, 6),)


def test_nobody_is_told_what_only_staff_may_see() -> None:
    outside = {Audience.PARTY, Audience.INSTITUTION}
    for (machine, action), told in TOLD.items():
        if action in need_service.AMONG_STAFF and machine == "need" and not isinstance(told, Silence):
            assert not outside & {one.to for one in told}, (machine, action)


@pytest.mark.parametrize("action", ["rate", "add_remark"])
def test_the_day_of_an_anonymous_rating_is_not_given_away(action: str) -> None:
    named = facts("rating", action, from_state="new")
    assert addresses(named, Audience.INSTITUTION) == ((Group.INSTITUTION, 6),)
    assert addresses(structs.replace(named, anonymous=True), Audience.INSTITUTION) == ()


def test_audiences_are_found_where_the_event_says() -> None:
    assert addresses(facts(), Audience.PARTY) == ((Group.ENTERPRISE, 2),)
    assert addresses(facts(at_counter=True), Audience.PARTY) == ((Group.ACCOUNT, 3),)
    assert addresses(facts(owner_id=None), Audience.OWNER) == ()
    assert addresses(facts(data={"from_id": 9}), Audience.FORMER) == ((Group.ACCOUNT, 9),)
    called = facts("deadline", "expire", data={"to": [{"institution_id": 6}, {"account_id": 5}, {"node_id": 4}]})
    assert addresses(called, Audience.ADDRESSED) == ((Group.INSTITUTION, 6), (Group.ACCOUNT, 5), (Group.NODE, 4))
    assert addresses(facts(writers=(8, 9)), Audience.WRITERS) == ((Group.ACCOUNT, 8), (Group.ACCOUNT, 9))
    for audience in Audience:
        assert isinstance(addresses(facts(), audience), tuple)


def test_an_unknown_event_is_told_to_nobody() -> None:
    assert tellings(facts("plan", "make")) == ()
    assert tellings(facts("need", "submit")) == ()
    assert tellings(facts("match", "deliver")) == (Telling(Audience.PARTY, "delivered", urgent=True),)


# words ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_kind_has_words_in_both_languages(kind: str, lang: Any) -> None:
    text = WORDS[kind][lang]
    used = {name for part in (text.title, text.body) for _, name, _, _ in string.Formatter().parse(part) if name}
    assert used <= PLACES
    assert not {"institution", "node"} & {n for _, n, _, _ in string.Formatter().parse(text.title)}, (
        "no names in subjects"
    )
    whole = {"due": "2026-12-01T10:00:00Z", "institution": "甲{0}中心", "node": "深圳节点", "limit": "accept"}
    for data in (whole, {}):
        told = render(kind, 12, data if "limit" not in used or data else {"limit": "match"}, lang)
        assert told.title
        assert told.body
        assert len(told.title) <= 80
        assert "None" not in told.title + told.body
    assert (lang == "zh") == any("\u4e00" <= one <= "\u9fff" for one in text.title)
    for word in ("非法", "系统异常", "失败"):
        assert word not in text.title + text.body


def test_no_words_are_left_over() -> None:
    assert {kind for kind in WORDS if not kind.startswith("_")} == KINDS
    assert all(set(both) == {"zh", "en"} for both in WORDS.values())


def test_both_languages_say_the_same_things() -> None:
    for kind, both in WORDS.items():
        named = [{n for _, n, _, _ in string.Formatter().parse(both[lang].body) if n} for lang in ("zh", "en")]  # type: ignore[index]
        assert named[0] - {"about"} == named[1] - {"about"}, kind


def test_days_in_words() -> None:
    due = {"due": "2035-11-25T10:00:00+00:00"}
    assert "请2035年11月25日（周日）前决定是否受理" in render("assignment", 3, due, "zh").body
    assert "decide by Sun 25 Nov 2035 whether" in render("assignment", 3, due, "en").body
    assert "请尽快决定" in render("assignment", 3, {}, "zh").body
    # just before midnight in UTC it is the next day in Beijing
    assert "26日" in render("assignment", 3, {"due": "2035-11-25T16:30:00+00:00"}, "zh").body


def test_of_an_anonymous_rating_no_need_is_named() -> None:
    assert "需求" not in render("remind", None, {"limit": "rectification_rectify"}, "zh").title
    assert render("review_asked", None, {"item": "专利{x}咨询"}, "zh").title == "事项「专利{x}咨询」等待审核"


def test_what_is_told_of_supervision_and_ledgers_says_which() -> None:
    states = set(supervision.SupervisionState) - {supervision.SupervisionState.NEW, supervision.SupervisionState.CLOSED}
    assert set(STEP_NAMES) == {state.value for state in states}, "every state with a clock has a name"
    of_clock = {"supervision_id": 3, "limit": "noticed", "due": "2035-11-25T10:00:00+00:00"}
    assert render("expire", None, of_clock, "zh").title == "督导 3 号的方案提交已超期"
    assert render("expire", None, of_clock, "en").title == "Supervision 3: overdue (plan)"
    assert render("ledger_corrected", None, {"period": "2026-07"}, "zh").title == "2026年7月的台账有更正"
    assert render("ledger_corrected", None, {"period": "2026-07"}, "en").title == "Ledger of 7/2026: corrected"


def test_whoever_filed_for_somebody_is_asked_to_tell_them() -> None:
    assert render("revisit", 3, {"counter": True}, "zh").body.endswith("请转告当事人。")
    assert render("revisit", 3, {"counter": True}, "en").body.endswith(
        ". You filed it at the counter; please tell them."
    )
    assert "转告" not in render("revisit", 3, {}, "zh").body


# when ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "urgent", "now", "digest"),
    [
        (Choice.NOW, False, True, False),
        (Choice.NOW, True, True, False),
        (Choice.URGENT, False, False, True),
        (Choice.URGENT, True, True, False),
        (Choice.DAILY, False, False, True),
        (Choice.DAILY, True, False, True),
        (Choice.NONE, False, False, False),
        (Choice.NONE, True, False, False),
    ],
)
def test_choices(choice: Choice, urgent: bool, now: bool, digest: bool) -> None:
    assert (wants_now(choice, urgent=urgent), wants_digest(choice, urgent=urgent)) == (now, digest)


@pytest.mark.parametrize(
    ("at", "quiet", "goes"),
    [
        ("21:59", ("22:00", "08:00"), "2026-11-25 21:59"),
        ("22:00", ("22:00", "08:00"), "2026-11-26 08:00"),
        ("23:59", ("22:00", "08:00"), "2026-11-26 08:00"),
        ("00:00", ("22:00", "08:00"), "2026-11-25 08:00"),
        ("07:59", ("22:00", "08:00"), "2026-11-25 08:00"),
        ("08:00", ("22:00", "08:00"), "2026-11-25 08:00"),
        ("12:30", ("12:00", "14:00"), "2026-11-25 14:00"),
        ("14:00", ("12:00", "14:00"), "2026-11-25 14:00"),
        ("03:00", ("00:00", "00:00"), "2026-11-25 03:00"),
        ("23:30", ("23:00", "00:00"), "2026-11-26 00:00"),
    ],
)
def test_quiet_hours(at: str, quiet: tuple[str, str], goes: str) -> None:
    now = datetime.fromisoformat(f"2026-11-25 {at}").replace(tzinfo=ZONE)
    found = after_quiet(now.astimezone(UTC), *(time.fromisoformat(one) for one in quiet))
    assert found == datetime.fromisoformat(goes).replace(tzinfo=ZONE)


def test_digests_come_on_working_days_from_half_past_eight() -> None:
    calendar = Calendar({date(2026, 11, 28): True, date(2026, 11, 27): False}, date(2026, 12, 31))

    def on(text: str) -> date | None:
        return digest_day(datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC), calendar)

    assert on("2026-11-26 08:29") is None
    assert on("2026-11-26 08:30") == date(2026, 11, 26)
    assert on("2026-11-26 23:59") == date(2026, 11, 26)
    assert on("2026-11-27 09:00") is None, "a day off"
    assert on("2026-11-28 09:00") == date(2026, 11, 28), "a shifted working day"
    assert on("2026-11-29 09:00") is None


def test_attempts_spread_over_a_day_and_end() -> None:
    waits = [wait_after(failures) for failures in range(1, len(BACKOFF) + 2)]
    assert waits[-1] is None
    assert timedelta(days=1) <= timedelta(seconds=sum(one for one in waits if one)) < timedelta(days=2)
    assert list(BACKOFF) == sorted(BACKOFF)


# signatures ----------------------------------------------------------------------------------------------------------


def test_a_webhook_signature_is_what_standard_webhooks_says() -> None:
    # The example of the specification's own libraries.
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signature = signing.sign_hook(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    by_hand = hmac.new(secret, b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + body, hashlib.sha256).digest()
    assert signature == "v1," + base64.b64encode(by_hand).decode()
    assert signing.show_secret(secret) == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_links_are_signed_for_one_purpose_one_account_and_one_address() -> None:
    key, at = b"k" * 32, int(AT.timestamp())
    stop, confirm = signing.sign_link(key, "stop", 5), signing.sign_link(key, "confirm", 5, at)
    assert signing.stops(key, 5, stop)
    assert not any((signing.stops(key, 6, stop), signing.stops(b"x" * 32, 5, stop), signing.stops(key, 5, confirm)))
    assert not signing.stops(key, 5, "")
    assert not signing.stops(key, 5, "没有")
    assert signing.confirms(key, 5, at, confirm, AT + timedelta(days=3))
    assert not signing.confirms(key, 5, at, confirm, AT + timedelta(days=3, seconds=1))
    assert not signing.confirms(key, 5, at + 1, confirm, AT + timedelta(days=1)), "its time is signed too"
    assert not signing.confirms(key, 5, at, stop, AT)
    assert not signing.confirms(key, 5, 2**40, signing.sign_link(key, "confirm", 5, 2**40), AT), "of the future"


# letters -------------------------------------------------------------------------------------------------------------


def delivery(**more: Any) -> Delivery:
    given: dict[str, Any] = {
        "id": 77,
        "account_id": 5,
        "channel": Channel.MAIL,
        "purpose": Purpose.MESSAGE,
        "message_id": 3,
        "attempt": 1,
        "failures": 0,
        "created_at": AT,
        "lang": "zh",
        "login": "wang",
        "address": "wang@example.cn",
        "mail_key": b"k" * 32,
        "confirmed": True,
        "url": None,
        "secret": None,
    }
    return Delivery(**{**given, **more})


def message(**more: Any) -> Message:
    given: dict[str, Any] = {
        "id": 3,
        "kind": "assignment",
        "subject": Subject.NEEDS,
        "urgent": True,
        "need_id": 12,
        "data": {},
        "at": AT,
        "read_at": None,
    }
    return Message(**{**given, **more})


SETTINGS = Settings(public_url="https://ip.example.cn/", mail_from="知配 <noreply@ip.example.cn>")


def test_a_letter_is_the_same_however_often_it_is_put_together() -> None:
    first, second = (mail.compose(delivery(attempt=n), [message()], SETTINGS) for n in (1, 2))
    assert first["Message-ID"] == second["Message-ID"] == "<zhipei-77-20261125020000@ip.example.cn>"
    assert first["Date"] == second["Date"]
    assert first["Subject"] == "【知配】新派单：需求 12 号"
    assert first["To"] == "wang@example.cn"
    assert "noreply@ip.example.cn" in first["From"]
    assert first["List-Unsubscribe"].startswith("<https://ip.example.cn/mail/stop?account=5&signature=")
    assert first["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    plain, rich = first.get_body(("plain",)), first.get_body(("html",))
    assert plain is not None
    assert rich is not None
    for text in (plain.get_content(), rich.get_content()):
        assert "https://ip.example.cn/messages/3" in text
        assert "请尽快决定是否受理" in text


def test_a_digest_has_every_message_and_its_number() -> None:
    letter = mail.compose(
        delivery(purpose=Purpose.DIGEST, message_id=None, lang="en"),
        [message(id=n, need_id=n, data={"institution": "<b>甲</b>"}, kind="declined") for n in (1, 2)],
        SETTINGS,
    )
    assert letter["Subject"] == "【Zhipei】2 unread messages"
    rich = letter.get_body(("html",))
    assert rich is not None
    assert "/messages/1'" in rich.get_content()
    assert "<b>" not in rich.get_content(), "names are text, not markup"


def test_a_confirmation_names_the_login_and_offers_no_stop_link() -> None:
    letter = mail.compose(delivery(purpose=Purpose.CONFIRM, message_id=None, confirmed=False), [], SETTINGS)
    plain = letter.get_body(("plain",))
    assert plain is not None
    assert "「wang」" in plain.get_content()
    assert "/mail/confirm?account=5&at=" in plain.get_content()
    assert letter["List-Unsubscribe"] is None


def test_no_header_can_be_slipped_in() -> None:
    name = "专利\r\nBcc: everyone@example.cn\n咨询"
    letter = mail.compose(delivery(), [message(kind="review_asked", need_id=None, data={"item": name})], SETTINGS)
    assert letter["Bcc"] is None
    assert b"\nBcc:" not in letter.as_bytes()
    with pytest.raises(ValueError, match=r"CR or LF|address"):
        mail.compose(delivery(address="a@b.cn\r\nBcc: c@d.cn"), [message()], SETTINGS)


@pytest.mark.parametrize(
    "url",
    ["http://x", "smtp://", "smtp:///x", "smtp://h:99999", "smtp://u:p@h", "host:25", "smtp://u:p@h:25?tls"],
)
def test_mail_servers_that_cannot_be(url: str) -> None:
    with pytest.raises(SettingsError, match="ZHIPEI_SMTP_URL"):
        mail.server_of(Settings(smtp_url=url))


def test_mail_servers() -> None:
    found = mail.server_of(Settings(smtp_url="smtps://a%40b.cn:p%3Aq@mail.example.cn"))
    assert (found.host, found.port, found.tls, found.user, found.password) == (
        "mail.example.cn",
        465,
        True,
        "a@b.cn",
        "p:q",
    )
    assert mail.server_of(Settings(smtp_url="smtp://h?starttls")).port == 587
    assert mail.server_of(Settings(smtp_url="smtp://h")).port == 25
    with pytest.raises(SettingsError, match="ZHIPEI_MAIL_FROM"):
        mail.sender(Settings(mail_from="no address"))


# where webhooks may go -----------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(
    "url",
    [
        "https://localhost/x",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fe80::1%25lo]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "https://192.168.1.1/",
        "https://172.16.0.1:8443/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "http://93.184.215.14/",
        "ftp://93.184.215.14/",
        "https://user:pass@93.184.215.14/",
        "https://93.184.215.14:99999/",
        "https:///path",
        "https://",
        "javascript:alert(1)",
        "//93.184.215.14/",
        "https://93.184.215.14/\r\nHost: x",
        "https://例子.测试/",
        "https://no-such-host.invalid/",
        "https://" + "a" * 300 + ".cn/",
        "",
    ],
)
async def test_webhooks_never_go_into_the_house(url: str) -> None:
    with pytest.raises(hooks.Refused) as refused:
        await hooks.check(url, private=False)
    assert str(refused.value).endswith(("。", "请从 https:// 开始填写。"))
    answer = await hooks.post(url, b"{}", {}, private=False)
    assert answer.error is not None, "and are refused when they are sent, whatever was stored"


@pytest.mark.anyio
async def test_public_addresses_and_allowed_private_ones_pass() -> None:
    assert await hooks.check("https://93.184.215.14:8443/in?x=1", private=False) == ["93.184.215.14"]
    assert "127.0.0.1" in await hooks.check("http://localhost:9/", private=True)
