"""Under pressure: what ready means, who is let in while work waits, what is made again, who is told to come later."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar
from msgspec import structs

from infra.db import ATTEMPTS, Database, DatabaseUnavailable, repeated
from infra.settings import Settings
from tests.conftest import Clone, open_database
from tests.factories import AID, World
from tests.web.browsers import Browser, site

pytestmark = [pytest.mark.anyio, pytest.mark.commits]

AWAY = "redis://127.0.0.1:1/0"
NEED = {"body": "产品被人仿冒，想申请维权援助", "item_codes": [AID]}
NEWEST = "DELETE FROM migrations WHERE name = (SELECT max(name) FROM migrations) RETURNING *"
WAITING = "SELECT FROM pg_locks WHERE NOT granted AND relation = $1::text::regclass"
LOAD = "UPDATE offerings SET load = load + 1 WHERE id = (SELECT min(id) FROM offerings)"
ADD = """
INSERT INTO outbox (topic, payload, created_at, attempt)
VALUES ('match_need', '{"need_id": -1}', now() - make_interval(secs => $1), $2)
"""


@pytest.fixture(scope="module")
async def own(clone: Clone) -> Settings:
    return structs.replace(await clone(), outbox_late_seconds=60, outbox_most_seconds=3600)


@pytest.fixture
async def owner(own: Settings) -> AsyncIterator[Database]:
    database = open_database(own, owner=True)
    yield database
    await database.close()


async def waits(owner: Database, seconds: int, *, attempt: int = 0) -> None:
    """One piece of background work, asked for so long ago."""
    async with owner.transaction() as tx:
        await tx.execute("DELETE FROM outbox")
        await tx.execute(ADD, seconds, attempt)


async def submit(app: Litestar, world: World, key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {world.token('enterprise')}", "Idempotency-Key": key}
    async with Browser(app) as client:
        app.state.services.pressure._looked_at = -10.0  # as a second later
        return await client.post("/api/v1/needs", json=NEED, headers=headers)


# ready ---------------------------------------------------------------------------------------------------------------


async def ready(app: Litestar) -> tuple[int, dict[str, object]]:
    async with Browser(app) as client:
        answer = await client.get("/readyz")
        return answer.status_code, answer.json()


async def test_ready_is_whoever_can_serve(own: Settings) -> None:
    async with site(own) as app:
        assert await ready(app) == (
            200,
            {"status": "ready", "database": "ok", "schema": "ok", "redis": "ok", "stopping": False},
        )
    async with site(own, redis_url=AWAY) as app, Browser(app) as client:
        status, told = await ready(app)
        assert (status, told["status"], told["database"]) == (200, "degraded", "ok")
        assert told["redis"] != "ok"
        assert (await client.get("/items")).status_code == 200
    async with site(own, database_url="postgresql://zhipei@127.0.0.1:1/none", db_wait_seconds=0.5) as app:
        status, told = await ready(app)
        assert (status, told["status"]) == (503, "no")
        assert "cannot connect" in str(told["database"])


async def test_a_schema_that_lacks_something_is_not_ready_and_a_newer_one_is(own: Settings, owner: Database) -> None:
    async with site(own) as app:
        async with owner.transaction() as tx:
            newest = await tx.fetchrow(NEWEST)
        assert newest is not None
        status, told = await ready(app)
        assert (status, told["database"]) == (503, "ok")
        assert str(newest["name"]) in str(told["schema"])
        async with owner.transaction() as tx:
            values = [newest["name"], newest["sha256"]]
            await tx.execute("INSERT INTO migrations (name, sha256) VALUES ($1, $2), ('9999_newer.sql', 'x')", *values)
        assert (await ready(app))[0] == 200
        async with owner.transaction() as tx:
            await tx.execute("DELETE FROM migrations WHERE name = '9999_newer.sql'")


# back-pressure -------------------------------------------------------------------------------------------------------


async def test_while_work_waits_too_long_only_people_are_let_in(own: Settings, owner: Database, world: World) -> None:
    async with site(own) as app:
        acknowledged = await submit(app, world, "before")
        assert acknowledged.status_code == 201
        await waits(owner, 61)
        refused = await submit(app, world, "late")
        assert refused.status_code == 503
        assert refused.json()["type"] == "/problems/overloaded"
        assert refused.headers["retry-after"] == "60"
        again = await submit(app, world, "before")
        assert (again.status_code, again.json()["id"]) == (201, acknowledged.json()["id"]), "it was taken in already"
        async with Browser(app) as browser:
            await browser.log_in("enterprise")
            assert (await browser.send_form("/", body="专利申请怎么办理", key="one")).status_code == 303
            await waits(owner, 3601)
            app.state.services.pressure._looked_at = -10.0
            page = await browser.send_form("/", body="写了很久的一段话", key="two")
            assert page.status_code == 503
            assert "写了很久的一段话" in page.text
            metrics = (await browser.get("/metrics")).text
        assert 'zhipei_refused_total{why="outbox"} 3.0' in metrics
        assert "zhipei_outbox_late_seconds 36" in metrics
        async with owner.transaction() as tx:
            await tx.execute("DELETE FROM outbox")
        assert (await submit(app, world, "late")).status_code == 201


async def test_a_row_that_fails_by_itself_holds_nobody_up(own: Settings, owner: Database, world: World) -> None:
    async with site(own) as app:
        await waits(owner, 9999, attempt=3)
        assert (await submit(app, world, "beside")).status_code == 201


# made again ----------------------------------------------------------------------------------------------------------


async def test_a_request_that_lost_a_deadlock_is_made_again(own: Settings, owner: Database, world: World) -> None:
    async with owner.transaction() as tx:
        await tx.execute("DELETE FROM outbox")
    async with site(own) as app:
        async with owner.transaction() as tx:
            await tx.execute("LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE")
            asked = asyncio.create_task(submit(app, world, "deadlock"))
            while not await tx.fetch(WAITING, "idempotency_keys"):
                await asyncio.sleep(0.01)
            # It waits for us, and now we for it: PostgreSQL ends whoever began to wait first.
            await tx.execute("LOCK TABLE needs IN SHARE MODE")
            assert not asked.done()
        answer = await asked
        assert answer.status_code == 201, answer.text
        async with Browser(app) as client:
            metrics = (await client.get("/metrics")).text
        assert 'zhipei_requests_total{method="POST",route="/api/v1/needs",status="201"} 1.0' in metrics
    async with owner.reading() as tx:
        deadlocks = await tx.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        kept = await tx.fetchval("SELECT count(*) FROM idempotency_keys WHERE key = 'deadlock'")
    assert deadlocks == kept == 1


async def test_a_transaction_that_cannot_be_serialised_is_made_again_and_not_for_ever(own: Settings) -> None:
    database, tries = open_database(own), 0

    async def count(*, disturbed: int) -> None:
        nonlocal tries
        tries += 1
        async with database.transaction() as tx:
            await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            before = await tx.fetchval("SELECT load FROM offerings ORDER BY id LIMIT 1")
            if tries <= disturbed:
                async with database.transaction() as other:
                    await other.execute(LOAD)
            await tx.execute("UPDATE offerings SET load = $1 WHERE id = (SELECT min(id) FROM offerings)", before)

    await repeated(lambda: count(disturbed=2))
    assert tries == 3
    tries = 0
    with pytest.raises(Exception, match="could not serialize"):
        await repeated(lambda: count(disturbed=99))
    assert tries == ATTEMPTS
    await database.close()


# come later ----------------------------------------------------------------------------------------------------------


async def test_no_one_waits_for_a_lock_or_a_connection_for_ever(own: Settings, owner: Database, world: World) -> None:
    async with owner.transaction() as tx:
        await tx.execute("DELETE FROM outbox")
    async with site(own, db_connections=1, db_wait_seconds=0.2, lock_timeout_ms=1500) as app:
        async with owner.transaction() as tx:
            await tx.execute("LOCK TABLE needs IN ACCESS EXCLUSIVE MODE")
            locked = asyncio.create_task(submit(app, world, "locked"))
            while not await tx.fetch(WAITING, "needs"):
                await asyncio.sleep(0.01)
            async with Browser(app) as client:
                crowded = await client.get("/api/v1/items")
            assert (crowded.status_code, crowded.headers["retry-after"]) == (503, "3")
            assert not locked.done(), "the one connection is his"
            late = await locked
            assert (late.status_code, late.headers["retry-after"]) == (503, "3")
        assert (await submit(app, world, "locked")).status_code == 201


async def test_statements_end(own: Settings) -> None:
    url = str(own.database_url)
    short = Database(url, size=1, wait=1, statement_timeout_ms=100, lock_timeout_ms=100, name="test")
    with pytest.raises(Exception, match="statement timeout"):
        async with short.reading() as tx:
            await tx.execute("SELECT pg_sleep(20)")
    async with short.reading() as tx:
        assert await tx.fetchval("SELECT 1") == 1
    await short.close()


async def test_a_database_that_refuses_is_not_asked_again_at_once(own: Settings) -> None:
    gone = Database(
        "postgresql://x@127.0.0.1:1/x", size=5, wait=1, statement_timeout_ms=100, lock_timeout_ms=100, name="test"
    )
    tried = 0
    connect = gone.connect

    async def counted() -> object:
        nonlocal tried
        tried += 1
        return await connect()

    gone.connect = counted  # type: ignore[method-assign, assignment]
    for _ in range(20):
        with pytest.raises(DatabaseUnavailable):
            async with gone.reading():
                pass
    assert tried < 20
