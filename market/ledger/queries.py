"""All SQL of the ledger. Reading what people ask for is here; counting events is in ``counting``."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from infra.db import Transaction, many, one_or_none
from market.ledger.figures import COUNTS
from market.ledger.model import LedgerRow, ListLine, Subject, What

COLUMNS = ", ".join(f"r.{name}" for name in (*COUNTS, "rated", "days", "times"))
ROW = f"SELECT r.institution_id, r.period, r.item_code, {COLUMNS} FROM ledger_rows r"
SUBJECT = """
SELECT i.id, v.name, v.kind, k.name AS kind_name, v.region_code, g.name AS region_name,
       province_of(v.region_code) AS province, p.name AS province_name, i.demo
FROM institutions i JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
JOIN institution_kinds k ON k.code = v.kind JOIN regions g ON g.code = v.region_code
JOIN regions p ON p.code = province_of(v.region_code)
WHERE i.id = $1 AND ($2::text IS NULL OR starts_with(v.region_code, $2::text))
"""
CLOSED_AT = "SELECT closed_at FROM ledger_closings WHERE region_code = $1 AND period = $2"
COUNTED_AT = "SELECT ran_at FROM ledger_state"
ROWS = f"{ROW} WHERE r.institution_id = $1 AND r.period = $2 AND r.frozen = $3 ORDER BY r.item_code"
TREND = f"""{ROW}
WHERE r.institution_id = $1 AND r.period = ANY($2::text[]) AND r.item_code = '' AND NOT r.frozen ORDER BY r.period
"""
ITEMS = """
SELECT i.code AS item_code, v.name AS item_name, v.stages
FROM service_items i JOIN service_item_versions v ON v.item_code = i.code AND v.version = i.version
WHERE i.code = ANY($1::text[])
"""
# Active institutions, also those without figures: who did nothing is seen too. Of a closed period the frozen rows.
SHOWN = f"""
SELECT i.id AS institution_id, $1::text AS period, '' AS item_code,
       {", ".join(f"coalesce(r.{name}, 0) AS {name}" for name in COUNTS)},
       coalesce(r.rated, '{{0,0,0,0,0}}') AS rated, coalesce(r.days, '{{}}') AS days,
       coalesce(r.times, '{{}}') AS times,
       v.name, v.kind, k.name AS kind_name, v.region_code, g.name AS region_name, i.demo, c.closed_at
FROM institutions i JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
JOIN institution_kinds k ON k.code = v.kind JOIN regions g ON g.code = v.region_code
LEFT JOIN ledger_closings c ON c.region_code = province_of(v.region_code) AND c.period = $1
LEFT JOIN ledger_rows r ON r.institution_id = i.id AND r.period = $1 AND r.item_code = ''
     AND r.frozen = (c.period IS NOT NULL)
"""
LISTED = f"""{SHOWN}
WHERE (i.state = 'active' OR r.institution_id IS NOT NULL) AND starts_with(v.region_code, $2)
  AND ($3::text IS NULL OR v.kind = $3::text)
"""
PEERS = f"""
SELECT r.institution_id, r.period, r.item_code, {COLUMNS}
FROM institutions i JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
JOIN ledger_rows r ON r.institution_id = i.id AND r.period = $1 AND r.item_code = '' AND r.frozen = $4
WHERE v.kind = $2 AND starts_with(v.region_code, left($3, 2)) AND i.id <> $5
"""
# What each figure counts, as the statements of ``counting`` count it. $1: institution; $2, $3: from and to; $4: what.
RECORDS = """
SELECT e.id, m.need_id, m.id AS match_id, m.item_code, s.name AS item_name,
       party_name(p.name, p.kind) AS enterprise_name, e.at,
       CASE e.action
           WHEN 'deliver' THEN ''
           -- Why it wanted to be let off is in its own request.
           WHEN 'grant_decline' THEN coalesce((
               SELECT q.note FROM events q WHERE q.need_id = m.need_id AND q.match_id = m.id AND q.id < e.id
                 AND q.machine = 'match' AND q.action = 'request_decline' ORDER BY q.id DESC LIMIT 1), '')
           ELSE e.note END AS note,
       r.level::integer AS level, (e.data ->> 'due_at')::timestamptz AS due_at,
       coalesce(r.anonymous, false) AS anonymous, n.region_code AS need_region, m.state,
       (SELECT a.at FROM events a WHERE a.need_id = m.need_id AND a.match_id = m.id AND a.machine = 'match'
        AND a.action = 'accept' AND e.action = 'deliver') AS accepted_at
