"""Use cases of the catalogue."""

from datetime import date

from infra.db import Transaction
from market.catalogue import queries
from market.catalogue.model import ItemContent, ServiceItem
from market.errors import NotFound


async def find(tx: Transaction, code: str, version: int | None = None) -> ServiceItem:
    """The item in that version, or in its newest; a withdrawn one too.

    Raises:
        NotFound: there is none.
    """
    item = await queries.item(tx, code, version)
    if item is None:
        raise NotFound
    return item


async def store(
    tx: Transaction,
    code: str,
    content: ItemContent,
    *,
    number: int,
    institution_id: int | None = None,
    effective_until: date | None = None,
) -> bool:
    """Put what a file or the shipped facts say in force, unless it is as it was or withdrawn; whether it was stored."""
    now = await queries.item(tx, code)
    if now is not None and (
        now.withdrawn_on or (now.content, now.number, now.effective_until) == (content, number, effective_until)
    ):
        return False
    await queries.add_version(
        tx, code, content, number=number, institution_id=institution_id, effective_until=effective_until
    )
    return True
