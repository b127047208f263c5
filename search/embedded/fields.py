"""Documents as tantivy holds them: which field for what, and what is in it."""

import re
from functools import lru_cache

import msgspec
import tantivy
from msgspec import Struct

from search.documents import digest, tie
from search.engine import Document
from search.settings import Schema, sort_key
from search.sounds import Sounds
from search.text import tokens

KEY = "key"
NUMBER = "number"
"""The key again where it is a number: a column of numbers is read a hundred times faster than stored documents."""
TEXT = "text"
"""Pairs and words of all texts, repeated by the weight of each: one posting list a word, and BM25 over them all at once
is BM25F. Six fields of their own took six times as long."""
NAME = "name"
"""Pairs and words of the names alone: for suggestions, and because a word in a name says more than one in a text."""
SOUNDS = "sounds"
INITIALS = "initials"
TIE = "tie"
WEIGHT = "tie_weight"
STORED = "stored"

MOST_SHARED = 5_000
"""Texts kept as they are indexed."""
_TIE_BITS = 32
# weight_by_field multiplies a score by log2(2 + weight): at most this changes it by .07 %, which parts equals only.
_MOST_WEIGHT = 0.001


class Stored(Struct, frozen=True, array_like=True):
    """What a hit is made of."""

    id: str
    digest: str
    texts: dict[str, str]


_pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(Stored).decode


def sort_field(sort: str) -> str:
    """The field that a sort of the schema goes by, the lowest first."""
    return f"by_{sort}"


def build(schema: Schema) -> tantivy.Schema:
    """The fields of an index."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field(KEY, tokenizer_name="raw", index_option="basic")
    builder.add_text_field(TEXT, tokenizer_name="whitespace", index_option="freq")
    for field in (NAME, SOUNDS, INITIALS):
        builder.add_text_field(field, tokenizer_name="whitespace", index_option="basic")
    for field in schema.keywords:
        builder.add_text_field(field, fast=field in schema.facets, tokenizer_name="raw", index_option="basic")
    for field in schema.numbers:
        builder.add_integer_field(field, indexed=True, fast=True)
    for field in (NUMBER, TIE, *map(sort_field, schema.sorts)):
        builder.add_unsigned_field(field, fast=True)
    builder.add_float_field(WEIGHT, fast=True)
    builder.add_bytes_field(STORED, stored=True)
    return builder.build()


def convert(document: Document, schema: Schema, sounds: Sounds) -> tantivy.Document:
    """The document's fields, with what is derived from its texts."""
    made = tantivy.Document()
    texts = document.texts
    found = [(text, _written(texts[text.name])) for text in schema.texts if text.name in texts]
    names = [_heard(sounds, texts[text.name]) for text, _ in found if text.named]
    made.add_text(KEY, document.id)
    if re.fullmatch("0|[1-9][0-9]{0,17}", document.id):
        made.add_unsigned(NUMBER, int(document.id))
    made.add_text(TEXT, " ".join(terms for text, terms in found for _ in range(text.weight)))
    made.add_text(NAME, " ".join(terms for text, terms in found if text.named))
    made.add_text(SOUNDS, " ".join(pairs for pairs, _ in names))
    made.add_text(INITIALS, " ".join(letters for _, letters in names))
    for field, values in document.keywords.items():
        for value in values:
            made.add_text(field, value)
    for field, number in document.numbers.items():
        made.add_integer(field, number)
    last = tie(document.id)
    made.add_unsigned(TIE, last)
    made.add_float(WEIGHT, _MOST_WEIGHT * (1 - last / 2**_TIE_BITS))
    for sort, by in schema.sorts.items():
        made.add_unsigned(sort_field(sort), sort_key(by, document.numbers) << _TIE_BITS | last)
    shown = {name: texts[name] for name in schema.shown if name in texts}
    made.add_bytes(STORED, _pack(Stored(document.id, digest(document), shown)))
    return made


# Offerings share names of items, institutions and regions, and guides of items: a rebuild reads each of them once.
@lru_cache(MOST_SHARED)
def _written(text: str) -> str:
    return " ".join(tokens(text))


@lru_cache(MOST_SHARED)
def _heard(sounds: Sounds, name: str) -> tuple[str, str]:
    """A name's sounds in pairs, and its first letters."""
    pairs, letters = sounds.spelt(name)
    return " ".join(pairs), " ".join(letters)
