"""PostgreSQL's own programs: pg_dump into Python, and a dump out of Python through pg_restore and psql."""

import importlib.util
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from msgspec import Struct

from infra.embedded import POSTGRES

PIPE_BYTES = 1 << 18
NO_SUCH_SETTING = b"SET transaction_timeout = 0;\n"
"""pg_restore says so to every server; those before PostgreSQL 17 do not know it."""


class BackupError(Exception):
    """The backup or the restoring failed. The message says why, and in which state things are."""


class Server(Struct, frozen=True):
    """A PostgreSQL server's version."""

    version: str
    major: int


def dump(command: list[str], url: str, take: Callable[[bytes], None]) -> None:
    """Hand what pg_dump writes to ``take``.

    Raises:
        BackupError: it failed; with its words.
    """
    argv, env = _connected(command, url)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:  # noqa: S603
        said = _Listener(process.stderr)
        assert process.stdout is not None
        try:
            while data := process.stdout.read(PIPE_BYTES):
                take(data)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise BackupError(f"pg_dump failed: {said.words()}")


@contextmanager
def loading(url: str, server: Server) -> Iterator[Callable[[bytes], None]]:
    """What is given to the yielded function, a dump in custom format, is in the database after the block.

    In one transaction: where the block raises, or PostgreSQL refuses, nothing is.

    Raises:
        BackupError: with PostgreSQL's words.
    """
    unpack = [client("pg_restore", server), "--no-owner", "--no-privileges", "--file=-"]
    load, env = _connected([client("psql", server), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"], url)
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(unpack, stdin=pipe, stdout=pipe, stderr=pipe) as unpacker,  # noqa: S603
        subprocess.Popen(  # noqa: S603
            [*load, "--single-transaction"], stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe, env=env
        ) as loader,
    ):
        assert unpacker.stdin is not None
        assert unpacker.stdout is not None
        assert loader.stdin is not None
        said = _Listener(unpacker.stderr), _Listener(loader.stderr)
        passing = _Passing(unpacker.stdout, loader.stdin, strip=server.major < 17)
        feeding = unpacker.stdin

        def give(data: bytes) -> None:
            with suppress(BrokenPipeError):  # the program that ended tells why
                feeding.write(data)

        try:
            yield give
            _close(unpacker.stdin)
            passing.join()
            _check(unpacker, said[0])
            _close(loader.stdin)  # only now does psql learn that nothing follows, and commit
            _check(loader, said[1])
        except BaseException:
            loader.kill()  # before its input ends, or it would commit
            unpacker.kill()
            _close(loader.stdin)
            _close(unpacker.stdin)
            raise


def _close(pipe: IO[bytes]) -> None:
    with suppress(BrokenPipeError):
        pipe.close()


def _check(process: "subprocess.Popen[bytes]", said: "_Listener") -> None:
    if process.wait() != 0:
        raise BackupError(f"the dump was refused, nothing was changed: {said.words()}")


class _Passing(threading.Thread):
    """Hands on what one program says to the next, and leaves its input open."""

    def __init__(self, source: IO[bytes], sink: IO[bytes], *, strip: bool) -> None:
        super().__init__(daemon=True)
        self._source, self._sink, self._strip = source, sink, strip
        self.start()

    def run(self) -> None:
        """Until the source ends, or the sink is gone."""
        with suppress(BrokenPipeError, ValueError):
            for line in self._source:
                if not (self._strip and line == NO_SUCH_SETTING):
                    self._sink.write(line)
                else:
                    self._strip = False  # the settings come once, before any row
            self._sink.flush()
        with suppress(ValueError):  # whoever gave up has closed it
            for _ in self._source:  # else the first program would wait for ever
                pass


class _Listener(threading.Thread):
    """Keeps what a program complains of."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        super().__init__(daemon=True)
        assert pipe is not None
        self._pipe, self._said = pipe, b""
        self.start()

    def run(self) -> None:
        """Until it ends."""
        with suppress(ValueError):
            self._said = self._pipe.read()

    def words(self) -> str:
        """Its last words."""
        self.join(5)
        return self._said.decode(errors="replace").strip()[-1000:]


def client(name: str, server: Server) -> str:
    """The PostgreSQL client program ``name``: the one we ship, or the system's, whichever can talk to the server.

    Raises:
        BackupError: none is new enough.
    """
    found = []
    for path in _clients(name):
        told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
        if (version := re.search(r"\) (\d+)", told)) and int(version[1]) >= server.major:
            return path
        found.append(f"{path}: {told.strip()}")
    raise BackupError(
        f"the server is PostgreSQL {server.version}, and there is no {name} that knows it "
        f"({'; '.join(found) or 'none found'}); install postgresql-client-{server.major}"
    )


def _clients(name: str) -> list[str]:
    _, package, postgres = POSTGRES
    spec = importlib.util.find_spec(package)
    ours = [Path(place) / Path(postgres).with_name(name) for place in (spec and spec.submodule_search_locations) or ()]
    paths = [str(path) for path in ours if path.exists()]
    if (installed := shutil.which(name)) is not None:
        paths.append(installed)
    return paths


def _connected(command: list[str], url: str) -> tuple[list[str], dict[str, str]]:
    """The command on that database, its password not among the words that every user of the machine can see."""
    parts = urlsplit(url)
    env = dict(os.environ)
    if parts.password:
        env["PGPASSWORD"] = unquote(parts.password)
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        place = f"{quote(unquote(parts.username or ''))}@{host}" + (f":{parts.port}" if parts.port else "")
        url = urlunsplit(parts._replace(netloc=place))
    return [*command, f"--dbname={url}"], env
