"""Secrets at rest: what opens, what does not, and how keys are rotated."""

import stat
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.cipher import KEY_FILE, CannotOpenError, Cipher, add_key, cipher_of, secret_of
from infra.settings import SettingsError, load

OLD, NEW = "o" * 32, "n" * 32


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_is_sealed_opens_in_its_context_only(plain: bytes, context: str) -> None:
    cipher = Cipher([OLD])
    sealed = cipher.seal(plain, context)
    assert cipher.open(sealed, context) == plain
    assert sealed != cipher.seal(plain, context)
    with pytest.raises(CannotOpenError):
        cipher.open(sealed, f"{context}8")


@given(st.data())
def test_a_changed_value_does_not_open(data: st.DataObject) -> None:
    cipher = Cipher([OLD])
    sealed = bytearray(cipher.seal(b"13800000000", "phone:1"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CannotOpenError):
        cipher.open(bytes(sealed), "phone:1")


@pytest.mark.parametrize("broken", [b"", b"\x01", b"\x01abcd", b"plain text of another time"])
def test_what_was_never_sealed_does_not_open(broken: bytes) -> None:
    with pytest.raises(CannotOpenError):
        Cipher([OLD]).open(broken, "phone:1")


def test_a_new_key_opens_what_the_old_one_sealed() -> None:
    sealed = Cipher([OLD]).seal(b"x", "c")
    both = Cipher([NEW, OLD])
    assert both.open(sealed, "c") == b"x"
    assert not both.is_current(sealed)
    anew = both.seal(both.open(sealed, "c"), "c")
    assert both.is_current(anew)
    assert Cipher([NEW]).open(anew, "c") == b"x"
    with pytest.raises(CannotOpenError):
        Cipher([NEW]).open(sealed, "c")


def test_the_key_comes_from_the_settings_or_the_folder(tmp_path: Path) -> None:
    secret = secret_of(load({}, data_dir=tmp_path))
    sealed = cipher_of(load({}, data_dir=tmp_path), secret).seal(b"x", "c")
    assert cipher_of(load({"ZHIPEI_DATA_KEY": f"{NEW},{secret}"}), "other").open(sealed, "c") == b"x"
    with pytest.raises(SettingsError, match="ZHIPEI_DATA_KEY"):
        load({"ZHIPEI_DATA_KEY": f"{NEW},short"})


def test_processes_that_start_together_find_one_secret(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [Thread(target=lambda: found.append(secret_of(load({}, data_dir=tmp_path)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {secret_of(load({}, data_dir=tmp_path))}
    assert len(found[0]) >= 32
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_key_that_is_added_seals_in_processes_that_run(tmp_path: Path) -> None:
    settings = load({}, data_dir=tmp_path)
    running = cipher_of(settings)
    before = running.seal(b"x", "c")
    (old,) = running.ids
    add_key(tmp_path / KEY_FILE)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert running.ids[1:] == [old]
    after = running.seal(b"x", "c")
    assert running.is_current(after)
    assert not running.is_current(before)
    assert running.open(before, "c") == cipher_of(settings).open(after, "c") == b"x"
    add_key(tmp_path / KEY_FILE)
    assert len(running.ids) == 3
    assert sorted(one.name for one in tmp_path.iterdir()) == [KEY_FILE, "secret"], "no draft is left"
