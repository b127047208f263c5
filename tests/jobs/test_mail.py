"""Letters to a real mail server: taken, refused for now or for good, cut off, away, or not to be trusted."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from click.testing import CliRunner
from msgspec import structs

from infra.db import Database
from infra.settings import Settings
from market.accounts.model import Actor
from market.calendars import service as calendars
from market.calendars.model import ZONE
from market.cli import main
from market.errors import NotFound, TooManyAttempts
from market.messages import delivering, delivery_queries, mail, queries, service
from market.messages.model import BACKOFF, Channel, Choice, Delivery, NewMessage, Purpose, Subject
from market.messages.service import AddressForm, Enclosed
from tests.conftest import Clone, open_database
from tests.factories import World
from tests.jobs.mailserver import Mailbox, MailServer, certificate
from workers import notify

pytestmark = [pytest.mark.anyio, pytest.mark.commits]

KEY = b"k" * 32
STATE = "SELECT state, failures, attempt, last_error, next_at - now() AS wait FROM deliveries ORDER BY id DESC LIMIT 1"


@pytest.fixture
async def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
async def server(mailbox: Mailbox) -> AsyncIterator[MailServer]:
    running = await MailServer(mailbox).start()
    yield running
    await running.stop()


@pytest.fixture
async def settings_of(clone: Clone, server: MailServer) -> Settings:
    made = await clone()
    return structs.replace(
        made,
        smtp_url=f"smtp://127.0.0.1:{server.port}",
        mail_from="知配 <noreply@ip.example.cn>",
        public_url="https://ip.example.cn",
    )


@pytest.fixture
async def database(settings_of: Settings) -> AsyncIterator[Database]:
    opened = open_database(settings_of, size=12)
    yield opened
    await opened.close()


@pytest.fixture
async def actor(database: Database) -> Actor:
    """The enterprise, with a confirmed address, no quiet hours, and a letter for every message."""
    async with database.transaction() as tx:
        who = (await World.read(tx)).actors["enterprise"]
        await queries.set_address(tx, who.id, "wang@example.cn", KEY)
        await queries.confirm(tx, who.id, KEY)
        midnight = datetime.min.time()
        await queries.set_choices(tx, who.id, {Subject.NEEDS: Choice.NOW}, midnight, midnight)
    return who


async def write(database: Database, *actors: Actor, number: int = 1) -> None:
    """A letter to each."""
    async with database.transaction() as tx:
        await queries.add(
            tx,
            [
                NewMessage(
                    account_id=actor.id,
                    source="tests",
                    source_id=number,
                    kind="returned",
                    subject=Subject.NEEDS,
                    urgent=True,
                    need_id=None,
                    data={"node": "深圳节点"},
                    for_digest=False,
                    mail_at=datetime.now(ZONE),
                    hook=False,
                )
                for actor in actors
            ],
        )


async def carry(database: Database, settings: Settings) -> list[Delivery]:
    """One round of the postman's; what it carried."""
    async with database.transaction() as tx:
        leased = await delivery_queries.lease(tx, Channel.MAIL, 10, 60)
    await asyncio.gather(*(delivering.carry(database, settings, one) for one in leased))
    return leased


async def hurry(database: Database) -> None:
    """Let what waits be due now."""
    async with database.transaction() as tx:
        await tx.execute("UPDATE deliveries SET next_at = now() WHERE state = 'waiting'")


async def last(database: Database) -> tuple[str, int, str | None]:
    async with database.reading() as tx:
        row = await tx.fetchrow(STATE)
    assert row is not None
    return row["state"], row["failures"], row["last_error"]


async def test_a_letter_arrives(database: Database, settings_of: Settings, mailbox: Mailbox, actor: Actor) -> None:
    await write(database, actor)
    await carry(database, settings_of)
    assert await last(database) == ("sent", 0, None)
    (letter,) = mailbox.letters
    assert letter["To"] == "wang@example.cn"
    assert letter["Subject"].endswith("需要您补充材料")
    assert re.fullmatch(r"<zhipei-\d+-\d{14}@ip\.example\.cn>", letter["Message-ID"])
    plain = letter.get_body(("plain",))
    assert plain is not None
    assert "深圳节点一次告知了" in plain.get_content()
    assert await carry(database, settings_of) == []


