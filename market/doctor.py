"""``zhipei doctor``: what is wrong, and what to do about it."""

import shutil
from pathlib import Path

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from infra import fields, outbox, privileges
from infra.cipher import cipher_of, secret_is_known
from infra.db import Database, DatabaseUnavailable, Transaction
from infra.migrate import MigrationError, pending
from infra.settings import Settings, SettingsError
from market.audit import queries as audit
from market.calendars import queries as calendars
from market.data.language import OWN_FILES, LanguageError, load
from market.deadlines import queries as deadlines
from market.ledger import counting
from market.messages import delivery_queries as deliveries
from market.messages import mail

ENOUGH_BYTES = 1_000_000_000
LATE_SECONDS = 60
BEHIND_SECONDS = 180
"""A step that is due waits for the next full minute, and for what is due before it."""
LEDGER_SECONDS = 36 * 3600
"""The ledger is counted every night: a night was missed."""
DELIVERY_SECONDS = 3_600
"""A letter waits out an hour of its server's absence before anybody is troubled."""
CHAIN_SECONDS = 600
"""A long transaction, such as an import, holds up the chain for as long as it runs."""
POSTGRESQL = 160_000
"""The oldest PostgreSQL that the statements are written for, as server_version_num."""

SETTING = "SELECT current_setting($1)"


