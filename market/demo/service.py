"""Loading the demo: once, in one transaction, the same for the same seed and moment."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import msgspec
from msgspec import Struct, structs

from infra import fields
from infra.db import Database, Transaction
from infra.settings import Settings
from market.accounts import queries as accounts
from market.accounts.model import Role
from market.calendars import service as calendars
from market.calendars.service import Deadlines
from market.catalogue import queries as catalogue
from market.catalogue.model import ItemList, ServiceItem
from market.deadlines import queries as deadline_rows
from market.demo import cast, history, ledger, lists, needs, notices, offerings, people, queries
from market.demo.cast import PASSWORD, Cast
from market.demo.history import Limits, World
from market.demo.offerings import Plan
from market.demo.people import LOGINS
from market.demo.queries import Counts
from market.demo.ratings import give_addresses
from market.demo.rows import History, Provider
from market.enterprises import queries as enterprises
from market.errors import Conflict
from market.importing import queries as importing
from market.learning import service as learning
from market.matches.model import MatchState
from market.matches.ranking import CatalogueSource
from market.needs import service as need_service
from market.needs.model import NeedState, Submission
from market.offerings.model import OfferingState
from market.ratings.model import RatingState, RectificationState
from market.rules import queries as rules
from market.rules.model import RuleName

__all__ = ["LOGINS", "PASSWORD", "DemoReport", "load", "load_demo", "read_questions", "submit_questions"]

SEED = 2026
NEEDS = 560
BEGAN = timedelta(days=history.DAYS + 35)
"""Institutions and their offerings are that old."""
EVERY = 1_000_000
CHUNK = 2_000


class DemoReport(Struct, frozen=True):
    """What the demo holds; ``loaded`` is False where it was there before, ``questions`` are those submitted now."""

    loaded: bool
    counts: Counts
    questions: int


async def load(database: Database, settings: Settings, *, questions: Path, seed: int = SEED) -> DemoReport:
    """The demo and the real questions of the file, where there is one, in one transaction; a second call does nothing.

    Raises:
        Conflict: as ``load_demo``.
    """
    texts = await asyncio.to_thread(read_questions, questions)
    async with database.transaction() as tx:
        loaded = await load_demo(tx, settings, now=datetime.now(UTC), seed=seed)
        submitted = await submit_questions(tx, texts, await calendars.deadlines(tx))
        return DemoReport(loaded, await queries.counts(tx), submitted)


async def load_demo(tx: Transaction, settings: Settings, *, now: datetime, seed: int = SEED) -> bool:
    """Store the demo; False where it was there before. The shipped facts must be there. ``now`` ends its history.

    Raises:
        Conflict: the database is in real use: somebody has one of the demo's logins.
    """
    if await queries.is_present(tx):
        return False
    if taken := await queries.taken_logins(tx, list(LOGINS)):
        raise Conflict(f"登录名 {'、'.join(taken)} 已有人使用，演示数据只能装进新的数据库。")
    await importing.be_patient(tx)
    await _load(tx, settings, now, Random(seed))  # noqa: S311 - invents texts and times, guards nothing
    await learning.measure(tx)  # as the last night would have
    return True


def read_questions(path: Path) -> tuple[str, ...]:
    """Texts of a file of needs, ``{"needs": [{"text": …}]}``; none where there is no such file."""
    if not path.is_file():
        return ()
    return tuple(need["text"] for need in msgspec.json.decode(path.read_bytes())["needs"])


async def submit_questions(tx: Transaction, questions: Sequence[str], deadlines: Deadlines) -> int:
    """Submit real questions for demo enterprises in turn, for the worker to match; how many were new."""
    asked = await queries.asked(tx, list(questions))
    new = [question for question in questions if question not in asked]
    for number, question in enumerate(new):
        login = cast.login_of(Role.ENTERPRISE, number % people.ENTERPRISES)
        actor = await accounts.actor_by_login(tx, login)
        assert actor is not None, "load_demo made it"
        await need_service.submit(tx, actor, Submission(body=question), deadlines)
    return len(new)


async def _load(tx: Transaction, settings: Settings, now: datetime, rng: Random) -> None:
    everybody = await cast.store(tx, rng, now - BEGAN)
    items, texts = await catalogue.items(tx), offerings.load_texts()
    plans = offerings.plans(rng, [server.who for server in everybody.servers], items, texts)
    ids = await _store_offerings(tx, everybody, plans, now - BEGAN)
    limits = await calendars.deadlines(tx)
    world = World(
        nodes=everybody.nodes,
        clerk_id=everybody.clerk_id,
        clients=everybody.clients,
        providers=_providers(everybody, plans, ids, {item.code: item for item in items}),
        results={item.code: texts[item.number].results for item in items},
        item_codes={item.number: item.code for item in items},
        kind_names=await enterprises.kinds(tx),
        catalogue=await CatalogueSource(settings.own_words).get(tx),
        calendar=limits.calendar(people.CITY),
        words=needs.load_words(),
        limits=Limits(
            match_days=limits.days(RuleName.MATCH, people.CITY),
            accept_days=limits.days(RuleName.ACCEPT, people.CITY),
            shortlist_size=settings.shortlist_size,
            rectification_days={rule.name: rule.working_days for rule in await rules.in_force(tx, people.CITY)},
        ),
    )
    need_ids = await queries.draw_ids(tx, "needs", NEEDS)
    happened = await asyncio.to_thread(history.simulate, world, rng, need_ids, now)
    await _store_history(tx, happened)
    await queries.pause_offerings(tx, [one for one, plan in zip(ids, plans, strict=True) if plan.paused_later])
    await lists.store(tx)
    await notices.store(tx)
    await ledger.store(tx, limits)
    for table in (fields.NEEDS, fields.ENTERPRISES):
        await fields.seal_rows(tx, table, 0, EVERY)


async def _store_offerings(tx: Transaction, everybody: Cast, plans: list[Plan], at: datetime) -> list[int]:
    ids = await queries.draw_ids(tx, "offerings", len(plans))
    rows = []
    for offering_id, plan in zip(ids, plans, strict=True):
        server = everybody.servers[plan.institution]
        owner = {"id": offering_id, "institution_id": server.id, "account_id": server.account_id}
        rows.append(structs.asdict(plan) | owner)
    await queries.insert_offerings(tx, rows, at)
    return ids


def _providers(
    everybody: Cast, plans: list[Plan], ids: list[int], items: dict[str, ServiceItem]
) -> dict[int, Provider]:
    found = {}
    for offering_id, plan in zip(ids, plans, strict=True):
        if plan.state is OfferingState.PUBLISHED:
            server, item = everybody.servers[plan.institution], items[plan.item_code]
            found[offering_id] = Provider(
                id=offering_id,
                version=1,
                item_code=item.code,
                item_version=item.version,
                common=item.item_list is ItemList.COMMON,
                institution_id=server.id,
                institution_version=1,
                institution_region=server.who.region_code,
                account_id=server.account_id,
                promised_days=plan.promised_days,
                capacity=plan.capacity,
                quality=plan.quality,
            )
    return found


async def _store_history(tx: Transaction, happened: History) -> None:
    """Give runs and matches their ids, then store everything in an order that the triggers allow."""
    run_ids = await queries.draw_ids(tx, "ranking_runs", len(happened.runs))
    match_ids = await queries.draw_ids(tx, "matches", len(happened.matches))
    for run in happened.runs:
        run.id = run_ids[run.id]
    for candidate in happened.candidates:
        candidate.run_id = run_ids[candidate.run_id]
    for match in happened.matches:
        match.id, match.run_id = match_ids[match.id], run_ids[match.run_id]
    for event in happened.events:
        event.match_id = None if event.match_id is None else match_ids[event.match_id]
    rating_ids = await queries.draw_ids(tx, "ratings", len(happened.ratings))
    give_addresses(happened.ratings)
    for rating in happened.ratings:
        rating.id, rating.match_id = rating_ids[rating.id], match_ids[rating.match_id]
    await queries.insert_needs(tx, happened.needs)
    await queries.insert_runs(tx, happened.runs)
    for start in range(0, len(happened.candidates), CHUNK):
        await queries.insert_candidates(tx, happened.candidates[start : start + CHUNK])
    await _replay(tx, happened)
    await _replay_ratings(tx, happened)
    await queries.insert_events(tx, happened.events)
    await deadline_rows.adopt(tx)


async def _replay(tx: Transaction, happened: History) -> None:
    """Move needs and matches step by step in the order of time: so no offering ever holds more than its capacity."""
    moves = [e for e in happened.events if e.machine == "need" and e.from_state != NeedState.NEW]
    await queries.move_needs(tx, [(event.need_id, NeedState(event.to_state)) for event in moves])
    matches = {match.id: match for match in happened.matches}
    for event in happened.events:
        if event.machine == "match" and event.match_id is not None:
            if event.from_state == MatchState.NEW:
                await queries.insert_match(tx, matches[event.match_id])
            else:
                await queries.move_match(tx, event.match_id, MatchState(event.to_state))


async def _replay_ratings(tx: Transaction, happened: History) -> None:
    """Move ratings and rectifications step by step; what is said in them is there from the beginning."""
    await queries.insert_ratings(tx, happened.ratings)
    ratings = {rating.match_id: rating for rating in happened.ratings}
    for event in happened.events:
        if event.machine == "rating" and event.from_state not in (RatingState.NEW, event.to_state):
            await queries.move_rating(tx, ratings[event.match_id or 0].id, RatingState(event.to_state))
        if event.machine == "rectification":
            rating = ratings[event.match_id or 0]
            if event.from_state == RectificationState.NEW:
                await queries.insert_rectification(tx, rating)
            else:
                await queries.move_rectification(tx, rating, RectificationState(event.to_state))
