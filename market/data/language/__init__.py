"""The language of the field, for understanding needs and for search: words, sounds, example needs, fitted weights.

All of it is made to be edited by hand, except weights.json, which `python -m bench.understanding --fit` writes. An
installation adds words of its own in a folder with files of the same names (docs/data.md).
"""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from market.data.language.reading import Example, LanguageError, read_cues, read_examples, read_near, read_synonyms
from matching.types import Cue, Lexicon, Weights, Words

__all__ = [
    "OWN_FILES",
    "Example",
    "Language",
    "LanguageError",
    "LanguageSource",
    "load",
    "load_cues",
    "load_examples",
    "load_lexicon",
    "load_sounds",
    "load_synonyms",
    "load_words",
    "read_examples",
]

OWN_FILES: dict[str, Callable[[bytes, str], tuple[object, ...]]] = {
    "cues.json": read_cues,
    "synonyms.json": read_synonyms,
    "examples.jsonl": read_examples,
}
"""What an installation may add to, and what reads it."""

Synonyms = tuple[tuple[str, ...], ...]
Stamp = tuple[tuple[int, int] | None, ...]

T = TypeVar("T")

log = structlog.get_logger()


class Language(Struct, frozen=True):
    """All that understanding needs to know of the language."""

    words: Words
    weights: Weights
    examples: tuple[Example, ...]
    alike: Synonyms
    """Groups of words any of which search takes for any other: those that mean the same, and those near each other."""

    @property
    def lexicon(self) -> Lexicon:
        """For an Understander."""
        return Lexicon(self.words, self.weights)


class LanguageSource:
    """The shipped words with an installation's own, read anew when a file of these has changed."""

    def __init__(self, own: Path | None = None) -> None:
        self._own = own
        self._stamp: Stamp | None = None
        self._language: Language | None = None

    def stamp(self) -> Stamp:
        """Changes with every change of the installation's own files."""
        return tuple(_stamp(self._own / name) if self._own else None for name in OWN_FILES)

    def get(self) -> Language:
        """The words as of now. Files with mistakes change nothing: what was good stays, and a log line says why."""
        stamp = self.stamp()
        if self._language is None or stamp != self._stamp:
            try:
                self._language = load(self._own)
            except LanguageError as error:
                log.warning("words not read", folder=str(self._own), mistakes=error.lines)
                self._language = self._language or load()
            self._stamp = stamp
        return self._language


def load(own: Path | None = None) -> Language:
    """The shipped words with those of an installation; a file that `own` does not have adds nothing.

    An own cue takes the place of the shipped cues of its word; an own group joins the shipped one it has a word of.

    Raises:
        LanguageError: with the mistakes of all the installation's files.
    """
    mistakes: list[str] = []
    own_cues = _own(own, "cues.json", read_cues, mistakes)
    own_groups = _own(own, "synonyms.json", read_synonyms, mistakes)
    own_near = () if mistakes else _own(own, "synonyms.json", read_near, mistakes)
    own_examples = _own(own, "examples.jsonl", read_examples, mistakes)
    shipped = load_words()
    synonyms = _joined(shipped.synonyms, own_groups, mistakes)
    if mistakes:
        raise LanguageError(mistakes)
    told = {cue.word for cue in own_cues}
    cues = (*(cue for cue in shipped.cues if cue.word not in told), *own_cues)
    weights = msgspec.json.decode(_bytes("weights.json"), type=Weights)
    alike = (*synonyms, *read_near(_bytes("synonyms.json"), "synonyms.json"), *own_near)
    return Language(replace(shipped, cues=cues, synonyms=synonyms), weights, (*load_examples(), *own_examples), alike)


def load_lexicon() -> Lexicon:
    """The shipped words and weights, for an Understander."""
    return load().lexicon


def load_words() -> Words:
    """The shipped words."""
    forms = (line.split() for line in _bytes("traditional.txt").decode().splitlines())
    return Words(
        cues=load_cues(),
        synonyms=load_synonyms(),
        simplified={form: char for char, traditional in forms for form in traditional},
        sounds=load_sounds(),
        strokes=tuple(_bytes("strokes.txt").decode().split()),
    )


def load_cues() -> tuple[Cue, ...]:
    """The shipped cues."""
    return read_cues(_bytes("cues.json"), "cues.json")


def load_synonyms() -> Synonyms:
    """The shipped groups of words that mean the same, of each the field's own word first."""
    return read_synonyms(_bytes("synonyms.json"), "synonyms.json")


def load_sounds() -> dict[str, str]:
    """Toneless pinyin by character."""
    lines = (line.split() for line in _bytes("pinyin.txt").decode().splitlines())
    return {char: sound for sound, chars in lines for char in chars}


def load_search_sounds() -> dict[str, str]:
    """Toneless pinyin by character, those of place names too; and by word, one sound a character, where it differs."""
    more = (line.partition(" ")[::2] for line in _bytes("pinyin_more.txt").decode().splitlines())
    return load_sounds() | dict(more)


def load_examples() -> tuple[Example, ...]:
    """The shipped examples, to understand by until needs are confirmed, and beside them."""
    return read_examples(_bytes("examples.jsonl"), "examples.jsonl")


def _own(
    folder: Path | None, name: str, read: Callable[[bytes, str], tuple[T, ...]], mistakes: list[str]
) -> tuple[T, ...]:
    """What the installation's file of that name says; nothing where there is none, or where it has mistakes."""
    if folder is None:
        return ()
    try:
        return read((folder / name).read_bytes(), name)
    except FileNotFoundError:
        return ()
    except OSError as error:
        mistakes.append(f"{name}：读不了，{error.strerror}。")
    except LanguageError as error:
        mistakes += error.lines
    return ()


def _joined(shipped: Synonyms, own: Synonyms, mistakes: list[str]) -> Synonyms:
    """Every word in one group."""
    groups = list(shipped)
    place = {word: number for number, group in enumerate(groups) for word in group}
    for group in own:
        met = sorted({place[word] for word in group if word in place})
        if len(met) > 1:
            words = "」与「".join(groups[number][0] for number in met)
            mistakes.append(
                f"synonyms.json：「{group[0]}」一组把自带的「{words}」连在了一起，它们意思不同；请拆成几组。"
            )
        elif met:
            groups[met[0]] = tuple(dict.fromkeys((*groups[met[0]], *group)))
        else:
            groups.append(group)
    return tuple(groups)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Changes with the file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _bytes(name: str) -> bytes:
    return files(__name__).joinpath(name).read_bytes()
