"""Which offerings are compared for a need: all of a small catalogue; of a large one those that search brings.

Measured: to read a hundred thousand offerings into memory takes half a minute, after every change of any of them, and
needs would wait for that. To rank some hundred that were looked for takes as long as ever.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import chain

from msgspec import Struct

from infra.db import Transaction
from market.discovery.service import Finder
from market.regions.model import lineage
from market.supply import queries
from market.supply.model import PublishedOffering
from matching.rank import OfferingIndex
from matching.types import NeedView, OfferingView, Record
from search.documents import EVERYONE
from search.engine import DEPTH, IndexName, OneOf
from search.settings import PLACE

WHOLE = 5_000
"""So many published offerings are all compared with every need."""
UNDER_ITEMS = 300
"""Of a larger catalogue, offerings of the items asked for that are compared whatever their words; so a coordinator
also sees which of them a rule leaves out."""


class Supply(Struct, frozen=True, eq=False):
    """The catalogue in memory. ``whole``: all of it; otherwise as much as shows how rare its words are."""

    index: OfferingIndex
    whole: bool
    finder: Finder | None
    """Who looks for candidates where it is not whole. None: the database alone."""

    async def compared(
        self, tx: Transaction, need: NeedView, item_codes: Sequence[str], *, seed: int = 0
    ) -> tuple[OfferingIndex, dict[int, Record]]:
        """The offerings to compare for a need with these items, and their records of today.

        While the search engine is away, those of its items alone are compared: no need fails or waits for it.
        """
        if self.whole:
            return self.index, await queries.records(tx)
        ids = await queries.under_items(
            tx, item_codes, territory=need.territory, region=need.region_code, seed=seed, most=UNDER_ITEMS
        )
        ids = sorted({*ids, *await self._recalled(need, item_codes)})
        offerings = await queries.published_of(tx, ids)
        return self.index.over([as_view(one) for one in offerings]), await queries.records(tx, ids)

    async def _recalled(self, need: NeedView, item_codes: Sequence[str]) -> list[int]:
        """The best for the text among all, and among those of the items."""
        if self.finder is None:
            return []
        fitting = (
            OneOf("serves", tuple(lineage(need.region_code))),
            OneOf(PLACE, (need.territory,)),
            *([OneOf("audience", (need.audience, EVERYONE))] if need.audience else []),
        )
        of_items = (*fitting, OneOf("item_code", tuple(item_codes)))
        wanted = (fitting, of_items) if item_codes else (fitting,)
        recall = partial(self.finder.recall, IndexName.OFFERINGS, need.text)
        return [*chain.from_iterable(await asyncio.gather(*(recall(filters, DEPTH) for filters in wanted)))]


def as_view(offering: PublishedOffering) -> OfferingView:
    """An offering as matching takes it."""
    return OfferingView(
        offering_id=offering.offering_id,
        version=offering.version,
        institution_id=offering.institution_id,
        institution_region=offering.institution_region,
        item_code=offering.item_code,
        title=offering.title,
        text=f"{offering.item_name} {offering.summary}",
        region_codes=offering.region_codes,
        record=Record(capacity=0),  # read anew for every ranking
        rights=offering.rights,
        stages=offering.stages,
        audience=offering.audience,
        promised_days=offering.promised_days,
    )
