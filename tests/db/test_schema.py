"""The schema: migrations, schema.sql, and every statement against the Struct it fills."""

import importlib
import inspect
import pkgutil
import re
from types import ModuleType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

import infra
import market
from infra.db import Database, Transaction
from infra.migrate import Migration, MigrationError, migrate, pending, shipped
from infra.schema import PATH, dump
from infra.settings import Settings
from market.deadlines.model import TRANSITIONS as DEADLINE_TRANSITIONS
from market.lists.model import TRANSITIONS as ITEM_TRANSITIONS
from market.matches.model import TRANSITIONS as MATCH_TRANSITIONS
from market.needs import queries as needs
from market.needs.model import TRANSITIONS as NEED_TRANSITIONS
from market.ratings.model import RATING_TRANSITIONS
from market.ratings.model import TRANSITIONS as RECTIFICATION_TRANSITIONS
from market.supervision.model import TRANSITIONS as SUPERVISION_TRANSITIONS
from tests.conftest import Clone, open_database

pytestmark = pytest.mark.anyio


def statement_modules() -> list[ModuleType]:
    """Every module that holds SQL."""
    found = [
        importlib.import_module(info.name)
        for package in (market, infra)
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if info.name.endswith((".queries", ".outbox", ".idempotency"))
    ]
    assert len(found) > 8
    return found


def is_sql(name: str, value: Any) -> bool:
    return (
        name.isupper()
        and isinstance(value, str)
        and value.lstrip().upper().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"))
    )


STATEMENTS = [
    pytest.param(value, id=f"{module.__name__}.{name}")
    for module in statement_modules()
    for name, value in vars(module).items()
    if is_sql(name, value) and name == name.upper()
]


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_every_statement_prepares(tx: Transaction, statement: str) -> None:
    await tx.prepare(statement)


def structs_of(annotation: Any) -> list[type[msgspec.Struct]]:
    """The Structs in a return annotation: X, X | None, list[X]."""
    if inspect.isclass(annotation) and issubclass(annotation, msgspec.Struct):
        return [annotation]
    if get_origin(annotation) in (list, Union, UnionType):
        return [struct for argument in get_args(annotation) for struct in structs_of(argument)]
    return []


def readers() -> list[Any]:
    """Functions that fill a Struct from one statement, with that statement."""
    found = []
    for module in statement_modules():
        statements = {name: value for name, value in vars(module).items() if is_sql(name, value)}
        for name, function in inspect.getmembers(module, inspect.iscoroutinefunction):
            if function.__module__ != module.__name__:
                continue
            structs = structs_of(get_type_hints(function).get("return"))
            source = inspect.getsource(function)
            used = [one for one in statements if re.search(rf"fetch(row)?\(\s*{one}\b", source)]
            found += [
                pytest.param(statements[one], structs[0], id=f"{module.__name__}.{name}-{one}")
                for one in used
                if structs and f"({structs[0].__name__}, " in source
            ]
    assert len(found) > 15
    return found


@pytest.mark.parametrize(("statement", "struct"), readers())
async def test_columns_are_the_structs_fields(tx: Transaction, statement: str, struct: type[msgspec.Struct]) -> None:
    columns = {attribute.name for attribute in (await tx.prepare(statement)).get_attributes()}
    fields = {field.name: field.required for field in msgspec.structs.fields(struct)}
    assert columns <= set(fields), f"columns nobody reads: {columns - set(fields)}"
    assert {name for name, required in fields.items() if required} <= columns


async def test_schema_sql_is_what_the_migrations_make(settings: Settings) -> None:
    assert settings.database_url is not None
    assert dump(settings.owner_url) == PATH.read_text(), "run: make schema"


async def test_transitions_are_the_models(tx: Transaction) -> None:
    for machine, table in (
        ("need", NEED_TRANSITIONS),
        ("match", MATCH_TRANSITIONS),
        ("item", ITEM_TRANSITIONS),
        ("deadline", DEADLINE_TRANSITIONS),
        ("rating", RATING_TRANSITIONS),
        ("rectification", RECTIFICATION_TRANSITIONS),
        ("supervision", SUPERVISION_TRANSITIONS),
    ):
        ours = {(before.value, action.value): after.value for (before, action), after in table.items()}
        assert await needs.transitions(tx, machine) == ours


async def test_migrating_twice_changes_nothing(clone: Clone) -> None:
    database = open_database(await clone(), owner=True)
    assert await migrate(database) == []
    await database.close()


async def test_a_migration_that_fails_leaves_everything_as_it_was(
    clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = await clone()
    database = open_database(settings, owner=True)
    before = dump(settings.owner_url)
    good = Migration("9001_good.sql", "CREATE TABLE good (id integer)")
    bad = Migration("9002_bad.sql", "CREATE TABLE half (id integer); UPDATE needs SET state = 'done'; SELECT 1 / 0;")
    monkeypatch.setattr("infra.migrate.shipped", lambda: [*shipped(), bad])
    with pytest.raises(MigrationError, match="division by zero"):
        await migrate(database)
    assert dump(settings.owner_url) == before
    # Of two that are pending the first stands by itself, and is not applied again.
    monkeypatch.setattr("infra.migrate.shipped", lambda: [*shipped(), good, bad])
    with pytest.raises(MigrationError, match="9002_bad"):
        await migrate(database)
    assert "CREATE TABLE public.good" in dump(settings.owner_url)
    assert "public.half" not in dump(settings.owner_url)
    monkeypatch.setattr("infra.migrate.shipped", lambda: [*shipped(), good])
    assert await migrate(database) == []
    await database.close()


async def test_a_migration_does_not_hold_up_the_release_that_serves(
    clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    for migration in shipped()[1:]:
        assert "SET LOCAL lock_timeout = '3s';" in migration.sql, migration.name
    # It gives up and can be tried again, where a long transaction has the table, so that nobody queues up behind it.
    database = open_database(await clone(), owner=True)
    adding = Migration("9001_adding.sql", "SET LOCAL lock_timeout = '50ms'; ALTER TABLE needs ADD COLUMN extra text")
    monkeypatch.setattr("infra.migrate.shipped", lambda: [*shipped(), adding])
    async with database.transaction() as tx:
        await tx.fetch("SELECT id FROM needs FOR UPDATE")
        with pytest.raises(MigrationError, match="lock timeout"):
            await migrate(database)
    assert await migrate(database) == ["9001_adding.sql"]
    await database.close()


async def test_an_edited_or_unknown_migration_is_refused(clone: Clone) -> None:
    database: Database = open_database(await clone(), owner=True)
    connection = await database.connect()
    await connection.execute("UPDATE migrations SET sha256 = 'other' WHERE name = $1", shipped()[0].name)
    with pytest.raises(MigrationError, match="edited"):
        await pending(connection)
    await connection.execute("UPDATE migrations SET name = '9999_future.sql' WHERE name = $1", shipped()[0].name)
    with pytest.raises(MigrationError, match="newer release"):
        await migrate(database)
    await connection.close()
    await database.close()