@pytest.mark.parametrize(
    "refusal", ["451 4.7.1 greylisted", "421 4.3.2 shutting down", "452 4.2.2 wang@example.cn is full"]
)
async def test_refused_for_now_it_comes_again_the_same(
    database: Database, settings_of: Settings, mailbox: Mailbox, actor: Actor, refusal: str
) -> None:
    mailbox.answers = [refusal]
    await write(database, actor)
    await carry(database, settings_of)
    assert await last(database) == ("waiting", 1, f"SMTP {refusal[:3]}"), "without the server's words about a person"
    assert await carry(database, settings_of) == [], "not before its time"
    await hurry(database)
    await carry(database, settings_of)
    assert await last(database) == ("sent", 1, None)
    assert len(mailbox.letters) == 1


@pytest.mark.parametrize("by", ["DATA", "RCPT"])
async def test_refused_for_good_it_is_parked(
    database: Database, settings_of: Settings, mailbox: Mailbox, actor: Actor, by: str
) -> None:
    if by == "RCPT":
        mailbox.to["wang@example.cn"] = "550 5.1.1 no such user wang@example.cn"
    else:
        mailbox.answers = ["554 5.7.1 spam"]
    await write(database, actor)
    await carry(database, settings_of)
    assert await last(database) == ("parked", 1, "SMTP 550" if by == "RCPT" else "SMTP 554")
    await hurry(database)
    assert await carry(database, settings_of) == []
    async with database.transaction() as tx:
        assert (await delivery_queries.backlog(tx)).parked == 1
        mailbox.to.clear()
        assert await delivery_queries.retry(tx) == 1
    await carry(database, settings_of)
    assert (await last(database))[0] == "sent"


async def test_refused_again_and_again_it_is_parked_after_a_day(
    database: Database, settings_of: Settings, mailbox: Mailbox, actor: Actor
) -> None:
    mailbox.answers = ["451 not now"] * 20
    await write(database, actor)
    for failures in range(1, len(BACKOFF) + 2):
        await carry(database, settings_of)
        assert (await last(database))[:2] == ("waiting" if failures <= len(BACKOFF) else "parked", failures)
        await hurry(database)
    assert mailbox.offered == len(BACKOFF) + 1


async def test_cut_off_in_the_middle_it_comes_again(
    database: Database, settings_of: Settings, mailbox: Mailbox, actor: Actor
) -> None:
    mailbox.hang_up = 1
    await write(database, actor)
    await carry(database, settings_of)
    state, failures, error = await last(database)
    assert (state, failures) == ("waiting", 1)
    assert error
    assert "SMTPServerDisconnected" in error
    await hurry(database)
    await carry(database, settings_of)
    assert (await last(database))[0] == "sent"


async def test_while_the_server_is_away_nothing_counts(
    database: Database, settings_of: Settings, mailbox: Mailbox, server: MailServer, actor: Actor
) -> None:
    await server.stop()
    await write(database, actor)
    for _ in range(len(BACKOFF) + 3):
        (carried,) = await carry(database, settings_of)
        assert carried.failures == 0
        assert (await last(database))[:2] == ("waiting", 0)
        await hurry(database)
    await server.start()
    await carry(database, settings_of)
    assert (await last(database))[0] == "sent"
    assert len(mailbox.letters) == 1


async def test_a_server_that_never_answers_is_left(database: Database, settings_of: Settings, actor: Actor) -> None:
    held: list[asyncio.StreamWriter] = []

    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    target = mail.server_of(structs.replace(settings_of, smtp_url=f"smtp://127.0.0.1:{port}"))
    letter = mail.envelope(settings_of, "wang@example.cn", "x", datetime.now(ZONE))
    with anyio.fail_after(5):
        handed = await mail.hand_over(letter, target, seconds=0.3)
    silent.close()
    for writer in held:
        writer.close()
        await writer.wait_closed()
    assert handed.fate is mail.Fate.AWAY
    assert "Timeout" in (handed.error or "")


