"""All SQL of enterprises."""

from typing import Any

import msgspec

from infra import fields
from infra.db import Transaction, many, one_or_none
from infra.observe import request_id
from market.enterprises.model import (
    Enterprise,
    EnterpriseAction,
    EnterpriseEvent,
    Invited,
    Member,
    OwnEnterprise,
    ProfileForm,
)

COLUMNS = "SELECT id, name, uscc, kind, region_code, industry_code, demo FROM enterprises"
BY_ID = f"{COLUMNS} WHERE id = $1"
BY_USCC = f"{COLUMNS} WHERE uscc = $1"
OWN = """
SELECT id, name, uscc, kind, region_code, industry_code, demo, contact_name, contact_phone, contact_name_sealed,
       contact_phone_sealed
FROM enterprises WHERE id = $1
"""
# Drawn before, for the contact is sealed for its row.
DRAW = "SELECT nextval(pg_get_serial_sequence('enterprises', 'id'))"
INSERT = """
INSERT INTO enterprises (id, name, uscc, kind, region_code, industry_code, contact_name_sealed, contact_phone_sealed,
                         demo)
OVERRIDING SYSTEM VALUE
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (uscc) DO NOTHING RETURNING id
"""
UPDATE = """
UPDATE enterprises SET name = $2, kind = $3, region_code = $4, industry_code = $5, contact_name = '',
    contact_phone = '', contact_name_sealed = $6, contact_phone_sealed = $7
WHERE id = $1
"""
DIVISIONS = """
SELECT d.code, d.name, s.name AS section FROM industries d JOIN industries s ON s.code = d.parent_code
WHERE s.parent_code IS NULL ORDER BY d.code
"""
MEMBERS = """
SELECT a.id, a.login, a.name, a.created_at,
       a.id = (SELECT min(f.id) FROM accounts f WHERE f.enterprise_id = $1) AS first
FROM accounts a WHERE a.enterprise_id = $1 AND a.disabled_at IS NULL ORDER BY a.id
"""
# Nobody closes his own account, and nobody the first: so an enterprise is never without one, whoever acts at once.
CLOSE_MEMBER = """
UPDATE accounts SET session_epoch = session_epoch + 1, disabled_at = now()
WHERE id = $2 AND enterprise_id = $1 AND id <> $3 AND disabled_at IS NULL
  AND id <> (SELECT min(f.id) FROM accounts f WHERE f.enterprise_id = $1)
RETURNING id
"""
INVITE = "INSERT INTO invitations (enterprise_id, invited_by) VALUES ($1, $2) RETURNING id"
GOOD = """
i.used_at IS NULL AND i.created_at > now() - interval '7 days'
  AND EXISTS (SELECT FROM accounts b WHERE b.id = i.invited_by AND b.disabled_at IS NULL)
"""
INVITED = f"""
SELECT i.enterprise_id, e.name AS enterprise_name, a.name AS inviter_name
FROM invitations i JOIN enterprises e ON e.id = i.enterprise_id JOIN accounts a ON a.id = i.invited_by
WHERE i.id = $1 AND {GOOD}
"""
USE = f"UPDATE invitations i SET used_at = now() WHERE i.id = $1 AND {GOOD} RETURNING i.enterprise_id"
ADD_EVENT = """
INSERT INTO enterprise_events (enterprise_id, action, actor_id, data, request_id) VALUES ($1, $2, $3, $4, $5)
"""
EVENTS = """
SELECT v.action, a.name AS actor_name, c.login AS closed_login, v.data, v.at
FROM enterprise_events v JOIN accounts a ON a.id = v.actor_id
LEFT JOIN accounts c ON c.id = (v.data ->> 'account_id')::bigint
WHERE v.enterprise_id = $1 ORDER BY v.id DESC LIMIT $2
"""
KINDS = "SELECT code, name FROM enterprise_kinds ORDER BY code"


