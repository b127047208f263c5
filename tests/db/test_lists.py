"""Lists in PostgreSQL: from draft to publication and withdrawal, taking up, and the log of changes."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from infra.db import Database, Transaction, savepoint
from market.accounts.model import Actor
from market.calendars import service as calendars
from market.calendars.service import Deadlines
from market.catalogue import queries as catalogue
from market.catalogue import service as items
from market.catalogue.model import ItemList, ServiceItem
from market.cli import main
from market.errors import Conflict, EditedMeanwhile, Forbidden, InvalidInput, InvalidTransition, ItemWithdrawn, NotFound
from market.exporting import service as exporting
from market.exporting.model import KINDS, Format, What
from market.feeds import queries as feeds
from market.feeds.model import Change
from market.guides import service as guides
from market.guides.model import ChannelForm, ComplaintSource
from market.importing import files
from market.importing.columns import template
from market.importing.model import DryRun, ImportFailed, Kind
from market.importing.service import import_file, load_sheet
from market.lists import queries, service, taking_up
from market.lists.model import Move, NewRevision, Revision, RevisionAction, RevisionState, Save, Withdrawal
from market.matches import queries as matches
from market.matches import service as match_service
from market.matches.model import MatchState
from market.needs import service as needs
from market.needs.model import Submission
from market.offerings import queries as offerings
from market.offerings import service as offering_service
from market.offerings.model import OfferingFilter, OfferingForm, OfferingState
from market.supply import queries as supply
from tests.conftest import Clone, open_database
from tests.db.test_rules import force, propose
from tests.factories import AID, PATENT, World

pytestmark = pytest.mark.anyio

TODAY = service.today()


def act(action: RevisionAction, edit: int = 1, note: str = "") -> Move:
    return Move(action=action, edit=edit, note=note)


async def own_item(tx: Transaction, actor: Actor, **changes: object) -> int:
    """A draft of a new item on the institution's specific list."""
    guide = (await items.find(tx, AID)).guide
    form = NewRevision(
        name="高价值专利培育",
        item_group="专利相关",
        item_list=ItemList.SPECIFIC,
        rights=("patent",),  # type: ignore[arg-type]
        stages=("creation",),  # type: ignore[arg-type]
        guide=structs.replace(guide, audience=("企业",), channels=("线上",), process=("报名",), result=("报告",)),
    )
    return await service.draft(tx, actor, structs.replace(form, **changes))


async def revision_of(tx: Transaction, actor: Actor, code: str, **changes: object) -> int:
    """A draft of the next version of an item, complete enough to be submitted."""
    form = service.form_of(await items.find(tx, code))
    guide = structs.replace(form.guide, audience=("企业",), channels=("线上",), process=("提交",), result=("意见",))
    changed = structs.replace(form, guide=guide, **changes)
    return await service.draft(tx, actor, NewRevision(item_code=code, **structs.asdict(changed)))


async def publish(tx: Transaction, revision_id: int, writer: Actor, reviewer: Actor) -> RevisionState:
    await service.move(tx, writer, revision_id, act(RevisionAction.SUBMIT))
    return await service.move(tx, reviewer, revision_id, act(RevisionAction.APPROVE))


async def revision(tx: Transaction, revision_id: int) -> Revision:
    return await queries.by_id(tx, revision_id)


async def newest(tx: Transaction, count: int) -> list[Change]:
    return list(reversed(await feeds.before(tx, None, count)))


# from draft to publication -----------------------------------------------------------------------------------------


