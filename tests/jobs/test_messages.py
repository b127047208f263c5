"""Events become messages: for the right people, once, whatever happens in between."""

import asyncio
import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from infra import outbox
from infra.db import Transaction
from market.calendars import service as calendars
from market.calendars.model import ZONE
from market.lists import service as lists
from market.lists.model import RevisionAction
from market.matches import service as matches
from market.matches.model import OneTimeNotice
from market.messages import queries, service
from market.messages.model import Choice, Subject
from market.messages.tellings import TOLD, Silence
from market.needs import ownership
from market.needs import service as needs
from market.needs.model import Submission
from market.ratings import rectification
from market.ratings import service as ratings
from market.ratings.model import Finding, RatingForm
from market.ratings.scale import RatingLevel
from tests.db.test_lists import act, own_item
from tests.db.test_lists import revision_of as draft
from tests.factories import AID, PATENT, serve
from tests.jobs.place import Place
from tests.web.test_pages_staff import file_need
from workers import notify
from workers.deadlines import move_all

pytestmark = [pytest.mark.anyio, pytest.mark.commits]

TEXT = "产品被人仿冒，想申请维权援助"


async def proposed(place: Place, item: str = AID) -> int:
    return await file_need(place.db, place.settings, place.world, TEXT, item)


async def assigned(place: Place) -> tuple[int, int]:
    """A need approved by the coordinator, and its match, with the institution of login ``institution``."""
    need_id = await proposed(place)
    await place.do(matches.approve, "coordinator", need_id, await place.match_of(need_id))
    await place.told()
    return need_id, await place.match_of(need_id)


# for the right people ------------------------------------------------------------------------------------------------


async def test_from_submission_to_result(place: Place) -> None:
    need_id = await proposed(place)
    assert await place.told() == [], "the queue is where a need waits that nobody owns"
    await place.do(ownership.take, "coordinator", need_id)
    assert await place.told() == [("enterprise", "taken")]
    await place.do(matches.approve, "coordinator", need_id, await place.match_of(need_id))
    told = await place.told()
    assert ("enterprise", "assigned") in told
    assert [kind for login, kind in told if login != "enterprise"] == ["assignment"], "one institution, once"
    assert "coordinator" not in dict(told), "whoever acts knows it"


async def test_the_institution_and_the_enterprise_speak_to_each_other(place: Place) -> None:
    need_id, match_id = await assigned(place)
    await place.do(matches.accept, "institution", match_id)
    assert await place.told() == [("enterprise", "accepted")]
    await place.do(matches.deliver, "institution", match_id, "意见书")
    assert await place.told() == [("enterprise", "delivered")]
    await place.do(matches.rework, "enterprise", need_id, "还缺一页")
    assert await place.told() == [("coordinator", "rework_owner"), ("institution", "rework")]
    await place.do(matches.deliver, "institution", match_id, "意见书，补齐")
    await place.do(matches.confirm, "enterprise", need_id)
    assert await place.told() == [
        ("coordinator", "confirmed"),
        ("enterprise", "delivered"),
        ("institution", "confirmed"),
    ]


async def answer(place: Place, match_id: int, *, grant: bool) -> None:
    async with place.db.transaction() as tx:
        due = await calendars.deadlines(tx)
        await matches.answer_decline(tx, place.world.actors["coordinator"], match_id, due, grant=grant, note="已商量")


async def test_a_decline(place: Place) -> None:
    _, match_id = await assigned(place)
    await place.do(matches.decline, "institution", match_id, "人手不足")
    assert await place.told() == [("coordinator", "decline_requested")], "of the common list it can only be asked for"
    await answer(place, match_id, grant=False)
    assert await place.told() == [("institution", "decline_refused")]
    await place.do(matches.decline, "institution", match_id, "人手不足")
    await answer(place, match_id, grant=True)
    assert await place.told() == [
        ("coordinator", "decline_requested"),
        ("enterprise", "declined"),
        ("institution", "decline_granted"),
    ]


