"""Jobs of personal data, after a whole way through pages and worker: nothing in the clear, and gone after its time."""

import asyncio
from typing import Any

import pytest
from msgspec import structs

from infra import fields
from market.calendars import service as calendars
from market.enterprises.model import Party
from market.errors import Conflict
from market.matches import service as matches
from market.needs import queries as needs
from market.needs import service as need_service
from market.needs.model import Submission
from market.personal import queries, service
from market.ratings import service as ratings
from market.ratings.model import RatingForm, RatingLevel
from tests.conftest import open_database
from tests.factories import holding, serve
from tests.jobs.place import Place
from workers.context import Context
from workers.personal import erase_asked, forget_all, forget_contacts, seal_clear

pytestmark = pytest.mark.anyio

PHONE, NAME = "13955556666", "周窗口"
PARTY = Party(name="周某（个人）", contact_name=NAME, contact_phone=PHONE, region_code="440305")
FIGURES = "SELECT md5(coalesce(string_agg(to_jsonb(l)::text, '' ORDER BY to_jsonb(l)::text), '')) FROM ledger_rows l"
EVENTS = "SELECT md5(coalesce(string_agg(to_jsonb(v)::text, '' ORDER BY v.id), '')) FROM events v"


def ctx(place: Place, **changed: Any) -> dict[str, Any]:
    return {"context": Context(structs.replace(place.settings, **changed), place.db, None)}  # type: ignore[arg-type]


async def found(place: Place, text: str) -> list[str]:
    async with place.db.reading() as tx:
        return await holding(tx, text)


async def age(place: Place, need_id: int, days: int) -> None:
    """Let the need, and all that happened to it, be so old."""
    owner = open_database(place.settings, owner=True)
    async with owner.transaction() as tx:
        await tx.execute("SET LOCAL session_replication_role = replica")
        for table, column in (("needs", "created_at"), ("events", "at")):
            key = "id" if table == "needs" else "need_id"
            sql = f"UPDATE {table} SET {column} = {column} - make_interval(days => $2) WHERE {key} = $1"
            await tx.execute(sql, need_id, days)
        await tx.execute("UPDATE enterprises SET created_at = created_at - make_interval(days => $1)", days)
    await owner.close()


async def phone_of(place: Place, need_id: int) -> str:
    async with place.db.reading() as tx:
        return (await needs.contact(tx, need_id)).phone


async def test_after_a_whole_way_nothing_lies_in_the_clear(place: Place) -> None:
    need = await serve(place.db, place.settings, place.world, party=PARTY)
    await place.do(need_service.show, "coordinator", need)
    await place.do(need_service.reveal, "coordinator", need)
    await place.told()
    for text in (PHONE, NAME):
        assert await found(place, text) == [], text
    assert await phone_of(place, need) == PHONE


async def test_contacts_go_after_their_time_and_figures_and_events_stay(place: Place) -> None:
    old = await serve(place.db, place.settings, place.world, party=PARTY)
    young = await serve(place.db, place.settings, place.world)
    async with place.db.transaction() as tx:
        form = Submission(body="一直没有办完")
        still = (
            await need_service.submit(tx, place.world.actors["enterprise"], form, await calendars.deadlines(tx))
        ).id
    await age(place, old, 100)
    await age(place, still, 100)
    before = await place.count("SELECT count(*) FROM ledger_rows"), await facts(place)
    await forget_contacts(ctx(place, contact_days=120))
    assert await phone_of(place, old) == PHONE, "not yet"
    assert await forget_all(place.db, 90, 1) == (1, 1)
    assert await phone_of(place, old) == ""
    assert await phone_of(place, young)
    assert await phone_of(place, still), "open, however old"
    async with place.db.reading() as tx:
        name, sealed = await tx.fetchrow(
            "SELECT e.name, e.contact_phone_sealed FROM enterprises e JOIN needs n ON n.enterprise_id = e.id "
            "WHERE n.id = $1",
            old,
        )
    assert (name, sealed) == ("***", None), "a person without an account goes with the last need"
    assert await forget_all(place.db, 90) == (0, 0), "done again, it finds nothing"
    assert (await place.count("SELECT count(*) FROM ledger_rows"), await facts(place)) == before


async def facts(place: Place) -> tuple[str, str]:
    async with place.db.reading() as tx:
        return await tx.fetchval(FIGURES), await tx.fetchval(EVENTS)


async def test_whoever_waits_is_erased_once_the_last_need_has_ended(place: Place) -> None:
    rival = place.world.actors["rival"]
    async with place.db.transaction() as tx:
        form = Submission(body="想申请发明专利")
        need = await need_service.submit(tx, rival, form, await calendars.deadlines(tx))
        assert await service.ask(tx, rival) is False
        assert await service.ask(tx, rival) is False, "asked twice"
    await erase_asked(ctx(place))
    async with place.db.reading() as tx:
        assert await queries.waiting(tx) == [rival.id]
    await place.do(matches.withdraw, "rival", need.id, "")
    await asyncio.gather(erase_asked(ctx(place)), erase_asked(ctx(place)))
    async with place.db.reading() as tx:
        assert await queries.waiting(tx) == []
        assert await tx.fetchval("SELECT count(*) FROM audit WHERE action = 'erase'") == 1, "of two workers one did it"
        left = await tx.fetchrow("SELECT * FROM enterprises WHERE id = $1", rival.enterprise_id)
        assert (left["name"], left["contact_phone_sealed"]) == ("深圳乙制造有限公司", None), (
            "a firm's name is no person's"
        )
    assert await phone_of(place, need.id) == ""


async def test_nobody_is_erased_while_a_rectification_goes_on(place: Place) -> None:
    need = await serve(place.db, place.settings, place.world)
    async with place.db.transaction() as tx:
        actor = place.world.actors["enterprise"]
        form = RatingForm(level=RatingLevel(1), remark="没有解决")
        await ratings.rate(tx, actor, need, form, await calendars.deadlines(tx), None)
        assert await service.open_needs(tx, actor.id) == [need]
        with pytest.raises(Conflict):
            await service.erase_account(tx, actor.id)
    await age(place, need, 400)
    assert await forget_all(place.db, 90) == (0, 0), "nor after the time"


async def test_the_worker_seals_what_lies_in_the_clear_but_not_with_a_wrong_key(place: Place) -> None:
    need = await serve(place.db, place.settings, place.world)
    clear = """UPDATE needs SET contact_name = '王敏', contact_phone = '13911110000', contact_name_sealed = NULL,
        contact_phone_sealed = NULL WHERE id = $1"""
    async with place.db.transaction() as tx:
        await tx.execute(clear, need)
    wrong = open_database(structs.replace(place.settings, data_key="w" * 32))
    await seal_clear({"context": Context(place.settings, wrong, None)})  # type: ignore[arg-type]
    await wrong.close()
    assert await found(place, "13911110000") == ["needs"]
    await seal_clear(ctx(place))
    assert await found(place, "13911110000") == []
    assert await phone_of(place, need) == "13911110000"
    async with place.db.reading() as tx:
        assert len(await fields.used(tx)) == 1
