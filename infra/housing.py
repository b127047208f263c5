"""Where the embedded servers live and as whom: an OS account, folders, programs that account can execute.

    data_dir/lock        held by the process that runs the servers
    data_dir/logs/       one log file a program
    data_dir/servers/    postgres/ redis/ run/ (sockets) bin/ (copies of the programs, where they are needed)

PostgreSQL refuses to run as root. Started by root, both servers therefore run as the system user ``zhipei``. Where that
user cannot reach ``data_dir`` (a clone below /root), ``servers`` is a link to /var/lib/zhipei/<hash of data_dir>;
nobody's folder modes are changed. ``servers`` itself stays root's and only the folders in it are ``zhipei``'s, so that
root never follows a path the servers could have bent.
"""

import asyncio
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from infra.supervise import Say, StartError

SYSTEM_USER = "zhipei"
ELSEWHERE = Path("/var/lib/zhipei")
SOCKET_BYTES = 103 - len("/.s.PGSQL.5432")  # macOS allows 103 bytes of a socket's path, Linux 107
PASSABLE = 0o711  # others may pass through, not look around
LOCK_SECONDS = 60.0


class InUseError(StartError):
    """The data folder's servers are run by a long-lived process."""


class Account(msgspec.Struct, frozen=True):
    """Whom the servers run as."""

    uid: int
    gid: int

    @property
    def become(self) -> dict[str, Any]:
        """What subprocess needs to become it: nothing if we are it, who may not even be allowed to ask."""
        return {} if self.uid == os.geteuid() else {"user": self.uid, "group": self.gid, "extra_groups": []}


class Home(msgspec.Struct, frozen=True):
    """The servers' folder, and the account that owns the folders in it."""

    path: Path
    account: Account

    def private(self, path: Path) -> Path:
        """The folder ``path``, for the account alone: made, or found to be so."""
        try:
            path.mkdir(mode=0o700)
            os.chown(path, self.account.uid, self.account.gid)
        except FileExistsError:
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != self.account.uid or found.st_mode & 0o077:
                raise StartError(
                    f"{path} is not a folder of the servers' user alone (uid {self.account.uid}, mode 0700); "
                    f"start as the user who made it, or move it away"
                ) from None
        return path


@asynccontextmanager
async def hold(data_dir: Path, *, shared: bool) -> AsyncIterator[None]:
    """Hold the data folder's lock, so that one process runs its servers.

    ``shared``: other processes may use the servers meanwhile, as those of ``zhipei up``. A holder that does not share
    is a short command: it is waited for.

    Raises:
        InUseError: a process that shares holds it.
        StartError: the holder did not end within a minute.
    """
    try:
        make(data_dir)
        lock = (data_dir / "lock").open("a+")
    except OSError as error:
        raise StartError(f"the data folder cannot be used: {error}; set ZHIPEI_DATA_DIR to one that can") from error
    with lock as file:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _locked(file.fileno()):
            file.seek(0)
            pid, _, kind = file.read().partition(" ")
            if kind == "shared":
                raise InUseError(f"zhipei is already running on {data_dir} (process {pid}); stop it first")
            if time.monotonic() > deadline:
                raise StartError(f"{data_dir} is in use by process {pid} for over a minute; wait for it to end")
            await asyncio.sleep(0.05)
        file.truncate(0)
        file.write(f"{os.getpid()} {'shared' if shared else 'alone'}")
        file.flush()
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def make(folder: Path) -> None:
    """Make our own folder, passable whatever the umask; one that exists is left as it is."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(PASSABLE)


def key(data_dir: Path) -> str:
    """A short name for this data folder, on this machine."""
    return hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]


def sockets(data_dir: Path) -> Path:
    """The folder of the sockets: below ``data_dir``, or, where its name is too long or unfit for a URL, below /tmp."""
    inside = data_dir.resolve() / "servers" / "run"
    if len(os.fsencode(inside)) <= SOCKET_BYTES and re.fullmatch(r"[A-Za-z0-9._/-]+", str(inside)):
        return inside
    # Not $TMPDIR or $XDG_RUNTIME_DIR: every process must find the same, whatever its environment.
    return Path("/tmp") / f"zhipei-{key(data_dir)}"  # noqa: S108 - Home.private checks whose it is  # nosec B108


def settle(data_dir: Path, say: Say) -> Home:
    """The servers' home. The first call decides where it is; later ones follow."""
    data_dir = data_dir.resolve()  # whoever tries to enter it starts from another folder
    link = data_dir / "servers"
    account = _account(link / "postgres")
    if not os.path.lexists(link):
        if _can_enter(account, data_dir):
            make(link)
        else:
            elsewhere = ELSEWHERE / key(data_dir)
            say(f"user {SYSTEM_USER} cannot reach {data_dir}: the databases are kept in {elsewhere}")
            make(ELSEWHERE)
            make(elsewhere)
            link.symlink_to(elsewhere)
    home = link.resolve()
    if not _can_enter(account, home):
        raise StartError(
            f"{home} is gone, or closed to the user the servers run as (uid {account.uid}). "
            f"Put it back, or move {link} away to start with empty databases"
        )
    return Home(home, account)


