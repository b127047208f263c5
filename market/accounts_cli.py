"""``zhipei account`` and ``zhipei token``: who may come in."""

import click

from infra.cipher import cipher_of, secret_of
from infra.db import Transaction
from infra.sealing import seal_token
from infra.settings import Settings
from market.accounts import factors
from market.accounts import service as accounts
from market.accounts.model import Reset, Role
from market.accounts.passwords import Hasher
from market.terminal import in_transaction, with_words

RESET_SECONDS = 3600


@click.group()
def account() -> None:
    """Accounts."""


@account.command("create")
@click.argument("login")
@click.option("--name", required=True, help="The person's name.")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--node", "node_id", type=int, help="Of a coordinator or clerk.")
@click.option("--institution", "institution_id", type=int, help="Of an institution's account.")
@click.option("--enterprise", "enterprise_id", type=int, help="Of an enterprise's account.")
@click.password_option()
@click.pass_obj
def account_create(
    settings: Settings,
    login: str,
    name: str,
    role: str,
    password: str,
    node_id: int | None,
    institution_id: int | None,
    enterprise_id: int | None,
) -> None:
    """Add an account."""

    form = accounts.NewAccount(
        login=login,
        password=password,
        name=name,
        role=Role(role),
        node_id=node_id,
        institution_id=institution_id,
        enterprise_id=enterprise_id,
    )
    shortest = settings.password_length
    account_id = with_words(settings, lambda db: accounts.create_checked(db, Hasher(1), form, shortest=shortest))
    click.echo(f"account {account_id}: {login} ({role})")


@account.command("password")
@click.argument("login")
@click.password_option()
@click.pass_obj
def account_password(settings: Settings, login: str, password: str) -> None:
    """Give an account a new password, and sign it out everywhere."""
    shortest = settings.password_length
    with_words(settings, lambda db: accounts.set_password(db, Hasher(1), login, password, shortest=shortest))
    click.echo(f"{login} has a new password")


@account.command("reset")
@click.argument("login")
@click.pass_obj
def account_reset(settings: Settings, login: str) -> None:
    """Print a link by which its owner chooses a new password: good for an hour, and once."""
    known = in_transaction(settings, lambda tx: accounts.find(tx, login))
    cipher = cipher_of(settings, secret_of(settings))
    token = seal_token(cipher, "reset", Reset(known.id, known.session_epoch), RESET_SECONDS)
    click.echo(f"{settings.address}/reset?token={token}")


@account.command("disable")
@click.argument("login")
@click.option("--undo", is_flag=True, help="Let it in again.")
@click.pass_obj
def account_disable(settings: Settings, login: str, *, undo: bool) -> None:
    """Let an account in no longer: its sessions and tokens end at once."""
    in_transaction(settings, lambda tx: accounts.set_disabled(tx, login, disabled=not undo))
    click.echo(f"{login} is {'let in again' if undo else 'disabled'}")


@account.command("forget-factor")
@click.argument("login")
@click.pass_obj
def account_forget_factor(settings: Settings, login: str) -> None:
    """Take the second factor off an account whose owner has lost it and all recovery codes."""

    async def forget(tx: Transaction) -> None:
        await factors.remove(tx, (await accounts.find(tx, login)).id)

    in_transaction(settings, forget)
    click.echo(f"{login} logs in with the password alone, and can set a second factor up anew")


@click.group()
def token() -> None:
    """API tokens."""


@token.command("create")
@click.argument("login")
@click.option("--name", default="cli", show_default=True, help="What the token is for.")
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True)
@click.option(
    "--scope", "scopes", multiple=True, help="read, write, needs:read …; repeatable. None: all the account may."
)
@click.pass_obj
def token_create(settings: Settings, login: str, name: str, days: int, scopes: tuple[str, ...]) -> None:
    """Print a new API token of an account. It cannot be shown again."""
    click.echo(in_transaction(settings, lambda tx: accounts.create_token(tx, login, name, days, scopes)))
