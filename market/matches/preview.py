"""What would fit a text, shown while it is being typed. Nothing is stored."""

import asyncio
from collections.abc import Collection

from infra.db import Transaction
from market.matches.ranking import Catalogue
from market.offerings import queries as offerings
from market.offerings.model import Offering
from matching.rank import rank
from matching.types import NeedView

MOST = 5
RANKED = 50


async def fitting(tx: Transaction, known: Catalogue, view: NeedView, item_codes: Collection[str]) -> list[Offering]:
    """The published offerings of these items that would be proposed, best first."""
    index, records = await known.supply.compared(tx, view, tuple(item_codes))
    ranking = await asyncio.to_thread(
        lambda: rank(
            view,
            index.with_records(records),
            known.serving.champion,
            known.understander.read(view.text),
            top=RANKED,
            seed=0,
        )
    )
    ids = [one.offering_id for one in ranking.ranked if index.item_of(one.offering_id) in item_codes][:MOST]
    found = {offering.id: offering for offering in await offerings.by_ids(tx, ids)}
    return [found[i] for i in ids]