def _account(cluster: Path) -> Account:
    """The owner of the databases that exist; else ourselves, or as root the system user."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if cluster.is_dir() and (owner := cluster.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        _add_user()
        entry = pwd.getpwnam(SYSTEM_USER)
    return Account(entry.pw_uid, entry.pw_gid)


def _add_user() -> None:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", SYSTEM_USER]
    try:
        run(command)
    except StartError as error:
        raise StartError(
            f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} cannot be created: {error}. "
            f"Create it, start as an ordinary user, or set ZHIPEI_DATABASE_URL and ZHIPEI_REDIS_URL"
        ) from error


def _can_enter(account: Account, folder: Path) -> bool:
    # Tried, not computed from mode bits: access lists and mount options count as well.
    return _try(account, ["/bin/sh", "-c", 'cd -- "$0"', str(folder)])


def program(home: Home, distribution: str, package: str, relative: str) -> Path:
    """The executable at ``relative`` in an installed package (not imported), or a copy if the account cannot run it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise StartError(f"the Python package {distribution} is not installed; run: make setup")
    installed = Path(spec.submodule_search_locations[0])
    if _try(home.account, [str(installed / relative), "--version"]):
        return installed / relative
    version = importlib.metadata.version(distribution)
    return copied(home.path / "bin" / f"{distribution}-{version}", installed, relative)


def copied(target: Path, installed: Path, relative: str) -> Path:
    """The executable in a copy below ``target`` of its part of the package and of the wheel's libraries."""
    if not target.is_dir():
        make(target.parent)
        half = target.with_name(target.name + ".new")
        shutil.rmtree(half, ignore_errors=True)
        parts = [Path(installed.name, *Path(relative).parts[:-2]), Path(f"{installed.name}.libs")]
        for part in parts:
            source, ignored = installed.parent / part, shutil.ignore_patterns("include", "*.a")
            if source.is_dir():
                shutil.copytree(source, half / part, ignore=ignored, symlinks=True)
        for path in [half, *half.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
        half.rename(target)
    return target / installed.name / relative


def _try(account: Account, argv: Sequence[str]) -> bool:
    """Whether the command succeeds as that account."""
    with suppress(StartError):
        run(argv, account=account)
        return True
    return False


def run(argv: Sequence[str], *, account: Account | None = None, given: str = "") -> None:
    """Run a command to its end. StartError quotes what it said if it fails."""
    become = account.become if account else {}
    environ = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        # A process group of its own: Ctrl-C is for us, and we wait for what we started.
        done = subprocess.run(  # noqa: S603  our own commands, no shell
            argv,
            input=given,
            text=True,
            cwd="/",
            env=environ,
            capture_output=True,
            process_group=0,
            check=False,
            **become,
        )
    except OSError as error:
        raise StartError(f"{argv[0]}: {error}") from error
    if done.returncode != 0:
        raise StartError(f"{argv[0]} failed: {(done.stdout + done.stderr).strip()[-2000:]}")
