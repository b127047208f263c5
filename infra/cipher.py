"""Secrets at rest: AES-256-GCM under keys that can be rotated (docs/decisions/0015-log-in.md).

A sealed value is ``01 | key id (4 bytes) | nonce (12) | ciphertext and tag``. The key id is derived from the secret, so
that nobody has to name keys. ``context`` says what the value is and whose ("totp:7"): sealed with it, a value copied
into another row or column does not open there.
"""

import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from infra.settings import Settings

VERSION = b"\x01"
ID_BYTES, NONCE_BYTES = 4, 12
HEAD_BYTES = len(VERSION) + ID_BYTES
KEY_FILE = "data_keys"
"""In the data folder, a key a line, the newest first: those that ``zhipei keys rotate`` has made."""


class CannotOpenError(Exception):
    """The value was sealed for another context, under a key that is not there (ZHIPEI_DATA_KEY), or was changed."""


class Cipher:
    """Seals with the first of the secrets, opens with any of them."""

    def __init__(self, given: Sequence[str]) -> None:
        derived = [_derive(secret) for secret in given]
        self._keys = {key_id: AESGCM(key) for key_id, key in derived}
        self._current = derived[0][0]

    def seal(self, plain: bytes, context: str) -> bytes:
        """``plain`` encrypted; never the same bytes twice."""
        self._refresh()
        nonce = secrets.token_bytes(NONCE_BYTES)
        head = VERSION + self._current
        return head + nonce + self._keys[self._current].encrypt(nonce, plain, head + context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """What was sealed.

        Raises:
            CannotOpenError: see there; the message names nothing of the value.
        """
        self._refresh()
        head, rest = sealed[:HEAD_BYTES], sealed[HEAD_BYTES:]
        key = self._keys.get(head[len(VERSION) :])
        if head[: len(VERSION)] != VERSION or key is None or len(rest) <= NONCE_BYTES:
            raise CannotOpenError("no key of ZHIPEI_DATA_KEY fits this value")
        try:
            return key.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], head + context.encode())
        except InvalidTag:
            raise CannotOpenError("this value was changed, or belongs elsewhere") from None

    def is_current(self, sealed: bytes) -> bool:
        """Whether the value is sealed with the first secret: a rotation seals all others anew."""
        return sealed.startswith(self.head)

    @property
    def head(self) -> bytes:
        """What every value begins with that is sealed with the first secret."""
        self._refresh()
        return VERSION + self._current

    def _refresh(self) -> None:
        """Look for new secrets, where there may be any."""

    @property
    def ids(self) -> list[str]:
        """The keys' ids, the one that seals first."""
        self._refresh()
        return [key_id.hex() for key_id in self._keys]


class KeptCipher(Cipher):
    """A cipher whose keys lie in a file, which a rotation adds to while processes run: it is read anew when it changed.

    Behind those of the file stands the secret that seals while there is no file.
    """

    def __init__(self, path: Path, secret: Callable[[], str]) -> None:
        self._path, self._secret = path, secret
        self._read: tuple[int, int] | None = None
        self._refresh()

    def _refresh(self) -> None:
        try:
            file = self._path.stat()
            written = file.st_ino, file.st_mtime_ns
        except FileNotFoundError:
            written = 0, 0
        if written != self._read:
            super().__init__([*kept_keys(self._path), self._secret()])
            self._read = written


def cipher_of(settings: Settings, secret: str | None = None) -> Cipher:
    """The cipher of the settings; ``secret`` as from ``secret_of``, so that all processes get the same."""
    if settings.data_key:
        return Cipher([one.strip() for one in settings.data_key.split(",")])
    return KeptCipher(settings.data_dir / KEY_FILE, lambda: secret or secret_of(settings))


def secret_is_known(settings: Settings) -> bool:
    """Whether ``cipher_of`` finds a key, and makes none."""
    return bool(settings.data_key or settings.secret or (settings.data_dir / "secret").exists())


def keys_of(settings: Settings, secret: str | None = None) -> Callable[[], Cipher]:
    """As ``cipher_of``, made when it is first asked for: who reads nothing sealed needs no key, and makes none."""
    return cache(lambda: cipher_of(settings, secret))


def kept_keys(path: Path) -> list[str]:
    """The keys of the file, the newest first; none where there is no file."""
    return path.read_text().split() if path.exists() else []


def add_key(path: Path) -> None:
    """A new key in front of those of the file, which is never half written."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join((secrets.token_urlsafe(32), *kept_keys(path), "")))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def secret_of(settings: Settings) -> str:
    """The secret of the settings, or one of our own in the data folder that outlives restarts."""
    if settings.secret is not None:
        return settings.secret
    path = settings.data_dir / "secret"
    if not path.exists():
        _write_whole(path, secrets.token_urlsafe(32))
    return path.read_text()


def _write_whole(path: Path, text: str) -> None:
    """A file that never exists half written, for another process may read it at any moment; the first to come wins."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def _derive(secret: str) -> tuple[bytes, bytes]:
    """Key id and key. The secrets are long and random, so a plain key derivation is enough."""
    made = HKDF(algorithm=SHA256(), length=ID_BYTES + 32, salt=None, info=b"zhipei data").derive(secret.encode())
    return made[:ID_BYTES], made[ID_BYTES:]
