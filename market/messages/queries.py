"""All SQL of messages and of what accounts chose; that of deliveries is delivery_queries.py."""

from collections.abc import Sequence
from datetime import time
from typing import Any

import msgspec

from infra import fields
from infra.db import Transaction, many, one_or_none
from market.accounts.model import Actor
from market.messages import delivery_queries
from market.messages.model import (
    Channel,
    Choice,
    MailSettings,
    Message,
    NewMessage,
    Recipient,
    Subject,
    Webhook,
)
from market.messages.tellings import Facts, Group
from market.needs.queries import VISIBLE

# What is told of an event is read a moment after it: names and days as they are then.
FACTS_OF_EVENTS = """
SELECT 'events' AS source, v.id, v.machine, v.action, v.from_state, v.actor_id, v.data, v.at, v.need_id,
       n.state <> v.to_state AS moved_on,
       n.enterprise_id, n.submitted_by, n.channel = 'counter' AS at_counter, n.node_id, d.name AS node_name,
       n.owner_id, n.offered_to, m.institution_id, i.name AS institution_name,
       r.id AS rating_id, coalesce(r.anonymous, false) AS anonymous,
       (SELECT p.actor_id FROM events p WHERE p.need_id = v.need_id AND p.id < v.id AND p.machine = 'need'
        AND p.action = 'offer' ORDER BY p.id DESC LIMIT 1) AS offerer_id,
       CASE v.machine WHEN 'deadline' THEN (v.data ->> 'due_at')::timestamptz WHEN 'match' THEN m.due_at
            WHEN 'rectification' THEN x.due_at WHEN 'need' THEN n.due_at END AS due_at
FROM events v JOIN needs n ON n.id = v.need_id JOIN nodes d ON d.id = n.node_id
LEFT JOIN matches m ON m.id = v.match_id
LEFT JOIN institution_versions i ON i.institution_id = m.institution_id AND i.version = m.institution_version
LEFT JOIN ratings r ON r.match_id = v.match_id LEFT JOIN rectifications x ON x.rating_id = r.id
WHERE v.id = ANY($1::bigint[])
"""
# Of reviewers only those of the nearest node that has any: others may decide too, and need not be told.
FACTS_OF_ITEM_EVENTS = """
SELECT 'item_events' AS source, v.id, v.machine, v.action, v.from_state, v.actor_id, v.data, v.at,
       r.state <> v.to_state AS moved_on, v.revision_id, coalesce(r.content ->> 'name', r.item_code) AS item_name,
       w.writers, coalesce(CASE WHEN r.institution_id IS NULL THEN admins.ids ELSE near.ids END, '{}') AS reviewers
FROM item_events v JOIN item_revisions r ON r.id = v.revision_id
LEFT JOIN institutions o ON o.id = r.institution_id
LEFT JOIN institution_versions n ON n.institution_id = o.id AND n.version = o.version
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(DISTINCT e.actor_id), '{}') AS writers FROM item_events e
    WHERE e.revision_id = r.id AND e.action IN ('draft', 'save')
) w
CROSS JOIN LATERAL (
    SELECT array_agg(a.id) AS ids FROM accounts a WHERE a.role = 'admin' AND a.id <> ALL (w.writers)
) admins
CROSS JOIN LATERAL (
    SELECT array_agg(c.id) AS ids FROM (
        SELECT a.id, rank() OVER (ORDER BY length(d.region_prefix) DESC) AS place
        FROM accounts a JOIN nodes d ON d.id = a.node_id
        WHERE a.role = 'coordinator' AND a.disabled_at IS NULL AND starts_with(n.region_code, d.region_prefix)
          AND a.id <> ALL (w.writers)
    ) c WHERE c.place = 1
) near
WHERE v.id = ANY($1::bigint[])
"""
FACTS_OF_SUPERVISION = """
SELECT 'supervision_events' AS source, v.id, v.machine, v.action, v.from_state, v.actor_id, v.data, v.at,
       s.state <> v.to_state AS moved_on, s.id AS supervision_id, s.node_id, d.name AS node_name, s.institution_id,
       i.name AS institution_name, coalesce((v.data ->> 'due_at')::timestamptz, s.due_at) AS due_at
FROM supervision_events v JOIN supervisions s ON s.id = v.supervision_id JOIN nodes d ON d.id = s.node_id
JOIN institutions o ON o.id = s.institution_id
JOIN institution_versions i ON i.institution_id = o.id AND i.version = o.version
WHERE v.id = ANY($1::bigint[])
"""
FACTS_OF_CORRECTIONS = """
SELECT 'ledger_corrections' AS source, id, 'ledger' AS machine, 'correct' AS action, '' AS from_state,
       NULL::bigint AS actor_id, '{}'::jsonb AS data, at, institution_id, period
FROM ledger_corrections WHERE id = ANY($1::bigint[])
"""
# While nobody owns the need, all of its node are told; an institution that serves it no more is not.
FACTS_OF_LETTERS = """
SELECT 'need_letters' AS source, l.id, 'letter' AS machine, 'write' AS action, '' AS from_state,
       l.author_id AS actor_id, '{}'::jsonb AS data, l.at, l.need_id, n.enterprise_id, n.submitted_by,
       n.channel = 'counter' AS at_counter, CASE WHEN n.owner_id IS NULL THEN n.node_id END AS node_id, n.owner_id,
       m.institution_id
FROM need_letters l JOIN needs n ON n.id = l.need_id
LEFT JOIN matches m ON m.id = l.match_id AND m.state IN ('approved', 'decline_requested', 'accepted', 'delivered')
WHERE l.id = ANY($1::bigint[])
"""
FACTS = {
    "events": FACTS_OF_EVENTS,
    "item_events": FACTS_OF_ITEM_EVENTS,
    "supervision_events": FACTS_OF_SUPERVISION,
    "ledger_corrections": FACTS_OF_CORRECTIONS,
    "need_letters": FACTS_OF_LETTERS,
}
"""By table; each has the trigger ask_to_tell."""
RECIPIENTS = """
SELECT a.id, a.role, a.enterprise_id, a.institution_id, a.node_id, s.confirmed_at IS NOT NULL AS mails,
       coalesce(s.choices, '{}') AS choices, coalesce(s.quiet_from, '22:00') AS quiet_from,
       coalesce(s.quiet_to, '08:00') AS quiet_to, coalesce(w.subjects, '{}') AS hook_subjects
FROM accounts a LEFT JOIN message_settings s ON s.account_id = a.id
LEFT JOIN webhooks w ON w.account_id = a.id AND w.disabled_at IS NULL
WHERE a.disabled_at IS NULL AND (
    a.id = ANY($1::bigint[]) OR a.enterprise_id = ANY($2::bigint[]) OR a.institution_id = ANY($3::bigint[])
    OR (a.node_id = ANY($4::bigint[]) AND a.role = 'coordinator'))
"""
# One statement: whoever is told of the same thing twice, by whatever path, has one message and one delivery a channel.
ADD = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset($1) AS g (
        account_id bigint, source text, source_id bigint, kind text, subject text, urgent boolean, need_id bigint,
        data jsonb, for_digest boolean, mail_at timestamptz, hook boolean)
), made AS (
    INSERT INTO messages (account_id, source, source_id, kind, subject, urgent, need_id, data, for_digest)
    SELECT account_id, source, source_id, kind, subject, urgent, need_id, data, for_digest FROM given
    ON CONFLICT (source, source_id, account_id) DO NOTHING
    RETURNING id, account_id, source, source_id
), out AS (
    INSERT INTO deliveries (account_id, channel, purpose, message_id, next_at)
    SELECT m.account_id, c.channel, 'message', m.id, coalesce(c.at, now())
    FROM made m JOIN given g USING (source, source_id, account_id)
    CROSS JOIN LATERAL (
        VALUES ('mail', g.mail_at, g.mail_at IS NOT NULL), ('webhook', NULL, g.hook)) c (channel, at, wanted)
    WHERE c.wanted
)
SELECT count(*) FROM made
"""
# Unread first, newest first; the cursor is the last row's unread and id. A need that is not the reader's any more has
# no link.
LISTING = f"""
SELECT m.id, m.kind, m.subject, m.urgent, m.need_id, m.data, m.at, m.read_at,
       n.id IS NOT NULL AS readable, left(n.body, 60) AS excerpt
