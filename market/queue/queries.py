"""All SQL of the queue: its rows and counts, saved filters, held decisions."""

from collections.abc import Sequence
from datetime import datetime

from infra.db import Transaction, many, one_or_none
from market.accounts.model import Actor
from market.needs.model import NeedState
from market.queue.gaps import Cell
from market.queue.model import Decision, Filter, Held, QueueRow, SavedFilter, Share
from market.regions.model import prefix_of

FROM = """
FROM needs n JOIN enterprises e ON e.id = n.enterprise_id JOIN nodes d ON d.id = n.node_id
LEFT JOIN matches m ON m.need_id = n.id
     AND m.state IN ('proposed', 'approved', 'decline_requested', 'accepted', 'delivered', 'completed')
LEFT JOIN held_decisions h ON h.need_id = n.id
"""
# $1: prefix of the node, $2: of a region within it, $3: an item, $4: whose, $5: who asks, $6: only late, $7: a text.
# A decision that waits to be sent is done for whoever looks; one that could not be sent is not.
WHERE = """
WHERE starts_with(d.region_prefix, $1) AND starts_with(n.region_code, $2)
  AND ($3 = '' OR $3 = ANY(n.item_codes) OR (n.item_codes = '{}' AND n.understanding -> 'item_codes' ? $3))
  AND CASE $4 WHEN 'me' THEN n.owner_id = $5::bigint WHEN 'nobody' THEN n.owner_id IS NULL
              WHEN 'others' THEN n.owner_id <> $5::bigint ELSE true END
  AND (NOT $6 OR now() > CASE WHEN n.state IN ('proposed', 'unmatched', 'submitted') THEN n.due_at
                              WHEN n.state IN ('assigned', 'serving') THEN m.due_at END)
  AND ($7 = '' OR n.body ILIKE $7 OR e.name ILIKE $7)
  AND (h.failed IS NULL OR h.failed <> '')
"""
# Chosen first, described then: only the rows of the page have their candidates read, and PostgreSQL plans two small
# joins in a tenth of the time that one of eleven tables takes it.
CHOSEN = f"""
SELECT n.id, party_name(e.name, e.kind) AS enterprise_name, n.state, n.body, n.region_code, d.name AS node_name,
       n.owner_id, n.due_at, n.due_provisional, n.created_at, m.id AS match_id, m.due_at AS match_due_at,
       coalesce(m.due_provisional, false) AS match_due_provisional, m.institution_id, m.institution_version,
       m.offering_id, m.run_id, m.state AS match_state, h.failed
{FROM} {WHERE}
"""
_DESCRIBED = """
k.id, k.enterprise_name, k.state, left(k.body, 200) AS body, k.region_code, r.name AS region_name, k.node_name,
       k.owner_id, o.name AS owner_name, v.name AS institution_name, k.due_at, k.due_provisional, k.match_due_at,
       k.match_due_provisional, k.created_at, k.match_id, s.score, s.next_score, f.capacity - f.load AS room, k.failed
FROM chosen k JOIN regions r ON r.code = k.region_code LEFT JOIN accounts o ON o.id = k.owner_id
LEFT JOIN institution_versions v ON v.institution_id = k.institution_id AND v.version = k.institution_version
LEFT JOIN offerings f ON f.id = k.offering_id
LEFT JOIN LATERAL (
    SELECT max(c.score) FILTER (WHERE c.offering_id = k.offering_id) AS score,
           max(c.score) FILTER (WHERE c.offering_id <> k.offering_id AND c.shown) AS next_score
    FROM candidates c WHERE k.match_state = 'proposed' AND c.run_id = k.run_id
) s ON true
"""
# A queue is worked by deadline. The cursor is the last row's due_at and id.
ROWS = f"""
WITH chosen AS MATERIALIZED ({CHOSEN} AND n.state = ANY($8::text[])
  AND ($9::timestamptz IS NULL OR (n.due_at, n.id) > ($9::timestamptz, $10::bigint))
ORDER BY n.due_at, n.id LIMIT $11)
SELECT {_DESCRIBED} ORDER BY k.due_at, k.id
"""
# What has ended is looked up, not worked: newest first. The cursor is the last row's id.
ENDED = f"""
WITH chosen AS MATERIALIZED ({CHOSEN} AND n.state = ANY($8::text[]) AND ($9::bigint IS NULL OR n.id < $9::bigint)
ORDER BY n.id DESC LIMIT $10)
SELECT {_DESCRIBED} ORDER BY k.id DESC
"""
COUNTS = f"SELECT n.state, count(*) AS n {FROM} {WHERE} GROUP BY n.state"
OF_IDS = f"""
WITH chosen AS MATERIALIZED ({CHOSEN} AND n.id = ANY($8::bigint[])) SELECT {_DESCRIBED} ORDER BY k.due_at, k.id
"""
NEXT = f"""
SELECT n.id {FROM} {WHERE} AND n.state = ANY($8::text[]) AND n.id <> $9
ORDER BY (n.due_at, n.id) < (SELECT due_at, id FROM needs WHERE id = $9), n.due_at, n.id LIMIT 1
"""

