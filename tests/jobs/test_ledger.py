"""The ledger's nightly job and its command, on a database of their own."""

import asyncio

import pytest
from click.testing import CliRunner

from infra.settings import Settings
from market.calendars import service as calendars
from market.cli import main
from market.ledger import counting
from market.ledger.figures import Figures
from market.matches import ranking
from tests.conftest import Clone, open_database
from tests.factories import World, serve
from tests.ledger_oracle import counted
from workers.context import Context
from workers.ledger import ledger_nightly

pytestmark = [pytest.mark.anyio, pytest.mark.commits]


def run(settings: Settings, *arguments: str) -> tuple[int, str]:
    env = {"ZHIPEI_DATABASE_URL": settings.database_url, "ZHIPEI_REDIS_URL": settings.redis_url}
    done = CliRunner().invoke(main, ["ledger", "recompute", *arguments], env=env)
    return done.exit_code, done.output


async def test_every_night_counts_what_is_new_and_the_command_finds_no_difference(clone: Clone) -> None:
    settings = await clone()
    database = open_database(settings)
    async with database.transaction() as tx:
        world = await World.read(tx)
    context = {"context": Context(settings, database, ranking.CatalogueSource())}
    for login in ("institution", "office"):
        item = "SZ-2024-27" if login == "institution" else "SZ-2024-01"
        await serve(database, settings, world, login=login, item=item)
        await ledger_nightly(context)
        code, told = await asyncio.to_thread(run, settings, "--check")
        assert (code, "every figure is the same" in told) == (0, True), told
    async with database.transaction() as tx:
        rows = await tx.fetchval("SELECT count(*) FROM ledger_rows WHERE NOT frozen")
        told_of = await counted(tx, await calendars.deadlines(tx))
        assert rows == len([one for one in told_of.values() if one != Figures()]) == 12
        assert (await counting.behind(tx) or 0) < 60
        # Somebody changes a figure by hand: the check tells, and counting anew mends it.
        await tx.execute("UPDATE ledger_rows SET offered = offered + 1 WHERE item_code = ''")
    code, told = await asyncio.to_thread(run, settings, "--check")
    assert code == 1
    assert "rows differ" in told
    async with database.transaction() as tx:
        assert await tx.fetchval("SELECT max(offered) FROM ledger_rows") == 2, "a check changes nothing"
    assert (await asyncio.to_thread(run, settings))[0] == 0
    assert (await asyncio.to_thread(run, settings, "--check"))[0] == 0
    await database.close()


async def test_two_runs_at_once_count_once(clone: Clone) -> None:
    settings = await clone()
    database = open_database(settings)
    async with database.transaction() as tx:
        world = await World.read(tx)
    await serve(database, settings, world)
    context = {"context": Context(settings, database, ranking.CatalogueSource())}
    await asyncio.gather(ledger_nightly(context), ledger_nightly(context))
    async with database.transaction() as tx:
        assert await tx.fetchval("SELECT sum(offered) FROM ledger_rows WHERE item_code <> '' AND period ~ '-'") == 1
    await database.close()
