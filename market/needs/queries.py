"""All SQL of needs and of their events."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from infra import fields, live, outbox
from infra.db import Record, Transaction, many
from infra.observe import request_id
from market import masking
from market.accounts.model import Actor
from market.deadlines.model import NewDeadline
from market.needs.model import OPEN, Contact, Event, Need, NeedAction, NeedRow, NeedState, Understanding

NEED = """
SELECT n.id, n.enterprise_id, party_name(e.name, e.kind) AS enterprise_name, n.submitted_by, n.channel, n.state,
       n.version, n.body,
       n.item_codes, n.rights, n.contact_name, n.contact_phone, n.contact_name_sealed, n.contact_phone_sealed,
       n.region_code, n.node_id, d.name AS node_name, d.region_prefix AS node_prefix,
       d.region_code AS node_region, n.owner_id, o.name AS owner_name, n.offered_to,
       n.wanted_by, n.understanding, n.due_at, n.due_provisional, n.created_at
FROM needs n JOIN enterprises e ON e.id = n.enterprise_id JOIN nodes d ON d.id = n.node_id
LEFT JOIN accounts o ON o.id = n.owner_id
"""
# Who may see a need. $1: role, $2: account, $3: enterprise, $4: institution, $5: prefix of the node's region.
# An institution sees it while it is, or has been to the end, the one that serves it: never a mere proposal.
VISIBLE = """
CASE $1::text
    WHEN 'enterprise' THEN n.enterprise_id = $3::bigint
    WHEN 'clerk' THEN n.submitted_by = $2::bigint
    WHEN 'coordinator' THEN starts_with(n.region_code, $5::text)
    WHEN 'institution' THEN EXISTS (
        SELECT FROM matches m WHERE m.need_id = n.id AND m.institution_id = $4::bigint
        AND m.state IN ('approved', 'decline_requested', 'accepted', 'delivered', 'completed'))
    ELSE $1::text = 'admin'
END
"""
VISIBLE_NEED = f"{NEED} WHERE n.id = $6 AND {VISIBLE}"
NEED_FOR_JOB = f"{NEED} WHERE n.id = $1"
# Locked before it is read: a join locked while its need moves to another node would find no row at all.
LOCK = "SELECT id FROM needs WHERE id = $1 FOR UPDATE"

# What the enterprise's contact is, and the id of the need to be: its contact is sealed for that.
DRAW = """
SELECT nextval(pg_get_serial_sequence('needs', 'id')) AS need_id, id, name AS party, contact_name, contact_phone,
       contact_name_sealed, contact_phone_sealed
FROM enterprises WHERE id = $1
"""
# One round trip writes need, event, clocks and outbox row. It writes nothing where the region, its node or an item is
# unknown; the service then finds out which. The node is the nearest that covers the region.
SUBMIT = """
WITH fact AS (
    SELECT e.id AS enterprise_id, r.code AS region_code,
           (SELECT d.id FROM nodes d WHERE starts_with(r.code, d.region_prefix)
            ORDER BY length(d.region_prefix) DESC LIMIT 1) AS node_id
    FROM enterprises e JOIN regions r ON r.code = coalesce($4::text, e.region_code)
    WHERE e.id = $1
), need AS (
    INSERT INTO needs (id, enterprise_id, submitted_by, channel, state, body, region_code, item_codes, wanted_by,
                       contact_name_sealed, contact_phone_sealed, node_id, due_at, due_provisional)
    OVERRIDING SYSTEM VALUE
    SELECT $14, enterprise_id, $2, $9::text, 'submitted', $3, region_code, $5::text[], $6::date,
           $7::bytea, $8::bytea, node_id, $10::timestamptz, $11::boolean
    FROM fact
    WHERE node_id IS NOT NULL
      AND NOT EXISTS (SELECT unnest($5::text[]) EXCEPT SELECT code FROM service_items WHERE withdrawn_on IS NULL)
    RETURNING *
), step AS (
    INSERT INTO events (need_id, machine, from_state, action, to_state, actor_id, request_id)
    SELECT id, 'need', 'new', 'submit', 'submitted', $2, $12::text FROM need
), clock AS (
    INSERT INTO deadlines (need_id, kind, state, days, months, due_at, provisional, remind_at, node_at, above_at, stamp)
    SELECT need.id, kind, 'running', days, months, g.due_at, provisional, remind_at, node_at, above_at, stamp
    FROM need, jsonb_to_recordset($13) AS g (
        kind text, days integer, months integer, due_at timestamptz, provisional boolean, remind_at timestamptz,
        node_at timestamptz, above_at timestamptz, stamp bigint)
), told AS (
    INSERT INTO outbox (topic, payload, request_id)
    SELECT 'match_need', jsonb_build_object('need_id', id), $12::text FROM need
)
SELECT n.id, n.enterprise_id, party_name(e.name, e.kind) AS enterprise_name, n.submitted_by, n.channel, n.state,
       n.version, n.body,
       n.item_codes, n.rights, n.contact_name, n.contact_phone, n.contact_name_sealed, n.contact_phone_sealed,
       n.region_code, n.node_id, d.name AS node_name, d.region_prefix AS node_prefix,
       d.region_code AS node_region, n.owner_id,
       NULL::text AS owner_name, n.offered_to,
       n.wanted_by, n.understanding, n.due_at, n.due_provisional, n.created_at
