"""All SQL of exporting. Rows come in pages by id."""

from infra.db import Transaction, many
from market.exporting.model import InstitutionOut, OfferingOut

SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
OFFERINGS = """
SELECT f.id, v.title, v.summary, v.guide, v.item_code, s.name AS item_name, s.rights, s.stages, f.institution_id,
       v.region_codes, v.audience, v.channels, v.fee, v.promised_days, f.capacity, v.created_at
FROM offerings f JOIN offering_versions v ON v.offering_id = f.id AND v.version = f.version
JOIN service_item_versions s ON s.item_code = v.item_code AND s.version = v.item_version
JOIN institutions i ON i.id = f.institution_id AND i.state = 'active'
WHERE f.state = 'published' AND f.id > $1 ORDER BY f.id LIMIT $2
"""
INSTITUTION = """
SELECT i.id, i.uscc, v.name, v.kind, k.name AS kind_name, v.region_code, v.address, v.phone, v.summary
FROM institutions i JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
JOIN institution_kinds k ON k.code = v.kind
"""
INSTITUTIONS = f"{INSTITUTION} WHERE i.state = 'active' AND i.id > $1 ORDER BY i.id LIMIT $2"
INSTITUTIONS_BY_ID = f"{INSTITUTION} WHERE i.id = ANY($1::bigint[])"


async def hold_still(tx: Transaction) -> None:
    """Let the transaction see one moment, whatever changes meanwhile. Its first statement."""
    await tx.execute(SNAPSHOT)


async def offerings(tx: Transaction, after: int, limit: int) -> list[OfferingOut]:
    """Published offerings with ids above ``after``."""
    return many(OfferingOut, await tx.fetch(OFFERINGS, after, limit))


async def institutions(tx: Transaction, after: int, limit: int) -> list[InstitutionOut]:
    """Active institutions with ids above ``after``."""
    return many(InstitutionOut, await tx.fetch(INSTITUTIONS, after, limit))


async def institutions_by_id(tx: Transaction, ids: list[int]) -> dict[int, InstitutionOut]:
    """These institutions, by id."""
    found = many(InstitutionOut, await tx.fetch(INSTITUTIONS_BY_ID, ids))
    return {one.id: one for one in found}
