"""The audit trail: chained without holding anybody up, and whatever is done to it afterwards is found."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest

from infra.db import Database, Transaction
from infra.privileges import APPEND_ONLY, FROZEN, READ_ONLY, too_much
from infra.settings import Settings
from market.accounts import queries as accounts
from market.audit import queries, service
from market.audit.model import TERMINAL, Action, Filter, Seal, Verdict
from market.doctor import examine
from market.errors import InvalidInput
from tests.conftest import Clone, open_database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def place(clone: Clone) -> AsyncIterator[tuple[Settings, Database, Database]]:
    """A database of the test's own: settings, the application's connections, the owner's."""
    settings = await clone()
    app, owner = open_database(settings, size=20), open_database(settings, owner=True)
    yield settings, app, owner
    await app.close()
    await owner.close()


async def write(db: Database, count: int) -> None:
    for number in range(count):
        async with db.transaction() as tx:
            await service.record(tx, None, Action.LOG_IN, f"account:{number}", role=TERMINAL, n=number)


async def seal(db: Database) -> Seal | None:
    async with db.transaction() as tx:
        return await service.seal(tx)


async def sealed(db: Database) -> None:
    while await seal(db):
        pass


async def verify(db: Database, *anchors: str) -> Verdict:
    async with db.transaction() as tx:
        return await service.verify(tx, list(anchors))


async def problems(db: Database, *anchors: str) -> list[str]:
    return [finding.problem for finding in (await verify(db, *anchors)).findings]


async def tamper(owner: Database, statement: str) -> None:
    """As somebody who owns the database may: triggers off, and on again."""
    async with owner.transaction() as tx:
        await tx.execute("SET LOCAL session_replication_role = replica")
        await tx.execute(statement)


async def test_what_was_written_is_chained_and_verified(place: tuple[Settings, Database, Database]) -> None:
    _, app, _ = place
    await write(app, 30)
    await sealed(app)
    first = await verify(app)
    assert not first.findings
    assert first.unchained == 0
    await write(app, 20)
    assert (await verify(app)).unchained == 20
    await sealed(app)
    last = await verify(app, first.last.anchor)
    assert not last.findings
    assert last.checked == first.checked + 20
    assert await seal(app) is None, "nothing new"


FIFTH = "(SELECT audit_id FROM audit_chain ORDER BY position DESC OFFSET 5 LIMIT 1)"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (f"UPDATE audit SET actor_id = 1 WHERE id = {FIFTH}", "was changed"),
        (f"UPDATE audit SET data = '{{\"n\": 7000}}' WHERE id = {FIFTH}", "was changed"),
        (f"UPDATE audit SET at = at - interval '1 us' WHERE id = {FIFTH}", "was changed"),
        (f"UPDATE audit SET object = 'account:9000' WHERE id = {FIFTH}", "was changed"),
        (f"DELETE FROM audit WHERE id = {FIFTH}", "was deleted"),
        (f"DELETE FROM audit_chain WHERE audit_id = {FIFTH}", "are gone"),
        ("DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)", "was deleted"),
        (
            "DELETE FROM audit_chain WHERE position > (SELECT max(position) - 4 FROM audit_chain)",
            "the end of the trail",
        ),
        ("DELETE FROM audit_chain; DELETE FROM audit", "the end of the trail"),
        (
            f"UPDATE audit_chain c SET audit_id = o.audit_id FROM audit_chain o "
            f"WHERE c.audit_id IN ({FIFTH}, {FIFTH} + 1) AND o.audit_id IN ({FIFTH}, {FIFTH} + 1) "
            f"AND o.audit_id <> c.audit_id",
            "not in its place",
        ),
        ("INSERT INTO audit (role, action, transaction) VALUES ('terminal', 'log_in', 1)", "in no place of the chain"),
        ("DELETE FROM audit_seals", "no seals"),
    ],
)
async def test_whatever_is_done_to_it_is_found(
    place: tuple[Settings, Database, Database], statement: str, words: str
) -> None:
    _, app, owner = place
    await write(app, 20)
    await sealed(app)
    if "UPDATE audit_chain" in statement:  # two rows change places, in one statement
        async with owner.transaction() as tx:
            await tx.execute("ALTER TABLE audit_chain DROP CONSTRAINT audit_chain_audit_id_key")
    assert await problems(app) == []
    await tamper(owner, statement)
    found = await problems(app)
    assert any(words in problem for problem in found), found


async def test_the_wrong_entry_is_named_and_no_other(place: tuple[Settings, Database, Database]) -> None:
    _, app, owner = place
    await write(app, 20)
    await sealed(app)
    async with owner.reading() as tx:
        one = await tx.fetchval(f"SELECT {FIFTH}")
    await tamper(owner, f"UPDATE audit SET role = 'admin' WHERE id = {one}")
    assert await problems(app) == [f"entry {one} was changed, or is not in its place"]