FROM need n JOIN enterprises e ON e.id = n.enterprise_id JOIN nodes d ON d.id = n.node_id
"""
NODE_OF_REGION = """
SELECT d.id FROM regions r JOIN nodes d ON starts_with(r.code, d.region_prefix)
WHERE r.code = $1 ORDER BY length(d.region_prefix) DESC LIMIT 1
"""
UNKNOWN_ITEMS = "SELECT unnest($1::text[]) EXCEPT SELECT code FROM service_items WHERE withdrawn_on IS NULL"
MOVE = """
WITH moved AS (
    UPDATE needs SET state = $4, version = version + 1, owner_id = coalesce(owner_id, $6::bigint)
    WHERE id = $1 RETURNING id
)
INSERT INTO events (need_id, machine, from_state, action, to_state, actor_id, note, data, request_id)
SELECT id, 'need', $2, $3, $4, $5::bigint, $7, $8, $9 FROM moved
"""
# No new version: a ranking under way is of the same need.
HAND = """
WITH handed AS (
    UPDATE needs SET owner_id = $4, offered_to = $5 WHERE id = $1 RETURNING id
)
INSERT INTO events (need_id, machine, from_state, action, to_state, actor_id, note, data, request_id)
SELECT id, 'need', $2, $3, $2, $6::bigint, $7, $8, $9 FROM handed
"""
SET_NODE = "UPDATE needs SET node_id = $2, owner_id = NULL, offered_to = NULL WHERE id = $1"
PARENT_NODE = "SELECT parent_id FROM nodes WHERE id = $1"
SET_UNDERSTANDING = "UPDATE needs SET understanding = $2 WHERE id = $1"
REWRITE = """
UPDATE needs SET body = $2, item_codes = $3, wanted_by = $4, rights = '{}' WHERE id = $1
"""
SET_CONTACT = """
UPDATE needs SET contact_name = '', contact_phone = '', contact_name_sealed = $2, contact_phone_sealed = $3
WHERE id = $1
"""
CONTACT = """
SELECT n.id, e.name AS party, n.contact_name, n.contact_phone, n.contact_name_sealed, n.contact_phone_sealed
FROM needs n JOIN enterprises e ON e.id = n.enterprise_id WHERE n.id = $1
"""
SERVES = """
SELECT EXISTS (SELECT FROM matches m WHERE m.need_id = $1 AND m.institution_id = $2
               AND m.state IN ('approved', 'decline_requested', 'accepted', 'delivered'))
"""
_DESCRIBED = """
n.id,
       CASE WHEN $1::text IN ('enterprise', 'clerk') THEN e.name ELSE party_name(e.name, e.kind) END AS enterprise_name,
       n.state, left(n.body, 200) AS body, n.region_code, r.name AS region_name,
       d.name AS node_name, o.name AS owner_name, v.name AS institution_name, n.due_at, n.due_provisional,
       m.due_at AS match_due_at, coalesce(m.due_provisional, false) AS match_due_provisional, n.created_at
FROM chosen n JOIN enterprises e ON e.id = n.enterprise_id JOIN regions r ON r.code = n.region_code
JOIN nodes d ON d.id = n.node_id LEFT JOIN accounts o ON o.id = n.owner_id
LEFT JOIN matches m ON m.need_id = n.id
     AND m.state IN ('approved', 'decline_requested', 'accepted', 'delivered', 'completed')
