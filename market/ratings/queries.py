"""All SQL of ratings and rectifications."""

from datetime import datetime
from typing import Any

import asyncpg

from infra.db import Transaction, many, one_or_none
from infra.observe import request_id
from market.accounts.model import Actor
from market.errors import AlreadyRated
from market.ratings.figures import ItemTally
from market.ratings.model import (
    Place,
    PublishedRating,
    Rating,
    RatingAction,
    RatingFilter,
    RatingForm,
    RatingState,
    RectificationAction,
    RectificationState,
)
from market.ratings.suspicion import Observed

# A report stops the clock of the reply: one of the two runs.
AWAITS = """LEFT JOIN deadlines c ON c.need_id = m.need_id AND c.match_id = r.match_id AND c.ended_at IS NULL
    AND c.kind IN ('rating_reply', 'rating_ruling') AND c.state <> 'paused'"""
# Ratings that wait for somebody.
WAITING = """
r.id IN (SELECT rating_id FROM rectifications WHERE state <> 'closed'
         UNION SELECT id FROM ratings WHERE state = 'reported'
         UNION SELECT a.id FROM ratings a JOIN deadlines d ON d.match_id = a.match_id
               WHERE d.kind = 'rating_reply' AND d.ended_at IS NULL)
"""
NEXT = "least(x.due_at, c.due_at)"
# Whose step it is.
OF_NODE = "(r.state = 'reported' OR x.state IN ('verifying', 'closing'))"
OF_RATED = "(x.state IN ('rectifying', 'answering') OR c.kind = 'rating_reply')"
MONTH = "to_char(r.created_at AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM') AS month"
RATING = f"""
SELECT r.id, m.need_id, r.match_id, party_name(e.name, e.kind) AS enterprise_name, r.institution_id,
       i.name AS institution_name,
       r.offering_id, v.title AS offering_title, m.item_code, s.name AS item_name, n.channel, r.state, r.level,
       r.indicators, r.remark, r.later_remark, r.reply, r.anonymous, r.on_behalf,
       r.rated_by IS NULL AS by_receipt, {MONTH}, r.created_at,
       x.state AS rectification, x.due_at, coalesce(x.due_provisional, false) AS due_provisional, c.kind AS awaits,
       c.due_at AS awaits_by, coalesce(c.provisional, false) AS awaits_provisional, x.answer, x.satisfied
FROM ratings r JOIN matches m ON m.id = r.match_id JOIN needs n ON n.id = m.need_id
JOIN enterprises e ON e.id = n.enterprise_id
JOIN institution_versions i ON i.institution_id = m.institution_id AND i.version = m.institution_version
JOIN offering_versions v ON v.offering_id = m.offering_id AND v.version = m.offering_version
JOIN service_item_versions s ON s.item_code = m.item_code AND s.version = m.item_version
LEFT JOIN rectifications x ON x.rating_id = r.id
{AWAITS}
"""
# Who may see a rating: who may see its need. $1: role, $2: account, $3: enterprise, $4: institution, $5: the node's
# prefix.
VISIBLE = """
CASE $1::text
    WHEN 'enterprise' THEN n.enterprise_id = $3::bigint
    WHEN 'clerk' THEN n.submitted_by = $2::bigint
    WHEN 'coordinator' THEN starts_with(n.region_code, $5::text)
    WHEN 'institution' THEN r.institution_id = $4::bigint
    ELSE $1::text = 'admin'
END
"""
VISIBLE_RATING = f"{RATING} WHERE r.id = $6 AND {VISIBLE}"
OF_NEED = f"{RATING} WHERE m.need_id = $1"
# What waits for somebody, by the deadline that comes first. The cursor is the last row's, and its id.
OPEN_ROWS = f"""{RATING}
WHERE {WAITING} AND {VISIBLE} AND CASE $6::text
    WHEN 'node' THEN {OF_NODE}
    WHEN 'institution' THEN {OF_RATED}
    WHEN 'revisit' THEN x.state = 'revisiting'
    ELSE {NEXT} < now()
  END
  AND (coalesce({NEXT}, 'infinity'), r.id) > (coalesce($7::timestamptz, 'infinity'), $8::bigint)
  -- An institution is not told of a bad anonymous rating's first day.
  AND NOT ($1::text = 'institution' AND $6::text = 'overdue' AND r.anonymous AND x.state = 'verifying')
ORDER BY coalesce({NEXT}, 'infinity'), r.id LIMIT $9
"""
ROWS = f"""{RATING}
WHERE {VISIBLE} AND CASE $6::text
    WHEN 'bad' THEN r.level <= 2
    WHEN 'reports' THEN r.state IN ('reported', 'kept', 'withheld')
    ELSE true
  END
  AND ($7::bigint IS NULL OR r.id < $7::bigint)
ORDER BY r.id DESC LIMIT $8
"""
COUNTS = f"""
SELECT count(*) FILTER (WHERE {OF_NODE}) AS node, count(*) FILTER (WHERE {OF_RATED}) AS institution,
       count(*) FILTER (WHERE x.state = 'revisiting') AS revisit,
       count(*) FILTER (WHERE {NEXT} < now()
           AND NOT ($1::text = 'institution' AND r.anonymous AND x.state = 'verifying')) AS overdue
FROM ratings r JOIN matches m ON m.id = r.match_id JOIN needs n ON n.id = m.need_id
LEFT JOIN rectifications x ON x.rating_id = r.id
{AWAITS}
WHERE {WAITING} AND {VISIBLE}
"""
PUBLISHED = f"""
SELECT r.id, r.level, r.indicators, r.remark, r.later_remark, coalesce(x.answer, r.reply) AS reply,
       s.name AS item_name, {MONTH}, x.state AS rectification
FROM ratings r JOIN matches m ON m.id = r.match_id
JOIN service_item_versions s ON s.item_code = m.item_code AND s.version = m.item_version
LEFT JOIN rectifications x ON x.rating_id = r.id
WHERE r.institution_id = $1 AND r.state <> 'withheld' AND ($2::text IS NULL OR m.item_code = $2::text)
  AND ($3::bigint IS NULL OR r.id < $3::bigint)
ORDER BY r.id DESC LIMIT $4
"""
TALLIES = """
SELECT f.institution_id, n.name AS institution_name, f.item_code, s.name AS item_name,
       ARRAY[sum(f.rated[1]), sum(f.rated[2]), sum(f.rated[3]), sum(f.rated[4]), sum(f.rated[5])]::integer[] AS counts
FROM offerings f JOIN institutions i ON i.id = f.institution_id AND i.state = 'active'
JOIN institution_versions n ON n.institution_id = i.id AND n.version = i.version
JOIN service_items t ON t.code = f.item_code
JOIN service_item_versions s ON s.item_code = t.code AND s.version = t.version
WHERE f.rated <> '{0,0,0,0,0}' AND ($1::bigint IS NULL OR f.institution_id = $1::bigint)
  AND ($2::text IS NULL OR f.item_code = $2::text)
GROUP BY f.institution_id, n.name, f.item_code, s.name ORDER BY f.institution_id, f.item_code
"""
# One statement writes the rating and its event.
INSERT = """
WITH made AS (
    INSERT INTO ratings (match_id, institution_id, offering_id, state, level, indicators, remark, anonymous, rated_by,
                         on_behalf, source)
    SELECT id, institution_id, offering_id, 'published', $2, $3, $4, $5, $6, $7, $8 FROM matches WHERE id = $1
    RETURNING id, match_id
), step AS (
    INSERT INTO events (need_id, match_id, machine, from_state, action, to_state, actor_id, note, data, request_id)
    SELECT m.need_id, m.id, 'rating', 'new', 'rate', 'published', $6, $4, $9, $10
    FROM made JOIN matches m ON m.id = made.match_id
)
SELECT id FROM made
"""
MOVE_RATING = """
WITH moved AS (
    UPDATE ratings SET state = $4, later_remark = coalesce($7, later_remark), reply = coalesce($8, reply)
    WHERE id = $1 RETURNING match_id
)
INSERT INTO events (need_id, match_id, machine, from_state, action, to_state, actor_id, note, request_id)
SELECT m.need_id, m.id, 'rating', $2, $3, $4, $5::bigint, $6, $9 FROM moved JOIN matches m ON m.id = moved.match_id
"""
OPEN = """
WITH made AS (
    INSERT INTO rectifications (rating_id, state, due_at, due_provisional)
    SELECT $1, 'verifying', $2, $3 RETURNING rating_id
)
INSERT INTO events (need_id, match_id, machine, from_state, action, to_state, actor_id, request_id)
SELECT m.need_id, m.id, 'rectification', 'new', 'open', 'verifying', $4::bigint, $5
FROM made JOIN ratings r ON r.id = $1 JOIN matches m ON m.id = r.match_id
"""
MOVE = """
WITH moved AS (
    UPDATE rectifications SET state = $4, due_at = $7, due_provisional = $8, answer = coalesce($9, answer),
                              satisfied = coalesce($10, satisfied)
    WHERE rating_id = $1 RETURNING rating_id
)
INSERT INTO events (need_id, match_id, machine, from_state, action, to_state, actor_id, note, request_id)
SELECT m.need_id, m.id, 'rectification', $2, $3, $4, $5::bigint, $6, $11
FROM moved JOIN ratings r ON r.id = moved.rating_id JOIN matches m ON m.id = r.match_id
"""
OBSERVED = """
SELECT r.id AS rating_id, r.institution_id, i.name AS institution_name, i.kind, n.enterprise_id, r.level, r.source,
       r.created_at AS at,
       (SELECT max(v.at) FROM events v
        WHERE v.need_id = m.need_id AND v.match_id = m.id AND v.action = 'deliver') AS delivered_at
FROM ratings r JOIN matches m ON m.id = r.match_id JOIN needs n ON n.id = m.need_id
JOIN institutions h ON h.id = r.institution_id
JOIN institution_versions i ON i.institution_id = h.id AND i.version = h.version
WHERE starts_with(n.region_code, $1) AND r.state <> 'withheld' AND r.created_at > now() - make_interval(days => $2)
ORDER BY r.id DESC LIMIT $3
"""