async def test_an_anchor_finds_a_chain_written_anew_or_cut_with_its_seals(
    place: tuple[Settings, Database, Database],
) -> None:
    _, app, owner = place
    await write(app, 10)
    await sealed(app)
    early = (await verify(app)).last.anchor
    await write(app, 10)
    await sealed(app)
    late = (await verify(app)).last
    cut = late.position - 5
    await tamper(owner, f"DELETE FROM audit a USING audit_chain c WHERE c.audit_id = a.id AND c.position > {cut}")
    await tamper(owner, f"DELETE FROM audit_chain WHERE position > {cut}")
    await tamper(owner, f"DELETE FROM audit_seals WHERE position > {cut}")
    assert await problems(app) == [], "from inside nothing is to be seen: whoever owns the database can do this"
    assert await problems(app, early) == []
    assert await problems(app, late.anchor) == [f"the end of the trail is gone: places {cut + 1} to {late.position}"]
    # all of it anew, with one entry less
    await tamper(owner, f"DELETE FROM audit WHERE id = (SELECT min(id) FROM audit)")  # noqa: F541
    await tamper(owner, "DELETE FROM audit_chain")
    await tamper(owner, "DELETE FROM audit_seals WHERE position > 0")
    await sealed(app)
    assert await problems(app) == []
    assert any("written anew" in problem for problem in await problems(app, early))
    with pytest.raises(InvalidInput):
        await verify(app, "five:abc")


async def test_entries_of_transactions_that_overlap_are_each_chained_once(
    place: tuple[Settings, Database, Database],
) -> None:
    """A low id may be committed late: it waits for no other, and no other waits for it."""
    _, app, _ = place
    await sealed(app)
    before = (await verify(app)).checked
    async with AsyncExitStack() as stack:
        slow = await stack.enter_async_context(app.transaction())
        await service.record(slow, None, Action.LOG_IN, "account:0", role=TERMINAL)
        await write(app, 5)
        assert await seal(app) is None, "the slow one may still add to what comes before"
        assert (await verify(app)).unchained == 5, "which can be read, all the same"
    await sealed(app)
    verdict = await verify(app)
    assert verdict.checked == before + 6
    assert not verdict.findings