LEFT JOIN institution_versions v ON v.institution_id = m.institution_id AND v.version = m.institution_version
"""
# Chosen first: PostgreSQL takes longer to plan one join of all these tables than to read them.
VISIBLE_ROWS = f"""
WITH chosen AS MATERIALIZED (
    SELECT n.* FROM needs n
    WHERE {VISIBLE} AND ($6::text IS NULL OR n.state = $6::text) AND ($7::bigint IS NULL OR n.id < $7::bigint)
    ORDER BY n.id DESC LIMIT $8
)
SELECT {_DESCRIBED} ORDER BY n.id DESC
"""
COUNTS = """
SELECT n.state, count(*) AS n FROM needs n JOIN nodes d ON d.id = n.node_id
WHERE starts_with(d.region_prefix, $1) GROUP BY n.state
"""
EVENTS = """
SELECT v.id, v.need_id, v.match_id, v.machine, v.from_state, v.action, v.to_state, a.name AS actor_name,
       a.role AS actor_role, i.name AS institution_name, v.note, v.data, v.at
FROM events v LEFT JOIN accounts a ON a.id = v.actor_id LEFT JOIN matches m ON m.id = v.match_id
LEFT JOIN institution_versions i ON i.institution_id = m.institution_id AND i.version = m.institution_version
WHERE v.need_id = $1 ORDER BY v.id
"""
# Of today and still open: what ended may be asked for again in the same words.
SAME = """
SELECT id FROM needs
WHERE submitted_by = $1 AND body = $2 AND created_at > now() - interval '1 day' AND state = ANY($3::text[])
ORDER BY id DESC LIMIT 1
"""
FILED_AT_COUNTER = "SELECT submitted_by FROM needs WHERE id = $1 AND channel = 'counter'"
APPROVED_MATCHES = """
SELECT DISTINCT v.match_id FROM events v JOIN matches m ON m.id = v.match_id
WHERE v.need_id = $1 AND v.to_state = 'approved' AND ($2::bigint IS NULL OR m.institution_id = $2::bigint)
"""
TRANSITIONS = "SELECT from_state, action, to_state FROM transitions WHERE machine = $1"


def _seer(actor: Actor) -> tuple[str, int, int | None, int | None, str | None]:
    """The first five parameters of VISIBLE."""
    return actor.role, actor.id, actor.enterprise_id, actor.institution_id, actor.node_prefix


async def find(tx: Transaction, actor: Actor, need_id: int, *, lock: bool = False) -> Need | None:
    """The need, if ``actor`` may see it; with ``lock`` until the transaction ends."""
    if lock:
        await tx.execute(LOCK, need_id)
    return _masked(tx, await tx.fetchrow(VISIBLE_NEED, *_seer(actor), need_id))


async def find_for_job(tx: Transaction, need_id: int, *, lock: bool = False) -> Need | None:
    """The need, for background work that acts for nobody."""
    if lock:
        await tx.execute(LOCK, need_id)
    return _masked(tx, await tx.fetchrow(NEED_FOR_JOB, need_id))


def _masked(tx: Transaction, row: Record | None) -> Need | None:
    """The need with its contact masked: whole it is told by ``contact`` alone."""
    if row is None:
        return None
    found = fields.opened(tx, fields.NEEDS, row, lenient=True)
    found["contact_name"] = masking.name(found["contact_name"])
    found["contact_phone"] = masking.phone(found["contact_phone"])
    return msgspec.convert(found, Need)


async def contact(tx: Transaction, need_id: int) -> Contact:
    """Whom to ask about the need, whole: for whoever may see it.

    Raises:
        CannotOpenError: the key is not there.
    """
    row = await tx.fetchrow(CONTACT, need_id)
    assert row is not None, "found before"
    found = fields.opened(tx, fields.NEEDS, row)
    return Contact(found["contact_name"], found["contact_phone"], found["party"])


async def set_contact(tx: Transaction, need_id: int, known: Contact) -> None:
    """Another contact of the need."""
    await tx.execute(SET_CONTACT, need_id, *fields.seal(tx, fields.NEEDS, need_id, known.name, known.phone))


async def serves(tx: Transaction, need_id: int, institution_id: int) -> bool:
    """Whether the institution's match of the need is approved and has not ended."""
    return bool(await tx.fetchval(SERVES, need_id, institution_id))


async def draw(tx: Transaction, enterprise_id: int) -> tuple[int, Contact]:
    """The id of a need to be, and the contact in its enterprise's profile."""
    row = await tx.fetchrow(DRAW, enterprise_id)
    assert row is not None, "accounts and parties have an enterprise"
    found = fields.opened(tx, fields.ENTERPRISES, row)
    return found["need_id"], Contact(found["contact_name"], found["contact_phone"], found["party"])


