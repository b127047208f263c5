"""``zhipei audit …``: prove that the trail is whole, and note outside where it stands."""

from datetime import datetime

import click

from infra.db import Database
from infra.settings import Settings
from market.audit import queries, service
from market.audit.model import TERMINAL, Action, Filter
from market.audit.table import HEAD, line
from market.terminal import Failure, in_transaction, with_database


@click.group()
def audit() -> None:
    """The audit trail."""


@audit.command()
@click.option("--anchor", "anchors", multiple=True, metavar="PLACE:HASH", help="As `anchor` printed it; repeatable.")
@click.pass_obj
def verify(settings: Settings, anchors: tuple[str, ...]) -> None:
    """Check every entry and the chain; ends with 1, and says which, if something was changed or removed."""
    in_transaction(settings, service.seal)
    verdict = in_transaction(settings, lambda tx: service.verify(tx, list(anchors)))
    for finding in verdict.findings:
        click.echo(f"BAD  {finding.problem}")
    click.echo(f"{verdict.checked} entries checked, {verdict.unchained} not chained yet, anchor {verdict.last.anchor}")
    if verdict.findings:
        raise Failure("the audit trail is not what was written")
    if not anchors:
        click.echo("no anchor given: an end that was removed together with its seals would not show")


@audit.command()
@click.pass_obj
def anchor(settings: Settings) -> None:
    """Print where the chain stands, to be noted outside of the database."""
    in_transaction(settings, service.seal)
    click.echo(in_transaction(settings, queries.last_seal).anchor)


@audit.command("export")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="First day, Beijing time.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Last day.")
@click.pass_obj
def export(settings: Settings, file: str, since: datetime | None, until: datetime | None) -> None:
    """Write the trail to FILE as CSV, - for the terminal."""
    wanted = Filter(since=since.date() if since else None, until=until.date() if until else None)

    async def write(database: Database) -> None:
        async with database.transaction() as tx:
            await service.record(tx, None, Action.EXPORT, "audit", role=TERMINAL)
        async with database.transaction() as tx:
            with click.open_file(file, "wb", atomic=file != "-") as out:
                out.write(HEAD)
                async for entry in service.everything(tx, wanted):
                    out.write(line(entry))

    with_database(settings, write)
