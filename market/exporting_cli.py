"""``zhipei export``: what is published, as a file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from infra.db import Database, Transaction
from infra.settings import Settings
from market.exporting import queries, service
from market.exporting.model import Format, What
from market.terminal import with_database


@click.command()
@click.argument("what", type=click.Choice([what.value for what in What]))
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--format", "form", type=click.Choice([form.value for form in Format]), default="csv", show_default=True)
@click.pass_obj
def export(settings: Settings, what: str, file: str, form: str) -> None:
    """Write lists, offerings or institutions to FILE, - for the terminal: all of one moment."""

    async def write(database: Database) -> None:
        async with database.transaction() as tx:
            await queries.hold_still(tx)

            @asynccontextmanager
            async def same() -> AsyncIterator[Transaction]:
                yield tx

            with click.open_file(file, "wb", atomic=file != "-") as out:
                async for piece in service.pieces(same, What(what), Format(form), settings.address):
                    out.write(piece)

    with_database(settings, write)
