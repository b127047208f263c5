"""A year at the demo's nodes, as a simulation: every need lives its own life, all on one clock.

Lives are generators that yield the moment they go on. Rankings are the product's own, over the load and record of that
moment; people decide by chance and by a hidden quality of each offering, so there is something to be learned from the
records. A life that has not ended when the clock reaches now is a need somebody has to act on.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from random import Random

from msgspec import Struct

from market.calendars.model import ZONE, Calendar
from market.demo.journal import Journal, Life
from market.demo.memory import Memory
from market.demo.needs import Words, wish
from market.demo.people import CITY, PROVINCE
from market.demo.ratings import Raters
from market.demo.rows import Client, History, NeedRow, Node, Provider
from market.matches.model import MatchAction as M
from market.matches.ranking import Catalogue, Job, compute
from market.needs.model import Channel, NeedState, Understanding
from market.needs.model import NeedAction as N
from matching.types import NeedView, Ranked, Record

RANKED_AFTER = timedelta(seconds=2)
DAYS = 365
RECENT_DAYS = 12


class Limits(Struct, frozen=True, kw_only=True):
    """The settings that history keeps to."""

    match_days: int
    accept_days: int
    shortlist_size: int
    rectification_days: Mapping[str, int]


class World(Struct, frozen=True, kw_only=True):
    """Who and what there is before the first need."""

    nodes: Mapping[str, Node]
    clerk_id: int
    clients: Sequence[Client]
    providers: Mapping[int, Provider]
    results: Mapping[str, Sequence[str]]
    """Texts of results by item code."""
    item_codes: Mapping[int, str]
    kind_names: Mapping[str, str]
    catalogue: Catalogue
    calendar: Calendar
    words: Words
    limits: Limits


def simulate(world: World, rng: Random, need_ids: Sequence[int], now: datetime) -> History:
    """What became of so many needs, submitted over the year before ``now``; the last sixth in its last days."""
    moments = sorted(_moment(rng, now, position, len(need_ids)) for position in range(len(need_ids)))
    return _Simulation(world, rng, now).run(list(zip(need_ids, moments, strict=True)))


def _moment(rng: Random, now: datetime, position: int, many: int) -> datetime:
    days = RECENT_DAYS if position < many // 6 else DAYS
    day = (now - timedelta(days=rng.random() * days)).astimezone(ZONE).date()
    moment = datetime.combine(day, time(rng.choice((9, 10, 11, 14, 15, 16, 20)), rng.randrange(60), rng.randrange(60)))
    return min(moment.replace(tzinfo=ZONE), now - timedelta(minutes=rng.randint(10, 90)))


class _Simulation:
    def __init__(self, world: World, rng: Random, now: datetime) -> None:
        self.world, self.rng, self.words = world, rng, world.words
        self.end = now - timedelta(minutes=5)
        self.journal = Journal(world.providers, now)
        self.memory = Memory(now - timedelta(days=DAYS))
        chance = Random(rng.getstate()[1][0])  # noqa: S311 - its own, drawn from without moving the other
        self.raters = Raters(
            self.journal,
            chance,
            world.calendar,
            world.limits.rectification_days,
            partial(self._hours, chance),
            self.end,
        )

    def run(self, beginnings: Sequence[tuple[int, datetime]]) -> History:
        clock = [(at, need_id, self._life(need_id, at)) for need_id, at in beginnings]
        heapq.heapify(clock)
        while clock:
            self.journal.at, need_id, life = heapq.heappop(clock)
            if self.journal.at < self.end and (goes_on := next(life, None)) is not None:
                heapq.heappush(clock, (goes_on, need_id, life))
        return self.journal.history

    # a need's life ------------------------------------------------------------------------------------------------

    def _life(self, need_id: int, at: datetime) -> Iterator[datetime]:
        life = self._begin(need_id, at)
        self.journal.move(life, N.SUBMIT, life.filer)
        while True:  # every decline leaves one institution fewer to ask
            self._rank(life)
            yield self._office_hours(0, self.world.limits.match_days)
            if self.rng.random() < 0.03:
                self.journal.end(life, N.WITHDRAW, life.filer, self.rng.choice(self.words.withdraw))
                return
            if life.wanted is None:
                self.journal.end(life, N.CLOSE, self._coordinator(life), self.words.close_outside)
                return
            if life.wish.vague and not life.returned:
                yield from self._complete(life)
                continue
            chosen = self._choose(life)
            if chosen is None:
                if life.node.region_code == PROVINCE:
                    self.journal.end(life, N.CLOSE, self._coordinator(life), self.words.close_unserved)
                    return
                self._escalate(life)
                continue
            self._assign(life, chosen)
            yield from self._answer(life, chosen)
            if life.need.state is NeedState.SERVING:
                yield from self._serve(life, chosen)
                return

    def _begin(self, need_id: int, at: datetime) -> Life:
        world, rng = self.world, self.rng
        client = rng.choice(world.clients)
        counter = client.account_id is None or rng.random() < 0.08
        desired = wish(rng, self.words, client.who, world.kind_names[client.who.kind])
        wanted = None if desired.item is None else world.item_codes[desired.item]
        due_at, provisional = world.calendar.due_at(at, world.limits.match_days)
        need = NeedRow(
            id=need_id,
            enterprise_id=client.id,
            submitted_by=world.clerk_id if counter or client.account_id is None else client.account_id,
            channel=Channel.COUNTER if counter else Channel.ONLINE,
            body=desired.vague or desired.text,
            item_codes=(wanted,) if wanted and not desired.vague and rng.random() < 0.2 else (),
            contact_name=client.who.contact_name,
            contact_phone=client.who.contact_phone,
            region_code=client.who.region_code,
            node_id=world.nodes[CITY].id,
            owner_id=None,
            understanding=Understanding(),
            wanted_by=self._wanted_by(at),
            due_at=due_at,
            due_provisional=provisional,
            created_at=at,
        )
        self.journal.history.needs.append(need)
        return Life(
            need=need, client=client, wish=desired, wanted=wanted, node=world.nodes[CITY], filer=need.submitted_by
        )

    def _wanted_by(self, at: datetime) -> date | None:
        """The day a need is wanted by, where it says one."""
        if self.rng.random() > 0.25:
            return None
        return self.world.calendar.add_working_days(at.astimezone(ZONE).date(), self.rng.randint(3, 40)).day

    def _complete(self, life: Life) -> Iterator[datetime]:
        """Returned once with all that is missing, completed by the enterprise."""
        need, missing = life.need, life.need.understanding.missing
        gaps = "；".join(self.words.gap_words[gap] for gap in missing)
        self.journal.end(
            life, N.RETURN, self._coordinator(life), self.words.returned.format(gaps=gaps), missing=missing
        )
        life.returned = True
        yield self._office_hours(0, 4)
        before = need.body
        need.body = f"{before}\n{self.rng.choice(self.words.supplements)}{life.wish.text}"
        need.due_at, need.due_provisional = self.world.calendar.due_at(self.journal.at, self.world.limits.match_days)
        self.journal.move(life, N.RESUBMIT, life.filer, before=before)

    def _escalate(self, life: Life) -> None:
        note = self.rng.choice(self.words.escalate)
        self.journal.end(life, N.ESCALATE, self._coordinator(life), note, from_node=life.node.name)
        life.node = self.world.nodes[PROVINCE]
        life.need.node_id, life.need.owner_id = life.node.id, None

    def _answer(self, life: Life, provider: Provider) -> Iterator[datetime]:
        """The institution accepts or declines; of a common item it may only ask to."""
        fits = provider.item_code == life.wanted
        yield self._office_hours(0, self.world.limits.accept_days)
        if self.rng.random() < (0.5 if fits else 0.25) + 0.48 * provider.quality:
            self._accept(life, provider)
            return
        reason, server = self.rng.choice(self.words.decline), provider.account_id
        if not provider.common:
            self.journal.advance(life, M.DECLINE, server, note=reason)
            self._declined(life, provider, server, reason)
            return
        self.journal.advance(life, M.REQUEST_DECLINE, server, note=reason)
        yield self._office_hours(0, 1)
        coordinator = self._coordinator(life)
        if self.rng.random() < (0.3 if fits else 0.8):
            note = self.rng.choice(self.words.grant)
            self.journal.advance(life, M.GRANT_DECLINE, coordinator, note=note)
            self._declined(life, provider, coordinator, note)
        else:
            self.journal.advance(life, M.REFUSE_DECLINE, coordinator, note=self.rng.choice(self.words.refuse))
            yield self._office_hours(0, 1)
            self._accept(life, provider)

    def _accept(self, life: Life, provider: Provider) -> None:
        assert life.match is not None
        self.journal.move(life, N.ACCEPT, provider.account_id)
        self.journal.advance(life, M.ACCEPT, provider.account_id)
        match = life.match
        match.due_at, match.due_provisional = None, False
        if provider.promised_days is not None:
            match.due_at, match.due_provisional = self.world.calendar.due_at(self.journal.at, provider.promised_days)

    def _declined(self, life: Life, provider: Provider, actor: int, note: str) -> None:
        self.journal.move(life, N.DECLINE, actor, note)
        life.declined_by = (*life.declined_by, provider.institution_id)
        life.match = None

    def _serve(self, life: Life, provider: Provider) -> Iterator[datetime]:
        days = provider.promised_days
        if days is None:
            yield self._office_hours(2, 12)
        elif self.rng.random() < 0.45 + 0.53 * provider.quality:
            yield self._office_hours(days // 2, max(days - 1, 0))
        else:
            yield self._office_hours(days + 1, days + 6)
        result = self.rng.choice(self.world.results[provider.item_code])
        self._deliver(life, provider, result)
        yield self._office_hours(0, 4)
        reworked = self.rng.random() < 0.14 * (1 - provider.quality)
        if reworked:
            note = self.rng.choice(self.words.rework)
            self.journal.move(life, N.REWORK, life.filer, note)
            self.journal.advance(life, M.REWORK, life.filer, note=note)
            yield self._office_hours(1, 4)
            self._deliver(life, provider, f"{result}\n{self.words.rework_result}")
            yield self._office_hours(0, 3)
        self.journal.move(life, N.CONFIRM, life.filer)
        self.journal.advance(life, M.CONFIRM, life.filer)
        self.memory.keep_service(life.need.body, provider.institution_id, _industry(life))
        yield from self.raters.rate(life, provider, self._coordinator(life), reworked=reworked)

    def _deliver(self, life: Life, provider: Provider, result: str) -> None:
        match = life.match
        assert match is not None
        self.journal.move(life, N.DELIVER, provider.account_id)
        match.result, match.delivered_on_time = result, match.due_at is None or self.journal.at <= match.due_at
        said = {"on_time": match.delivered_on_time, "due_at": match.due_at}
        self.journal.advance(life, M.DELIVER, provider.account_id, note=result, **said)

    # ranking and choosing -----------------------------------------------------------------------------------------

    def _rank(self, life: Life) -> None:
        """As the worker does it, seconds after the need is submitted."""
        self.journal.at += RANKED_AFTER
        need, world, catalogue = life.need, self.world, self.world.catalogue
        job = Job(
            need_id=need.id,
            need_version=need.version,
            node_id=life.node.id,
            view=NeedView(
                text=need.body,
                region_code=need.region_code,
                territory=life.node.region_code,
                item_codes=need.item_codes,
                audience=life.client.who.kind,
                industry=_industry(life),
                days_left=self._days_left(need.wanted_by),
                declined_by=life.declined_by,
            ),
            catalogue=catalogue,
            index=catalogue.supply.index.with_past(self.memory.past(self.journal.at)),
            records={p.id: _record(p) for p in world.providers.values()},
        )
        outcome = compute(job, top=world.limits.shortlist_size, gap=0.0)
        ranking, need.understanding = outcome.ranking, outcome.understanding
        life.ranking = ranking
        asked = set(need.item_codes or need.understanding.item_codes)
        excluded = [one for one in ranking.excluded if world.catalogue.supply.index.item_of(one.offering_id) in asked]
        self.journal.store_run(life, ranking, excluded)
        if need.understanding.outside_scope and not need.item_codes:
            self.journal.move(life, N.FIND_NONE, None, "这条需求看起来不属于知识产权公共服务。")
        elif not ranking.ranked:
            self.journal.move(life, N.FIND_NONE, None, "本节点范围内没有可以承接的服务。")
        else:
            self.journal.move(life, N.PROPOSE, None, candidates=len(ranking.ranked))
            self.journal.make_match(life, world.providers[ranking.ranked[0].offering_id], M.PROPOSE, None, "")
            self.memory.keep_proposal(self.journal.at, ranking.ranked[0].offering_id)

    def _days_left(self, wanted_by: date | None) -> int | None:
        if wanted_by is None:
            return None
        return self.world.calendar.working_days_between(self.journal.at.astimezone(ZONE).date(), wanted_by)

    def _choose(self, life: Life) -> Provider | None:
        """The candidate the coordinator takes: mostly the first, unless another plainly serves better."""
        ranked = life.ranking.ranked if life.ranking else ()
        free = [one for one in ranked if self._has_room(one)]
        fitting = [one for one in free if self.world.providers[one.offering_id].item_code == life.wanted]
        if not fitting and (not free or life.node.region_code == CITY):
            return None
        best = max(fitting or free, key=lambda one: self._merit(life, one))
        first = free[0]
        stays = first in fitting and self._merit(life, best) - self._merit(life, first) < 0.25
        return self.world.providers[(first if stays else best).offering_id]

    def _merit(self, life: Life, one: Ranked) -> float:
        provider = self.world.providers[one.offering_id]
        near = provider.institution_region == life.need.region_code
        return one.score / 100 + 0.6 * provider.quality + 0.1 * near - 0.3 * provider.load / provider.capacity

    def _has_room(self, one: Ranked) -> bool:
        provider = self.world.providers[one.offering_id]
        return provider.load < provider.capacity

    def _assign(self, life: Life, chosen: Provider) -> None:
        coordinator, live = self._coordinator(life), life.match
        if live is not None and live.offering_id == chosen.id:
            self.journal.move(life, N.APPROVE, coordinator)
            self.journal.advance(life, M.APPROVE, coordinator)
        else:
            reason = self._reason(life, chosen)
            self.journal.move(life, N.OVERRIDE, coordinator, reason)
            if live is not None:
                self.journal.advance(life, M.SUPERSEDE, coordinator, note=reason)
            self.journal.make_match(life, chosen, M.OVERRIDE, coordinator, reason)
        assert life.match is not None
        due_at, provisional = self.world.calendar.due_at(self.journal.at, self.world.limits.accept_days)
        life.match.due_at, life.match.due_provisional = due_at, provisional

    def _reason(self, life: Life, chosen: Provider) -> str:
        live, words = life.match, self.words
        if live is None:
            return words.unmatched
        if live.item_code != chosen.item_code:
            return words.override["item"].format(item=self.world.catalogue.item_names[chosen.item_code])
        near = chosen.institution_region == life.need.region_code
        return words.override["near" if near else "quality"]

    def _coordinator(self, life: Life) -> int:
        """Whoever owns the need, or whoever is there."""
        return life.need.owner_id or self.rng.choice(life.node.coordinators)

    def _office_hours(self, fewest: int, most: int) -> datetime:
        """Some moment at which people work, so many working days from now."""
        return self._hours(self.rng, fewest, most)

    def _hours(self, rng: Random, fewest: int, most: int) -> datetime:
        local, days = self.journal.at.astimezone(ZONE), rng.randint(fewest, most)
        if days == 0 and self.world.calendar.is_working(local.date()) and 8 < local.hour < 16:
            return self.journal.at + timedelta(minutes=rng.randint(10, 100), seconds=rng.randrange(60))
        day = self.world.calendar.add_working_days(local.date(), max(days, 1)).day
        return datetime.combine(day, time(rng.randint(9, 16), rng.randrange(60), rng.randrange(60)), ZONE)


def _industry(life: Life) -> str | None:
    code = life.client.who.industry_code
    return code[0] if code else None


def _record(provider: Provider) -> Record:
    return Record(**{name: getattr(provider, name) for name in Record.__struct_fields__})
