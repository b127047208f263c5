"""All SQL of learning."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from infra.db import Transaction, many, one_or_none
from market.learning.model import (
    By,
    Health,
    Line,
    ModelState,
    ModelStep,
    Shown,
    StoredHealth,
    StoredModel,
    TrialRun,
)
from matching.evaluate import Verdict
from matching.model import TableModel
from matching.types import SecondOpinion

# What became of each candidate that was approved, or put in another's place.
STORY = """
m.run_id, m.offering_id, max(m.id) AS match_id, bool_or(e.action = 'override') AS by_override,
       bool_or(e.action = 'accept') AS accepted, bool_or(e.action = 'confirm') AS completed,
       bool_or(e.to_state = 'declined') AS declined, bool_or(s.level >= 4) AS rated_well
FROM matches m JOIN events e ON e.need_id = m.need_id AND e.match_id = m.id
LEFT JOIN ratings s ON s.match_id = m.id AND s.state <> 'withheld'
"""
DECIDED = "GROUP BY m.run_id, m.offering_id HAVING bool_or(e.action IN ('approve', 'override'))"
VALUES = """
ARRAY(SELECT (p ->> 'value')::float8 FROM jsonb_array_elements(c.parts) WITH ORDINALITY AS of (p, place) ORDER BY place)
"""
# A run counts once a coordinator has approved or overridden on it. Those made with other features are left out. So are
# candidates before the one that prices or a plan proposed: what others need put them aside, not a judgement.
LINES = f"""
WITH story AS (SELECT {STORY} {DECIDED}), decided AS (
    SELECT r.id, r.need_id, r.created_at, r.proposed_rank, i.number
    FROM (SELECT run_id, max(match_id) AS match_id FROM story GROUP BY run_id) s
    JOIN ranking_runs r ON r.id = s.run_id
    JOIN matches m ON m.id = s.match_id JOIN service_items i ON i.code = m.item_code
    JOIN candidates c ON c.run_id = r.id AND c.rank = 1
    WHERE jsonb_path_query_array(c.parts, '$[*].feature') = $1
    ORDER BY r.id DESC LIMIT $2
)
SELECT d.id AS run_id, d.need_id, d.created_at::date AS day, n.region_code, d.number AS item_number, c.rank, c.shown,
       CASE WHEN c.rank = 1 AND t.run_id IS NOT NULL
            THEN (1 - t.share) * t.champion_propensity + t.share * t.trial_propensity
            ELSE c.propensity END AS propensity,
       c.rank = d.proposed_rank AS proposed,
       {VALUES} AS "values",
       s.run_id IS NOT NULL AS approved,
       coalesce(s.by_override AND c.rank <> d.proposed_rank, false) AS by_override,
       coalesce(s.accepted, false) AS accepted, coalesce(s.completed, false) AS completed,
       coalesce(s.declined, false) AS declined, coalesce(s.rated_well, false) AS rated_well
