"""Use cases of learned models: the ladder and the way back, what a trial has shown, what the night measures."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import numpy as np

from infra.db import Transaction
from market.errors import Conflict, InvalidInput, NotFound
from market.i18n import N_, _
from market.learning import health, queries
from market.learning.model import (
    CLIMB_NAMES,
    NEXT,
    ON_TRIAL,
    RUNGS,
    STATE_NAMES,
    TARGETS,
    By,
    Climb,
    Evidence,
    Line,
    ModelState,
    ModelStep,
    StoredHealth,
    StoredModel,
    TrialRun,
    grade_of,
    obstacles,
)
from market.learning.serving import Serving, champion
from matching.evaluate import Verdict
from matching.grades import BEST
from matching.model import TableModel
from matching.scorer import default_scorecard
from matching.trials import duel
from matching.types import SecondOpinion

RUNS = 5_000
"""Decided lists learned from: the newest. Older ones tell of institutions as they were."""
DRIFT_RUNS = 2_000
"""Lists whose candidates are compared with those of another time; more would say the same."""
STEPS = 50
"""Moves on the ladder that are shown."""
NIGHTLY = N_("夜间任务")


async def lines(tx: Transaction) -> list[Line]:
    """What there is to learn from."""
    return await queries.lines(tx, default_scorecard().features, RUNS)


async def store(tx: Transaction, model: TableModel, verdict: Verdict) -> bool:
    """Keep a model as a candidate; False where it is there already."""
    return await queries.insert(tx, model, verdict)


async def models(tx: Transaction) -> list[StoredModel]:
    """All models, newest first."""
    return await queries.models(tx)


async def steps(tx: Transaction) -> list[ModelStep]:
    """The newest moves on the ladder, newest first."""
    return await queries.steps(tx, STEPS)


async def find(tx: Transaction, version: str) -> StoredModel:
    """The model of that version.

    Raises:
        NotFound: there is none.
    """
    model = await queries.find(tx, version)
    if model is None:
        raise NotFound(_("没有版本为 {version} 的模型，请用 zhipei models 查看。", version=version))
    return model


async def evidence(tx: Transaction, model: StoredModel) -> Evidence:
    """What a model on trial has shown since it stands where it stands; nothing for any other."""
    if model.state not in ON_TRIAL:
        return Evidence()
    challenger = model.state is ModelState.CHALLENGER
    return _weighed(await queries.trial(tx, model.version, model.state_since, challenger=challenger))


async def log_trial(tx: Transaction, run_id: int, serving: Serving, need_id: int, second: SecondOpinion | None) -> None:
    """Beside a stored run: what the model said of it that did not rank, where one was on trial."""
    if second is not None and serving.trial is not None:
        trial, by_trial = serving.trial, serving.arms(need_id).by_trial
        await queries.insert_trial(tx, run_id, trial.version, second, share=trial.share, by_trial=by_trial)


async def climb(tx: Transaction, version: str, step: Climb, by: By, *, anyway: bool = False) -> None:
    """Move a model up the ladder; with ``anyway`` also by several rungs, or although a bar was missed.

    A new champion takes the old one's place; another model on trial, which was compared with that one, is retired too.

    Raises:
        NotFound: there is none of that version.
        Conflict: it stands there or higher already, something speaks against it, or another is on trial.
        InvalidInput: it is to climb anyway, and nobody says why.
    """
    await queries.lock(tx)
    model, target = await find(tx, version), TARGETS[step]
    if RUNGS[model.state] >= RUNGS[target]:
        raise Conflict(
            _(
                "{version} 现在是「{state}」，不能再{step}。",
                version=version,
                state=model.state_name,
                step=CLIMB_NAMES[step],
            )
        )
    against = obstacles(model, step, await evidence(tx, model))
    if against and not anyway:
        reasons = _("；").join(one.words for one in against)
        raise Conflict(
            _("{version} 还不宜{step}：{reasons}。", version=version, step=CLIMB_NAMES[step], reasons=reasons)
        )
    if against and not by.why:
        raise InvalidInput(fields={"why": _("请写明为什么仍要这样做。")})
    other = await queries.on_trial(tx)
    if other is not None and other.version != version:
        if target is not ModelState.CHAMPION:
            raise Conflict(
                _("{version} 正在{state}，同时只能有一个，请先停止它。", version=other.version, state=other.state_name)
            )
        await queries.move(
            tx, other.version, ModelState.RETIRED, _because(by, _("{version} 正式启用", version=version))
        )
    if target is ModelState.CHAMPION:
        before = await queries.champion(tx)
        if before is not None:
            await queries.move(tx, before, ModelState.RETIRED, _because(by, _("{version} 正式启用", version=version)))
        await queries.set_replaces(tx, version, before)
    await queries.move(tx, version, target, by)


async def climb_by_itself(tx: Transaction) -> str | None:
    """One step where the evidence allows it, or the end of a trial that missed a bar; what was done, in words."""
    await queries.lock(tx)
    model = await queries.on_trial(tx) or await queries.newest(tx)
    if model is None:
        return None
    step = NEXT[model.state]
    against = obstacles(model, step, await evidence(tx, model))
    if not against:
        await climb(tx, model.version, step, By(_(NIGHTLY), _("各项检验都已达到")))
        return f"{model.version}: {STATE_NAMES[model.state]} → {STATE_NAMES[TARGETS[step]]}"
    if model.state in ON_TRIAL and not any(one.waiting for one in against):
        why = "；".join(one.words for one in against)
        await end_trial(tx, By(_(NIGHTLY), why))
        return f"{model.version}: {STATE_NAMES[model.state]} → {STATE_NAMES[ModelState.RETIRED]}（{why}）"
    return None


async def end_trial(tx: Transaction, by: By) -> str:
    """Stop the shadow or challenger; its version. The champion goes on ranking, now all needs.

    Raises:
        Conflict: no model is on trial.
    """
    await queries.lock(tx)
    model = await queries.on_trial(tx)
    if model is None:
        raise Conflict(_("现在没有旁听或试排的模型。"))
    await queries.move(tx, model.version, ModelState.RETIRED, by)
    return model.version


async def roll_back(tx: Transaction, by: By) -> str | None:
    """Go back to the champion before this one; its version, None for the scorecard alone.

    A model on trial is stopped too: it was compared with the champion that goes, and whoever rolls back wants nothing
    new to rank.

    Raises:
        Conflict: no model takes part in rankings.
    """
    await queries.lock(tx)
    champion_now, trial = await queries.champion(tx), await queries.on_trial(tx)
    if champion_now is None and trial is None:
        raise Conflict(_("现在用的就是评分卡，没有可以退回的模型。"))
    if trial is not None:
        await queries.move(tx, trial.version, ModelState.RETIRED, _because(by, _("退回上一个模型")))
    if champion_now is None:
        return None
    before = await queries.replaced(tx)
    await queries.move(tx, champion_now, ModelState.RETIRED, _because(by, _("退回上一个模型")))
    if before is not None:
        await queries.move(tx, before, ModelState.CHAMPION, _because(by, _("退回上一个模型")))
    return before


async def measure(tx: Transaction) -> StoredHealth:
    """Measure model and market, and keep it for the page and for /metrics. Takes seconds."""
    ranks, now = await champion(tx), datetime.now(UTC)
    window = await _window(tx, ranks)
    features = default_scorecard().features
    then: list[list[float]] = []
    if window is not None:
        then = await queries.shown_values(tx, features, *window, DRIFT_RUNS)
    recently = now.date() - timedelta(days=health.RECENT_DAYS)
    of_late = await queries.shown_values(tx, features, recently, now.date(), DRIFT_RUNS)
    months = await queries.shown(tx, health.first_month(now))
    decided = await lines(tx)
    content = await asyncio.to_thread(health.measured, ranks, decided, then, of_late, months, now.date())
    await queries.insert_health(tx, content)
    return StoredHealth(now, content)


async def latest_health(tx: Transaction) -> StoredHealth | None:
    """The newest of what was measured."""
    return await queries.health(tx)


async def _window(tx: Transaction, ranks: TableModel | None) -> tuple[date, date] | None:
    """The days that the model that ranks learned from; while the scorecard ranks, those of the newest model."""
    if ranks is not None:
        return date.fromisoformat(ranks.window[0]), date.fromisoformat(ranks.window[1])
    newest = next(iter(await queries.models(tx)), None)
    return None if newest is None else (newest.first_day, newest.last_day)


def _weighed(runs: list[TrialRun]) -> Evidence:
    if not runs:
        return Evidence()
    decided = [run for run in runs if run.decided]
    return Evidence(
        rankings=len(runs),
        agreement=float(np.mean([run.champion_propensity if run.by_trial else run.trial_propensity for run in runs])),
        overlap=float(np.mean([run.overlap for run in runs])),
        decided=len(decided),
        decided_own=sum(run.by_trial for run in decided),
        duel=duel(
            reward=np.array([grade_of(run) for run in decided]) / BEST,
            champion=np.array([run.champion_propensity for run in decided]),
            challenger=np.array([run.trial_propensity for run in decided]),
            share=np.array([run.share for run in decided]),
        )
        if decided and decided[0].share > 0
        else None,
    )


def _because(by: By, why: str) -> By:
    """The same person, with what it comes from where nothing was said."""
    return By(by.who, by.why or why, by.actor_id)