FILTERS = "SELECT id, name, query FROM saved_filters WHERE account_id = $1 ORDER BY created_at, id"
SAVE_FILTER = """
INSERT INTO saved_filters (account_id, name, query)
SELECT $1, $2, $3
WHERE (SELECT count(*) FROM saved_filters WHERE account_id = $1 AND name <> $2) < $4
ON CONFLICT (account_id, name) DO UPDATE SET query = excluded.query
RETURNING id
"""
DROP_FILTER = "DELETE FROM saved_filters WHERE account_id = $1 AND id = $2"

HELD = """
SELECT h.id, h.need_id, h.actor_id, a.login AS actor_login, a.name AS actor_name, h.match_id, h.offering_id, h.reason,
       party_name(e.name, e.kind) AS enterprise_name, v.name AS institution_name, h.send_at, h.failed
FROM held_decisions h JOIN accounts a ON a.id = h.actor_id JOIN needs n ON n.id = h.need_id
JOIN enterprises e ON e.id = n.enterprise_id LEFT JOIN matches m ON m.id = h.match_id
JOIN offerings f ON f.id = coalesce(h.offering_id, m.offering_id)
JOIN institutions i ON i.id = f.institution_id
JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
"""
NEED_OF_HELD = "SELECT need_id FROM held_decisions WHERE id = $1"
HELD_BY_ID = f"{HELD} WHERE h.id = $1 FOR UPDATE OF h"
HELD_OF_NEED = f"{HELD} WHERE h.need_id = $1"
HELD_OF_ACTOR = f"{HELD} WHERE h.actor_id = $1 ORDER BY h.id DESC"
HOLD = """
INSERT INTO held_decisions (need_id, actor_id, match_id, offering_id, reason, send_at)
VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6::float8)) RETURNING id
"""
DROP_HELD = "DELETE FROM held_decisions WHERE id = $1"
TAKE_BACK = "DELETE FROM held_decisions WHERE need_id = $1 AND actor_id = $2 RETURNING failed = ''"
FORGET = "DELETE FROM held_decisions WHERE need_id = $1"
SET_FAILED = "UPDATE held_decisions SET failed = $2 WHERE id = $1"
SHARES = """
SELECT m.offering_id, v.name AS institution_name, w.title, count(*)::integer AS gets, f.capacity, f.load
FROM matches m JOIN offerings f ON f.id = m.offering_id
JOIN institution_versions v ON v.institution_id = m.institution_id AND v.version = m.institution_version
JOIN offering_versions w ON w.offering_id = m.offering_id AND w.version = m.offering_version
WHERE m.id = ANY($1::bigint[])
GROUP BY m.offering_id, v.name, w.title, f.capacity, f.load ORDER BY v.name, w.title
"""
SET_CONFIRMED = "UPDATE needs SET item_codes = $2, rights = $3 WHERE id = $1"

