"""The limits for the answer to a rating and for the ruling on a reported one."""

from datetime import UTC, datetime

import pytest
from msgspec import structs

from infra.db import Database, Transaction
from infra.settings import Settings
from market.calendars import service as calendars
from market.calendars.service import Deadlines
from market.deadlines import queries as limits
from market.deadlines import service as moving
from market.deadlines.model import DeadlineState as D
from market.deadlines.model import LimitKind as K
from market.needs import service as needs
from market.ratings import service
from market.ratings.model import Place, Rating, RatingFilter, RatingForm, Ruling
from market.ratings.scale import RatingLevel
from tests.factories import World, serve

pytestmark = pytest.mark.anyio

WORDS = RatingForm(level=RatingLevel.SATISFIED, remark="很专业，就是等得久了些")


@pytest.fixture(scope="module")
async def served(db: Database, settings: Settings, world: World) -> int:
    """A need that was served to the end; what tests make of it is rolled back."""
    return await serve(db, settings, world)


@pytest.fixture
async def deadlines(tx: Transaction) -> Deadlines:
    return await calendars.deadlines(tx)


async def rate(tx: Transaction, world: World, need_id: int, deadlines: Deadlines, form: RatingForm) -> Rating:
    return await service.rate(tx, world.actors["enterprise"], need_id, form, deadlines, None)


async def live(tx: Transaction, need_id: int) -> dict[K, D]:
    return {one.kind: one.state for one in await limits.of_need(tx, need_id)}


async def test_words_are_answered_in_time(tx: Transaction, world: World, served: int, deadlines: Deadlines) -> None:
    rating = await rate(tx, world, served, deadlines, WORDS)
    due_at, _ = deadlines.calendar("440305").due_at(datetime.now(UTC), 5)
    assert (rating.awaits, rating.awaits_by, rating.due_at) == (K.RATING_REPLY, due_at, None)
    rated = world.actors["institution"]
    waiting = await service.listing(tx, rated, RatingFilter.INSTITUTION, None, 100)
    assert rating.id in [one.id for one in waiting]
    replied = await service.reply(tx, rated, rating.id, "谢谢，我们会加快")
    assert (replied.awaits, replied.reply) == (None, "谢谢，我们会加快")
    assert await live(tx, served) == {}
    assert (
        await tx.fetchval("SELECT state FROM deadlines WHERE kind = 'rating_reply' AND need_id = $1", served) == D.DONE
    )


@pytest.mark.parametrize(
    "form",
    [
        structs.replace(WORDS, remark=""),
        structs.replace(WORDS, anonymous=True),
        structs.replace(WORDS, level=RatingLevel.DISSATISFIED),
    ],
    ids=["wordless", "anonymous", "bad"],
)
async def test_what_needs_no_reply_has_no_clock_for_one(
    tx: Transaction, world: World, served: int, deadlines: Deadlines, form: RatingForm
) -> None:
    await rate(tx, world, served, deadlines, form)
    assert K.RATING_REPLY not in await live(tx, served)


async def test_later_words_are_answered_too(tx: Transaction, world: World, served: int, deadlines: Deadlines) -> None:
    await rate(tx, world, served, deadlines, structs.replace(WORDS, remark=""))
    party = world.actors["enterprise"]
    rating = await service.add_remark(tx, party, served, "后来又来问过两次，都很耐心", deadlines)
    assert rating.awaits is K.RATING_REPLY


async def test_a_report_is_ruled_on_in_time(tx: Transaction, world: World, served: int, deadlines: Deadlines) -> None:
    """While it is open nobody owes a reply; kept, the days that were left go on."""
    rating = await rate(tx, world, served, deadlines, WORDS)
    rated, node = world.actors["institution"], world.actors["coordinator"]
    reported = await service.report(tx, rated, rating.id, "不是我们的客户", deadlines)
    due_at, _ = deadlines.calendar("440305").due_at(datetime.now(UTC), 3)
    assert (reported.awaits, reported.awaits_by) == (K.RATING_RULING, due_at)
    assert await live(tx, served) == {K.RATING_REPLY: D.PAUSED, K.RATING_RULING: D.RUNNING}
    waiting = await service.listing(tx, node, RatingFilter.NODE, None, 100)
    at = [one.id for one in waiting].index(rating.id)
    assert rating.id not in [
        one.id for one in await service.listing(tx, node, RatingFilter.NODE, Place(due_at, rating.id), 100)
    ]
    assert at >= 0
    kept = await service.rule(tx, node, rating.id, Ruling(keep=True, note="核实是服务对象"), deadlines)
    assert kept.awaits is K.RATING_REPLY
    assert await live(tx, served) == {K.RATING_REPLY: D.RUNNING}


async def test_what_is_withheld_needs_no_reply(
    tx: Transaction, world: World, served: int, deadlines: Deadlines
) -> None:
    rating = await rate(tx, world, served, deadlines, WORDS)
    await service.report(tx, world.actors["institution"], rating.id, "与服务无关", deadlines)
    withheld = await service.rule(
        tx, world.actors["coordinator"], rating.id, Ruling(keep=False, note="广告"), deadlines
    )
    assert withheld.awaits is None
    assert await live(tx, served) == {}


async def test_a_ruling_that_is_late_is_told_to_the_node(
    tx: Transaction, world: World, served: int, deadlines: Deadlines
) -> None:
    rating = await rate(tx, world, served, deadlines, WORDS)
    rated = world.actors["institution"]
    await service.report(tx, rated, rating.id, "不是我们的客户", deadlines)
    await tx.execute(
        "UPDATE deadlines SET due_at = now() - interval '1 minute', remind_at = NULL,"
        " stamp = (SELECT stamp FROM calendar_stamp) WHERE need_id = $1 AND kind = 'rating_ruling'",
        served,
    )
    assert (await moving.move(tx, 100)).moved >= 1
    assert (await live(tx, served))[K.RATING_RULING] is D.OVERDUE
    need = await needs.find(tx, world.actors["coordinator"], served)
    told = [
        e for e in await needs.history(tx, world.actors["coordinator"], need) if e.data.get("limit") == K.RATING_RULING
    ]
    assert [(e.action, list(e.data["to"][0])) for e in told] == [("expire", ["account_id"])]
    overdue = await service.listing(tx, world.actors["coordinator"], RatingFilter.OVERDUE, None, 100)
    assert rating.id in [one.id for one in overdue]