FROM matches m JOIN events e ON e.need_id = m.need_id AND e.match_id = m.id
JOIN needs n ON n.id = m.need_id JOIN enterprises p ON p.id = n.enterprise_id
JOIN service_item_versions s ON s.item_code = m.item_code AND s.version = m.item_version
LEFT JOIN ratings r ON r.match_id = m.id
WHERE m.institution_id = $1 AND e.at >= $2 AND e.at < $3 AND ($5::text IS NULL OR m.item_code = $5::text)
  AND ($6::bigint IS NULL OR e.id < $6::bigint)
  AND CASE $4::text
    WHEN 'offered' THEN e.machine = 'match' AND e.action IN ('approve', 'override')
    WHEN 'accepted' THEN e.machine = 'match' AND e.action = 'accept'
    WHEN 'declined' THEN e.machine = 'match' AND e.action IN ('decline', 'grant_decline')
    WHEN 'lapsed' THEN e.machine = 'match' AND e.action = 'lapse'
    WHEN 'decline_requested' THEN e.machine = 'match' AND e.action = 'request_decline'
    WHEN 'taken_back' THEN e.machine = 'match' AND e.action IN ('supersede', 'cancel')
         AND e.from_state IN ('approved', 'decline_requested', 'accepted')
    WHEN 'reworked' THEN e.machine = 'match' AND e.action = 'rework'
    WHEN 'completed' THEN e.machine = 'match' AND e.action = 'confirm'
    WHEN 'rated' THEN e.machine = 'rating' AND e.action = 'rate' AND r.state <> 'withheld'
    WHEN 'rectifications' THEN e.machine = 'rectification' AND e.action = 'open'
    WHEN 'overdue' THEN e.machine = 'deadline' AND e.action = 'expire'
         AND e.data ->> 'limit' IN ('deliver', 'deliver_statutory')
    WHEN 'rectification_overdue' THEN e.machine = 'deadline' AND e.action = 'expire'
         AND e.data ->> 'limit' IN ('rectification_rectify', 'rectification_answer')
    ELSE e.machine = 'match' AND e.action = 'deliver'
         AND NOT EXISTS (SELECT FROM events w WHERE w.need_id = m.need_id AND w.match_id = m.id
                         AND w.machine = 'match' AND w.action = 'rework' AND w.id < e.id)
         AND ($4::text = 'delivered' OR NOT coalesce((e.data ->> 'on_time')::boolean, m.delivered_on_time))
  END
ORDER BY e.id DESC LIMIT $7
"""
# The areas that a roll-up has: nodes, and provinces that have institutions.
AREAS = """
SELECT region_code, name, true AS is_node FROM nodes
UNION ALL
SELECT DISTINCT g.code, g.name, false
FROM institutions i JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
JOIN regions g ON g.code = province_of(v.region_code)
ORDER BY 3 DESC, 1
"""


async def subject(tx: Transaction, institution_id: int, prefix: str | None) -> Subject | None:
    """The institution, if it lies below ``prefix``."""
    return one_or_none(Subject, await tx.fetchrow(SUBJECT, institution_id, prefix))


async def closed_at(tx: Transaction, province: str, period: str) -> datetime | None:
    """When the province closed the period; None: it is open."""
    moment: datetime | None = await tx.fetchval(CLOSED_AT, province, period)
    return moment


async def counted_at(tx: Transaction) -> datetime | None:
    """When events were counted last."""
    moment: datetime | None = await tx.fetchval(COUNTED_AT)
    return moment


async def rows(tx: Transaction, institution_id: int, period: str, *, frozen: bool) -> list[LedgerRow]:
    """The institution's rows of a period, all items together first."""
    return many(LedgerRow, await tx.fetch(ROWS, institution_id, period, frozen))


async def trend(tx: Transaction, institution_id: int, months: list[str]) -> list[LedgerRow]:
    """Of these months all items together, as they stand now."""
    return many(LedgerRow, await tx.fetch(TREND, institution_id, months))


async def items(tx: Transaction, codes: list[str]) -> dict[str, Any]:
    """Names and stages of items, by code."""
    return {row["item_code"]: row for row in await tx.fetch(ITEMS, codes)}


async def listed(tx: Transaction, period: str, prefix: str, kind: str | None) -> list[ListLine]:
    """Institutions below ``prefix`` with their figures of the period."""
    return many(ListLine, await tx.fetch(LISTED, period, prefix, kind))


async def peers(tx: Transaction, subject: Subject, period: str, *, frozen: bool) -> list[LedgerRow]:
    """The same period's rows of the other institutions of its kind in its province."""
    return many(LedgerRow, await tx.fetch(PEERS, period, subject.kind, subject.province, frozen, subject.id))


async def records(
    tx: Transaction,
    institution_id: int,
    span: tuple[datetime, datetime],
    what: What,
    *,
    item_code: str | None,
    before: int | None,
    limit: int,
) -> Sequence[Any]:
    """What a figure counts, newest first: columns of RecordLine; anonymous, need_region, state, accepted_at."""
    return await tx.fetch(RECORDS, institution_id, *span, what, item_code, before, limit)


async def areas(tx: Transaction) -> Sequence[Any]:
    """Nodes and provinces: region_code, name, is_node."""
    return await tx.fetch(AREAS)