FROM decided d JOIN needs n ON n.id = d.need_id JOIN candidates c ON c.run_id = d.id
LEFT JOIN trial_runs t ON t.run_id = d.id
LEFT JOIN story s ON s.run_id = c.run_id AND s.offering_id = c.offering_id
WHERE c.rank >= d.proposed_rank OR s.run_id IS NOT NULL
ORDER BY d.id, c.rank
"""
INSERT = """
INSERT INTO models (version, features, tables, first_day, last_day, labelled_needs, metrics, failed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (version) DO NOTHING RETURNING version
"""
COLUMNS = "version, state, state_since, labelled_needs, first_day, last_day, metrics, failed, created_at, promoted_at"
ALL = f"SELECT {COLUMNS} FROM models ORDER BY created_at DESC, version"
FIND = f"SELECT {COLUMNS} FROM models WHERE version = $1"
SERVING = "SELECT version, state FROM models WHERE state IN ('shadow', 'challenger', 'champion')"
CHAMPION = "SELECT version FROM models WHERE state = 'champion'"
ON_TRIAL = f"SELECT {COLUMNS} FROM models WHERE state IN ('shadow', 'challenger')"
# Judged against who ranks now: what was learned before the last change had another to beat.
NEWEST = f"""
SELECT {COLUMNS} FROM models
WHERE state = 'candidate'
AND created_at > coalesce((SELECT max(at) FROM model_steps WHERE 'champion' IN (from_state, to_state)), '-infinity')
ORDER BY created_at DESC, version LIMIT 1
"""
TABLES = "SELECT tables FROM models WHERE version = $1"
REPLACED = "SELECT replaces FROM models WHERE state = 'champion'"
LOCK = "LOCK TABLE models IN SHARE ROW EXCLUSIVE MODE"
MOVE = """
WITH moved AS (
    UPDATE models m SET state = $2, state_since = clock_timestamp(),
           promoted_at = CASE WHEN $2 = 'champion' THEN now() ELSE m.promoted_at END
    FROM (SELECT version, state FROM models WHERE version = $1) before
    WHERE m.version = before.version RETURNING m.version, before.state AS from_state
)
INSERT INTO model_steps (version, from_state, to_state, actor_id, who, why)
SELECT version, from_state, $2, $3::bigint, $4, $5 FROM moved
"""
SET_REPLACES = "UPDATE models SET replaces = $2 WHERE version = $1"
STEPS = "SELECT version, from_state, to_state, who, why, at FROM model_steps ORDER BY id DESC LIMIT $1"
INSERT_TRIAL = """
INSERT INTO trial_runs (run_id, version, share, by_trial, champion_propensity, trial_propensity, overlap, scores)
SELECT $1::bigint, $2, $3, $4::boolean,
       CASE WHEN $4 THEN $5::float8 ELSE c.propensity END, CASE WHEN $4 THEN c.propensity ELSE $5 END, $6, $7
FROM candidates c WHERE c.run_id = $1 AND c.rank = 1
"""
TRIAL = f"""
WITH story AS (
    SELECT {STORY} WHERE m.run_id IN (SELECT run_id FROM trial_runs WHERE version = $1) {DECIDED}
), decided AS (SELECT DISTINCT run_id FROM story)
SELECT t.by_trial, t.share, t.champion_propensity, t.trial_propensity, t.overlap, d.run_id IS NOT NULL AS decided,
       s.run_id IS NOT NULL AS approved, coalesce(s.by_override, false) AS by_override,
       coalesce(s.accepted, false) AS accepted, coalesce(s.completed, false) AS completed,
       coalesce(s.rated_well, false) AS rated_well
FROM trial_runs t JOIN ranking_runs r ON r.id = t.run_id JOIN candidates c ON c.run_id = r.id AND c.rank = 1
LEFT JOIN decided d ON d.run_id = r.id
LEFT JOIN story s ON s.run_id = r.id AND s.offering_id = c.offering_id
WHERE t.version = $1 AND r.created_at >= $2 AND (t.share > 0) = $3 AND r.proposed_rank = 1
ORDER BY t.run_id
"""
SHOWN_VALUES = f"""
SELECT {VALUES} AS "values"
FROM (
    SELECT r.id FROM ranking_runs r JOIN candidates c ON c.run_id = r.id AND c.rank = 1
    WHERE r.created_at::date BETWEEN $2 AND $3 AND jsonb_path_query_array(c.parts, '$[*].feature') = $1
    ORDER BY r.id DESC LIMIT $4
) r JOIN candidates c ON c.run_id = r.id AND c.shown
"""
# A newcomer had not answered once when it was considered: there are no facts behind its record of acceptance.
SHOWN = """
WITH considered AS (
    SELECT date_trunc('month', r.created_at)::date AS first_day, c.offering_id,
           CASE WHEN c.shown THEN 1 / log(2::numeric, c.rank + 1)::float8 ELSE 0 END AS exposure,
           (jsonb_path_query_first(c.parts, '$[*] ? (@.feature == "acceptance").evidence')) = '0' AS newcomer
    FROM ranking_runs r JOIN candidates c ON c.run_id = r.id
    WHERE r.created_at >= $1
), matched AS (
    SELECT date_trunc('month', m.created_at)::date AS first_day, m.offering_id, count(*) AS matches
    FROM matches m WHERE m.created_at >= $1
    AND EXISTS (SELECT FROM events e WHERE e.match_id = m.id AND e.to_state = 'approved')
    GROUP BY 1, 2
)
SELECT c.first_day, c.offering_id, f.institution_id, avg(coalesce(c.newcomer, false)::integer)::float8 AS newcomer,
       sum(c.exposure) AS exposure, coalesce(sum(c.exposure) FILTER (WHERE c.newcomer), 0) AS newcomer_exposure,
       coalesce(max(m.matches), 0) AS matches
FROM considered c JOIN offerings f ON f.id = c.offering_id
LEFT JOIN matched m ON m.first_day = c.first_day AND m.offering_id = c.offering_id
GROUP BY c.first_day, c.offering_id, f.institution_id ORDER BY 1, 2
"""
INSERT_HEALTH = "INSERT INTO model_health (content) VALUES ($1)"
HEALTH = "SELECT measured_at, content FROM model_health ORDER BY id DESC LIMIT 1"


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


async def serving(tx: Transaction) -> dict[ModelState, str]:
    """Versions of the models that take part in rankings now, by their states."""
    return {ModelState(row["state"]): row["version"] for row in await tx.fetch(SERVING)}


async def champion(tx: Transaction) -> str | None:
    """Version of the model that ranks."""
    version: str | None = await tx.fetchval(CHAMPION)
    return version


async def on_trial(tx: Transaction) -> StoredModel | None:
    """The shadow or the challenger."""
    return one_or_none(StoredModel, await tx.fetchrow(ON_TRIAL))


async def newest(tx: Transaction) -> StoredModel | None:
    """The newest candidate that was judged against who ranks now."""
    return one_or_none(StoredModel, await tx.fetchrow(NEWEST))


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


async def move(tx: Transaction, version: str, state: ModelState, by: By) -> None:
    """Give the model another state, and write down who did and why."""
    await tx.execute(MOVE, version, state, by.actor_id, by.who, by.why)


async def set_replaces(tx: Transaction, version: str, replaces: str | None) -> None:
    """Remember whom a new champion replaced."""
    await tx.execute(SET_REPLACES, version, replaces)


async def steps(tx: Transaction, limit: int) -> list[ModelStep]:
    """The newest moves on the ladder, newest first."""
    return many(ModelStep, await tx.fetch(STEPS, limit))


async def insert_trial(
    tx: Transaction, run_id: int, version: str, second: SecondOpinion, *, share: float, by_trial: bool
) -> None:
    """Beside a stored run: the model on trial, and what the model that did not make the list says of it."""
    values = (run_id, version, share, by_trial, second.propensity, second.overlap, second.scores)
    await tx.execute(INSERT_TRIAL, *values)


async def trial(tx: Transaction, version: str, since: datetime, *, challenger: bool) -> list[TrialRun]:
    """Rankings since then that the model took part in, as a shadow or as challenger."""
    return many(TrialRun, await tx.fetch(TRIAL, version, since, challenger))


async def shown_values(
    tx: Transaction, features: Sequence[str], first_day: date, last_day: date, runs: int
) -> list[list[float]]:
    """Features of the candidates shown on these days, of at most so many runs, the newest."""
    return [row["values"] for row in await tx.fetch(SHOWN_VALUES, features, first_day, last_day, runs)]


async def shown(tx: Transaction, since: datetime) -> list[Shown]:
    """What each month since then brought each offering that was considered."""
    return many(Shown, await tx.fetch(SHOWN, since))


async def insert_health(tx: Transaction, health: Health) -> None:
    """Keep what was measured."""
    await tx.execute(INSERT_HEALTH, health)


async def health(tx: Transaction) -> StoredHealth | None:
    """The newest of what was measured."""
    return one_or_none(StoredHealth, await tx.fetchrow(HEALTH))