async def test_a_process_that_dies_sends_the_same_letter_again(
    database: Database, settings_of: Settings, mailbox: Mailbox, actor: Actor
) -> None:
    await write(database, actor)
    async with database.transaction() as tx:
        (first,) = await delivery_queries.lease(tx, Channel.MAIL, 10, 60)
    async with database.reading() as tx:
        messages = await delivery_queries.of_delivery(tx, first)
    assert (await delivering.attempt(settings_of, first, messages)) is delivering.SENT  # and dies before noting it
    assert await carry(database, settings_of) == [], "nobody else has it while it is leased"
    async with database.transaction() as tx:
        await tx.execute("UPDATE deliveries SET leased_until = now()")
    await carry(database, settings_of)
    assert [one["Message-ID"] for one in mailbox.letters] == [mailbox.letters[0]["Message-ID"]] * 2
    async with database.transaction() as tx:  # the first comes back to life
        await delivering.settle(tx, first, delivering._again(first, "late"), mails=True)
    assert await last(database) == ("sent", 0, None), "who lost the lease changes nothing"


async def test_two_postmen_carry_each_letter_once(
    database: Database, settings_of: Settings, mailbox: Mailbox, actor: Actor
) -> None:
    async with database.reading() as tx:
        everybody = list((await World.read(tx)).actors.values())
    async with database.transaction() as tx:
        for one in everybody:
            await queries.set_address(tx, one.id, f"{one.login}@example.cn", KEY)
            await queries.confirm(tx, one.id, KEY)
    for number in range(3):
        await write(database, *everybody, number=number)
    running = [asyncio.create_task(notify.Postman(settings_of, database, Channel.MAIL).run()) for _ in range(2)]
    with anyio.fail_after(60):
        while len(mailbox.letters) < 3 * len(everybody):
            await asyncio.sleep(0.05)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert len({one["Message-ID"] for one in mailbox.letters}) == len(mailbox.letters) == 3 * len(everybody)


async def test_a_letter_read_or_stopped_meanwhile_is_not_sent(
    database: Database, settings_of: Settings, mailbox: Mailbox, actor: Actor
) -> None:
    await write(database, actor)
    async with database.transaction() as tx:
        await queries.read_all(tx, actor.id, 2**62)
    await carry(database, settings_of)
    assert (await last(database))[0] == "dropped"
    await write(database, actor, number=2)
    async with database.transaction() as tx:
        (leased,) = await delivery_queries.lease(tx, Channel.MAIL, 10, 60)
        await queries.stop_mail(tx, actor.id, KEY)
    await delivering.carry(database, settings_of, structs.replace(leased, confirmed=False))
    assert (await last(database))[0] == "dropped"
    assert mailbox.offered == 0


async def test_a_digest_arrives_with_what_is_unread(
    database: Database, settings_of: Settings, mailbox: Mailbox, actor: Actor
) -> None:
    for number in range(3):
        await write(database, actor, number=number)
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM deliveries")
        await tx.execute("UPDATE messages SET for_digest = true, at = '2026-11-20'")
        await tx.execute("UPDATE messages SET read_at = now(), for_digest = false WHERE source_id = 1")
        due = await calendars.deadlines(tx)
        assert await service.make_digests(tx, due, datetime(2026, 11, 23, 9, tzinfo=ZONE)) == 1
    await carry(database, settings_of) or await hurry(database)
    await carry(database, settings_of)
    (letter,) = mailbox.letters
    assert letter["Subject"] == "【知配】您有 2 条未读消息"


# confirming and leaving ----------------------------------------------------------------------------------------------


