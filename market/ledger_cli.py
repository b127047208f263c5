"""``zhipei ledger``: count it anew, or see that this would change nothing."""

import click

from infra.db import Transaction
from infra.settings import Settings
from market.calendars import service as calendars
from market.ledger import recording
from market.supervision import service as supervision
from market.terminal import Failure, in_transaction


@click.group()
def ledger() -> None:
    """The ledger of services (服务台账)."""


@ledger.command()
@click.option("--check", is_flag=True, help="Change nothing; exit code 1 if counting anew gives other figures.")
@click.pass_obj
def recompute(settings: Settings, *, check: bool) -> None:
    """Count all events anew, close what is due, and flag who is behind; closed figures stay."""

    async def count(tx: Transaction) -> recording.Recorded:
        done = await recording.bring_up_to_date(tx, await calendars.deadlines(tx), whole=True)
        await supervision.flag(tx, supervision.today())
        return done

    async def compare(tx: Transaction) -> int:
        found = await recording.differences(tx, await calendars.deadlines(tx))
        raise _Compared(found)  # nothing of it is kept

    if check:
        try:
            in_transaction(settings, compare)
        except _Compared as compared:
            if compared.rows:
                raise Failure(f"{compared.rows} rows differ: run zhipei ledger recompute") from None
            click.echo("counted anew, every figure is the same")
        return
    done = in_transaction(settings, count)
    click.echo(f"counted up to event {done.event_id}; closed: {', '.join(done.closed) or 'nothing new'}")


class _Compared(Exception):
    """How many rows differ; raised so that the transaction is rolled back."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
