"""The page of the models: which one ranks, whether it can be trusted, and the ladder."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import Struct

from infra.db import Transaction
from market.auth import steering
from market.errors import Conflict, InvalidInput
from market.forms import decode
from market.learning import service
from market.learning.model import (
    CLIMB_NAMES,
    NEXT,
    ON_TRIAL,
    By,
    Climb,
    Evidence,
    ModelState,
    Obstacle,
    Reason,
    StoredModel,
    obstacles,
)
from market.learning.plots import plots
from market.matches.pages import Draft
from market.web import AppRequest, Rejected, actor_of, go_once, one_time_key, page

Form = dict[str, Any]
LISTED = 30
"""Models in the table: one a night, so the last month's."""
ROLL_BACK, STOP = "rollback", "stop"
HERE = "/models"


class Row(Struct, frozen=True):
    """A model, the step that is next for it, None where it stands at the top, and what speaks against that."""

    model: StoredModel
    evidence: Evidence
    step: Climb | None
    against: list[Obstacle]

    @property
    def form(self) -> str:
        """The name of the form of its step."""
        return f"{self.model.version}-{self.step}"


@get(HERE, guards=[steering])
async def show(request: AppRequest, tx: NamedDependency[Transaction]) -> Template:
    """Who ranks and who is on trial, what was measured, who moved what and why."""
    del request
    return await _page(tx, Draft())


@post(HERE + "/{version:str}/{step:str}", guards=[steering])
async def climb(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    version: FromPath[str],
    step: FromPath[Climb],
    data: URLEncodedBody[Form],
) -> Redirect:
    """Move a model up the ladder."""

    async def act(by: By, form: Reason) -> None:
        await service.climb(tx, version, step, by, anyway=form.anyway)

    return await _act(request, tx, data, f"{version}-{step}", act)


@post(HERE + "/stop", guards=[steering])
async def stop(request: AppRequest, tx: NamedDependency[Transaction], data: URLEncodedBody[Form]) -> Redirect:
    """End what is on trial."""

    async def act(by: By, _form: Reason) -> None:
        await service.end_trial(tx, by)

    return await _act(request, tx, data, STOP, act)


@post(HERE + "/rollback", guards=[steering])
async def roll_back(request: AppRequest, tx: NamedDependency[Transaction], data: URLEncodedBody[Form]) -> Redirect:
    """Go back to the model before, or to the scorecard."""

    async def act(by: By, _form: Reason) -> None:
        await service.roll_back(tx, by)

    return await _act(request, tx, data, ROLL_BACK, act)


async def _act(
    request: AppRequest, tx: Transaction, data: Form, form: str, act: Callable[[By, Reason], Awaitable[None]]
) -> Redirect:
    """Do what the form asks, once; what was refused comes back with what was typed."""
    actor = actor_of(request)

    async def acted() -> str:
        reason = decode(Reason, data)
        await act(By(actor.name, reason.why, actor.id), reason)
        return HERE

    try:
        return await go_once(tx, actor, data, acted)
    except (Conflict, InvalidInput) as error:
        notice = None if error.fields else ("bad", error.detail)
        raise Rejected(
            await _page(tx, Draft(form=form, values=data, errors=error.fields), notice=notice, status=error.status)
        ) from None


async def _page(tx: Transaction, draft: Draft, *, notice: tuple[str, str] | None = None, status: int = 200) -> Template:
    models = await service.models(tx)
    rows = [await _row(tx, model) for model in models]
    by_state: Mapping[ModelState, Row] = {row.model.state: row for row in rows}
    trial = next((by_state[state] for state in ON_TRIAL if state in by_state), None)
    health = await service.latest_health(tx)
    return page(
        "models/show.html",
        status=status,
        notice=notice,
        rows=rows[:LISTED],
        champion=by_state.get(ModelState.CHAMPION),
        trial=trial,
        measured_at=health.measured_at if health else None,
        plots=plots(health.content) if health else [],
        steps=await service.steps(tx),
        draft=draft,
        key=one_time_key(),
        CLIMB_NAMES=CLIMB_NAMES,
    )


async def _row(tx: Transaction, model: StoredModel) -> Row:
    evidence, step = await service.evidence(tx, model), NEXT.get(model.state)
    return Row(model, evidence, step, [] if step is None else obstacles(model, step, evidence))


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[show, climb, stop, roll_back], include_in_schema=False)