class Finding(Struct, frozen=True):
    """One thing looked at."""

    what: str
    fine: bool
    found: str
    remedy: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything that can be looked at from here."""
    return [
        _disk(settings.data_dir),
        _assets(),
        _words(settings.own_words),
        _mail(settings),
        await _redis(settings),
        *await _postgresql(settings),
    ]


def _disk(folder: Path) -> Finding:
    existing = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    return Finding(
        "disk",
        free >= ENOUGH_BYTES,
        f"{free / 1e9:.1f} GB free for {folder}",
        "make room, or set ZHIPEI_DATA_DIR to a folder on a larger disk",
    )


def _assets() -> Finding:
    built = (Path(__file__).parent / "static" / "dist" / "manifest.json").exists()
    return Finding("styles and scripts", built, "built" if built else "missing", "run: make setup")


def _words(folder: Path) -> Finding:
    remedy = "mend the lines named; until then the words before them are used"
    try:
        load(folder)
    except LanguageError as error:
        return Finding("words", fine=False, found="; ".join(error.lines), remedy=remedy)
    own = [name for name in OWN_FILES if (folder / name).is_file()]
    return Finding("words", fine=True, found=f"own {', '.join(own)} in {folder}" if own else "as shipped")


def _mail(settings: Settings) -> Finding:
    if settings.smtp_url is None:
        return Finding("mail server", fine=True, found="none: no letters are sent")
    try:
        server = mail.server_of(settings)
        mail.sender(settings)
    except SettingsError as error:
        return Finding("mail server", fine=False, found=str(error), remedy="mend the setting")
    return Finding("mail server", fine=True, found=f"{server.host}:{server.port}; try it: zhipei mail test ADDRESS")


async def _redis(settings: Settings) -> Finding:
    client = Redis.from_url(settings.redis_url or "", socket_timeout=2, socket_connect_timeout=2)
    try:
        await client.ping()
        persistent = (await client.info("persistence")).get("aof_enabled") == 1
    except RedisError as error:
        return Finding("Redis", fine=False, found=str(error), remedy=_start("REDIS", settings.redis_url))
    finally:
        await client.aclose()
    return Finding(
        "Redis",
        persistent,
        "answers, append-only file on" if persistent else "answers, append-only file off",
        "set appendonly yes, or people are logged out when it restarts",
    )


async def _postgresql(settings: Settings) -> list[Finding]:
    database = Database(
        settings.database_url or "", size=1, wait=3, statement_timeout_ms=5000, lock_timeout_ms=1000, name="doctor"
    )
    try:
        async with database.transaction() as tx:
            return await _inside(tx, settings)
    except DatabaseUnavailable as error:
        remedy = _start("DATABASE", settings.database_url)
        return [Finding("PostgreSQL", fine=False, found=str(error), remedy=remedy)]
    finally:
        await database.close()


async def _inside(tx: Transaction, settings: Settings) -> list[Finding]:
    version = await tx.fetchval(SETTING, "server_version")
    number = int(await tx.fetchval(SETTING, "server_version_num"))
    durable = {name: await tx.fetchval(SETTING, name) for name in ("fsync", "full_page_writes", "synchronous_commit")}
    safe = set(durable.values()) <= {"on", "remote_apply", "remote_write"}
    findings = [
        Finding("PostgreSQL", number >= POSTGRESQL, f"version {version}", "upgrade to PostgreSQL 16 or newer"),
        Finding(
            "durability",
            safe,
            ", ".join(f"{name} {value}" for name, value in durable.items()),
            "turn them on: a crash would lose what was acknowledged",
        ),
    ]
    try:
        waiting = [migration.name for migration in await pending(tx)]
    except MigrationError as error:
        return [*findings, Finding("schema", fine=False, found=str(error), remedy="see docs/operations.md")]
    findings.append(Finding("schema", not waiting, ", ".join(waiting) or "up to date", "run: zhipei migrate"))
    if not waiting:
        findings += [await _privileges(tx), await _audit(tx), await _keys(tx, settings)]
        findings += [await _outbox(tx), await _deadlines(tx), await _deliveries(tx)]
        findings += [await _ledger(tx), await _calendar(tx)]
    return findings


async def _privileges(tx: Transaction) -> Finding:
    found = await privileges.too_much(tx)
    remedy = "give the application a role of its own (docs/operations.md, Audit trail), then run: zhipei migrate"
    return Finding("database role", not found, "may not change history" if not found else ", ".join(found), remedy)


async def _keys(tx: Transaction, settings: Settings) -> Finding:
    """Whether what lies sealed can be opened. Makes no key where there is none: the right one is to be put there."""
    used = await fields.used(tx)
    ours = cipher_of(settings).ids if secret_is_known(settings) else []
    missing = {key: count for key, count in used.items() if key not in ours}
    found = f"{sum(missing.values())} values are sealed with keys that are not here: {', '.join(sorted(missing))}"
    clear = await fields.in_clear(tx)
    if clear and not missing:
        return Finding("keys", False, f"{clear} rows are not sealed yet", "start a worker: it seals them as it begins")
    remedy = (
        "put the old key back into ZHIPEI_DATA_KEY, or the files secret and data_keys into the data folder (Backup, "
        "in docs/operations.md): without it contacts, mail addresses and second factors cannot be read"
    )
    return Finding("keys", not missing, found if missing else f"{sum(used.values())} values, all can be opened", remedy)


async def _audit(tx: Transaction) -> Finding:
    late = await audit.late_seconds(tx)
    remedy = "is a worker running? it chains the audit trail every 20 seconds; then: zhipei audit verify"
    return Finding("audit trail", late < CHAIN_SECONDS, f"oldest entry unchained for {late:.0f} s", remedy)


async def _outbox(tx: Transaction) -> Finding:
    depth = await outbox.depth(tx)
    found = f"{depth.waiting} waiting, oldest {depth.oldest_seconds:.0f} s, {depth.parked} parked"
    remedy = "is a worker running? parked work: read last_error in table outbox, then: zhipei outbox retry"
    return Finding("background work", not depth.parked and depth.oldest_seconds < LATE_SECONDS, found, remedy)


async def _deadlines(tx: Transaction) -> Finding:
    behind = await deadlines.behind(tx)
    remedy = "is a worker running? it moves what is due every minute, the oldest first"
    return Finding("deadlines", behind < BEHIND_SECONDS, f"oldest step due for {behind:.0f} s", remedy)


async def _ledger(tx: Transaction) -> Finding:
    behind = await counting.behind(tx)
    found = "not counted yet" if behind is None else f"counted {behind / 3600:.0f} hours ago"
    remedy = "is a worker running? it counts every night at 01:30 Beijing time; now: zhipei ledger recompute"
    return Finding("ledger", behind is None or behind < LEDGER_SECONDS, found, remedy)


async def _deliveries(tx: Transaction) -> Finding:
    backlog = await deliveries.backlog(tx)
    found = f"{backlog.waiting} waiting, oldest {backlog.oldest_seconds:.0f} s, {backlog.parked} parked"
    remedy = "is a worker running, does the mail server answer (zhipei mail test)? parked ones: zhipei mail retry"
    return Finding(
        "letters and webhooks", not backlog.parked and backlog.oldest_seconds < DELIVERY_SECONDS, found, remedy
    )


async def _calendar(tx: Transaction) -> Finding:
    horizon = (await calendars.calendars(tx)).horizon
    today = await tx.fetchval("SELECT current_date")
    return Finding(
        "calendar",
        (horizon - today).days > 0,
        f"announced to {horizon}",
        "import the State Council's holiday notice: deadlines past the horizon are provisional",
    )


def _start(name: str, url: str | None) -> str:
    return f"start it with: make demo, or set ZHIPEI_{name}_URL (now {_without_password(url or '')})"


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.split('//')[0]}//…@{tail}" if at else url