async def test_an_institutions_item_is_reviewed_by_its_node(tx: Transaction, world: World) -> None:
    writer, reviewer = world.actors["institution"], world.actors["coordinator"]
    revision_id = await own_item(tx, writer)
    code = (await revision(tx, revision_id)).item_code
    assert code == f"J{writer.institution_id}-{revision_id}"
    with pytest.raises(NotFound):
        await service.find(tx, reviewer, revision_id)
    with pytest.raises(NotFound):
        await items.find(tx, code)
    await service.move(tx, writer, revision_id, act(RevisionAction.SUBMIT))
    for stranger in ("office", "enterprise", "clerk"):
        with pytest.raises(NotFound):
            await service.find(tx, world.actors[stranger], revision_id)
    for other in ("admin", "institution"):
        with pytest.raises(Forbidden):
            await service.move(tx, world.actors[other], revision_id, act(RevisionAction.APPROVE))
    assert await service.move(tx, reviewer, revision_id, act(RevisionAction.APPROVE)) is RevisionState.PUBLISHED
    item = await items.find(tx, code)
    assert (item.version, item.institution_id, item.effective_from) == (1, writer.institution_id, TODAY)
    assert item.number == max(one.number for one in await catalogue.items(tx))
    assert [step.action for step in await queries.steps(tx, revision_id)] == ["draft", "submit", "approve", "publish"]
    (change,) = await newest(tx, 1)
    assert (change.action, change.item_code, change.institution_id) == ("published", code, writer.institution_id)
    assert (await taking_up.of_institution(tx, writer.institution_id or 0)).specific == (code,)


async def test_nobody_approves_what_he_wrote(tx: Transaction, world: World) -> None:
    first, second = world.actors["admin"], world.actors["admin2"]
    revision_id = await revision_of(tx, first, AID)
    form = (await revision(tx, revision_id)).form
    await service.save(tx, second, revision_id, Save(**structs.asdict(form), edit=1))
    await service.move(tx, first, revision_id, act(RevisionAction.SUBMIT, 2))
    for writer in (first, second):
        with pytest.raises(Forbidden, match="不能自己审核"):
            await service.move(tx, writer, revision_id, act(RevisionAction.APPROVE, 2))
    told = "INSERT INTO item_events (revision_id, from_state, action, to_state, actor_id) VALUES ($1, $2, $3, $4, $5)"
    with pytest.raises(asyncpg.CheckViolationError, match="cannot approve"):
        async with savepoint(tx):
            await tx.execute(told, revision_id, "in_review", "approve", "approved", second.id)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        async with savepoint(tx):
            await tx.execute(told, revision_id, "draft", "approve", "published", None)


async def test_what_is_sent_back_says_why_and_can_be_submitted_again(tx: Transaction, world: World) -> None:
    writer, reviewer = world.actors["institution"], world.actors["province"]
    revision_id = await own_item(tx, writer)
    await service.move(tx, writer, revision_id, act(RevisionAction.SUBMIT))
    with pytest.raises(InvalidInput) as told:
        await service.move(tx, reviewer, revision_id, act(RevisionAction.SEND_BACK))
    assert "note" in told.value.fields
    await service.move(tx, reviewer, revision_id, act(RevisionAction.SEND_BACK, note="请写明材料"))
    assert (await revision(tx, revision_id)).state is RevisionState.DRAFT
    assert await publish(tx, revision_id, writer, reviewer) is RevisionState.PUBLISHED


async def test_what_lacks_something_stays_a_draft(tx: Transaction, world: World) -> None:
    writer = world.actors["institution"]
    revision_id = await own_item(tx, writer, rights=(), effective_from=TODAY - timedelta(days=1))
    with pytest.raises(InvalidInput) as told:
        await service.move(tx, writer, revision_id, act(RevisionAction.SUBMIT))
    assert set(told.value.fields) == {"rights", "effective_from"}


@pytest.mark.parametrize(
    ("login", "changes", "field"),
    [
        ("institution", {"item_list": ItemList.COMMON}, "item_list"),
        ("admin", {}, "item_list"),
        ("institution", {"item_code": "MINE-1"}, "item_code"),
        ("admin", {"item_list": ItemList.COMMON, "item_code": "小写 a"}, "item_code"),
        ("institution", {"effective_until": TODAY - timedelta(days=1)}, "effective_until"),
    ],
)
async def test_what_a_draft_may_not_say(
    tx: Transaction, world: World, login: str, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInput) as told:
        await own_item(tx, world.actors[login], **changes)
    assert set(told.value.fields) == {field}