FROM messages m LEFT JOIN needs n ON n.id = m.need_id AND {VISIBLE}
"""
PAGE = f"""{LISTING}
WHERE m.account_id = $2 AND (NOT $6::boolean OR m.read_at IS NULL)
  AND ($7::boolean IS NULL OR (m.read_at IS NULL, m.id) < ($7::boolean, $8::bigint))
ORDER BY m.read_at IS NULL DESC, m.id DESC LIMIT $9
"""
ONE = f"{LISTING} WHERE m.account_id = $2 AND m.id = $6"
READ = """
UPDATE messages SET read_at = coalesce(read_at, now()), for_digest = false
WHERE account_id = $1 AND id = $2 RETURNING id
"""
READ_ALL = """
UPDATE messages SET read_at = now(), for_digest = false
WHERE account_id = $1 AND read_at IS NULL AND id <= $2 RETURNING id
"""
# What was read long ago; its deliveries go with it.
FORGET = """
DELETE FROM messages WHERE id IN (
    SELECT id FROM messages WHERE read_at IS NOT NULL AND at < now() - make_interval(days => $1) ORDER BY at LIMIT $2)
RETURNING id
"""
FORGET_DELIVERIES = """
DELETE FROM deliveries WHERE id IN (
    SELECT id FROM deliveries WHERE message_id IS NULL AND ended_at < now() - make_interval(days => $1) LIMIT $2)
