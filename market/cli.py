"""``zhipei``: everything a person does from a terminal."""

import asyncio
import errno
import importlib
import os
import socket
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import click
import httpx
import uvicorn
from rich.progress import Progress

from infra import embedded, outbox
from infra.cipher import secret_of
from infra.db import Database, DatabaseUnavailable
from infra.http import BoundedHttp
from infra.migrate import MigrationError
from infra.observe import configure_logs
from infra.settings import Settings, SettingsError, load
from infra.supervise import Program, StartError, run, supervised
from market import doctor as doctors
from market.calendars import service as calendars
from market.calendars.model import Hours
from market.importing import service as importing
from market.importing.model import Kind
from market.terminal import Failure, in_transaction, open_database, prepare, say, with_database

QUESTIONS = Path(__file__).parents[2] / "shared" / "data" / "needs" / "ip_needs.json"
"""Real questions in users' own words, where the folder beside the checkout has them."""


class Commands(click.Group):
    """Commands, of which some are read only when they are called: scikit-learn takes two seconds to import."""

    later: Mapping[str, str] = {
        "account": "market.accounts_cli",
        "audit": "market.audit_cli",
        "backup": "market.backup_cli",
        "challenge": "market.learning_cli",
        "erase": "market.keys_cli",
        "evaluate": "market.evaluate_cli",
        "export": "market.exporting_cli",
        "keys": "market.keys_cli",
        "ledger": "market.ledger_cli",
        "mail": "market.messages_cli",
        "models": "market.learning_cli",
        "reindex": "market.search_cli",
        "restore": "market.backup_cli",
        "search": "market.search_cli",
        "promote": "market.learning_cli",
        "rollback": "market.learning_cli",
        "shadow": "market.learning_cli",
        "token": "market.accounts_cli",
        "train": "market.learning_cli",
        "understand": "market.understand_cli",
        "words": "market.words_cli",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return sorted([*super().list_commands(ctx), *self.later])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in self.later:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(importlib.import_module(self.later[cmd_name]), cmd_name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="zhipei")
@click.pass_context
def main(context: click.Context) -> None:
    """Zhipei 知配: supply of and demand for public intellectual-property services meet."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # two threads under contention train ten times slower
    try:
        context.obj = load(os.environ)
    except SettingsError as error:
        raise Failure(str(error)) from error


@main.command()
@click.option("--demo", is_flag=True, help="Load the demo node, institutions and enterprises on the first start.")
@click.pass_obj
def up(settings: Settings, *, demo: bool) -> None:
    """Start everything: databases where none are given, web server, worker."""
    _check_port(settings)
    try:
        run(_up(settings, demo=demo))
    except (StartError, MigrationError, DatabaseUnavailable) as error:
        raise Failure(str(error)) from error


@main.command()
@click.pass_obj
def serve(settings: Settings) -> None:
    """Run the web server alone, on the databases of the settings."""
    from market.app import create_app

    ready = embedded.with_urls(settings)
    configure_logs(ready.log_level, as_json=ready.log_json)
    app = create_app(ready, csrf_secret=secret_of(ready))
    config = uvicorn.Config(
        app,
        host=ready.host,
        port=ready.port,
        access_log=False,
        log_config=None,
        http=BoundedHttp,
        forwarded_allow_ips=ready.forwarded_allow_ips,
        timeout_graceful_shutdown=10,
        server_header=False,
    )
    held = app.state.services
    _Server(config, held.stopping.set, ready.drain_seconds, held.hub.close).run()


class _Server(uvicorn.Server):
    """Stops in this order: it is not ready any more, accepts no more, ends streams, which would go on for ever, and
    lets the requests that are in flight end."""

    def __init__(
        self, config: uvicorn.Config, retire: Callable[[], None], drain_seconds: float, end_streams: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._retire, self._drain_seconds, self._end_streams = retire, drain_seconds, end_streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._retire()
        await asyncio.sleep(self._drain_seconds)
        self._end_streams()
        await super().shutdown(sockets)


@main.command()
def worker() -> None:
    """Run one worker, on the databases of the settings."""
    # By name: workers stand above the market and are never imported by it.
    os.execv(sys.executable, _worker_argv())  # noqa: S606 - our own command, no shell  # nosec B606


@main.command("migrate")
@click.pass_obj
def migrate_command(settings: Settings) -> None:
    """Bring the database up to this release, and load the facts it ships."""
    ready = embedded.with_urls(settings)
    names = with_database(settings, lambda database: prepare(database, ready), owner=True)
    click.echo("\n".join(f"applied {name}" for name in names) or "nothing to do")


@main.command("import")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]), help="Told from the columns if left out.")
@click.option("--template", type=click.Choice([kind.value for kind in Kind]), help="Print an example file instead.")
@click.option("--dry-run", is_flag=True, help="Check the file and say what it would do; change nothing.")
@click.pass_obj
def import_command(
    settings: Settings, path: Path | None, kind: str | None, template: str | None, *, dry_run: bool
) -> None:
    """Load items, institutions, offerings or a calendar from a CSV or JSON file: all rows, or none."""
    if template:
        click.echo(importing.template(Kind(template)), nl=False)
        return
    if path is None:
        raise click.UsageError("name a file, or ask for a --template")

    async def load_file(database: Database) -> importing.Report:
        with Progress(transient=True) as bar:
            task = bar.add_task(path.name, total=None)
            async with database.transaction() as tx:
                return await importing.import_file(
                    tx,
                    path,
                    Kind(kind) if kind else None,
                    progress=lambda done, total: bar.update(task, completed=done, total=total),
                    dry_run=dry_run,
                )

    try:
        click.echo(with_database(settings, load_file).summary)
    except importing.DryRun as tried:
        click.echo(f"{tried.detail}\n{tried.report.summary}")
    except importing.ImportFailed as failed:
        raise Failure("\n".join(failed.lines)) from failed


@main.group()
def calendar() -> None:
    """Working days and business hours."""


@calendar.command("hours")
@click.argument("region")
@click.argument("opens", type=click.DateTime(["%H:%M"]))
@click.argument("closes", type=click.DateTime(["%H:%M"]))
@click.pass_obj
def calendar_hours(settings: Settings, region: str, opens: datetime, closes: datetime) -> None:
    """Set a region's business hours, for it and all below it: 450000 09:00 17:30."""
    hours = Hours(opens.time(), closes.time())
    in_transaction(settings, lambda tx: calendars.set_hours(tx, region, hours))
    click.echo(f"{region}: {opens:%H:%M}–{closes:%H:%M}")


@main.group("outbox")
def outbox_group() -> None:
    """Background work that failed."""


@outbox_group.command("retry")
@click.pass_obj
def outbox_retry(settings: Settings) -> None:
    """Try parked work again."""
    click.echo(f"{in_transaction(settings, outbox.unpark)} rows will be tried again")


@main.command()
@click.pass_obj
def doctor(settings: Settings) -> None:
    """Say what is wrong, and what to do."""
    findings = asyncio.run(doctors.examine(embedded.with_urls(settings)))
    for finding in findings:
        click.echo(f"{'ok  ' if finding.fine else 'BAD '} {finding.what}: {finding.found}")
        if not finding.fine:
            click.echo(f"     {finding.remedy}")
    if not all(finding.fine for finding in findings):
        raise SystemExit(1)


async def _up(settings: Settings, *, demo: bool) -> None:
    from market.demo import service as demos

    async with embedded.servers(settings, shared=True, say=say) as ready:
        say("preparing the database (some seconds on the first start) …")
        owner, database = open_database(ready, owner=True), open_database(ready)
        try:
            await prepare(owner, ready)
            if demo:
                report = await demos.load(database, ready, questions=QUESTIONS)
                if report.loaded:
                    say(f"demo data loaded, real questions submitted: {report.questions}")
        finally:
            await owner.close()
            await database.close()
        async with supervised(_programs(ready), logs=ready.data_dir / "logs", say=say):
            _welcome(ready, demo=demo)
            try:
                await asyncio.Event().wait()
            finally:
                say("stopping …")


def _programs(settings: Settings) -> tuple[Program, ...]:
    """Web server and worker, as ``supervised`` wants them."""

    async def web_ready() -> str | None:
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.get(f"http://{_connectable(settings.host)}:{settings.port}/readyz", timeout=2)
        except httpx.HTTPError as error:
            return repr(error)
        return None if answer.status_code == 200 else answer.text

    async def alive() -> str | None:
        return None

    env = dict(os.environ) | {"OMP_NUM_THREADS": "1"}
    return (
        Program(
            name="web",
            argv=[sys.executable, "-m", "market.cli", "serve"],
            ready=web_ready,
            env=env,
            stop_seconds=15 + settings.drain_seconds,
        ),
        Program(name="worker", argv=_worker_argv(), ready=alive, env=env, stop_seconds=15),
    )


def _worker_argv() -> list[str]:
    return [sys.executable, "-m", "workers.main"]


def _welcome(settings: Settings, *, demo: bool) -> None:
    from market.demo import service as demos

    say("")
    say(f"  知配 Zhipei is ready:  {settings.address}")  # not translated: the name
    if demo:
        say("")
        say("  log in as                              login         password")
        for login, who in demos.LOGINS.items():
            say(f"    {who.ljust(34 - sum(ord(c) > 255 for c in who))}     {login:<13} {demos.PASSWORD}")
    say("")
    say(f"  API: {settings.address}/api/docs   data and logs: {settings.data_dir.resolve()}   stop: Ctrl-C")
    say("")


def _check_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise Failure(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from error
            raise Failure(
                f"port {settings.port} is in use by another program; stop it, or choose another: "
                f"ZHIPEI_PORT={settings.port + 1} make demo"
            ) from error


def _connectable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - compared with, not bound to  # nosec B104


if __name__ == "__main__":
    main()
