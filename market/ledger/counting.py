"""Counting events into rows of the ledger: all SQL of it.

Cells of an institution, an item and a month come from events; everything coarser is a sum of cells. A cell is always
counted whole, so that counting all of them anew gives the same rows.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from msgspec import Struct

from infra.db import Transaction, many
from market.ledger.figures import COUNTS, LONGEST_DAYS

SECONDS = 600
"""After which a statement is given up."""

LOCK = "SELECT event_id, stamp, ran_at FROM ledger_state FOR UPDATE"
SAVE = "UPDATE ledger_state SET event_id = $1, stamp = $2, ran_at = $3"
# Years of events take longer to count than a request may, and are sorted faster in memory.
PATIENCE = """
SELECT set_config('statement_timeout', '600000', true), set_config('idle_in_transaction_session_timeout', '0', true),
       set_config('work_mem', '128MB', true)
"""
LAST = "SELECT coalesce(max(id), 0) FROM events"
# Who is in the middle of writing events: an id is drawn before its transaction commits, under this lock.
WRITERS = """
SELECT DISTINCT virtualtransaction FROM pg_locks
WHERE locktype = 'relation' AND relation = 'events'::regclass AND mode = 'RowExclusiveLock' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()
"""
FIRST = "SELECT min(at) FROM events"
REGIONS = """
SELECT DISTINCT v.region_code
FROM institutions i JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
"""
# Cells that events after $1 up to $2 fall in. A rating that is ruled out leaves the month in which it was given.
DIRTY = """
SELECT DISTINCT m.institution_id, to_char(e.at AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM') AS month
FROM events e JOIN matches m ON m.id = e.match_id
WHERE e.id > $1 AND e.id <= $2
UNION
SELECT m.institution_id, to_char(g.at AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM')
FROM events e JOIN matches m ON m.id = e.match_id
JOIN events g ON g.need_id = e.need_id AND g.match_id = e.match_id AND g.machine = 'rating' AND g.action = 'rate'
WHERE e.id > $1 AND e.id <= $2 AND e.machine = 'rating' AND e.action = 'withhold'
"""
FORGET_CELLS = """
DELETE FROM ledger_rows
WHERE NOT frozen AND period = ANY($1::text[]) AND ($2::bigint[] IS NULL OR institution_id = ANY($2::bigint[]))
"""
FORGET_ALL = "DELETE FROM ledger_rows WHERE NOT frozen"
_MATCH = "count(*) FILTER (WHERE e.machine = 'match' AND e.action {})::integer"
_COUNTED: Mapping[str, str] = {
    "offered": _MATCH.format("IN ('approve', 'override')"),
    "accepted": _MATCH.format("= 'accept'"),
    "declined": _MATCH.format("IN ('decline', 'grant_decline')"),
    "lapsed": _MATCH.format("= 'lapse'"),
    "decline_requested": _MATCH.format("= 'request_decline'"),
    "decline_granted": _MATCH.format("= 'grant_decline'"),
    "decline_refused": _MATCH.format("= 'refuse_decline'"),
    "taken_back": _MATCH.format(
        "IN ('supersede', 'cancel') AND e.from_state IN ('approved', 'decline_requested', 'accepted')"
    ),
    "delivered": "count(*) FILTER (WHERE e.first_delivery)::integer",
    "on_time": "count(*) FILTER (WHERE e.first_delivery AND e.on_time)::integer",
    "overdue": "count(*) FILTER (WHERE e.expired IN ('deliver', 'deliver_statutory'))::integer",
    "reworked": _MATCH.format("= 'rework'"),
    "completed": _MATCH.format("= 'confirm'"),
    "withheld": "count(*) FILTER (WHERE e.withheld)::integer",
    "rectifications": "count(*) FILTER (WHERE e.machine = 'rectification' AND e.action = 'open')::integer",
    "rectified": "count(*) FILTER (WHERE e.machine = 'rectification' AND e.to_state = 'closed')::integer",
    "rectification_overdue": "count(*) FILTER (WHERE e.expired LIKE 'rectification_%')::integer",
}
assert tuple(_COUNTED) == COUNTS, "every count of the model is counted"
_LEVELS = ", ".join(f"count(*) FILTER (WHERE e.level = {level} AND NOT e.withheld)::integer" for level in range(1, 6))
# Cells of events in [$2, $3) up to the id $1, of the institutions $4 (NULL: all). $5, $6: regions and the number of
# their calendar; $7, $8, $9: of each calendar the days, and how many working days came up to each.
CELLS = f"""
WITH calendars AS MATERIALIZED (
    SELECT * FROM unnest($7::integer[], $8::date[], $9::integer[]) AS c (calendar, day, number)
), places AS MATERIALIZED (
    SELECT i.id AS institution_id, g.calendar
    FROM institutions i JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
    JOIN unnest($5::text[], $6::integer[]) AS g (region_code, calendar) ON g.region_code = v.region_code
    WHERE $4::bigint[] IS NULL OR i.id = ANY($4::bigint[])
), seen AS MATERIALIZED (
    SELECT m.institution_id, m.item_code, e.machine, e.action, e.from_state, e.to_state,
           date_trunc('month', e.at AT TIME ZONE 'Asia/Shanghai')::date AS month,
           CASE WHEN a.at IS NOT NULL THEN (e.at AT TIME ZONE 'Asia/Shanghai')::date END AS day,
           (a.at AT TIME ZONE 'Asia/Shanghai')::date AS accepted_on,
           (e.machine = 'match' AND e.action = 'deliver' AND w.match_id IS NULL) AS first_delivery,
           CASE WHEN e.action = 'deliver'
                THEN coalesce((e.data ->> 'on_time')::boolean, m.delivered_on_time) END AS on_time,
           CASE WHEN e.machine = 'deadline' AND e.action = 'expire'
                AND e.data ->> 'limit' IN ('deliver', 'deliver_statutory', 'rectification_rectify',
                                           'rectification_answer')
                THEN e.data ->> 'limit' END AS expired,
           CASE WHEN e.machine = 'rating' AND e.action = 'rate' THEN (e.data ->> 'level')::integer END AS level,
           (e.machine = 'rating' AND e.action = 'rate' AND h.match_id IS NOT NULL) AS withheld
    FROM events e JOIN matches m ON m.id = e.match_id
    -- A match is accepted once; what is delivered after a rework is not delivered for the first time.
    LEFT JOIN events a ON e.machine = 'match' AND e.action = 'deliver' AND a.match_id = e.match_id
         AND a.need_id = e.need_id AND a.machine = 'match' AND a.action = 'accept'
    LEFT JOIN (SELECT match_id, min(id) AS id FROM events WHERE action = 'rework' AND machine = 'match'
               GROUP BY match_id) w
         ON e.machine = 'match' AND e.action = 'deliver' AND w.match_id = e.match_id AND w.id < e.id
    LEFT JOIN events h ON e.machine = 'rating' AND e.action = 'rate' AND h.match_id = e.match_id
         AND h.action = 'withhold' AND h.machine = 'rating' AND h.id <= $1
    WHERE e.machine IN ('match', 'rating', 'rectification', 'deadline') AND e.id <= $1 AND e.at >= $2 AND e.at < $3
      AND ($4::bigint[] IS NULL OR m.institution_id = ANY($4::bigint[]))
      -- To an institution a match exists from its approval on.
      AND NOT (e.machine = 'match' AND e.from_state IN ('new', 'proposed')
               AND e.to_state IN ('proposed', 'superseded', 'cancelled'))
), spans AS (
    SELECT institution_id, item_code, month, array_agg(days ORDER BY days) AS days,
           array_agg(times ORDER BY days) AS times
    FROM (
        SELECT e.institution_id, e.item_code, e.month,
               least(greatest(t.number - f.number, 0), {LONGEST_DAYS}) AS days, count(*)::integer AS times
        FROM seen e JOIN places p ON p.institution_id = e.institution_id
        JOIN calendars f ON f.calendar = p.calendar AND f.day = e.accepted_on
        JOIN calendars t ON t.calendar = p.calendar AND t.day = e.day
        WHERE e.first_delivery GROUP BY 1, 2, 3, 4
    ) counted GROUP BY 1, 2, 3
), cells AS (
    SELECT e.institution_id, e.month, e.item_code, {", ".join(_COUNTED.values())},
           ARRAY[{_LEVELS}] AS rated
    FROM seen e WHERE e.machine <> 'deadline' OR e.expired IS NOT NULL GROUP BY 1, 2, 3
)
INSERT INTO ledger_rows (institution_id, period, item_code, frozen, {", ".join(COUNTS)}, rated, days, times)
SELECT c.institution_id, to_char(c.month, 'YYYY-MM'), c.item_code, false,
       {", ".join(f"c.{name}" for name in COUNTS)}, c.rated, coalesce(s.days, '{{}}'), coalesce(s.times, '{{}}')
FROM (SELECT * FROM cells) AS c (institution_id, month, item_code, {", ".join(COUNTS)}, rated)
LEFT JOIN spans s USING (institution_id, item_code, month)
"""
# The year's coarser periods, and all items together, as sums of its cells. $1: years; $2: institutions (NULL: all).
FORGET_SUMS = """
DELETE FROM ledger_rows
WHERE NOT frozen AND left(period, 4) = ANY($1::text[]) AND (item_code = '' OR period !~ '-')
  AND ($2::bigint[] IS NULL OR institution_id = ANY($2::bigint[]))
"""
SUMS = f"""
WITH parts AS MATERIALIZED (
    SELECT r.institution_id, g.period, g.item_code, {", ".join(f"r.{name}" for name in COUNTS)}, r.rated, r.days,
           r.times
    FROM ledger_rows r CROSS JOIN LATERAL (
        SELECT left(r.period, 4) AS year, left(r.period, 4) || 'Q' || (substr(r.period, 6)::integer + 2) / 3 AS quarter
    ) p CROSS JOIN LATERAL (
        VALUES (r.period, ''), (p.quarter, r.item_code), (p.quarter, ''), (p.year, r.item_code), (p.year, '')
    ) AS g (period, item_code)
    WHERE NOT r.frozen AND r.item_code <> '' AND r.period ~ '-' AND left(r.period, 4) = ANY($1::text[])
      AND ($2::bigint[] IS NULL OR r.institution_id = ANY($2::bigint[]))
), spans AS (
    SELECT institution_id, period, item_code, array_agg(days ORDER BY days) AS days,
           array_agg(times ORDER BY days) AS times
    FROM (
        SELECT p.institution_id, p.period, p.item_code, u.days, sum(u.times)::integer AS times
        FROM parts p CROSS JOIN LATERAL unnest(p.days, p.times) AS u (days, times) GROUP BY 1, 2, 3, 4
    ) added GROUP BY 1, 2, 3
), sums AS (
    SELECT institution_id, period, item_code, {", ".join(f"sum({name})::integer AS {name}" for name in COUNTS)},
           ARRAY[{", ".join(f"sum(rated[{level}])" for level in range(1, 6))}]::integer[] AS rated
    FROM parts GROUP BY 1, 2, 3
)
INSERT INTO ledger_rows (institution_id, period, item_code, frozen, {", ".join(COUNTS)}, rated, days, times)
SELECT s.institution_id, s.period, s.item_code, false, {", ".join(f"s.{name}" for name in COUNTS)}, s.rated,
       coalesce(t.days, '{{}}'), coalesce(t.times, '{{}}')
FROM sums s LEFT JOIN spans t USING (institution_id, period, item_code)
"""
YEARS = "SELECT DISTINCT left(period, 4) FROM ledger_rows WHERE NOT frozen ORDER BY 1"
PROVINCES = """
SELECT DISTINCT province_of(v.region_code)
FROM institutions i JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version ORDER BY 1
"""
CLOSED = "SELECT period FROM ledger_closings WHERE region_code = $1"
_ROW = ", ".join((*COUNTS, "rated", "days", "times"))
CLOSE = f"""
WITH closing AS (
    INSERT INTO ledger_closings (region_code, period, closed_at)
    SELECT $1, p, $3 FROM unnest($2::text[]) AS p ON CONFLICT DO NOTHING RETURNING period
)
INSERT INTO ledger_rows (institution_id, period, item_code, frozen, {_ROW})
SELECT r.institution_id, r.period, r.item_code, true, {", ".join(f"r.{name}" for name in _ROW.split(", "))}
FROM closing c JOIN ledger_rows r ON r.period = c.period AND NOT r.frozen
JOIN institutions i ON i.id = r.institution_id
JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
WHERE province_of(v.region_code) = $1
ON CONFLICT DO NOTHING
"""
# Closed months whose figures are others now, each set of figures once. Quarters and years are sums of them.
CORRECT = f"""
WITH now AS (
    SELECT institution_id, period, ROW({_ROW})::text AS figures FROM ledger_rows WHERE NOT frozen AND item_code = ''
), closed AS (
    SELECT institution_id, period, ROW({_ROW})::text AS figures FROM ledger_rows WHERE frozen AND item_code = ''
)
INSERT INTO ledger_corrections (institution_id, period, figures)
SELECT i.id, g.period, md5(coalesce(n.figures, ''))
FROM ledger_closings g JOIN institution_versions v ON province_of(v.region_code) = g.region_code
JOIN institutions i ON i.id = v.institution_id AND i.version = v.version
LEFT JOIN now n ON n.institution_id = i.id AND n.period = g.period
LEFT JOIN closed c ON c.institution_id = i.id AND c.period = g.period
WHERE g.period ~ '-' AND n.figures IS DISTINCT FROM c.figures
ON CONFLICT DO NOTHING
"""
REMEMBER = "CREATE TEMPORARY TABLE ledger_before ON COMMIT DROP AS SELECT * FROM ledger_rows WHERE NOT frozen"
DIFFERENT = """
SELECT count(*) FROM (
    (TABLE ledger_before EXCEPT SELECT * FROM ledger_rows WHERE NOT frozen)
    UNION ALL
    (SELECT * FROM ledger_rows WHERE NOT frozen EXCEPT TABLE ledger_before)
) AS d
"""
BEHIND = "SELECT extract(epoch FROM now() - ran_at)::float8 FROM ledger_state"


class State(Struct, frozen=True, kw_only=True):
    """How far the events have been counted."""

    event_id: int
    stamp: int
    ran_at: datetime | None


class Cell(Struct, frozen=True):
    """An institution's month."""

    institution_id: int
    month: str


class WorkingDays(Struct, frozen=True):
    """Calendars as arrays: of each region its calendar's number; of each calendar the days with their numbers."""

    regions: list[str]
    calendars: list[int]
    of: list[int]
    days: list[date]
    numbers: list[int]


async def lock(tx: Transaction) -> State:
    """How far events are counted; whoever holds this is the only one to count."""
    await tx.execute(PATIENCE)
    (state,) = many(State, await tx.fetch(LOCK))
    return state


async def save(tx: Transaction, event_id: int, stamp: int, ran_at: datetime) -> None:
    """How far they are counted now."""
    await tx.execute(SAVE, event_id, stamp, ran_at)


async def last(tx: Transaction) -> int:
    """The largest id of an event that is seen."""
    event_id: int = await tx.fetchval(LAST)
    return event_id


async def writers(tx: Transaction) -> set[str]:
    """The other transactions that have written events and not ended."""
    return {row[0] for row in await tx.fetch(WRITERS)}


async def first(tx: Transaction) -> datetime | None:
    """The moment of the first event."""
    moment: datetime | None = await tx.fetchval(FIRST)
    return moment


async def regions(tx: Transaction) -> list[str]:
    """Where institutions are."""
    return [row[0] for row in await tx.fetch(REGIONS)]


async def dirty(tx: Transaction, after: int, upto: int) -> list[Cell]:
    """The cells that events of these ids fall in."""
    return many(Cell, await tx.fetch(DIRTY, after, upto))


async def forget_cells(tx: Transaction, months: Sequence[str], institution_ids: Sequence[int] | None) -> None:
    """Drop the rows of these months."""
    await tx.execute(FORGET_CELLS, months, institution_ids)


async def forget_all(tx: Transaction) -> None:
    """Drop all rows that are not closed."""
    await tx.execute(FORGET_ALL)


async def count_cells(
    tx: Transaction,
    upto: int,
    since: datetime,
    until: datetime,
    institution_ids: Sequence[int] | None,
    working: WorkingDays,
) -> None:
    """Count events of [since, until) up to that id into cells, which are not there."""
    arrays = (working.regions, working.calendars, working.of, working.days, working.numbers)
    await tx.execute(CELLS, upto, since, until, institution_ids, *arrays, timeout=SECONDS)


async def add_up(tx: Transaction, years: Sequence[str], institution_ids: Sequence[int] | None) -> None:
    """Make the sums of these years anew."""
    await tx.execute(FORGET_SUMS, years, institution_ids)
    await tx.execute(SUMS, years, institution_ids, timeout=SECONDS)


async def years(tx: Transaction) -> list[str]:
    """The years that have rows."""
    return [row[0] for row in await tx.fetch(YEARS)]


async def provinces(tx: Transaction) -> list[str]:
    """Codes of the provinces that have institutions."""
    return [row[0] for row in await tx.fetch(PROVINCES)]


async def closed(tx: Transaction, province: str) -> set[str]:
    """The periods that the province has closed."""
    return {row[0] for row in await tx.fetch(CLOSED, province)}


async def close(tx: Transaction, province: str, periods: Sequence[str], at: datetime) -> None:
    """Freeze the province's figures of these periods as they stand."""
    await tx.execute(CLOSE, province, periods, at)


async def correct(tx: Transaction) -> None:
    """Note the closed months whose figures have become others; whoever they are of is told (market.messages)."""
    await tx.execute(CORRECT)


async def remember(tx: Transaction) -> None:
    """Keep the rows as they are, for ``different``."""
    await tx.execute(REMEMBER)


async def different(tx: Transaction) -> int:
    """How many rows differ from those kept."""
    count: int = await tx.fetchval(DIFFERENT)
    return count


async def behind(tx: Transaction) -> float | None:
    """Seconds since events were counted last; None: never."""
    seconds: float | None = await tx.fetchval(BEHIND)
    return seconds
