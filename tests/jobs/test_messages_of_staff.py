"""Supervision, closed ledgers and ratings without an account: who hears of them, and who does not."""

from datetime import UTC, datetime, timedelta

import pytest

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.calendars import service as calendars
from market.calendars.model import ZONE
from market.calendars.service import Deadlines
from market.enterprises.model import Party
from market.ledger import counting, recording
from market.ledger.periods import month_of
from market.messages import queries, service
from market.messages.model import Message, Subject
from market.messages.words import render
from market.needs import receipts
from market.ratings import rectification
from market.ratings import service as ratings
from market.ratings.model import Finding, Rating, RatingForm, Revisit, Ruling
from market.ratings.scale import RatingLevel
from market.supervision import service as supervision
from market.supervision.model import Notice, SupervisionAction
from tests.factories import serve
from tests.jobs.place import Place
from workers.deadlines import move_supervisions

pytestmark = [pytest.mark.anyio, pytest.mark.commits]

PARTY = Party(name="李明（个人）", contact_name="李明", contact_phone="0755-26000001", region_code="440305")
BAD = RatingForm(level=RatingLevel.DISSATISFIED, indicators=("209",), remark="晚")
CENTER = "institution"


async def newest(place: Place, login: str) -> Message:
    async with place.db.reading() as tx:
        (one,) = await queries.page(tx, place.world.actors[login], unread=True, after=None, limit=1)
    return one


# supervision ---------------------------------------------------------------------------------------------------------


async def noticed(place: Place) -> int:
    center = place.world.actors[CENTER].institution_id or 0
    made = await place.do(supervision.give_notice, "coordinator", Notice(institution_id=center, note="按时率偏低"))
    supervision_id: int = made.id
    return supervision_id


async def step(place: Place, login: str, supervision_id: int, action: SupervisionAction) -> None:
    async with place.db.transaction() as tx:
        due = await calendars.deadlines(tx)
        await supervision.step(tx, place.world.actors[login], supervision_id, action, "说明", due)


async def test_supervision_from_notice_to_close(place: Place) -> None:
    supervision_id = await noticed(place)
    assert await place.told() == [(CENTER, "supervision_notice")]
    heard = await newest(place, CENTER)
    assert (heard.subject, heard.urgent) == (Subject.SUPERVISION, True)
    assert heard.data["due"], "it says until when"
    assert service.link_of(heard, Role.INSTITUTION) == f"/supervision/{supervision_id}"
    await step(place, CENTER, supervision_id, SupervisionAction.PLAN)
    assert await place.told() == [("coordinator", "supervision_plan"), ("coordinator2", "supervision_plan")]
    await step(place, "coordinator2", supervision_id, SupervisionAction.SEND_BACK)
    assert await place.told() == [(CENTER, "supervision_sent_back")]
    await step(place, CENTER, supervision_id, SupervisionAction.PLAN)
    await step(place, "coordinator", supervision_id, SupervisionAction.CHECK)
    await step(place, "coordinator", supervision_id, SupervisionAction.CLOSE)
    assert [one for one in await place.told() if one[0] == CENTER] == [
        (CENTER, "supervision_checked"),
        (CENTER, "supervision_closed"),
    ]
    await step(place, "coordinator", await noticed(place), SupervisionAction.CALL_OFF)
    assert await place.told() == [(CENTER, "supervision_called_off"), (CENTER, "supervision_notice")]


async def test_its_clock_calls_the_institution_then_the_node_then_the_node_above(place: Place) -> None:
    supervision_id = await noticed(place)
    await place.told()
    expected = [
        [(CENTER, "remind")],
        [(CENTER, "expire")],
        [("coordinator", "late_node"), ("coordinator2", "late_node")],
        [("province", "late_above")],
    ]
    for passed, told in enumerate(expected, start=1):
        # So many of its four moments, a day apart, lie in the past.
        moments = [datetime.now(UTC) + timedelta(days=by - passed + 0.5) for by in range(4)]
        async with place.db.transaction() as tx:
            await tx.execute(
                "UPDATE supervisions SET remind_at = $1, due_at = $2, node_at = $3, above_at = $4", *moments
            )
        await move_supervisions(place.db)
        assert await place.told() == told
    heard = await newest(place, "province")
    assert (heard.subject, heard.data["limit"]) == (Subject.DEADLINES, "noticed")
    assert service.link_of(heard, Role.COORDINATOR) == f"/supervision/{supervision_id}"


