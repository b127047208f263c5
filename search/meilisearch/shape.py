"""Indexes, documents and filters as Meilisearch takes them."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from search.documents import digest, tie
from search.engine import Between, Document, Filter, IndexName, NoneOf
from search.settings import MOST_VALUES, SCHEMAS, STOP_WORDS, Language, Schema, sort_key
from search.settings import digest as settings_digest
from search.sounds import Sounds
from search.text import normalise, spaced

PREFIX = "zhipei-"
ID = "id"
KEY = "key"
"""The id as we know it: Meilisearch allows letters, digits, - and _ only."""
DIGEST = "digest"
SOUNDS = "sounds"
INITIALS = "initials"
MOST_WORDS = 10
"""Of a query: Meilisearch does not look at any further ones."""
LONGEST_VALUE = 468
"""Bytes of a keyword: the server cuts longer ones off, and fails over a filter that asks for one."""
_SHORTEST_INITIALS = 2
# Pages end long before; but the total is cut off here, and is wanted whole.
_ALL_HITS = 10_000_000
_CUTOFF_MS = 1_000


def uid(index: IndexName, language: Language, prefix: str = PREFIX) -> str:
    """What the server calls the index."""
    return f"{prefix}{index}-{settings_digest(SCHEMAS[index], language)}"


def words_of(text: str) -> str:
    """The field with a text's words, spaced."""
    return f"{text}_words"


def sort_field(sort: str) -> str:
    """The field that a sort of the schema goes by, the lowest first."""
    return f"by_{sort}"


def settings(schema: Schema, language: Language) -> dict[str, Any]:
    """All settings of an index.

    The hash is the last rule of ranking, so equals are ordered by it; a sort that is asked for comes before relevance.
    """
    texts = [text.name for text in schema.texts]
    searchable = [field for text in schema.texts for field in (words_of(text.name), *([text.name] * text.shown))]
    return {
        "searchableAttributes": [*searchable, SOUNDS, INITIALS],
        "displayedAttributes": [KEY, *schema.shown],
        "filterableAttributes": [ID, *schema.keywords, *schema.numbers],
        "sortableAttributes": [sort_field(sort) for sort in schema.sorts],
        "rankingRules": [
            "sort",
            "words",
            "typo",
            "proximity",
            "attributeRank",
            "wordPosition",
            "exactness",
            "tie:asc",
        ],
        "stopWords": sorted(STOP_WORDS),
        "synonyms": _synonyms(language),
        "typoTolerance": {
            "enabled": True,
            "minWordSizeForTypos": {"oneTypo": 5, "twoTypos": 9},
            "disableOnAttributes": [SOUNDS, INITIALS],
            "disableOnNumbers": True,
        },
        "faceting": {"maxValuesPerFacet": MOST_VALUES, "sortFacetValuesBy": {"*": "count"}},
        "pagination": {"maxTotalHits": _ALL_HITS},
        # One locale, or every text's language is guessed, and short Chinese taken for Japanese.
        "localizedAttributes": [{"attributePatterns": [*texts, *map(words_of, texts)], "locales": ["cmn"]}],
        "searchCutoffMs": _CUTOFF_MS,
    }


def convert(document: Document, schema: Schema, sounds: Sounds) -> dict[str, Any]:
    """The document as the server stores it."""
    texts = {text: document.texts[text.name] for text in schema.texts if text.name in document.texts}
    names = [written for text, written in texts.items() if text.named]
    return {
        ID: safe_id(document.id),
        KEY: document.id,
        DIGEST: digest(document),
        "tie": tie(document.id),
        **{text.name: written for text, written in texts.items() if text.shown},
        **{words_of(text.name): spaced(written) for text, written in texts.items()},
        SOUNDS: " ".join(pair for name in names for pair in sounds.pairs(name)),
        INITIALS: " ".join(_beginnings(letters for name in names for letters in sounds.first_letters(name))),
        **{field: [encode(value) for value in values] for field, values in document.keywords.items()},
        **document.numbers,
        **{sort_field(sort): sort_key(by, document.numbers) for sort, by in schema.sorts.items()},
    }


def filters(wanted: tuple[Filter, ...]) -> list[str]:
    """An expression for each; all must hold. Field names come from the schema, values are encoded."""
    return [_expression(one) for one in wanted]


def any_id(ids: Iterable[str]) -> str:
    """The expression for documents with any of the ids."""
    quoted = ", ".join(f'"{safe_id(id_)}"' for id_ in ids)
    return f"{ID} IN [{quoted}]"


def encode(value: str) -> str:
    """A keyword as the server stores it, in characters that need no escape: it can be decoded, and injects nothing.

    It also keeps values apart that the server takes for one: it ignores case and variants of characters.
    """
    return "".join(char if char in _SAFE else "".join(f"%{byte:02x}" for byte in _bytes(char)) for char in value) or "%"


def decode(stored: str) -> str:
    """The keyword that was encoded."""
    return "" if stored == "%" else unquote(stored, errors="surrogatepass")


def safe_id(id_: str) -> str:
    """An id of the characters that the server allows; no two ids share one."""
    return id_ if re.fullmatch("[A-Za-z0-9-]{1,100}", id_) else f"_{_bytes(id_).hex()}"


_SAFE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


def _expression(one: Filter) -> str:
    if isinstance(one, Between):
        bounds = ((">=", one.low), ("<=", one.high))
        expressions = [f"{one.field} {sign} {bound}" for sign, bound in bounds if bound is not None]
        return " AND ".join(expressions) or f"{one.field} EXISTS"
    # No document can be found by a longer value: whoever asks for one asks for nothing.
    stored = [value for value in map(encode, one.values) if len(value) <= LONGEST_VALUE]
    values = ", ".join(f'"{value}"' for value in stored)
    return f"{one.field} {'NOT IN' if isinstance(one, NoneOf) else 'IN'} [{values}]"


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _synonyms(language: Language) -> dict[str, list[str]]:
    groups = [[normalise(word) for word in group] for group in language.synonyms()]
    same: dict[str, list[str]] = {}
    for group in groups:
        for word in group:
            same.setdefault(word, []).extend(other for other in group if other != word)
    return same


def _beginnings(letters: Iterable[str]) -> list[str]:
    """First letters that may be typed, whole: the server takes only the last word of a query for a beginning."""
    found = {one[:size]: None for one in letters for size in range(_SHORTEST_INITIALS, len(one) + 1)}
    return list(found)
