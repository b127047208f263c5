"""``zhipei reindex`` and ``zhipei search …``: what keeps the search indexes right, by hand."""

import asyncio
from collections.abc import Sequence

import click
from rich.progress import Progress

from infra.db import Database
from infra.settings import Settings
from market.discovery import indexing, queries
from market.discovery.engines import open_engine, open_writer, set_up
from market.discovery.model import Difference, Rebuild
from market.terminal import Failure, with_database
from search.engine import IndexName
from search.errors import SearchError

WATCH_SECONDS = 0.2


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([index.value for index in IndexName]), metavar="[INDEX]...")
@click.pass_obj
def reindex(settings: Settings, names: tuple[str, ...]) -> None:
    """Build indexes (all of them, or those named) anew from the database; searches go on meanwhile."""
    indexes = [IndexName(name) for name in names] or list(IndexName)
    try:
        problems = with_database(settings, lambda database: _reindex(database, settings, indexes))
    except SearchError as error:
        raise Failure(f"the search engine: {error}") from error
    if problems:
        raise Failure("\n".join(problems))


@click.group()
def search() -> None:
    """The search engine."""


@search.command()
@click.pass_obj
def diff(settings: Settings) -> None:
    """Compare the indexes with the database; ends with 1 if they differ."""
    try:
        found = with_database(settings, lambda database: _diff(database, settings))
    except SearchError as error:
        raise Failure(f"{error}; build it with: zhipei reindex") from error
    for one in found:
        said = f"{len(one.missing)} missing, {len(one.surplus)} too many, {len(one.stale)} out of date"
        click.echo(f"{one.index}: {'equal' if one.empty else said}")
        for what, ids in (("missing", one.missing), ("too many", one.surplus), ("out of date", one.stale)):
            if ids:
                click.echo(f"  {what}: {' '.join(ids[:20])}{' …' if len(ids) > 20 else ''}")
    if not all(one.empty for one in found):
        raise SystemExit(1)


@search.command()
@click.pass_obj
def setup(settings: Settings) -> None:
    """Make the key of a Meilisearch server that may only search, if there is none yet, and print it."""
    if not settings.meili_url:
        raise Failure("ZHIPEI_MEILI_URL names no server; the embedded engine needs no set-up")
    try:
        key = asyncio.run(set_up(settings))
    except SearchError as error:
        raise Failure(f"{settings.meili_url}: {error}") from error
    click.echo(f"ZHIPEI_MEILI_SEARCH_KEY={key}")


async def _diff(database: Database, settings: Settings) -> list[Difference]:
    engine = open_engine(settings, inspect=True)
    try:
        return [await indexing.difference(database, engine, index) for index in IndexName]
    finally:
        await engine.aclose()


async def _reindex(database: Database, settings: Settings, indexes: Sequence[IndexName]) -> list[str]:
    """Have the worker's indexer do it, or do it here where none runs; the problems."""
    async with database.transaction() as tx:
        asked = [await queries.ask_rebuild(tx, index, "zhipei reindex") for index in indexes]
    connection = await database.connect()
    try:
        with Progress() as bar:
            bars = {one: bar.add_task(index, total=None) for one, index in zip(asked, indexes, strict=True)}
            while True:
                async with database.transaction() as tx:
                    rows = await queries.rebuilds(tx, asked)
                for row in rows:
                    bar.update(bars[row.id], completed=row.done, total=row.total or None)
                if all(row.finished_at for row in rows):
                    return [f"{row.index_name}: {row.error}" for row in rows if row.error]
                if await queries.lock_indexing(connection):
                    await _here(database, settings, rows)
                await asyncio.sleep(WATCH_SECONDS)
    finally:
        connection.terminate()


async def _here(database: Database, settings: Settings, rows: Sequence[Rebuild]) -> None:
    writer = open_writer(settings)
    try:
        for row in rows:
            if not row.finished_at:
                await indexing.rebuild_asked(database, writer, row)
    finally:
        await writer.aclose()