RETURNING id
"""

SETTINGS = """
SELECT account_id, address, address_sealed, mail_key, confirmed_at, choices, quiet_from, quiet_to
FROM message_settings WHERE account_id = $1
"""
# Another address is to be confirmed anew, and links in letters to the old one are void.
SET_ADDRESS = """
INSERT INTO message_settings AS s (account_id, address, address_sealed, mail_key)
VALUES ($1, CASE WHEN $2::bytea IS NOT NULL THEN '' END, $2, $3)
ON CONFLICT (account_id) DO UPDATE
SET address = excluded.address, address_sealed = excluded.address_sealed, mail_key = $3, confirmed_at = NULL
"""
SET_CHOICES = """
INSERT INTO message_settings AS s (account_id, choices, quiet_from, quiet_to) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id) DO UPDATE SET choices = $2, quiet_from = $3, quiet_to = $4
"""
CONFIRM = """
UPDATE message_settings SET confirmed_at = coalesce(confirmed_at, now()) WHERE account_id = $1 AND mail_key = $2
RETURNING account_id
"""
STOP_MAIL = (
    "UPDATE message_settings SET confirmed_at = NULL WHERE account_id = $1 AND mail_key = $2 RETURNING account_id"
)
NO_DIGEST = "UPDATE messages SET for_digest = false WHERE account_id = $1 AND for_digest"
WEBHOOK = "SELECT url, subjects, created_at, failing_since, disabled_at FROM webhooks WHERE account_id = $1"
SET_WEBHOOK = """
INSERT INTO webhooks (account_id, url, secret, subjects) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id) DO UPDATE SET url = $2, secret = $3, subjects = $4, failing_since = NULL, disabled_at = NULL
"""
SET_SUBJECTS = """
UPDATE webhooks SET subjects = $2, failing_since = NULL, disabled_at = NULL WHERE account_id = $1 RETURNING account_id
"""
DROP_WEBHOOK = "DELETE FROM webhooks WHERE account_id = $1"
# How a webhook fares: an answer ends a row of failures. True where it has failed for $3 days and is now switched off.
HOOK_FARED = """
UPDATE webhooks SET
    failing_since = CASE WHEN $2::boolean THEN NULL ELSE coalesce(failing_since, now()) END,
    disabled_at = CASE WHEN NOT $2::boolean AND ($4::boolean OR failing_since < now() - make_interval(days => $3))
                       THEN now() END
WHERE account_id = $1 AND disabled_at IS NULL
  AND NOT ($2::boolean AND failing_since IS NULL)
RETURNING disabled_at IS NOT NULL AS disabled
"""


async def facts(tx: Transaction, source: str, ids: Sequence[int]) -> list[Facts]:
    """What is known of rows of one of the tables in FACTS."""
    return many(Facts, await tx.fetch(FACTS[source], ids))


async def recipients(tx: Transaction, wanted: dict[Group, set[int]]) -> list[Recipient]:
    """The accounts that belong to any of these, unless disabled; of a node its coordinators."""
    return many(Recipient, await tx.fetch(RECIPIENTS, *(list(wanted.get(group, ())) for group in Group)))


async def add(tx: Transaction, new: Sequence[NewMessage]) -> int:
    """Write messages with what goes out of the house; how many nobody had been told before."""
    count: int = await tx.fetchval(ADD, list(new))
    return count


def _reader(actor: Actor) -> tuple[Any, ...]:
    """The first five parameters of LISTING."""
    return actor.role, actor.id, actor.enterprise_id, actor.institution_id, actor.node_prefix


async def page(
    tx: Transaction, actor: Actor, *, unread: bool, after: tuple[bool, int] | None, limit: int
) -> list[Message]:
    """The actor's messages, unread first, after the one that ``after`` names."""
    was_unread, message_id = after or (None, None)
    return many(Message, await tx.fetch(PAGE, *_reader(actor), unread, was_unread, message_id, limit))


