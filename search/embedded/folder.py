"""The folder of the indexes: which of them is in service, and who may write."""

import fcntl
import os
import shutil
import uuid
from pathlib import Path

from search.engine import IndexName
from search.errors import IndexMissing, SettingsOutdated, WriterBusy


class Folder:
    """Links to indexes of these settings, in a folder that all processes share."""

    def __init__(self, path: Path, digests: dict[IndexName, str]) -> None:
        """`digests` of the settings by index: an index of others is not seen."""
        self.path = path
        self._digests = digests

    def current(self, index: IndexName) -> Path:
        """The index in service.

        Raises:
            IndexMissing, SettingsOutdated: there is none.
        """
        try:
            return self.path / self._link(index).readlink()
        except FileNotFoundError:
            if any(self.path.glob(f"{index}-*")):
                raise SettingsOutdated(index) from None
            raise IndexMissing(index) from None

    def fresh(self, index: IndexName) -> Path:
        """A new empty folder, not in service."""
        path = self.path / f"{index}.{uuid.uuid4().hex[:8]}"
        path.mkdir()
        return path

    def serve(self, index: IndexName, path: Path) -> None:
        """Put the index in service, in one step that survives a crash, and remove all others of the name.

        Readers that still search an old one have its files open, and keep them until they look again.
        """
        link = self._link(index)
        aside = link.with_name(f".{link.name}")
        aside.unlink(missing_ok=True)
        aside.symlink_to(path.name)
        aside.replace(link)
        self._sync()
        for other in self.path.glob(f"{index}-*"):
            if other != link:
                other.unlink()
        for other in self.path.glob(f"{index}.*"):
            if other != path:
                shutil.rmtree(other, ignore_errors=True)

    def lock(self) -> int:
        """Make this process the writer, until it closes the descriptor or ends.

        Raises:
            WriterBusy: another process is.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / "writer.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise WriterBusy(f"another process writes to {self.path}") from None
        return descriptor

    def digest(self, index: IndexName) -> str:
        """Of the settings of the index."""
        return self._digests[index]

    def _link(self, index: IndexName) -> Path:
        return self.path / f"{index}-{self._digests[index]}"

    def _sync(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
