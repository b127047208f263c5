"""What has to be true after whatever happened, looked at from outside: in the database, and by the commands."""

import asyncio
from collections.abc import Mapping

import msgspec

from infra import idempotency, outbox
from infra.db import Database, Transaction
from tests.faults.load import Load
from tests.faults.site import Site

SETTLED_SECONDS = 90.0
"""A row may wait for a lease, or for the pause after a failed attempt."""
KEYS = "SELECT account_id, key FROM idempotency_keys WHERE status = 201"
NEEDS = "SELECT id FROM needs"
# Each names what must not be; none may find a row.
NEVER: Mapping[str, str] = {
    "a need that nobody has ranked": "SELECT id FROM needs WHERE state = 'submitted'",
    "a need that was submitted twice": """
        SELECT need_id FROM events WHERE machine = 'need' AND action = 'submit'
        GROUP BY need_id HAVING count(*) <> 1""",
    "a need with two live matches": """
        SELECT need_id FROM matches
        WHERE state IN ('proposed', 'approved', 'decline_requested', 'accepted', 'delivered')
        GROUP BY need_id HAVING count(*) > 1""",
    "a need and its match that tell different stories": """
        SELECT n.id, n.state, m.state FROM needs n
        LEFT JOIN matches m ON m.need_id = n.id
            AND m.state IN ('proposed', 'approved', 'decline_requested', 'accepted', 'delivered')
        WHERE coalesce(m.state, 'none') NOT IN (SELECT unnest(CASE n.state
            WHEN 'proposed' THEN '{proposed}'::text[]
            WHEN 'assigned' THEN '{approved,decline_requested}'
            WHEN 'serving' THEN '{accepted}'
            WHEN 'delivered' THEN '{delivered}'
            ELSE '{none}' END))""",
    "more or fewer proposals told than made": """
        SELECT n.id FROM needs n WHERE (SELECT count(*) FROM matches m WHERE m.need_id = n.id) <>
            (SELECT count(*) FROM events e WHERE e.need_id = n.id AND e.machine = 'need'
             AND e.action IN ('propose', 'override'))""",
    "a ranking without an outcome": """
        SELECT n.id FROM needs n WHERE (SELECT count(*) FROM ranking_runs r WHERE r.need_id = n.id) <>
            (SELECT count(*) FROM events e WHERE e.need_id = n.id AND e.machine = 'need'
             AND e.action IN ('propose', 'find_none'))""",
    "an offering with more than it can bear": """
        SELECT o.id, o.capacity, count(*) FROM offerings o JOIN matches m ON m.offering_id = o.id
        WHERE m.state IN ('approved', 'decline_requested', 'accepted')
        GROUP BY o.id, o.capacity HAVING count(*) > o.capacity""",
    "a load that is not what the matches say": """
        SELECT o.id FROM offerings o WHERE o.load <>
            (SELECT count(*) FROM matches m WHERE m.offering_id = o.id
             AND m.state IN ('approved', 'decline_requested', 'accepted'))""",
    "somebody told twice of one event": """
        SELECT account_id, source, source_id, kind FROM messages GROUP BY 1, 2, 3, 4 HAVING count(*) > 1""",
}
COMMANDS = (("ledger", "recompute", "--check"), ("search", "diff"), ("audit", "verify"))


async def settle(database: Database, *, parked: int = 0) -> None:
    """Until the outbox is empty but for what was given up: what stays in it is an effect that did not happen."""
    last: list[dict[str, object]] = []
    for _ in range(int(SETTLED_SECONDS * 5)):
        async with database.reading() as tx:
            depth = await outbox.depth(tx)
            last = [dict(row) for row in await tx.fetch("SELECT * FROM outbox ORDER BY id LIMIT 5")]
        if (depth.waiting, depth.parked) == (0, parked):
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"the outbox does not empty: {depth}, first {last}")


async def broken(tx: Transaction, load: Load) -> list[str]:
    """What is not as it has to be, in words; empty where all is well."""
    kept = {row["key"]: await _promised(tx, row["account_id"], row["key"]) for row in await tx.fetch(KEYS)}
    there = {row["id"] for row in await tx.fetch(NEEDS)}
    found = [
        f"acknowledged and lost: {key}, need {need_id}"
        for key, need_id in load.acknowledged.items()
        if need_id not in there or kept.get(key) != need_id
    ]
    if len(set(kept.values())) != len(kept) or set(kept.values()) != there:
        found.append(f"{len(kept)} keys for {len(there)} needs: {sorted(there ^ set(kept.values()))[:10]}")
    if len(there) > load.asked:
        found.append(f"{len(there)} needs, but {load.asked} were asked for")
    for what, query in NEVER.items():
        rows = await tx.fetch(query)
        found += [f"{what}: {len(rows)}, first {tuple(rows[0])}"] if rows else []
    return found + load.surprises


async def _promised(tx: Transaction, account_id: int, key: str) -> int:
    """The need that was answered under the key; answers lie sealed."""
    answer = await idempotency.find(tx, account_id, key)
    assert answer is not None
    need_id: int = msgspec.json.decode(answer.body)["id"]
    return need_id


def disagreeing(site: Site) -> list[str]:
    """Commands that find ledger, search index or audit trail not to be what the database says."""
    found = []
    for words in COMMANDS:
        ended = site.run(*words)
        if ended.returncode != 0:
            found.append(f"zhipei {' '.join(words)}: {ended.stdout}{ended.stderr}")
    return found
