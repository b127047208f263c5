"""All SQL of learning."""

from collections.abc import Sequence
from datetime import date

import msgspec

from infra.db import Transaction, many, one_or_none
from market.learning.model import Line, StoredModel
from matching.evaluate import Verdict
from matching.model import TableModel

# A run counts once a coordinator has approved or overridden on it. Those made with other features are left out.
LINES = """
WITH story AS (
    SELECT m.run_id, m.offering_id, max(m.id) AS match_id, bool_or(e.action = 'override') AS by_override,
           bool_or(e.action = 'accept') AS accepted, bool_or(e.action = 'confirm') AS completed,
           bool_or(e.to_state IN ('declined', 'lapsed')) AS declined
    FROM matches m JOIN events e ON e.need_id = m.need_id AND e.match_id = m.id
    GROUP BY m.run_id, m.offering_id HAVING bool_or(e.action IN ('approve', 'override'))
), decided AS (
    SELECT r.id, r.need_id, r.created_at, i.number
    FROM (SELECT run_id, max(match_id) AS match_id FROM story GROUP BY run_id) s
    JOIN ranking_runs r ON r.id = s.run_id
    JOIN matches m ON m.id = s.match_id JOIN service_items i ON i.code = m.item_code
    JOIN candidates c ON c.run_id = r.id AND c.rank = 1
    WHERE jsonb_path_query_array(c.parts, '$[*].feature') = $1
    ORDER BY r.id DESC LIMIT $2
)
SELECT d.id AS run_id, d.need_id, d.created_at::date AS day, n.region_code, d.number AS item_number, c.rank, c.shown,
       c.propensity,
       ARRAY(SELECT (p ->> 'value')::float8 FROM jsonb_array_elements(c.parts) WITH ORDINALITY AS of (p, place)
             ORDER BY place) AS "values",
       s.run_id IS NOT NULL AS approved, coalesce(s.by_override, false) AS by_override,
       coalesce(s.accepted, false) AS accepted, coalesce(s.completed, false) AS completed,
       coalesce(s.declined, false) AS declined
FROM decided d JOIN needs n ON n.id = d.need_id JOIN candidates c ON c.run_id = d.id
LEFT JOIN story s ON s.run_id = c.run_id AND s.offering_id = c.offering_id
ORDER BY d.id, c.rank
"""
INSERT = """
INSERT INTO models (version, features, tables, first_day, last_day, labelled_needs, metrics, failed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (version) DO NOTHING RETURNING version
"""
COLUMNS = "version, state, labelled_needs, first_day, last_day, metrics, failed, created_at, promoted_at"
ALL = f"SELECT {COLUMNS} FROM models ORDER BY created_at DESC, version"
FIND = f"SELECT {COLUMNS} FROM models WHERE version = $1"
CHAMPION = "SELECT version FROM models WHERE state = 'champion'"
TABLES = "SELECT tables FROM models WHERE version = $1"
REPLACED = "SELECT replaces FROM models WHERE state = 'champion'"
LOCK = "LOCK TABLE models IN SHARE ROW EXCLUSIVE MODE"
RETIRE = "UPDATE models SET state = 'retired' WHERE state = 'champion' RETURNING version"
CROWN = "UPDATE models SET state = 'champion', promoted_at = now(), replaces = $2 WHERE version = $1"
CROWN_AGAIN = "UPDATE models SET state = 'champion', promoted_at = now() WHERE version = $1"


async def lines(tx: Transaction, features: Sequence[str], runs: int) -> list[Line]:
    """The newest so many decided runs made with these features, all candidates of each, oldest first."""
    return many(Line, await tx.fetch(LINES, features, runs))


async def insert(tx: Transaction, model: TableModel, verdict: Verdict) -> bool:
    """Store a candidate; False where it is there already."""
    version = await tx.fetchval(
        INSERT,
        model.version,
        model.features,
        model,
        date.fromisoformat(model.window[0]),
        date.fromisoformat(model.window[1]),
        model.labelled_needs,
        verdict.metrics,
        verdict.failed,
    )
    return version is not None


async def models(tx: Transaction) -> list[StoredModel]:
    """All models, newest first."""
    return many(StoredModel, await tx.fetch(ALL))


async def find(tx: Transaction, version: str) -> StoredModel | None:
    """The model of that version."""
    return one_or_none(StoredModel, await tx.fetchrow(FIND, version))


async def champion(tx: Transaction) -> str | None:
    """Version of the model that ranks."""
    version: str | None = await tx.fetchval(CHAMPION)
    return version


async def tables(tx: Transaction, version: str) -> TableModel:
    """A stored model itself."""
    return msgspec.convert(await tx.fetchval(TABLES, version), TableModel)


async def replaced(tx: Transaction) -> str | None:
    """The champion before this one; None: the scorecard alone."""
    version: str | None = await tx.fetchval(REPLACED)
    return version


async def lock(tx: Transaction) -> None:
    """Nobody else changes models until the transaction ends; ranking goes on reading them."""
    await tx.execute(LOCK)


async def retire(tx: Transaction) -> str | None:
    """Leave the ranking to the scorecard; the version of the champion that was."""
    version: str | None = await tx.fetchval(RETIRE)
    return version


async def crown(tx: Transaction, version: str, replaces: str | None) -> None:
    """Let a model rank, in place of that one."""
    await tx.execute(CROWN, version, replaces)


async def crown_again(tx: Transaction, version: str) -> None:
    """Let a former champion rank again; what it once replaced stays what a further step back leads to."""
    await tx.execute(CROWN_AGAIN, version)
