"""Sealed files: what goes in comes out, and nothing that was changed, shortened or put in another order does."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.encryption import CHUNK, TAG, Opener, Sealer, SealError, Secret

FILE = Secret.of_file(bytes(range(32)))
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7)


def seal(plain: bytes, secret: Secret = FILE) -> bytes:
    out = io.BytesIO()
    sealer = Sealer(out, secret)
    for start in range(0, len(plain), 100_000):
        sealer.write(plain[start : start + 100_000])
    sealer.finish()
    return out.getvalue()


def unseal(sealed: bytes, secret: Secret | None = FILE) -> bytes:
    return io.BufferedReader(Opener(io.BytesIO(sealed), secret)).read()


def body(sealed: bytes) -> int:
    return sealed.index(b"\n") + 1


@pytest.mark.parametrize("size", SIZES)
def test_what_goes_in_comes_out(size: int) -> None:
    plain = (b"0123456789" * (size // 10 + 1))[:size]
    sealed = seal(plain)
    assert unseal(sealed) == plain
    assert len(sealed) == body(sealed) + size + TAG * max(1, -(-size // CHUNK))
    assert seal(plain) != sealed, "a key of its own for each file"


PLAIN = b"x" * (2 * CHUNK + 50)
SEALED = seal(PLAIN)


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_no_byte_may_change(place: int, by: int) -> None:
    changed = bytearray(SEALED)
    changed[place] ^= by
    with pytest.raises(SealError):
        unseal(bytes(changed))


@given(st.integers(0, len(SEALED) - 1))
def test_nothing_may_be_missing_at_the_end(length: int) -> None:
    with pytest.raises(SealError):
        assert unseal(SEALED[:length]) is None


def test_pieces_keep_their_order_and_number() -> None:
    start, size = body(SEALED), CHUNK + TAG
    head, first, second, last = SEALED[:start], *(SEALED[start + i * size : start + (i + 1) * size] for i in range(3))
    assert unseal(head + first + second + last) == PLAIN
    for others in (
        second + first + last,
        first + last,
        first + first + second + last,
        first + second,
        first + second + last + last,
        first + second + last + b"more",
    ):
        with pytest.raises(SealError):
            unseal(head + others)


def test_another_files_piece_does_not_fit() -> None:
    other, start = seal(PLAIN), body(SEALED)
    with pytest.raises(SealError):
        unseal(SEALED[:start] + other[start : start + CHUNK + TAG] + SEALED[start + CHUNK + TAG :])


def test_the_key_has_to_be_the_one() -> None:
    passphrase = Secret.of_passphrase("七步成诗 only we know")
    sealed = seal(b"plain", passphrase)
    assert b"plain" not in sealed
    assert unseal(sealed, passphrase) == b"plain"
    for secret, words in (
        (Secret.of_passphrase("another"), "not the key"),
        (FILE, "--passphrase"),
        (None, "--passphrase"),
    ):
        with pytest.raises(SealError, match=words):
            unseal(sealed, secret)
    with pytest.raises(SealError, match="--key-file"):
        unseal(SEALED, None)


def test_a_short_key_is_none(tmp_path: Path) -> None:
    with pytest.raises(SealError, match="32 random bytes"):
        Secret.of_file(b"password")
