"""``zhipei understand``: what the platform reads out of a need. Needs no database and no server."""

import codecs
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from infra.settings import Settings
from market import data
from market.data import language
from market.terminal import Failure
from matching.types import ItemText, Understanding, UnderstoodItem
from matching.understand import Understander


class Result(Struct, frozen=True):
    """What is printed for one text."""

    items: tuple[UnderstoodItem, ...]
    rights: tuple[str, ...]
    stages: tuple[str, ...]
    outside_scope: bool
    missing: tuple[str, ...]


class Refused(Struct, frozen=True):
    """What is printed for a line that cannot be read."""

    error: str


class Line(Struct, frozen=True):
    """What is read with ``--jsonl``; other fields are ignored."""

    text: str


@click.command()
@click.argument("text", required=False)
@click.option("--jsonl", is_flag=True, help='Read one {"text": …} a line from standard input instead.')
@click.pass_obj
def understand(settings: Settings, text: str | None, *, jsonl: bool) -> None:
    """Say which service items a need in plain Chinese asks for, in the shipped catalogue."""
    if jsonl is (text is not None):
        raise click.UsageError('give either a TEXT or --jsonl with one {"text": …} a line on standard input')
    try:
        understander = shipped_understander(settings.own_words)
    except language.LanguageError as error:
        raise Failure(str(error)) from error
    if text is not None:
        click.echo(msgspec.json.encode(_result(understander.understand(text))))
        return
    good = True
    for answer in answers(understander, sys.stdin.buffer):
        if isinstance(answer, Refused):
            good = False
            click.echo(answer.error, err=True)
        click.echo(msgspec.json.encode(answer))
    if not good:
        raise SystemExit(1)


def answers(understander: Understander, lines: Iterable[bytes]) -> Iterator[Result | Refused]:
    """One answer for every line that is not blank, as soon as it is read."""
    for number, raw in enumerate(lines, start=1):
        line = raw.removeprefix(codecs.BOM_UTF8).strip()  # Windows puts one before a file, cat between two
        if not line:
            continue
        try:
            yield _result(understander.understand(msgspec.json.decode(line, type=Line).text))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            yield Refused(f'line {number}: not a {{"text": …}}: {error}')


def shipped_items() -> tuple[ItemText, ...]:
    """The shipped catalogue as text."""
    synonyms = data.load_synonyms()
    return tuple(
        ItemText(
            number=item.number,
            code=item.code,
            name=item.name,
            text=" ".join((*item.guide.conditions, *item.guide.materials, *item.guide.result)),
            aliases=synonyms.get(item.code, ()),
            rights=item.rights,
            stages=item.stages,
            group=item.group,
            consultation="咨询" in item.name,  # not translated: a word of the catalogue
        )
        for item in data.load_items().items
    )


def shipped_understander(own: Path | None = None) -> Understander:
    """Understands by the shipped catalogue, and by the shipped words and examples with those in the folder `own`.

    Raises:
        LanguageError: what is wrong in that folder's files.
    """
    words = language.load(own)
    return Understander(shipped_items(), words.lexicon, [example.as_past for example in words.examples])


def _result(found: Understanding) -> Result:
    return Result(
        items=found.items,
        rights=found.rights,
        stages=found.stages,
        outside_scope=found.outside_scope,
        missing=found.missing,
    )