async def test_lists_have_their_writers(tx: Transaction, world: World) -> None:
    for login in ("coordinator", "enterprise", "clerk"):
        with pytest.raises(Forbidden):
            await own_item(tx, world.actors[login])
    with pytest.raises(NotFound):
        await revision_of(tx, world.actors["institution"], AID)
    with pytest.raises(NotFound):
        await service.withdraw(tx, world.actors["institution"], AID, Withdrawal(reason="x"))


async def test_an_item_has_one_revision_at_a_time(tx: Transaction, world: World) -> None:
    revision_id = await revision_of(tx, world.actors["admin"], AID)
    with pytest.raises(Conflict, match="未完成的修订"):
        await revision_of(tx, world.actors["admin2"], AID)
    await service.move(tx, world.actors["admin2"], revision_id, act(RevisionAction.DISCARD))
    assert await revision_of(tx, world.actors["admin2"], AID)


# two people, one draft ----------------------------------------------------------------------------------------------


async def test_a_draft_edited_meanwhile_is_neither_saved_nor_approved(tx: Transaction, world: World) -> None:
    admin, other = world.actors["admin"], world.actors["admin2"]
    revision_id = await revision_of(tx, admin, AID)
    form = (await revision(tx, revision_id)).form
    await service.save(tx, admin, revision_id, Save(**structs.asdict(structs.replace(form, fee="免费")), edit=1))
    with pytest.raises(EditedMeanwhile):
        await service.save(tx, other, revision_id, Save(**structs.asdict(form), edit=1))
    (change,) = await service.since_edit(tx, await revision(tx, revision_id), 1)
    assert (change.label, change.after[0].text) == ("收费", "免费")
    await service.move(tx, admin, revision_id, act(RevisionAction.SUBMIT, 2))
    with pytest.raises(EditedMeanwhile):
        await service.move(tx, other, revision_id, act(RevisionAction.APPROVE, 1))
    assert await service.move(tx, other, revision_id, act(RevisionAction.APPROVE, 2)) is RevisionState.PUBLISHED
    assert (await items.find(tx, AID)).fee == "免费"


async def test_a_newer_version_has_to_be_seen_before_a_revision_of_the_older_goes_on(
    tx: Transaction, world: World
) -> None:
    admin, other = world.actors["admin"], world.actors["admin2"]
    revision_id = await revision_of(tx, admin, AID)
    item = await items.find(tx, AID)
    await items.store(tx, AID, structs.replace(item.content, fee="由文件导入"), number=item.number)
    with pytest.raises(Conflict, match="第 2 版"):
        await service.move(tx, admin, revision_id, act(RevisionAction.SUBMIT))
    seen = await revision(tx, revision_id)
    (change,) = await service.since_base(tx, seen)
    assert change.after[0].text == "由文件导入"
    await service.save(tx, admin, revision_id, Save(**structs.asdict(seen.form), edit=1, base_version=2))
    await service.move(tx, admin, revision_id, act(RevisionAction.SUBMIT, 2))
    assert await service.move(tx, other, revision_id, act(RevisionAction.APPROVE, 2)) is RevisionState.PUBLISHED
    assert (await items.find(tx, AID)).version == 3


@pytest.mark.commits
async def test_of_two_who_save_at_once_one_is_told(clone: Clone) -> None:
    database = open_database(await clone())
    async with database.transaction() as tx:
        world = await World.read(tx)
        revision_id = await revision_of(tx, world.actors["admin"], AID)
        form = (await revision(tx, revision_id)).form

    async def save(login: str) -> bool:
        said = structs.replace(form, reason=login)
        try:
            async with database.transaction() as tx:
                await service.save(tx, world.actors[login], revision_id, Save(**structs.asdict(said), edit=1))
        except EditedMeanwhile:
            return False
        return True

    assert sorted(await asyncio.gather(save("admin"), save("admin2"))) == [False, True]
    await database.close()


