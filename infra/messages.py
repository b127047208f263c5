"""The words of the sources and the catalogue of their translations. ``python -m infra.messages`` renews the catalogue.

What has to be wrapped, and how, says market/i18n.py.
"""

import ast
import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, nodes
from msgspec import Struct

ROOT = Path(__file__).parents[1]
CATALOGUE = ROOT / "market" / "locale" / "en" / "LC_MESSAGES" / "zhipei.po"
HAN = re.compile(r"[\u3400-\u9fff]")
PATTERNS = ("market/**/*.py", "market/templates/**/*.html", "workers/**/*.py")
CONTENT = ("market/demo/", "market/data/")
"""Invented people and shipped facts: content, not words of ours."""
ERRORS = "market/errors.py"
"""Its classes' docstrings are messages."""
COUNTED = {"_n", "ngettext"}
MARKERS = COUNTED | {"_", "N_", "gettext", "Words"}
OPT_OUT = "# not translated: "
HEADER = """# English of Zhipei's words. The ids are the Chinese texts; market/i18n.py tells how to work on it.
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

"""


class Found(Struct):
    """Of one source: its messages with a number, those without, and lines with Han that is in none of them."""

    plain: set[str]
    counted: set[str]
    bare: list[int]


def sources() -> Iterator[tuple[str, Found]]:
    """Every file in which words may be, by its path, with what was found in it."""
    for path in sorted(one for pattern in PATTERNS for one in ROOT.glob(pattern)):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(CONTENT) and path.name != "queries.py":  # SQL compares with what is stored
            text = path.read_text("utf-8")
            yield name, in_template(text) if path.suffix == ".html" else in_python(text, docstrings=name == ERRORS)


def in_python(source: str, *, docstrings: bool = False) -> Found:
    """What is in a module; with ``docstrings`` those of its classes are messages."""
    found, tree, lines = Found(set(), set(), []), ast.parse(source), source.splitlines()
    done = {id(one) for node in ast.walk(tree) if (one := _docstring(node))}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and docstrings and (words := _docstring(node)):
            found.plain.add(_text(words))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            called = node.func.id
            texts = [one for one in ast.walk(node) if HAN.search(_text(one))] if called == "Words" else node.args[:1]
            if called in MARKERS:
                (found.counted if called in COUNTED else found.plain).update(filter(None, map(_text, texts)))
                done |= {id(text) for text in texts}
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not hasattr(node, "body") and OPT_OUT in lines[node.lineno - 1]:
            done |= {id(one) for one in ast.walk(node)}
    bare = [one for one in ast.walk(tree) if isinstance(one, ast.Constant) and HAN.search(_text(one))]
    found.bare = sorted(one.lineno for one in bare if id(one) not in done and OPT_OUT not in lines[one.lineno - 1])
    return found


def in_template(source: str) -> Found:
    """What is in a template."""
    found, wrapped = Found(set(), set(), []), set()
    tree = _environment().parse(source)
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in MARKERS and call.args:
            first = call.args[0]
            if isinstance(first, nodes.Const) and isinstance(first.value, str):
                (found.counted if call.node.name in COUNTED else found.plain).add(first.value)
                wrapped |= {id(one) for one in call.args if isinstance(one, nodes.Const)}
    for node in [*tree.find_all(nodes.TemplateData), *tree.find_all(nodes.Const)]:
        text = getattr(node, "data", None) or getattr(node, "value", None)
        if isinstance(text, str) and id(node) not in wrapped and (match := HAN.search(text)):
            found.bare.append(node.lineno + text[: match.start()].count("\n"))
    found.bare.sort()
    return found


def renewed(old: Catalog) -> Catalog:
    """The catalogue of what the sources say now, with the translations of ``old``."""
    plain, counted = set[str](), set[str]()
    for _name, found in sources():
        plain |= found.plain
        counted |= found.counted
    new = Catalog(locale="en")
    for text in sorted(plain | counted):
        known = old.get(text)
        was = forms(known) if known else ("",)
        if text in counted:
            new.add((text, text), (was[0], was[-1]))
        else:
            new.add(text, was[-1])
    return new


def forms(message: Message) -> tuple[str, ...]:
    """Its translation: two forms where it has a number. Empty where it has none yet."""
    said = message.string
    return tuple(str(one or "") for one in said) if isinstance(said, (tuple, list)) else (said or "",)


def read(path: Path = CATALOGUE) -> Catalog:
    """The catalogue as it stands."""
    with path.open("rb") as file:
        return read_po(file, locale="en")


def written(catalogue: Catalog) -> bytes:
    """The catalogue as text, without dates and places, which would make every two branches collide."""
    file = BytesIO()
    write_po(file, catalogue, width=0, omit_header=True, sort_output=True)
    return HEADER.encode() + file.getvalue()


def _environment() -> Environment:
    """As market/app.py has it, in what decides on the texts."""
    extensions = ["jinja2.ext.do", "jinja2.ext.i18n"]
    # Renders nothing: templates are only parsed.
    environment = Environment(extensions=extensions, trim_blocks=True, lstrip_blocks=True)  # noqa: S701  # nosec B701
    environment.policies["ext.i18n.trimmed"] = True
    return environment


def _docstring(node: ast.AST) -> ast.expr | None:
    """Of a module, class or function; also a text that stands alone under an assignment, which documents that."""
    if isinstance(node, ast.ClassDef):
        return _docstring(node.body[0])
    return node.value if isinstance(node, ast.Expr) and _text(node.value) else None


def _text(node: ast.AST) -> str:
    """What a text in the source says; of anything else nothing."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def main() -> None:
    """Renew the catalogue and say what has no translation yet."""
    catalogue = renewed(read())
    CATALOGUE.write_bytes(written(catalogue))
    missing = [message.id for message in catalogue if message.id and not all(forms(message))]
    for text in missing:
        sys.stdout.write(f"{text if isinstance(text, str) else text[0]}\n")
    sys.stdout.write(f"{len(catalogue)} messages, {len(missing)} without a translation\n")


if __name__ == "__main__":
    main()
