"""Which search engine serves: Meilisearch where the settings name a server, else the embedded one."""

from infra.settings import Settings
from market.data import language
from search.embedded import EmbeddedEngine, EmbeddedWriter
from search.engine import Engine, Writer
from search.settings import Language

FOLDER = "search"
"""Of the embedded indexes, in the data folder. Whoever deletes it has it built anew."""


def known_language() -> Language:
    """Sounds and synonyms, as understanding knows them."""
    return Language(sounds=language.load_sounds(), synonyms=language.load_synonym_groups())


def open_engine(settings: Settings) -> Engine:
    """To search with: any number of processes."""
    return EmbeddedEngine(settings.data_dir / FOLDER, known_language())


def open_writer(settings: Settings) -> Writer:
    """To index with: one at a time.

    Raises:
        Unavailable: another process has the embedded indexes open for writing.
    """
    return EmbeddedWriter(settings.data_dir / FOLDER, known_language())