# dates --------------------------------------------------------------------------------------------------------------


async def test_what_is_approved_for_later_waits_for_its_day(tx: Transaction, world: World) -> None:
    day = TODAY + timedelta(days=10)
    admin, other = world.actors["admin"], world.actors["admin2"]
    revision_id = await revision_of(tx, admin, AID, fee="新收费", effective_from=day, effective_until=day)
    assert await publish(tx, revision_id, admin, other) is RevisionState.APPROVED
    assert await service.take_effect(tx, day - timedelta(days=1)) == 0
    assert (await items.find(tx, AID)).version == 1
    # An outage of two days: the day is still the one that was decided, and what has run out since is withdrawn.
    assert await service.take_effect(tx, day + timedelta(days=2)) == 2
    item = await items.find(tx, AID)
    assert (item.version, item.fee, item.effective_from) == (2, "新收费", day)
    assert item.withdrawn_on == day + timedelta(days=1)
    assert [change.action for change in await newest(tx, 4)][:1] == ["revised"]
    assert await service.take_effect(tx, day + timedelta(days=3)) == 0


async def test_what_is_approved_late_is_in_force_from_then_on(tx: Transaction, world: World) -> None:
    admin, other = world.actors["admin"], world.actors["admin2"]
    revision_id = await revision_of(tx, admin, AID, effective_from=TODAY)
    await service.move(tx, admin, revision_id, act(RevisionAction.SUBMIT))
    await tx.execute("UPDATE item_revisions SET effective_from = $2 WHERE id = $1", revision_id, TODAY - timedelta(9))
    assert await service.move(tx, other, revision_id, act(RevisionAction.APPROVE)) is RevisionState.PUBLISHED
    assert (await items.find(tx, AID)).effective_from == TODAY
    late = await revision_of(tx, admin, PATENT)
    await service.move(tx, admin, late, act(RevisionAction.SUBMIT))
    await tx.execute("UPDATE item_revisions SET effective_until = $2 WHERE id = $1", late, TODAY - timedelta(1))
    with pytest.raises(Conflict, match="有效期已经过去"):
        await service.move(tx, other, late, act(RevisionAction.APPROVE))


async def test_what_was_overtaken_while_it_waited_goes_back(tx: Transaction, world: World) -> None:
    admin, other = world.actors["admin"], world.actors["admin2"]
    revision_id = await revision_of(tx, admin, AID, effective_from=TODAY + timedelta(days=1))
    await publish(tx, revision_id, admin, other)
    item = await items.find(tx, AID)
    await items.store(tx, AID, structs.replace(item.content, fee="由文件导入"), number=item.number)
    await service.take_effect(tx, TODAY + timedelta(days=1))
    assert (await revision(tx, revision_id)).state is RevisionState.DRAFT
    assert "第 2 版" in (await queries.steps(tx, revision_id))[-1].note
    assert (await items.find(tx, AID)).fee == "由文件导入"


async def test_what_waits_can_be_taken_back(tx: Transaction, world: World) -> None:
    admin, other = world.actors["admin"], world.actors["admin2"]
    revision_id = await revision_of(tx, admin, AID, effective_from=TODAY + timedelta(days=1))
    await publish(tx, revision_id, admin, other)
    await service.move(tx, admin, revision_id, act(RevisionAction.TAKE_BACK))
    assert await service.take_effect(tx, TODAY + timedelta(days=1)) == 0
    with pytest.raises(InvalidTransition):
        await service.move(tx, other, revision_id, act(RevisionAction.APPROVE))


# withdrawal ---------------------------------------------------------------------------------------------------------


