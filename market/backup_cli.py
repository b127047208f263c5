"""``zhipei backup`` and ``zhipei restore``."""

from collections.abc import Mapping
from pathlib import Path

import click
from redis import Redis

from infra import backup as backups
from infra import embedded
from infra.archive import ArchiveError, Manifest, read, writing
from infra.cipher import KEY_FILE
from infra.db import Database
from infra.encryption import SealError, Secret
from infra.programs import BackupError
from infra.settings import Settings
from market.audit import service as audit
from market.audit.model import TERMINAL, Action
from market.discovery import queries as discovery
from market.terminal import Failure, prepare, say, with_database
from search.engine import IndexName

WORDS, SIGNING = "language/", "secret"
KEYS = (SIGNING, KEY_FILE)
"""Of the data folder: only an encrypted backup takes them along."""
REASON = "restored from a backup"

KEY = click.option(
    "--key-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Its key: 32 or more random bytes."
)
PASSPHRASE = click.option("--passphrase", is_flag=True, help="Ask for its passphrase.")


@click.group(invoke_without_command=True)
@click.option("--to", "path", type=click.Path(path_type=Path), help="The file to write; it must not exist.")
@KEY
@PASSPHRASE
@click.pass_context
def backup(context: click.Context, path: Path | None, key_file: Path | None, *, passphrase: bool) -> None:
    """Write the database and the own words to a file, of one moment; encrypted if a key or passphrase is given."""
    if context.invoked_subcommand:
        return
    if path is None:
        raise click.UsageError("name the file: --to FILE")
    settings = embedded.with_urls(context.obj)
    secret = _secret(key_file, passphrase=passphrase, confirm=True)
    manifest = with_database(settings, lambda database: _back_up(database, settings, path, secret), owner=True)
    say(_told(path, manifest))
    if secret is None:
        say("not encrypted, though it holds personal data: keep it where nobody else reads it")
        kept = " and ".join(str(settings.data_dir / name) for name in KEYS if (settings.data_dir / name).is_file())
        if kept:
            say(f"not in it: {kept}, which sign forms and may open encrypted fields; keep a copy")


@backup.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@KEY
@PASSPHRASE
def verify(path: Path, key_file: Path | None, *, passphrase: bool) -> None:
    """Read a backup to its end and check all of it; needs no database."""
    try:
        say(_told(path, read(path, _secret(key_file, passphrase=passphrase, confirm=False))))
    except ArchiveError as error:
        raise Failure(str(error)) from error


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@KEY
@PASSPHRASE
@click.pass_obj
def restore(settings: Settings, path: Path, key_file: Path | None, *, passphrase: bool) -> None:
    """Restore a backup into an empty database, compare row by row, and bring it up to this release."""
    settings = embedded.with_urls(settings)
    secret = _secret(key_file, passphrase=passphrase, confirm=False)
    files: dict[str, bytes] = {}
    manifest = with_database(settings, lambda database: _restore(database, settings, path, secret, files), owner=True)
    say(_told(path, manifest))
    for line in put_back(settings, files):
        say(line)
    say("restored, and every table compared. People log in again; search indexes are built anew by the worker")


async def _back_up(database: Database, settings: Settings, path: Path, secret: Secret | None) -> Manifest:
    files = {WORDS + one.name: one.read_bytes() for one in sorted(settings.own_words.glob("*")) if one.is_file()}
    for name in KEYS if secret else ():
        if (path_of := settings.data_dir / name).is_file():
            files[name] = path_of.read_bytes()
    try:
        with writing(path, secret) as archive:
            manifest = await backups.back_up(database, archive, files)
    except (ArchiveError, BackupError) as error:
        raise Failure(str(error)) from error
    async with database.transaction() as tx:
        await audit.record(tx, None, Action.BACKUP, role=TERMINAL, rows=manifest.rows)
    return manifest


async def _restore(
    database: Database, settings: Settings, path: Path, secret: Secret | None, files: dict[str, bytes]
) -> Manifest:
    try:
        manifest = await backups.restore(database, path, secret, files)
    except (ArchiveError, BackupError) as error:
        raise Failure(str(error)) from error
    await prepare(database, settings)
    async with database.transaction() as tx:
        for index in IndexName:
            await discovery.ask_rebuild(tx, index, REASON)
        await audit.record(tx, None, Action.RESTORE, role=TERMINAL, rows=manifest.rows)
    forget_redis(settings)
    return manifest


def forget_redis(settings: Settings) -> None:
    """Drop log-ins and jobs: their ids mean other accounts and other rows after a restoring."""
    with Redis.from_url(settings.redis_url or "") as client:
        for key in client.scan_iter(match=f"*{settings.namespace}*", count=1000):
            client.delete(key)


def put_back(settings: Settings, files: Mapping[str, bytes]) -> list[str]:
    """Write what is not there; what was done, in lines."""
    said = []
    for name, content in files.items():
        plain = Path(name).name
        if name.startswith(WORDS):
            place = settings.own_words / plain
        elif (name == SIGNING and settings.secret is None) or (name == KEY_FILE and settings.data_key is None):
            place = settings.data_dir / name
        else:
            continue
        if place.exists():
            said.append(f"left alone: {place} is there already")
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch(mode=0o600)
        place.write_bytes(content)
        said.append(f"put back: {place}")
    return said


def _secret(key_file: Path | None, *, passphrase: bool, confirm: bool) -> Secret | None:
    if key_file and passphrase:
        raise click.UsageError("give one of --key-file and --passphrase")
    try:
        if key_file:
            return Secret.of_file(key_file.read_bytes())
    except SealError as error:
        raise Failure(str(error)) from error
    if passphrase:
        return Secret.of_passphrase(click.prompt("passphrase", hide_input=True, confirmation_prompt=confirm))
    return None


def _told(path: Path, manifest: Manifest) -> str:
    return (
        f"{path}: whole, {manifest.rows:,} rows in {len(manifest.tables)} tables, "
        f"of {manifest.created_at:%Y-%m-%d %H:%M} UTC, Zhipei {manifest.release}, "
        f"PostgreSQL {manifest.server}, up to {manifest.migrations[-1].name}"
    )