async def find(tx: Transaction, actor: Actor, message_id: int) -> Message | None:
    """A message of the actor's."""
    return one_or_none(Message, await tx.fetchrow(ONE, *_reader(actor), message_id))


async def read(tx: Transaction, account_id: int, message_id: int) -> bool:
    """Mark a message read; False where it is not the account's."""
    return await tx.fetchval(READ, account_id, message_id) is not None


async def read_all(tx: Transaction, account_id: int, up_to: int) -> int:
    """Mark all up to that id read; how many were not."""
    return len(await tx.fetch(READ_ALL, account_id, up_to))


async def forget(tx: Transaction, days: int, limit: int) -> int:
    """Delete up to ``limit`` messages read, and as many deliveries ended, more than ``days`` ago; how many."""
    gone = await tx.fetch(FORGET, days, limit)
    return max(len(gone), len(await tx.fetch(FORGET_DELIVERIES, days, limit)))


async def settings(tx: Transaction, account_id: int) -> MailSettings:
    """What an account chose, or the defaults."""
    row = await tx.fetchrow(SETTINGS, account_id)
    return MailSettings() if row is None else msgspec.convert(fields.opened(tx, fields.MAIL, row), MailSettings)


async def set_address(tx: Transaction, account_id: int, address: str | None, mail_key: bytes | None) -> None:
    """Another address, not confirmed yet; None for none."""
    await tx.execute(SET_ADDRESS, account_id, *fields.seal(tx, fields.MAIL, account_id, address), mail_key)


async def set_choices(
    tx: Transaction, account_id: int, choices: dict[Subject, Choice], quiet_from: time, quiet_to: time
) -> None:
    """How an account wants its mail."""
    await tx.execute(SET_CHOICES, account_id, choices, quiet_from, quiet_to)


async def confirm(tx: Transaction, account_id: int, mail_key: bytes) -> bool:
    """The address with that key is confirmed; False where it is another meanwhile."""
    return await tx.fetchval(CONFIRM, account_id, mail_key) is not None


async def stop_mail(tx: Transaction, account_id: int, mail_key: bytes) -> bool:
    """No more letters to the address with that key; False where it is another meanwhile."""
    stopped = await tx.fetchval(STOP_MAIL, account_id, mail_key) is not None
    if stopped:
        await tx.execute(NO_DIGEST, account_id)
        await delivery_queries.drop(tx, account_id, Channel.MAIL)
    return stopped


async def webhook(tx: Transaction, account_id: int) -> Webhook | None:
    """Where the account's messages are posted."""
    return one_or_none(Webhook, await tx.fetchrow(WEBHOOK, account_id))


async def set_webhook(tx: Transaction, account_id: int, url: str, secret: bytes, subjects: Sequence[Subject]) -> None:
    """Another address, with another secret."""
    await tx.execute(SET_WEBHOOK, account_id, url, secret, subjects)


async def set_subjects(tx: Transaction, account_id: int, subjects: Sequence[Subject]) -> None:
    """Post messages on these subjects; a webhook that was switched off is on again."""
    await tx.execute(SET_SUBJECTS, account_id, subjects)


async def drop_webhook(tx: Transaction, account_id: int) -> None:
    """No webhook, and nothing that waits for it."""
    await tx.execute(DROP_WEBHOOK, account_id)
    await delivery_queries.drop(tx, account_id, Channel.WEBHOOK)


async def hook_fared(tx: Transaction, account_id: int, *, well: bool, days: int, gone: bool = False) -> bool:
    """Note how a webhook fared; True where it is switched off now: it failed for ``days``, or is ``gone``."""
    return bool(await tx.fetchval(HOOK_FARED, account_id, well, days, gone))
