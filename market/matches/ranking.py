"""Ranking a need: what the worker reads, the ranking itself, and what it stores."""

import asyncio
from collections import Counter
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from infra.db import Transaction
from market.catalogue import queries as catalogue
from market.catalogue.model import ChainStage, RightKind, ServiceItem
from market.data.language import Language, LanguageSource
from market.learning.service import ScorerSource
from market.matches import queries
from market.matches.model import MatchAction, MatchState, PublishedOffering
from market.needs import queries as needs
from market.needs import service as need_service
from market.needs.model import Need, NeedAction, NeedState, Understanding
from matching.explore import Chance
from matching.rank import OfferingIndex, rank
from matching.scorer import Scorer
from matching.types import ItemText, NeedView, OfferingView, PastNeed, Ranking, Record
from matching.types import Understanding as Understood
from matching.understand import Understander

PAST_NEEDS = 1_000
"""Past needs that help to understand a new one: the latest, beside the examples shipped."""
PASSED_OVER = 20
"""Candidates kept of those not shown: from a shown list alone a model learns that what all on it share is worthless."""


class Catalogue(Struct, frozen=True, eq=False):
    """The catalogue and the words of one moment, ready to understand and to rank with, and the scorer then in force."""

    stamp: int
    words: Language
    item_names: dict[str, str]
    understander: Understander
    index: OfferingIndex
    scorer: Scorer


class CatalogueSource:
    """Keeps the catalogue vectorised in memory, and builds it anew when PostgreSQL's stamp or the words have changed.

    Needs confirmed since then wait for the next time, which any change of the catalogue brings.
    """

    def __init__(self, own_words: Path | None = None) -> None:
        """`own_words`: folder of the installation's own words, looked at again for every use."""
        self._words = LanguageSource(own_words)
        self._current: Catalogue | None = None
        self._building = asyncio.Lock()
        self._scorers = ScorerSource()

    async def get(self, tx: Transaction) -> Catalogue:
        """The catalogue as of now."""
        scorer = await self._scorers.get(tx)
        current = self._current
        if current is None or self._is_old(current, await catalogue.stamp(tx)):
            async with self._building:
                stamp = await catalogue.stamp(tx)  # who waited may find what it needs built already
                current = self._current
                if current is None or self._is_old(current, stamp):
                    items, offerings = await catalogue.items(tx), await queries.published(tx)
                    past, words = await queries.confirmed(tx, PAST_NEEDS), self._words.get()
                    current = await asyncio.to_thread(_build, stamp, items, offerings, past, words, scorer)
                    self._current = current
        return replace(current, scorer=scorer)

    def _is_old(self, built: Catalogue, stamp: int) -> bool:
        return built.stamp < stamp or built.words is not self._words.get()


class Job(Struct, frozen=True, eq=False):
    """All that ranking one need takes."""

    need_id: int
    need_version: int
    node_id: int
    view: NeedView
    catalogue: Catalogue
    records: dict[int, Record]


class Outcome(Struct, frozen=True, eq=False):
    """A ranking, and what was understood of the text on the way."""

    ranking: Ranking
    understanding: Understanding


async def read(tx: Transaction, source: CatalogueSource, need_id: int) -> Job | None:
    """What ranking the need takes; None where it does not wait for a ranking any more."""
    need = await needs.find_for_job(tx, need_id)
    if need is None or need.state is not NeedState.SUBMITTED:
        return None
    own = await queries.own_institution(tx, need.enterprise_id)
    return Job(
        need_id=need.id,
        need_version=need.version,
        node_id=need.node_id,
        view=NeedView(
            text=need.body,
            region_code=need.region_code,
            territory=need.node_region,
            item_codes=need.item_codes,
            audience=await queries.enterprise_kind(tx, need.enterprise_id),
            conflicts=() if own is None else (own,),
            declined_by=await queries.declined_by(tx, need.id),
        ),
        catalogue=await source.get(tx),
        records=await queries.records(tx),
    )


