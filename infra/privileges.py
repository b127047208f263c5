"""What the application's own database role may do: all that requests and jobs need, and nothing that undoes history.

The tables belong to the owner (``ZHIPEI_MIGRATE_URL``), who migrates and restores. The application connects as another
role, which may neither change nor delete a row that is never changed, whatever code or injected statement asks for it.
Which tables these are is read from the schema: those with the trigger ``refuse_change``.
"""

from urllib.parse import unquote, urlsplit

import asyncpg
from msgspec import Struct

from infra.db import Connection, Database, many
from infra.migrate import MigrationError
from infra.settings import Settings

READ_ONLY = ("migrations", "transitions")
"""Written by migrations alone."""
APPEND_ONLY = ("audit", "audit_chain", "audit_seals")
"""Deleted from by ``forget_audit`` alone, which belongs to the owner."""

# Bits of tgtype: 8 DELETE, 16 UPDATE. An update trigger of some columns, or with a condition, leaves others changeable.
FROZEN = """
SELECT c.relname AS name, bool_or(t.tgtype & 8 > 0) AS deletes, bool_or(t.tgtype & 16 > 0 AND t.tgattr = '') AS updates
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE t.tgfoid = 'refuse_change'::regproc AND t.tgqual IS NULL AND c.relnamespace = 'public'::regnamespace
GROUP BY c.relname ORDER BY c.relname
"""
ROLE = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)"
# The names of roles and tables cannot be parameters; quote_ident makes them safe.
QUOTED = "SELECT quote_ident($1)"
TOO_MUCH = """
SELECT c.relname || ' ' || lower(wanted) AS found
FROM pg_class c, unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS wanted
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname = ANY($1)
  AND has_table_privilege(c.oid, wanted)
ORDER BY 1
"""
POWERS = """
SELECT rolsuper AS superuser, EXISTS (SELECT FROM pg_class WHERE relowner = r.oid AND relname = 'audit') AS owner
FROM pg_roles r WHERE rolname = current_user
"""


class Frozen(Struct, frozen=True):
    """A table whose rows are not all changeable: what its trigger refuses."""

    name: str
    deletes: bool
    updates: bool


class Powers(Struct, frozen=True):
    """What a role is, beside what it was granted."""

    superuser: bool
    owner: bool


def application_role(settings: Settings) -> str | None:
    """The role the application connects as, where the owner is another."""
    role, owner = (_user(url or "") for url in (settings.database_url, settings.owner_url))
    return role if role != owner else None


async def grant(database: Database, role: str) -> None:
    """Let the role do its work, as the owner; to be repeated after every migration.

    Raises:
        MigrationError: there is no such role, and the owner may not make one.
    """
    connection = await database.connect()
    try:
        async with connection.transaction():
            await _grant(connection, role)
    except asyncpg.PostgresError as error:
        raise MigrationError(f"the application's role {role}: {error}") from error
    finally:
        await connection.close()


async def _grant(connection: Connection, role: str) -> None:
    name = await connection.fetchval(QUOTED, role)
    if not await connection.fetchval(ROLE, role):
        # Without a password: it serves where the kernel tells who connects, as with the embedded server.
        await connection.execute(f"CREATE ROLE {name} LOGIN")
    every = "ALL TABLES IN SCHEMA public"
    await connection.execute(f"GRANT USAGE ON SCHEMA public TO {name}")
    await connection.execute(f"REVOKE ALL ON {every} FROM {name}, PUBLIC")
    await connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {every} TO {name}")
    await connection.execute(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {name}")
    await connection.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {name}")
    for table in READ_ONLY:
        await connection.execute(f"REVOKE INSERT, UPDATE, DELETE ON {table} FROM {name}")
    for table in APPEND_ONLY:
        await connection.execute(f"REVOKE UPDATE, DELETE ON {table} FROM {name}")
    for frozen in many(Frozen, await connection.fetch(FROZEN)):
        kinds = [kind for kind, refused in (("DELETE", frozen.deletes), ("UPDATE", frozen.updates)) if refused]
        await connection.execute(f"REVOKE {', '.join(kinds)} ON {frozen.name} FROM {name}")


async def too_much(connection: Connection) -> list[str]:
    """What the role that asks may do and should not, in words; nothing is best."""
    powers = many(Powers, await connection.fetch(POWERS))[0]
    if powers.superuser:
        return ["is a superuser"]
    if powers.owner:
        return ["owns the tables"]
    frozen = [one.name for one in many(Frozen, await connection.fetch(FROZEN)) if one.updates and one.deletes]
    return [row["found"] for row in await connection.fetch(TOO_MUCH, [*frozen, *APPEND_ONLY, *READ_ONLY])]


def _user(url: str) -> str:
    return unquote(urlsplit(url).username or "")
