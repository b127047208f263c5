"""``zhipei train``, ``models``, ``promote``, ``rollback``: models that are learned, and which of them ranks."""

import asyncio
from collections.abc import Mapping

import click

from infra.db import Database, Transaction
from infra.settings import Settings
from market.learning import service, training
from market.learning.model import StoredModel
from market.learning.training import Learned
from market.terminal import in_transaction, with_database
from matching.learn import LearningError


@click.command()
@click.option("--promote", "promoting", is_flag=True, help="Let the model rank if it passes the gate.")
@click.pass_obj
def train(settings: Settings, *, promoting: bool) -> None:
    """Learn from what was decided; store the model as a candidate."""

    async def learned(database: Database) -> tuple[Learned, bool]:
        async with database.transaction() as tx:
            lines, champion = await service.lines(tx), await service.champion(tx)
        found = await asyncio.to_thread(training.learn, lines, champion, gap=settings.explore_gap)
        async with database.transaction() as tx:
            return found, await service.store(tx, found.model, found.verdict, promoting=promoting)

    try:
        found, new = with_database(settings, learned)
    except LearningError as error:
        click.echo(f"nothing learned: {error}")
        return
    click.echo(f"{found.model.version}: {_told(found.verdict.metrics)}")
    if not new:
        click.echo("it is stored already: nothing was decided since")
    elif found.verdict.failed:
        click.echo(f"kept as a candidate, it missed: {'; '.join(found.verdict.failed)}")
    else:
        click.echo("promoted" if promoting else f"passed the gate: zhipei promote {found.model.version}")


@click.command()
@click.pass_obj
def models(settings: Settings) -> None:
    """List learned models, newest first, with what was measured."""
    for model in in_transaction(settings, service.models):
        click.echo(_line(model))


@click.command()
@click.argument("version")
@click.option("--anyway", is_flag=True, help="Even though it missed a bar of the gate.")
@click.pass_obj
def promote(settings: Settings, version: str, *, anyway: bool) -> None:
    """Let a model rank; workers notice at once."""

    async def promoted(tx: Transaction) -> None:
        await service.promote(tx, version, anyway=anyway)

    in_transaction(settings, promoted)
    click.echo(f"{version} ranks now; to go back: zhipei rollback")


@click.command()
@click.pass_obj
def rollback(settings: Settings) -> None:
    """Go back to the model before, or to the scorecard."""
    before = in_transaction(settings, service.roll_back)
    click.echo(f"{before or 'the scorecard'} ranks now")


def _line(model: StoredModel) -> str:
    failed = f"  missed: {'; '.join(model.failed)}" if model.failed else ""
    return (
        f"{model.version}  {model.state:<9}  {model.first_day} to {model.last_day}, {model.labelled_needs} needs  "
        f"{_told(model.metrics)}{failed}"
    )


def _told(metrics: Mapping[str, float]) -> str:
    shown = ("ndcg@10", "change", "change_low", "change_high", "calibration_error")
    return "  ".join(f"{name} {metrics[name]:.3f}" for name in shown)