async def submit(
    tx: Transaction,
    need_id: int,
    known: Contact,
    *,
    enterprise_id: int,
    submitted_by: int,
    channel: str,
    body: str,
    region_code: str | None,
    item_codes: tuple[str, ...],
    wanted_by: date | None,
    due_at: datetime,
    due_provisional: bool,
    clocks: Sequence[NewDeadline],
) -> Need | None:
    """The new need, its id from ``draw``; None where the region is unknown or without a node, or an item is unknown."""
    row = await tx.fetchrow(
        SUBMIT,
        enterprise_id,
        submitted_by,
        body,
        region_code,
        item_codes,
        wanted_by,
        *fields.seal(tx, fields.NEEDS, need_id, known.name, known.phone),
        channel,
        due_at,
        due_provisional,
        request_id(),
        clocks,
        need_id,
    )
    outbox.wake_relay(tx)
    live.tell(tx)
    return _masked(tx, row)


async def node_of_region(tx: Transaction, region_code: str) -> int | None:
    """The nearest node that covers the region; None where there is none, or no such region."""
    node_id: int | None = await tx.fetchval(NODE_OF_REGION, region_code)
    return node_id


async def unknown_items(tx: Transaction, codes: tuple[str, ...]) -> list[str]:
    """Those of ``codes`` that no item has."""
    return [row[0] for row in await tx.fetch(UNKNOWN_ITEMS, codes)]


async def move(
    tx: Transaction,
    need_id: int,
    *,
    before: NeedState,
    action: NeedAction,
    after: NeedState,
    actor_id: int | None,
    owner_id: int | None,
    note: str,
    data: dict[str, Any],
) -> None:
    """Move the need and write the event, in one statement. ``owner_id`` owns it if nobody does yet."""
    await tx.execute(MOVE, need_id, before, action, after, actor_id, owner_id, note, data, request_id())
    live.tell(tx)


async def hand(
    tx: Transaction,
    need: Need,
    action: NeedAction,
    actor: Actor,
    *,
    owner_id: int,
    offered_to: int | None,
    note: str,
    data: dict[str, Any],
) -> None:
    """Write who owns the need, to whom it is offered, and the event."""
    await tx.execute(HAND, need.id, need.state, action, owner_id, offered_to, actor.id, note, data, request_id())
    live.tell(tx)


async def parent_node(tx: Transaction, node_id: int) -> int | None:
    """The node above, if there is one."""
    parent_id: int | None = await tx.fetchval(PARENT_NODE, node_id)
    return parent_id


async def set_node(tx: Transaction, need_id: int, node_id: int) -> None:
    """Hand the need to another node, where nobody owns it yet."""
    await tx.execute(SET_NODE, need_id, node_id)


async def set_understanding(tx: Transaction, need_id: int, understanding: Understanding) -> None:
    """Store what was read out of the text."""
    await tx.execute(SET_UNDERSTANDING, need_id, understanding)


async def rewrite(
    tx: Transaction,
    need_id: int,
    *,
    body: str,
    item_codes: tuple[str, ...],
    wanted_by: date | None,
) -> None:
    """A new text and new facts."""
    await tx.execute(REWRITE, need_id, body, item_codes, wanted_by)


async def visible_rows(
    tx: Transaction, actor: Actor, *, state: NeedState | None, before: int | None, limit: int
) -> list[NeedRow]:
    """Needs ``actor`` may see, newest first, with ids below ``before``."""
    return many(NeedRow, await tx.fetch(VISIBLE_ROWS, *_seer(actor), state, before, limit))


async def counts(tx: Transaction, prefix: str) -> dict[NeedState, int]:
    """How many needs stand where, at nodes below ``prefix``."""
    return {NeedState(row["state"]): row["n"] for row in await tx.fetch(COUNTS, prefix)}


async def same(tx: Transaction, account_id: int, body: str) -> int | None:
    """The open need that the account submitted in these words today."""
    need_id: int | None = await tx.fetchval(SAME, account_id, body, list(OPEN))
    return need_id


async def filed_at_counter(tx: Transaction, need_id: int) -> int | None:
    """The account of the clerk who filed the need; None where it did not come in at a counter."""
    clerk_id: int | None = await tx.fetchval(FILED_AT_COUNTER, need_id)
    return clerk_id


async def events(tx: Transaction, need_id: int) -> list[Event]:
    """Every step of the need and of its matches, oldest first."""
    return many(Event, await tx.fetch(EVENTS, need_id))


async def approved_matches(tx: Transaction, need_id: int, institution_id: int | None) -> set[int]:
    """Matches of the need that were ever approved; with an institution, only its own."""
    return {row[0] for row in await tx.fetch(APPROVED_MATCHES, need_id, institution_id)}


async def transitions(tx: Transaction, machine: str) -> dict[tuple[str, str], str]:
    """PostgreSQL's copy of a transition table."""
    return {(row["from_state"], row["action"]): row["to_state"] for row in await tx.fetch(TRANSITIONS, machine)}
