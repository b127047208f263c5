"""JSON routes of matches, of rankings, and of what coordinators, institutions and enterprises decide."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter
from msgspec import Struct, structs

from infra.db import Transaction
from market import i18n
from market.accounts.model import Role
from market.auth import allow
from market.calendars.service import Deadlines
from market.forms import visible
from market.matches import queries, service, work
from market.matches.model import LIVE as LIVE_STATES
from market.matches.model import (
    Answer,
    Approval,
    Candidate,
    Delivery,
    DeskRow,
    Match,
    MatchState,
    OneTimeNotice,
    Override,
    RankingRun,
    Remark,
)
from market.matches.ranking import Catalogue, understand
from market.needs import service as needs
from market.needs.model import BODY_LIMIT, Need, Understanding
from market.web import AppRequest, LangQuery, Page, PageSize, PathId, actor_of, once, page_of, read_cursor, services


class Explained(Candidate, frozen=True, kw_only=True):
    """A candidate with its strongest reasons in words, strongest first."""

    reasons: list[str]


class Shortlist(Struct, frozen=True):
    """A ranking with its candidates, best first, and what became of it."""

    run: RankingRun
    candidates: list[Explained]
    match: Match | None
    """The proposal to approve, or the match in force."""
    moved: str
    """Why another than the first candidate is proposed; empty where the first is."""


async def _need_after(
    request: AppRequest, tx: Transaction, need_id: int, act: Callable[[], Awaitable[object]]
) -> Response[Need]:
    """The need as it is once ``act`` is done."""

    async def acted() -> Need:
        await act()
        return await needs.show(tx, actor_of(request), need_id)

    return await once(request, tx, acted)


async def _match_after(
    request: AppRequest, tx: Transaction, match_id: int, act: Callable[[], Awaitable[object]]
) -> Response[Match]:
    """The match as it is once ``act`` is done."""

    async def acted() -> Match:
        await act()
        found = await queries.find(tx, match_id)
        assert found is not None, "act has found it"
        return found

    return await once(request, tx, acted)


@get("/understanding", summary="Understand a sentence")
async def understanding(catalogue: NamedDependency[Catalogue], text: FromQuery[str]) -> Understanding:
    """What the platform reads out of a need before it is submitted: items, rights, stages, what is missing."""
    return understand(catalogue, visible(text)[:BODY_LIMIT])


@get("/needs/{need_id:int}/ranking", guards=[allow(Role.COORDINATOR, Role.ADMIN)], summary="Show candidates")
async def shortlist(
    request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId, lang: LangQuery = None
) -> Shortlist:
    """The newest ranking of a need: candidates with every part of their scores, and what was left out and why."""
    told = lang or i18n.lang()
    run, candidates, match = await service.ranking(tx, actor_of(request), need_id)
    explained = [Explained(**structs.asdict(one), reasons=work.choice_of(one, told).reasons) for one in candidates]
    return Shortlist(run, explained, match, work.moved_in_words(run, candidates, match, told))


@post("/needs/{need_id:int}/approve", status_code=200, guards=[allow(Role.COORDINATOR)], summary="Approve")
async def approve(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
    data: JSONBody[Approval],
) -> Response[Need]:
    """Assign the proposed offering."""
    actor = actor_of(request)
    return await _need_after(
        request, tx, need_id, lambda: service.approve(tx, actor, need_id, data.match_id, deadlines)
    )


@post("/needs/{need_id:int}/override", status_code=200, guards=[allow(Role.COORDINATOR)], summary="Override")
async def override(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
    data: JSONBody[Override],
) -> Response[Need]:
    """Assign another candidate, for a reason."""
    actor = actor_of(request)
    return await _need_after(
        request,
        tx,
        need_id,
        lambda: service.override(tx, actor, need_id, data.offering_id, data.reason, deadlines),
    )


@post("/needs/{need_id:int}/return", status_code=200, guards=[allow(Role.COORDINATOR)], summary="Return once")
async def return_once(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
    data: JSONBody[OneTimeNotice],
) -> Response[Need]:
    """Send a need back, once, with everything that is missing; again only for what the answer ``opened``."""
    actor = actor_of(request)
    return await _need_after(request, tx, need_id, lambda: service.give_notice(tx, actor, need_id, data, deadlines))


@post("/needs/{need_id:int}/escalate", status_code=200, guards=[allow(Role.COORDINATOR)], summary="Escalate")
async def escalate(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
    data: JSONBody[Remark],
) -> Response[Need]:
    """Hand a need to the node above."""
    actor = actor_of(request)
    return await _need_after(request, tx, need_id, lambda: service.escalate(tx, actor, need_id, data.note, deadlines))


@post("/needs/{need_id:int}/rank-again", status_code=200, guards=[allow(Role.COORDINATOR)], summary="Rank again")
async def rank_again(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> Response[Need]:
    """Have a need ranked anew."""
    actor = actor_of(request)

    async def act() -> None:
        await services(request).pressure.admit(tx, person=False)
        await service.rank_again(tx, actor, need_id)

    return await _need_after(request, tx, need_id, act)


@post("/needs/{need_id:int}/close", status_code=200, guards=[allow(Role.COORDINATOR)], summary="Close")
async def close(
    request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId, data: JSONBody[Remark]
) -> Response[Need]:
    """End a need that no service can answer."""
    actor = actor_of(request)
    return await _need_after(request, tx, need_id, lambda: service.close(tx, actor, need_id, data.note))


@post(
    "/needs/{need_id:int}/withdraw",
    status_code=200,
    guards=[allow(Role.ENTERPRISE, Role.CLERK)],
    summary="Withdraw",
)
async def withdraw(
    request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId, data: JSONBody[Remark]
) -> Response[Need]:
    """Take a need back."""
    actor = actor_of(request)
    return await _need_after(request, tx, need_id, lambda: service.withdraw(tx, actor, need_id, data.note))


@post(
    "/needs/{need_id:int}/confirm",
    status_code=200,
    guards=[allow(Role.ENTERPRISE, Role.CLERK)],
    summary="Confirm the result",
)
async def confirm(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> Response[Need]:
    """Accept the delivered result."""
    actor = actor_of(request)
    return await _need_after(request, tx, need_id, lambda: service.confirm(tx, actor, need_id))


@post(
    "/needs/{need_id:int}/rework",
    status_code=200,
    guards=[allow(Role.ENTERPRISE, Role.CLERK)],
    summary="Ask for rework",
)
async def rework(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    need_id: PathId,
    data: JSONBody[Remark],
) -> Response[Need]:
    """Ask the institution to go on."""
    actor = actor_of(request)
    return await _need_after(request, tx, need_id, lambda: service.rework(tx, actor, need_id, data.note, deadlines))


@get("/matches", guards=[allow(Role.INSTITUTION)], summary="List the desk")
async def desk(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    in_state: Annotated[MatchState | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageSize = 20,
) -> Page[DeskRow]:
    """Your institution's matches, newest first."""
    states = (
        [in_state] if in_state else [one for one in MatchState if one in LIVE_STATES or one is MatchState.COMPLETED]
    )
    rows = await queries.desk(tx, actor_of(request), states, before=read_cursor(cursor, int), limit=limit + 1)
    return page_of(rows, limit, lambda row: row.id)