def _seer(actor: Actor) -> tuple[str, int, int | None, int | None, str | None]:
    """The first five parameters of VISIBLE."""
    return actor.role, actor.id, actor.enterprise_id, actor.institution_id, actor.node_prefix


async def find(tx: Transaction, actor: Actor, rating_id: int) -> Rating | None:
    """The rating, whole, if ``actor`` may see it."""
    return one_or_none(Rating, await tx.fetchrow(VISIBLE_RATING, *_seer(actor), rating_id))


async def of_need(tx: Transaction, need_id: int) -> Rating | None:
    """The rating of the service that ended the need."""
    return one_or_none(Rating, await tx.fetchrow(OF_NEED, need_id))


async def open_rows(tx: Transaction, actor: Actor, wanted: RatingFilter, *, after: Place, limit: int) -> list[Rating]:
    """What waits for somebody, by deadline, after this place."""
    return many(Rating, await tx.fetch(OPEN_ROWS, *_seer(actor), wanted, after.due_at, after.id, limit))


async def rows(tx: Transaction, actor: Actor, wanted: RatingFilter, *, before: int | None, limit: int) -> list[Rating]:
    """Ratings the actor may see, newest first, with ids below ``before``."""
    return many(Rating, await tx.fetch(ROWS, *_seer(actor), wanted, before, limit))


