"""Migrations: plain SQL files, applied in order, each in a transaction of its own."""

import hashlib
from collections.abc import Mapping
from importlib.resources import files

import asyncpg
from msgspec import Struct

from infra.db import Connection, Database, many

LOCK = 0x7A68_6970_6569  # "zhipei": two processes that start at once migrate one after the other
TABLE = """
CREATE TABLE IF NOT EXISTS migrations (
    name text PRIMARY KEY,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
EXISTS = "SELECT to_regclass('public.migrations') IS NOT NULL"
APPLIED = "SELECT name, sha256 FROM migrations ORDER BY name"
RECORD = "INSERT INTO migrations (name, sha256) VALUES ($1, $2)"


class MigrationError(Exception):
    """A migration cannot be applied; the database is as it was before it."""


class Migration(Struct, frozen=True):
    """One file of infra/migrations."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Of the text, to notice when an applied file is edited."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


class Applied(Struct, frozen=True):
    """What the database remembers of a migration."""

    name: str
    sha256: str


def shipped() -> list[Migration]:
    """All migrations of this release, in order."""
    found = [f for f in files("infra").joinpath("migrations").iterdir() if f.name.endswith(".sql")]
    return [Migration(f.name, f.read_text("utf-8")) for f in sorted(found, key=lambda f: f.name)]


async def pending(connection: Connection) -> list[Migration]:
    """What this release has and the database has not.

    Raises:
        MigrationError: the database was migrated by a newer release, or from other files.
    """
    if not await connection.fetchval(EXISTS):  # asked, not made: the application's role may make no tables
        return shipped()
    return known({row.name: row.sha256 for row in many(Applied, await connection.fetch(APPLIED))})


def known(applied: Mapping[str, str]) -> list[Migration]:
    """What this release has beside those applied, name → SHA-256.

    Raises:
        MigrationError: one of them is a newer release's, or of another text.
    """
    ours = {migration.name: migration for migration in shipped()}
    for name, digest in applied.items():
        if name not in ours:
            raise MigrationError(f"the database has {name}, which this release does not know: use the newer release")
        if ours[name].sha256 != digest:
            raise MigrationError(f"{name} was edited after it was applied: restore it and add a new migration")
    return [migration for name, migration in ours.items() if name not in applied]


async def migrate(database: Database) -> list[str]:
    """Apply what is pending; the names. A failure leaves everything as it was before the failed file.

    Raises:
        MigrationError: with the file's name and PostgreSQL's words.
    """
    connection = await database.connect()
    try:
        await connection.execute("SET statement_timeout = 0")  # an index on a large table takes its time
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        names = []
        await connection.execute(TABLE)
        for migration in await pending(connection):
            try:
                async with connection.transaction():
                    await connection.execute(migration.sql)
                    await connection.execute(RECORD, migration.name, migration.sha256)
            except asyncpg.PostgresError as error:
                raise MigrationError(f"{migration.name}: {error}") from error
            names.append(migration.name)
        return names
    finally:
        await connection.close()  # which also gives back the lock
