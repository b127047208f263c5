"""The files of words, read with every mistake found: in which line, and what is wrong."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from market.catalogue.model import ChainStage, RightKind
from matching.text import normalise
from matching.types import Cue, PastNeed

T = TypeVar("T")


class LanguageError(Exception):
    """Files of words that cannot be used; one line for each mistake, in Chinese, for whoever edits them."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


class Example(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A need in users' words, with the codes of all items that answer it, the best one first, or outside the scope.

    One with neither is within scope and no item fits: good to judge by, not to learn from.
    """

    text: str
    items: tuple[str, ...] = ()
    outside_scope: bool = False

    def __post_init__(self) -> None:
        if not normalise(self.text):
            raise ValueError("text 是空的")
        if self.items and self.outside_scope:
            raise ValueError("既写了 items，又写了 outside_scope，只能选一个")

    @property
    def as_past(self) -> PastNeed:
        """The example as if a coordinator had confirmed it."""
        return PastNeed(self.text, None if self.outside_scope else self.items[0])


class _Cues(Struct, frozen=True, forbid_unknown_fields=True):
    cues: list[msgspec.Raw]
    about: str = ""


class _CueGroup(Struct, frozen=True, forbid_unknown_fields=True):
    words: str
    weight: Annotated[float, Meta(ge=-1, le=1)] = 0.0
    rights: tuple[RightKind, ...] = ()
    stages: tuple[ChainStage, ...] = ()
    topics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.words.split():
            raise ValueError("words 里没有词")


class _Synonyms(Struct, frozen=True, forbid_unknown_fields=True):
    groups: list[msgspec.Raw] = []
    near: list[msgspec.Raw] = []
    about: str = ""


def read_cues(raw: bytes, name: str) -> tuple[Cue, ...]:
    """One cue for every word of every group, in the order of the file.

    Raises:
        LanguageError: what is wrong, by line.
    """
    file = _File(raw, name)
    groups = file.entries(file.whole(_Cues).cues, _CueGroup)
    file.finish()
    return tuple(
        Cue(normalise(word), group.weight, group.rights, group.stages, group.topics)
        for _, group in groups
        for word in group.words.split()
    )


def read_synonyms(raw: bytes, name: str) -> tuple[tuple[str, ...], ...]:
    """Groups of words that mean the same, normalised, the field's own word first; a word is in one group only.

    Mistakes among those that are ``near`` are told, too.

    Raises:
        LanguageError: what is wrong, by line.
    """
    file = _File(raw, name)
    both = file.whole(_Synonyms)
    groups = _groups(file, both.groups)
    _groups(file, both.near)
    first: dict[str, int] = {}
    for line, group in groups:
        for word in group:
            if first.setdefault(word, line) != line:
                file.wrong(line, f"「{word}」在第 {first[word]} 行已经有了，一个词只能在一组里。")
    file.finish()
    return tuple(group for _, group in groups)


def read_near(raw: bytes, name: str) -> tuple[tuple[str, ...], ...]:
    """Groups of words near each other, for search alone, from the same file; a word may be in several.

    Raises:
        LanguageError: what is wrong, by line.
    """
    file = _File(raw, name)
    groups = _groups(file, file.whole(_Synonyms).near)
    file.finish()
    return tuple(group for _, group in groups)


def _groups(file: "_File", entries: Sequence[msgspec.Raw]) -> list[tuple[int, tuple[str, ...]]]:
    groups = [
        (line, tuple(dict.fromkeys(map(normalise, group)))) for line, group in file.entries(entries, tuple[str, ...])
    ]
    for line, group in groups:
        if "" in group:
            file.wrong(line, "有一个词是空的。")
        if len(group) < 2:
            file.wrong(line, "一组至少要有两个不同的词。")
    return groups


def read_examples(raw: bytes, name: str) -> tuple[Example, ...]:
    """Examples, one a line; empty lines do not count.

    Raises:
        LanguageError: what is wrong, by line.
    """
    file = _File(raw, name)
    lines = enumerate(file.text.split("\n"), start=1)
    examples = [(at, found) for at, line in lines if line.strip() for found in file.entry(at, line.encode(), Example)]
    for line, example in examples:
        if not example.items and not example.outside_scope:
            file.wrong(line, "要写上 items；与知识产权无关的，写 outside_scope。")
    file.finish()
    return tuple(example for _, example in examples)


class _File:
    """A file that is being read, and what is wrong in it so far."""

    def __init__(self, raw: bytes, name: str) -> None:
        self._name = name
        self._mistakes: list[tuple[int, str]] = []
        try:
            self.text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise self._stopped(line, "不是 UTF-8 编码，请用编辑器另存为 UTF-8。") from error

    def wrong(self, line: int, what: str) -> None:
        """Note a mistake and go on."""
        self._mistakes.append((line, what))

    def finish(self) -> None:
        """Raise LanguageError if anything was wrong."""
        if self._mistakes:
            raise LanguageError([self._said(line, what) for line, what in sorted(self._mistakes)])

    def whole(self, kind: type[T]) -> T:
        """The file as one value."""
        try:
            json.loads(self.text)  # says in which line a comma is missing
            return msgspec.json.decode(self.text, type=kind)
        except json.JSONDecodeError as error:
            raise self._stopped(error.lineno, f"第 {error.colno} 个字符附近{_NOT_JSON}") from error
        except RecursionError as error:
            raise self._stopped(1, "括号套得太深。") from error
        except msgspec.DecodeError as error:
            raise self._stopped(1, _in_words(error)) from error

    def entries(self, raws: Sequence[msgspec.Raw], kind: type[T]) -> list[tuple[int, T]]:
        """The good ones among the file's entries, each with its line."""
        text, place = self.text.encode(), 0
        good = []
        for raw in map(bytes, raws):
            start = text.index(raw, place)
            line = text.count(b"\n", 0, start) + 1
            good += [(line, found) for found in self.entry(line, raw, kind)]
            place = start + len(raw)
        return good

    def entry(self, line: int, raw: bytes, kind: type[T]) -> list[T]:
        """The entry, if it is good."""
        try:
            return [msgspec.json.decode(raw, type=kind)]
        except msgspec.DecodeError as error:
            self.wrong(line, _in_words(error))
            return []

    def _stopped(self, line: int, what: str) -> LanguageError:
        return LanguageError([self._said(line, what)])

    def _said(self, line: int, what: str) -> str:
        return f"{self._name} 第 {line} 行：{what}"


_NOT_JSON = "不是合格的 JSON，多半是少了或多了逗号、引号、括号。"
_KINDS = {"str": "文字", "float": "数", "int": "数", "array": "方括号列表", "object": "花括号", "bool": "true 或 false"}
_WORDS: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"Object contains unknown field `(.*?)`", lambda m: f"不认识「{m[1]}」这一项"),
    (r"Object missing required field `(.*?)`", lambda m: f"缺少「{m[1]}」"),
    (r"Expected `float` [<>]= (\S+)", lambda _: "weight 要在 -1 到 1 之间"),
    (r"Invalid enum value '?(.*?)'?( - .*)?$", lambda m: f"没有「{m[1]}」这个代码"),
    (r"Expected `(.*?)`, got `(.*?)`", lambda m: f"应当是{_KINDS.get(m[1], m[1])}，写的是{_KINDS.get(m[2], m[2])}"),
)


def _in_words(error: msgspec.DecodeError) -> str:
    """What is wrong, in Chinese, and where in the entry."""
    said = str(error)
    where = re.search(r" - at `\$\.?(.*?)`$", said)
    place = f"（{where[1]}）" if where and where[1] else ""
    for pattern, words in _WORDS:
        if found := re.search(pattern, said):
            return f"{words(found)}{place}。"
    return _NOT_JSON if said.isascii() else f"{said}。"