def compute(job: Job, *, top: int, gap: float) -> Outcome:
    """Rank, outside of any transaction. The same need in the same version gets the same seed.

    ``gap``: candidates no further apart than so many points change places by chance.
    """
    known = job.catalogue
    reading = known.understander.read(job.view.text)
    ranking = rank(
        job.view,
        known.index.with_records(job.records),
        known.scorer,
        reading,
        top=top,
        seed=(job.need_id << 20) + job.need_version,
        chance=Chance(gap=gap),
        passed_over=PASSED_OVER,
    )
    return Outcome(ranking, understanding=_stored(reading.understanding))


def understand(known: Catalogue, text: str) -> Understanding:
    """What the platform reads out of ``text``."""
    return _stored(known.understander.understand(text))


def _stored(found: Understood) -> Understanding:
    """What was understood, as a need keeps it."""
    return Understanding(
        item_codes=tuple(item.code for item in found.items),
        item_names=tuple(item.name for item in found.items),
        rights=tuple(map(RightKind, found.rights)),
        stages=tuple(map(ChainStage, found.stages)),
        outside_scope=found.outside_scope,
        missing=found.missing,
    )


async def store(tx: Transaction, job: Job, outcome: Outcome) -> bool:
    """Write the run, its candidates and the proposed match; False, and nothing, where the need has moved on."""
    need = await needs.find_for_job(tx, job.need_id, lock=True)
    if need is None or need.state is not NeedState.SUBMITTED or need.version != job.need_version:
        return False
    ranking, understanding = outcome.ranking, outcome.understanding
    asked = set(need.item_codes or understanding.item_codes)
    excluded = [e for e in ranking.excluded if job.catalogue.index.item_of(e.offering_id) in asked]
    counts = Counter(e.rule for e in ranking.excluded)
    run_id = await queries.insert_run(tx, need.id, need.version, need.node_id, ranking, excluded, counts)
    await needs.set_understanding(tx, need.id, understanding)
    if understanding.outside_scope and not need.item_codes:
        await need_service.advance(tx, need, NeedAction.FIND_NONE, None, note="这条需求看起来不属于知识产权公共服务。")
    elif not ranking.ranked:
        await need_service.advance(tx, need, NeedAction.FIND_NONE, None, note="本节点范围内没有可以承接的服务。")
    else:
        await _propose(tx, need, run_id, ranking)
    return True


async def _propose(tx: Transaction, need: Need, run_id: int, ranking: Ranking) -> None:
    await need_service.advance(tx, need, NeedAction.PROPOSE, None, candidates=len(ranking.ranked))
    await queries.insert(
        tx,
        run_id,
        ranking.ranked[0].offering_id,
        state=MatchState.PROPOSED,
        action=MatchAction.PROPOSE,
        due_at=None,
        due_provisional=False,
        actor_id=None,
        note="",
    )


def _build(
    stamp: int,
    items: list[ServiceItem],
    offerings: list[PublishedOffering],
    past: list[PastNeed],
    words: Language,
    scorer: Scorer,
) -> Catalogue:
    return Catalogue(
        stamp=stamp,
        words=words,
        item_names={item.code: item.name for item in items},
        understander=Understander(
            [_item_text(item) for item in items],
            words.lexicon,
            [*(example.as_past for example in words.examples), *past],
        ),
        index=OfferingIndex.build([_view(offering) for offering in offerings]),
        scorer=scorer,
    )


def _item_text(item: ServiceItem) -> ItemText:
    guide = item.guide
    return ItemText(
        number=item.number,
        code=item.code,
        name=item.name,
        text=" ".join((*guide.conditions, *guide.materials, *guide.result)),
        aliases=item.aliases,
        rights=item.rights,
        stages=item.stages,
        group=item.item_group,
        consultation="咨询" in item.name,
    )


def _view(offering: PublishedOffering) -> OfferingView:
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