async def test_an_override_and_a_withdrawal(place: Place) -> None:
    need_id = await proposed(place, PATENT)
    await place.do(matches.approve, "coordinator", need_id, await place.match_of(need_id))
    told = dict(await place.told())
    first, second = ("institution", "office") if "institution" in told else ("office", "institution")
    assert told == {"enterprise": "assigned", first: "assignment"}
    title = "专利申请辅导" if second == "institution" else "专利申请受理与材料预检"
    await place.do(matches.override, "coordinator", need_id, place.world.offerings[title], "更合适")
    assert dict(await place.told()) == {"enterprise": "assigned", first: "taken_away", second: "assignment"}
    await place.do(matches.withdraw, "enterprise", need_id, "不需要了")
    assert dict(await place.told()) == {"coordinator": "withdrawn", second: "taken_away"}


async def test_a_return_and_a_handover(place: Place) -> None:
    need_id = await proposed(place)
    await place.do(matches.give_notice, "coordinator", need_id, OneTimeNotice(missing=("商标名称",)))
    assert await place.told() == [("enterprise", "returned")]
    await place.do(needs.resubmit, "enterprise", need_id, Submission(body=f"{TEXT}，商标是甲"))
    assert await place.told() == [("coordinator", "resubmitted")]
    second = place.world.actors["coordinator2"].id
    await place.do(ownership.offer, "coordinator", need_id, second, "休假")
    assert await place.told() == [("coordinator2", "offered")]
    await place.do(ownership.reply, "coordinator2", need_id, ownership.Reply(accept=False, note="不熟悉"))
    assert await place.told() == [("coordinator", "turned_down")]
    await place.do(ownership.offer, "coordinator", need_id, second, "休假")
    await place.do(ownership.reply, "coordinator2", need_id, ownership.Reply(accept=True))
    assert await place.told() == [("coordinator", "taken_on")], "an offer that is answered already asks nobody"
    async with place.db.transaction() as tx:
        await tx.execute("UPDATE accounts SET disabled_at = now() WHERE login = 'coordinator2'")
    await place.do(ownership.take_over, "coordinator", need_id, "离职")
    assert await place.told() == [], "a closed account is told nothing"
    await place.do(matches.escalate, "coordinator", need_id, "本地没有")
    assert await place.told() == [("enterprise", "escalated_party"), ("province", "escalated")]


@pytest.mark.parametrize("anonymous", [False, True])
async def test_a_bad_rating(place: Place, anonymous: bool) -> None:
    need_id = await serve(place.db, place.settings, place.world)
    await place.told()
    form = RatingForm(level=RatingLevel.DISSATISFIED, indicators=("209",), remark="晚", anonymous=anonymous)
    async with place.db.transaction() as tx:
        actor = place.world.actors["enterprise"]
        rating = await ratings.rate(tx, actor, need_id, form, await calendars.deadlines(tx), b"x")
    told = await place.told()
    assert told == [("coordinator", "verify")] + ([] if anonymous else [("institution", "rated")])
    await place.do(rectification.verify, "coordinator", rating.id, Finding(founded=True, note="属实"))
    assert await place.told() == [("enterprise", "rectify_party"), ("institution", "rectify")]
    async with place.db.reading() as tx:
        (heard,) = await queries.page(tx, place.world.actors["institution"], unread=True, after=None, limit=1)
        (also,) = await queries.page(tx, place.world.actors["enterprise"], unread=True, after=None, limit=1)
    assert heard.need_id == (None if anonymous else need_id), "an anonymous rating names no need"
    assert service.link_of(heard, place.world.actors["institution"].role) == f"/ratings/{rating.id}"
    assert also.need_id == need_id
    assert service.link_of(also, place.world.actors["enterprise"].role) == f"/needs/{need_id}"