async def withdrawn(tx: Transaction, world: World, code: str) -> ServiceItem:
    admin, other = world.actors["admin"], world.actors["admin2"]
    revision_id = await service.withdraw(tx, admin, code, Withdrawal(reason="职责划转"))
    assert await service.move(tx, other, revision_id, act(RevisionAction.APPROVE)) is RevisionState.PUBLISHED
    return await items.find(tx, code)


async def test_a_withdrawn_item_is_read_but_not_found(tx: Transaction, world: World) -> None:
    before = len(await catalogue.items(tx))
    found = OfferingFilter(item_code=AID)
    assert await offerings.page(tx, found, None, limit=9)
    item = await withdrawn(tx, world, AID)
    assert (item.version, item.withdrawn_on) == (1, TODAY)
    assert len(await catalogue.items(tx)) == before - 1
    assert [one.code for one in await catalogue.withdrawn(tx)] == [AID]
    assert await offerings.page(tx, found, None, limit=9) == []
    assert AID not in {one.item_code for one in await supply.published(tx, 1_000)}
    assert {change.action for change in await newest(tx, 3)} == {"withdrawn"}
    with pytest.raises(InvalidInput):
        await service.withdraw(tx, world.actors["admin"], AID, Withdrawal(reason="再撤一次"))


async def test_nothing_is_published_under_a_withdrawn_item(tx: Transaction, world: World) -> None:
    await withdrawn(tx, world, AID)
    owner, offering_id = world.actors["institution"], world.offerings["专利侵权维权援助"]
    with pytest.raises(ItemWithdrawn):
        async with savepoint(tx):
            await offering_service.set_state(tx, owner, offering_id, OfferingState.PUBLISHED)
    form = OfferingForm(item_code=AID, title="新的援助", summary="新", region_codes=("440300",))
    with pytest.raises(InvalidInput) as told:
        await offering_service.publish(tx, owner, form, OfferingState.PUBLISHED)
    assert "已经撤销" in told.value.fields["item_code"]


async def assigned(tx: Transaction, world: World, deadlines: Deadlines) -> int:
    """A match that waits for the institution to take it."""
    need = await needs.submit(tx, world.actors["enterprise"], Submission(body="被仿冒了", item_codes=(AID,)), deadlines)
    match_id = await propose(tx, need.id, world.offerings["专利侵权维权援助"])
    await force(tx, "needs", need.id, "proposed")
    await match_service.approve(tx, world.actors["coordinator"], need.id, match_id, deadlines)
    return match_id


async def test_a_withdrawal_that_came_back_is_not_edited(tx: Transaction, world: World) -> None:
    admin, other = world.actors["admin"], world.actors["admin2"]
    revision_id = await service.withdraw(tx, admin, AID, Withdrawal(reason="职责划转"))
    await service.move(tx, other, revision_id, act(RevisionAction.SEND_BACK, note="再想想"))
    form = (await revision(tx, revision_id)).form
    with pytest.raises(Conflict, match="作废后重新提出"):
        await service.save(tx, admin, revision_id, Save(**structs.asdict(form), edit=1))
    await service.move(tx, admin, revision_id, act(RevisionAction.DISCARD))


async def test_a_running_match_goes_on_with_its_frozen_version(tx: Transaction, world: World) -> None:
    deadlines = await calendars.deadlines(tx)
    match_id = await assigned(tx, world, deadlines)
    await withdrawn(tx, world, AID)
    institution = world.actors["institution"]
    await match_service.accept(tx, institution, match_id, deadlines)
    await match_service.deliver(tx, institution, match_id, "已出具意见。", deadlines)
    match = await matches.find(tx, match_id)
    assert match is not None
    assert (match.state, match.item_code, match.item_version) == (MatchState.DELIVERED, AID, 1)


