"""``zhipei understand``: what the platform reads out of a need. Needs no database and no server."""

import sys
from typing import BinaryIO

import click
import msgspec
from msgspec import Struct

from market import data
from market.data import language
from matching.types import ItemText, Understanding, UnderstoodItem
from matching.understand import Understander


class Result(Struct, frozen=True):
    """What is printed for one text."""

    items: tuple[UnderstoodItem, ...]
    rights: tuple[str, ...]
    stages: tuple[str, ...]
    outside_scope: bool
    missing: tuple[str, ...]


class Line(Struct, frozen=True):
    """What is read with ``--jsonl``; other fields are ignored."""

    text: str


@click.command()
@click.argument("text", required=False)
@click.option("--jsonl", is_flag=True, help='Read one {"text": …} a line from standard input instead.')
def understand(text: str | None, *, jsonl: bool) -> None:
    """Say which service items a need in plain Chinese asks for, in the shipped catalogue."""
    if jsonl is (text is not None):
        raise click.UsageError('give either a TEXT or --jsonl with one {"text": …} a line on standard input')
    understander = shipped_understander()
    if text is not None:
        click.echo(_encoded(understander.understand(text)))
        return
    if not _lines(understander, sys.stdin.buffer):
        raise SystemExit(1)


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
            consultation="咨询" in item.name,
        )
        for item in data.load_items().items
    )


def shipped_understander() -> Understander:
    """Understands by the shipped catalogue, words and examples."""
    return Understander(
        shipped_items(), language.load_lexicon(), [example.as_past for example in language.load_examples()]
    )


def _lines(understander: Understander, lines: BinaryIO) -> bool:
    """One line out for every line in, as soon as it is read; whether all were good."""
    good = True
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            click.echo(_encoded(understander.understand(msgspec.json.decode(line, type=Line).text)))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            good = False
            what = f'line {number}: not a {{"text": …}}: {error}'
            click.echo(what, err=True)
            click.echo(msgspec.json.encode({"error": what}))
    return good


def _encoded(found: Understanding) -> bytes:
    return msgspec.json.encode(
        Result(
            items=found.items,
            rights=found.rights,
            stages=found.stages,
            outside_scope=found.outside_scope,
            missing=found.missing,
        )
    )
