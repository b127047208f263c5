"""``zhipei train``, ``models``, and the ladder: ``shadow``, ``challenge``, ``promote``, ``rollback``."""

import asyncio
import getpass
from collections.abc import Callable, Mapping
from contextlib import suppress

import click

from infra.db import Database, Transaction
from infra.settings import Settings
from market.i18n import _
from market.learning import service, training
from market.learning.model import ON_TRIAL, By, Climb, Evidence, StoredHealth, StoredModel
from market.learning.serving import champion
from market.learning.training import Learned
from market.terminal import in_transaction, with_database
from matching.evaluate import Snips
from matching.learn import LearningError


@click.command()
@click.option("--climb", "climbing", is_flag=True, help="Move models up the ladder by one step where they may.")
@click.pass_obj
def train(settings: Settings, *, climbing: bool) -> None:
    """Learn from what was decided, store the model as a candidate, and measure the model that ranks."""

    async def trained(database: Database) -> None:
        await _learn(database, settings.explore_gap)
        async with database.transaction() as tx:
            if climbing:
                click.echo(f"on the ladder: {await service.climb_by_itself(tx) or 'nothing to do'}")
            await service.measure(tx)
        click.echo("measured: see the page /models, or zhipei models --metrics")

    with_database(settings, trained)


async def _learn(database: Database, gap: float) -> None:
    async with database.transaction() as tx:
        lines, ranks = await service.lines(tx), await champion(tx)
    try:
        found = await asyncio.to_thread(training.learn, lines, ranks, gap=gap)
    except LearningError as error:
        click.echo(f"nothing learned: {error}")
        return
    async with database.transaction() as tx:
        new = await service.store(tx, found.model, found.verdict)
    _tell(found, new=new)


def _tell(found: Learned, *, new: bool) -> None:
    click.echo(f"{found.model.version}: {_told(found.verdict.metrics)}")
    if not new:
        click.echo("it is stored already: nothing was decided since")
    elif found.verdict.failed:
        click.echo(f"kept as a candidate, it missed: {'; '.join(found.verdict.failed)}")
    else:
        click.echo(f"passed the gate: zhipei shadow {found.model.version}")


@click.command()
@click.option("--metrics", is_flag=True, help="Also what a model on trial has shown, and what the night measured.")
@click.pass_obj
def models(settings: Settings, *, metrics: bool) -> None:
    """List learned models, newest first, with what was measured."""

    async def read(tx: Transaction) -> tuple[list[StoredModel], dict[str, Evidence], StoredHealth | None]:
        found = await service.models(tx)
        shown = {model.version: await service.evidence(tx, model) for model in found if model.state in ON_TRIAL}
        return found, shown, await service.latest_health(tx)

    found, shown, health = in_transaction(settings, read)
    for model in found:
        click.echo(_line(model))
        if metrics and model.version in shown:
            click.echo(_shown(shown[model.version]))
    if metrics:
        click.echo(_healthy(health))


def _step(command: Callable[..., None]) -> Callable[..., None]:
    """What all steps up the ladder are told."""
    for option in (
        click.option("--why", default="", help="Kept with the step; needed with --anyway."),
        click.option("--anyway", is_flag=True, help="Although a bar is missed, or over several steps at once."),
        click.argument("version"),
    ):
        command = option(command)
    return command


@click.command()
@_step
@click.pass_obj
def shadow(settings: Settings, version: str, *, anyway: bool, why: str) -> None:
    """Let a model score every need beside the one that ranks; nothing else changes."""
    _climb(settings, version, Climb.SHADOW, why, anyway=anyway)
    click.echo(f"{version} watches now; to stop it: zhipei rollback --trial")


@click.command()
@_step
@click.pass_obj
def challenge(settings: Settings, version: str, *, anyway: bool, why: str) -> None:
    """Let a shadow rank a tenth of the needs; workers notice at once."""
    _climb(settings, version, Climb.CHALLENGE, why, anyway=anyway)
    click.echo(f"{version} ranks a tenth of the needs now; to stop it: zhipei rollback --trial")


@click.command()
@_step
@click.pass_obj
def promote(settings: Settings, version: str, *, anyway: bool, why: str) -> None:
    """Let a challenger rank all needs; workers notice at once."""
    _climb(settings, version, Climb.PROMOTE, why, anyway=anyway)
    click.echo(f"{version} ranks now; to go back: zhipei rollback")


def _climb(settings: Settings, version: str, step: Climb, why: str, *, anyway: bool) -> None:
    in_transaction(settings, lambda tx: service.climb(tx, version, step, _person(why), anyway=anyway))


@click.command()
@click.option("--trial", is_flag=True, help="Only stop the shadow or challenger; the champion stays.")
@click.option("--why", default="", help="Kept with the step.")
@click.pass_obj
def rollback(settings: Settings, *, trial: bool, why: str) -> None:
    """Go back to the model before, or to the scorecard; what is on trial is stopped."""
    if trial:
        stopped = in_transaction(settings, lambda tx: service.end_trial(tx, _person(why)))
        click.echo(f"{stopped} is stopped")
        return
    before = in_transaction(settings, lambda tx: service.roll_back(tx, _person(why)))
    click.echo(f"{before or 'the scorecard'} ranks now")


def _person(why: str) -> By:
    name = ""
    with suppress(OSError, KeyError):  # nobody has the process's user id a name
        name = getpass.getuser()
    return By(_("{name}（命令行）", name=name), why)


def _line(model: StoredModel) -> str:
    failed = f"  missed: {'; '.join(model.failed)}" if model.failed else ""
    return (
        f"{model.version}  {model.state:<10}  {model.first_day} to {model.last_day}, {model.labelled_needs} needs  "
        f"{_told(model.metrics)}{failed}"
    )


def _told(metrics: Mapping[str, float]) -> str:
    shown = ("ndcg@10", "change", "change_low", "change_high", "calibration_error")
    return "  ".join(f"{name} {metrics[name]:.3f}" for name in shown)


def _shown(found: Evidence) -> str:
    same = f"same first choice {found.agreement:.2f}, same list {found.overlap:.2f}"
    told = f"    on trial: {found.rankings} rankings, {same}"
    if found.duel is None:
        return told
    duel = found.duel
    return (
        f"{told}\n    decided on {found.decided}, of these ranked by it {found.decided_own}"
        f"\n    SNIPS: champion {_estimate(duel.champion)}; challenger {_estimate(duel.challenger)}; "
        f"change {duel.change:+.3f} ({duel.low:+.3f} to {duel.high:+.3f})"
    )


def _estimate(one: Snips) -> str:
    return f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f}, rests on {one.effective:.0f} needs)"


def _healthy(health: StoredHealth | None) -> str:
    if health is None:
        return "nothing measured yet: zhipei train"
    found = health.content
    drift = "  ".join(f"{one.feature} {one.psi:.2f}" for one in found.drift)
    lines = (
        f"measured {health.measured_at:%Y-%m-%d %H:%M} UTC, {found.version} ranks",
        f"calibration_error {_known(found.calibration_error)}  overrides {_known(found.overrides)}",
        f"drift (PSI): {drift or 'nothing to compare yet'}",
        *(
            f"week of {week.first_day}: {week.decided} decided  ndcg@10 {_known(week.ndcg)}  "
            f"first approved {week.first_approved:.2f}  overridden {week.overridden:.2f}"
            for week in found.weeks[-4:]
        ),
    )
    return "\n".join(lines)


def _known(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
