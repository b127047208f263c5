"""Ranking a need: what the worker reads, the ranking itself, and what it stores."""

import asyncio
import math
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from infra.db import Transaction
from market.calendars import queries as calendars
from market.calendars.model import ZONE
from market.catalogue import queries as catalogue
from market.catalogue.model import ChainStage, RightKind, ServiceItem
from market.data.language import Language, LanguageSource
from market.discovery.service import Finder
from market.enterprises import service as enterprises
from market.i18n import N_
from market.learning import service as learning
from market.learning.serving import Serving, ServingSource
from market.matches import queries
from market.matches.choosing import Proposal, choose
from market.matches.model import MatchAction, MatchState
from market.needs import queries as needs
from market.needs import service as need_service
from market.needs.model import Need, NeedAction, NeedState, Understanding
from market.supply import queries as supply_queries
from market.supply import service as supply
from market.supply.model import PublishedOffering
from matching.explore import Chance
from matching.past import NO_PAST, Past
from matching.rank import OfferingIndex, rank
from matching.types import ItemText, NeedView, PastNeed, Ranking, Record
from matching.types import Understanding as Understood
from matching.understand import Understander

PAST_NEEDS = 1_000
"""Past needs that help to understand a new one: the latest, beside the examples shipped."""
COMPLETED = 2_000
"""Completed needs by which institutions are judged to know a kind of need or an industry: the latest."""
PROPOSED_DAYS = 30
"""Proposals of so many days count as exposure, as the feature's sentence says."""
PAST_SECONDS = 3_600
"""The past is read anew so often: completed needs and exposure tell the same an hour later."""
PASSED_OVER = 20
"""Candidates kept of those not shown: from a shown list alone a model learns that what all on it share is worthless."""
OUTSIDE, NOBODY = N_("这条需求看起来不属于知识产权公共服务。"), N_("本节点范围内没有可以承接的服务。")
"""Why nobody is proposed: kept in Chinese, and translated where it is read."""


class Catalogue(Struct, frozen=True, eq=False):
    """The catalogue and the words of one moment, ready to understand and to rank with, and the models then in force."""

    stamp: int
    words: Language
    items: list[ServiceItem]
    item_names: dict[str, str]
    understander: Understander
    supply: supply.Supply
    serving: Serving

    def with_past(self, past: Past) -> Self:
        """The same, with what institutions have done by now."""
        return replace(self, supply=replace(self.supply, index=self.supply.index.with_past(past)))


class CatalogueSource:
    """Keeps the catalogue vectorised in memory, and builds it anew when PostgreSQL's stamp or the words have changed.

    What institutions have done is read anew every hour.

    What a text means is learned anew where items or words have changed, which is nearly all of the work: offerings come
    and go all day without a say in it. Needs confirmed since then wait for the first change of the catalogue after an
    hour.
    """

    def __init__(self, own_words: Path | None = None, finder: Finder | None = None) -> None:
        """`own_words`: folder of the installation's own words, looked at again for every use.

        `finder`: looks for candidates in a large catalogue.
        """
        self._finder = finder
        self._words = LanguageSource(own_words)
        self._current: Catalogue | None = None
        self._past, self._past_at, self._learned_at = NO_PAST, -math.inf, -math.inf
        self._building = asyncio.Lock()
        self._serving = ServingSource()

    async def get(self, tx: Transaction) -> Catalogue:
        """The catalogue as of now."""
        serving = await self._serving.get(tx)
        current, stamp = self._current, await catalogue.stamp(tx)
        if current is None or self._is_old(current, stamp):
            async with self._building:
                # What was built meanwhile is as new as was asked for, though the stamp may have moved on since: where
                # offerings change all the time, whoever waited would otherwise build anew, one after another.
                current = self._current
                if current is None or self._is_old(current, stamp):
                    current = self._current = await self._read(tx, await catalogue.stamp(tx), serving)
        return replace(current, serving=serving)

    def _is_old(self, built: Catalogue, stamp: int) -> bool:
        return built.stamp < stamp or built.words is not self._words.get() or self._past_is_old()

    def _past_is_old(self) -> bool:
        return time.monotonic() - self._past_at > PAST_SECONDS

    async def _read(self, tx: Transaction, stamp: int, serving: Serving) -> Catalogue:
        if self._past_is_old():
            services, proposed = (
                await supply_queries.completed(tx, COMPLETED),
                await supply_queries.proposed(tx, PROPOSED_DAYS),
            )
            self._past = await asyncio.to_thread(Past.build, services, proposed)
            self._past_at = time.monotonic()
        words, built = self._words.get(), self._current
        if built is not None and built.stamp == stamp and built.words is words:
            return built.with_past(self._past)
        items, offerings = await catalogue.items(tx), await supply_queries.published(tx, supply.WHOLE + 1)
        learned = await self._learned(tx, items, words)
        return await asyncio.to_thread(
            _build, stamp, items, offerings, words, learned, self._past, serving, self._finder
        )

    async def _learned(self, tx: Transaction, items: list[ServiceItem], words: Language) -> Understander:
        built = self._current
        recent = time.monotonic() - self._learned_at <= PAST_SECONDS
        if built is not None and recent and built.words is words and built.items == items:
            return built.understander
        known = await supply_queries.confirmed(tx, PAST_NEEDS)
        learned = await asyncio.to_thread(_learn, items, words, known)
        self._learned_at = time.monotonic()
        return learned


