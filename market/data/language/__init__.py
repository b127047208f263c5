"""The language of the field, for understanding needs: words, sounds, example needs and fitted weights.

All of it is made to be edited by hand, except weights.json, which `python -m bench.understanding --fit` writes.
"""

from importlib.resources import files
from typing import Any

import msgspec
from msgspec import Struct

from matching.types import Cue, Lexicon, PastNeed, Weights


class Example(Struct, frozen=True, omit_defaults=True):
    """A need in users' words, written for Zhipei, with the codes of all items that answer it, the best one first.

    Without items, it is within scope but no item fits.
    """

    text: str
    items: tuple[str, ...] = ()
    outside_scope: bool = False

    @property
    def as_past(self) -> PastNeed:
        """The example as if a coordinator had confirmed it."""
        return PastNeed(self.text, None if self.outside_scope else self.items[0])


class _Group(Struct, frozen=True, forbid_unknown_fields=True):
    words: str
    weight: float
    rights: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


class _Cues(Struct, frozen=True, forbid_unknown_fields=True):
    about: str
    cues: tuple[_Group, ...]


def load_lexicon() -> Lexicon:
    """Words, sounds and weights, for an Understander."""
    return Lexicon(cues=load_cues(), sounds=load_sounds(), weights=_json("weights.json", Weights))


def load_cues() -> tuple[Cue, ...]:
    """One cue for every word of every group, in the order of the file."""
    return tuple(
        Cue(word, group.weight, group.rights, group.stages, group.topics)
        for group in _json("cues.json", _Cues).cues
        for word in group.words.split()
    )


def load_sounds() -> dict[str, str]:
    """Toneless pinyin by character."""
    lines = (line.split() for line in _bytes("pinyin.txt").decode().splitlines())
    return {char: sound for sound, chars in lines for char in chars}


def load_search_sounds() -> dict[str, str]:
    """Toneless pinyin by character, those of place names too; and by word, one sound a character, where it differs."""
    more = (line.partition(" ")[::2] for line in _bytes("pinyin_more.txt").decode().splitlines())
    return load_sounds() | dict(more)


def load_synonym_groups() -> tuple[tuple[str, ...], ...]:
    """Groups of words that mean the same to somebody who searches, Chinese and English."""
    return tuple(tuple(line.split()) for line in _bytes("same_words.txt").decode().splitlines())


def load_examples() -> tuple[Example, ...]:
    """Examples to understand by until needs are confirmed, and beside them."""
    return read_examples(_bytes("examples.jsonl"))


def read_examples(lines: bytes) -> tuple[Example, ...]:
    """Examples in the form of examples.jsonl, one a line."""
    return tuple(msgspec.json.decode(line, type=Example) for line in lines.splitlines())


def _json(name: str, kind: type[Any]) -> Any:
    return msgspec.json.decode(_bytes(name), type=kind)


def _bytes(name: str) -> bytes:
    return files(__name__).joinpath(name).read_bytes()
