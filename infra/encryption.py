"""A file under AES-256-GCM in pieces: nobody can read it, change it, shorten it or put its pieces in another order.

    zhipei sealed 1 {"kdf":"scrypt","salt":"…"}\\n        the first line, in the clear; each piece vouches for it
    piece, piece, …, last piece                            CHUNK bytes and a tag of 16 each; the last may be shorter

Every file has a key of its own, out of the secret and a salt. So a piece's nonce is its number, and whether it is the
last (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015).
"""

import io
import os
import secrets
from typing import BinaryIO, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from msgspec import Struct

MAGIC = b"zhipei sealed 1 "
CHUNK, TAG, SALT = 1 << 18, 16, 16
HEADER_BYTES = 1000
SCRYPT_COST = 2**17  # with r = 8: 128 MB and a third of a second for each guess, as OWASP advises
LEAST_KEY_BYTES = 32


class SealError(Exception):
    """The file cannot be opened: not the right key, or not the file that was written. The message says which."""


class Secret(Struct, frozen=True):
    """What a file's key is made of: a passphrase, or the bytes of a key file."""

    kdf: Literal["scrypt", "hkdf"]
    value: bytes

    @classmethod
    def of_passphrase(cls, passphrase: str) -> "Secret":
        """From what a person types."""
        return cls("scrypt", passphrase.encode())

    @classmethod
    def of_file(cls, content: bytes) -> "Secret":
        """From a key file.

        Raises:
            SealError: it is too short to be a key.
        """
        if len(content) < LEAST_KEY_BYTES:
            raise SealError(f"a key file holds at least {LEAST_KEY_BYTES} random bytes: head -c 32 /dev/urandom > FILE")
        return cls("hkdf", content)

    def key(self, salt: bytes) -> bytes:
        """32 bytes, for one file."""
        if self.kdf == "scrypt":
            return Scrypt(salt=salt, length=32, n=SCRYPT_COST, r=8, p=1).derive(self.value)
        return HKDF(SHA256(), length=32, salt=salt, info=b"zhipei backup").derive(self.value)


class Header(Struct, frozen=True):
    """What has to be known before the secret is."""

    kdf: Literal["scrypt", "hkdf"]
    salt: bytes


class Sealer(io.RawIOBase):
    """A file to write: what goes in plain lies in ``file`` sealed. Only closing it makes it whole."""

    def __init__(self, file: BinaryIO, secret: Secret) -> None:
        salt = secrets.token_bytes(SALT)
        self._file, self._held, self._number = file, bytearray(), 0
        self._header = MAGIC + msgspec.json.encode(Header(secret.kdf, salt)) + b"\n"
        self._cipher = AESGCM(secret.key(salt))
        file.write(self._header)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Seal what fills pieces; keep the rest, which may turn out to be the last."""
        self._held += data
        while len(self._held) > CHUNK:
            self._seal(bytes(self._held[:CHUNK]), last=False)
            del self._held[:CHUNK]
        return len(data)

    def finish(self) -> None:
        """The last piece. A file without one is refused when it is read."""
        self._seal(bytes(self._held), last=True)

    def _seal(self, piece: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last=last), piece, self._header))
        self._number += 1


class Opener(io.RawIOBase):
    """A sealed file to read: every byte it gives has been checked.

    Raises:
        SealError: at any read.
    """

    def __init__(self, file: BinaryIO, secret: Secret | None) -> None:
        self._file, self._number, self._given = file, 0, b""
        self._header = file.readline(HEADER_BYTES)
        header = read_header(self._header)
        if secret is None or secret.kdf != header.kdf:
            raise SealError(f"the file is encrypted: give {_needed(header)}")
        self._cipher = AESGCM(secret.key(header.salt))
        self._ahead = file.read(CHUNK + TAG)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """As many bytes as are there; 0 at the end, once the last piece has been seen."""
        if not self._given and self._ahead:
            self._given = self._open()
        count = min(len(buffer), len(self._given))
        buffer[:count], self._given = self._given[:count], self._given[count:]
        return count

    def _open(self) -> bytes:
        piece, self._ahead = self._ahead, self._file.read(CHUNK + TAG)
        number, self._number = self._number, self._number + 1
        try:
            return self._cipher.decrypt(_nonce(number, last=not self._ahead), piece, self._header)
        except InvalidTag:
            if number == 0:
                raise SealError("this is not the key it was encrypted with, or the file was changed") from None
            raise SealError(f"the file was changed or cut short, about {number * CHUNK} bytes from its start") from None


def is_sealed(file: BinaryIO) -> bool:
    """Whether the file at its start is one of ours; the position stays."""
    found = file.read(len(MAGIC)) == MAGIC
    file.seek(0, os.SEEK_SET)
    return found


def read_header(line: bytes) -> Header:
    """What the first line says.

    Raises:
        SealError: it is none of ours.
    """
    try:
        return msgspec.json.decode(line.removeprefix(MAGIC), type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise SealError("the first line of the file is damaged") from None


def _needed(header: Header) -> str:
    return "its passphrase (--passphrase)" if header.kdf == "scrypt" else "its key (--key-file)"


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])
