"""The file that ``zhipei backup`` writes: a tar archive, encrypted or not. docs/operations.md describes it.

    README.txt             how to restore it without Zhipei
    database/000000 …      pg_dump's custom format, in parts; one after another they are one file
    files/…                what of the data folder goes with it
    manifest.json          what the database held: see Manifest
    manifest.sha256        the last member; without it the archive is cut short

In parts, because tar wants to know a member's size before its content, and a dump must not lie on a disk in the clear
only to be measured.
"""

import hashlib
import io
import os
import tarfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Self, cast

import msgspec
from msgspec import Struct

from infra.encryption import Opener, Sealer, SealError, Secret, is_sealed

PART_BYTES = 4 << 20
MANIFEST_BYTES = 16 << 20
MANIFEST, DIGEST, DATABASE, FILES = "manifest.json", "manifest.sha256", "database/", "files/"
README = b"""A backup of Zhipei. To restore it: zhipei restore FILE (docs/operations.md).
Without Zhipei, into an empty PostgreSQL database:
  tar xf FILE && cat database/* | pg_restore --no-owner --no-privileges --single-transaction -d DATABASE
manifest.json says what the database held: rows, and a fingerprint of each table.
"""


class ArchiveError(Exception):
    """The archive cannot be written, or not be trusted. The message says why."""


class Table(Struct, frozen=True):
    """What a table held."""

    name: str
    rows: int
    fingerprint: str
    """The sum of its rows' SHA-256, modulo 2²⁵⁶: the same for the same rows in any order."""


class Migration(Struct, frozen=True):
    """A migration that the database had."""

    name: str
    sha256: str


class Manifest(Struct, frozen=True, kw_only=True):
    """What lies in the archive, and what it was taken from."""

    format: int = 1
    release: str
    created_at: datetime
    server: str
    migrations: list[Migration]
    tables: list[Table]
    sequences: dict[str, int]
    """The last number each had given, at least."""
    dump_bytes: int
    dump_sha256: str
    files: dict[str, str]
    """Name → SHA-256."""

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(table.rows for table in self.tables)


class Writer:
    """Writes one archive, in the order of the members."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._add("README.txt", README)
        self._held, self._parts = bytearray(), 0
        self._sha, self.dump_bytes = hashlib.sha256(), 0
        self.files: dict[str, str] = {}

    def dump(self, data: bytes) -> None:
        """More of the dump."""
        self._sha.update(data)
        self.dump_bytes += len(data)
        self._held += data
        while len(self._held) >= PART_BYTES:
            self._part(PART_BYTES)

    def end_dump(self) -> str:
        """The dump's SHA-256."""
        if self._held:
            self._part(len(self._held))
        return self._sha.hexdigest()

    def add_file(self, name: str, content: bytes) -> None:
        """Something of the data folder."""
        self.files[name] = hashlib.sha256(content).hexdigest()
        self._add(FILES + name, content)

    def finish(self, manifest: Manifest) -> None:
        """The last members."""
        content = msgspec.json.format(msgspec.json.encode(manifest))
        self._add(MANIFEST, content)
        self._add(DIGEST, f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n".encode())
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))

    def _part(self, size: int) -> None:
        self._add(f"{DATABASE}{self._parts:06}", bytes(self._held[:size]))
        self._parts += 1
        del self._held[:size]

    def _add(self, name: str, content: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), 0o600
        padding = bytes(-len(content) % tarfile.BLOCKSIZE)
        self._file.write(info.tobuf(tarfile.USTAR_FORMAT) + content + padding)


@contextmanager
def writing(path: Path, secret: Secret | None) -> Iterator[Writer]:
    """An archive that has its name only once it is whole and on the disk.

    Raises:
        ArchiveError: there is a file of that name, or the disk is full.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        if path.exists():
            raise ArchiveError(f"{path} exists; a backup never takes another's place")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                sealer = Sealer(file, secret) if secret else None
                yield Writer(cast("BinaryIO", sealer or file))
                if sealer:
                    sealer.finish()
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
            _sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written: {error.strerror or error}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _drop(_data: bytes) -> None:
    """For whoever only wants to know."""


def read(
    path: Path,
    secret: Secret | None,
    *,
    dump: Callable[[bytes], None] = _drop,
    file: Callable[[str, bytes], None] | None = None,
) -> Manifest:
    """Read the archive to its end and check all of it; the dump goes to ``dump``, each file to ``file``.

    Only the answer says that what was given was whole: undo it where this raises.

    Raises:
        ArchiveError: it is none, cut short, changed, or encrypted with another key.
    """
    reading = _Reading(dump, file or (lambda _name, _content: None))
    try:
        with path.open("rb") as raw:
            source: BinaryIO = raw
            if is_sealed(raw):
                source = cast("BinaryIO", io.BufferedReader(Opener(raw, secret), PART_BYTES))
            with tarfile.open(fileobj=source, mode="r|", bufsize=tarfile.RECORDSIZE) as tar:
                for member in tar:
                    reading.take(member.name, _content(tar, member))
            # What follows the last member is read as well: only so a sealed file's end has been checked.
            while source.read(PART_BYTES):
                pass
        return reading.end()
    except SealError as error:
        raise ArchiveError(f"{path}: {error}") from error
    except (tarfile.TarError, EOFError) as error:
        raise ArchiveError(f"{path} is no backup, or is damaged: {error}") from error
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror or error}") from error
    except _Damage as error:
        raise ArchiveError(f"{path}: {error}") from error


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member) if member.isreg() else None
    if stream is None or member.size > MANIFEST_BYTES:
        raise _Damage(f"holds {member.name!r}, which no backup does")
    content = stream.read()
    if len(content) != member.size:
        raise _Damage("is cut short")
    return content


class _Damage(Exception):
    """Something is not as it was written."""


class _Reading:
    """What has been seen of an archive so far."""

    def __init__(self, dump: Callable[[bytes], None], file: Callable[[str, bytes], None]) -> None:
        self._dump, self._file = dump, file
        self._sha, self._bytes, self._parts = hashlib.sha256(), 0, 0
        self._files: dict[str, str] = {}
        self._manifest, self._digest = b"", b""

    def take(self: Self, name: str, content: bytes) -> None:
        """One member."""
        if self._digest:
            raise _Damage("goes on after its end")
        if name.startswith(DATABASE):
            if name != f"{DATABASE}{self._parts:06}":
                raise _Damage(f"{name} is not in its place")
            self._parts += 1
            self._sha.update(content)
            self._bytes += len(content)
            self._dump(content)
        elif name.startswith(FILES):
            self._files[name.removeprefix(FILES)] = hashlib.sha256(content).hexdigest()
            self._file(name.removeprefix(FILES), content)
        elif name == MANIFEST:
            self._manifest = content
        elif name == DIGEST:
            self._digest = content

    def end(self) -> Manifest:
        """The manifest, with which all agrees."""
        if not self._digest:
            raise _Damage("is cut short: its end is missing")
        if self._digest.split(b" ")[0].decode("ascii", "replace") != hashlib.sha256(self._manifest).hexdigest():
            raise _Damage("its manifest was changed")
        try:
            manifest = msgspec.json.decode(self._manifest, type=Manifest)
        except msgspec.DecodeError as error:
            raise _Damage(f"is of another format: {error}") from error
        if manifest.format != 1:
            raise _Damage(f"has format {manifest.format}; use the newer release of Zhipei")
        if (self._bytes, self._sha.hexdigest()) != (manifest.dump_bytes, manifest.dump_sha256):
            raise _Damage("the dump in it was changed")
        if self._files != manifest.files:
            raise _Damage("files in it were changed")
        return manifest