async def test_a_withdrawn_item_comes_back_by_a_revision_and_its_offerings_by_their_institutions(
    tx: Transaction, world: World
) -> None:
    await withdrawn(tx, world, AID)
    revision_id = await revision_of(tx, world.actors["admin"], AID)
    assert await publish(tx, revision_id, world.actors["admin"], world.actors["admin2"]) is RevisionState.PUBLISHED
    item = await items.find(tx, AID)
    assert (item.version, item.withdrawn_on) == (2, None)
    assert (await newest(tx, 1))[0].action == "published"
    offering_id = world.offerings["专利侵权维权援助"]
    await offering_service.set_state(tx, world.actors["institution"], offering_id, OfferingState.PUBLISHED)


async def test_only_its_institution_offers_an_own_item(tx: Transaction, world: World) -> None:
    writer = world.actors["institution"]
    revision_id = await own_item(tx, writer)
    await publish(tx, revision_id, writer, world.actors["coordinator"])
    code = (await revision(tx, revision_id)).item_code
    form = OfferingForm(item_code=code, title="培育陪跑", summary="一年", region_codes=("440300",))
    assert await offering_service.publish(tx, writer, form, OfferingState.PUBLISHED)
    with pytest.raises(InvalidInput) as told:
        await offering_service.publish(tx, world.actors["office"], form, OfferingState.PUBLISHED)
    assert "只有这家机构能提供" in told.value.fields["item_code"]


# taking up ----------------------------------------------------------------------------------------------------------


async def test_who_publishes_under_a_common_item_has_taken_it_up(tx: Transaction, world: World) -> None:
    institution = world.actors["institution"]
    taken = {one.item_code for one in await taking_up.common(tx, institution) if one.taken_up_at}
    assert taken == {"SZ-2024-27", "SZ-2024-30"}
    assert await taking_up.take_up(tx, institution, ("SZ-2024-10", AID)) == 1
    assert await taking_up.take_up(tx, institution, None) == 5
    assert await taking_up.take_up(tx, institution, None) == 0
    with pytest.raises(InvalidInput, match="见各项"):
        await taking_up.take_up(tx, institution, (PATENT,))
    with pytest.raises(Forbidden):
        await taking_up.take_up(tx, world.actors["coordinator"], None)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await tx.execute("DELETE FROM take_ups")


@pytest.mark.parametrize("bound", [True, False])
async def test_a_decline_hangs_on_the_taking_up(tx: Transaction, world: World, *, bound: bool) -> None:
    deadlines = await calendars.deadlines(tx)
    match_id = await assigned(tx, world, deadlines)
    if not bound:  # as for an item that came onto the common list after the offering was published
        await tx.execute("ALTER TABLE take_ups DISABLE TRIGGER take_ups_frozen")
        await tx.execute("DELETE FROM take_ups")
    institution, coordinator = world.actors["institution"], world.actors["coordinator"]
    after = await match_service.decline(tx, institution, match_id, "人手不够", deadlines)
    assert after is (MatchState.DECLINE_REQUESTED if bound else MatchState.DECLINED)
    if not bound:
        return
    await match_service.answer_decline(tx, coordinator, match_id, deadlines, grant=False, note="请克服困难")
    await match_service.decline(tx, institution, match_id, "确实没有人", deadlines)
    await match_service.answer_decline(tx, coordinator, match_id, deadlines, grant=True, note="另行安排")
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    (count,) = await matches.declines(tx, now - hour, now + hour, institution.institution_id)
    assert (count.item_code, count.requested, count.granted, count.refused) == (AID, 2, 1, 1)
    assert await matches.declines(tx, now + hour, now + 2 * hour) == []


# the log ------------------------------------------------------------------------------------------------------------


