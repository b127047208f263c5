"""``zhipei mail …``: try the mail server, and send again what was given up."""

import asyncio
from datetime import UTC, datetime

import click

from infra.settings import Settings, SettingsError
from market.messages import delivery_queries
from market.messages import mail as letters
from market.messages.words import WORDS
from market.terminal import Failure, in_transaction


@click.group()
def mail() -> None:
    """Letters to people."""


@mail.command()
@click.argument("address")
@click.pass_obj
def test(settings: Settings, address: str) -> None:
    """Send a test letter to ADDRESS, now; says what the mail server answered."""
    text = WORDS["_test"]["zh"]
    try:
        server = letters.server_of(settings)
        letter = letters.envelope(settings, address, f"【{WORDS['_name']['zh'].title}】{text.title}", datetime.now(UTC))
    except SettingsError as error:
        raise Failure(str(error)) from error
    except ValueError as error:
        raise Failure(f"{address!r} is no address: {error}") from error
    letters.fill(letter, text, settings.address, [], "zh", footer=None)
    handed = asyncio.run(letters.hand_over(letter, server))
    if handed.fate is not letters.Fate.TAKEN:
        raise Failure(f"{server.host}:{server.port}: {handed.error} ({handed.fate})")
    click.echo(f"{server.host}:{server.port} has taken it")


@mail.command()
@click.pass_obj
def retry(settings: Settings) -> None:
    """Send parked letters and webhooks again."""
    click.echo(f"{in_transaction(settings, delivery_queries.retry)} will be tried again")
