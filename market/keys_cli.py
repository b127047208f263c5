"""``zhipei keys …`` and ``zhipei erase``: what seals personal data, and that it goes."""

from functools import partial

import click
from rich.progress import Progress

from infra import embedded, fields
from infra.cipher import KEY_FILE, CannotOpenError, add_key
from infra.db import Database, Transaction
from infra.settings import Settings
from market.accounts import factors
from market.accounts import service as accounts
from market.audit import service as audit
from market.audit.model import TERMINAL, Action
from market.personal import service
from market.personal.model import Erased
from market.terminal import Failure, in_transaction, with_database, with_words


@click.group()
def keys() -> None:
    """Keys of what lies sealed in the database."""


@keys.command("list")
@click.pass_obj
def keys_list(settings: Settings) -> None:
    """Print every key by its id, the one that seals first, and how many values each has sealed."""

    async def counts(tx: Transaction) -> tuple[list[str], dict[str, int]]:
        return tx.keys().ids, dict(await fields.used(tx))

    ours, used = in_transaction(settings, counts)
    for key_id in [*ours, *sorted(set(used) - set(ours))]:
        kind = "seals" if key_id == ours[0] else "opens" if key_id in ours else "MISSING"
        click.echo(f"{key_id}  {kind.ljust(7)}  {used.get(key_id, 0)} values")
    if missing := set(used) - set(ours):
        raise Failure(f"{len(missing)} keys are missing; what they sealed cannot be read: see zhipei doctor")


@keys.command()
@click.option("--batch", type=click.IntRange(1, 10_000), default=service.BATCH, help="Rows a transaction.")
@click.pass_obj
def rotate(settings: Settings, batch: int) -> None:
    """Make a new key and seal everything with it, while all runs. Stopped half-way, it goes on when called again.

    With ZHIPEI_DATA_KEY the new key is the one that you have put in front there.
    """
    settings = embedded.with_urls(settings)
    path = settings.data_dir / KEY_FILE
    if settings.data_key is None and settings.secret is not None:
        raise Failure(
            "the key comes from ZHIPEI_SECRET: set ZHIPEI_DATA_KEY to a new key, a comma and that secret, restart web "
            "servers and workers, then call this again"
        )

    async def go_on(database: Database) -> None:
        async with database.transaction() as tx:
            old = sorted(set(await fields.used(tx)) - {tx.keys().ids[0]})
        if not old and settings.data_key is None:
            add_key(path)  # of a rotation that was stopped there are values left under older ones
        await _rotate(database, batch)

    try:
        with_database(settings, go_on)
    except CannotOpenError as error:
        raise Failure(f"{error}: put the key that is missing back (zhipei keys list)") from error


async def _rotate(database: Database, batch: int) -> None:
    async with database.transaction() as tx:
        key = tx.keys().ids[0]
        waiting = {table: await fields.waiting(tx, table) for table in fields.TABLES}
        await audit.record(tx, None, Action.ROTATE_KEYS, f"key:{key}", role=TERMINAL, step="begin")
    click.echo(f"key {key} seals from now on; {sum(waiting.values())} rows to seal anew")
    sealed = 0
    with Progress(transient=True) as bar:
        for table, total in waiting.items():
            task = bar.add_task(table.name, total=total)
            # What somebody changed meanwhile was passed over, and is found the next time.
            while done := await service.seal_all(database, table, batch, partial(bar.advance, task)):
                sealed += done
    async with database.transaction() as tx:
        sealed += await factors.reseal(tx, tx.keys())
        await audit.record(tx, None, Action.ROTATE_KEYS, f"key:{key}", role=TERMINAL, step="end", rows=sealed)
    click.echo(
        f"{sealed} rows sealed anew; links and answers under the old key are good for 7 more days: keep it so long"
    )


@click.command()
@click.option("--login", help="Of an account; its needs, profile and all that is its own go along.")
@click.option("--need", "needs", type=int, multiple=True, help="A need's number, as on the receipt; repeatable.")
@click.option("--phone", help="All needs with this telephone number.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def erase(settings: Settings, login: str | None, needs: tuple[int, ...], phone: str | None, *, yes: bool) -> None:
    """Erase somebody's personal data, on a written request. Nothing that is still open; there is no way back."""
    if sum((bool(login), bool(needs), bool(phone))) != 1:
        raise click.UsageError("name one of --login, --need and --phone")
    if phone:
        needs = tuple(in_transaction(settings, lambda tx: service.by_phone(tx, phone)))
        if not needs:
            raise Failure("no need has this telephone number")
    what = f"account {login}" if login else f"contacts of needs {', '.join(map(str, needs))}"
    if not yes:
        click.confirm(f"erase {what}, for good?", abort=True)

    async def act(database: Database) -> Erased:
        async with database.transaction() as tx:
            if login is None:
                return await service.erase_needs(tx, needs)
            account = await accounts.find(tx, login)
            return await service.erase_account(tx, account.id, role=TERMINAL)

    erased = with_words(settings, act)
    click.echo(f"erased: {what}; {erased.needs} needs, {erased.profiles} profiles. Backups keep it until they are gone")
