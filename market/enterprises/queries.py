"""All SQL of enterprises."""

from infra.db import Transaction, one_or_none
from market.enterprises.model import Enterprise

COLUMNS = """
SELECT id, name, uscc, kind, region_code, industry_code, contact_name, contact_phone, demo FROM enterprises
"""
BY_ID = f"{COLUMNS} WHERE id = $1"
BY_USCC = f"{COLUMNS} WHERE uscc = $1"
INSERT = """
INSERT INTO enterprises (name, uscc, kind, region_code, industry_code, contact_name, contact_phone, demo)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (uscc) DO NOTHING RETURNING id
"""
KINDS = "SELECT code, name FROM enterprise_kinds ORDER BY code"


async def by_id(tx: Transaction, enterprise_id: int) -> Enterprise | None:
    """The enterprise."""
    return one_or_none(Enterprise, await tx.fetchrow(BY_ID, enterprise_id))


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
    enterprise_id: int | None = await tx.fetchval(
        INSERT, name, uscc, kind, region_code, industry_code, contact_name, contact_phone, demo
    )
    return enterprise_id


async def kinds(tx: Transaction) -> dict[str, str]:
    """Kinds of enterprise: code → name."""
    return {row["code"]: row["name"] for row in await tx.fetch(KINDS)}