def link_in(mailbox: Mailbox, path: str) -> Enclosed:
    plain = mailbox.letters[-1].get_body(("plain",))
    assert plain is not None
    found = re.search(rf"https://ip\.example\.cn{path}\?\S+", plain.get_content())
    assert found
    given = parse_qs(urlsplit(found[0]).query)
    return Enclosed(int(given["account"][0]), given["signature"][0], int(given.get("at", ["0"])[0]))


async def test_an_address_is_confirmed_from_there_and_left_from_there(
    database: Database, settings_of: Settings, mailbox: Mailbox
) -> None:
    async with database.transaction() as tx:
        world = await World.read(tx)
        who = world.actors["institution"]
        await service.set_address(tx, who, AddressForm("li@example.cn"))
    await carry(database, settings_of)
    assert mailbox.letters[-1]["To"] == "li@example.cn"
    await write(database, who)
    assert (await queries_settings(database, who)) is False
    confirm = link_in(mailbox, "/mail/confirm")
    async with database.transaction() as tx:
        for wrong in (
            structs.replace(confirm, account=world.actors["office"].id),
            structs.replace(confirm, signature=confirm.signature[:-1] + ("A" if confirm.signature[-1] != "A" else "B")),
            structs.replace(confirm, at=confirm.at + 60),
        ):
            with pytest.raises(NotFound):
                await service.confirm(tx, wrong)
        await service.confirm(tx, confirm)
        await service.confirm(tx, confirm)
    assert await queries_settings(database, who)
    await write(database, who, number=2)
    await hurry(database)
    await carry(database, settings_of)
    stop = link_in(mailbox, "/mail/stop")
    async with database.transaction() as tx:
        with pytest.raises(NotFound):
            await service.stop(tx, structs.replace(stop, signature=confirm.signature))
        await service.stop(tx, stop)
        await service.stop(tx, stop)
    assert not await queries_settings(database, who)
    async with database.transaction() as tx:  # the old links are void once there is another address
        await service.set_address(tx, who, AddressForm("other@example.cn"))
        with pytest.raises(NotFound):
            await service.confirm(tx, confirm)


async def queries_settings(database: Database, who: Actor) -> bool:
    async with database.reading() as tx:
        return (await queries.settings(tx, who.id)).confirmed_at is not None


async def test_nobodys_mailbox_is_filled(database: Database, actor: Actor) -> None:
    async with database.transaction() as tx:
        for number in range(service.LETTERS_A_DAY):
            await service.set_address(tx, actor, AddressForm(f"a{number}@example.cn"))
        with pytest.raises(TooManyAttempts):
            await service.set_address(tx, actor, AddressForm("another@example.cn"))
        assert await tx.fetchval("SELECT count(*) FROM deliveries WHERE state = 'waiting'") == 1, (
            "only the last is asked"
        )


@pytest.mark.parametrize(
    ("address", "refusal", "code", "said"),
    [
        ("li@example.cn", None, 0, "has taken it"),
        ("li@example.cn", "550 no", 1, "SMTP 550 (never)"),
        ("no address", None, 1, "is no address"),
        ("a@b.cn\r\nBcc: c@d.cn", None, 1, "is no address"),
    ],
)
async def test_the_command_says_what_the_server_answered(
    mailbox: Mailbox, server: MailServer, address: str, refusal: str | None, code: int, said: str
) -> None:
    mailbox.answers = [refusal]
    env = {"ZHIPEI_SMTP_URL": f"smtp://127.0.0.1:{server.port}"}
    command = ["mail", "test", address]
    told = await asyncio.to_thread(lambda: CliRunner().invoke(main, command, env=env))
    assert told.exit_code == code, told.output
    assert said in told.output
    assert len(mailbox.letters) == (code == 0)


# trust ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def secured(tmp_path: Path, mailbox: Mailbox) -> AsyncIterator[Callable[..., MailServer]]:
    running: list[MailServer] = []

    def make(*names: str, **options: object) -> MailServer:
        _, context = certificate(tmp_path, *names)
        running.append(MailServer(mailbox, tls_context=context, require_starttls=True, **options))
        return running[-1]

    yield make
    for one in running:
        await one.stop()


