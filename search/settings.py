"""What the indexes hold and how they are searched: one place for both engines, under version control.

A change here or in the sounds changes the digest; an index of another digest is not searched but built anew
(``SettingsOutdated``). Synonyms are looked up when somebody searches, and change while processes run.
"""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from importlib.resources import files

import msgspec
from msgspec import Struct

from search.engine import NEARNESS, RELEVANCE, Between, Filter, IndexName, Query, check_text
from search.errors import UnknownField

FORMAT = 1
"""To be raised when an engine derives other fields from the same documents."""

MOST_VALUES = 1_000
"""Values of one facet that are counted, the most frequent first."""

PLACE = "place"
"""The keyword field with a region and all it lies in, by which ``NEARNESS`` sorts."""


class Text(Struct, frozen=True):
    """A searchable text. The order of a schema's texts is their rank; the first one is what the document is called."""

    name: str
    weight: int = 1
    """How many times an occurrence here counts as much as one in a text of weight 1."""
    shown: bool = True
    """Whether hits bring it along, with its finds marked."""
    named: bool = False
    """Whether it is a name: it completes what is typed, is found by pinyin and first letters, and counts twice."""


class Schema(Struct, frozen=True, kw_only=True):
    """One index: its texts, its keyword fields (to filter by), its numbers (to filter and sort by)."""

    texts: tuple[Text, ...]
    keywords: tuple[str, ...]
    facets: tuple[str, ...]
    """The keyword fields whose values can be counted."""
    numbers: tuple[str, ...] = ()
    sorts: Mapping[str, str] = {}
    """By the sort's name: the number it goes by, the lowest first, or ``-number``: the highest first.

    Documents without the number come last either way.
    """

    @property
    def name(self) -> Text:
        """What a document is called."""
        return self.texts[0]

    @property
    def shown(self) -> tuple[str, ...]:
        """The texts that hits bring along."""
        return tuple(text.name for text in self.texts if text.shown)


Groups = tuple[tuple[str, ...], ...]


class Language(Struct, frozen=True, kw_only=True):
    """What engines know of the language beyond its dictionary."""

    sounds: dict[str, str] = {}
    """Toneless pinyin by character."""
    synonyms: Callable[[], Groups] = tuple
    """Groups of words that mean the same, as they are now: asked for in every search, the same object if unchanged."""


_REGION = (PLACE, "province", "city", "county")
_REGION_FACETS = ("province", "city", "county")
_GUIDE = ("item_list", "right", "stage", "audience", "channel", "fee", "limit")

SCHEMAS: Mapping[IndexName, Schema] = {
    IndexName.OFFERINGS: Schema(
        texts=(
            Text("title", 2, named=True),
            Text("item_name", 2, named=True),
            Text("institution_name"),
            Text("region_name", 2),
            Text("aliases", 2, shown=False),
            Text("summary"),
            Text("guide", shown=False),
        ),
        keywords=(*_GUIDE, *_REGION, "serves", "item_code", "institution", "institution_kind"),
        facets=(*_GUIDE, *_REGION_FACETS, "institution_kind"),
        numbers=("promised_days", "satisfaction"),
        sorts={"promised_limit": "promised_days", "satisfaction": "-satisfaction"},
    ),
    IndexName.INSTITUTIONS: Schema(
        texts=(
            Text("name", 2, named=True),
            Text("kind_name", 2),
            Text("region_name", 2),
            Text("services", 2, shown=False),
            Text("summary"),
            Text("address"),
        ),
        keywords=("institution_kind", "right", "stage", "item_code", *_REGION),
        facets=("institution_kind", "right", "stage", *_REGION_FACETS),
        numbers=("satisfaction",),
        sorts={"satisfaction": "-satisfaction"},
    ),
    IndexName.ITEMS: Schema(
        texts=(
            Text("name", 2, named=True),
            Text("aliases", 2, shown=False),
            Text("group_name", 2),
            Text("guide"),
        ),
        keywords=_GUIDE,
        facets=_GUIDE,
        numbers=("promised_days",),
        sorts={"promised_limit": "promised_days"},
    ),
    IndexName.NOTICES: Schema(
        texts=(Text("title", 2, named=True), Text("body")),
        keywords=("kind", *_REGION),
        facets=("kind", *_REGION_FACETS),
        numbers=("published_day",),
        sorts={"newest": "-published_day"},
    ),
}

# Words of grammar and of asking, which say nothing of what is wanted. Without them a sentence is what it is about.
STOP_WORDS = frozenset(files("search").joinpath("stop_words.txt").read_text("utf-8").split())


def digest(schema: Schema, language: Language) -> str:
    """Eight hexadecimal digits that differ where an index of other settings would."""
    parts = msgspec.json.encode((FORMAT, schema, language.sounds, sorted(STOP_WORDS)), order="deterministic")
    return blake2b(parts, digest_size=4).hexdigest()


def check(query: Query, schema: Schema) -> None:
    """Refuse what the index cannot answer, before any engine is asked.

    Raises:
        QueryTooLong, UnknownField.
    """
    check_text(query.text)
    check_filters(query.filters, schema)
    for facet in query.facets:
        if facet not in schema.facets:
            raise UnknownField(facet, "facet")
    near = query.sort == NEARNESS and query.near is not None and PLACE in schema.keywords
    if not near and query.sort != RELEVANCE and query.sort not in schema.sorts:
        raise UnknownField(query.sort, "sort")


def check_filters(filters: tuple[Filter, ...], schema: Schema) -> None:
    """Refuse filters by fields that the index does not have.

    Raises:
        UnknownField: one of them.
    """
    for one in filters:
        if one.field not in (schema.numbers if isinstance(one, Between) else schema.keywords):
            raise UnknownField(one.field, "filter")


def sort_key(by: str, numbers: dict[str, int]) -> int:
    """What a sort goes by, the lowest first: the number of ``Schema.sorts``, 0..2^31; what is not known is last."""
    number = numbers.get(by.removeprefix("-"))
    if number is None:
        return 2 * _MIDDLE
    number = max(-_MIDDLE, min(number, _MIDDLE - 1))
    return _MIDDLE - 1 - number if by.startswith("-") else _MIDDLE + number


_MIDDLE = 2**30
