"""What the commands share: errors in words, and the settings' database."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click

from infra import embedded, privileges
from infra.cipher import keys_of
from infra.db import Database, DatabaseUnavailable, Transaction
from infra.migrate import MigrationError, migrate
from infra.settings import Settings
from infra.supervise import StartError
from market.errors import DomainError
from market.importing import service as importing

T = TypeVar("T")


class Failure(click.ClickException):
    """An error whose message says what to do."""


def open_database(settings: Settings, *, owner: bool = False) -> Database:
    """A few connections, for a command; as the tables' owner for what the application may not do."""
    assert settings.database_url is not None
    return Database(
        settings.owner_url if owner else settings.database_url,
        size=2,
        wait=settings.db_wait_seconds,
        statement_timeout_ms=600_000,
        lock_timeout_ms=settings.lock_timeout_ms,
        name="cli",
        keys=keys_of(settings),
    )


def with_database(settings: Settings, act: Callable[[Database], Coroutine[Any, Any, T]], *, owner: bool = False) -> T:
    """What ``act`` makes of the settings' database, which may be that of a running ``zhipei up``.

    Raises:
        Failure: there is no reaching it.
    """

    async def acted(ready: Settings) -> T:
        database = open_database(ready, owner=owner)
        try:
            return await act(database)
        finally:
            await database.close()

    try:
        with embedded.running(settings, say=say) as ready:
            return asyncio.run(acted(ready))
    except (StartError, MigrationError, DatabaseUnavailable) as error:
        raise Failure(str(error)) from error


def with_words(settings: Settings, act: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
    """As ``with_database``.

    Raises:
        Failure: also where ``act`` was asked for what cannot be done.
    """
    try:
        return with_database(settings, act)
    except DomainError as error:
        # Beside what each field lacks, the sentence that points a page's reader there says nothing.
        raise Failure("\n".join(error.fields.values()) or error.detail) from error


def in_transaction(settings: Settings, act: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
    """What ``act`` makes of one transaction.

    Raises:
        Failure: as ``with_words``.
    """

    async def acted(database: Database) -> T:
        async with database.transaction() as tx:
            return await act(tx)

    return with_words(settings, acted)


async def prepare(database: Database, settings: Settings) -> list[str]:
    """Migrate as the owner, load the shipped facts, say what the application may do; the migrations applied."""
    names = await migrate(database)
    if role := privileges.application_role(settings):
        await privileges.grant(database, role)
    async with database.transaction() as tx:
        await importing.load_facts(tx)
    return names


def say(text: str) -> None:
    """Tell the person at the terminal."""
    click.echo(text, err=False)