# closed ledgers ------------------------------------------------------------------------------------------------------


async def test_a_correction_of_a_closed_month_is_told_once_to_whom_it_is_of(place: Place) -> None:
    need_id = await serve(place.db, place.settings, place.world)
    rating = await place.do(rate, "enterprise", need_id)
    month = month_of(datetime.now(ZONE).date()).code
    await recorded(place)
    async with place.db.transaction() as tx:
        for province in await counting.provinces(tx):
            await counting.close(tx, province, [month], datetime.now(UTC))
    await recorded(place)
    await place.told()
    await place.do(ratings.report, CENTER, rating.id, "不是我们办的")
    await place.do(ratings.rule, "coordinator", rating.id, Ruling(keep=False, note="属实"))
    await recorded(place)
    assert [one for one in await place.told() if one[1] == "ledger_corrected"] == [(CENTER, "ledger_corrected")]
    heard = await newest(place, CENTER)
    assert heard.data["period"] == month
    center = place.world.actors[CENTER].institution_id
    assert service.link_of(heard, Role.INSTITUTION) == f"/ledger/{center}?period={month}"
    await recorded(place)
    await recorded(place, whole=True)
    assert await place.told() == [], "the same figures are told once"


async def recorded(place: Place, *, whole: bool = False) -> None:
    async with place.db.transaction() as tx:
        await recording.bring_up_to_date(tx, await calendars.deadlines(tx), whole=whole)


async def rate(tx: Transaction, actor: Actor, need_id: int, deadlines: Deadlines) -> Rating:
    return await ratings.rate(tx, actor, need_id, BAD, deadlines, b"x")


# ratings by receipt --------------------------------------------------------------------------------------------------


async def test_a_rating_by_receipt_is_heard_of_by_the_clerk_who_filed_and_nobody_hears_of_himself(place: Place) -> None:
    need_id = await serve(place.db, place.settings, place.world, party=PARTY)
    told = await place.told()
    assert ("clerk", "delivered") in told
    assert ("clerk", "confirmed") not in told, "the clerk confirmed it"
    async with place.db.transaction() as tx:
        code = receipts.code_of("test" * 8, need_id)
        holder = await receipts.holder(tx, "test" * 8, need_id, code)
        rating = await rate(tx, holder, need_id, await calendars.deadlines(tx))
    assert await place.told() == [("coordinator", "verify"), (CENTER, "rated")], "the holder is not the clerk"
    await place.do(rectification.verify, "coordinator", rating.id, Finding(founded=True, note="属实"))
    await place.do(rectification.rectify, CENTER, rating.id, "已改")
    await place.do(rectification.answer, CENTER, rating.id, "已向您说明")
    assert [kind for login, kind in await place.told() if login == "clerk"] == ["rectify_party", "revisit"]
    heard = await newest(place, "clerk")
    assert "请转告当事人" in render(heard.kind, heard.need_id, heard.data, "zh").body
    assert service.link_of(heard, Role.CLERK) == f"/needs/{need_id}"
    async with place.db.transaction() as tx:
        due = await calendars.deadlines(tx)
        await rectification.revisit(tx, holder, rating.id, Revisit(satisfied=True), due)
    assert await place.told() == [("coordinator", "to_close"), (CENTER, "satisfied")]


async def test_a_clerk_who_rates_for_somebody_does_not_hear_of_it(place: Place) -> None:
    need_id = await serve(place.db, place.settings, place.world, party=PARTY)
    await place.told()
    await place.do(rate, "clerk", need_id)
    assert await place.told() == [("coordinator", "verify"), (CENTER, "rated")]