async def counts(tx: Transaction, actor: Actor) -> dict[RatingFilter, int]:
    """How many ratings wait, for whom, and are late."""
    row = await tx.fetchrow(COUNTS, *_seer(actor))
    assert row is not None, "an aggregate has a row"
    return {RatingFilter(name): count for name, count in row.items()}


async def published(
    tx: Transaction, institution_id: int, *, item_code: str | None, before: int | None, limit: int
) -> list[PublishedRating]:
    """An institution's ratings as everybody reads them, newest first, with ids below ``before``."""
    return many(PublishedRating, await tx.fetch(PUBLISHED, institution_id, item_code, before, limit))


async def tallies(
    tx: Transaction, *, institution_id: int | None = None, item_code: str | None = None
) -> list[ItemTally]:
    """How institutions were rated for items, those without ratings left out."""
    return many(ItemTally, await tx.fetch(TALLIES, institution_id, item_code))


async def insert(
    tx: Transaction, match_id: int, form: RatingForm, *, actor_id: int | None, on_behalf: bool, source: bytes | None
) -> int:
    """The id of the new rating of a completed match, with its event.

    Raises:
        AlreadyRated: it has one.
    """
    said = {"level": form.level, "anonymous": form.anonymous}
    values = (form.level, form.indicators, form.remark, form.anonymous, actor_id, on_behalf, source)
    try:
        rating_id: int = await tx.fetchval(INSERT, match_id, *values, said, request_id())
    except asyncpg.UniqueViolationError as error:
        raise AlreadyRated from error
    return rating_id


async def move_rating(
    tx: Transaction,
    rating_id: int,
    *,
    before: RatingState,
    action: RatingAction,
    after: RatingState,
    actor_id: int | None,
    note: str,
    later_remark: str | None = None,
    reply: str | None = None,
) -> None:
    """Move the rating and write the event, in one statement."""
    values = (before, action, after, actor_id, note, later_remark, reply)
    await tx.execute(MOVE_RATING, rating_id, *values, request_id())


async def open_rectification(
    tx: Transaction, rating_id: int, due_at: datetime, *, provisional: bool, actor_id: int | None
) -> None:
    """A rectification of the rating, to be verified, with its event."""
    await tx.execute(OPEN, rating_id, due_at, provisional, actor_id, request_id())


async def move(
    tx: Transaction,
    rating_id: int,
    *,
    before: RectificationState,
    action: RectificationAction,
    after: RectificationState,
    actor_id: int | None,
    note: str,
    due_at: datetime | None,
    due_provisional: bool,
    answer: str | None = None,
    satisfied: bool | None = None,
) -> None:
    """Move the rectification, give its next step a deadline, and write the event, in one statement."""
    values: tuple[Any, ...] = (before, action, after, actor_id, note, due_at, due_provisional, answer, satisfied)
    await tx.execute(MOVE, rating_id, *values, request_id())


async def observed(tx: Transaction, prefix: str, *, days: int, limit: int) -> list[Observed]:
    """The newest ratings of needs in the regions below ``prefix``, for the statistics."""
    return many(Observed, await tx.fetch(OBSERVED, prefix, days, limit))