async def test_many_writers_and_two_sealers_at_once(
    place: tuple[Settings, Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, app, _ = place
    monkeypatch.setattr(service, "BATCH", 7)
    await sealed(app)
    before = (await verify(app)).checked
    writers = [asyncio.create_task(write(app, 25)) for _ in range(8)]

    async def keep_sealing() -> None:
        while not all(writer.done() for writer in writers):
            await seal(app)

    await asyncio.gather(keep_sealing(), keep_sealing(), *writers)
    await sealed(app)
    verdict = await verify(app)
    assert (verdict.checked, verdict.unchained, verdict.findings) == (before + 200, 0, [])


async def test_a_transaction_larger_than_a_batch_is_chained_whole(
    place: tuple[Settings, Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, app, _ = place
    monkeypatch.setattr(service, "BATCH", 5)
    await sealed(app)
    async with app.transaction() as tx:
        for number in range(23):
            await service.record(tx, None, Action.LOG_IN, f"account:{number}", role=TERMINAL)
    await write(app, 12)
    await sealed(app)
    verdict = await verify(app)
    assert (verdict.unchained, verdict.findings) == (0, [])


async def test_a_restored_database_goes_on(place: tuple[Settings, Database, Database]) -> None:
    """Elsewhere transactions are counted from another number; what was not chained is, and what comes is."""
    _, app, owner = place
    await write(app, 5)
    await sealed(app)
    await write(app, 5)
    ahead = 10**12
    await tamper(owner, f"UPDATE audit SET transaction = transaction + {ahead}")
    await tamper(owner, f"UPDATE audit_seals SET horizon = horizon + {ahead} WHERE position > 0")
    await write(app, 5)
    await sealed(app)
    await write(app, 5)
    await sealed(app)
    verdict = await verify(app)
    assert (verdict.unchained, verdict.findings) == (0, [])


async def test_what_is_old_enough_goes_and_the_rest_can_be_verified(place: tuple[Settings, Database, Database]) -> None:
    _, app, owner = place
    await write(app, 10)
    await sealed(app)
    await tamper(owner, "UPDATE audit_seals SET at = at - interval '500 days' WHERE position > 0")
    await write(app, 7)
    await sealed(app)
    async with app.transaction() as tx:
        with pytest.raises(asyncpg.CheckViolationError, match="180 days"):
            await queries.forget(tx, 179)
        await tx.execute("ROLLBACK")
        await tx.execute("BEGIN")
        # The seals are old, and the entries are not: the trigger keeps them, whoever asks.
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="never changed or deleted"):
            await queries.forget(tx, 400)
        await tx.execute("ROLLBACK")
        await tx.execute("BEGIN")
    await tamper(owner, "DROP TRIGGER audit_kept ON audit")  # stands for the 500 days that the entries do not have
    anchor = (await verify(app)).last.anchor
    async with app.transaction() as tx:
        assert await queries.forget(tx, 400) >= 10
    verdict = await verify(app, anchor)
    assert (verdict.checked, verdict.findings) == (7, [])


async def test_the_applications_role_cannot_undo_history(place: tuple[Settings, Database, Database]) -> None:
    settings, app, owner = place
    async with owner.reading() as tx:
        frozen = await tx.fetch(FROZEN)
    never = {row["name"] for row in frozen if row["deletes"] and row["updates"]} | set(APPEND_ONLY) | set(READ_ONLY)
    assert {"events", "offering_versions", "service_item_versions", "take_ups", "item_events"} <= never
    for table in sorted(never):
        for statement in (f"UPDATE {table} SET ctid = ctid", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
            with pytest.raises(asyncpg.PostgresError) as refused:
                await _run(app, statement.replace("SET ctid = ctid", f"SET {await _column(owner, table)}"))
            assert isinstance(refused.value, asyncpg.InsufficientPrivilegeError), (table, statement)
    for statement in (
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "CREATE TABLE mine (id integer)",
        "DROP TABLE audit",
        "DELETE FROM ratings",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await _run(app, statement)
    async with app.reading() as tx:
        assert await too_much(tx) == []
    findings = {finding.what: finding for finding in await examine(settings)}
    assert findings["database role"].fine
    assert findings["audit trail"].fine


async def test_doctor_says_when_the_role_may_too_much(place: tuple[Settings, Database, Database]) -> None:
    settings, app, owner = place
    async with owner.reading() as tx:
        assert await too_much(tx) == ["is a superuser"]
        role = await tx.fetchval("SELECT $1::text", "zhipei_app")
        await tx.execute(f"GRANT DELETE ON events TO {role}")
    async with app.reading() as tx:
        assert await too_much(tx) == ["events delete"]
    finding = next(one for one in await examine(settings) if one.what == "database role")
    assert not finding.fine
    assert "events delete" in finding.found


async def _run(db: Database, statement: str) -> None:
    async with db.transaction() as tx:
        await tx.execute(statement)


async def _column(db: Database, table: str) -> str:
    async with db.reading() as tx:
        name = await tx.fetchval(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 "
            "AND attidentity = '' ORDER BY attnum LIMIT 1",
            table,
        )
    return f"{name} = {name}"


async def test_accounts_tokens_and_steps_are_told_of_whatever_path_wrote_them(tx: Transaction) -> None:
    start = await tx.fetchval("SELECT coalesce(max(id), 0) FROM audit")
    account = await accounts.insert(
        tx,
        login="x.y",
        password_hash="h",
        name="某人",
        role="admin",
        enterprise_id=None,
        institution_id=None,
        node_id=None,
    )
    assert account is not None
    change = "UPDATE accounts SET password_hash = $2, session_epoch = session_epoch + $3 WHERE id = $1"
    await tx.execute(change, account, "other", 1)
    await tx.execute(change, account, "the same, hashed dearer", 0)
    await tx.execute("UPDATE accounts SET disabled_at = now() WHERE id = $1", account)
    await tx.execute("UPDATE accounts SET disabled_at = NULL WHERE id = $1", account)
    token = await tx.fetchval(
        "INSERT INTO api_tokens (account_id, name, token_hash, expires_at) VALUES ($1, '', '', now()) RETURNING id",
        account,
    )
    await tx.execute("UPDATE api_tokens SET revoked_at = now() WHERE id = $1", token)
    found = [
        (row.action, row.object, row.role, row.data)
        for row in reversed(await service.listing(tx, Filter(), None, 100))
        if row.id > start
    ]
    about = f"account:{account}"
    assert found == [
        ("add_account", about, TERMINAL, {"role": "admin"}),
        ("set_password", about, TERMINAL, {"role": "admin"}),
        ("disable_account", about, TERMINAL, {"role": "admin"}),
        ("enable_account", about, TERMINAL, {"role": "admin"}),
        ("add_token", about, TERMINAL, {"token": token}),
        ("revoke_token", about, TERMINAL, {"token": token}),
    ]
