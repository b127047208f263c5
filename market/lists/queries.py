"""All SQL of revisions and take-ups."""

from datetime import date
from typing import Any

import msgspec

from infra.db import Transaction, many, one_or_none
from infra.observe import request_id
from market.accounts.model import Actor
from market.lists.model import ContentForm, Revision, RevisionAction, RevisionState, Step, TakeUp

REVISION = """
SELECT r.id, r.item_code, r.institution_id, n.name AS institution_name, n.region_code AS institution_region,
       r.withdraws, r.state, r.edit, r.base_version, coalesce(i.version, 0) AS current_version, r.content, r.reason,
       r.effective_from, r.effective_until, r.version, w.writers, s.saved_by, s.saved_at
FROM item_revisions r
LEFT JOIN institutions o ON o.id = r.institution_id
LEFT JOIN institution_versions n ON n.institution_id = o.id AND n.version = o.version
LEFT JOIN service_items i ON i.code = r.item_code
CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT actor_id) AS writers FROM item_events
    WHERE revision_id = r.id AND action IN ('draft', 'save')
) w
CROSS JOIN LATERAL (
    SELECT a.name AS saved_by, e.at AS saved_at FROM item_events e JOIN accounts a ON a.id = e.actor_id
    WHERE e.revision_id = r.id AND e.action IN ('draft', 'save') ORDER BY e.id DESC LIMIT 1
) s
"""
# Who may see a revision. $1: role, $2: institution, $3: prefix of the node's region. A draft is its writers' business.
VISIBLE = """
CASE $1::text
    WHEN 'admin' THEN true
    WHEN 'institution' THEN r.institution_id = $2::bigint
    WHEN 'coordinator' THEN starts_with(n.region_code, $3::text) AND r.state NOT IN ('draft', 'discarded')
    ELSE false
END
"""
VISIBLE_REVISION = f"{REVISION} WHERE {VISIBLE} AND r.id = $4"
VISIBLE_REVISIONS = f"""{REVISION}
WHERE {VISIBLE} AND r.state = ANY($4::text[]) AND ($5::bigint IS NULL OR r.id < $5::bigint) ORDER BY r.id DESC LIMIT $6
"""
LOCK = "SELECT id FROM item_revisions WHERE id = $1 FOR UPDATE"
OPEN_OF_ITEM = f"{REVISION} WHERE r.item_code = $1 AND r.state IN ('draft', 'in_review', 'approved')"
DUE = "SELECT id FROM item_revisions WHERE state = 'approved' AND effective_from <= $1 ORDER BY effective_from, id"
BY_ID = f"{REVISION} WHERE r.id = $1"
# Without a code the new item gets one of the revision's own number.
INSERT = """
WITH drawn AS MATERIALIZED (SELECT nextval(pg_get_serial_sequence('item_revisions', 'id')) AS id), made AS (
    INSERT INTO item_revisions (id, item_code, institution_id, withdraws, state, base_version, content, reason,
                                effective_from, effective_until)
    OVERRIDING SYSTEM VALUE
    SELECT id, coalesce($1::text, $2::text || id), $3::bigint, $4::boolean, 'draft', $5::integer, $6::jsonb, $7::text,
           $8::date, $9::date FROM drawn
    ON CONFLICT (item_code) WHERE state IN ('draft', 'in_review', 'approved') DO NOTHING RETURNING id
), step AS (
    INSERT INTO item_events (revision_id, from_state, action, to_state, actor_id, data, request_id)
    SELECT id, 'new', 'draft', 'draft', $10::bigint, $11::jsonb, $12::text FROM made
)
SELECT id FROM made
"""
SAVE = """
UPDATE item_revisions
SET edit = edit + 1, content = $2, reason = $3, effective_from = $4, effective_until = $5, base_version = $6
WHERE id = $1
"""
MOVE = """
WITH moved AS (
    UPDATE item_revisions SET state = $4, version = $8 WHERE id = $1 RETURNING id
)
INSERT INTO item_events (revision_id, from_state, action, to_state, actor_id, note, data, request_id)
SELECT id, $2, $3, $4, $5::bigint, $6, $7, $9 FROM moved
"""
EDIT = """
SELECT data -> 'form' FROM item_events
WHERE revision_id = $1 AND action IN ('draft', 'save') AND (data ->> 'edit')::integer = $2
"""
STEPS = """
SELECT e.action, e.to_state, a.name AS actor_name, a.role AS actor_role, e.note, e.at
FROM item_events e LEFT JOIN accounts a ON a.id = e.actor_id WHERE e.revision_id = $1 ORDER BY e.id
"""
TAKE_UPS = """
SELECT i.code AS item_code, v.name AS item_name, v.item_group, t.taken_up_at,
       (SELECT count(*) FROM offerings f
        WHERE f.item_code = i.code AND f.institution_id = $1 AND f.state = 'published') AS offerings
FROM service_items i JOIN service_item_versions v ON v.item_code = i.code AND v.version = i.version
LEFT JOIN take_ups t ON t.item_code = i.code AND t.institution_id = $1
WHERE v.item_list = 'common' AND i.withdrawn_on IS NULL ORDER BY i.number
"""
TAKE_UP = """
INSERT INTO take_ups (institution_id, item_code, actor_id)
SELECT $1, i.code, $3 FROM service_items i
JOIN service_item_versions v ON v.item_code = i.code AND v.version = i.version
WHERE v.item_list = 'common' AND i.withdrawn_on IS NULL AND ($2::text[] IS NULL OR i.code = ANY($2::text[]))
ON CONFLICT DO NOTHING RETURNING item_code
"""


