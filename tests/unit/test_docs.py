"""The documents say what is: settings, commands, routes, folders, links."""

import inspect
import re
from pathlib import Path

import click
import msgspec
import pytest

from infra.settings import Settings, SettingsError, load
from market.app import create_app
from market.cli import main
from matching.features import FEATURES
from matching.scorer import SCORECARD_2

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def table(text: str, heading: str) -> list[list[str]]:
    """Rows of the first table under a heading."""
    section = text.split(heading, 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


def settings_rows() -> list[list[str]]:
    """The table that docs/operations.md must have: from the Struct and its docstrings."""
    source = inspect.getsource(Settings)
    rows = []
    for field in msgspec.structs.fields(Settings):
        pattern = rf'^    {field.name}: [^\n]*\n    """(.*?)"""'
        words = re.search(pattern, source, re.MULTILINE | re.DOTALL)
        assert words, f"{field.name} has no docstring"
        default = "–" if field.default is None else f"`{_plain(field.default)}`"
        rows.append([f"`ZHIPEI_{field.name.upper()}`", default, words[1].replace("``", "`")])
    return rows


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_every_setting_is_documented() -> None:
    assert table((DOCS / "operations.md").read_text(), "## Settings") == settings_rows()


def test_every_command_is_documented() -> None:
    described = " ".join(row[0] for row in table((DOCS / "operations.md").read_text(), "## Commands"))
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        subs = command.commands.values() if isinstance(command, click.Group) else [command]
        for one in subs:
            called = name if one is command else f"{name} {one.name}"
            assert f"`zhipei {called}" in described, called
            assert one.get_short_help_str(), called


def route_rows() -> list[list[str]]:
    """The table that docs/api.md must have: from the OpenAPI description."""
    settings = load({}, database_url="postgresql:///none", redis_url="redis://localhost")
    paths = create_app(settings, csrf_secret="x" * 32).openapi_schema.to_schema()["paths"]
    return [
        [method.upper(), f"`{path}`", operation["summary"]]
        for path, operations in sorted(paths.items())
        for method, operation in operations.items()
    ]


def test_every_route_is_documented() -> None:
    assert table((DOCS / "api.md").read_text(), "## Routes") == route_rows()


def test_every_feature_is_documented() -> None:
    rows = [
        [f"`{f.name}` {f.zh}", f"{SCORECARD_2[f.name]:g}", f.unit, "more" if f.direction == 1 else "less"]
        for f in FEATURES
    ]
    assert table((DOCS / "decisions" / "0006-scorecard.md").read_text(), "## The features") == rows


def test_every_feature_has_a_colour() -> None:
    rules = re.findall(
        r"^\.p-(\w+) \{ fill: (#\w+); \}$", (ROOT / "market/static/components.css").read_text(), re.MULTILINE
    )
    assert {name for name, _ in rules} == set(SCORECARD_2)
    assert len({colour for _, colour in rules}) == len(rules)


def test_every_folder_is_documented() -> None:
    rows = {row[0].strip("`/") for row in table((DOCS / "architecture.md").read_text(), "# Architecture")}
    folders = {p.name for p in ROOT.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert folders <= rows


def test_links_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *DOCS.rglob("*.md")):
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_an_unknown_or_wrong_setting_is_refused() -> None:
    with pytest.raises(SettingsError, match="ZHIPEI_PROT"):
        load({"ZHIPEI_PROT": "8000"})
    with pytest.raises(SettingsError, match="ZHIPEI_PORT"):
        load({"ZHIPEI_PORT": "eighty"})
    with pytest.raises(SettingsError) as told:
        load({"ZHIPEI_SECRET": "too-short-and-still-a-secret"})
    assert "ZHIPEI_SECRET" in str(told.value)
    assert "too-short" not in str(told.value), "it would stand in some log"
    assert load({"ZHIPEI_PORT": "8001", "HOME": "/"}).port == 8001
    assert load({}, port=None).port == 8000


# what the papers on security name ------------------------------------------------------------------------------------

PAPERS = (ROOT / "SECURITY.md", DOCS / "threat-model.md", DOCS / "asvs.md", DOCS / "gbt22239.md")
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"(?:infra|market|matching|search|workers|tests|requirements|docs)/[\w./-]*|[\w-]+\.json")


def _commands() -> set[str]:
    context = click.Context(main)
    found = set()
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        found |= {name, *(f"{name} {sub}" for sub in getattr(command, "commands", {}))}
    return found


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.stem)
def test_what_is_named_as_an_answer_is_there(paper: Path) -> None:
    commands, known = _commands(), {f"ZHIPEI_{field.name.upper()}" for field in msgspec.structs.fields(Settings)}
    wrong = []
    for words in CODE.findall(paper.read_text()):
        path, _, function = words.partition("::")
        if FILE.fullmatch(path):
            there = (ROOT / path).exists() and (not function or f"def {function}(" in (ROOT / path).read_text())
        elif words.startswith("zhipei "):
            there = " ".join(words.split(" --")[0].split()[1:]) in commands
        elif words.startswith("ZHIPEI_"):
            there = words.partition("=")[0] in known
        else:
            continue
        if not there:
            wrong.append(words)
    assert not wrong


def test_every_requirement_of_asvs_is_answered_once() -> None:
    """253 are of level 1 or 2 in ASVS 5.0.0; these many in each chapter."""
    chapters = (27, 11, 19, 10, 9, 35, 18, 7, 7, 29, 14, 9, 13, 9, 13, 16, 7)
    text = (DOCS / "asvs.md").read_text()
    verdicts: dict[str, str] = {}
    for one, verdict in re.findall(r"^\| ([\d.–]+) \| [12, ]+ \| .*? \| ([a-z/]+) \| \S", text, re.MULTILINE):
        first, _, last = one.partition("–")
        section, _, start = first.rpartition(".")
        for number in range(int(start), int((last or first).rpartition(".")[2]) + 1):
            assert verdicts.setdefault(f"{section}.{number}", verdict) is verdict, f"{section}.{number} stands twice"
    assert tuple(sum(one.startswith(f"{n}.") for one in verdicts) for n in range(1, 18)) == chapters
    names = ("met", "partly", "not", "operator", "n/a")
    assert set(verdicts.values()) <= set(names)
    counted = [str(sum(one == name for one in verdicts.values())) for name in names]
    assert table(text, "# OWASP ASVS") == [counted]