async def test_the_log_tells_what_the_public_sees(tx: Transaction, world: World) -> None:
    owner = world.actors["institution"]
    form = OfferingForm(item_code=PATENT, title="辅导", summary="辅导", region_codes=("440300",))
    start = (await newest(tx, 1))[0].id
    offering_id = await offering_service.publish(tx, owner, form, OfferingState.DRAFT)
    await offering_service.revise(tx, owner, offering_id, 1, structs.replace(form, fee="免费"))
    assert await feeds.since(tx, start, 9) == [], "a draft is nobody's business"
    await offering_service.set_state(tx, owner, offering_id, OfferingState.PUBLISHED)
    await offering_service.set_state(tx, owner, offering_id, OfferingState.PUBLISHED)
    await offering_service.revise(tx, owner, offering_id, 2, form)
    await offering_service.set_state(tx, owner, offering_id, OfferingState.PAUSED)
    await offering_service.revise(tx, owner, offering_id, 3, structs.replace(form, title="新辅导"))
    await offering_service.set_state(tx, owner, offering_id, OfferingState.PUBLISHED)
    await offering_service.set_capacity(tx, owner, offering_id, 99)
    told = [(one.action, one.version, one.title) for one in await feeds.since(tx, start, 9)]
    assert told == [
        ("published", 2, "辅导"),
        ("revised", 3, "辅导"),
        ("withdrawn", 3, "辅导"),
        ("published", 4, "新辅导"),
    ]


@pytest.mark.commits
async def test_ids_of_the_log_grow_in_the_order_of_commits(clone: Clone) -> None:
    """Whoever has read up to an id never finds a smaller one later."""
    database = open_database(await clone(), size=6)
    async with database.reading() as tx:
        world = await World.read(tx)
        last = (await feeds.before(tx, None, 1))[0].id
    titles = list(world.offerings)
    following, seen = True, [last]

    async def toggle(title: str) -> None:
        for state in (OfferingState.PAUSED, OfferingState.PUBLISHED) * 10:
            async with database.transaction() as tx:
                await offerings.set_state(tx, world.offerings[title], state)
                await asyncio.sleep(0.001)

    async def follow() -> None:
        while following:
            async with database.reading() as tx:
                seen.extend(change.id for change in await feeds.since(tx, seen[-1], 100))

    follower = asyncio.create_task(follow())
    await asyncio.gather(*(toggle(title) for title in titles[:4]))
    following = False
    await follower
    async with database.reading() as tx:
        rest = [change.id for change in await feeds.since(tx, seen[-1], 100)]
        everything = [change.id for change in await feeds.since(tx, last, 200)]
    assert seen[1:] + rest == everything
    assert len(everything) == 4 * 20
    await database.close()


# guides -------------------------------------------------------------------------------------------------------------


async def test_every_guide_says_where_to_complain(tx: Transaction, world: World) -> None:
    owner = world.actors["institution"]
    bare = (await guides.of_item(tx, AID)).complaints
    assert (bare.source, bare.channel) == (ComplaintSource.NOBODY, "请向广东省骨干节点反映。")
    await guides.publish_channel(tx, world.actors["coordinator"], ChannelForm(supervision="电话 12345"))
    assert (await guides.of_item(tx, AID)).complaints.channel == "深圳市骨干节点：电话 12345"
    await guides.publish_channel(tx, world.actors["province"], ChannelForm(supervision="电话 12330"))
    assert (await guides.of_item(tx, AID)).complaints.channel == "广东省骨干节点：电话 12330"
    offered = (await guides.of_offering(tx, None, world.offerings["专利侵权维权援助"])).complaints
    assert (offered.source, offered.channel) == (ComplaintSource.INSTITUTION, "电话 0755-00000000")
    assert "南山知识产权保护中心（测试）公布" in offered.remark
    revision_id = await own_item(tx, owner)
    await publish(tx, revision_id, owner, world.actors["coordinator"])
    own = await guides.of_item(tx, (await revision(tx, revision_id)).item_code)
    assert own.complaints.source is ComplaintSource.INSTITUTION
    with pytest.raises(Forbidden):
        await guides.publish_channel(tx, owner, ChannelForm(supervision="x"))


# out and in again ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [Format.CSV, Format.JSON])
@pytest.mark.parametrize("what", list(What))
async def test_what_goes_out_comes_in_unchanged(db: Database, tx: Transaction, what: What, form: Format) -> None:
    raw = b"".join([piece async for piece in exporting.pieces(db.transaction, what, form, "http://localhost")])
    report = await load_sheet(tx, files.parse(raw, "x"), KINDS[what], lambda *_: None)
    assert report.rows > 2
    assert (report.added, report.revised) == (0, 0)


