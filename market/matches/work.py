"""A need as a coordinator works on it: the ranking in words, what was left out and why, and what may be done now."""

from collections.abc import Iterable
from itertools import accumulate

from msgspec import Struct

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.catalogue import queries as catalogue
from market.matches import queries, service
from market.matches.model import Candidate, Match, MatchAction, MatchState, RankingRun
from market.matches.window import Window, allowed, open_window
from market.needs import queries as need_queries
from market.needs import service as needs
from market.needs.model import ACTORS, TRANSITIONS, Event, Need, NeedAction
from market.regions import queries as regions
from matching.features import FEATURES
from matching.reasons import explain, moved_by_demand, reasons
from matching.rules import RULES
from matching.types import Lang, Part

FEATURE_NAMES = {feature.name: {"zh": feature.zh, "en": feature.en} for feature in FEATURES}
RULE_NAMES = {rule.code: {"zh": rule.zh, "en": rule.en} for rule in RULES}


class PartInWords(Struct, frozen=True, kw_only=True):
    """One part of a score: ``points`` of at most ``weight``, drawn from ``start`` on, and what they are given for."""

    feature: str
    name: str
    words: str
    start: float
    points: float
    weight: float


class Choice(Struct, frozen=True, kw_only=True):
    """A candidate with its score explained; ``most``: the points a perfect one would have."""

    candidate: Candidate
    reasons: list[str]
    parts: tuple[PartInWords, ...]
    most: float


class LeftOut(Struct, frozen=True):
    """What one hard rule left out: how many of all offerings, and the titles of those of the items asked for."""

    rule: str
    count: int
    titles: list[str]


class Work(Struct, frozen=True, kw_only=True):
    """All that the coordinator's page of a need shows."""

    need: Need
    item_names: list[str]
    """Items that whoever filed the need chose; empty: left to the platform."""
    match: Match | None
    run: RankingRun | None
    choices: list[Choice]
    picked: Choice | None
    """The candidate looked at beside the one proposed or assigned."""
    held: Choice | None
    """The candidate proposed or assigned."""
    left_out: list[LeftOut]
    moved: str
    """Why another than the first candidate is proposed; empty where the first is."""
    events: list[Event]
    actions: frozenset[NeedAction]
    node_above: str | None
    decline: Event | None
    """The institution's open request to decline."""
    window: Window


class Decided(Struct, frozen=True, kw_only=True):
    """What was decided last about a need, for the page that follows the decision."""

    need: Need
    action: NeedAction
    match: Match | None


async def open_work(tx: Transaction, actor: Actor, need_id: int, *, pick: int | None = None, lang: Lang = "zh") -> Work:
    """The need with its newest ranking, with reasons in ``lang``; ``pick`` is the offering to look at.

    Raises:
        NotFound: the need is not the actor's to see.
    """
    need = await needs.show(tx, actor, need_id)
    match = await queries.latest(tx, need.id)
    run = await queries.latest_run(tx, need.id)
    candidates = await queries.candidates(tx, run.id) if run else []
    choices = [choice_of(candidate, lang) for candidate in candidates]
    events = await needs.history(tx, actor, need)
    node_above = await regions.node_above(tx, need.node_id)
    window = await open_window(tx, actor, need, match, events)
    return Work(
        need=need,
        item_names=[item.name for code in need.item_codes if (item := await catalogue.item(tx, code))],
        match=match,
        run=run,
        choices=choices,
        picked=_of_offering(choices, pick),
        held=_of_offering(choices, match.offering_id if match else None),
        left_out=await _left_out(tx, run, lang) if run else [],
        moved=moved_in_words(run, candidates, match, lang) if run else "",
        events=events,
        actions=_actions(actor, need, match, window, may_escalate=node_above is not None, may_choose=bool(choices)),
        node_above=node_above,
        decline=_open_decline(match, events),
        window=window,
    )


async def last_decision(tx: Transaction, actor: Actor, need_id: int) -> Decided | None:
    """What the actor decided last about the need; None where that was nothing."""
    need = await need_queries.find(tx, actor, need_id)
    if need is None:
        return None
    own = [e for e in await need_queries.events(tx, need.id) if e.machine == "need" and e.actor_role is actor.role]
    if not own:
        return None
    return Decided(need=need, action=NeedAction(own[-1].action), match=await service.current(tx, actor, need))


def moved_in_words(run: RankingRun, candidates: list[Candidate], match: Match | None, lang: Lang) -> str:
    """Why another than the first candidate is proposed; empty where the first is, and once it is decided."""
    if match is None or match.state is not MatchState.PROPOSED or run.prices is None or run.proposed_rank == 1:
        return ""
    return moved_by_demand(run.proposed_rank, run.prices.points.get(candidates[0].offering_id, 0.0), lang)


def choice_of(candidate: Candidate, lang: Lang) -> Choice:
    """The candidate's score in words. Parts of a feature that no longer exists have none and are left out."""
    known = [part for part in candidate.parts if part.feature in FEATURE_NAMES]
    return Choice(
        candidate=candidate,
        reasons=reasons(known, lang),
        parts=tuple(_in_words(known, lang)),
        most=sum(part.weight for part in known),
    )


def _in_words(parts: list[Part], lang: Lang) -> Iterable[PartInWords]:
    starts = accumulate((part.points for part in parts), initial=0.0)
    for part, start in zip(parts, starts, strict=False):
        yield PartInWords(
            feature=part.feature,
            name=FEATURE_NAMES[part.feature][lang],
            words=explain(part, lang),
            start=start,
            points=part.points,
            weight=part.weight,
        )


def _of_offering(choices: list[Choice], offering_id: int | None) -> Choice | None:
    return next((choice for choice in choices if choice.candidate.offering_id == offering_id), None)


async def _left_out(tx: Transaction, run: RankingRun, lang: Lang) -> list[LeftOut]:
    titles = await queries.titles(tx, [e.offering_id for e in run.excluded])
    return [
        LeftOut(
            names[lang],
            run.excluded_counts[code],
            [titles[e.offering_id] for e in run.excluded if e.rule == code and e.offering_id in titles],
        )
        for code, names in RULE_NAMES.items()
        if code in run.excluded_counts
    ]


def _actions(
    actor: Actor, need: Need, match: Match | None, window: Window, *, may_escalate: bool, may_choose: bool
) -> frozenset[NeedAction]:
    """What the actor may do now. Services check it again; this only decides what is offered."""
    if actor.role is not Role.COORDINATOR or not needs.covers(actor, need):
        return frozenset()
    possible = {action for state, action in TRANSITIONS if state is need.state and actor.role in ACTORS[action]}
    offered = {action for action in possible if allowed(window, action)}
    if not may_escalate:
        offered.discard(NeedAction.ESCALATE)
    if not may_choose:
        offered.discard(NeedAction.OVERRIDE)
    if match is None or match.state is not MatchState.DECLINE_REQUESTED:
        offered.discard(NeedAction.DECLINE)
    return frozenset(offered)


def _open_decline(match: Match | None, events: list[Event]) -> Event | None:
    if match is None or match.state is not MatchState.DECLINE_REQUESTED:
        return None
    asked = [e for e in events if e.match_id == match.id and e.action == MatchAction.REQUEST_DECLINE]
    return asked[-1] if asked else None
