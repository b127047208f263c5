"""All SQL of institutions."""

from infra.db import Transaction, many, one_or_none
from market.institutions.model import Institution, InstitutionFilter, InstitutionForm

COLUMNS = """
SELECT i.id, v.version, i.uscc, i.state, v.name, v.kind, k.name AS kind_name, v.region_code, r.name AS region_name,
       v.address, v.phone, v.summary, i.demo,
       (SELECT count(*) FROM offerings f WHERE f.institution_id = i.id AND f.state = 'published') AS offerings
FROM institutions i JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
JOIN institution_kinds k ON k.code = v.kind JOIN regions r ON r.code = v.region_code
"""
BY_ID = f"{COLUMNS} WHERE i.id = $1"
BY_IDS = f"{COLUMNS} WHERE i.id = ANY($1::bigint[]) AND i.state = 'active'"
BY_USCC = f"{COLUMNS} WHERE i.uscc = $1"
PAGE = f"""{COLUMNS}
WHERE i.state = 'active' AND ($1::text[] IS NULL OR v.kind = ANY ($1::text[]))
  AND ($2::text IS NULL OR starts_with(v.region_code, region_prefix($2::text)))
  AND ($3::text[] IS NULL OR v.name || ' ' || v.summary ILIKE ALL ($3::text[]))
  AND ($4::text[] IS NULL OR EXISTS (SELECT FROM offerings f
      JOIN offering_versions w ON w.offering_id = f.id AND w.version = f.version
      JOIN service_item_versions s ON s.item_code = w.item_code AND s.version = w.item_version
      WHERE f.institution_id = i.id AND f.state = 'published' AND s.rights && $4::text[]))
  AND ($5::text[] IS NULL OR EXISTS (SELECT FROM offerings f
      JOIN offering_versions w ON w.offering_id = f.id AND w.version = f.version
      JOIN service_item_versions s ON s.item_code = w.item_code AND s.version = w.item_version
      WHERE f.institution_id = i.id AND f.state = 'published' AND s.stages && $5::text[]))
ORDER BY md5(i.id::text) LIMIT $6 OFFSET $7
"""
ADD = """
WITH institution AS (
    INSERT INTO institutions (uscc, version, demo) VALUES ($1, 1, $8)
    ON CONFLICT (uscc) DO UPDATE SET version = institutions.version + 1 RETURNING id, version
)
INSERT INTO institution_versions (institution_id, version, name, kind, region_code, address, phone, summary)
SELECT id, version, $2, $3, $4, $5, $6, $7 FROM institution RETURNING institution_id
"""
COUNT = "SELECT count(*) FROM institutions WHERE state = 'active'"
KINDS = "SELECT code, name FROM institution_kinds ORDER BY code"


async def by_id(tx: Transaction, institution_id: int) -> Institution | None:
    """The institution in its current version."""
    return one_or_none(Institution, await tx.fetchrow(BY_ID, institution_id))


async def by_uscc(tx: Transaction, uscc: str) -> Institution | None:
    """The institution in its current version."""
    return one_or_none(Institution, await tx.fetchrow(BY_USCC, uscc))


async def page(
    tx: Transaction,
    wanted: InstitutionFilter,
    patterns: list[str] | None,
    *,
    limit: int,
    offset: int,
) -> list[Institution]:
    """Active institutions that fit the filter and every LIKE pattern."""
    given = (wanted.institution_kind or None, wanted.within, patterns, wanted.right or None, wanted.stage or None)
    return many(Institution, await tx.fetch(PAGE, *given, limit, offset))


async def by_ids(tx: Transaction, institution_ids: list[int]) -> list[Institution]:
    """These institutions in their current versions, in no order."""
    return many(Institution, await tx.fetch(BY_IDS, institution_ids))


async def add_version(tx: Transaction, form: InstitutionForm, *, demo: bool) -> int:
    """Store the next version of the institution with that code (the first, for a new code); its id."""
    institution_id: int = await tx.fetchval(
        ADD, form.uscc, form.name, form.kind, form.region_code, form.address, form.phone, form.summary, demo
    )
    return institution_id


async def count(tx: Transaction) -> int:
    """How many institutions are active."""
    n: int = await tx.fetchval(COUNT)
    return n


async def kinds(tx: Transaction) -> dict[str, str]:
    """Kinds of institution: code → name."""
    return {row["code"]: row["name"] for row in await tx.fetch(KINDS)}