def _seer(actor: Actor) -> tuple[str, int | None, str | None]:
    """The first three parameters of VISIBLE."""
    return actor.role, actor.institution_id, actor.node_prefix


async def find(tx: Transaction, actor: Actor, revision_id: int, *, locked: bool = False) -> Revision | None:
    """The revision, if the actor may see it."""
    if locked:
        await lock(tx, revision_id)
    return one_or_none(Revision, await tx.fetchrow(VISIBLE_REVISION, *_seer(actor), revision_id))


async def page(
    tx: Transaction, actor: Actor, states: list[RevisionState], *, before: int | None, limit: int
) -> list[Revision]:
    """Revisions in these states that the actor may see, newest first, with ids below ``before``."""
    return many(Revision, await tx.fetch(VISIBLE_REVISIONS, *_seer(actor), states, before, limit))


async def lock(tx: Transaction, revision_id: int) -> None:
    """Let nobody else move or save the revision until this transaction ends."""
    await tx.execute(LOCK, revision_id)


async def by_id(tx: Transaction, revision_id: int) -> Revision:
    """The revision, for the platform itself, which knows that it is there."""
    return many(Revision, await tx.fetch(BY_ID, revision_id))[0]


async def open_of(tx: Transaction, item_code: str) -> Revision | None:
    """The item's revision that is on its way."""
    return one_or_none(Revision, await tx.fetchrow(OPEN_OF_ITEM, item_code))


async def due(tx: Transaction, day: date) -> list[int]:
    """Approved revisions whose day has come, in the order of their days."""
    return [row["id"] for row in await tx.fetch(DUE, day)]


async def insert(
    tx: Transaction,
    *,
    item_code: str | None,
    prefix: str,
    institution_id: int | None,
    withdraws: bool,
    base_version: int,
    form: ContentForm,
    actor_id: int,
) -> int | None:
    """The id of a new draft, with its event; None where the item has an open revision. Without a code: one of ours."""
    revision_id: int | None = await tx.fetchval(
        INSERT,
        item_code,
        prefix,
        institution_id,
        withdraws,
        base_version,
        form.content,
        form.reason,
        form.effective_from,
        form.effective_until,
        actor_id,
        _kept(1, form),
        request_id(),
    )
    return revision_id


async def save(tx: Transaction, revision: Revision, form: ContentForm, base_version: int, actor_id: int) -> None:
    """Replace what the draft says, with the event."""
    await tx.execute(
        SAVE, revision.id, form.content, form.reason, form.effective_from, form.effective_until, base_version
    )
    await move(tx, revision, RevisionAction.SAVE, RevisionState.DRAFT, actor_id, data=_kept(revision.edit + 1, form))


async def move(
    tx: Transaction,
    revision: Revision,
    action: RevisionAction,
    after: RevisionState,
    actor_id: int | None,
    *,
    note: str = "",
    data: dict[str, Any] | None = None,
    version: int | None = None,
) -> None:
    """Move the revision and write the event, in one statement. ``version``: what it became."""
    await tx.execute(
        MOVE, revision.id, revision.state, action, after, actor_id, note, data or {}, version, request_id()
    )


async def edit(tx: Transaction, revision_id: int, number: int) -> ContentForm | None:
    """What the draft said in that edit."""
    kept = await tx.fetchval(EDIT, revision_id, number)
    return None if kept is None else msgspec.convert(kept, ContentForm)


async def steps(tx: Transaction, revision_id: int) -> list[Step]:
    """Its story, oldest first."""
    return many(Step, await tx.fetch(STEPS, revision_id))


async def take_ups(tx: Transaction, institution_id: int) -> list[TakeUp]:
    """The common list, and what of it the institution has taken up."""
    return many(TakeUp, await tx.fetch(TAKE_UPS, institution_id))


async def take_up(tx: Transaction, institution_id: int, item_codes: list[str] | None, actor_id: int) -> list[str]:
    """Take up these items of the common list, None: all; the codes that were not taken up before."""
    return [row["item_code"] for row in await tx.fetch(TAKE_UP, institution_id, item_codes, actor_id)]


def _kept(number: int, form: ContentForm) -> dict[str, Any]:
    """What an event keeps of a draft, so that one edit can be held beside another."""
    fields = ContentForm.__struct_fields__
    return {"edit": number, "form": {name: getattr(form, name) for name in fields}}
