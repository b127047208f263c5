"""All SQL of letters."""

from infra.db import Transaction, many
from infra.observe import request_id
from market.conversations.model import Letter

LETTERS = """
SELECT l.id, l.need_id, l.match_id, a.name AS author_name, a.role AS author_role, l.text, l.at
FROM need_letters l JOIN accounts a ON a.id = l.author_id
"""
# An institution reads what was written while it served: neither what went before, nor what another was told.
OF_NEED = f"""{LETTERS} LEFT JOIN matches m ON m.id = l.match_id
WHERE l.need_id = $1 AND ($2::bigint IS NULL OR m.institution_id = $2::bigint) ORDER BY l.id
"""
BY_ID = f"{LETTERS} WHERE l.id = $1"
# Who serves the need: from the approval on, and never a mere proposal.
SERVES = """
SELECT m.id, v.name FROM matches m
JOIN institution_versions v ON v.institution_id = m.institution_id AND v.version = m.institution_version
WHERE m.need_id = $1 AND m.state IN ('approved', 'decline_requested', 'accepted', 'delivered')
"""
ADD = """
INSERT INTO need_letters (need_id, match_id, author_id, text, request_id) VALUES ($1, $2, $3, $4, $5) RETURNING id
"""


async def of_need(tx: Transaction, need_id: int, institution_id: int | None) -> list[Letter]:
    """The need's letters, oldest first; with an institution, only those of its own matches."""
    return many(Letter, await tx.fetch(OF_NEED, need_id, institution_id))


async def serves(tx: Transaction, need_id: int) -> tuple[int, str] | None:
    """The match that serves the need, and its institution's name."""
    row = await tx.fetchrow(SERVES, need_id)
    return (row["id"], row["name"]) if row else None


async def add(tx: Transaction, need_id: int, match_id: int | None, author_id: int, text: str) -> Letter:
    """The letter as written."""
    letter_id = await tx.fetchval(ADD, need_id, match_id, author_id, text, request_id())
    [letter] = many(Letter, await tx.fetch(BY_ID, letter_id))
    return letter