async def test_clocks_call_those_they_name(place: Place) -> None:
    need_id, match_id = await assigned(place)
    await place.do(matches.accept, "institution", match_id)
    await place.told()
    due = "UPDATE deadlines SET remind_at = now() - interval '1 hour', due_at = now() + $1::int * interval '1 minute', "
    rest = "node_at = now() + $1::int * interval '1 minute', above_at = now() + $1::int * interval '1 minute' "
    for minutes, expected in (
        (9, [("institution", "remind")]),
        (-9, [("coordinator", "expire"), ("institution", "expire")]),
    ):
        async with place.db.transaction() as tx:
            await tx.execute(f"{due} {rest} WHERE kind = 'deliver' AND ended_at IS NULL", minutes)
            if minutes < 0:
                await tx.execute(
                    "UPDATE deadlines SET remind_at = NULL, node_at = now() + interval '1 day', "
                    "above_at = now() + interval '2 day' WHERE kind = 'deliver' AND ended_at IS NULL"
                )
        await move_all(place.db)
        assert await place.told() == expected
    async with place.db.transaction() as tx:
        await tx.execute("UPDATE deadlines SET node_at = now(), above_at = now() WHERE ended_at IS NULL")
    await move_all(place.db)
    told = await place.told()
    assert told == [("coordinator", "late_node"), ("coordinator2", "late_node"), ("province", "late_above")]
    async with place.db.reading() as tx:
        (heard,) = await queries.page(tx, place.world.actors["province"], unread=True, after=None, limit=1)
    assert heard.data["limit"] == "deliver"
    assert (heard.need_id, heard.urgent) == (need_id, True)


async def test_reviews_of_lists(place: Place) -> None:
    async with place.db.transaction() as tx:
        revision_id = await draft(tx, place.world.actors["admin"], AID, fee="免费")
        await service_move(tx, place, "admin", revision_id, RevisionAction.SUBMIT)
    assert await place.told() == [("admin2", "review_asked")], "not the writer, and nobody of a node"
    async with place.db.transaction() as tx:
        await service_move(tx, place, "admin2", revision_id, RevisionAction.SEND_BACK, "写明依据")
    assert await place.told() == [("admin", "revision_sent_back")]
    async with place.db.transaction() as tx:
        own = await own_item(tx, place.world.actors["institution"])
        await service_move(tx, place, "institution", own, RevisionAction.SUBMIT)
    assert await place.told() == [("coordinator", "review_asked"), ("coordinator2", "review_asked")], "the nearest node"
    async with place.db.transaction() as tx:
        await service_move(tx, place, "coordinator", own, RevisionAction.APPROVE)
    assert await place.told() == [("institution", "revision_in_force")], "approved and in force at once: told once"


async def service_move(
    tx: Transaction, place: Place, login: str, revision_id: int, action: RevisionAction, note: str = ""
) -> None:
    await lists.move(tx, place.world.actors[login], revision_id, act(action, note=note))


async def test_the_trigger_leaves_out_only_what_is_told_to_nobody(place: Place) -> None:
    async with place.db.reading() as tx:
        found = await tx.fetch("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE '%events_tell'")
    left_out = set()
    for (text,) in found:
        machine = "item" if "item_events_tell" in text else None
        words = re.findall(r"'(\w+)'::text", text)
        left_out |= {(machine, one) for one in words} if machine else set(zip(words[::2], words[1::2], strict=True))
    assert left_out == {
        *(("need", "submit"), ("match", "propose"), ("deadline", "recount"), ("item", "draft"), ("item", "save")),
    }
    assert all(isinstance(TOLD[one], Silence) for one in left_out)


async def test_the_past_is_not_told(place: Place) -> None:
    need_id = await proposed(place)
    await place.told()
    async with place.db.transaction() as tx:
        await tx.execute(
            "INSERT INTO events (need_id, machine, from_state, action, to_state, at) "
            "VALUES ($1, 'need', 'proposed', 'close', 'closed', now() - interval '2 days')",
            need_id,
        )
    assert await place.count("SELECT count(*) FROM outbox WHERE topic = 'tell'") == 0


