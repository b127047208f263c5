"""A database into an archive and back, by PostgreSQL's own pg_dump and pg_restore.

What the archive's manifest says of the tables is read in the snapshot that pg_dump dumps, so a restored database can be
compared with it. pg_dump puts triggers and foreign keys after the rows: nothing fires while they come in, neither the
outbox rows for the search engine nor the stamps, and rows that are never changed need no exception.
"""

import asyncio
import hashlib
import importlib.metadata
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from infra.archive import Manifest, Migration, Table, Writer, read
from infra.db import Connection, Database, many, one
from infra.encryption import Secret
from infra.migrate import LOCK, MigrationError, known
from infra.programs import BackupError, Server, client, dump, loading

MODULUS = 1 << 256
MOST_SECONDS = 24 * 3600.0
"""For reading one table."""
BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# The transaction idles while pg_dump works.
PATIENT = """
SELECT set_config('idle_in_transaction_session_timeout', '0', true), set_config('statement_timeout', '0', true)
"""
# A migration waits until the backup is done, and the other way round.
HOLD = "SELECT pg_advisory_xact_lock_shared($1)"
SNAPSHOT = "SELECT pg_export_snapshot()"
SERVER = (
    "SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int / 10000 AS major"
)
APPLIED = "SELECT name, sha256 FROM migrations ORDER BY name"
TABLES = """
SELECT c.relname AS name, array_agg(a.attname::text ORDER BY a.attname) AS columns
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
GROUP BY c.relname ORDER BY c.relname
"""
SEQUENCES = """
SELECT sequencename AS name, coalesce(last_value, 0) AS last FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1
"""
# What an extension brought is not ours.
OCCUPIED = """
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1 LIMIT 1
"""


class Relation(Struct, frozen=True):
    """A table and its columns, by name."""

    name: str
    columns: list[str]


class Sequence(Struct, frozen=True):
    """The last number a sequence has given."""

    name: str
    last: int


class Held(Struct, frozen=True):
    """What a database holds, at one moment."""

    server: Server
    migrations: list[Migration]
    tables: list[Table]
    sequences: dict[str, int]


async def back_up(database: Database, archive: Writer, files: Mapping[str, bytes]) -> Manifest:
    """Write all of the database, and the files, into the archive.

    Raises:
        BackupError: there is no pg_dump for this server, or it failed.
    """
    connection = await database.connect()
    try:
        await connection.execute(BEGIN)
        await connection.execute(PATIENT)
        await connection.execute(HOLD, LOCK)
        snapshot = await connection.fetchval(SNAPSHOT)
        held = await examine(connection)
        command = [client("pg_dump", held.server), "--format=custom", "--no-owner", "--no-privileges"]
        command += [f"--snapshot={snapshot}"]
        await asyncio.to_thread(dump, command, database.url, archive.dump)
    finally:
        connection.terminate()
    dump_sha256 = archive.end_dump()
    for name, content in files.items():
        archive.add_file(name, content)
    manifest = Manifest(
        release=importlib.metadata.version("zhipei"),
        created_at=datetime.now(UTC),
        server=held.server.version,
        migrations=held.migrations,
        tables=held.tables,
        sequences=held.sequences,
        dump_bytes=archive.dump_bytes,
        dump_sha256=dump_sha256,
        files=archive.files,
    )
    archive.finish(manifest)
    return manifest


async def restore(database: Database, path: Path, secret: Secret | None, files: dict[str, bytes]) -> Manifest:
    """Put an archive's rows into an empty database, compare them with its manifest, and put its files into ``files``.

    Raises:
        ArchiveError: it cannot be trusted; the database is as it was.
        BackupError: the database is not empty, or newer, or PostgreSQL refused; it is as it was, unless it says so.
    """
    manifest = await asyncio.to_thread(read, path, secret, file=files.__setitem__)
    try:
        known({migration.name: migration.sha256 for migration in manifest.migrations})
    except MigrationError as error:
        raise BackupError(f"{path} is of another release: {error}") from error
    connection = await database.connect()
    try:
        server = one(Server, (await connection.fetch(SERVER))[0])
        if (occupied := await connection.fetchval(OCCUPIED)) is not None:
            raise BackupError(f"the database is not empty (it has {occupied}); restore into an empty one")
        await asyncio.to_thread(_load, path, secret, database.url, server)
        await connection.execute(BEGIN)
        await connection.execute(PATIENT)
        differences = compare(manifest, await examine(connection))
    finally:
        connection.terminate()
    if differences:
        raise BackupError("what was restored is not what was backed up, do not use it: " + "; ".join(differences))
    return manifest


async def examine(connection: Connection) -> Held:
    """What the database holds, as the caller's transaction sees it. Reads every row."""
    tables = [await _table(connection, table) for table in many(Relation, await connection.fetch(TABLES))]
    return Held(
        one(Server, (await connection.fetch(SERVER))[0]),
        many(Migration, await connection.fetch(APPLIED)) if any(t.name == "migrations" for t in tables) else [],
        tables,
        {row.name: row.last for row in many(Sequence, await connection.fetch(SEQUENCES))},
    )


def compare(wanted: Manifest, found: Held) -> list[str]:
    """How a database differs from what an archive says it held. A sequence may be ahead: they know no transactions."""
    ours = {table.name: table for table in found.tables}
    differences = [f"table {table.name} is extra" for table in found.tables if table not in wanted.tables]
    for table in wanted.tables:
        got = ours.get(table.name)
        if got is None:
            differences.append(f"table {table.name} is missing")
        elif got != table:
            differences.append(f"table {table.name}: {got.rows} rows of {table.rows}, or other content")
    differences += [
        f"sequence {name} stands at {found.sequences.get(name)}, not {last}"
        for name, last in wanted.sequences.items()
        if found.sequences.get(name, -1) < last
    ]
    return differences


async def _table(connection: Connection, table: Relation) -> Table:
    count, total, half = 0, 0, b""

    async def take(data: bytes) -> None:
        nonlocal count, total, half
        *lines, half = (half + data).split(b"\n")  # COPY's text format writes a row a line
        count += len(lines)
        for line in lines:
            total += int.from_bytes(hashlib.sha256(line).digest())

    columns = ", ".join(f'"{name}"' for name in table.columns)
    await connection.copy_from_query(f'SELECT {columns} FROM public."{table.name}"', output=take, timeout=MOST_SECONDS)
    return Table(table.name, count, f"{total % MODULUS:064x}")


def _load(path: Path, secret: Secret | None, url: str, server: Server) -> None:
    """The archive's dump into the database, in one transaction."""
    with loading(url, server) as load:
        read(path, secret, dump=load)
