"""What differs between two texts, piece by piece: for versions side by side. Pure."""

import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher

from msgspec import Struct

TOKEN = re.compile(r"[A-Za-z0-9]+(?:[.,%/-][A-Za-z0-9]+)*%?|\s+|.", re.DOTALL)
"""A number or Latin word is one token, a Chinese character is one."""
LINE = re.compile(r"[^\n]*\n|[^\n]+")
MOST_TOKENS = 1_000
"""Of one text. Comparing takes time with the square of it: longer texts are compared by lines, or not at all."""
ISLAND = 2
"""Fewer unchanged characters than these between two changes read as part of them: 的 alone says nothing."""


class Piece(Struct, frozen=True):
    """A run of text; ``changed``: it is in this version only."""

    text: str
    changed: bool = False


class FieldDiff(Struct, frozen=True):
    """One field in two versions."""

    label: str
    before: tuple[Piece, ...]
    after: tuple[Piece, ...]


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> list[FieldDiff]:
    """The fields that differ, by label, in the order of ``after``. Both have the same labels."""
    return [FieldDiff(label, *marked(before[label], after[label])) for label in after if before[label] != after[label]]


def marked(before: str, after: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both texts in pieces, what they have in common unmarked."""
    left, right = _tokens(before, after)
    old: list[Piece] = []
    new: list[Piece] = []
    for same, a, b in _runs(left, right):
        _add(old, a, changed=not same)
        _add(new, b, changed=not same)
    return tuple(old), tuple(new)


def _tokens(before: str, after: str) -> tuple[list[str], list[str]]:
    for pattern in (TOKEN, LINE):
        left, right = pattern.findall(before), pattern.findall(after)
        if max(len(left), len(right)) <= MOST_TOKENS:
            return left, right
    return [before], [after]


def _runs(left: list[str], right: list[str]) -> Iterator[tuple[bool, str, str]]:
    """Stretches of both texts in turn, same or different, with islands taken for a part of what is around them."""
    steps = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    for place, (kind, a, b, c, d) in enumerate(steps):
        text = "".join(left[a:b])
        between = 0 < place < len(steps) - 1
        island = between and len(text) < ISLAND and "\n" not in text
        yield kind == "equal" and not island, text, "".join(right[c:d])


def _add(pieces: list[Piece], text: str, *, changed: bool) -> None:
    if pieces and pieces[-1].changed == changed:
        pieces[-1] = Piece(pieces[-1].text + text, changed)
    elif text:
        pieces.append(Piece(text, changed))