# once ----------------------------------------------------------------------------------------------------------------


async def test_a_crash_before_the_commit_leaves_the_event_to_be_told(place: Place, monkeypatch: Any) -> None:
    await assigned(place)
    _, match_id = await assigned(place)
    await place.do(matches.accept, "institution", match_id)
    waiting = await place.count("SELECT count(*) FROM outbox WHERE topic = 'tell'")
    assert waiting

    async def crash(*_: Any, **__: Any) -> int:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(service.queries, "add", crash)
        with pytest.raises(asyncio.CancelledError):
            await notify.tell_batch(place.db, mails=True)
    assert await place.count("SELECT count(*) FROM outbox WHERE topic = 'tell'") == waiting
    assert await place.told() == [("enterprise", "accepted")]
    assert await place.told() == []


async def test_an_event_that_comes_twice_is_told_once(place: Place) -> None:
    need_id, match_id = await assigned(place)
    await place.do(matches.accept, "institution", match_id)
    assert len(await place.told()) == 1
    async with place.db.transaction() as tx:
        event = await tx.fetchval("SELECT max(id) FROM events WHERE action = 'accept' AND machine = 'match'")
        for _ in range(2):
            await outbox.add(tx, outbox.TELL, source="events", id=event)
    assert await place.told() == []
    assert await place.count("SELECT count(*) FROM outbox WHERE topic = 'tell'") == 0
    assert need_id


async def test_several_workers_share_the_work(place: Place) -> None:
    need_id, match_id = await assigned(place)
    async with place.db.transaction() as tx:
        await tx.execute(
            "INSERT INTO events (need_id, match_id, machine, from_state, action, to_state) "
            "SELECT $1, $2, 'match', 'approved', 'accept', 'accepted' FROM generate_series(1, 300)",
            need_id,
            match_id,
        )

    async def teller() -> int:
        told = 0
        while done := await notify.tell_batch(place.db, mails=True, limit=20):
            told += done
        return told

    shares = await asyncio.gather(*(teller() for _ in range(4)))
    assert sum(shares) == 300
    assert sum(1 for share in shares if share) > 1
    of_accepts = "SELECT count(*) FROM messages WHERE kind = 'accepted'"
    assert await place.count(of_accepts) == 300


async def test_one_that_cannot_be_told_holds_up_no_other(place: Place) -> None:
    _, match_id = await assigned(place)
    async with place.db.transaction() as tx:
        await outbox.add(tx, outbox.TELL, source="events", id="no number")
    await place.do(matches.accept, "institution", match_id)
    assert await place.told() == [("enterprise", "accepted")]
    async with place.db.transaction() as tx:
        (left,) = await tx.fetch("SELECT attempt, last_error, parked_at FROM outbox WHERE topic = 'tell'")
        assert (left["attempt"], left["last_error"], left["parked_at"]) == (1, "DataError", None)
        await tx.execute(
            "UPDATE outbox SET attempt = $1, leased_until = now() WHERE topic = 'tell'", notify.ATTEMPTS - 1
        )
    await place.told()
    assert await place.count("SELECT count(*) FROM outbox WHERE topic = 'tell' AND parked_at IS NOT NULL") == 1


# choices, quiet hours, digests ---------------------------------------------------------------------------------------


async def subscribe(place: Place, login: str, **choices: Choice) -> None:
    """A confirmed address, and no quiet hours."""
    account = place.world.actors[login].id
    async with place.db.transaction() as tx:
        await queries.set_address(tx, account, f"{login}@example.cn", b"k" * 32)
        assert await queries.confirm(tx, account, b"k" * 32)
        midnight = datetime.min.time()
        chosen = {Subject(name): choice for name, choice in choices.items()}
        await queries.set_choices(tx, account, chosen, midnight, midnight)


MAILS = "SELECT count(*) FROM deliveries WHERE channel = 'mail' AND purpose = 'message'"
WAITING = "SELECT count(*) FROM messages WHERE for_digest"