async def by_id(tx: Transaction, enterprise_id: int) -> Enterprise | None:
    """The enterprise."""
    return one_or_none(Enterprise, await tx.fetchrow(BY_ID, enterprise_id))


async def own(tx: Transaction, enterprise_id: int) -> OwnEnterprise | None:
    """The enterprise with its contact, for its own people.

    Raises:
        CannotOpenError: the key is not there.
    """
    row = await tx.fetchrow(OWN, enterprise_id)
    return None if row is None else msgspec.convert(fields.opened(tx, fields.ENTERPRISES, row), OwnEnterprise)


async def by_uscc(tx: Transaction, uscc: str) -> Enterprise | None:
    """The enterprise with that code."""
    return one_or_none(Enterprise, await tx.fetchrow(BY_USCC, uscc))


async def insert(
    tx: Transaction,
    *,
    name: str,
    uscc: str | None,
    kind: str,
    region_code: str,
    industry_code: str | None = None,
    contact_name: str,
    contact_phone: str,
    demo: bool = False,
) -> int | None:
    """The new enterprise's id; None where the code is taken."""
    drawn = await tx.fetchval(DRAW)
    contact = fields.seal(tx, fields.ENTERPRISES, drawn, contact_name, contact_phone)
    enterprise_id: int | None = await tx.fetchval(
        INSERT, drawn, name, uscc, kind, region_code, industry_code, *contact, demo
    )
    return enterprise_id


async def kinds(tx: Transaction) -> dict[str, str]:
    """Kinds of enterprise: code → name."""
    return {row["code"]: row["name"] for row in await tx.fetch(KINDS)}


async def update(tx: Transaction, enterprise_id: int, form: ProfileForm) -> None:
    """Write the profile."""
    await tx.execute(
        UPDATE,
        enterprise_id,
        form.name,
        form.kind,
        form.region_code,
        form.industry_code,
        *fields.seal(tx, fields.ENTERPRISES, enterprise_id, form.contact_name, form.contact_phone),
    )


async def divisions(tx: Transaction) -> dict[str, dict[str, str]]:
    """Industries to choose from: name of the section → code → name of the division."""
    found: dict[str, dict[str, str]] = {}
    for row in await tx.fetch(DIVISIONS):
        found.setdefault(row["section"], {})[row["code"]] = row["name"]
    return found


async def members(tx: Transaction, enterprise_id: int) -> list[Member]:
    """Who has an account, the first first."""
    return many(Member, await tx.fetch(MEMBERS, enterprise_id))


async def close_member(tx: Transaction, enterprise_id: int, account_id: int, actor_id: int) -> bool:
    """Close the account; False where it is not a colleague's, or the first."""
    return await tx.fetchval(CLOSE_MEMBER, enterprise_id, account_id, actor_id) is not None


async def invite(tx: Transaction, enterprise_id: int, invited_by: int) -> int:
    """The new invitation's id."""
    invitation_id: int = await tx.fetchval(INVITE, enterprise_id, invited_by)
    return invitation_id


async def invited(tx: Transaction, invitation_id: int) -> Invited | None:
    """Who invites to what; None where the invitation does not hold any more."""
    return one_or_none(Invited, await tx.fetchrow(INVITED, invitation_id))


async def use(tx: Transaction, invitation_id: int) -> int | None:
    """The enterprise joined, once; None for everybody who comes later."""
    enterprise_id: int | None = await tx.fetchval(USE, invitation_id)
    return enterprise_id


async def add_event(
    tx: Transaction, enterprise_id: int, action: EnterpriseAction, actor_id: int, data: dict[str, Any] | None = None
) -> None:
    """Write down who did what."""
    await tx.execute(ADD_EVENT, enterprise_id, action, actor_id, data or {}, request_id())


async def events(tx: Transaction, enterprise_id: int, limit: int) -> list[EnterpriseEvent]:
    """What was done, the latest first."""
    return many(EnterpriseEvent, await tx.fetch(EVENTS, enterprise_id, limit))