# $1: prefix of the node, $2: digits of the regions below it, $3: days. A need counts where it came from, under every
# stage that was read from it; an offering with places wherever it serves.
GAPS = """
WITH asked AS (
    SELECT rpad(left(n.region_code, $2), 6, '0') AS region_code, s.stage, count(*) AS needs,
           count(*) FILTER (WHERE EXISTS (
               SELECT FROM events v WHERE v.need_id = n.id AND v.action = 'find_none')) AS nobody,
           coalesce(sum(c.n), 0) AS candidates
    FROM needs n CROSS JOIN LATERAL jsonb_array_elements_text(n.understanding -> 'stages') AS s (stage)
    LEFT JOIN LATERAL (
        SELECT (SELECT count(*) FROM candidates c WHERE c.run_id = r.id AND c.shown) AS n
        FROM ranking_runs r WHERE r.need_id = n.id ORDER BY r.id DESC LIMIT 1
    ) c ON true
    WHERE starts_with(n.region_code, $1) AND n.created_at > now() - make_interval(days => $3)
    GROUP BY 1, 2
), places AS (
    SELECT g.code AS region_code, s.stage, sum(greatest(f.capacity - f.load, 0)) AS places
    FROM regions g JOIN offerings f ON f.state = 'published'
    JOIN offering_versions v ON v.offering_id = f.id AND v.version = f.version
    JOIN institutions i ON i.id = f.institution_id AND i.state = 'active'
    JOIN service_item_versions w ON w.item_code = v.item_code AND w.version = v.item_version
    CROSS JOIN LATERAL unnest(w.stages) AS s (stage)
    WHERE starts_with(g.code, $1) AND g.code = rpad(left(g.code, $2), 6, '0') AND EXISTS (
        SELECT FROM unnest(v.region_codes) AS served (code)
        WHERE starts_with(g.code, region_prefix(served.code)) OR starts_with(served.code, region_prefix(g.code)))
    GROUP BY 1, 2
)
SELECT region_code, stage, coalesce(needs, 0) AS needs, coalesce(nobody, 0) AS nobody,
       coalesce(candidates, 0)::integer AS candidates, coalesce(places, 0)::integer AS places
FROM asked FULL JOIN places USING (region_code, stage) ORDER BY region_code, stage
"""


def _narrow(actor: Actor, by: Filter) -> tuple[str, str, str, str, int, bool, str]:
    """The first seven parameters of WHERE."""
    like = by.q.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    text = f"%{like}%" if like else ""
    return actor.node_prefix or "", prefix_of(by.region), by.item, by.owner, actor.id, by.overdue, text


async def rows(
    tx: Transaction,
    actor: Actor,
    by: Filter,
    states: Sequence[NeedState],
    *,
    after: tuple[datetime, int] | None,
    limit: int,
) -> list[QueueRow]:
    """Needs at the actor's node and below, by deadline, after the row that ``after`` names."""
    due_at, need_id = after or (None, None)
    return many(QueueRow, await tx.fetch(ROWS, *_narrow(actor, by), states, due_at, need_id, limit))


async def ended(
    tx: Transaction, actor: Actor, by: Filter, states: Sequence[NeedState], *, before: int | None, limit: int
) -> list[QueueRow]:
    """Needs at the actor's node and below, newest first, with ids below ``before``."""
    return many(QueueRow, await tx.fetch(ENDED, *_narrow(actor, by), states, before, limit))


async def of_ids(tx: Transaction, actor: Actor, by: Filter, need_ids: list[int]) -> list[QueueRow]:
    """Those of these needs that lie with the actor's node and below, by deadline."""
    return many(QueueRow, await tx.fetch(OF_IDS, *_narrow(actor, by), need_ids))