async def test_urgent_letters_go_at_once_and_others_wait_for_the_digest(place: Place) -> None:
    await subscribe(place, "enterprise")
    need_id, match_id = await assigned(place)
    assert (await place.count(MAILS), await place.count(WAITING)) == (0, 1), "that it was assigned can wait"
    await place.do(matches.accept, "institution", match_id)
    await place.do(matches.deliver, "institution", match_id, "意见书")
    await place.told()
    assert (await place.count(MAILS), await place.count(WAITING)) == (1, 2), "the result asks for an answer"
    await subscribe(place, "enterprise", needs=Choice.NONE)
    await place.do(matches.rework, "enterprise", need_id, "还缺")
    await place.do(matches.deliver, "institution", match_id, "补齐")
    assert ("enterprise", "delivered") in await place.told(), "in the house everything is told"
    assert (await place.count(MAILS), await place.count(WAITING)) == (1, 2)


async def test_quiet_hours_hold_letters_back(place: Place) -> None:
    await subscribe(place, "institution")
    now = datetime.now(ZONE)
    async with place.db.transaction() as tx:
        before, after = ((now + timedelta(hours=one)).time().replace(microsecond=0) for one in (-1, 1))
        await queries.set_choices(tx, place.world.actors["institution"].id, {}, before, after)
    await assigned(place)
    held = await place.count(f"{MAILS} AND next_at BETWEEN now() + interval '58 min' AND now() + interval '61 min'")
    assert held == 1


async def test_a_digest_is_made_once_a_working_day(place: Place) -> None:
    await subscribe(place, "enterprise")
    await assigned(place)
    # 2026-11-23 is a Monday and 2026-11-28 a Saturday without a notice to say otherwise
    monday, saturday = (datetime(2026, 11, day, 9, tzinfo=ZONE) for day in (23, 28))
    async with place.db.transaction() as tx:
        await tx.execute("UPDATE messages SET at = '2026-11-20'")
        due = await calendars.deadlines(tx)
        assert await service.make_digests(tx, due, saturday) == 0
        assert await service.make_digests(tx, due, monday.replace(hour=8, minute=29)) == 0
        assert await service.make_digests(tx, due, monday) == 1
        assert await service.make_digests(tx, due, monday) == 0
    assert await place.count(WAITING) == 0
    await assigned(place)
    async with place.db.transaction() as tx:
        await tx.execute("UPDATE messages SET at = '2026-11-20'")
        assert await service.make_digests(tx, due, monday) == 0, "one a day"
        assert await service.make_digests(tx, due, monday + timedelta(days=1)) == 1


async def test_two_workers_make_one_digest(place: Place) -> None:
    await subscribe(place, "enterprise")
    await assigned(place)
    async with place.db.transaction() as tx:
        await tx.execute("UPDATE messages SET at = '2026-11-20'")

    async def make() -> int:
        async with place.db.transaction() as tx:
            return await service.make_digests(tx, await calendars.deadlines(tx), datetime(2026, 11, 23, 9, tzinfo=ZONE))

    assert sum(await asyncio.gather(make(), make(), make())) == 1


async def test_what_was_read_long_ago_is_forgotten(place: Place) -> None:
    await subscribe(place, "enterprise", needs=Choice.NOW)
    await assigned(place)
    await assigned(place)
    async with place.db.transaction() as tx:
        await tx.execute("UPDATE messages SET at = now() - interval '181 days'")
        (unread, *_) = await queries.page(tx, place.world.actors["enterprise"], unread=True, after=None, limit=9)
        await queries.read(tx, place.world.actors["enterprise"].id, unread.id)
        assert await queries.forget(tx, 180, 100) == 1
        assert await queries.forget(tx, 180, 100) == 0
        assert await tx.fetchval("SELECT count(*) FROM messages WHERE id = $1", unread.id) == 0
    assert await place.count("SELECT count(*) FROM messages WHERE read_at IS NULL") > 0