class Job(Struct, frozen=True, eq=False):
    """All that ranking one need takes."""

    need_id: int
    need_version: int
    node_id: int
    view: NeedView
    catalogue: Catalogue
    index: OfferingIndex
    """The offerings that are compared."""
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
    enterprise = await enterprises.find(tx, need.enterprise_id)
    view = NeedView(
        text=need.body,
        region_code=need.region_code,
        territory=need.node_region,
        item_codes=need.item_codes,
        rights=need.rights,
        audience=enterprise.kind,
        industry=enterprise.industry,
        days_left=await _days_left(tx, need),
        conflicts=() if own is None else (own,),
        declined_by=await queries.declined_by(tx, need.id),
    )
    known = await source.get(tx)
    codes = need.item_codes or understand(known, need.body).item_codes
    index, records = await known.supply.compared(tx, view, codes, seed=need.id)
    return Job(need.id, need.version, need.node_id, view, known, index, records)


async def _days_left(tx: Transaction, need: Need) -> int | None:
    """Working days until the day the need is wanted by; below 0 once it has passed."""
    if need.wanted_by is None:
        return None
    calendar = (await calendars.calendars(tx)).of(need.region_code)
    return calendar.working_days_between(datetime.now(ZONE).date(), need.wanted_by)


def compute(job: Job, *, top: int, gap: float) -> Outcome:
    """Rank, outside of any transaction. The same need in the same version gets the same seed.

    ``gap``: candidates no further apart than so many points change places by chance.
    """
    known, arms = job.catalogue, job.catalogue.serving.arms(job.need_id)
    reading = known.understander.read(job.view.text)
    ranking = rank(
        job.view,
        job.index.with_records(job.records),
        arms.ranks,
        reading,
        top=top,
        seed=(job.need_id << 20) + job.need_version,
        chance=Chance(gap=gap),
        passed_over=PASSED_OVER,
        second=arms.second,
    )
    return Outcome(ranking, understanding=_stored(reading.understanding))


def understand(known: Catalogue, text: str) -> Understanding:
    """What the platform reads out of ``text``."""
    return _stored(known.understander.understand(text))


def meant(known: Catalogue, text: str, chosen: tuple[str, ...], without: tuple[str, ...]) -> tuple[str, ...]:
    """The items that a text is about, as far as a person said: who strikes out what was misunderstood has looked at the
    rest, and means it; who strikes out nothing has chosen what is ticked, if anything.
    """
    if not without:
        return chosen
    return tuple(code for code in chosen or understand(known, text).item_codes if code not in without)


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


async def store(tx: Transaction, job: Job, outcome: Outcome, *, prices_hours: float = 0.0) -> bool:
    """Write the run, its candidates and the proposed match; False, and nothing, where the need has moved on.

    ``prices_hours``: what is proposed heeds a plan's prices, where they are no older.
    """
    need = await needs.find_for_job(tx, job.need_id, lock=True)
    if need is None or need.state is not NeedState.SUBMITTED or need.version != job.need_version:
        return False
    ranking, understanding = outcome.ranking, outcome.understanding
    asked = set(need.item_codes or understanding.item_codes)
    excluded = [e for e in ranking.excluded if job.index.item_of(e.offering_id) in asked]
    counts = Counter(e.rule for e in ranking.excluded)
    proposal = choose(ranking, await queries.prices(tx, need.node_id, prices_hours)) if ranking.ranked else Proposal(1)
    run_id = await queries.insert_run(
        tx,
        need.id,
        need.version,
        need.node_id,
        ranking,
        excluded,
        counts,
        proposed_rank=proposal.rank,
        prices=proposal.prices,
    )
    await learning.log_trial(tx, run_id, job.catalogue.serving, need.id, ranking.second)
    await needs.set_understanding(tx, need.id, understanding)
    if understanding.outside_scope and not need.item_codes:
        await need_service.advance(tx, need, NeedAction.FIND_NONE, None, note=OUTSIDE)
    elif not ranking.ranked:
        await need_service.advance(tx, need, NeedAction.FIND_NONE, None, note=NOBODY)
    else:
        await _propose(tx, need, run_id, ranking, proposal.rank)
    return True


async def _propose(tx: Transaction, need: Need, run_id: int, ranking: Ranking, rank: int) -> None:
    await need_service.advance(tx, need, NeedAction.PROPOSE, None, candidates=len(ranking.ranked))
    await queries.insert(
        tx,
        run_id,
        ranking.ranked[rank - 1].offering_id,
        state=MatchState.PROPOSED,
        action=MatchAction.PROPOSE,
        actor_id=None,
        note="",
    )


def _learn(items: list[ServiceItem], words: Language, known: list[PastNeed]) -> Understander:
    examples = [*(example.as_past for example in words.examples), *known]
    return Understander([_item_text(item) for item in items], words.lexicon, examples)


def _build(
    stamp: int,
    items: list[ServiceItem],
    offerings: list[PublishedOffering],
    words: Language,
    understander: Understander,
    past: Past,
    serving: Serving,
    finder: Finder | None,
) -> Catalogue:
    return Catalogue(
        stamp=stamp,
        words=words,
        items=items,
        item_names={item.code: item.name for item in items},
        understander=understander,
        supply=supply.Supply(
            index=OfferingIndex.build([supply.as_view(offering) for offering in offerings], past),
            whole=len(offerings) <= supply.WHOLE,
            finder=finder,
        ),
        serving=serving,
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
        consultation="咨询" in item.name,  # not translated: part of the lists' names
    )