async def test_the_commands(clone: Clone, tmp_path: Path) -> None:
    settings = await clone()
    env = {"ZHIPEI_DATABASE_URL": settings.database_url, "ZHIPEI_REDIS_URL": settings.redis_url}

    async def zhipei(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, words, env=env)

    path = tmp_path / "items.csv"
    assert (await zhipei("export", "lists", str(path))).exit_code == 0
    assert "没有变化 33" in (await zhipei("import", str(path))).output
    path.write_text(path.read_text().replace("专利申请受理,", "专利申请受理（新）,", 1))
    assert "试运行" in (await zhipei("import", str(path), "--dry-run")).output
    assert "更新 1，没有变化 32" in (await zhipei("import", str(path))).output
    told = await zhipei("export", "offerings", "-", "--format", "hsds")
    assert len(json.loads(told.stdout_bytes)) == 7


async def test_a_dry_run_says_what_it_would_do(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "事项.csv"
    path.write_text(template(Kind.ITEMS))
    with pytest.raises(DryRun) as tried:
        async with db.transaction() as tx:
            await import_file(tx, path, None, progress=lambda *_: None, dry_run=True)
    assert tried.value.report.added == 1
    async with db.reading() as tx:
        assert await catalogue.item(tx, "EX-2026-01") is None


async def test_an_import_respects_owners_and_withdrawals(tx: Transaction, world: World) -> None:
    writer = world.actors["institution"]
    revision_id = await own_item(tx, writer)
    await publish(tx, revision_id, writer, world.actors["coordinator"])
    code = (await revision(tx, revision_id)).item_code
    number = (await items.find(tx, code)).number
    await withdrawn(tx, world, AID)
    uscc = await tx.fetchval("SELECT uscc FROM institutions WHERE id = $1", world.actors["office"].institution_id)
    raw = (
        "code,number,name,item_group,item_list,institution_uscc\n"
        f"{code},{number},换了主人,专利相关,specific,{uscc}\n"
        f"{AID},27,维权援助,维权援助相关,common,\n"
        f"NEW-1,901,不是个性化,专利相关,common,{uscc}\n"
        f"NEW-2,902,某机构的事项,专利相关,specific,{uscc}\n"
    )
    with pytest.raises(ImportFailed) as refused:
        await load_sheet(tx, files.parse(raw.encode(), "x.csv"), None, lambda *_: None)
    told = [(problem.place, problem.column, problem.message[:8]) for problem in refused.value.problems]
    assert told == [
        ("第 2 行", "「所属机构信用代码」（institution_uscc）", f"事项 {code} "[:8]),
        ("第 3 行", "「服务事项编码」（code）", "这个事项已于 2"),
        ("第 4 行", "「所属机构信用代码」（institution_uscc）", "只有个性化清单的"),
    ]
    fine = "\n".join([raw.splitlines()[0], raw.splitlines()[-1]])
    assert (await load_sheet(tx, files.parse(fine.encode(), "x.csv"), None, lambda *_: None)).added == 1
    item = await items.find(tx, "NEW-2")
    assert (item.institution_id, item.effective_from) == (world.actors["office"].institution_id, TODAY)
    offering = "institution_uscc,item_code,title,summary,region_codes\n{},NEW-2,标题,说明,440300\n"
    other = await tx.fetchval("SELECT uscc FROM institutions WHERE id = $1", writer.institution_id)
    theirs, ours = (files.parse(offering.format(one).encode(), "x.csv") for one in (other, uscc))
    with pytest.raises(ImportFailed, match="只有这家机构能提供"):
        await load_sheet(tx, theirs, None, lambda *_: None)
    assert (await load_sheet(tx, ours, None, lambda *_: None)).added == 1
