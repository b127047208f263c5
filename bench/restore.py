"""A million rows backed up, encrypted, and restored into an empty database: every table compared, every row counted."""

import asyncio
import shutil
import tempfile
from pathlib import Path
from time import perf_counter

import asyncpg

from bench.stage import on_database, open_database, staged
from infra.archive import read, writing
from infra.backup import back_up, examine, restore
from infra.encryption import Secret

NEEDS = 250_000
KEY = Secret.of_file(b"a key of the bench, 32 bytes long")
# Needs in the image of the demo's, with their first event, clock and ranking: four rows each. Every reference holds:
# restoring checks them all. Triggers rest while they are made.
FILL = f"""
SET LOCAL session_replication_role = replica;
INSERT INTO needs (enterprise_id, submitted_by, channel, state, body, contact_name, contact_phone, region_code, node_id,
                   due_at, due_provisional)
SELECT n.enterprise_id, n.submitted_by, 'online', 'submitted', 'bench ' || g || E'\\t\\\\ 换行\\n' || n.body,
       n.contact_name, n.contact_phone, n.region_code, n.node_id, now(), false
FROM generate_series(1, {NEEDS}) g
JOIN (SELECT row_number() OVER () AS place, * FROM needs LIMIT 500) n ON n.place = g % 500 + 1;
INSERT INTO events (need_id, machine, from_state, action, to_state, actor_id, data)
SELECT id, 'need', 'new', 'submit', 'submitted', submitted_by, jsonb_build_object('item_codes', item_codes)
FROM needs WHERE body LIKE 'bench %';
INSERT INTO deadlines (need_id, kind, state, days, due_at, provisional, node_at, above_at, stamp)
SELECT id, 'match', 'running', 3, now() + interval '3 days', false, now() + interval '4 days',
       now() + interval '5 days', 1
FROM needs WHERE body LIKE 'bench %';
INSERT INTO ranking_runs (need_id, need_version, node_id, model_version, seed, considered, excluded, excluded_counts)
SELECT id, 1, node_id, 'bench', id, 100, '[]', '{{"region": 3, "capacity": 1}}' FROM needs WHERE body LIKE 'bench %';
"""


def run() -> dict[str, float]:
    """Rows, size, and seconds of backing up, verifying and restoring; how many tables differ, which has to be 0."""
    return asyncio.run(_run())


async def _run() -> dict[str, float]:
    folder = Path(tempfile.mkdtemp(prefix="zhipei-bench-"))
    folder.chmod(0o711)
    try:
        async with staged(folder) as stage, stage.database("bench_full") as settings:
            connection = await asyncpg.connect(settings.owner_url)
            async with connection.transaction():
                await connection.execute(FILL, timeout=600)
            await connection.execute("CREATE DATABASE bench_restored")
            await connection.close()
            source, target = open_database(settings), open_database(on_database(settings, "bench_restored"))
            path, report, began = folder / "bench.backup", {}, perf_counter()
            with writing(path, KEY) as archive:
                manifest = await back_up(source, archive, {})
            report["backup_seconds"], began = perf_counter() - began, perf_counter()
            await asyncio.to_thread(read, path, KEY)
            report["verify_seconds"], began = perf_counter() - began, perf_counter()
            await restore(target, path, KEY, {})
            report["restore_seconds"] = perf_counter() - began
            # The restoring has compared with the manifest; here the two databases are compared with each other.
            async with source.reading() as one, target.reading() as other:
                before, after = await examine(one), await examine(other)
            differing = [table.name for table in before.tables if table not in after.tables]
            report |= {
                "rows": manifest.rows,
                "restored_rows": sum(table.rows for table in after.tables),
                "archive_megabytes": path.stat().st_size / 1e6,
                "tables": len(before.tables),
                "tables_that_differ": len(differing) + abs(len(before.tables) - len(after.tables)),
            }
            await source.close()
            await target.close()
            return report
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name}: {value:,.1f}")