async def hand(server: MailServer, settings: Settings, ca: Path | None, url: str) -> mail.Handed:
    named = structs.replace(settings, smtp_url=url.format(port=server.port), smtp_ca_file=ca)
    letter = mail.envelope(named, "wang@example.cn", "x", datetime.now(ZONE))
    letter.set_content("x")
    return await mail.hand_over(letter, mail.server_of(named))


async def test_starttls_with_a_certificate_that_holds(
    secured: Callable[..., MailServer], settings_of: Settings, mailbox: Mailbox, tmp_path: Path
) -> None:
    server = await secured("localhost").start()
    handed = await hand(server, settings_of, tmp_path / "localhost.pem", "smtp://localhost:{port}?starttls")
    assert handed == mail.Handed(mail.Fate.TAKEN)
    assert len(mailbox.letters) == 1


@pytest.mark.parametrize(("name", "known"), [("localhost", False), ("elsewhere.test", True)])
async def test_starttls_with_a_bad_certificate_is_refused(
    secured: Callable[..., MailServer],
    settings_of: Settings,
    mailbox: Mailbox,
    tmp_path: Path,
    name: str,
    known: bool,
) -> None:
    server = await secured(name).start()
    ca = tmp_path / f"{name}.pem" if known else None
    handed = await hand(server, settings_of, ca, "smtp://localhost:{port}?starttls")
    assert handed.fate is mail.Fate.AWAY
    assert "SSL" in (handed.error or "") or "TLS" in (handed.error or ""), handed.error
    assert mailbox.offered == 0, "no letter goes to a server nobody knows"


async def test_a_server_without_starttls_gets_nothing(
    settings_of: Settings, server: MailServer, mailbox: Mailbox
) -> None:
    handed = await hand(server, settings_of, None, "smtp://user:secret@localhost:{port}?starttls")
    assert handed.fate is mail.Fate.AWAY
    assert mailbox.offered == 0


async def test_a_password_is_given_and_a_wrong_one_waits(
    secured: Callable[..., MailServer], settings_of: Settings, mailbox: Mailbox, tmp_path: Path
) -> None:
    def check(_server: object, _session: object, _envelope: object, _mechanism: str, given: object) -> AuthResult:
        assert isinstance(given, LoginPassword)
        return AuthResult(success=given.login == b"zhipei" and given.password == b"p@ss", handled=False)

    server = await secured("localhost", authenticator=check, auth_required=True).start()
    ca = tmp_path / "localhost.pem"
    handed = await hand(server, settings_of, ca, "smtp://zhipei:p%40ss@localhost:{port}?starttls")
    assert handed.fate is mail.Fate.TAKEN
    handed = await hand(server, settings_of, ca, "smtp://zhipei:wrong@localhost:{port}?starttls")
    assert handed.fate is mail.Fate.AWAY
    assert "wrong" not in (handed.error or "")
    assert len(mailbox.letters) == 1


async def test_a_slow_server_holds_up_nothing_else(
    database: Database, settings_of: Settings, mailbox: Mailbox, actor: Actor
) -> None:
    mailbox.slow = 5
    await write(database, actor)
    postman = asyncio.create_task(notify.Postman(settings_of, database, Channel.MAIL).run())
    teller = asyncio.create_task(notify.Teller(settings_of, database).run())
    with anyio.fail_after(20):
        while not mailbox.offered:
            await asyncio.sleep(0.02)
        async with database.transaction() as tx:
            other = (await World.read(tx)).actors["office"]
            await delivery_queries.deliver(tx, other.id, Channel.WEBHOOK, Purpose.TEST)
        async with database.reading() as tx:  # other work goes on meanwhile
            assert await tx.fetchval("SELECT 1") == 1
    started = datetime.now(ZONE)
    for task in (postman, teller):
        task.cancel()
    await asyncio.gather(postman, teller, return_exceptions=True)
    assert datetime.now(ZONE) - started < timedelta(seconds=2), "and a worker that stops does not wait for it"
