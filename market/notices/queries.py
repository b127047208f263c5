"""All SQL of public notices."""

from infra.db import Transaction, many, one_or_none
from market.notices.model import Notice, NoticeForm, NoticeKind

COLUMNS = """
SELECT n.id, n.version, n.node_id, d.name AS node_name, d.region_code, n.kind, n.title, n.body, n.state, n.published_at
FROM notices n JOIN nodes d ON d.id = n.node_id
"""
BY_ID = f"{COLUMNS} WHERE n.id = $1"
PAGE = f"""{COLUMNS}
WHERE n.state = 'published' AND ($1::text[] IS NULL OR n.kind = ANY ($1::text[]))
  AND ($2::text[] IS NULL OR n.title || ' ' || n.body ILIKE ALL ($2::text[]))
ORDER BY n.published_at DESC, n.id DESC LIMIT $3 OFFSET $4
"""
BY_IDS = f"{COLUMNS} WHERE n.id = ANY($1::bigint[]) AND n.state = 'published'"
INSERT = "INSERT INTO notices (node_id, kind, title, body, created_by) VALUES ($1, $2, $3, $4, $5) RETURNING id"
UPDATE = """
UPDATE notices SET kind = $3, title = $4, body = $5, version = version + 1 WHERE id = $1 AND version = $2 RETURNING id
"""
WITHDRAW = """
UPDATE notices SET state = 'withdrawn', version = version + 1 WHERE id = $1 AND state = 'published' RETURNING id
"""


async def find(tx: Transaction, notice_id: int) -> Notice | None:
    """The notice, in any state."""
    return one_or_none(Notice, await tx.fetchrow(BY_ID, notice_id))


async def page(
    tx: Transaction, kinds: tuple[NoticeKind, ...], patterns: list[str] | None, *, limit: int, offset: int
) -> list[Notice]:
    """Published notices of these kinds (none: all) that fit every LIKE pattern, newest first."""
    return many(Notice, await tx.fetch(PAGE, kinds or None, patterns, limit, offset))


async def by_ids(tx: Transaction, notice_ids: list[int]) -> list[Notice]:
    """These notices, if published, in no order."""
    return many(Notice, await tx.fetch(BY_IDS, notice_ids))


async def insert(tx: Transaction, node_id: int, form: NoticeForm, created_by: int) -> int:
    """The id of a new notice."""
    notice_id: int = await tx.fetchval(INSERT, node_id, form.kind, form.title, form.body, created_by)
    return notice_id


async def update(tx: Transaction, notice_id: int, version: int, form: NoticeForm) -> bool:
    """Write the next version; False where somebody else did so first."""
    return await tx.fetchval(UPDATE, notice_id, version, form.kind, form.title, form.body) is not None


async def withdraw(tx: Transaction, notice_id: int) -> bool:
    """Take it back; False where that was done before."""
    return await tx.fetchval(WITHDRAW, notice_id) is not None
