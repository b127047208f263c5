"""``python -m bench [PART]…``: measure, print, and write bench/results/latest.json."""

import asyncio
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from bench import findability, ledger, library, lists, pages, report, shortlist, submission
from bench.report import Part
from bench.stage import Effort, Stage, staged

SERVED: Mapping[str, Callable[[Stage, Effort], Awaitable[Part]]] = {
    "submission": submission.measure,
    "shortlist": shortlist.measure,
    "pages": pages.measure,
    "lists": lists.measure,
    "findability": findability.measure,
    "ledger": ledger.measure,
}
"""Parts that take servers; those of ``library.PARTS`` take none."""
NAMES = (*SERVED, *library.PARTS)
QUICK = Effort(rounds=1, seconds=1, warm=0.3, needs=20, thorough=False)
LATEST = Path(__file__).parent / "results" / "latest.json"


class Results(Struct, frozen=True):
    """One run of the bench. ``load_before``: the machine's load average when it began, which should be near 0."""

    at: datetime
    python: str
    machine: str
    cores: int | None
    load_before: float
    took_seconds: float
    parts: list[Part]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(NAMES), metavar="[PART]...")
@click.option("--quick", is_flag=True, help="Short runs, to see that it works: their numbers mean little.")
def main(names: tuple[str, ...], *, quick: bool) -> None:
    """Measure the named parts, or all."""
    began, load = time.monotonic(), os.getloadavg()[0]
    os.environ["OMP_NUM_THREADS"] = "1"  # as in production, and as the peers are told
    parts = asyncio.run(_measure(names or NAMES, QUICK if quick else Effort()))
    results = Results(
        at=datetime.now(UTC),
        python=platform.python_version(),
        machine=platform.machine(),
        cores=os.cpu_count(),
        load_before=round(load, 2),
        took_seconds=round(time.monotonic() - began, 1),
        parts=parts,
    )
    report.show(parts)
    click.echo(f"load average before: {results.load_before}, cores: {results.cores}, took {results.took_seconds} s")
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_bytes(msgspec.json.format(msgspec.json.encode(results)))


async def _measure(names: tuple[str, ...], effort: Effort) -> list[Part]:
    served = [name for name in names if name in SERVED]
    parts = await _served(served, effort) if served else []
    for name in names:
        if name in library.PARTS:
            click.echo(f"{name} …")
            parts.append(library.PARTS[name](effort))
    return parts


async def _served(names: list[str], effort: Effort) -> list[Part]:
    folder = Path(tempfile.mkdtemp(prefix="zhipei-bench-"))
    folder.chmod(0o711)  # started by root, PostgreSQL runs as another user, who has to get through
    try:
        async with staged(folder) as stage:
            return [await _part(name, stage, effort) for name in names]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _part(name: str, stage: Stage, effort: Effort) -> Part:
    click.echo(f"{name} …")
    return await SERVED[name](stage, effort)


if __name__ == "__main__":
    main()