async def counts(tx: Transaction, actor: Actor, by: Filter) -> dict[NeedState, int]:
    """How many needs stand where, at the actor's node and below, of those the filter lets pass."""
    return {NeedState(row["state"]): row["n"] for row in await tx.fetch(COUNTS, *_narrow(actor, by))}


async def following(tx: Transaction, actor: Actor, by: Filter, states: Sequence[NeedState], need_id: int) -> int | None:
    """The need to work on after that one: the next by deadline, or from the top again."""
    found: int | None = await tx.fetchval(NEXT, *_narrow(actor, by), states, need_id)
    return found


async def filters(tx: Transaction, account_id: int) -> list[SavedFilter]:
    """The account's filters, the oldest first."""
    return many(SavedFilter, await tx.fetch(FILTERS, account_id))


async def save_filter(tx: Transaction, account_id: int, name: str, query: str, *, most: int) -> bool:
    """Keep a filter under a name, in place of one that had it; False where the account has ``most`` others."""
    return await tx.fetchval(SAVE_FILTER, account_id, name, query, most) is not None


async def drop_filter(tx: Transaction, account_id: int, filter_id: int) -> None:
    """Forget one of the account's filters."""
    await tx.execute(DROP_FILTER, account_id, filter_id)


async def need_of_held(tx: Transaction, held_id: int) -> int | None:
    """The need that was decided on; None where that was taken back."""
    need_id: int | None = await tx.fetchval(NEED_OF_HELD, held_id)
    return need_id


async def held(tx: Transaction, held_id: int) -> Held | None:
    """The decision, locked; None where it was taken back."""
    return one_or_none(Held, await tx.fetchrow(HELD_BY_ID, held_id))


async def held_of_need(tx: Transaction, need_id: int) -> Held | None:
    """The decision on a need that waits to be sent, or could not be."""
    return one_or_none(Held, await tx.fetchrow(HELD_OF_NEED, need_id))


async def held_of_actor(tx: Transaction, actor_id: int) -> list[Held]:
    """What the actor has decided and is not sent, newest first."""
    return many(Held, await tx.fetch(HELD_OF_ACTOR, actor_id))


async def hold(tx: Transaction, actor: Actor, need_id: int, decision: Decision, seconds: float) -> int:
    """The id of the decision, which can be taken back for so many seconds. The need has no other."""
    values = (decision.match_id, decision.offering_id, decision.reason, seconds)
    held_id: int = await tx.fetchval(HOLD, need_id, actor.id, *values)
    return held_id


async def drop_held(tx: Transaction, held_id: int) -> None:
    """The decision was sent."""
    await tx.execute(DROP_HELD, held_id)


async def take_back(tx: Transaction, need_id: int, actor_id: int) -> bool | None:
    """Drop the actor's decision on the need; None where there is none, False where it had failed already."""
    waited: bool | None = await tx.fetchval(TAKE_BACK, need_id, actor_id)
    return waited


async def forget(tx: Transaction, need_id: int) -> None:
    """Drop whatever was decided on the need and not sent."""
    await tx.execute(FORGET, need_id)


async def set_failed(tx: Transaction, held_id: int, words: str) -> None:
    """The decision could not be sent, and why."""
    await tx.execute(SET_FAILED, held_id, words)


async def shares(tx: Transaction, match_ids: list[int]) -> list[Share]:
    """What each offering would get of these proposals."""
    return many(Share, await tx.fetch(SHARES, match_ids))


async def set_confirmed(tx: Transaction, need_id: int, item_codes: tuple[str, ...], rights: tuple[str, ...]) -> None:
    """What the need is about, confirmed by a person; empty: as read from its text."""
    await tx.execute(SET_CONFIRMED, need_id, item_codes, rights)


async def gaps(tx: Transaction, prefix: str, digits: int, days: int) -> list[Cell]:
    """What came and what is left by region and stage; regions of so many digits below ``prefix``."""
    return many(Cell, await tx.fetch(GAPS, prefix, digits, days))
