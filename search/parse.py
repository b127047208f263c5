"""A search text as the words that are looked for, the same for every engine."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from msgspec import Struct

from search.settings import STOP_WORDS, Groups
from search.text import LONGEST_WORD, cut, is_chinese, normalise, runs

MOST_WORDS = 32
"""Of a search text that are looked for; a whole need has more."""


LONGEST_RUN = 8
"""Of single characters that are taken for one word: the name of a person or a place."""


class Word(Struct, frozen=True):
    """One thing looked for, normalised."""

    text: str
    same: tuple[str, ...] = ()
    """Synonyms, any of which will do."""
    run: str = ""
    """For what the dictionary does not know: the single characters it stands among, in which a slip may be."""

    @property
    def chinese(self) -> bool:
        """Whether it is Chinese."""
        return is_chinese(self.text)


class Synonyms:
    """Groups of words that mean the same, found in texts."""

    def __init__(self, groups: Iterable[tuple[str, ...]]) -> None:
        """A word in several groups has all their words as synonyms."""
        same: dict[str, dict[str, None]] = {}
        for group in groups:
            words = [normalise(word) for word in group]
            for word in words:
                same.setdefault(word, {}).update(dict.fromkeys(other for other in words if other != word))
        self.of = {word: tuple(others) for word, others in same.items()}
        longest_first = sorted(self.of, key=len, reverse=True)
        # Letters only as whole words; next to Chinese they begin and end one: pct in PCT申请, and not in spct.
        escaped = [
            re.escape(word) if is_chinese(word) else f"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])"
            for word in longest_first
        ]
        self.pattern = re.compile("|".join(escaped) or "(?!)")


class CurrentSynonyms:
    """Synonyms of groups that change now and then."""

    def __init__(self, groups: Callable[[], Groups]) -> None:
        self._groups = groups
        self._known: tuple[Groups, Synonyms] = ((), Synonyms(()))

    def get(self) -> Synonyms:
        """Of the groups as they are now."""
        groups, known = self._groups(), self._known
        if known[0] is not groups:
            # Threads that come here at once do the same work; each keeps what belongs together.
            known = self._known = (groups, Synonyms(groups))
        return known[1]


def parse(text: str, synonyms: Synonyms) -> list[Word]:
    """The words of a text in their order, without stop words, unless there is nothing else.

    Single characters in a row that make no word of the dictionary are one word: a name, or a word with a slip in it.
    """
    normal = normalise(text)
    words = list(_unique(_parsed(normal, synonyms, stops=STOP_WORDS)))
    return words or list(_unique(_parsed(normal, synonyms, stops=frozenset())))


def join_syllables(words: Sequence[Word], is_syllable: Callable[[str], bool]) -> list[Word]:
    """Syllables of pinyin that were typed one by one as the one word they are: zhuan li → zhuanli."""
    joined: list[Word] = []
    for alone, group in groupby(words, key=lambda word: not word.same and not word.chinese and is_syllable(word.text)):
        those = list(group)
        joined += [Word("".join(word.text for word in those))] if alone else those
    return joined


def _parsed(normal: str, synonyms: Synonyms, stops: frozenset[str]) -> Iterator[Word]:
    done = 0
    for match in synonyms.pattern.finditer(normal):
        yield from _plain(normal[done : match.start()], stops)
        done = match.end()
        yield Word(match.group(), synonyms.of[match.group()])
    yield from _plain(normal[done:], stops)


def _plain(stretch: str, stops: frozenset[str]) -> Iterator[Word]:
    for match in runs(stretch):
        run = match.group()
        if is_chinese(run):
            yield from _chinese(run, stops)
        elif run not in stops:
            yield Word(run[:LONGEST_WORD])


def _chinese(run: str, stops: frozenset[str]) -> Iterator[Word]:
    for single, group in groupby(cut(run), key=lambda word: len(word) == 1):
        words = list(group)
        if not single:
            yield from (Word(word) for word in words if word not in stops)
            continue
        for start in range(0, len(words), LONGEST_RUN):
            some = words[start : start + LONGEST_RUN]
            if kept := [word for word in some if word not in stops]:
                yield Word("".join(kept), run="".join(some))


def _unique(words: Iterable[Word]) -> Iterator[Word]:
    seen: set[str] = set()
    for word in words:
        if word.text not in seen:
            seen.add(word.text)
            yield word