@get("/matches/{match_id:int}", guards=[allow()], summary="Show a match")
async def show(request: AppRequest, tx: NamedDependency[Transaction], match_id: PathId) -> Match:
    """One match."""
    return await service.find(tx, actor_of(request), match_id)


@post("/matches/{match_id:int}/accept", status_code=200, guards=[allow(Role.INSTITUTION)], summary="Accept")
async def accept(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    match_id: PathId,
) -> Response[Match]:
    """Take what was assigned to your institution."""
    actor = actor_of(request)
    return await _match_after(request, tx, match_id, lambda: service.accept(tx, actor, match_id, deadlines))


@post("/matches/{match_id:int}/decline", status_code=200, guards=[allow(Role.INSTITUTION)], summary="Decline")
async def decline(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    match_id: PathId,
    data: JSONBody[Remark],
) -> Response[Match]:
    """Decline for a reason. An item of the common list is not declined but put before the coordinator."""
    actor = actor_of(request)
    return await _match_after(request, tx, match_id, lambda: service.decline(tx, actor, match_id, data.note, deadlines))


@post(
    "/matches/{match_id:int}/answer-decline",
    status_code=200,
    guards=[allow(Role.COORDINATOR)],
    summary="Answer a request to decline",
)
async def answer_decline(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    match_id: PathId,
    data: JSONBody[Answer],
) -> Response[Match]:
    """Grant or refuse an institution's request to decline an item of the common list."""
    actor = actor_of(request)
    return await _match_after(
        request,
        tx,
        match_id,
        lambda: service.answer_decline(tx, actor, match_id, deadlines, grant=data.grant, note=data.note),
    )


@post("/matches/{match_id:int}/deliver", status_code=200, guards=[allow(Role.INSTITUTION)], summary="Deliver")
async def deliver(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    deadlines: NamedDependency[Deadlines],
    match_id: PathId,
    data: JSONBody[Delivery],
) -> Response[Match]:
    """Hand over the result."""
    actor = actor_of(request)
    return await _match_after(
        request, tx, match_id, lambda: service.deliver(tx, actor, match_id, data.result, deadlines)
    )


def router() -> Router:
    """The routes, for create_app."""
    coordinators = [shortlist, approve, override, return_once, escalate, rank_again, close, answer_decline]
    return Router(
        "/",
        route_handlers=[
            understanding,
            *coordinators,
            *(desk, show, accept, decline, deliver),
            *(withdraw, confirm, rework),
        ],
        tags=["matches"],
    )
